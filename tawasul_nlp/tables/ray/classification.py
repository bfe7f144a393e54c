"""Classify a Ray dataset: every worker loads the model once and classifies blocks of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ray.data import ActorPoolStrategy

from tawasul_nlp.tables.added_columns import added_names, added_schema, added_values, classification_columns
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk
from tawasul_nlp.tables.io.parquet_reader import check_text_type
from tawasul_nlp.tables.ray.pool import check_cluster
from tawasul_nlp.tables.run.engine import Classifier, ModelFacts, loaded
from tawasul_nlp.tables.run.text_columns import with_texts

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset


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
    dataset : ray.data.Dataset
    text_column : str
    classifier : Classifier or callable, optional
        Pickled and sent to each worker; a function is called there. The bundled model if None.
    workers : int
        At most so many at a time.
    num_cpus, num_gpus : float
        Of each worker. With GPUs the classifier should be a function that loads a model with torch weights for the
        device ``cuda``; the bundled one has none.
    prefix : str, optional
        Of the added columns; see :func:`~tawasul_nlp.tables.added_columns.added_names`.
    batch_size : int
        Rows classified at a time.

    Returns
    -------
    ray.data.Dataset

    Raises
    ------
    TableError
        If the column holds no text (its subclass :class:`MissingColumnError` if there is none of this name).
    ValueError
        If the cluster has too little for so many workers.
    """
    check_columns(dataset, text_column)
    return by_workers(
        dataset,
        _Classify,
        (classifier or bundled(num_cpus, num_gpus), text_column, prefix),
        workers=workers,
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        batch_size=batch_size,
    )


def bundled(num_cpus: float, num_gpus: float) -> Callable[[], Classifier]:
    """Return a function that loads the bundled model for a worker."""
    from tawasul_nlp.classifier import ComplaintClassifier

    device = "cuda" if num_gpus else None
    return partial(ComplaintClassifier.from_pretrained, threads=max(1, int(num_cpus)), device=device)


def check_columns(dataset: Dataset, text_column: str, *others: str | None) -> None:
    """Raise :class:`TableError` if a column is missing, or the text column holds no text."""
    schema = dataset.schema()
    if schema is None:  # nothing is known of a dataset without rows
        return
    for name in (text_column, *(other for other in others if other is not None)):
        if name not in schema.names:
            raise MissingColumnError(name, schema.names, option="text_column" if name == text_column else "a column")
    check_text_type(text_column, dict(zip(schema.names, schema.types, strict=True))[text_column])


def by_workers(
    dataset: Dataset,
    make: type,
    given: tuple[Any, ...],
    *,
    workers: int,
    num_cpus: float,
    num_gpus: float,
    batch_size: int,
) -> Dataset:
    """Return what instances of a class make of the dataset's batches, one a worker, in the order of the rows."""
    check_cluster(workers, num_cpus, num_gpus)
    result = dataset.map_batches(
        make,
        fn_constructor_args=given,
        batch_format="pyarrow",
        batch_size=batch_size,
        # Fewer at first: whatever reads the dataset needs a place in the cluster too.
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )
    result.context.execution_options.preserve_order = True  # of this dataset and those that it is made of
    return result


def chunk_of(table: pa.Table) -> Chunk:
    """Return a batch as a chunk whose rows are numbered from 0."""
    batches = table.combine_chunks().to_batches()
    rows = batches[0] if batches else table.schema.empty_table().to_batches()[0]
    return Chunk(range(table.num_rows), rows, (), START)


class _Classify:
    """What a worker does with its batches."""

    def __init__(self, classifier: Classifier | Callable[[], Classifier], text_column: str, prefix: str | None) -> None:
        self._model = loaded(classifier)
        facts = ModelFacts.of(self._model)
        self._levels = None if facts.domain is None else facts.domain.gazetteer.levels
        self._types = classification_columns(
            facts.tasks, self._levels, multi_label=facts.multi_label, issues=facts.finds_issues
        )
        self._text_column = text_column
        self._prefix = prefix

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        names = added_names(table.column_names, self._prefix, self._types)
        whole, texts = with_texts(chunk_of(table), self._text_column)
        unread = {"needs_review": True, "review_reasons": ["unreadable_text"]}
        rows = [[unread.get(name) for name in self._types]] * table.num_rows
        for row, prediction in zip(whole.numbers, self._model.predict(texts) if texts else (), strict=True):
            rows[row] = added_values(prediction, tuple(self._types), self._levels)
        for field, values in zip(added_schema(names, self._types), zip(*rows, strict=True), strict=True):
            table = table.append_column(field, pa.array(values, field.type))
        return table
