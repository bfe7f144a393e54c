"""Make an ONNX graph compute the same numbers on every processor.

The results of an 8-bit encoder in ONNX Runtime 1.32 depend on the processor in two ways:

- Without VNNI instructions (AVX2 alone, AVX-512 before Cascade Lake), products of uint8 by int8 are summed in pairs in
16 bits, which overflow. ONNX Runtime has an exact path: :func:`products_overflow` says whether it is needed.
- ``Softmax`` sums as many exponentials at once as fit a register, so the last bit of a sum depends on the processor,
and rounding to 8 bits turns that bit into a tenth of a logit. :func:`with_portable_softmax` replaces each ``Softmax``
with the steps that define it. Their sum is in float64: in float32 it would depend on how far a batch is padded.

The other kernels give the same bits on all processors with AVX2 and FMA (``python -m eval.speed.processors``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from tawasul_nlp.model.graph import field, fields, integer, opening
from tawasul_nlp.model.telemetry import onnxruntime_without_telemetry

# Field numbers and element types of onnx.proto3.
_MODEL_VERSION, _MODEL_GRAPH, _MODEL_OPSET = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_CONSTANT, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_INTS, _ATTRIBUTE_TYPE = 1, 3, 8, 20
_INT, _INTS = 2, 7
_UINT8, _INT8, _INT32, _DOUBLE = 2, 3, 6, 11
# CastLike needs operator set 15; from 18 on ReduceMax takes its axis as an input.
_OLDEST, _AXIS_AS_INPUT = 15, 18


def with_portable_softmax(model: bytes) -> bytes:
    """Replace each ``Softmax`` of an ONNX model with the steps that define it.

    Nested nodes (of loops and branches) are unchanged, and so is a model of an operator set before 15.

    Parameters
    ----------
    model : bytes
        A valid ONNX file (:func:`~tawasul_nlp.model.graph.checked_graph`).
    """
    opset = _opset(model)
    if opset < _OLDEST or b"Softmax" not in model:
        return model
    parts: list[bytes | memoryview] = []  # views, so the weights are copied once
    begin = 0
    for number, _, start, end in fields(model):
        if number == _MODEL_GRAPH:
            graph = list(_graph(model, start, end, opset))
            parts += [opening(number, sum(map(len, graph))), *graph]
        else:
            parts.append(memoryview(model)[begin:end])
        begin = end
    return b"".join(parts)


def _opset(model: bytes) -> int:
    """Return the version of ONNX's own operators that a model requires; 0 for none."""
    for number, _, start, end in fields(model):
        if number == _MODEL_OPSET:
            values = {inner: value for inner, _, value, stop in fields(model, start, end) if stop > value}
            if _OPSET_DOMAIN not in values and _OPSET_VERSION in values:
                return integer(model, values[_OPSET_VERSION])
    return 0


def _graph(model: bytes, start: int, end: int, opset: int) -> Iterator[bytes | memoryview]:
    """Yield the fields of a graph with its ``Softmax`` nodes replaced."""
    begin = start
    for number, _, value, stop in fields(model, start, end):
        steps = _softmax_steps(model, value, stop, opset) if number == _GRAPH_NODE else None
        if steps is None:
            yield memoryview(model)[begin:stop]
        else:
            yield from (field(_GRAPH_NODE, step) for step in steps)
        begin = stop


def _softmax_steps(model: bytes, start: int, end: int, opset: int) -> list[bytes] | None:
    """Return the nodes equivalent to a ``Softmax``; None for another node."""
    if model.find(b"Softmax", start, end) < 0:
        return None
    parts: dict[int, bytes] = {}
    axis = -1
    for number, _, value, stop in fields(model, start, end):
        parts[number] = model[value:stop]
        if number == _NODE_ATTRIBUTE:  # Softmax has one only, its axis
            axis = next(
                (integer(model, a) for inner, _, a, _ in fields(model, value, stop) if inner == _ATTRIBUTE_INT), axis
            )
    if (
        parts.get(_NODE_OPERATOR) != b"Softmax"
        or parts.get(_NODE_DOMAIN)
        or not {_NODE_INPUT, _NODE_OUTPUT} <= set(parts)
    ):
        return None
    scores, shares = parts[_NODE_INPUT], parts[_NODE_OUTPUT]
    axes, most, below, powers, wide, sums, total = (
        shares + b"/" + name for name in (b"axes", b"most", b"below", b"powers", b"wide", b"sums", b"total")
    )
    of_axis = _attribute("axes", axis, _INTS)
    return [
        _node("Constant", [], axes, _attribute("value_ints", axis, _INTS)),
        _node("ReduceMax", [scores, axes], most)
        if opset >= _AXIS_AS_INPUT
        else _node("ReduceMax", [scores], most, of_axis),
        _node("Sub", [scores, most], below),
        _node("Exp", [below], powers),
        _node("Cast", [powers], wide, _attribute("to", _DOUBLE, _INT)),
        _node("ReduceSum", [wide, axes], sums),
        _node("CastLike", [sums, powers], total),
        _node("Div", [powers, total], shares),
    ]


def _node(operator: str, inputs: list[bytes], output: bytes, *attributes: bytes) -> bytes:
    return b"".join(
        [
            *(field(_NODE_INPUT, name) for name in inputs),
            field(_NODE_OUTPUT, output),
            field(_NODE_OPERATOR, operator),
            *(field(_NODE_ATTRIBUTE, attribute) for attribute in attributes),
        ]
    )


def _attribute(name: str, value: int, kind: int) -> bytes:
    """Return an integer attribute, or a list of one."""
    place = _ATTRIBUTE_INT if kind == _INT else _ATTRIBUTE_INTS
    return field(_ATTRIBUTE_NAME, name) + field(place, value) + field(_ATTRIBUTE_TYPE, kind)


@lru_cache(maxsize=1)
def products_overflow() -> bool:
    """Return whether products of uint8 by int8 overflow on this processor, by trying the largest."""
    size = 64
    onnxruntime = onnxruntime_without_telemetry()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_largest_products(size), options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(None, {"rows": np.full((size, size), 255, np.uint8)})
    return bool((sums != size * 255 * 127).any())


def _largest_products(size: int) -> bytes:
    """Return an ONNX model that multiplies ``rows`` by the largest int8 weights, each (size, size)."""

    def table(name: str, kind: int) -> bytes:
        shape = b"".join(field(1, field(1, size)) for _ in range(2))
        return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))

    values = np.full((size, size), 127, np.int8).tobytes()
    weights = field(1, size) + field(1, size) + field(2, _INT8) + field(8, "weights") + field(9, values)
    graph = [
        field(_GRAPH_NODE, _node("MatMulInteger", [b"rows", b"weights"], b"sums")),
        field(_GRAPH_NAME, "largest products"),
        field(_GRAPH_CONSTANT, weights),
        field(_GRAPH_INPUT, table("rows", _UINT8)),
        field(_GRAPH_OUTPUT, table("sums", _INT32)),
    ]
    opset = field(_OPSET_VERSION, _OLDEST)
    return field(_MODEL_VERSION, 8) + field(_MODEL_GRAPH, b"".join(graph)) + field(_MODEL_OPSET, opset)
