"""The part of the protocol buffers wire format that ONNX files need, field by field.

Source: the encoding reference of protocol buffers (a field is a key, number and wire type, and a value).
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


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
    at = start
    end = len(data) if end is None else end
    while at < end:
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0 or key >= 1 << 32:
            raise ValueError(f"field number {number}")
        if kind == VARINT:
            stop = _read_varint(data, at)[1]
        elif kind == FIXED64:
            stop = at + 8
        elif kind == BYTES:
            length, at = _read_varint(data, at)
            stop = at + length
        elif kind == FIXED32:
            stop = at + 4
        else:
            raise ValueError(f"field of unknown wire type {kind}")
        if stop > end:
            raise ValueError("cut short")
        yield number, kind, at, stop
        at = stop


def integer(data: bytes, at: int) -> int:
    """Return the signed 64-bit integer at an offset.

    Examples
    --------
    >>> integer(field(3, -1), 1)
    -1
    """
    value = _read_varint(data, at)[0]
    return value - (1 << 64) if value >> 63 else value


def field(number: int, value: bytes | str | int) -> bytes:
    """Encode one field: an integer as a number, text and bytes with their length.

    Examples
    --------
    >>> field(4, "Exp")
    b'"\\x03Exp'
    """
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value % (1 << 64))
    raw = value.encode() if isinstance(value, str) else value
    return opening(number, len(raw)) + raw


def opening(number: int, size: int) -> bytes:
    """Return the key and length of a field of ``size`` bytes."""
    return _varint(number << 3 | BYTES) + _varint(size)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64 or (byte == 0 and shift):
                raise ValueError("overlong number")
            return value, at
    raise ValueError("endless number")
