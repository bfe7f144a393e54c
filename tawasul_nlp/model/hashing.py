"""Vectorised n-gram hashing, equal to scikit-learn's ``HashingVectorizer`` without importing it.

The hash is MurmurHash3 (x86, 32 bits, seed 0) of the n-gram's UTF-8, its magnitude modulo the table's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

# Strings of at most this many bytes are hashed together; longer ones, which real cases lack, one by one.
_TOGETHER = 64
_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
_SPACE = 0x20


@dataclass(frozen=True, slots=True, eq=False)
class JoinedWords:
    """The words of texts in one buffer, each between two spaces: every n-gram is a slice of it.

    Attributes
    ----------
    data : ndarray of uint8
        UTF-8.
    rows : ndarray of int64, shape (n_words,)
        The text of each word, ascending.
    """

    data: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> JoinedWords:
        """Split texts at white space."""
        words = [text.split() for text in texts]
        joined = " ".join(["", *chain.from_iterable(words), ""])
        rows = np.repeat(np.arange(len(texts)), [len(found) for found in words])
        return cls(np.frombuffer(joined.encode("utf-8"), np.uint8), rows)


def char_ngrams(words: JoinedWords, sizes: tuple[int, int], table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the character n-grams of words, which include the space before and after a word.

    Parameters
    ----------
    words : JoinedWords
    sizes : tuple of int
        Least and largest n.
    table : int
        Size of the hash table.

    Returns
    -------
    rows, hashes : ndarray of int64, shape (n_ngrams,)
        The text of each n-gram and its hash value.
    """
    data = words.data
    starts = np.flatnonzero((data & 0xC0) != 0x80)  # the first byte of each character
    bounds = np.append(starts, len(data))
    spaces = np.flatnonzero(data[starts] == _SPACE)
    lengths = np.diff(spaces)  # of each word with the space before it
    left = np.repeat(spaces[1:], lengths) - np.arange(lengths.sum()) + 1  # characters to the space after the word
    at = [np.flatnonzero(left >= size) for size in range(sizes[0], sizes[1] + 1)]
    first = np.concatenate(at)
    last = np.concatenate([found + size for size, found in enumerate(at, sizes[0])])
    rows = np.repeat(words.rows, lengths)[first]
    return rows, _hash_slices(data, bounds[first], bounds[last] - bounds[first], table)


def word_ngrams(words: JoinedWords, table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash words and pairs of neighbouring words of one text; see :func:`char_ngrams`."""
    spaces = np.flatnonzero(words.data == _SPACE)
    begins, ends = spaces[:-1] + 1, spaces[1:]
    first = np.flatnonzero(words.rows[:-1] == words.rows[1:])
    starts = np.concatenate([begins, begins[first]])
    lengths = np.concatenate([ends, ends[first + 1]]) - starts
    return np.concatenate([words.rows, words.rows[first]]), _hash_slices(words.data, starts, lengths, table)


def murmur3(data: bytes) -> int:
    """Return the MurmurHash3 of ``data`` as a signed number: the reference for the vectorised form.

    Examples
    --------
    >>> murmur3(b""), murmur3("ماي".encode())
    (0, -439117261)
    """
    h, whole = 0, len(data) // 4 * 4
    for at in range(0, whole, 4):
        h ^= _mixed(int.from_bytes(data[at : at + 4], "little"))
        h = (((h << 13) | (h >> 19)) * 5 + 0xE6546B64) & 0xFFFFFFFF
    h ^= _mixed(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    h ^= h >> 16
    return h - 2**32 if h >= 2**31 else h


def _mixed(k: int) -> int:
    k = (k * int(_C1)) & 0xFFFFFFFF
    return (((k << 15) | (k >> 17)) * int(_C2)) & 0xFFFFFFFF


def _hash_slices(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, table: int) -> np.ndarray:
    """Hash the slices of ``data`` that begin at ``starts``."""
    hashes = np.empty(len(starts), np.int64)
    short = lengths <= _TOGETHER
    hashes[short] = _hash_short(data, starts[short], lengths[short])
    for at in np.flatnonzero(~short):
        hashes[at] = murmur3(data[starts[at] : starts[at] + lengths[at]].tobytes())
    return np.abs(hashes) % table


def _hash_short(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Compute :func:`murmur3` of all slices at once, four bytes per step."""
    padded = np.concatenate([data, np.zeros(_TOGETHER + 4, np.uint8)])
    # Four bytes from any offset, as one number.
    quads = padded[:-3].astype(np.uint32)
    for byte in (1, 2, 3):
        quads |= padded[byte : len(padded) - 3 + byte].astype(np.uint32) << np.uint32(8 * byte)
    whole = lengths // 4
    h = np.zeros(len(starts), np.uint32)
    for block in range(int(whole.max(initial=0))):
        on = np.flatnonzero(whole > block)
        mixed = h[on] ^ _mix(quads[starts[on] + 4 * block])
        h[on] = (mixed << np.uint32(13) | mixed >> np.uint32(19)) * np.uint32(5) + np.uint32(0xE6546B64)
    rest = (lengths % 4).astype(np.uint32)
    h ^= _mix(quads[starts + 4 * whole] & ((np.uint32(1) << (rest * np.uint32(8))) - np.uint32(1)))
    h ^= lengths.astype(np.uint32)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return (h ^ h >> np.uint32(16)).view(np.int32).astype(np.int64)


def _mix(k: np.ndarray) -> np.ndarray:
    k = k * _C1
    result: np.ndarray = (k << np.uint32(15) | k >> np.uint32(17)) * _C2
    return result
