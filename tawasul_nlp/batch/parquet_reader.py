"""Read Parquet a chunk at a time, from any row on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.rows import CHUNK_ROWS, START, Chunk, Position

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetReader:
    """Read a Parquet file in record batches, which keep their types."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self._schema = file.schema_arrow
                self._rows = file.metadata.num_rows
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise TableError(f"{path} is not a Parquet file that can be read: {_first_line(error)}") from error
        self.columns = tuple(self._schema.names)
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise TableError(f"{path} has several columns named {sorted(repeated)[0]!r}; rename them")
        self.notes: tuple[str, ...] = ()
        self._done = 0

    def chunks(self, max_rows: int = CHUNK_ROWS, start: Position = START) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._done = start.row
        try:
            with pq.ParquetFile(self._path) as file:
                sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
                first, before = 0, 0  # whole row groups before the start are not read at all
                while first < len(sizes) and before + sizes[first] <= start.row:
                    before += sizes[first]
                    first += 1
                batches = file.iter_batches(batch_size=max_rows, row_groups=range(first, len(sizes)))
                for batch in _recut(batches, start.row - before, max_rows):
                    numbers = range(self._done + 1, self._done + batch.num_rows + 1)
                    self._done += batch.num_rows
                    yield Chunk(numbers, batch, (), Position(self._done))
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self._path} is damaged after row {self._done}: {_first_line(error)}") from error
        if self._done != self._rows:
            raise TableError(f"{self._path} says it has {self._rows} rows but gave {self._done}")

    def fraction_read(self) -> float:
        """Return the share of the rows that were read."""
        return self._done / self._rows if self._rows else 1.0

    def schema(self) -> pa.Schema:
        """Return the file's own schema."""
        return self._schema

    def check_text_column(self, name: str) -> None:
        """Raise :class:`TableError` if the column does not hold strings."""
        check_text_type(name, self._schema.field(name).type)


def check_text_type(name: str, kind: pa.DataType) -> None:
    """Raise :class:`TableError` if a column of this type does not hold strings."""
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    allowed = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(test(value) for test in allowed):
        raise TableError(f"column {name!r} holds {kind}, expected text (string)")


def _recut(batches: Iterable[pa.RecordBatch], skip: int, max_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of `max_rows` after `skip` rows; Parquet's own end wherever a row group does."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        dropped = min(skip, batch.num_rows)
        skip -= dropped
        at = dropped
        while at < batch.num_rows:
            piece = batch.slice(at, max_rows - count)
            at += piece.num_rows
            count += piece.num_rows
            held.append(piece)
            if count == max_rows:
                yield _joined(held)
                held, count = [], 0
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()[0]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
