"""Parquet: read by :mod:`tawasul_nlp.tables.io.parquet_reader`, and built from Arrow streams.

Parquet cannot be appended to: each chunk is appended as an Arrow stream of its own, and the table is built of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.io.chunk import Chunk, to_json
from tawasul_nlp.tables.io.formats import TableFormat
from tawasul_nlp.tables.io.layout import Layout, Sink
from tawasul_nlp.tables.io.parquet_reader import ParquetReader

if TYPE_CHECKING:
    import pyarrow as pa

# Small row groups make a Parquet file large and slow to read; this many rows are held back to fill one.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 * 1024 * 1024


class ArrowWriter:
    """Write every chunk as an Arrow stream of its own."""

    escaped = 0

    def __init__(self, sink: Sink, layout: Layout, _before: int | None) -> None:
        self._sink = sink
        self._schema = layout.whole_schema()
        self._extra = len(layout.added)
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows."""
        import pyarrow as pa

        batch = _batch(self._schema, self._extra, chunk, added)
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_stream(buffer, self._schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_batch(batch)
        self._sink.write(buffer.getvalue().to_pybytes())
        self.rows_written += batch.num_rows


class ParquetWriter:
    """Write Parquet in row groups of a good size; the schema keeps its types and metadata."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._file = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write rows, or hold them until a row group is full."""
        self._held.append(batch)
        rows = sum(held.num_rows for held in self._held)
        if rows >= _GROUP_ROWS or sum(held.nbytes for held in self._held) >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._file.write_table(pa.Table.from_batches(self._held, self._schema))
            self._held = []

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._file.close()


def _build(rows: Path, table: Path, layout: Layout) -> None:
    with closing(ParquetWriter(table, layout.whole_schema())) as writer:
        for batch in _batches(rows):
            writer.write_batch(batch)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        while file.tell() < file.size():
            with pa.ipc.open_stream(file) as stream:
                yield from stream


def _batch(schema: pa.Schema, extra_columns: int, chunk: Chunk, added: Sequence[list[Any]]) -> pa.RecordBatch:
    """Return the chunk's own and added values as one Arrow batch."""
    import pyarrow as pa

    fields = list(schema)
    mine, extra = fields[: len(fields) - extra_columns], fields[len(fields) - extra_columns :]
    if isinstance(chunk.rows, list):
        own = [_column(chunk.column(field.name), field) for field in mine]
    else:
        own = chunk.rows.columns
    columns = zip(*added, strict=True) if added else [[] for _ in extra]
    values = [pa.array(list(column), field.type) for column, field in zip(columns, extra, strict=True)]
    return pa.RecordBatch.from_arrays([*own, *values], schema=schema)


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
    append=ArrowWriter,
    build=_build,
    recognises=lambda _path, start: start.startswith(b"PAR1"),
    binary=True,
    piped="jsonl",
)
