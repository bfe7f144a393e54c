"""Export a fine-tuned network to one ONNX graph with int8 weights.

The embedding table is stored as int8 rows, and every weight matrix as int8 columns, with one scale each. A row of
activations is divided by its largest magnitude while the graph runs, so one fixed scale quantises it, and the product
of integers is multiplied by that magnitude again. So nothing is calibrated, and the answer for a text does not depend
on its neighbours in the batch. ``eval/results/archive/quantisation.md`` has the comparison with 8-bit blocks and
with static (calibrated) and dynamic quantisation.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

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


def export_float(network: MultiTaskNetwork, path: Path, int8_embedding: bool = True) -> None:
    """Write the network as a float32 ONNX graph with the network's own outputs."""
    network = copy.deepcopy(network).eval()
    network.encoder.set_attn_implementation("eager")
    if int8_embedding:
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
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    matrices = {item.name: numpy_helper.to_array(item) for item in graph.initializer if len(item.dims) == 2}
    nodes, constants = (
        [],
        [
            numpy_helper.from_array(np.array(1 / _STEPS, np.float32), _SCALE),
            numpy_helper.from_array(np.array(128, np.uint8), _ZERO),
            numpy_helper.from_array(np.array(1e-12, np.float32), _LEAST),
        ],
    )
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
                helper.make_node("Abs", [rows], [f"{name}_abs"]),
                helper.make_node("ReduceMax", [f"{name}_abs"], [f"{name}_max"], axes=[-1], keepdims=1),
                helper.make_node("Max", [f"{name}_max", _LEAST], [f"{name}_size"]),
                helper.make_node("Div", [rows, f"{name}_size"], [f"{name}_unit"]),
                helper.make_node("QuantizeLinear", [f"{name}_unit", _SCALE, _ZERO], [f"{name}_int"]),
            ]
        name = quantised[rows]
        scale = np.maximum(np.abs(matrices[matrix]).max(0) / _STEPS, 1e-12).astype(np.float32)
        weights = np.round(matrices[matrix] / scale).astype(np.int8)
        constants += [
            numpy_helper.from_array(weights, f"{node.name}_int8"),
            numpy_helper.from_array(scale, f"{node.name}_scale"),
        ]
        replaced.add(matrix)
        nodes += [
            helper.make_node(
                "MatMulIntegerToFloat",
                [f"{name}_int", f"{node.name}_int8", _SCALE, f"{node.name}_scale", _ZERO],
                [f"{node.name}_unit"],
                name=f"{node.name}_rows",
                domain="com.microsoft",
            ),
            helper.make_node("Mul", [f"{node.name}_unit", f"{name}_size"], list(node.output)),
        ]
    constants += [item for item in graph.initializer if item.name not in replaced]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    if all(known.domain != "com.microsoft" for known in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))
