"""A look into an ONNX file before anything loads it: does it ask for tensors from other files?

ONNX lets a tensor live outside the graph, under a path that the graph's author chose. A model folder's graph has all
its tensors inside, so one that points elsewhere is refused. Readers of protocol buffers differ in what they make of a
file that no writer would write, so only plain ones are read: what is refused here cannot mean something else there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tawasul_nlp.errors import ModelFormatError

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
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def checked_graph(path: Path) -> bytes:
    """Read an ONNX file, and refuse one with a tensor that lies in another file.

    Raises
    ------
    ModelFormatError
        If there is one, or the file is no ONNX graph.
    """
    data = path.read_bytes()
    if not data:
        raise ModelFormatError(f"{path}: empty; restore it from the model's release")
    try:
        external = _points_outside(data, 0, len(data), "model", 0)
    except (ValueError, IndexError) as error:
        raise ModelFormatError(f"{path}: no ONNX graph ({error}); restore it from the model's release") from error
    if external:
        raise ModelFormatError(f"{path}: has tensors in other files; save the graph with all its tensors inside")
    return data


def _points_outside(data: bytes, start: int, end: int, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    inner = _MESSAGES[message]
    for number, kind, at, stop in _fields(data, start, end):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and data[at:stop] != _DEFAULT_LOCATION):
                return True
        elif number in inner:
            if kind != _BYTES:
                raise ValueError(f"field {number} of a {message} has the wire type {kind}")
            if _points_outside(data, at, stop, inner[number], depth + 1):
                return True
    return False


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number, wire type, start and end of each field of a protocol buffer message."""
    at = start
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0 or key >= 1 << 32:
            raise ValueError(f"field number {number}")
        if kind == _VARINT:
            stop = _varint(data, at)[1]
        elif kind == _FIXED64:
            stop = at + 8
        elif kind == _BYTES:
            length, at = _varint(data, at)
            stop = at + length
        elif kind == _FIXED32:
            stop = at + 4
        else:
            raise ValueError(f"field of the unknown wire type {kind}")
        if stop > end:
            raise ValueError("cut short")
        yield number, kind, at, stop
        at = stop


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64 or (byte == 0 and shift):
                raise ValueError("number written longer than it is")
            return value, at
    raise ValueError("endless number")
