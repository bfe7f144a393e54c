"""Read a sheet of an Excel workbook a chunk at a time, its cells as the text that they show.

Needs openpyxl and defusedxml (extra ``excel``). A workbook is a zip archive of XML, and is opened only if its
parts are declared to unpack to no more than those of a workbook of cases.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from tawasul_nlp.extras import require
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import is_text, to_cell, to_json
from tawasul_nlp.tables.io.chunk import HeaderReader, Record, Room, Shown
from tawasul_nlp.tables.io.csv import MAX_RECORD_CHARS
from tawasul_nlp.tables.io.formats import ReadOptions

MAX_ROWS = 1_048_576
# A full sheet of a million cases unpacks to about two gigabytes; XML of a real workbook shrinks 5 to 50 times.
MAX_UNPACKED = 4 << 30
MAX_STRINGS = 1 << 29  # the table of strings is held in memory, a million texts of 250 Arabic letters
MAX_HELD = 1 << 23  # and so is each other part, as styles are, of which Excel allows some 65,000
_NOT_HELD = ("worksheets/", "pivotcache")  # sheets, and copies of a pivot table's source, which are not read
MAX_RATIO = 100
_SMALL = 1 << 20  # of a part that is small, the ratio means nothing
_MAX_PARTS = 10_000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the standard knows
# So many tags may follow a row before the next one ends: twice what as many texts take as a sheet has columns.
MAX_ROW_TAGS = 200_000
_ADVICE = "If it is yours, save the sheet as 'CSV UTF-8'"
_PADDED = re.compile(r"0{2,}")  # a number format such as 000000000, which people use for CPR numbers


class ExcelReader(HeaderReader):
    """Read one sheet, without a name the first that is not hidden: its first row that is not empty is the header.

    Rows without any value are not rows.

    A number shows without a needless ``.0`` and with the zeros that its format puts in front, a date as ISO 8601.
    A formula shows the value that was computed when the workbook was saved.

    Raises
    ------
    TableError
        If the file is not a workbook, would unpack to more than one of cases, or has no such sheet.
    MissingExtraError
        If the extra ``excel`` is not installed.
    """

    def __init__(self, path: Path, options: ReadOptions, _text_column: str | None = None) -> None:
        sheet, header_row = options.sheet, options.header_row
        self._path = path
        self._fraction = 0.0
        self._room = Room(path)
        _check_archive(path)
        with _workbook(path) as book:
            names = list(book.sheets)
            if not names:
                raise TableError(
                    f"{path} has no sheet with cells. If it is saved as 'Strict Open XML Spreadsheet', save it as "
                    "'Excel Workbook' or as 'CSV UTF-8'"
                )
            if sheet is not None and sheet not in names:
                raise TableError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}")
            visible = [name for name in names if book.sheets[name].state == "visible"] or names
            self.sheet = sheet if sheet is not None else visible[0]
            begin = header_row or 1
            self._header_row, header, _ = next((row for row in self._rows(book) if row[0] >= begin), (0, [], 0))
        if header is None:
            raise TableError(f"the header of {path} is longer than {MAX_RECORD_CHARS:,} characters")
        if not header:
            below = f" from row {header_row} on" if header_row is not None else ""
            raise TableError(f"the sheet {self.sheet!r} of {path} is empty{below}")
        self._name_columns(path, header)
        if sheet is None and len(names) > 1:
            others = ", ".join([repr(name) for name in names if name != self.sheet][:5])
            self.notes = (*self.notes, f"read is the sheet {self.sheet!r}; others are {others}")

    def _records(self) -> Iterator[Record]:
        width = len(self.columns)
        all_cells = all_chars = 0
        with _workbook(self._path) as book:
            for line, cells, chars in self._rows(book):
                all_cells += max(width, len(cells or ()))
                all_chars += chars
                self._room.check(all_cells, "cells")
                self._room.check(all_chars, "characters")
                if line <= self._header_row:
                    continue
                if cells is None:  # thousands of cells can share one text without making the file large
                    yield Record(line, None, None, f"is longer than {MAX_RECORD_CHARS:,} characters")
                else:
                    yield Record(line, None, cells + [""] * (width - len(cells)))
        self._fraction = 1.0

    def _as_written(self, record: Record) -> str | None:
        width, cells = len(self.columns), record.fields
        return None if cells is None else to_json(cells[:width] + [cell for cell in cells[width:] if cell])

    def _rows(self, book: Any) -> Iterator[tuple[int, list[str] | None, int]]:
        """Yield the rows with a value: number in the sheet, cells (None if they are longer than a row may be), length.

        The last of a row's cells is not empty. openpyxl's own parser is asked, because its sheet leaves out, and does
        not report, what is not in order, and fills rows up to a cell in a far column.
        """
        from openpyxl.worksheet._reader import WorkSheetParser

        part = book.sheets[self.sheet].part
        with book.archive.open(part) as source:
            counted = _Counted(source)
            size = max(1, book.archive.getinfo(part).file_size)
            rows = WorkSheetParser(
                counted,
                book.shared_strings,
                data_only=True,
                epoch=book.wb.epoch,
                date_formats=book.wb._date_formats,
                timedelta_formats=book.wb._timedelta_formats,
            ).parse()
            last = 0
            while True:
                counted.tags = 0
                with _reading(self._path):
                    row = next(rows, None)
                    if row is None:
                        return
                    line, cells = row
                    if line <= last:
                        raise TableError(f"row {line} comes after row {last}")
                    texts, chars = _shown_row(book.wb, cells)
                last = line
                self._fraction = min(1.0, source.tell() / size)
                if line > MAX_ROWS:
                    raise TableError(f"{self._path} has more than {MAX_ROWS:,} rows, which no sheet of Excel has")
                if texts:
                    yield line, texts if chars <= MAX_RECORD_CHARS else None, chars

    def fraction_read(self) -> float:
        """Return the share of the sheet's XML that was read."""
        return self._fraction


