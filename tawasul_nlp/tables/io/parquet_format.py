"""Write CSV, JSONL, Parquet and Excel a chunk at a time, the added columns after the table's own.

CSV and JSONL are written from their start to their end, so a run that goes on later appends to them. Parquet cannot be
appended to: its chunks are kept as Arrow streams, one behind the other, and the table is built from them at the end; so
is a workbook, from the rows of its sheet.
"""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.io.chunk import Chunk, Writer, to_cell, to_json
from tawasul_nlp.tables.io.delimited import join_fields
from tawasul_nlp.tables.io.escaping import escaped
from tawasul_nlp.tables.io.excel_writer import SheetWriter, Workbook
from tawasul_nlp.tables.io.layout import Layout, Sink

if TYPE_CHECKING:
    import pyarrow as pa

# Small row groups make a Parquet file large and slow to read; this many rows are held back to fill one.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 * 1024 * 1024


def open_writer(path: Path, layout: Layout) -> Writer:
    """Open a whole table for writing; the file is overwritten."""
    if layout.format == "parquet":
        return ParquetWriter(path, layout)
    if layout.format == "xlsx":
        book = Workbook(path)
        return SheetWriter(book, layout, close=book.close)
    file = path.open("wb")
    return (
        CsvWriter(file, layout, close=file.close) if layout.format == "csv" else JsonlWriter(file, layout, file.close)
    )


def open_appender(sink: Sink, layout: Layout, *, before: int | None) -> Writer:
    """Open a part of a table for writing.

    Parameters
    ----------
    sink : Sink
        Where the part goes; :func:`finish` makes the table of it.
    layout : Layout
    before : int or None
        How many rows the sink has already; None for a new one, which has no header either.
    """
    if layout.format == "parquet":
        return ArrowWriter(sink, layout)
    if layout.format == "xlsx":
        return SheetWriter(sink, layout, before=before)
    return CsvWriter(sink, layout, begun=before is not None) if layout.format == "csv" else JsonlWriter(sink, layout)


def finish(rows: Path, table: Path, layout: Layout) -> Path:
    """Return the file that is the table: `rows` itself, or for Parquet and Excel the one built from it at `table`."""
    if layout.format not in ("parquet", "xlsx"):
        return rows
    table.unlink(missing_ok=True)  # it may be one and the same file as an output that was published already
    if layout.format == "xlsx":
        with closing(Workbook(table)) as book, rows.open("rb") as file:
            shutil.copyfileobj(file, book)
        return table
    writer = ParquetWriter(table, layout)
    with closing(writer):
        for batch in _batches(rows):
            writer.write_batch(batch)
    return table


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        while file.tell() < file.size():
            with pa.ipc.open_stream(file) as stream:
                yield from stream


class CsvWriter:
    """Write delimited text in UTF-8, one line end (``\\n``) a row.

    ``escaped`` counts the cells that got an apostrophe, so that no spreadsheet runs them.
    """

    def __init__(
        self, sink: Sink, layout: Layout, *, begun: bool = False, close: Callable[[], None] | None = None
    ) -> None:
        self._sink = sink
        self._layout = layout
        self._close = close
        self.rows_written = 0
        self.escaped = 0
        if not begun:
            names = self._line([*layout.columns, *layout.added])
            sink.write((codecs.BOM_UTF8 if layout.bom else b"") + names.encode())

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows."""
        lines = []
        for record, values in zip(chunk.records(), added, strict=True):
            own = [to_cell(record.get(name)) for name in self._layout.columns]
            lines.append(self._line(own + [to_cell(added_cell(value)) for value in values]))
        self._sink.write("".join(lines).encode())
        self.rows_written += len(lines)

    def _line(self, cells: list[str]) -> str:
        if not self._layout.raw_cells:
            safe = [escaped(cell) for cell in cells]
            self.escaped += sum(one is not other for one, other in zip(cells, safe, strict=True))
            cells = safe
        return join_fields(cells, self._layout.delimiter)

    def close(self) -> None:
        """Finish the file."""
        if self._close is not None:
            self._close()


class JsonlWriter:
    """Write one JSON object a line, Arabic unescaped; a key that a row lacks stays absent."""

    escaped = 0

    def __init__(self, sink: Sink, layout: Layout, close: Callable[[], None] | None = None) -> None:
        self._sink = sink
        self._added = layout.added
        self._close = close
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows."""
        lines = [
            to_json(record | dict(zip(self._added, values, strict=True))) + "\n"
            for record, values in zip(chunk.records(), added, strict=True)
        ]
        self._sink.write("".join(lines).encode())
        self.rows_written += len(lines)

    def close(self) -> None:
        """Finish the file."""
        if self._close is not None:
            self._close()


class ArrowWriter:
    """Write every chunk as an Arrow stream of its own."""

    escaped = 0

    def __init__(self, sink: Sink, layout: Layout) -> None:
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

    def close(self) -> None:
        """Do nothing: every chunk is complete."""


class ParquetWriter:
    """Write Parquet; a typed source's columns keep their types and its schema's metadata."""

    escaped = 0

    def __init__(self, path: Path, layout: Layout) -> None:
        import pyarrow.parquet as pq

        self._schema = layout.whole_schema()
        self._extra = len(layout.added)
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows, or hold them until a row group is full."""
        self.write_batch(_batch(self._schema, self._extra, chunk, added))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Write rows that have the table's schema."""
        self._held.append(batch)
        self.rows_written += batch.num_rows
        if (
            sum(held.num_rows for held in self._held) >= _GROUP_ROWS
            or sum(b.nbytes for b in self._held) >= _GROUP_BYTES
        ):
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
