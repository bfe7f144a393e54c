"""Split delimited text into records, survive the faults that real exports have, and write it again.

The ``csv`` module is not used for reading, for three reasons: a quote that is never closed makes it swallow the rest of
the file, it refuses cells over a limit that is global to the process, and it does not give the raw text of a record. On
well-formed input this module gives what ``csv.reader(strict=True)`` gives; the tests compare the two.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import escaped, is_text, to_cell
from tawasul_nlp.tables.io.chunk import (
    Content,
    HeaderReader,
    Record,
    Written,
)
from tawasul_nlp.tables.io.formats import Layout, ReadOptions, TableFormat
from tawasul_nlp.tables.io.text_file import BROKEN_BYTES, TextReader

DELIMITERS = (",", ";", "\t", "|")

# A record longer than this is taken for a quote that was never closed. The longest text that the classifier accepts
# with comfort is a million characters, and nobody types a thousand lines into a complaint.
MAX_RECORD_LINES = 1000
_NAMED_DELIMITER = re.compile(r"\ufeff?sep=(.)\s*", re.IGNORECASE)  # a first line for Excel
MAX_RECORD_CHARS = 4 * 1024 * 1024


def split_fields(record: str, delimiter: str) -> list[str] | None:
    r"""Split one record into fields; None when a quoted field is open at its end, so that it goes on in the next line.

    Raises ``ValueError`` if text follows a closing quote.

    Examples
    --------
    >>> split_fields('12,"قال ""لا"", ثم مشى"\n', ",")
    ['12', 'قال "لا", ثم مشى']
    >>> split_fields('12,"لم ينته', ",") is None
    True
    """
    end = len(record)
    if record.endswith("\n"):
        end -= 1
    if record.endswith("\r", 0, end):
        end -= 1
    body = record[:end]
    if '"' not in body:
        return body.split(delimiter)
    fields = []
    start = 0
    while True:
        if body.startswith('"', start):
            close = body.find('"', start + 1)
            while close >= 0 and body.startswith('"', close + 1):
                close = body.find('"', close + 2)
            if close < 0:
                return None
            fields.append(body[start + 1 : close].replace('""', '"'))
            start = close + 1
            if start < end and body[start] != delimiter:
                raise ValueError("text follows a closing quote; a quote inside a quoted field must be doubled")
        else:
            stop = body.find(delimiter, start)
            stop = end if stop < 0 else stop
            fields.append(body[start:stop])
            start = stop
        if start >= end:
            return fields
        start += 1


def join_fields(fields: Iterable[str], delimiter: str) -> str:
    r"""Return the fields as one record, with its line end; :func:`split_fields` gives them back.

    ``csv.writer`` leaves a lone carriage return unquoted before Python 3.13, which every reader takes for a row's end.

    >>> join_fields(["12", "سطر\rآخر", "أ,ب"], ",")
    '12,"سطر\rآخر","أ,ب"\n'
    """
    cells = list(fields)
    line = delimiter.join(cells)
    if '"' in line or "\n" in line or "\r" in line or line.count(delimiter) != len(cells) - 1:
        marks = (delimiter, '"', "\n", "\r")
        line = delimiter.join(
            '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in marks) else cell for cell in cells
        )
    return (line or '""') + "\n"  # an empty line would be no record


def read_records(
    lines: Iterable[str], delimiter: str, *, blank_is_record: bool = False, above: int = 0
) -> Iterator[Record]:
    r"""Yield the records of a delimited file; lines with nothing in them are not records.

    A quote that is never closed costs its own line only: reading continues with the next one. A line with nothing in it
    can be a record of one empty field, unless only such lines follow; so it is in a file of one column, where most
    programs write an empty cell like that. So many lines are `above` the first.

    Examples
    --------
    >>> broken = ['1,"لم ينته\n', "2,سليم\n"]
    >>> [(r.line, r.fields, r.problem) for r in read_records(broken, ",")]
    [(1, None, 'a quote is opened and never closed'), (2, ['2', 'سليم'], None)]
    """
    source = _Lines(lines, delimiter)
    blanks: list[str] = []
    number = above
    while (line := source.take()) is not None:
        if line in ("\n", "\r\n", "\r"):
            if blank_is_record:
                blanks.append(sys.intern(line))  # there may be many
            else:
                number += 1
            continue
        for blank in blanks:
            number += 1
            yield Record(number, blank, [""])
        blanks.clear()
        number += 1
        first, raw = number, line
        fields: list[str] | None = None
        problem: str | None = None
        try:
            if len(line) > MAX_RECORD_CHARS:
                raise ValueError(f"is longer than {MAX_RECORD_CHARS:,} characters")
            fields = split_fields(line, delimiter)
            if fields is None:
                rest = source.take_to_quote(len(line))
                number += len(rest)
                raw = "".join([line, *rest])
                fields = split_fields(raw, delimiter)
        except ValueError as error:
            problem = str(error)
        yield Record(first, raw, fields, problem if is_text(raw) else BROKEN_BYTES)


class _Lines:
    """Lines, of which those after a quote that was left open can be looked at before they are taken.

    Whether a quote that is open where a line begins is still open where the line ends, does not depend on the lines
    before. So each line is looked at once, however many quotes before it are opened in vain.
    """

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._source = iter(lines)
        self._delimiter = delimiter
        self._ahead: deque[str] = deque()
        # So many of the lines ahead leave the quote open; after them comes at most one, which breaks the rules.
        self._open = 0
        self._open_chars = 0
        self._broken: str | None = None

    def take(self) -> str | None:
        """Return the next line; None at the end."""
        if not self._ahead:
            return next(self._source, None)
        line = self._ahead.popleft()
        if self._open:
            self._open -= 1
            self._open_chars -= len(line)
        else:
            self._broken = None
        return line

    def take_to_quote(self, chars: int) -> list[str]:
        """Take the lines up to the one that closes a quote and ends the record; `chars` come before them.

        Raises ``ValueError`` if there is none in reach; no line is taken then.
        """
        while True:
            if self._open + 1 >= MAX_RECORD_LINES or chars + self._open_chars >= MAX_RECORD_CHARS:
                raise ValueError("a quote is opened and never closed")
            if self._broken is not None:
                raise ValueError(self._broken)
            line = next(self._source, None)
            if line is None:
                raise ValueError("a quote is opened and never closed")
            self._ahead.append(line)
            try:
                closed = '"' in line and split_fields('"' + line, self._delimiter) is not None
            except ValueError as error:
                self._broken = str(error)
                continue
            if closed:
                taken = list(self._ahead)
                self._ahead.clear()
                self._open = self._open_chars = 0
                return taken
            self._open += 1
            self._open_chars += len(line)


def sniff_delimiter(lines: list[str], wanted: str | None = None) -> str:
    r"""Choose the delimiter under which the first lines form the most regular table.

    One under which the header has the column that is wanted goes before all others. A file of one column gets one that
    splits none of its rows.

    Examples
    --------
    >>> sniff_delimiter(["id;text\n", "1;الماي مقطوع، من أمس\n"])
    ';'
    >>> sniff_delimiter(["text\n", "الماي مقطوع, من أمس\n"])
    ';'
    """

    def merit(delimiter: str) -> tuple[bool, bool, float, int]:
        table = [record.fields for record in read_records(lines, delimiter)]
        header = table[0] if table and table[0] else []
        body = table[1:-1] if len(table) > 2 else table[1:]  # the sample's last row may be cut
        regular = sum(fields is not None and len(fields) == len(header) for fields in body)
        share = regular / len(body) if body else 1.0
        return wanted is not None and wanted in header, len(header) > 1 and share > 0.5, share, len(header)

    return max(DELIMITERS, key=merit)


class CsvReader(TextReader, HeaderReader):
    """Read a delimited file whose first row is a header.

    Columns without a name, and columns whose name occurred before, get a name of their own (``column_3``, ``id_2``), so
    that no value is lost; ``notes`` says so. A line with nothing in it is a row only where there is one column.
    """

    def __init__(self, path: Path, options: ReadOptions, text_column: str | None) -> None:
        super().__init__(path, options.encoding)
        header_row = options.header_row or 1
        self._top = header_row - 1
        delimiter = options.delimiter
        sample = self.sample()
        named = _NAMED_DELIMITER.fullmatch(sample[0]) if sample else None
        if named is not None:
            self._top = max(self._top, 1)
            delimiter = options.delimiter or named[1]
        sample = sample[self._top :]
        self.delimiter: str = delimiter or sniff_delimiter(sample, text_column)
        header = next(read_records(sample, self.delimiter, above=self._top), None)
        if header is None:
            below = f" in its first lines from line {header_row} on" if header_row > 1 else ""
            raise TableError(f"{path} has no header line{below}")
        if header.problem == BROKEN_BYTES:
            raise TableError(f"the header of {path} {BROKEN_BYTES}; name it with --encoding")
        if header.fields is None:
            raise TableError(f"the header of {path} cannot be read: {header.problem}")
        self._header_line = header.line
        self._name_columns(path, header.fields)

    def _records(self) -> Iterator[Record]:
        lines = islice(self.lines(), self._top, None)
        records = read_records(lines, self.delimiter, blank_is_record=len(self.columns) == 1, above=self._top)
        return (record for record in records if record.line > self._header_line)

    def _as_written(self, record: Record) -> str | None:
        return self.shown(record.raw or "")


def write_csv(path: Path, layout: Layout, content: Content) -> Written:
    """Write delimited text in UTF-8, one line end (``\\n``) a row; no spreadsheet runs a cell of it."""
    rows = changed = 0
    with path.open("wb") as file:
        file.write(codecs.BOM_UTF8 if layout.bom else b"")
        for cells in _rows_of_cells(layout, content):
            safe = [escaped(cell) for cell in cells]
            changed += sum(one is not other for one, other in zip(cells, safe, strict=True))
            file.write(join_fields(safe, layout.delimiter).encode())
            rows += 1
    return Written(rows - 1, changed)


def _rows_of_cells(layout: Layout, content: Content) -> Iterator[list[str]]:
    """Yield the header and the rows."""
    yield [*layout.columns, *layout.added]
    for chunk, added in content:
        for record, values in zip(chunk.records(), added, strict=True):
            yield [
                *(to_cell(record.get(name)) for name in layout.columns),
                *(to_cell(added_cell(value)) for value in values),
            ]


CSV = TableFormat(
    name="csv",
    title="a CSV file",
    suffixes=(".csv", ".tsv", ".txt"),
    open=CsvReader,
    write=write_csv,
    takes=frozenset({"header_row"}),
)
