"""Read a write-ahead log of SQLite without SQLite, which would change the files being checked.

The format is SQLite's own (sqlite.org/fileformat2.html, section 4): a header, then frames of one page each. A frame is
valid if it has the header's salt and the right running checksum; pages are committed up to the last frame that ends a
transaction.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np

HEADER = 32
FRAME_HEADER = 24
_MAGIC = 0x377F0682  # the lowest bit is the byte order of the checksums' words
_AT_ONCE = 1_024


@dataclass(frozen=True, slots=True)
class Log:
    """The committed pages of a log.

    Attributes
    ----------
    salt : bytes
        Eight bytes that differ in every log; empty if there is none.
    frames : int
        The number of committed frames.
    transactions : int
        The number of their transactions.
    pages : dict
        The checksum (CRC-32) of each page's final content, by page number.
    """

    salt: bytes = b""
    frames: int = 0
    transactions: int = 0
    pages: dict[int, int] = field(default_factory=dict)


def read_log(path: Path, page_bytes: int) -> Log:
    """Return a log's content; empty if it is missing, truncated in its header, or of another page size."""
    pages: dict[int, int] = {}
    waiting: dict[int, int] = {}
    frames = seen = transactions = 0
    if not path.is_file():
        return Log()
    with path.open("rb") as file:
        header = file.read(HEADER)
        if len(header) < HEADER:
            return Log()
        magic, _, size, _ = struct.unpack_from(">4I", header)
        words = ">u4" if magic & 1 else "<u4"
        if magic & ~1 != _MAGIC or size != page_bytes:
            return Log()
        state = _step((0, 0), 3, _sums(np.frombuffer(header[:FRAME_HEADER], words).reshape(1, -1))[0])
        if state != struct.unpack_from(">2I", header, FRAME_HEADER):
            return Log()
        salt = header[16:24]
        while data := file.read((FRAME_HEADER + page_bytes) * _AT_ONCE):
            table = np.frombuffer(data, np.uint8)
            table = table[: len(table) // (FRAME_HEADER + page_bytes) * (FRAME_HEADER + page_bytes)]
            table = table.reshape(-1, FRAME_HEADER + page_bytes)
            summed = np.concatenate([table[:, :8], table[:, FRAME_HEADER:]], axis=1).view(words)
            for row, sums in zip(table, _sums(summed), strict=True):
                number, ends, frame_salt, first, second = struct.unpack_from(">2I8s2I", row.data)
                state = _step(state, summed.shape[1] // 2, sums)
                if frame_salt != salt or state != (first, second) or not number:
                    return Log(salt, frames, transactions, pages)
                waiting[number] = crc32(row[FRAME_HEADER:].data)
                seen += 1
                if ends:
                    pages |= waiting
                    waiting = {}
                    frames, transactions = seen, transactions + 1
    return Log(salt, frames, transactions, pages)


# SQLite's checksum adds each pair of words x, y: s0 += x + s1, then s1 += y + s0. That is linear, so a frame's
# contribution is one product with powers of the step's matrix, for many frames at once; a loop would take hours.


def _sums(words: np.ndarray) -> np.ndarray:
    """Return what each row of words adds to a running checksum: (rows, 2), uint32."""
    first = words[:, 0::2].astype(np.uint32)
    both = first + words[:, 1::2].astype(np.uint32)
    powers = _powers(first.shape[1])[-2::-1]
    return np.stack([first @ powers[:, 0, at] + both @ powers[:, 1, at] for at in (0, 1)], axis=1)


def _step(state: tuple[int, int], pairs: int, added: np.ndarray) -> tuple[int, int]:
    (a, b), (c, d) = _powers(pairs)[-1].tolist()
    first, second = state
    mask = 0xFFFFFFFF
    return (a * first + b * second + int(added[0])) & mask, (c * first + d * second + int(added[1])) & mask


@lru_cache(maxsize=4)
def _powers(pairs: int) -> np.ndarray:
    """Return the powers 0 to ``pairs`` of the step's matrix, which is symmetric: (pairs + 1, 2, 2), uint32."""
    found = [np.eye(2, dtype=np.uint32)]
    step = np.array([[1, 1], [1, 2]], np.uint32)
    for _ in range(pairs):
        found.append(found[-1] @ step)
    return np.stack(found)
