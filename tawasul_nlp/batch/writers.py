"""Write CSV, JSONL and Parquet a chunk at a time, the added columns after the table's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.columns import ADDED_COLUMNS, added_cell, added_schema
from tawasul_nlp.batch.delimited import join_fields
from tawasul_nlp.batch.rows import Chunk, Reader, Writer, to_cell, to_json
from tawasul_nlp.batch.sniff import Format

if TYPE_CHECKING:
    import pyarrow as pa

# Small row groups make a Parquet file large and slow to read; this many rows are held back to fill one.
_GROUP_ROWS = 65_536
_GROUP_BYTES = 64 * 1024 * 1024


def open_writer(
    path: Path,
    format: Format,
    reader: Reader,
    added: Sequence[str],
    *,
    types: Mapping[str, str] = ADDED_COLUMNS,
    delimiter: str = ",",
    mark: bool = False,
) -> Writer:
    """Open a table for writing.

    Parameters
    ----------
    path : Path
        The file; it is overwritten.
    format : {"csv", "jsonl", "parquet"}
        What to write.
    reader : Reader
        The source of the rows, for its columns and types.
    added : sequence of str
        Names of the added columns, in the order of `types`.
    types : mapping of str to str
        The added columns' plain names and types: :data:`~tawasul_nlp.batch.columns.ADDED_COLUMNS` or ``GROUP_COLUMNS``.
    delimiter : str
        For CSV.
    mark : bool
        For CSV: begin the file with a byte-order mark, by which Excel knows UTF-8.
    """
    if format == "csv":
        return CsvWriter(path, reader.columns, added, delimiter=delimiter, mark=mark)
    if format == "jsonl":
        return JsonlWriter(path, added)
    return ParquetWriter(path, reader.schema(), added, types)


class CsvWriter:
    """Write delimited text in UTF-8, one line end (``\\n``) a row."""

    def __init__(self, path: Path, columns: Sequence[str], added: Sequence[str], *, delimiter: str, mark: bool) -> None:
        self._columns = tuple(columns)
        self._file = path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="")
        self._delimiter = delimiter
        self._file.write(join_fields([*self._columns, *added], delimiter))
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows."""
        for record, values in zip(chunk.records(), added, strict=True):
            own = [to_cell(record.get(name)) for name in self._columns]
            cells = own + [to_cell(added_cell(value)) for value in values]
            self._file.write(join_fields(cells, self._delimiter))
            self.rows_written += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class JsonlWriter:
    """Write one JSON object a line, Arabic unescaped; a key that a row lacks stays absent."""

    def __init__(self, path: Path, added: Sequence[str]) -> None:
        self._added = tuple(added)
        self._file = path.open("w", encoding="utf-8", newline="")
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows."""
        for record, values in zip(chunk.records(), added, strict=True):
            self._file.write(to_json(record | dict(zip(self._added, values, strict=True))) + "\n")
            self.rows_written += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class ParquetWriter:
    """Write Parquet; a typed source's columns keep their types and its schema's metadata."""

    def __init__(
        self, path: Path, schema: pa.Schema, added: Sequence[str], types: Mapping[str, str] = ADDED_COLUMNS
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._own = schema
        self._extra = added_schema(added, types)
        self._schema = pa.schema([*schema, *self._extra], metadata=schema.metadata)
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []
        self.rows_written = 0

    def write(self, chunk: Chunk, added: Sequence[list[Any]]) -> None:
        """Write the chunk's rows, or hold them until a row group is full."""
        import pyarrow as pa

        if isinstance(chunk.rows, list):
            own = [self._column(chunk.column(field.name), field) for field in self._own]
        else:
            own = chunk.rows.columns
        columns = zip(*added, strict=True) if added else [[] for _ in self._extra]
        extra = [pa.array(list(values), field.type) for values, field in zip(columns, self._extra, strict=True)]
        batch = pa.RecordBatch.from_arrays([*own, *extra], schema=self._schema)
        self._held.append(batch)
        self.rows_written += batch.num_rows
        if (
            sum(held.num_rows for held in self._held) >= _GROUP_ROWS
            or sum(b.nbytes for b in self._held) >= _GROUP_BYTES
        ):
            self._flush()

    @staticmethod
    def _column(values: list[Any], field: pa.Field) -> pa.Array:
        import pyarrow as pa

        if pa.types.is_string(field.type):
            values = [value if value is None or isinstance(value, str) else to_json(value) for value in values]
        return pa.array(values, field.type)

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._file.write_table(pa.Table.from_batches(self._held, self._schema))
            self._held = []

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._file.close()
