"""Export a fine-tuned network to one ONNX graph with int8 weights, and load such a folder back into torch.

The embedding table is stored as int8 rows, and every weight matrix as int8 columns, with one scale each. A row of
activations is divided by its largest magnitude while the graph runs, so one fixed scale quantises it, and the product
of integers is multiplied by that magnitude again. So nothing is calibrated, and the answer for a text does not depend
on its neighbours in the batch. ``eval/results/archive/quantisation.md`` has the comparison with 8-bit blocks and
with static (calibrated) and dynamic quantisation. Restored weights are those values as float32, so the restored
network gives the folder's own logits up to the rounding of activations.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx.helper import make_node, make_opsetid
from onnx.numpy_helper import from_array, to_array
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tawasul_nlp.model.folder import ENCODER, NETWORK, NETWORK_CONFIG, TOKENIZER, read_config
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.runtime import TOKEN_OUTPUTS

_STEPS = 127  # a row's values become -127 to 127, stored as uint8 around 128: what the kernels for x86 want
_SCALE, _ZERO, _LEAST = "row_scale", "row_zero", "row_least"


class Int8Embedding(nn.Module):
    """An embedding table of int8 rows with one float scale each."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up rows: (batch, tokens) -> (batch, tokens, hidden), float32."""
        return self.rows[ids].to(torch.float32) * self.scale[ids]


def export_float(network: MultiTaskNetwork, path: Path) -> None:
    """Write the network as a float32 ONNX graph with the network's own outputs, but with an embedding table in int8."""
    network = copy.deepcopy(network).eval()
    network.encoder.set_attn_implementation("eager")
    embeddings = network.encoder.embeddings
    embeddings.word_embeddings = Int8Embedding(embeddings.word_embeddings)
    ids = torch.randint(4, min(1000, network.encoder.config.vocab_size), (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    outputs = list(network.outputs)
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", *TOKEN_OUTPUTS)}
    with torch.no_grad(), warnings.catch_warnings():
        # The lengths that it says are fixed are the axes below; no index is negative.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message="Exporting aten::index operator", category=UserWarning)
        torch.onnx.export(
            network,
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=outputs,
            dynamic_axes={name: axes.get(name, {0: "batch"}) for name in ("input_ids", "attention_mask", *outputs)},
            opset_version=17,
            dynamo=False,
        )


def quantize_rows(source: Path, target: Path) -> None:
    """Replace every product with a constant weight matrix of the graph ``source`` and write ``target``."""
    model = onnx.load(str(source))
    graph = model.graph
    matrices = {item.name: to_array(item) for item in graph.initializer if len(item.dims) == 2}
    nodes: list[Any] = []
    constants = [
        from_array(np.array(1 / _STEPS, np.float32), _SCALE),
        from_array(np.array(128, np.uint8), _ZERO),
        from_array(np.array(1e-12, np.float32), _LEAST),
    ]
    replaced: set[str] = set()
    quantised: dict[str, str] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in matrices:
            nodes.append(node)
            continue
        rows, matrix = node.input
        if rows not in quantised:  # query, key and value read the same rows
            name = quantised[rows] = f"rows{len(quantised)}"
            nodes += [
                make_node("Abs", [rows], [f"{name}_abs"]),
                make_node("ReduceMax", [f"{name}_abs"], [f"{name}_max"], axes=[-1], keepdims=1),
                make_node("Max", [f"{name}_max", _LEAST], [f"{name}_size"]),
                make_node("Div", [rows, f"{name}_size"], [f"{name}_unit"]),
                make_node("QuantizeLinear", [f"{name}_unit", _SCALE, _ZERO], [f"{name}_int"]),
            ]
        name = quantised[rows]
        scale = np.maximum(np.abs(matrices[matrix]).max(0) / _STEPS, 1e-12).astype(np.float32)
        weights = np.round(matrices[matrix] / scale).astype(np.int8)
        constants += [from_array(weights, f"{node.name}_int8"), from_array(scale, f"{node.name}_scale")]
        replaced.add(matrix)
        nodes += [
            make_node(
                "MatMulIntegerToFloat",
                [f"{name}_int", f"{node.name}_int8", _SCALE, f"{node.name}_scale", _ZERO],
                [f"{node.name}_unit"],
                name=f"{node.name}_rows",
                domain="com.microsoft",
            ),
            make_node("Mul", [f"{node.name}_unit", f"{name}_size"], list(node.output)),
        ]
    constants += [item for item in graph.initializer if item.name not in replaced]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    if all(opset.domain != "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))


_PARTS = ("encoder.", "heads.", "incident.", "tags.", "pair.")
_WORDS = "encoder.embeddings.word_embeddings"
_QUERY = "/encoder/encoder/layer.0/attention/self/query/Add_output_0"


def restore_network(folder: Path, dropout: float = 0.1) -> MultiTaskNetwork:
    """Return the network of the model folder ``folder`` with float32 weights.

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
        separator=config.separator,
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
