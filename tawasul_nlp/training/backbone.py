"""What a training starts from: an encoder in a model, a local folder or on the Hub, and heads that start from it.

A head that starts from nothing has to move the encoder before it can tell labels apart, and the encoder forgets
(Kumar et al. 2022, who fit the head first as well). ``means`` is for a handful of texts a label: each label's weights
are the mean vector of its texts, so that the head is right from the first step as often as the nearest mean is.
``probe`` is for more: a logistic regression on the frozen vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from onnx.numpy_helper import to_array
from safetensors.torch import load_file
from scipy.optimize import minimize_scalar
from tokenizers import AddedToken, Tokenizer
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast

from tawasul_nlp.errors import BackboneError
from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.folder import BUNDLED, ENCODER, NETWORK, NETWORK_CONFIG, TOKENIZER, ModelConfig, read_config
from tawasul_nlp.model.network import MultiTaskNetwork, head_name

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

    ``name`` is ``bundled``, a folder, or an id on the Hub, which may also lie in ``models/ORG/NAME``. A BackboneError
    names the files to fetch and where to put them.
    """
    folder = BUNDLED if name == BUNDLED_NAME else find_backbone(name)
    if (folder / TOKENIZER).exists() and ((folder / ENCODER).exists() or (folder / NETWORK).exists()):
        model = restore_network(folder, dropout)
        return Backbone(model.encoder, restore_tokenizer(folder), model, read_config(folder))
    config = _read(AutoConfig, folder)
    if config.model_type != "bert":
        raise BackboneError(
            f"{name} is a model of the type {config.model_type!r}, expected 'bert'; "
            "AraBERT, CAMeLBERT, MARBERT and multilingual-e5-small are of it"
        )
    tokenizer = _read(AutoTokenizer, folder)
    encoder, loading = _read(
        BertModel,
        folder,
        add_pooling_layer=False,
        # Dropout on attention forces a slow path on CPU (1.5 times the time); masking tokens regularises instead.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=dropout,
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
        output_loading_info=True,
        dtype=torch.float32,
    )
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


def _read(kind: Any, folder: Path, **options: Any) -> Any:
    try:
        return kind.from_pretrained(folder, **options)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BackboneError(f"{folder}: {reason}; expected {'; '.join(FILES)}") from error


def find_backbone(name: str) -> Path:
    """Return the folder of a backbone named by a path or by an id on the Hub; BackboneError if it is nowhere."""
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


# Inverse strength of the probe's penalty: the larger it is, from 0.05 on, the worse the probe reads unseen texts of the
# project's corpus.
_PROBE_C = 0.017
# Pooling so many texts takes two minutes on two cores; the probe was tried with about as many.
MOST_TEXTS = 16_000
_BATCH = 64


def start_heads(
    network: MultiTaskNetwork,
    rows: Sequence[Sequence[int]],
    padding: int,
    targets: Mapping[str, np.ndarray],
    how: str = "means",
) -> None:
    """Set the heads' weights, in place, from the pooled vectors of each label's texts, by ``means`` or ``probe``.

    ``rows`` are the token ids of each text. ``targets`` are label indices for each task (n_rows,), -1 where a text has
    none; of a multi-label task, which always starts from a probe of each label against the rest, which labels each text
    has (n_rows, n_labels), all -1 where they are unknown.
    """
    start = {"means": nearest_mean, "probe": linear_probe}[how]
    vectors = _pooled(network, rows, padding)
    for task, target in targets.items():
        if target.ndim == 2:
            labelled = target[:, 0] >= 0
            _set_head(network, task, *one_vs_rest_probe(vectors[labelled], target[labelled]))
            continue
        labelled = target >= 0
        if how == "probe" and len(np.unique(target[labelled])) < 2:
            continue  # nothing to tell apart
        _set_head(network, task, *start(vectors[labelled], target[labelled], network.tasks[task]))


def start_from_shares(network: MultiTaskNetwork, task: str, counts: np.ndarray, labelled: int) -> None:
    """Set the biases of a multi-label head to the log-odds of the labels' shares, so that rare ones begin as such."""
    bias = network.heads[head_name(task)].bias
    with torch.no_grad():
        bias.copy_(torch.from_numpy(_log_odds(counts, labelled)))