class _Counted:
    """The XML of a sheet, which the parser holds until a row ends; so a row may not have too many tags."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.tags = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        self.tags += data.count(b"<")
        if self.tags > MAX_ROW_TAGS:
            raise TableError(f"a row has more than the {MAX_ROW_TAGS:,} tags that any row of cases has")
        return data


class _Sheet(NamedTuple):
    state: str
    part: str  # of the archive


def is_workbook(path: Path) -> bool:
    """Whether a file is a zip archive with the parts of an Excel workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.NameToInfo
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # the last of a version that there is not yet
        return False


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    require("excel", "reading Excel workbooks", "openpyxl", "defusedxml")
    with path.open("rb") as file:  # a file has no name whose ending openpyxl could mind
        with _reading(path):
            reader = _book_reader()(file, read_only=True, data_only=True, keep_links=False)
            reader.read()
        with reader.archive:
            yield reader


@cache
def _book_reader() -> Any:
    """Return openpyxl's reader, which lists the sheets and opens none.

    To open one is to search for its size; where a sheet does not state it, as ours do not, openpyxl parses the whole
    sheet for that and holds its tags.
    """
    from openpyxl.reader.excel import ExcelReader as BookReader

    class ListingReader(BookReader):
        def read_worksheets(self) -> None:
            self.sheets = {
                sheet.name: _Sheet(sheet.state, rel.target)
                for sheet, rel in self.parser.find_sheets()
                if rel.target in self.valid_files and "chartsheet" not in rel.Type
            }

    return ListingReader


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn all that openpyxl raises into :class:`TableError`, and ignore its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        # The cause of openpyxl's error is what is wrong, but a ValueError quotes the cell.
        cause = error.__cause__ or error
        reason = "a cell's value is not of its type" if type(cause) is ValueError else str(cause).partition("\n")[0]
        reason = reason or type(error).__name__
        raise TableError(f"{path} is not an Excel workbook that can be read: it is damaged: {reason}") from error


def _check_archive(path: Path) -> None:
    """Raise :class:`TableError` if a workbook would unpack to more than one of cases.

    The sizes are those that the archive states. ``zipfile`` gives no more than stated, so they bound what is parsed.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    packings = {part.compress_type for part in parts} - set(_PACKINGS)
    if packings:
        raise TableError(f"{path} is packed in a way that workbooks are not (number {min(packings)} of zip archives)")
    worst = max((p.file_size / max(1, p.compress_size) for p in parts if p.file_size > _SMALL), default=0.0)
    total = sum(part.file_size for part in parts)
    if len(parts) > _MAX_PARTS or total > MAX_UNPACKED or worst > MAX_RATIO:
        raise TableError(
            f"{path} would unpack to {total:,} bytes in {len(parts):,} parts, one of them {worst:,.0f} times its "
            f"packed size; that is not a workbook of cases, so it was not opened. {_ADVICE}"
        )
    for part in parts:
        name = part.filename.lower()
        most = MAX_STRINGS if "sharedstrings" in name else MAX_HELD
        in_memory = name.endswith((".xml", ".rels")) and not any(streamed in name for streamed in _NOT_HELD)
        if in_memory and part.file_size > most:
            raise TableError(
                f"{path} has a part {name!r} of {part.file_size:,} bytes, and {most:,} can be held in memory. Save the "
                "sheet as 'CSV UTF-8', which is read a row at a time"
            )


def _shown_row(book: Any, cells: Iterable[dict[str, Any]]) -> tuple[list[str], int]:
    """Return the texts of a row up to its last, and their length; it ends where that is more than a row may have."""
    from openpyxl.cell.read_only import ReadOnlyCell

    sheet = SimpleNamespace(parent=book)
    texts: list[str] = []
    chars = last = 0
    for cell in cells:
        column = cell["column"]
        if column <= last:
            raise TableError(f"the cell in column {column} comes after column {last}")
        last = column
        text = "" if cell["value"] is None else _shown(ReadOnlyCell(sheet, **cell))
        if text:
            chars += len(text)
            texts += [""] * (column - 1 - len(texts))
            texts.append(text)
            if chars > MAX_RECORD_CHARS:
                break
    return texts, chars


def _shown(cell: Any) -> str:
    from openpyxl.utils.escape import unescape

    value = cell.value
    if isinstance(value, str):
        text: str = unescape(value)  # what XML has no character for is written as _xHHHH_
        # A character beyond 16 bits is written as a pair of them.
        return text if is_text(text) else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dt.datetime):
        day = value if value.time() != dt.time() else value.date()
        return Shown(str(day), day)
    if isinstance(value, dt.timedelta):  # hours are counted beyond a day
        seconds = round(abs(value.total_seconds()))
        return f"{'-' if value < dt.timedelta() else ''}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Shown(to_cell(value), value) if isinstance(value, bool) else to_cell(value)
    # Excel keeps 15 digits; what files have beyond them comes from binary fractions.
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    padded = _PADDED.fullmatch(cell.number_format or "")
    return text.zfill(len(cell.number_format)) if padded else Shown(text, value)
