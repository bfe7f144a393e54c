"""A look into an ONNX file before anything loads it: does it ask for tensors from other files?

ONNX lets a tensor live outside the graph, under a path that the graph's author chose. A model folder's graph has all
its tensors inside, so one that points elsewhere is refused.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tawasul_nlp.errors import ModelFormatError

# Which fields of each message hold messages that can hold a tensor: onnx.proto3 of ONNX, by field number.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_MAX_DEPTH = 32


def refuse_external_data(path: Path) -> None:
    """Refuse an ONNX file with a tensor that lies in another file.

    Raises
    ------
    ModelFormatError
        If there is one, or the file is no ONNX graph.
    """
    if path.stat().st_size == 0:
        raise ModelFormatError(f"{path}: empty; restore it from the model's release")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # The place of a tensor is named under the key "location": where that word is not, nothing lies outside.
        if data.find(b"location") < 0:
            return
        try:
            external = _points_outside(data, 0, len(data), "model", 0)
        except (ValueError, IndexError) as error:
            raise ModelFormatError(f"{path}: no ONNX graph ({error}); restore it from the model's release") from error
    if external:
        raise ModelFormatError(f"{path}: has tensors in other files; save the graph with all its tensors inside")


def _points_outside(data: Any, start: int, end: int, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    for number, at, stop in _fields(data, start, end):
        if message == "tensor":
            if number in (_EXTERNAL_DATA, _DATA_LOCATION):
                return True
        elif number in _MESSAGES[message] and _points_outside(data, at, stop, _MESSAGES[message][number], depth + 1):
            return True
    return False


def _fields(data: Any, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and end of each field of a protocol buffer message."""
    at = start
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            stop = _varint(data, at)[1]
        elif kind == 1:
            stop = at + 8
        elif kind == 2:
            length, at = _varint(data, at)
            stop = at + length
        elif kind == 5:
            stop = at + 4
        else:
            raise ValueError(f"field of the unknown wire type {kind}")
        if stop > end:
            raise ValueError("cut short")
        yield number, at, stop
        at = stop


def _varint(data: Any, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("endless number")
