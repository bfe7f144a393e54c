"""A Ray cluster does the work: classify and group Ray datasets.

Needs Ray (extra ``ray``); every node has this package and the model. A program that has no Ray yet starts with
``ray.init()``, on the head of a cluster or, for one machine, anywhere.
"""

from __future__ import annotations

from tawasul_nlp.extras import require

require("ray", "working on a Ray cluster", "ray")

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates import Case, DuplicateGrouper
from tawasul_nlp.duplicates.features import pack, unpack_with_vectors
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS, added_names, added_schema, added_values
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Chunk, check_text_type
from tawasul_nlp.tables.io.fields import with_texts
from tawasul_nlp.tables.run.case_rows import CaseFields, read_cases
from tawasul_nlp.tables.run.pipeline import Classifier, ModelFacts, loaded

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["classify", "group"]

_FEATURES, _VECTOR, _TEXT = _COMPARED = ["__features", "__vector", "__text"]
_DECIMALS = 4


def classify(
    dataset: Dataset,
    text_column: str,
    *,
    classifier: Classifier | Callable[[], Classifier] | None = None,
    workers: int = 2,
    num_cpus: float = 1,
    num_gpus: float = 0,
    prefix: str | None = None,
    batch_size: int = CHUNK_ROWS,
) -> Dataset:
    """Return the dataset with the columns added that :func:`~tawasul_nlp.tables.classify_table` adds.

    Rows keep their order and all their columns. Nothing is read before the result is used, and then one block after
    another, so it is never in memory as a whole. A row without text is classified as an empty text. A text that is
    not valid UTF-8 cannot be read: its row has ``needs_review``, ``unreadable_text`` among the ``review_reasons``, and
    no labels.

    Parameters
    ----------
    classifier : Classifier or callable, optional
        Pickled and sent to each worker; a function is called there. The bundled model if None.
    workers : int
        At most so many at a time.
    num_cpus, num_gpus : float
        Of each worker. With GPUs the classifier should be a function that loads a model with torch weights for the
        device ``cuda``; the bundled one has none.
    prefix : str, optional
        Of the added columns; see :func:`~tawasul_nlp.tables.added_names`.
    batch_size : int
        Rows classified at a time.

    Raises
    ------
    TableError
        If the column holds no text (its subclass :class:`MissingColumnError` if there is none of this name).
    ValueError
        If the cluster has too little for so many workers.
    """
    _check_columns(dataset, text_column)
    load = partial(loaded, classifier or partial(_bundled, num_cpus, num_gpus))
    return _Workers(workers, num_cpus, num_gpus).map(dataset, (load, _classified, text_column, prefix), batch_size)


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
) -> Dataset:
    """Return the dataset with the columns added that :func:`~tawasul_nlp.tables.group_table` adds.

    Rows keep their order and all their columns. Workers read the texts; this process compares the cases, as
    :meth:`DuplicateGrouper.group` does, and for that holds about 1.5 kilobytes a case (and the texts, if pairs are
    verified). The dataset is held in Ray's object store, which spills to disk. A row without text, or whose text is
    not valid UTF-8, belongs to no group, and its added values are null. When this returns, the work is done.

    Parameters
    ----------
    date_column, place_column, topic_column : str, optional
        As for :func:`~tawasul_nlp.tables.group_table`. A case whose date cannot be read is grouped without one.
    embedding_column : str, optional
        Incident vectors (lists of 128 numbers) that were computed before, so that the model reads no text.
    grouper : DuplicateGrouper or callable, optional
        Pickled and sent to each worker; a function is called there, and here. That of the bundled model if None.
    workers, num_cpus, num_gpus, prefix, batch_size
        As for :func:`classify`.

    Raises
    ------
    TableError
        If a column is missing, that of the texts holds none, or an added one is there already.
    ValueError
        If the cluster has too little for so many workers.
    """
    fields = CaseFields(text=(text_column,), date=date_column, place=place_column, topic=topic_column)
    _check_columns(dataset, text_column, date_column, place_column, topic_column, embedding_column)
    schema = dataset.schema()
    names = added_names(schema.names if schema is not None else (), prefix, GROUP_COLUMNS)
    load = partial(_loaded_grouper, grouper, num_cpus, num_gpus)
    arguments = (load, _with_features, fields, embedding_column)
    read = _Workers(workers, num_cpus, num_gpus).map(dataset, arguments, batch_size).materialize()
    cases_of, with_groups = ray.remote(_cases_of), ray.remote(_with_groups)
    cases = {block: table for block in read.to_arrow_refs() if (table := ray.get(cases_of.remote(block))) is not None}
    if not cases:
        return read
    values = _group_values(load(), pa.concat_tables(cases.values()))
    ends = np.cumsum([table.num_rows for table in cases.values()])[:-1]
    of_blocks = zip(cases, *(np.split(column, ends) for column in values), strict=True)
    return ray.data.from_arrow_refs([with_groups.remote(block, names, *columns) for block, *columns in of_blocks])


class _Workers(NamedTuple):
    number: int
    num_cpus: float
    num_gpus: float

    def map(self, dataset: Dataset, loaded: tuple[Any, ...], batch_size: int) -> Dataset:
        """Return what a :class:`_Loaded` in each makes of the dataset's batches, in the order of the rows.

        Raises ValueError if the cluster has too little for them, for they would wait for more without a word.
        """
        resources = ray.cluster_resources()
        for name, share in (("CPU", self.num_cpus), ("GPU", self.num_gpus)):
            if self.number * share > resources.get(name, 0):
                raise ValueError(
                    f"{self.number} workers need {self.number * share:g} {name}s, but the Ray cluster has "
                    f"{resources.get(name, 0):g}; ask for fewer, or add nodes first"
                )
        result = dataset.map_batches(
            _Loaded,
            fn_constructor_args=loaded,
            batch_format="pyarrow",
            batch_size=batch_size,
            # Fewer at first: whatever reads the dataset needs a place in the cluster too.
            compute=ActorPoolStrategy(min_size=1, max_size=self.number),
            num_cpus=self.num_cpus,
            num_gpus=self.num_gpus,
        )
        result.context.execution_options.preserve_order = True  # of this dataset and those that it is made of
        return result


