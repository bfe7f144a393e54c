"""Pairs of cases that may report one incident, found without comparing every case with every other.

Two methods: buckets of equal bands of MinHash signatures catch near-copies (locality-sensitive hashing), and nearest
neighbours catch other wordings. The search vectors join the incident vector with a code of the place, so among a
thousand power cuts those in the same block come first. Of near-copies at one place only the first can be found as a
neighbour, or a letter that forty people sent would fill all forty neighbours of a case and hide its other reports; the
copies still search for neighbours, and their buckets join them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from tawasul_nlp._system import cores
from tawasul_nlp.duplicates.features import CaseFeatures, place_keys, row_hashes

# Below this many cases every vector is compared with every other: exact, and no slower.
EXACT_BELOW = 12_000
NEIGHBOURS = 12
# When pairs are verified, it pays to look further: of the pairs of one incident among the 5,758 texts that the scorer
# is fitted on, 2.2% are beyond 12 neighbours and 1.0% beyond 24.
NEIGHBOURS_TO_VERIFY = 24
# Texts that share 60% of their shingles meet in a bucket with probability 0.63, those that share 75% with 0.98.
BANDS, ROWS = 21, 6
# Texts of one place that share 95% of their shingles count as copies with probability 0.99, those that share 90% with
# 0.8, and those that share 70% with 0.03.
COPY_BANDS, COPY_ROWS = 8, 16
# In a larger bucket (one text sent by hundreds) a case is paired only with the first and the next few.
_BUCKET = 4
PLACE_WEIGHT = 0.6
PLACE_SIZE = 32
_PLACES = (("blocks", 1.5), ("towns", 1.0), ("quarters", 1.0), ("landmarks", 1.0))
_EXACT_BLOCK = 1_024
_BLOCK = 65_536
_MERGE = 16_000_000


def candidate_pairs(features: CaseFeatures, k: int = NEIGHBOURS) -> np.ndarray:
    """Return all pairs worth scoring: (pairs, 2) row numbers, int64, the lower first, sorted, each once.

    Parameters
    ----------
    features : CaseFeatures
    k : int
        The neighbours of each case.
    """
    if len(features) < 2:
        return np.zeros((0, 2), np.int64)
    near = neighbours(search_vectors(features, np.float16), k, np.flatnonzero(~repeated(features)))
    return keyed_pairs(unique_keys(np.concatenate([near_copies(features), near])))


def search_vectors(features: CaseFeatures, kind: type = np.float32) -> np.ndarray:
    """Return the vectors whose cosine ranks candidates: incident vector and place code, of length 1."""
    n, width = features.vectors.shape
    vectors = np.empty((n, width + PLACE_SIZE), kind)
    for start in range(0, n, _BLOCK):
        part = features.take(slice(start, start + _BLOCK))
        joined = np.concatenate([part.vectors, PLACE_WEIGHT * place_codes(part)], axis=1)
        vectors[start : start + _BLOCK] = joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-9)
    return vectors


def place_codes(features: CaseFeatures) -> np.ndarray:
    """Return a vector for each case's places: equal for the same place, about orthogonal for others, 0 for none."""
    total = np.zeros((len(features), PLACE_SIZE), np.float32)
    for name, weight in _PLACES:
        codes = getattr(features, name)
        unique, where = np.unique(codes, return_inverse=True)
        nothing = np.zeros(PLACE_SIZE, np.float32)
        table = np.stack([_direction(int(value)) if value >= 0 else nothing for value in unique])
        total += weight * table[where.reshape(codes.shape)].sum(1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0)


@lru_cache(maxsize=65_536)
def _direction(value: int) -> np.ndarray:
    vector = np.random.default_rng(value).standard_normal(PLACE_SIZE)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def new_index(width: int) -> Any:
    """Return an empty HNSW index for search vectors of ``width`` numbers."""
    from usearch.index import Index

    return Index(ndim=width, metric="cos", dtype="i8", connectivity=12, expansion_add=32, expansion_search=20)


def unique_pairs(pairs: np.ndarray) -> np.ndarray:
    """Return pairs with the lower row first, sorted, each once, without pairs of a row and itself."""
    return keyed_pairs(unique_keys(pair_keys(pairs[:, 0], pairs[:, 1])))


