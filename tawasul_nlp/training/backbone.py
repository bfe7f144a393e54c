"""Find the encoder that a training starts from, in a model, a local folder or on the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import AddedToken
from transformers import AutoConfig, AutoTokenizer, BertModel, PreTrainedTokenizerFast

from tawasul_nlp.errors import BackboneError
from tawasul_nlp.model.folder import BUNDLED, ENCODER, NETWORK, TOKENIZER, ModelConfig, read_config
from tawasul_nlp.model.network import MultiTaskNetwork, head_name
from tawasul_nlp.training.export import restore_network, restore_tokenizer

BUNDLED_NAME = "bundled"
FILES = (
    "config.json",
    "model.safetensors or pytorch_model.bin",
    "tokenizer_config.json",
    "vocab.txt or tokenizer.json",
    "special_tokens_map.json, if there is one",
)
LOCAL = Path("models")
# What the profiles ``arabert`` and ``arabert-twitter`` put for links, e-mail addresses and user names. AraBERT's
# vocabulary holds each as one token, which a fast tokenizer would cut at the brackets.
_PLACEHOLDERS = ("[رابط]", "[بريد]", "[مستخدم]")


class Backbone(NamedTuple):
    """What a training starts from."""

    encoder: BertModel
    tokenizer: PreTrainedTokenizerFast
    # The whole network, where the backbone is a model folder.
    model: MultiTaskNetwork | None = None
    # And the folder's configuration.
    config: ModelConfig | None = None

    def give_heads(self, network: MultiTaskNetwork, labels: Mapping[str, Sequence[str]]) -> None:
        """Copy the model's weights for labels that ``network`` has as well, and its other heads."""
        if self.model is None or self.config is None:
            return
        with torch.no_grad():
            for task, names in labels.items():
                if task not in self.config.tasks:
                    continue
                theirs = {name: row for row, name in enumerate(self.config.tasks[task].labels)}
                rows = [(row, theirs[name]) for row, name in enumerate(names) if name in theirs]
                old, new = self.model.heads[head_name(task)], network.heads[head_name(task)]
                for row, source in rows:
                    new.weight[row], new.bias[row] = old.weight[source], old.bias[source]
            for new, old in (
                (network.incident, self.model.incident),
                (network.tags, self.model.tags),
                (network.pair, self.model.pair),
            ):
                if new is not None and old is not None:
                    new.load_state_dict(old.state_dict())


def load_backbone(name: str, dropout: float) -> Backbone:
    """Return the encoder, its fast tokenizer, and what else a model folder holds.

    Parameters
    ----------
    name : str
        ``bundled``, a folder, or an id on the Hub, which may also lie in ``models/ORG/NAME``.

    Raises
    ------
    BackboneError
        With the files to fetch and where to put them.
    """
    folder = BUNDLED if name == BUNDLED_NAME else find_backbone(name)
    if (folder / TOKENIZER).exists() and ((folder / ENCODER).exists() or (folder / NETWORK).exists()):
        model = restore_network(folder, dropout)
        return Backbone(model.encoder, restore_tokenizer(folder), model, read_config(folder))
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise BackboneError(f"{folder}: {_first_line(error)}; expected {'; '.join(FILES)}") from error
    if config.model_type != "bert":
        raise BackboneError(
            f"{name} is a model of the type {config.model_type!r}, expected 'bert'; "
            "AraBERT, CAMeLBERT, MARBERT and multilingual-e5-small are of it"
        )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        encoder, loading = BertModel.from_pretrained(
            folder,
            add_pooling_layer=False,
            # Dropout on attention forces a slow path on CPU (1.5 times the time); masking tokens regularises instead.
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=dropout,
            attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
            output_loading_info=True,
            dtype=torch.float32,
        )
    except (OSError, ValueError) as error:
        raise BackboneError(f"{folder}: {_first_line(error)}; expected {'; '.join(FILES)}") from error
    if loading["missing_keys"]:
        raise BackboneError(
            f"{folder}: the weights lack {', '.join(sorted(loading['missing_keys'])[:3])}; fetch the files again"
        )
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or len(tokenizer) > config.vocab_size:
        raise BackboneError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens and the model {config.vocab_size}; "
            "they do not belong together"
        )
    vocabulary = tokenizer.get_vocab()
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in _PLACEHOLDERS if token in vocabulary])
    return Backbone(encoder, tokenizer)


def find_backbone(name: str) -> Path:
    """Return the folder of a backbone that is named by a path or by an id on the Hub.

    Raises
    ------
    BackboneError
        If it is nowhere.
    """
    for folder in (Path(name), LOCAL / name):
        if folder.is_dir():
            return folder
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise BackboneError(
            f"there is no folder {name}; name a folder, an id on the Hub (org/name) or {BUNDLED_NAME!r}"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=["config.json", "*.safetensors", "pytorch_model.bin", "vocab.txt", "*token*.json"]
            )
        )
    except Exception as error:  # the Hub client raises many classes; all mean the same to the user
        files = "".join(f"\n  {file}" for file in FILES)
        raise BackboneError(
            f"{name} could not be fetched from the Hugging Face Hub ({type(error).__name__}). On a machine with "
            f"access, download from https://huggingface.co/{name}/tree/main these files:{files}\nput them into "
            f"{LOCAL / name} (below the folder in which you run this), or into any folder and name it with "
            "--set backbone=THAT_FOLDER"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