def _log_odds(counts: np.ndarray, total: int) -> np.ndarray:
    """Return the log-odds of shares, as if each label had been half once more."""
    return np.log((counts + 0.5) / (total - counts + 0.5)).astype(np.float32)


def _set_head(network: MultiTaskNetwork, task: str, weights: np.ndarray, bias: np.ndarray) -> None:
    head = network.heads[head_name(task)]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(bias))


def nearest_mean(vectors: np.ndarray, target: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (labels, width) and bias of a layer whose logits fall with the distance from each label's mean.

    They fall with its square; how steeply is chosen by the likelihood of each text under means that leave it out. Each
    label needs a text.
    """
    counts = np.bincount(target, minlength=labels)
    means = np.zeros((labels, vectors.shape[1]))
    np.add.at(means, target, vectors)
    means /= counts[:, None]
    middle = means.mean(0)
    # |v - m|^2 multiplied out: all differences at once would be texts x labels x width numbers, gigabytes for a corpus.
    # Around the middle, so that little is lost where near-equal numbers are subtracted.
    around, centres = vectors - middle, means - middle
    distances = (around**2).sum(1)[:, None] - 2 * around @ centres.T + (centres**2).sum(1)
    distances = np.maximum(distances, 0.0)
    rows = np.flatnonzero(counts[target] > 1)
    texts_of_label = counts[target[rows]]
    # Without the text itself, its mean is further away by the factor n / (n - 1).
    distances[rows, target[rows]] *= (texts_of_label / (texts_of_label - 1)) ** 2

    def loss(logarithm: float) -> float:
        scores = log_softmax(-distances[rows] * np.exp(logarithm))
        return float(-scores[np.arange(len(rows)), target[rows]].mean())

    typical = float(np.log(distances.mean()))
    steep = np.exp(minimize_scalar(loss, bounds=(-typical - 5, -typical + 8), method="bounded").x) if len(rows) else 1.0
    # Minus the distance to the means' mean, which is the same for all labels: small weights stand 8 bits better.
    weights, bias = 2 * steep * (means - middle), steep * ((middle**2).sum() - (means**2).sum(1))
    return weights.astype(np.float32), bias.astype(np.float32)


def linear_probe(vectors: np.ndarray, target: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (labels, width) and bias of a layer fitted by logistic regression on at least two labels.

    A label that no text has starts as hardly ever the likeliest.
    """
    from sklearn.linear_model import LogisticRegression

    # An encoder's vectors lie close together and far from 0: the penalty must see how they differ.
    middle, spread = vectors.mean(0), vectors.std(0) + 1e-6
    fitted = LogisticRegression(C=_PROBE_C, max_iter=200).fit((vectors - middle) / spread, target)
    slopes, offset = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # one row of weights, for the second label against the first
        slopes, offset = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-offset, offset]) / 2
    weights = np.zeros((labels, vectors.shape[1]))
    bias = np.full(labels, offset.min() - 5.0)
    weights[fitted.classes_] = slopes / spread
    bias[fitted.classes_] = offset
    return weights.astype(np.float32), (bias - weights @ middle).astype(np.float32)


