"""Group a Ray dataset: bands and cells as shuffles, pairs scored in workers, components joined in this process.

The steps are those of :mod:`tawasul_nlp.duplicates.parts`. This process holds the pairs that may match (20 bytes each)
and a few numbers a case, but no text and nothing that cases are compared by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
import ray.data

from tawasul_nlp._system import logger
from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates import DuplicateGrouper, parts
from tawasul_nlp.duplicates.candidates import (
    EXACT_BELOW,
    EXACT_BLOCK,
    NEIGHBOURS,
    NEIGHBOURS_TO_VERIFY,
    exact_neighbours,
    search_vectors,
)
from tawasul_nlp.duplicates.case_scores import to_read
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.features import CaseFeatures, case_features, pack, unpack
from tawasul_nlp.duplicates.groups import LEAST, numbered
from tawasul_nlp.duplicates.pair_scorer import PairScorer, Verification
from tawasul_nlp.duplicates.verifier import Verifier
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS, added_names, added_schema
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS
from tawasul_nlp.tables.ray.classification import bundled, by_workers, check_columns, chunk_of
from tawasul_nlp.tables.ray.exchange import exchange
from tawasul_nlp.tables.run.case_rows import CaseRows

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

MAX_PARTS = 256  # a shuffle has as many pieces as parts squared
_FEATURES, _VECTOR, _TEXT = "__features", "__vector", "__text"
_DECIMALS = 4


def group(
    dataset: Dataset,
    text_column: str,
    *,
    date_column: str | None = None,
    place_column: str | None = None,
    topic_column: str | None = None,
    embedding_column: str | None = None,
    grouper: DuplicateGrouper | Callable[[], DuplicateGrouper] | None = None,
    workers: int = 2,
    num_cpus: float = 1,
    num_gpus: float = 0,
    prefix: str | None = None,
    batch_size: int = CHUNK_ROWS,
    exact_below: int = EXACT_BELOW,
) -> Dataset:
    """Return the dataset with the columns added that :func:`~tawasul_nlp.tables.group_table` adds.

    Rows keep their order and all their columns. The groups are those of :class:`DuplicateGrouper` up to `exact_below`
    cases; beyond, both look for neighbours approximately, and each in its own way. A row without text, or whose text is
    not valid UTF-8, belongs to no group, and its added values are null.

    The dataset, with about 1.5 kilobytes a case beside it (and the texts, if pairs are verified), is held in Ray's
    object store, which spills to disk.

    Parameters
    ----------
    dataset : ray.data.Dataset
    text_column : str
    date_column, place_column, topic_column : str, optional
        As for :func:`~tawasul_nlp.tables.group_table`. A case whose date cannot be read is grouped without one.
    embedding_column : str, optional
        Incident vectors (lists of 128 numbers) that were computed before, so that the model reads no text.
    grouper : DuplicateGrouper or callable, optional
        Pickled and sent to each worker; a function is called there. That of the bundled model if None.
    workers, num_cpus, num_gpus, batch_size
        Of the reading, as for :func:`classify`; everything else is tasks with one CPU each.
    prefix : str, optional
        Of the added columns.
    exact_below : int
        Up to so many cases every vector is compared with every other.

    Returns
    -------
    ray.data.Dataset
        Computed: when this returns, the work is done.

    Raises
    ------
    TableError
        If a column is missing, that of the texts holds none, or an added one is there already.
    ValueError
        If the cluster has too little for so many workers.
    """
    wanted = {"id": None, "date": date_column, "place": place_column, "topic": topic_column}
    check_columns(dataset, text_column, *wanted.values(), embedding_column)
    schema = dataset.schema()
    names = added_names(schema.names if schema is not None else (), prefix, GROUP_COLUMNS)
    given = grouper or _Bundled(num_cpus, num_gpus)
    read = by_workers(
        dataset,
        _Read,
        (given, text_column, wanted, embedding_column),
        workers=workers,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        batch_size=batch_size,
    ).materialize()
    count = ray.remote(_count)
    found = read.to_arrow_refs()
    blocks = [
        block for block, rows in zip(found, ray.get([count.remote(block) for block in found]), strict=True) if rows
    ]
    if not blocks:
        return read
    ask = ray.remote(_rule).options(num_cpus=num_cpus, num_gpus=num_gpus)
    scorer, threshold, width, domain, rule = ray.get(ask.remote(given))
    least = LEAST if rule is None else min(LEAST, rule.low)
    load = None if rule is None else _LoadVerifier(given)
    resources = {} if rule is None else {"num_cpus": num_cpus, "num_gpus": num_gpus}

    apart = ray.remote(_apart).options(num_returns=4)
    tables, features, texts, told = zip(
        *(apart.remote(width, domain, *some) for some in _stretches(blocks, min(len(blocks), MAX_PARTS))), strict=True
    )
    marks = ray.get(list(told))
    ends = np.cumsum([mark.sum() for mark in marks])
    n, starts = int(ends[-1]), np.r_[0, ends[:-1]]
    nearest = NEIGHBOURS if rule is None else NEIGHBOURS_TO_VERIFY
    edges = _edges(features, starts, n, scorer, exact_below, least, nearest)
    readings = edges.above(np.inf)
    if rule is not None:
        edges, readings = _read(edges, (features, texts, starts), n, rule, load, resources)
    component = parts.components(n, edges.above(threshold))
    by_part = (parts.edges_by_part(len(starts), some, component) for some in (edges, readings))
    settled = exchange(
        parts.split_components,
        parts.grouped,
        [
            (held, worded, start, component[start:end])
            for held, worded, start, end in zip(features, texts, starts, ends, strict=True)
        ],
        [(*some, scorer, threshold, load) for some in zip(*by_part, strict=True)],
        **resources,
    )
    representative, score, pairs_read = np.arange(n), np.ones(n, np.float32), len(readings.first)
    for rows, representatives, scores, read_meanwhile in ray.get(settled):
        representative[rows], score[rows] = representatives, scores
        pairs_read += read_meanwhile
    if rule is not None:
        logger.info("%d pairs read together", pairs_read)
    labels, _, sizes = numbered(representative)
    values = (labels, sizes[labels], score, representative == np.arange(n))
    add = ray.remote(_with_groups)
    return ray.data.from_arrow_refs(
        [
            add.remote(table, mark, *(value[start:end] for value in values), names)
            for table, mark, start, end in zip(tables, marks, starts, ends, strict=True)
        ]
    )


def _edges(
    features: Sequence[Any],
    starts: np.ndarray,
    n: int,
    scorer: PairScorer,
    exact_below: int,
    least: float,
    nearest: int,
) -> Edges:
    """Return all pairs that score at least `least`, in the order of their cases; `features` are references."""
    count = len(starts)
    where = [(held, int(start)) for held, start in zip(features, starts, strict=True)]
    pairs = exchange(parts.split_bands, parts.near_copies_of, where, [()] * count)
    pairs += _neighbours(features, starts, n, exact_below, nearest)
    mine = exchange(parts.split_pairs, parts.merged, [(keys, starts) for keys in pairs], [()] * count)
    asked = exchange(parts.split_wanted, tuple, [(keys, starts) for keys in mine], [()] * count)
    scored = exchange(
        parts.split_features,
        parts.scored,
        [(*own, rows) for own, rows in zip(where, asked, strict=True)],
        [(keys, *own, scorer, least) for keys, own in zip(mine, where, strict=True)],
    )
    found = ray.get(scored)
    return Edges(*(np.concatenate([getattr(some, name) for some in found]) for name in ("first", "second", "scores")))


def _read(
    edges: Edges,
    cases: tuple[Sequence[Any], Sequence[Any], np.ndarray],
    n: int,
    rule: Verification,
    load: Callable[[], Verifier] | None,
    resources: Mapping[str, float],
) -> tuple[Edges, Edges]:
    """Return the pairs that may match after the unsure ones were read, and those with what the reading says.

    `cases` are the features, texts and first rows of the parts.
    """
    features, texts, starts = cases
    at = to_read(rule, n, edges.first, edges.second, edges.scores)
    unsure = Edges(edges.first[at], edges.second[at], edges.scores[at])
    cuts = np.searchsorted(unsure.first, starts[1:])
    columns = (np.split(column, cuts) for column in (unsure.first, unsure.second, unsure.scores))
    mine = [Edges(*piece) for piece in zip(*columns, strict=True)]
    where = [(held, worded, int(start)) for held, worded, start in zip(features, texts, starts, strict=True)]
    wanted = [parts.split_rows(len(starts), np.unique(own.second), starts) for own in mine]
    read = exchange(
        parts.split_worded,
        parts.read_together,
        [(*own, [rows[part] for rows in wanted]) for part, own in enumerate(where)],
        [(own, *place, load) for own, place in zip(mine, where, strict=True)],
        **resources,
    )
    scores, logits = (np.concatenate(column) for column in zip(*ray.get(read), strict=True))
    corrected = edges.scores.copy()
    corrected[at] = scores
    return Edges(edges.first, edges.second, corrected).above(LEAST), Edges(unsure.first, unsure.second, logits)


def _neighbours(features: Sequence[Any], starts: np.ndarray, n: int, exact_below: int, wanted: int) -> list[Any]:
    """Return references to pairs of cases with their nearest."""
    k = min(wanted, n - 1)
    if k < 1:
        return []
    search = ray.remote(_search_vectors)
    vectors = [search.remote(held) for held in features]
    count = len(starts)
    where = [(held, int(start)) for held, start in zip(features, starts, strict=True)]
    found = exchange(parts.split_copies, parts.repeated_of, where, [()] * count)
    copies = exchange(parts.split_rows, parts.merged, [(rows, starts) for rows in found], [()] * count)
    if n <= exact_below:
        together = ray.remote(_joined).remote(*vectors)
        sought = np.setdiff1d(np.arange(n), np.concatenate(ray.get(copies)), assume_unique=True)
        near = ray.remote(exact_neighbours)
        return [near.remote(together, start, k, sought) for start in range(0, n, EXACT_BLOCK)]
    some = ray.remote(parts.sample)
    samples = [
        some.remote(held, int(start), parts.sample_share(n)) for held, start in zip(vectors, starts, strict=True)
    ]
    middles = ray.remote(_centres).remote(-(-n // parts.CELL), *samples)
    nearest = exchange(
        parts.split_cells,
        parts.nearest_in_cells,
        [(held, int(start), middles, rows) for held, start, rows in zip(vectors, starts, copies, strict=True)],
        [(k,)] * count,
    )
    return exchange(parts.split_nearest, parts.neighbours_of, [(some, starts) for some in nearest], [(k,)] * count)


class _Bundled:
    """Loads the grouper of the bundled model for a worker."""

    def __init__(self, num_cpus: float, num_gpus: float) -> None:
        self._load = bundled(num_cpus, num_gpus)

    def __call__(self) -> DuplicateGrouper:
        return DuplicateGrouper(self._load())  # type: ignore[arg-type]


def _loaded(grouper: DuplicateGrouper | Callable[[], DuplicateGrouper]) -> DuplicateGrouper:
    return grouper() if callable(grouper) else grouper


def _rule(
    grouper: DuplicateGrouper | Callable[[], DuplicateGrouper],
) -> tuple[PairScorer, float, int, Domain, Verification | None]:
    found = _loaded(grouper)
    rule = None if found.verifier is None else found.verifier.rule
    return found.scorer, found.threshold, found.classifier.incident_size, found.domain, rule


class _LoadVerifier:
    """Loads the verifier of a grouper in a task."""

    def __init__(self, grouper: DuplicateGrouper | Callable[[], DuplicateGrouper]) -> None:
        self._grouper = grouper

    def __call__(self) -> Verifier:
        verifier = _loaded(self._grouper).verifier
        assert verifier is not None  # or this would not have been made
        return verifier


class _Read:
    """What a worker does with its batches: add what cases are compared by, packed; null where a row is no case."""

    def __init__(
        self,
        grouper: DuplicateGrouper | Callable[[], DuplicateGrouper],
        text_column: str,
        wanted: dict[str, str | None],
        embedding_column: str | None,
    ) -> None:
        self._grouper = _loaded(grouper)
        self._text_column = text_column
        self._wanted = wanted
        self._embedding_column = embedding_column

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        rows = CaseRows()
        rows.add(chunk_of(table), self._text_column, self._wanted)
        told = {row: case for row, case in zip(rows.chunks[0].numbers, rows.cases[0], strict=True) if case.text.strip()}
        if self._embedding_column is not None:
            vectors = table.column(self._embedding_column).to_pylist()
            told = {
                row: case if vectors[row] is None else replace(case, embedding=np.asarray(vectors[row], np.float32))
                for row, case in told.items()
            }
        cases = list(told.values())
        features = case_features(self._grouper.classifier, cases, workers=1, domain=self._grouper.domain)
        packed: list[bytes | None] = [None] * table.num_rows
        vector: list[bytes | None] = [None] * table.num_rows
        texts: list[str | None] = [None] * table.num_rows
        for row, values, own in zip(told, pack(features) if told else (), features.vectors, strict=True):
            packed[row], vector[row] = values, own.tobytes()
            texts[row] = told[row].text if self._grouper.verifier is not None else ""
        table = table.append_column(_FEATURES, pa.array(packed, pa.large_binary()))
        table = table.append_column(_VECTOR, pa.array(vector, pa.large_binary()))
        return table.append_column(_TEXT, pa.array(texts, pa.large_string()))


def _count(table: pa.Table) -> int:
    return table.num_rows


def _stretches(blocks: Sequence[Any], count: int) -> list[Sequence[Any]]:
    ends = [len(blocks) * part // count for part in range(count + 1)]
    return [blocks[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def _apart(width: int, domain: Domain, *tables: pa.Table) -> tuple[pa.Table, CaseFeatures, list[str], np.ndarray]:
    """Return the rows of a part, what its cases are compared by, their texts if needed, and which rows are cases."""
    import pyarrow as pa

    table = pa.concat_tables(tables, promote_options="permissive")  # an empty column may have no type
    told = np.asarray(table.column(_FEATURES).is_valid())
    vectors = np.frombuffer(b"".join(table.column(_VECTOR).drop_null().to_pylist()), np.float32)
    features = unpack(table.column(_FEATURES).drop_null().to_pylist(), vectors.reshape(-1, width), domain)
    texts = table.column(_TEXT).drop_null().to_pylist()
    return table.drop_columns([_FEATURES, _VECTOR, _TEXT]), features, texts, told


def _search_vectors(features: CaseFeatures) -> np.ndarray:
    return search_vectors(features, np.float16)


def _joined(*vectors: np.ndarray) -> np.ndarray:
    return np.concatenate(vectors).astype(np.float32)


def _centres(cells: int, *samples: np.ndarray) -> np.ndarray:
    return parts.centres(np.concatenate(samples), cells)


def _with_groups(
    table: pa.Table,
    told: np.ndarray,
    labels: np.ndarray,
    sizes: np.ndarray,
    scores: np.ndarray,
    representatives: np.ndarray,
    names: Sequence[str],
) -> pa.Table:
    import pyarrow as pa

    at = np.cumsum(told) - 1
    rounded = np.round(scores.astype(np.float64), _DECIMALS)
    for field, values in zip(
        added_schema(names, GROUP_COLUMNS), (labels, sizes, rounded, representatives), strict=True
    ):
        spread = values[np.maximum(at, 0)] if len(values) else np.zeros(len(told), values.dtype)
        table = table.append_column(field, pa.array(spread, field.type, mask=~told))
    return table
