"""Find the encoder that a training starts from, in a model, a local folder or on the Hub, and make it shorter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer
from torch import nn
from transformers import AutoConfig, AutoTokenizer, BertModel, PreTrainedTokenizerFast

from tawasul_nlp.errors import BackboneError
from tawasul_nlp.model.folder import BUNDLED, ENCODER, NETWORK, TOKENIZER, ModelConfig, read_config
from tawasul_nlp.model.network import MultiTaskNetwork, head_name
from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.export import restore_network, restore_tokenizer, wrap_tokenizer

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

# A rarer word would hardly be trained.
_LEAST_TEXTS = 3
# A whole word wins over its pieces by so much, which leaves the tokens of longer words as they are.
_AHEAD = 0.01


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


def shortened(backbone: Backbone, config: TrainConfig, texts: Iterable[str]) -> Backbone:
    """Return the backbone with the layers and the whole words that a configuration asks for.

    Parameters
    ----------
    backbone : Backbone
        Its encoder is changed in place.
    texts : iterable of str
        The training texts, whose most frequent words become tokens.

    Raises
    ------
    ValueError
        If it has fewer layers, or its tokenizer is not a Unigram model.
    """
    if config.layers is not None:
        keep_layers(backbone.encoder, config.layers)
    if not config.whole_words:
        return backbone
    normalizer = Normalizer(config.profile)
    clean = (normalizer(arabizi_to_arabic(text)) for text in texts)
    tokenizer = add_words(backbone.encoder, backbone.tokenizer, clean, config.whole_words)
    return backbone._replace(tokenizer=tokenizer)


def keep_layers(encoder: BertModel, count: int) -> None:
    """Keep ``count`` of an encoder's layers, evenly spaced from the first.

    Six of twelve are every other one from the first on: a linear probe reads the corpus's topics better from these than
    from the first six, or from those that end with the last.
    """
    layers = encoder.encoder.layer
    if count > len(layers):
        raise ValueError(f"layers is {count}, but the backbone has {len(layers)}")
    numbers = np.arange(count) * len(layers) // count
    encoder.encoder.layer = nn.ModuleList([layers[number] for number in numbers.tolist()])
    encoder.config.num_hidden_layers = count


def add_words(
    encoder: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], count: int
) -> PreTrainedTokenizerFast:
    """Make the most frequent words tokens of their own, whose vectors are the means of their pieces'.

    Parameters
    ----------
    encoder : BertModel
        Changed in place.
    texts : iterable of str
        Normalised.

    Returns
    -------
    PreTrainedTokenizerFast
        The new tokenizer; the ids of the tokens that were there stay, except those added behind the vocabulary.
    """
    backend = tokenizer.backend_tokenizer
    plain = json.loads(backend.to_str())
    if plain["model"]["type"] != "Unigram":
        raise ValueError(f"whole_words needs a Unigram tokenizer, but the backbone's is a {plain['model']['type']}")
    pieces = plain["model"]["vocab"]
    words = _frequent_words(backend, texts, {piece for piece, _ in pieces}, count)
    vectors = encoder.get_input_embeddings().weight.detach()
    size = len(pieces)
    split = [_pieces(backend, word) for word in words]
    added = [vectors[ids].mean(0) for ids in split]
    pieces += [[word, sum(pieces[piece][1] for piece in ids) + _AHEAD] for word, ids in zip(words, split, strict=True)]
    for token in plain["added_tokens"]:
        token["id"] += len(words) if token["id"] >= size else 0
    table = torch.cat([vectors[:size], *([torch.stack(added)] if added else []), vectors[size:]])
    encoder.set_input_embeddings(nn.Embedding.from_pretrained(table, freeze=False, padding_idx=tokenizer.pad_token_id))
    encoder.config.vocab_size = len(table)
    return wrap_tokenizer(Tokenizer.from_str(json.dumps(plain)))


def _frequent_words(backend: Tokenizer, texts: Iterable[str], tokens: set[str], count: int) -> list[str]:
    """Return the most frequent words that are not tokens yet, as the tokenizer cuts texts into words."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        counts.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal))
    new = (
        word
        for word, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if times >= _LEAST_TEXTS and word not in tokens and any(char.isalpha() for char in word)
    )
    return [word for word, _ in zip(new, range(count), strict=False)]


def _pieces(backend: Tokenizer, word: str) -> list[int]:
    return [token.id for token in backend.model.tokenize(word)]
