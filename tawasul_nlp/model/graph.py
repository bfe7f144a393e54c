"""The part of the protocol buffers wire format that ONNX files need, and a check of such a file before it is loaded.

ONNX allows a tensor outside the graph, under a path that the graph's author chose. A model folder's graph has all its
tensors inside, so one that points elsewhere is refused. Protocol buffer parsers differ on malformed files, so only
canonical ones are accepted: no other parser can read them differently.

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


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number, wire type, and start and end of the value of each field of a message.

    Raises
    ------
    ValueError
        If the bytes are not a message, or contain overlong numbers, which parsers interpret differently.
    IndexError
        If the bytes end within a number.

    Examples
    --------
    >>> list(fields(field(1, 300) + field(4, b"Softmax")))
    [(1, 0, 1, 3), (4, 2, 5, 12)]
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
    """Return the signed 64-bit integer at an offset.

    Examples
    --------
    >>> integer(field(3, -1), 1)
    -1
    """
    value = _read_varint(data, offset)[0]
    return value - (1 << 64) if value >> 63 else value


def field(number: int, value: bytes | str | int) -> bytes:
    """Encode one field: an integer as a number, text and bytes with their length.

    Examples
    --------
    >>> field(4, "Exp")
    b'"\\x03Exp'
    """
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
