"""Pairs of cases that may tell of one incident, found without comparing every case with every other.

Two nets: buckets of equal bands of MinHash signatures catch near-copies (locality-sensitive hashing), and nearest
neighbours catch other wordings. The vectors that are searched join the incident vector with a code of the place, so
that among a thousand power cuts the ones in the same block come first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.columns import Columns

# Below so many cases every vector is compared with every other: exact, and no slower (eval/duplicates.py --scale).
EXACT_BELOW = 12_000
NEIGHBOURS = 16
BANDS, ROWS = 32, 4
# In a larger bucket (one text sent by hundreds) a case is paired with the first and the next few, not with all.
_BUCKET = 6
PLACE_WEIGHT = 0.6
PLACE_SIZE = 32
_BLOCK = 1_024


def search_vectors(columns: Columns) -> np.ndarray:
    """Return the vectors whose cosine ranks candidates: incident vector beside place code, of length 1, float32."""
    joined = np.concatenate([columns.vectors, PLACE_WEIGHT * place_codes(columns)], axis=1)
    return np.asarray(joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-9), np.float32)


def place_codes(columns: Columns) -> np.ndarray:
    """Return a vector for each case's places: alike for the same place, about orthogonal for others, 0 for none."""
    total = np.zeros((len(columns), PLACE_SIZE), np.float32)
    for name, weight in (("blocks", 1.5), ("towns", 1.0), ("quarters", 1.0), ("landmarks", 1.0)):
        codes = getattr(columns, name)
        unique, where = np.unique(codes, return_inverse=True)
        table = np.stack(
            [_direction(int(value)) if value >= 0 else np.zeros(PLACE_SIZE, np.float32) for value in unique]
        )
        total += weight * table[where.reshape(codes.shape)].sum(1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0)


@lru_cache(maxsize=65_536)
def _direction(value: int) -> np.ndarray:
    vector = np.random.default_rng(value).standard_normal(PLACE_SIZE)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def near_copies(columns: Columns) -> np.ndarray:
    """Return pairs that share a band of their shingle signatures: (pairs, 2), the lower row first, sorted, unique."""
    n = len(columns)
    bands = columns.shingles[:, : BANDS * ROWS].reshape(n, BANDS, ROWS)
    found = []
    for band in range(BANDS):
        keys = np.ascontiguousarray(bands[:, band]).view(np.uint64).ravel()
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(n), 0))
        found.append(np.stack([order[starts], order], axis=1)[starts != np.arange(n)])
        for step in range(1, _BUCKET + 1):
            if step >= n:
                break
            at = np.flatnonzero(ordered[step:] == ordered[:-step])
            if not len(at):
                break
            found.append(np.stack([order[at], order[at + step]], axis=1))
    return unique_pairs(np.concatenate(found) if found else np.zeros((0, 2), np.int64))


def neighbours(vectors: np.ndarray, k: int = NEIGHBOURS, threads: int = 0) -> np.ndarray:
    """Return pairs of each case with its ``k`` nearest, by exact search for few cases and by HNSW for many."""
    n = len(vectors)
    k = min(k, n - 1)
    if k < 1:
        return np.zeros((0, 2), np.int64)
    if n <= EXACT_BELOW:
        near = np.concatenate([_nearest(vectors, start, k) for start in range(0, n, _BLOCK)])
        first = np.repeat(np.arange(n), k)
        second = near.ravel()
    else:
        index = new_index(vectors.shape[1])
        index.add(np.arange(n), vectors, threads=threads)
        matches = index.search(vectors, k + 1, threads=threads)
        first = np.repeat(np.arange(n), k + 1)
        second = matches.keys.astype(np.int64).ravel()
    return unique_pairs(np.stack([first, second], axis=1))


def new_index(width: int) -> Any:
    """Return an empty HNSW index for search vectors of ``width`` numbers."""
    from usearch.index import Index

    return Index(ndim=width, metric="cos", dtype="i8", connectivity=12, expansion_add=48, expansion_search=48)


def _nearest(vectors: np.ndarray, start: int, k: int) -> np.ndarray:
    similarity = vectors[start : start + _BLOCK] @ vectors.T
    rows = np.arange(len(similarity))
    similarity[rows, start + rows] = -np.inf
    return np.argpartition(-similarity, k - 1, axis=1)[:, :k]


def unique_pairs(pairs: np.ndarray) -> np.ndarray:
    """Return pairs with the lower row first, sorted, each once, without pairs of a row and itself."""
    low, high = pairs.min(1), pairs.max(1)
    keep = low != high
    keys = np.unique(low[keep].astype(np.uint64) << np.uint64(32) | high[keep].astype(np.uint64))
    return np.stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)


def candidate_pairs(columns: Columns) -> np.ndarray:
    """Return all pairs worth scoring: (pairs, 2) row numbers, the lower first."""
    if len(columns) < 2:
        return np.zeros((0, 2), np.int64)
    return unique_pairs(np.concatenate([near_copies(columns), neighbours(search_vectors(columns))]))
