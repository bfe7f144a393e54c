"""CSV: read a chunk at a time, from any row on, with rejects for what cannot be read; written by appending."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reader, Reject, is_text, to_cell
from tawasul_nlp.tables.io.chunking import TITLE_ROWS, Parsed, check_width, distinct_names, gather, title_hint
from tawasul_nlp.tables.io.delimited import DELIMITERS, join_fields, read_records, sniff_delimiter
from tawasul_nlp.tables.io.escaping import escaped
from tawasul_nlp.tables.io.formats import TableFormat
from tawasul_nlp.tables.io.layout import Layout, Sink
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.text_file import BROKEN_BYTES, TextFile


class CsvReader(Reader):
    """Read a delimited file whose first row is a header.

    Columns without a name, and columns whose name occurred before, get a name of their own (``column_3``, ``id_2``), so
    that no value is lost; ``notes`` says so. A line with nothing in it is a row only where there is one column.
    """

    nested = False

    def __init__(self, path: Path, options: ReadOptions, text_column: str | None) -> None:
        self._file = TextFile(path, options)
        self.encoding = self._file.encoding.codec
        header_row = options.header_row or 1
        self._top = header_row - 1
        self._given_delimiter = options.delimiter
        sample = self._file.sample()[self._top :]
        self._sample = sample[: TITLE_ROWS + 1]
        self.delimiter: str = options.delimiter or sniff_delimiter(sample, text_column)
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


class CsvWriter:
    """Write delimited text in UTF-8, one line end (``\\n``) a row.

    ``escaped`` counts the cells that got an apostrophe, so that no spreadsheet runs them.
    """

    def __init__(self, sink: Sink, layout: Layout, before: int | None) -> None:
        self._sink = sink
        self._layout = layout
        self.rows_written = 0
        self.escaped = 0
        if before is None:
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


CSV = TableFormat(
    name="csv",
    title="a CSV file",
    suffixes=(".csv", ".tsv", ".txt"),
    open=CsvReader,
    append=CsvWriter,
    takes=frozenset({"header_row"}),
)
