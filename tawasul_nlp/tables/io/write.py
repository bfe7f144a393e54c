"""Write rows that were made here, not read from a table, in any format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Chunk
from tawasul_nlp.tables.io.files import PendingFile
from tawasul_nlp.tables.io.formats import Layout, WriteOptions, known_format, output_format

if TYPE_CHECKING:
    import pyarrow as pa


def write_records(
    path: str | Path,
    types: Mapping[str, str],
    records: Iterable[Mapping[str, Any]],
    write: WriteOptions = WriteOptions(),
) -> int:
    """Write records to a CSV, JSONL, Parquet or Excel file, which replaces what is there when it is complete.

    Parameters
    ----------
    path : str or Path
    types : mapping of str to str
        The columns, with their Arrow types.
    records : iterable of mapping
        Each with a value for every column.
    write : WriteOptions
        Its ``format``, ``raw_cells`` and ``bom``.

    Returns
    -------
    int
        The number of records.

    Raises
    ------
    TableError
        If the file cannot be written, or its name says no format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_records(f"{folder}/names.csv", {"name": "string", "rows": "int64"}, [{"name": "الأشغال", "rows": 3}])
    1
    """
    path = Path(path)
    format = output_format(path) if write.format is None else known_format(write.format)
    columns = tuple(types)
    layout = Layout(format, columns, lambda: _schema(types), (), {}, bom=write.bom, raw_cells=write.raw_cells)
    with disk_errors(), PendingFile(path) as pending:
        written = format.write(pending.path, layout, ((chunk, [[]] * len(chunk.rows)) for chunk in _chunks(records)))
        pending.publish()
    return written.rows


def _chunks(records: Iterable[Mapping[str, Any]]) -> Iterator[Chunk]:
    waiting, done = iter(records), 0
    while rows := [dict(row) for row in islice(waiting, CHUNK_ROWS)]:
        numbers = range(done + 1, done + len(rows) + 1)
        done += len(rows)
        yield Chunk(numbers, rows, ())


def _schema(types: Mapping[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])
