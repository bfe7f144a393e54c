"""Parquet: read and written a chunk at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.cells import to_json
from tawasul_nlp.tables.io.chunk import (
    CHUNK_CHARS,
    CHUNK_ROWS,
    Chunk,
    Content,
    Reject,
    Room,
    TypedReader,
    Written,
)
from tawasul_nlp.tables.io.csv import MAX_RECORD_CHARS
from tawasul_nlp.tables.io.formats import Layout, ReadOptions, TableFormat

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAX_ROW_BYTES = 4 * MAX_RECORD_CHARS  # whatever a CSV file may hold: a character takes up to four bytes
_ROW_BYTES = 256  # about what the added columns of a row take, so that rows of nothing count too
# A chunk ends where a batch does, so these are larger.
_BATCH_ROWS = 8 * CHUNK_ROWS
_BATCH_BYTES = 1 << 27
_ROWS_WITH_LISTS = 16  # of millions of items a list may take a few bytes in the file, so few rows are read at a time


class ParquetReader(TypedReader):
    """Read a Parquet file in record batches, which keep their types; only views of strings become plain strings."""

    def __init__(self, path: Path, options: ReadOptions, _text_column: str | None = None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                super().__init__(path, _without_views(file.schema_arrow))
                self._rows = file.metadata.num_rows
                self._rows_at_once = self._measured(file, Room(path))
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise TableError(f"{path} is not a Parquet file that can be read: {reason_of(error)}") from error
        self._done = 0

    def _measured(self, file: pq.ParquetFile, room: Room) -> int:
        """Return how many rows may be unpacked at a time: as if each held all that its row group is declared to hold.

        The rows are read only if they could hold too much, as where many share one value. Then it is known what a batch
        of them holds, and more can be unpacked at a time.

        Raises :class:`OversizedTableError` if a small file unpacks to much, as it declares or as its rows show.
        """
        import pyarrow as pa

        metadata, most_bytes = file.metadata, room.most("bytes")
        # No column is asked for its part: pyarrow ends the whole process where a column's statistics are damaged.
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        declared = [max(1, group.total_byte_size) for group in groups]
        has_lists = any(metadata.schema.column(number).max_repetition_level for number in range(metadata.num_columns))
        most = _ROWS_WITH_LISTS if has_lists else _BATCH_ROWS
        rows_at_once = max(1, min(most, most_bytes // 2 // max(declared, default=1)))
        unpacked = self._rows * _ROW_BYTES
        room.check(max(unpacked, sum(declared)), "bytes")
        at_most = sum(group.num_rows * whole for group, whole in zip(groups, declared, strict=True))
        if not has_lists and at_most <= most_bytes:
            return _BATCH_ROWS
        largest = 1
        with contextlib.suppress(pa.ArrowException, OSError):  # damage is reported when the rows before it are read
            for batch in file.iter_batches(batch_size=rows_at_once):
                size = sum(map(_bytes, self._plain(batch).columns))
                unpacked += size
                largest = max(largest, size)
                room.check(unpacked, "bytes")
            # Rows of so many batches lie in no more than one batch more.
            rows_at_once = min(_BATCH_ROWS, rows_at_once * max(1, _BATCH_BYTES // largest - 1))
        return rows_at_once

    def _plain(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.cast(self._schema) if batch.schema.types != self._schema.types else batch

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`. No chunk has two row groups."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._done = 0
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(batch_size=self._rows_at_once):
                    plain = self._plain(batch)
                    for start in range(0, plain.num_rows, max_rows):
                        yield from self._divided(plain.slice(start, max_rows))
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self._path} is damaged after row {self._done}: {reason_of(error)}") from error
        if self._done != self._rows:
            raise TableError(f"{self._path} says it has {self._rows} rows but gave {self._done}")

    def _divided(self, batch: pa.RecordBatch) -> Iterator[Chunk]:
        """Yield the rows in halves of halves that are not too large; a row that is too large alone is rejected."""
        size, rows = sum(map(_bytes, batch.columns)), batch.num_rows
        if rows > 1 and size > CHUNK_CHARS:
            yield from self._divided(batch.slice(0, rows // 2))
            yield from self._divided(batch.slice(rows // 2))
            return
        chunk = Chunk(range(self._done + 1, self._done + 1 + rows), batch, [])
        self._done += rows
        if rows == 1 and size > MAX_ROW_BYTES:
            chunk = chunk.keep([], [Reject(self._done, None, f"is longer than {MAX_ROW_BYTES:,} bytes", None)])
        yield chunk

    def fraction_read(self) -> float:
        """Return the share of the rows that were read."""
        return self._done / self._rows if self._rows else 1.0


def _without_views(schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain strings for views of them, which Arrow cannot pick rows from."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pa.schema([field.with_type(plain.get(field.type, field.type)) for field in schema], schema.metadata)


def _bytes(array: pa.Array) -> int:
    """Return what values take, with those of a dictionary counted wherever they are used."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        return _bytes(array.storage)
    if isinstance(array, pa.MapArray):
        entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "item"])
        return _bytes(pa.ListArray.from_arrays(array.offsets, entries))
    if isinstance(array, pa.DictionaryArray):
        with contextlib.suppress(pa.ArrowNotImplementedError):  # other values than texts are small
            return len(array) + (pc.sum(pc.binary_length(array.dictionary).take(array.indices)).as_py() or 0)
    elif isinstance(array, pa.StructArray):
        return len(array) + sum(map(_bytes, array.flatten()))
    elif pa.types.is_nested(array.type):  # a list
        return len(array) + _bytes(array.flatten())
    return int(array.nbytes)


# Small row groups make a Parquet file large and slow to read; this many rows are held back to fill one.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 * 1024 * 1024


def write_parquet(path: Path, layout: Layout, content: Content) -> Written:
    """Write Parquet in row groups of a good size; the schema keeps its types and metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = layout.whole_schema()
    waiting: list[pa.RecordBatch] = []
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for chunk, added in content:
            waiting.append(_batch(schema, len(layout.added), chunk, added))
            rows += waiting[-1].num_rows
            if (
                sum(one.num_rows for one in waiting) >= _GROUP_ROWS
                or sum(one.nbytes for one in waiting) >= _GROUP_BYTES
            ):
                file.write_table(pa.Table.from_batches(waiting, schema))
                waiting.clear()
        if waiting:
            file.write_table(pa.Table.from_batches(waiting, schema))
    return Written(rows)


def _batch(schema: pa.Schema, extra_columns: int, chunk: Chunk, added: Sequence[list[Any]]) -> pa.RecordBatch:
    """Return the chunk's own and added values as one Arrow batch."""
    import pyarrow as pa

    fields = list(schema)
    mine, extra = fields[: len(fields) - extra_columns], fields[len(fields) - extra_columns :]
    if isinstance(chunk.rows, list):
        arrays = [_column(chunk.column(field.name), field) for field in mine]
    else:
        arrays = chunk.rows.columns
    columns = zip(*added, strict=True) if added else [[] for _ in extra]
    values = [pa.array(list(column), field.type) for column, field in zip(columns, extra, strict=True)]
    return pa.RecordBatch.from_arrays([*arrays, *values], schema=schema)


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_string(field.type):
        values = [value if value is None or isinstance(value, str) else to_json(value) for value in values]
    return pa.array(values, field.type)


PARQUET = TableFormat(
    name="parquet",
    title="a Parquet file",
    suffixes=(".parquet", ".pq"),
    open=ParquetReader,
    write=write_parquet,
    recognises=lambda _path, start: start.startswith(b"PAR1"),
    binary=True,
)
