"""Check an ONNX file for tensors in other files before anything loads it.

ONNX allows a tensor outside the graph, under a path that the graph's author chose. A model folder's graph has all its
tensors inside, so one that points elsewhere is refused. Protocol buffer parsers differ on malformed files, so only
canonical ones are accepted: no other parser can read them differently.
"""

from __future__ import annotations

from pathlib import Path

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.protobuf import BYTES, fields

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


def checked_graph(path: Path) -> bytes:
    """Read an ONNX file, and refuse one with a tensor in another file.

    Raises
    ------
    ModelFormatError
        If there is one, or the file is not an ONNX graph.
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
    for number, kind, at, stop in fields(data, start, end):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and data[at:stop] != _DEFAULT_LOCATION):
                return True
        elif number in inner:
            if kind != BYTES:
                raise ValueError(f"field {number} of a {message} has the wire type {kind}")
            if _points_outside(data, at, stop, inner[number], depth + 1):
                return True
    return False
