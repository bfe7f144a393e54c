"""Grouping in parts: the steps of :class:`~tawasul_nlp.duplicates.DuplicateGrouper` for distributed cases.

Parts are consecutive ranges of the cases; `starts` holds each part's first row number. Every function works on one part
and returns what other parts need of it; the caller (:mod:`tawasul_nlp.tables.ray`) exchanges that between parts.

The pairs are those of :mod:`~tawasul_nlp.duplicates.candidates`. Neighbours among many are searched in cells: a case
lies in the cell of its nearest centre and searches the cells of its nearest few (an inverted file, as in Jégou, Douze
and Schmid 2011), where it is compared with every case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tawasul_nlp.duplicates.candidates import (
    BANDS,
    COPY_BANDS,
    EXACT_BLOCK,
    band_bucket,
    bucket_pairs,
    copy_bucket,
    keyed_pairs,
    later,
    pair_keys,
    unique_keys,
)
from tawasul_nlp.duplicates.case_scores import CaseScores
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.groups import settled
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.verifier import Verifier
from tawasul_nlp.extras import require

CELL = 4_000  # cases per cell, on average
PROBES = 4
_SAMPLE = 32  # cases per centre that the centres are fitted on
_ROUNDS = 10
_SEED = 20261124


def dealt(to: np.ndarray, parts: int, *columns: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return for each part the rows that go `to` it, in order.

    >>> [[column.tolist() for column in piece] for piece in dealt(np.array([1, 0, 1]), 2, np.array([7, 8, 9]))]
    [[[8]], [[7, 9]]]
    """
    order = np.argsort(to, kind="stable")
    ends = np.searchsorted(to[order], np.arange(1, parts))
    return list(zip(*(np.split(column[order], ends) for column in columns), strict=True))


def split_bands(parts: int, features: CaseFeatures, start: int) -> list[tuple[np.ndarray, ...]]:
    """Return for each part the buckets that it compares, and the cases in them, ascending."""
    return _dealt_buckets(parts, [band_bucket(features, band) for band in range(BANDS)], start)


def split_copies(parts: int, features: CaseFeatures, start: int) -> list[tuple[np.ndarray, ...]]:
    """Return for each part the buckets in which it searches for copies, and the cases in them, ascending."""
    return _dealt_buckets(parts, [copy_bucket(features, band) for band in range(COPY_BANDS)], start)


