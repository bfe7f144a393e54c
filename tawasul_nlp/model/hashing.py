"""Vectorised n-gram hashing, equal to scikit-learn's ``HashingVectorizer`` without importing it.

The hash is MurmurHash3 (x86, 32 bits, seed 0) of the n-gram's UTF-8, its magnitude modulo the table's size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np

_WORD = re.compile(r"\b\w+\b")
# Strings of at most this many bytes are hashed together; longer ones, which real cases lack, one by one.
_TOGETHER = 64
_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)


def char_ngrams(texts: Sequence[str], sizes: tuple[int, int], table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the character n-grams within the words of texts, each word between two spaces.

    Parameters
    ----------
    texts : sequence of str
    sizes : tuple of int
        Least and largest n.
    table : int
        Size of the hash table.

    Returns
    -------
    rows, hashes : ndarray of int64, shape (n_ngrams,)
        The text of each n-gram and its hash value; rows ascend.
    """
    number: dict[str, int] = {}
    words = [number.setdefault(word, len(number)) for text in texts for word in text.split()]
    per_text = np.array([len(text.split()) for text in texts], np.int64)
    if not words:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    padded = "".join(f" {word} " for word in number)
    data = np.frombuffer(padded.encode("utf-8"), np.uint8)
    starts = np.flatnonzero((data & 0xC0) != 0x80)  # the first byte of each character
    bounds = np.append(starts, len(data))
    lengths = np.array([len(word) + 2 for word in number], np.int64)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(starts))  # characters to the end of the word
    owner = np.repeat(np.arange(len(number)), lengths)
    at = [np.flatnonzero(left >= size) for size in range(sizes[0], sizes[1] + 1)]
    first = np.concatenate(at)
    last = np.concatenate([found + size for size, found in enumerate(at, sizes[0])])
    hashes = _hash_slices(data, bounds[first], bounds[last] - bounds[first], table)
    # N-grams of each word side by side, then each text's words one after another.
    order = np.argsort(owner[first], kind="stable")
    counts = np.bincount(owner[first], minlength=len(number))
    taken, lengths = _spread(np.cumsum(counts) - counts, counts, np.array(words, np.int64))
    rows = np.repeat(np.arange(len(texts)), per_text)
    return np.repeat(rows, lengths), hashes[order][taken]


def word_ngrams(texts: Sequence[str], table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the words and word bigrams of texts; see :func:`char_ngrams`."""
    number: dict[str, int] = {}
    ngrams: list[int] = []
    per_text = []
    for text in texts:
        words = _WORD.findall(text)
        before = len(ngrams)
        both = chain(words, (f"{left} {right}" for left, right in pairwise(words)))
        ngrams.extend(number.setdefault(ngram, len(number)) for ngram in both)
        per_text.append(len(ngrams) - before)
    encoded = [ngram.encode("utf-8") for ngram in number]
    lengths = np.array([len(item) for item in encoded], np.int64)
    hashes = _hash_slices(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths) - lengths, lengths, table)
    return np.repeat(np.arange(len(texts)), per_text), hashes[np.array(ngrams, np.int64)]


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


def _spread(first: np.ndarray, counts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in ``first[i] .. first[i] + counts[i]`` of each chosen i, and their number."""
    lengths = counts[chosen]
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(first[chosen], lengths) + offsets, lengths


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
