"""The bundled encoder in other 8-bit forms, each made from the shipped graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_STEPS = 127  # of the shipped form, for activations and weights


EXACT = "exact arithmetic, float64"


def make_forms(source: Path, folder: Path, names: Collection[str]) -> dict[str, Path]:
    """Write forms of the graph ``source``, by their names in :data:`FORMS`, into a folder; return their files."""
    import onnx

    made: dict[str, Path] = {}
    for name in names:
        model = onnx.load(str(source))
        FORMS[name](model)
        made[name] = folder / f"form{len(made)}.onnx"
        onnx.save(model, str(made[name]))
    return made


def _products(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, np.ndarray, np.ndarray]]:
    """Yield each product with its int8 weights (inputs, outputs) and their scales (outputs,)."""
    from onnx import numpy_helper

    constants = {item.name: item for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            weights, scales = (numpy_helper.to_array(constants[node.input[at]]) for at in (1, 3))
            yield node, weights, scales


def _replace(model: onnx.ModelProto, **constants: np.ndarray) -> None:
    from onnx import numpy_helper

    kept = [item for item in model.graph.initializer if item.name not in constants]
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        [*kept, *(numpy_helper.from_array(array, name) for name, array in constants.items())]
    )


def _exact(model: onnx.ModelProto) -> None:
    """Multiply in float64, which holds every sum of products exactly."""
    from onnx import TensorProto, helper

    nodes = list(model.graph.node)
    constants = {"middle": np.array(128, np.float64)}
    for node, weights, scales in _products(model):
        rows, matrix, _, scale = node.input[:4]
        constants[matrix] = weights.astype(np.float64)
        constants[scale] = scales * np.float32(1 / _STEPS)
        out = node.output[0]
        at = nodes.index(node)
        nodes[at : at + 1] = [
            helper.make_node("Cast", [rows], [f"{out}/wide"], to=TensorProto.DOUBLE),
            helper.make_node("Sub", [f"{out}/wide", "middle"], [f"{out}/centred"]),
            helper.make_node("MatMul", [f"{out}/centred", matrix], [f"{out}/sums"]),
            helper.make_node("Cast", [f"{out}/sums"], [f"{out}/narrow"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}/narrow", scale], [out]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _replace(model, **constants)


def _shifted(model: onnx.ModelProto) -> None:
    """Store weights as uint8 around 128: products of uint8 by uint8 are exact on every processor."""
    constants = {"weight_zero": np.array(128, np.uint8)}
    for node, weights, _ in _products(model):
        constants[node.input[1]] = (weights.astype(np.int16) + 128).astype(np.uint8)
        node.input.append("weight_zero")
    _replace(model, **constants)


def _signed(model: onnx.ModelProto) -> None:
    """Store activations as int8 around 0."""
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            node.input[2] = "row_zero"
    _replace(model, row_zero=np.array(0, np.int8))


def _seven_bit_weights(model: onnx.ModelProto) -> None:
    """Round weights to -63 to 63: pairs of products by uint8 fit 16 bits."""
    constants: dict[str, np.ndarray] = {}
    for node, weights, scales in _products(model):
        exact = weights * scales
        scale = np.maximum(np.abs(exact).max(0) / 63, 1e-12).astype(np.float32)
        constants |= {node.input[1]: np.round(exact / scale).astype(np.int8), node.input[3]: scale}
    _replace(model, **constants)


def _seven_bit_activations(model: onnx.ModelProto) -> None:
    """Round activations to -63 to 63 around 64: pairs of products by int8 fit 16 bits."""
    _replace(model, row_scale=np.array(1 / 63, np.float32), row_zero=np.array(64, np.uint8))


FORMS: dict[str, Callable[[onnx.ModelProto], None]] = {
    EXACT: _exact,
    "uint8 weights (shifted)": _shifted,
    "int8 activations (signed)": _signed,
    "7-bit weights": _seven_bit_weights,
    "7-bit activations": _seven_bit_activations,
}