# Each pair is one number: half the memory of two, and sorted in one step.


def pair_keys(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return a number for each pair of different rows, in either order: uint64, sorting by the lower row."""
    low, high = np.minimum(first, second).astype(np.uint64), np.maximum(first, second).astype(np.uint64)
    keep = low != high
    return np.asarray(low[keep] << np.uint64(32) | high[keep])


def unique_keys(keys: np.ndarray) -> np.ndarray:
    """Return the unique keys, ascending; where most differ, numpy's hash-based ``unique`` takes ten times as long.

    >>> unique_keys(np.array([3, 1, 3], np.uint64)).tolist()
    [1, 3]
    """
    ordered = np.sort(keys)
    return np.concatenate([ordered[:1], ordered[1:][ordered[1:] != ordered[:-1]]])


def keyed_pairs(keys: np.ndarray) -> np.ndarray:
    """Return the pairs of :func:`pair_keys`: (pairs, 2), the lower row first, int64."""
    return np.stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)


def near_copies(features: CaseFeatures) -> np.ndarray:
    """Return the pairs that share a band of their shingle signatures, as :func:`pair_keys` does."""

    def pairs_of(band: int) -> np.ndarray:
        return _bucket_pairs(row_hashes(features.shingles[:, band * ROWS : (band + 1) * ROWS]))

    parts: list[np.ndarray] = []
    with ThreadPoolExecutor(cores()) as pool:
        for keys in pool.map(pairs_of, range(BANDS)):
            parts.append(keys)
            # Bands find the same pairs many times, so they are merged before they fill the memory.
            if sum(map(len, parts)) > _MERGE:
                parts = [unique_keys(np.concatenate(parts))]
    return unique_keys(np.concatenate(parts))


def _bucket_pairs(buckets: np.ndarray) -> np.ndarray:
    """Return the pairs of cases that share a bucket, by the bucket of each case; only some of a large bucket."""
    n = len(buckets)
    rows = np.argsort(buckets, kind="stable")
    ordered = buckets[rows]
    starts = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(n), 0))
    keys = [pair_keys(rows[starts], rows)]
    for step in range(1, min(_BUCKET + 1, n)):
        same = np.flatnonzero(ordered[step:] == ordered[:-step])
        keys.append(pair_keys(rows[same], rows[same + step]))
    return np.concatenate(keys)


def repeated(features: CaseFeatures) -> np.ndarray:
    """Return which cases are near-copies of an earlier one at the same place: (n,), bool."""
    repeats = np.zeros(len(features), np.bool_)
    places = place_keys(features)
    for band in range(COPY_BANDS):
        buckets = row_hashes(features.shingles[:, band * COPY_ROWS : (band + 1) * COPY_ROWS]) ^ places
        later = np.ones(len(features), np.bool_)
        later[np.unique(buckets, return_index=True)[1]] = False
        repeats |= later
    return repeats


def neighbours(vectors: np.ndarray, k: int, sought: np.ndarray) -> np.ndarray:
    """Return the pairs of each case and its ``k`` nearest among ``sought`` (row numbers, ascending), as pair_keys.

    The search is exact for few cases, and by HNSW for many.
    """
    n = len(vectors)
    parts = []
    if n <= EXACT_BELOW:
        exact = vectors.astype(np.float32)
        parts = [_exact_neighbours(exact, start, k, sought) for start in range(0, n, _EXACT_BLOCK)]
    else:
        index = new_index(vectors.shape[1])
        index.add(sought, vectors[sought])
        most = min(k + 1, len(sought))
        for start in range(0, n, _BLOCK):
            near = index.search(vectors[start : start + _BLOCK], most).keys.astype(np.int64)
            parts.append(pair_keys(np.repeat(np.arange(start, start + len(near)), most), near.ravel()))
    return unique_keys(np.concatenate(parts))


def _exact_neighbours(vectors: np.ndarray, start: int, k: int, sought: np.ndarray) -> np.ndarray:
    similarity = vectors[start : start + _EXACT_BLOCK] @ vectors[sought].T
    rows = start + np.arange(len(similarity))
    similarity[rows[:, None] == sought[None, :]] = -np.inf
    k = min(k, len(sought))
    near = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
    return pair_keys(np.repeat(rows, k), sought[near.ravel()])
