"""Read a table that is in memory a chunk at a time: of pandas, Polars, Arrow, or a ``datasets.Dataset``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import is_text, json_name, to_name, unescaped
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Chunk, Reader, TypedReader
from tawasul_nlp.tables.io.fields import check_columns, open_source
from tawasul_nlp.tables.io.fields import field as value_of
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import ReadOptions

if TYPE_CHECKING:
    import pyarrow as pa


class MemoryReader(TypedReader):
    """Read what hands over Arrow data, without a copy of the whole; rows are numbered from 1.

    Parameters
    ----------
    table : object
        A table with the Arrow PyCapsule interface (``__arrow_c_stream__``: pandas, Polars, pyarrow, DuckDB), a
        ``datasets.Dataset`` or ``IterableDataset``, or a dictionary of columns.

    Raises
    ------
    TableError
        If it is none of these, or a column holds what Arrow has no type for.

    Examples
    --------
    >>> reader = MemoryReader({"text": ["الماي مقطوع", "الشارع مظلم"], "topic": ["water", None]})
    >>> reader.columns, [list(chunk.numbers) for chunk in reader.chunks(max_rows=1)]
    (('text', 'topic'), [[1], [2]])
    """

    def __init__(self, table: Any) -> None:
        self.name = f"{type(table).__module__.partition('.')[0]} {type(table).__name__}".removeprefix("builtins ")
        self._done = 0
        self._rows: int | None = None
        self._tables, schema = self._opened(table)
        super().__init__(f"the {self.name}", schema)

    def _opened(self, table: Any) -> tuple[Callable[[], Iterable[pa.Table]], pa.Schema]:
        """Return what yields the table's parts, as often as it is called, and their schema."""
        import pyarrow as pa

        if hasattr(table, "with_format") and hasattr(table, "iter"):  # of datasets, which may hold only a view
            arrow = table.with_format("arrow")
            first = next(iter(arrow.iter(batch_size=1)), None)
            if first is None:
                raise TableError(f"the {self.name} has no rows")
            self._rows = len(table) if hasattr(table, "__len__") else None
            return lambda: arrow.iter(batch_size=CHUNK_ROWS), first.schema
        is_pandas = self.name.startswith("pandas ") and hasattr(table, "columns")
        if not (is_pandas or isinstance(table, dict) or hasattr(table, "__arrow_c_stream__")):
            raise TableError(
                f"got a {type(table).__name__}, expected a path, a table of pandas, Polars or Arrow, a "
                "datasets.Dataset or a dictionary of columns"
            )
        try:
            whole = pa.Table.from_pandas(table, preserve_index=False) if is_pandas else pa.table(table)
        except (pa.ArrowException, TypeError, ValueError) as error:
            # What Arrow says may quote a cell, which may be a citizen's text.
            raise TableError(
                f"the {self.name} has a column of mixed types or of unequal length, which Arrow cannot hold "
                f"({type(error).__name__}); give each column one type"
            ) from error
        self._rows = whole.num_rows
        return lambda: [whole], whole.schema

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        self._done = 0
        for table in self._tables():
            for batch in filter(len, table.to_batches(max_chunksize=max_rows)):
                numbers = range(self._done + 1, self._done + batch.num_rows + 1)
                self._done += batch.num_rows
                yield Chunk(numbers, batch, [])

    def fraction_read(self) -> float:
        """Return the share of the rows that were read; 0 as long as their number is unknown."""
        return self._done / self._rows if self._rows else 0.0