def one_vs_rest_probe(vectors: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (labels, width) and bias of a layer fitted by logistic regressions of each label against the rest.

    ``target`` (n_texts, labels) is 1 where a text has a label, else 0. A label that all or no texts have starts from
    its share alone.
    """
    counts = (target == 1).sum(0)
    weights = np.zeros((target.shape[1], vectors.shape[1]), np.float32)
    bias = _log_odds(counts, len(target))
    for label in np.flatnonzero((counts > 0) & (counts < len(target))).tolist():
        two, offsets = linear_probe(vectors, target[:, label].astype(np.int64), 2)
        weights[label], bias[label] = two[1] - two[0], offsets[1] - offsets[0]
    return weights, bias


def _pooled(network: MultiTaskNetwork, rows: Sequence[Sequence[int]], padding: int) -> np.ndarray:
    device = next(network.parameters()).device
    network.eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    vectors = np.zeros((len(rows), network.encoder.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            places = order[start : start + _BATCH]
            batch = [torch.tensor(rows[row], device=device) for row in places]
            ids = pad_sequence(batch, batch_first=True, padding_value=padding)
            mask = pad_sequence([torch.ones_like(row) for row in batch], batch_first=True)
            vectors[places] = network.encode(network.words(ids), mask).pooled.float().cpu().numpy()
    return vectors


_PARTS = ("encoder.", "heads.", "incident.", "tags.", "pair.")
_WORDS = "encoder.embeddings.word_embeddings"
_QUERY = "/encoder/encoder/layer.0/attention/self/query/Add_output_0"


def restore_network(folder: Path, dropout: float = 0.1) -> MultiTaskNetwork:
    """Return the network of a model folder with its weights as float32: its own logits, but for rounded activations.

    Raises
    ------
    ModelFormatError
        If the folder is not a sound model folder.
    ValueError
        If its graph has a weight that this network has no place for.
    """
    config = read_config(folder)
    if NETWORK in config.files:
        shape, state = BertConfig.from_json_file(folder / NETWORK_CONFIG), load_file(folder / NETWORK)
        shape.update({"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": dropout})
        shape._attn_implementation = "eager"
    else:
        shape, state = _from_graph(folder, dropout)
    network = MultiTaskNetwork(
        BertModel(shape, add_pooling_layer=False),
        {name: len(task.labels) for name, task in config.tasks.items()},
        dropout,
        incident="incident.weight" in state,
        clauses=config.issues.task if config.issues is not None else None,
        separator=config.encoder_separator,
    )
    result = network.load_state_dict(state, strict=False)
    lost = result.missing_keys + result.unexpected_keys
    if lost:
        raise ValueError(f"{folder}: cannot restore {', '.join(sorted(lost)[:5])}; train from the base instead")
    return network.eval()


def restore_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a model folder."""
    return wrap_tokenizer(Tokenizer.from_file(str(folder / TOKENIZER)))


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Give a tokenizer with the special tokens of XLM-R or of BERT the interface of transformers."""
    names = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")
    xlmr, bert = ("<s>", "</s>", "<pad>", "<unk>", "<mask>"), ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
    chosen = xlmr if tokenizer.token_to_id("<pad>") is not None else bert
    special = {
        name: token for name, token in zip(names, chosen, strict=True) if tokenizer.token_to_id(token) is not None
    }
    if chosen == xlmr:
        special |= {"bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special)


def _from_graph(folder: Path, dropout: float) -> tuple[BertConfig, dict[str, torch.Tensor]]:
    """Return the encoder's configuration and the network's weights from an exported graph."""
    graph = onnx.load(str(folder / ENCODER)).graph
    tensors = {item.name: to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in tensors:  # an exporter merges equal vectors
            tensors[node.output[0]] = tensors[node.input[0]]
    state = {name: values for name, values in tensors.items() if name.startswith(_PARTS)}
    state[f"{_WORDS}.weight"] = state.pop(f"{_WORDS}.rows").astype(np.float32) * state.pop(f"{_WORDS}.scale")
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            matrix = (tensors[node.input[1]].astype(np.float32) * tensors[node.input[3]]).T
            # "/encoder/encoder/layer.0/attention/self/query/MatMul_rows" has that of "encoder.encoder.layer.0...query".
            name = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".") + ".weight"
            # Only a head that reads single tokens is such a product, and its node has the name of its task alone.
            state[name if name.startswith(_PARTS) else f"heads.{name}"] = matrix
    words, width = state[f"{_WORDS}.weight"].shape
    layers = {name.split(".layer.")[1].split(".")[0] for name in state if ".layer." in name}
    norms = (node for node in graph.node if node.op_type == "LayerNormalization")
    epsilons = [item.f for node in norms for item in node.attribute if item.name == "epsilon"]
    shape = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=width // _head_width(graph, folder),
        intermediate_size=len(state["encoder.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(state["encoder.embeddings.position_embeddings.weight"]),
        type_vocab_size=len(state["encoder.embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=float(f"{epsilons[0]:.6g}"),
        pad_token_id=restore_tokenizer(folder).pad_token_id,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=dropout,
        attn_implementation="eager",
    )
    return shape, {name: torch.from_numpy(np.array(values)) for name, values in state.items()}


def _head_width(graph: Any, folder: Path) -> int:
    """Return how many numbers an attention head has: the graph folds the queries by it."""
    made = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] == _QUERY:
            size = made[made[node.input[1]].input[-1]]
            return int(to_array(size.attribute[0].t).reshape(-1)[0])
    raise ValueError(f"{folder / ENCODER}: does not show how wide an attention head is; train from the base instead")