class _Loaded:
    """What a worker loads once, and does with that to each batch."""

    def __init__(self, load: Callable[[], Any], do: Callable[..., pa.Table], *arguments: Any) -> None:
        self._do = partial(do, load(), *arguments)

    def __call__(self, table: pa.Table) -> pa.Table:
        return self._do(table)


def _classified(classifier: Classifier, text_column: str, prefix: str | None, table: pa.Table) -> pa.Table:
    """Add the columns of a classification to a batch."""
    facts = ModelFacts.of(classifier)
    levels = None if facts.domain is None else facts.domain.gazetteer.levels
    types = facts.columns()
    names = added_names(table.column_names, prefix, types)
    whole, texts = with_texts(_chunk_of(table), text_column)
    unread = {"needs_review": True, "review_reasons": ["unreadable_text"]}
    rows = [[unread.get(name) for name in types]] * table.num_rows
    for row, prediction in zip(whole.numbers, classifier.predict(texts) if texts else (), strict=True):
        rows[row] = added_values(prediction, tuple(types), levels)
    for field, values in zip(added_schema(names, types), zip(*rows, strict=True), strict=True):
        table = table.append_column(field, pa.array(values, field.type))
    return table


def _with_features(
    grouper: DuplicateGrouper, fields: CaseFields, embedding_column: str | None, table: pa.Table
) -> pa.Table:
    """Add to a batch what cases are compared by, packed; null where a row is no case."""
    whole, all_cases, _ = read_cases(_chunk_of(table), fields)
    cases = {row: case for row, case in zip(whole.numbers, all_cases, strict=True) if case.text.strip()}
    if embedding_column is not None:
        vectors = table.column(embedding_column).to_pylist()
        for row in cases.keys() - {row for row, vector in enumerate(vectors) if vector is None}:
            cases[row] = replace(cases[row], embedding=np.asarray(vectors[row], np.float32))
    features = grouper.features(list(cases.values()))
    added: dict[str, list[Any]] = {name: [None] * table.num_rows for name in _COMPARED}
    for row, packed, vector in zip(cases, pack(features) if cases else (), features.vectors, strict=True):
        added[_FEATURES][row], added[_VECTOR][row] = packed, vector.tobytes()
        added[_TEXT][row] = cases[row].text if grouper.verifier is not None else ""
    for name, values in added.items():
        table = table.append_column(name, pa.array(values, pa.large_string() if name == _TEXT else pa.large_binary()))
    return table


def _group_values(grouper: DuplicateGrouper, cases: pa.Table) -> tuple[np.ndarray, ...]:
    """Return the values of the added columns for the cases."""
    blobs, vectors = cases.column(_FEATURES).to_pylist(), cases.column(_VECTOR).to_pylist()
    features = unpack_with_vectors(blobs, vectors, grouper.classifier.incident_size, grouper.domain)
    groups = grouper.group_features([Case(text) for text in cases.column(_TEXT).to_pylist()], features)
    sizes = np.bincount(groups.labels, minlength=1)[groups.labels]
    is_representative = groups.representatives == np.arange(len(groups.labels))
    return groups.labels, sizes, np.round(groups.scores.astype(np.float64), _DECIMALS), is_representative


def _cases_of(table: pa.Table) -> pa.Table | None:
    """Return what cases are compared by; None of a block without rows, which may have no columns."""
    return table.select(_COMPARED).drop_null() if table.num_rows else None


def _with_groups(table: pa.Table, names: Sequence[str], *values: np.ndarray) -> pa.Table:
    """Replace what cases are compared by with their groups."""
    is_case = np.asarray(table.column(_FEATURES).is_valid())
    table = table.drop_columns(_COMPARED)
    for field, of_cases in zip(added_schema(names, GROUP_COLUMNS), values, strict=True):
        of_rows = np.zeros(len(is_case), of_cases.dtype)
        of_rows[is_case] = of_cases
        table = table.append_column(field, pa.array(of_rows, field.type, mask=~is_case))
    return table


def _check_columns(dataset: Dataset, text_column: str, *others: str | None) -> None:
    """Raise :class:`TableError` if a column is missing, or the text column holds no text."""
    schema = dataset.schema()
    if schema is None:  # nothing is known of a dataset without rows
        return
    for name in (text_column, *(other for other in others if other is not None)):
        if name not in schema.names:
            raise MissingColumnError(name, schema.names, option="text_column" if name == text_column else "a column")
    check_text_type(text_column, dict(zip(schema.names, schema.types, strict=True))[text_column])


def _chunk_of(table: pa.Table) -> Chunk:
    """Return a batch as a chunk whose rows are numbered from 0."""
    rows = pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())
    return Chunk(range(table.num_rows), rows, ())


def _bundled(num_cpus: float, num_gpus: float) -> ComplaintClassifier:
    """Load the bundled model for a worker."""
    return ComplaintClassifier.from_pretrained(threads=max(1, int(num_cpus)), device="cuda" if num_gpus else None)


def _loaded_grouper(
    grouper: DuplicateGrouper | Callable[[], DuplicateGrouper] | None, num_cpus: float, num_gpus: float
) -> DuplicateGrouper:
    if grouper is None:
        return DuplicateGrouper(_bundled(num_cpus, num_gpus))
    return grouper() if callable(grouper) else grouper