_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One row of a table, whether it can be used or not."""

    number: int  # from 1; a header is not counted
    text: str = field(repr=False)  # empty where the row has none
    record: Mapping[str, Any] = field(repr=False)  # the row's values by column; empty if it could not be read
    problem: str = ""  # why the row cannot be used; empty if it can

    def label(self, column: str) -> str:
        """Return what a column, or a field of one, names: a label, a group; empty where it names nothing.

        The items of a list are joined as the labels of a multi-label task are written in a cell.
        """
        value = value_of(self.record, column)
        return join_labels(map(to_name, value)) if isinstance(value, list | tuple) else to_name(value)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTable:
    """The usable rows of a table, in order, and which others there were."""

    name: str  # of the file, or the type of the table in memory
    sha256: str | None  # of the file
    texts: list[str] = field(repr=False)
    numbers: list[int]  # of each row, from 1
    columns: dict[str, list[str]] = field(repr=False)  # those that were asked for; empty where a row has no value
    unusable: list[tuple[int, str]] = field(default_factory=list)  # number and reason of each row without a text here

    def __len__(self) -> int:
        return len(self.texts)

    def groups(self, column: str | None) -> np.ndarray:
        """Number the rows by a column's values, (n,) int; a row without a value, or any without a column, is a group.

        Rows of one number belong together in a bootstrap.
        """
        if column is None:
            return np.arange(len(self.texts))
        values = [value or f"\0{row}" for row, value in enumerate(self.columns[column])]
        return np.unique(values, return_inverse=True)[1] if values else np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSource:
    """An opened table that can be read row by row, or as a whole, as often as needed. See :func:`open_labelled`."""

    name: str
    text_column: str
    reader: Reader
    file: InputFile | None = None  # None for a table in memory

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the table's columns."""
        return self.reader.columns

    def check_columns(self, columns: Sequence[str], option: str = "--label-columns") -> None:
        """Raise :class:`MissingColumnError` if the table lacks one of the columns that an option names."""
        check_columns(self.reader, columns, option)

    def rows(self, on_progress: Callable[[float], None] | None = None) -> Iterator[LabelledRow]:
        """Yield every row in order, also those that cannot be used; no more than a chunk is held in memory.

        Parameters
        ----------
        on_progress : callable, optional
            Called with the share of the table that was read.

        Raises
        ------
        TableError
            If the file is damaged midway; its subclass :class:`~tawasul_nlp.tables.errors.InputChangedError` if it was
            changed since it was opened.
        """
        for chunk in self.reader.chunks():
            rows = [_row(n, record, self.text_column) for n, record in zip(chunk.numbers, chunk.records(), strict=True)]
            rows += [LabelledRow(reject.row, "", {}, reject.reason) for reject in chunk.rejects]
            yield from sorted(rows, key=lambda row: row.number)
            if on_progress is not None:
                on_progress(self.reader.fraction_read())
        if self.file is not None:
            self.file.check()

    def read(self, columns: Sequence[str] = (), on_progress: Callable[[float], None] | None = None) -> LabelledTable:
        """Read the texts and the named columns of all usable rows.

        Raises
        ------
        TableError
            As :meth:`rows`; if the table lacks a column, or has no usable row.
        """
        self.check_columns(columns)
        sha256 = file_hash(self.file.path) if self.file is not None else None
        table = LabelledTable(self.name, sha256, [], [], {name: [] for name in columns})
        for row in self.rows(on_progress):
            if row.problem:
                table.unusable.append((row.number, row.problem))
                continue
            table.texts.append(row.text)
            table.numbers.append(row.number)
            for name, values in table.columns.items():
                values.append(row.label(name))
        if not table.texts:
            reasons = "; ".join(f"row {number}: {reason}" for number, reason in table.unusable[:_REASONS_SHOWN])
            raise TableError(
                f"{self.name} has no row with a text in column {self.text_column!r}"
                + (f" ({reasons}{', ...' if len(table.unusable) > _REASONS_SHOWN else ''})" if reasons else "")
            )
        return table


def open_labelled(source: Any, text_column: str = "text", read: ReadOptions = ReadOptions()) -> LabelledSource:
    """Open a table of texts and labels.

    Parameters
    ----------
    source : str, Path or table
        CSV, JSONL, Parquet or Excel; or a table of pandas, Polars or Arrow, a ``datasets.Dataset``, or a dictionary of
        columns. What :func:`open_labelled` returned is returned as it is.
    text_column : str
        The column that holds the texts, or a field in one (``complaint.body``).
    read : ReadOptions
        How a file is read.

    Raises
    ------
    TableError
        If it is not a table, or lacks the text column, or that column does not hold text.

    Examples
    --------
    >>> table = {"text": ["الماي مقطوع عندنا", None], "topic": ["water_outage", "water_leak"]}
    >>> labelled = open_labelled(table).read(["topic"])
    >>> labelled.columns["topic"], labelled.unusable
    (['water_outage'], [(2, 'the text is missing')])
    """
    if isinstance(source, LabelledSource):
        return source
    if isinstance(source, str | Path):
        file, reader = open_source(source, text_column, read)
        opened = LabelledSource(file.name, text_column, reader, file)
    else:
        memory = MemoryReader(source)
        opened = LabelledSource(memory.name, text_column, memory)
    opened.check_columns([text_column], "--text-column")
    if text_column in opened.columns:
        opened.reader.check_text_column(text_column)
    return opened


def _row(number: int, record: Mapping[str, Any], text_column: str) -> LabelledRow:
    text = value_of(record, text_column)
    if text is None or text != text or (isinstance(text, str) and not text.strip()):
        return LabelledRow(number, "", record, "the text is missing")
    if not isinstance(text, str):
        return LabelledRow(number, "", record, f"the text is a JSON {json_name(text)}, expected a string")
    if not is_text(text):
        return LabelledRow(number, "", record, "the text holds half of a surrogate pair")
    return LabelledRow(number, unescaped(text), record)  # a CSV that this library wrote escapes formulas
