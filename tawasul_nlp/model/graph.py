"""ONNX files: their check before one is loaded, and their rewriting so that every processor computes the same numbers.

ONNX allows a tensor outside the graph, under a path that the graph's author chose. A model folder's graph has all its
tensors inside, so one that points elsewhere is refused. Protocol buffer parsers differ on malformed files, so only
canonical ones are accepted: no other parser can read them differently.

``Softmax`` sums as many exponentials at once as fit a register, so the last bit of a sum depends on the processor, and
rounding to 8 bits turns that bit into a tenth of a logit. So each one is replaced with the steps that define it. Their
sum is in float64: in float32 it would depend on how far a batch is padded. Products of 8-bit numbers may overflow
(``onnx_runtime.products_overflow``); the other kernels give the same bits on all processors with AVX2 and FMA
(``python -m eval.speed.processors``).

Source: the encoding reference of protocol buffers (a field is a key, number and wire type, and a value).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tawasul_nlp.errors import ModelFormatError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Which fields of each message hold messages that can hold a tensor: onnx.proto3 of ONNX, by field number.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEFAULT_LOCATION = b"\0"
_MAX_DEPTH = 32
# Field numbers and element types of onnx.proto3.
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE = 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_INTS, _ATTRIBUTE_TYPE = 1, 3, 8, 20
_INT, _INTS = 2, 7
_DOUBLE = 11
# CastLike needs operator set 15; from 18 on ReduceMax takes its axis as an input.
_OLDEST, _AXIS_AS_INPUT = 15, 18


def checked_graph(path: Path) -> bytes:
    """Read an ONNX file, and refuse one with a tensor in another file.

    Raises ModelFormatError if there is one, or the file is not an ONNX graph.
    """
    data = path.read_bytes()
    if not data:
        raise ModelFormatError(f"{path}: empty; restore it from the model's release")
    try:
        external = _points_outside(data, 0, len(data), "model", 0)
    except (ValueError, IndexError) as error:
        raise ModelFormatError(f"{path}: not an ONNX graph ({error}); restore it from the model's release") from error
    if external:
        raise ModelFormatError(f"{path}: has tensors in other files; save the graph with all its tensors inside")
    return data


def _points_outside(data: bytes, start: int, end: int, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    inner = _MESSAGES[message]
    for number, kind, begin, stop in fields(data, start, end):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and data[begin:stop] != _DEFAULT_LOCATION):
                return True
        elif number in inner:
            if kind != _BYTES:
                raise ValueError(f"field {number} of a {message} has the wire type {kind}")
            if _points_outside(data, begin, stop, inner[number], depth + 1):
                return True
    return False


def with_portable_softmax(model: bytes) -> bytes:
    """Replace each ``Softmax`` of an ONNX model with the steps that define it.

    Nested nodes (of loops and branches) are unchanged, and so is a model of an operator set before 15.

    Parameters
    ----------
    model : bytes
        A valid ONNX file (:func:`checked_graph`).
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
    for number, _, start, end in fields(model):
        if number == _MODEL_OPSET:
            values = {inner: value for inner, _, value, stop in fields(model, start, end) if stop > value}
            if _OPSET_DOMAIN not in values and _OPSET_VERSION in values:
                return integer(model, values[_OPSET_VERSION])
    return 0


def _graph(model: bytes, start: int, end: int, opset: int) -> Iterator[bytes | memoryview]:
    begin = start
    for number, _, value, stop in fields(model, start, end):
        steps = _softmax_steps(model, value, stop, opset) if number == _GRAPH_NODE else None
        if steps is None:
            yield memoryview(model)[begin:stop]
        else:
            yield from (field(_GRAPH_NODE, step) for step in steps)
        begin = stop


def _softmax_steps(model: bytes, start: int, end: int, opset: int) -> list[bytes] | None:
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
    place = _ATTRIBUTE_INT if kind == _INT else _ATTRIBUTE_INTS
    return field(_ATTRIBUTE_NAME, name) + field(place, value) + field(_ATTRIBUTE_TYPE, kind)


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number, wire type, and start and end of the value of each field of a message.

    Raises ValueError if the bytes are not a message, or contain overlong numbers, which parsers interpret differently.
    Raises IndexError if the bytes end within a number.
    """
    offset = start
    end = len(data) if end is None else end
    while offset < end:
        key, offset = _read_varint(data, offset)
        number, kind = key >> 3, key & 7
        if number == 0 or key >= 1 << 32:
            raise ValueError(f"field number {number}")
        if kind == _VARINT:
            stop = _read_varint(data, offset)[1]
        elif kind == _FIXED64:
            stop = offset + 8
        elif kind == _BYTES:
            length, offset = _read_varint(data, offset)
            stop = offset + length
        elif kind == _FIXED32:
            stop = offset + 4
        else:
            raise ValueError(f"field of unknown wire type {kind}")
        if stop > end:
            raise ValueError("cut short")
        yield number, kind, offset, stop
        offset = stop


def integer(data: bytes, offset: int) -> int:
    """Return the signed 64-bit integer at an offset."""
    value = _read_varint(data, offset)[0]
    return value - (1 << 64) if value >> 63 else value


def field(number: int, value: bytes | str | int) -> bytes:
    """Encode one field: an integer as a number, text and bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value % (1 << 64))
    raw = value.encode() if isinstance(value, str) else value
    return opening(number, len(raw)) + raw


def opening(number: int, size: int) -> bytes:
    """Return the key and length of a field of ``size`` bytes."""
    return _varint(number << 3 | _BYTES) + _varint(size)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64 or (byte == 0 and shift):
                raise ValueError("overlong number")
            return value, offset
    raise ValueError("endless number")