def _dealt_buckets(parts: int, bands: Sequence[np.ndarray], start: int) -> list[tuple[np.ndarray, ...]]:
    rows = np.repeat(np.arange(start, start + len(bands[0])), len(bands))
    # A constant per band keeps bands from colliding.
    own = np.arange(len(bands), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    buckets = (np.stack(bands, axis=1) ^ own).ravel()
    return dealt((buckets % np.uint64(parts)).astype(np.int64), parts, buckets, rows)


def repeated_of(pieces: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    """Return the rows of a part's buckets that are copies of an earlier one, ascending."""
    buckets, rows = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return unique_keys(rows[later(buckets)])


def split_rows(parts: int, rows: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """Return for each part its rows among ascending ones."""
    return np.split(rows, np.searchsorted(rows, starts[1:]))


def near_copies_of(pieces: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
    """Return the pairs of a part's buckets, as numbers."""
    return unique_keys(
        bucket_pairs(np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces]))
    )


def sample_share(n: int) -> float:
    """Return the share of the cases that :func:`centres` needs."""
    return min(1.0, _SAMPLE / CELL) if n > CELL else 1.0


def sample(vectors: np.ndarray, start: int, share: float) -> np.ndarray:
    """Return a reproducible sample of a part's vectors."""
    return vectors[np.random.default_rng([_SEED, start]).random(len(vectors)) < share]


def centres(vectors: np.ndarray, cells: int) -> np.ndarray:
    """Return the centres of the cells: (cells, width), float32, of length 1."""
    require("ray", "cutting vectors into cells", "sklearn")
    from sklearn.cluster import KMeans

    cells = min(cells, len(vectors))
    found = KMeans(cells, init="random", n_init=1, max_iter=_ROUNDS, random_state=_SEED).fit(vectors.astype(np.float32))
    return np.asarray(
        found.cluster_centers_ / np.maximum(np.linalg.norm(found.cluster_centers_, axis=1, keepdims=True), 1e-9)
    )


def split_cells(
    parts: int, vectors: np.ndarray, start: int, middles: np.ndarray, copies: np.ndarray, probes: int = PROBES
) -> list[tuple[np.ndarray, ...]]:
    """Return for each part the cases that search its cells: cells, rows, whether they lie there, vectors.

    Rows that are `copies` of an earlier one search for others, but lie in no cell.
    """
    probes = min(probes, len(middles))
    cells = np.empty((len(vectors), probes), np.int64)
    home = np.empty(len(vectors), np.int64)
    for at in range(0, len(vectors), EXACT_BLOCK):
        similarity = vectors[at : at + EXACT_BLOCK].astype(np.float32) @ middles.T
        cells[at : at + EXACT_BLOCK] = np.argpartition(-similarity, probes - 1, axis=1)[:, :probes]
        home[at : at + EXACT_BLOCK] = similarity.argmax(1)
    home[copies - start] = -1
    rows = np.repeat(np.arange(len(vectors)), probes)
    there = cells.ravel()
    pieces = dealt(there % parts, parts, there, rows)
    return [(cell, start + row, cell == home[row], vectors[row]) for cell, row in pieces]


def nearest_in_cells(pieces: Sequence[tuple[np.ndarray, ...]], k: int) -> tuple[np.ndarray, ...]:
    """Return rows, neighbours and similarities: for each case the ``k`` nearest in each cell that it searches."""
    cells, rows, home, vectors = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.argsort(cells, kind="stable")
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for members in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1) if len(order) else ():
        lying = members[home[members]]
        if not len(lying):
            continue
        there = vectors[lying].astype(np.float32)
        for at in range(0, len(members), EXACT_BLOCK):
            seekers = members[at : at + EXACT_BLOCK]
            similarity = vectors[seekers].astype(np.float32) @ there.T
            similarity[rows[seekers][:, None] == rows[lying][None, :]] = -np.inf
            few = min(k, len(lying))
            near = np.argpartition(-similarity, few - 1, axis=1)[:, :few]
            values = np.take_along_axis(similarity, near, axis=1).ravel()
            real = np.isfinite(values)
            found.append((np.repeat(rows[seekers], few)[real], rows[lying][near.ravel()][real], values[real]))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


def split_nearest(parts: int, nearest: tuple[np.ndarray, ...], starts: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Return for each part the neighbours found for its cases."""
    return dealt(np.searchsorted(starts, nearest[0], side="right") - 1, parts, *nearest)


def neighbours_of(pieces: Sequence[tuple[np.ndarray, ...]], k: int) -> np.ndarray:
    """Return the pairs of a part's cases and their ``k`` nearest, as numbers."""
    rows, others, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((others, -values, rows))
    ordered = rows[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    kept = order[rank < k]
    return unique_keys(pair_keys(rows[kept], others[kept]))


def split_pairs(parts: int, keys: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """Return for each part the pairs whose first case lies there."""
    keys = unique_keys(keys)
    return np.split(keys, np.searchsorted(keys, starts[1:].astype(np.uint64) << np.uint64(32)))


def merged(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Return a part's unique pairs or rows, sorted."""
    return unique_keys(np.concatenate(pieces))


def split_wanted(parts: int, keys: np.ndarray, starts: np.ndarray) -> list[np.ndarray]:
    """Return for each part the rows there that a part's pairs have as their second case."""
    return split_rows(parts, unique_keys(keyed_pairs(keys)[:, 1]), starts)


Rows = tuple[np.ndarray, CaseFeatures]


def split_features(parts: int, features: CaseFeatures, start: int, wanted: Sequence[np.ndarray]) -> list[Rows]:
    """Return for each part the features of the rows that it needs from this one."""
    return [(rows, features.take(rows - start)) for rows in wanted]


def scored(
    pieces: Sequence[Rows], keys: np.ndarray, features: CaseFeatures, start: int, scorer: PairScorer, least: float
) -> Edges:
    """Score a part's pairs, with the features of their second cases from all parts; keep those from ``least`` on."""
    others = np.concatenate([rows for rows, _ in pieces])
    table = CaseFeatures.joined([features, *(found for _, found in pieces)])
    first, second = keyed_pairs(keys).T
    scores = scorer.score(table, first - start, len(features) + np.searchsorted(others, second))
    return Edges(first, second, scores).above(least)


# Rows, their features and their texts.
Worded = tuple[np.ndarray, CaseFeatures, list[str]]


def split_worded(
    parts: int, features: CaseFeatures, texts: Sequence[str], start: int, wanted: Sequence[np.ndarray]
) -> list[Worded]:
    """Return for each part the features and texts of the rows that it needs from this one."""
    return [(rows, features.take(rows - start), _texts_of(texts, rows - start)) for rows in wanted]


def read_together(
    pieces: Sequence[Worded],
    edges: Edges,
    features: CaseFeatures,
    texts: Sequence[str],
    start: int,
    load: Callable[[], Verifier],
) -> tuple[np.ndarray, np.ndarray]:
    """Read a part's unsure pairs, with their second cases from all parts: scores and log-odds of the reading."""
    if not len(edges.first):
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    others = np.concatenate([rows for rows, *_ in pieces])
    table = CaseFeatures.joined([features, *(found for _, found, _ in pieces)])
    worded = [*texts, *(text for *_, piece in pieces for text in piece)]
    first, second = edges.first - start, len(features) + np.searchsorted(others, edges.second)
    verifier = load()
    logits = verifier.read([(worded[a], worded[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)])
    return verifier.scores(table, first, second, edges.scores, logits), logits


def _texts_of(texts: Sequence[str], rows: np.ndarray) -> list[str]:
    return [texts[row] for row in rows.tolist()] if len(texts) else []


def components(n: int, matching: Edges) -> np.ndarray:
    """Return the connected component of each case by matching pairs; -1 if it has none."""
    if not n:
        return np.zeros(0, np.int64)
    require("ray", "finding the components of pairs", "scipy")
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(matching.first), np.int8), (matching.first, matching.second)), shape=(n, n))
    _, number = connected_components(graph, directed=False)
    return np.where(np.bincount(number)[number] > 1, number, -1)


def split_components(
    parts: int, features: CaseFeatures, texts: Sequence[str], start: int, component: np.ndarray
) -> list[Worded]:
    """Return for each part the cases of the components that it groups; components are assigned in turn."""
    member = np.flatnonzero(component >= 0)
    return [
        (start + at, features.take(at), _texts_of(texts, at))
        for (at,) in dealt(component[member] % parts, parts, member)
    ]


def edges_by_part(parts: int, edges: Edges, component: np.ndarray) -> list[Edges]:
    """Return for each part the pairs within the components that it groups."""
    of = component[edges.first]
    inside = np.flatnonzero((of >= 0) & (of == component[edges.second]))
    features = (edges.first[inside], edges.second[inside], edges.scores[inside])
    return [Edges(*piece) for piece in dealt(of[inside] % parts, parts, *features)]


def grouped(
    pieces: Sequence[Worded],
    edges: Edges,
    read: Edges,
    scorer: PairScorer,
    threshold: float,
    load: Callable[[], Verifier] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Group a part's components: rows, their representatives and scores, and how many pairs were read meanwhile.

    ``read`` are the pairs that were read before, with the log-odds in place of scores. Without ``load`` none is read.
    """
    rows = np.concatenate([found for found, *_ in pieces])
    if not len(rows):
        return rows, rows, np.zeros(0, np.float32), 0
    features = CaseFeatures.joined([found for _, found, _ in pieces])
    texts = [text for *_, piece in pieces for text in piece]
    first, second = np.searchsorted(rows, edges.first), np.searchsorted(rows, edges.second)
    scores = CaseScores(features, scorer, None if load is None else load(), texts)
    keys = pair_keys(np.searchsorted(rows, read.first), np.searchsorted(rows, read.second))
    scores.readings = scores.readings.with_read(keys, read.scores, scores.readings.left)
    scores = scores.related()
    representative, score = settled(Edges(first, second, edges.scores), scores, threshold)
    return rows, rows[representative], score, len(scores.readings) - len(keys)
