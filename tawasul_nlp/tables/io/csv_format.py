"""Read CSV a chunk at a time, from any row on; what cannot be read comes out as rejects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reject, is_text
from tawasul_nlp.tables.io.chunking import TITLE_ROWS, Parsed, check_width, distinct_names, gather, title_hint
from tawasul_nlp.tables.io.delimited import DELIMITERS, read_records, sniff_delimiter
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.text_file import BROKEN_BYTES, TextFile, encoding_of

if TYPE_CHECKING:
    import pyarrow as pa


class CsvReader:
    """Read a delimited file whose first row is a header.

    Columns without a name, and columns whose name occurred before, get a name of their own (``column_3``, ``id_2``), so
    that no value is lost; ``notes`` says so. A line with nothing in it is a row only where there is one column.
    """

    def __init__(self, path: Path, options: ReadOptions, text_column: str | None) -> None:
        self.encoding = encoding_of(path, options.encoding)
        self._file = TextFile(path, self.encoding)
        header_row = options.header_row or 1
        self._top = header_row - 1
        self._given_delimiter = options.delimiter
        sample = self._file.sample()[self._top :]
        self._sample = sample[: TITLE_ROWS + 1]
        self.delimiter = options.delimiter or sniff_delimiter(sample, text_column)
        header = next(read_records(sample, self.delimiter), None)
        if header is None:
            below = f" in its first lines from line {header_row} on" if header_row > 1 else ""
            raise TableError(f"{path} has no header line{below}")
        if header.fields is None:
            raise TableError(f"the header of {path} cannot be read: {header.problem}")
        if not is_text(header.raw):
            raise TableError(f"the header of {path} {BROKEN_BYTES}; name it with --encoding")
        check_width(path, len(header.fields))
        self._header = header
        self.columns, self.notes = distinct_names(header.fields)

    def chunks(
        self, max_rows: int = CHUNK_ROWS, start: Position = START, first_rows: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        width = len(self.columns)
        begin = start == START
        lines = self._file.lines(start)
        if begin:
            above = list(islice(lines, self._top))
            start = Position(0, len(above), sum(map(self._file.size, above)))
        records = read_records(lines, self.delimiter, self._file.size, blank_is_record=width == 1)
        if begin:
            next(record for record in records if record.raw.strip("\r\n"))  # the header

        def parsed() -> Iterator[Parsed]:
            for row, record in enumerate(records, start.row + 1):
                end = Position(row, start.line + record.lines, start.byte + record.size)
                problem = record.problem
                if not is_text(record.raw):
                    problem = BROKEN_BYTES
                elif record.fields is not None and len(record.fields) != width:
                    problem = f"has {_fields(len(record.fields))} where the header has {width}"
                line = start.line + record.line
                item: dict[str, Any] | Reject
                if problem is None and record.fields is not None:
                    item = dict(zip(self.columns, record.fields, strict=True))
                else:
                    item = Reject(row, line, problem or "cannot be read", self._file.shown(record.raw))
                yield item, line, len(record.raw), end

        return gather(parsed(), max_rows, start, first_rows)

    def fraction_read(self) -> float:
        """Return the share of the file that was read."""
        return self._file.fraction_read()

    def schema(self) -> pa.Schema:
        """Return the schema: every column is text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Accept any column: all hold text."""

    def hint(self, wanted: str | None) -> str:
        """Say which row is the header, if the one that was taken for it looks like a title."""
        below = self._sample[self._header.lines :]
        for delimiter in [self._given_delimiter] if self._given_delimiter is not None else DELIMITERS:
            records = read_records(below, delimiter)
            rows = ((self._top + self._header.lines + record.line, record.fields or []) for record in records)
            if hint := title_hint(rows, self._header.fields or [], wanted):
                return hint
        return ""


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"
