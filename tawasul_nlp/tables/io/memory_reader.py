"""Read a table that is in memory a chunk at a time: of pandas, Polars, Arrow, or a ``datasets.Dataset``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reader, check_text_type, chunk_rows

if TYPE_CHECKING:
    import pyarrow as pa


class MemoryReader(Reader):
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
        self._tables, self._schema = self._opened(table)
        self.columns = tuple(map(str, self._schema.names))
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise TableError(f"the {self.name} has several columns named {sorted(repeated)[0]!r}; rename them")

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
        try:
            if isinstance(table, dict):
                whole = pa.table(table)
            elif self.name.startswith("pandas ") and hasattr(table, "columns"):
                whole = pa.Table.from_pandas(table, preserve_index=False)
            elif hasattr(table, "__arrow_c_stream__"):
                whole = pa.table(table)
            else:
                raise TableError(
                    f"got a {type(table).__name__}, expected a path, a table of pandas, Polars or Arrow, a "
                    "datasets.Dataset or a dictionary of columns"
                )
        except (pa.ArrowException, TypeError, ValueError) as error:
            if isinstance(error, TableError):
                raise
            # What Arrow says may quote a cell, which may be a citizen's text.
            raise TableError(
                f"the {self.name} has a column of mixed types or of unequal length, which Arrow cannot hold "
                f"({type(error).__name__}); give each column one type"
            ) from error
        self._rows = whole.num_rows
        return lambda: [whole], whole.schema

    def chunks(
        self, max_rows: int = CHUNK_ROWS, start: Position = START, first_rows: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        row = seen = 0
        for table in self._tables():
            at = max(0, start.row - seen)
            seen += table.num_rows
            while at < table.num_rows:
                row = seen - table.num_rows + at
                part = table.slice(at, chunk_rows(row, max_rows, first_rows)).combine_chunks()
                batch = part.to_batches()[0]
                at += batch.num_rows
                self._done = row + batch.num_rows
                yield Chunk(range(row + 1, self._done + 1), batch, [], Position(self._done, self._done))

    def fraction_read(self) -> float:
        """Return the share of the rows that were read; 0 as long as their number is unknown."""
        return self._done / self._rows if self._rows else 0.0

    def schema(self) -> pa.Schema:
        """Return the table's own schema."""
        return self._schema

    def check_text_column(self, name: str) -> None:
        """Raise :class:`TableError` if the column's type cannot hold text."""
        check_text_type(name, self._schema.field(name).type)
