"""Read a sheet of an Excel workbook a chunk at a time, its cells as the text that they show.

Needs openpyxl and defusedxml (extra ``excel``). A workbook is measured before it is opened (``excel_size.py``).
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.extras import require
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reject, is_text, to_cell, to_json
from tawasul_nlp.tables.io.chunking import TITLE_ROWS, Parsed, check_width, distinct_names, gather, title_hint
from tawasul_nlp.tables.io.delimited import MAX_RECORD_CHARS
from tawasul_nlp.tables.io.excel_size import check_archive
from tawasul_nlp.tables.io.options import ReadOptions

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 1_048_576
_PADDED = re.compile(r"0{2,}")  # a number format such as 000000000, which people use for CPR numbers


class ExcelReader:
    """Read one sheet: its first row that is not empty is the header, rows without any value are not rows.

    A number shows without a needless ``.0`` and with the zeros that its format puts in front, a date as ISO 8601.
    A formula shows the value that was computed when the workbook was saved.

    Parameters
    ----------
    path : Path
    options : ReadOptions
        Without a sheet's name the first one that is not hidden is read.

    Raises
    ------
    TableError
        If the file is no workbook, would take more memory than a workbook of its size, or has no such sheet.
    MissingExtraError
        If the extra ``excel`` is not installed.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        sheet, header_row = options.sheet, options.header_row
        self._path = path
        self._total = 0
        self._line = 0
        check_archive(path, any_size=options.any_size)
        with _workbook(path) as book:
            names = [found.title for found in book.worksheets]
            if not names:
                raise TableError(f"{path} has no sheet with cells")
            if sheet is not None and sheet not in names:
                raise TableError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}")
            shown = [found.title for found in book.worksheets if found.sheet_state == "visible"] or names
            self.sheet = sheet if sheet is not None else shown[0]
            begin = header_row or 1
            self._header_row, header = next((row for row in self._rows(book) if row[0] >= begin), (0, []))
        if header is None:
            raise TableError(f"the header of {path} is longer than {MAX_RECORD_CHARS:,} characters")
        if not header:
            below = f" from row {header_row} on" if header_row is not None else ""
            raise TableError(f"the sheet {self.sheet!r} of {path} is empty{below}")
        check_width(path, len(header))
        self._header = header
        self.columns, self.notes = distinct_names(header)
        if sheet is None and len(names) > 1:
            others = ", ".join([repr(name) for name in names if name != self.sheet][:5])
            self.notes = (*self.notes, f"read is the sheet {self.sheet!r}; others are {others}")

    def chunks(
        self, max_rows: int = CHUNK_ROWS, start: Position = START, first_rows: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        return gather(self._parsed(start), max_rows, start, first_rows)

    def _parsed(self, start: Position) -> Iterator[Parsed]:
        row = start.row
        width = len(self.columns)
        with _workbook(self._path) as book:
            for line, cells in self._rows(book):
                self._line = line
                if line <= max(self._header_row, start.line):
                    continue
                row += 1
                size = 0
                item: dict[str, Any] | Reject
                if cells is None:  # one text can stand in thousands of cells without making the file large
                    item = Reject(row, line, f"is longer than {MAX_RECORD_CHARS:,} characters", None)
                else:
                    size = sum(map(len, cells))
                    values = cells[:width] + [""] * (width - len(cells))
                    if len(cells) > width:
                        problem = f"has {len(cells)} cells where the header has {width}"
                        item = Reject(row, line, problem, to_json(values + [cell for cell in cells[width:] if cell]))
                    else:
                        item = dict(zip(self.columns, values, strict=True))
                yield item, line, size, Position(row, line)
        self._line = self._total

    def _rows(self, book: Any) -> Iterator[tuple[int, list[str] | None]]:
        """Yield the rows that have a value, with their numbers in the sheet; None if it is longer than a row may be.

        The last of a row's cells is not empty.
        """
        sheet = book[self.sheet]
        self._total = sheet.max_row or 0
        sheet.reset_dimensions()  # some programs state a wrong size, and cells beyond it would be lost
        rows = (found for found in enumerate(sheet.iter_rows(), 1) if found[1] or found[0] > MAX_ROWS)
        while True:
            with _reading(self._path):
                line, cells = next(rows, (0, ()))
                shown, chars = _shown_row(cells)
            if not line:
                return
            if line > MAX_ROWS:
                raise TableError(f"{self._path} has more than {MAX_ROWS:,} rows, which no sheet of Excel has")
            if shown:
                yield line, shown if chars <= MAX_RECORD_CHARS else None

    def fraction_read(self) -> float:
        """Return the share of the sheet's rows that were read."""
        return min(1.0, self._line / self._total) if self._total else 0.0

    def schema(self) -> pa.Schema:
        """Return the schema: every column is text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Accept any column: all hold text."""

    def hint(self, wanted: str | None) -> str:
        """Say which row is the header, if the one that was taken for it looks like a title."""
        with _workbook(self._path) as book:
            below = ((line, cells or []) for line, cells in self._rows(book) if line > self._header_row)
            return title_hint(islice(below, TITLE_ROWS), self._header, wanted)


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    require("excel", "reading Excel workbooks", "openpyxl", "defusedxml")
    from openpyxl import load_workbook

    with path.open("rb") as file:  # a file has no name whose ending openpyxl could mind
        with _reading(path):
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            yield book
        finally:
            book.close()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Give :class:`TableError` for all that openpyxl raises, and no warnings of what it leaves out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        # openpyxl says where it was, and what it met was the cause; a number that is none is quoted there.
        cause = error.__cause__ or error
        reason = "a cell's value is not of its type" if type(cause) is ValueError else str(cause).partition("\n")[0]
        reason = reason or type(error).__name__
        raise TableError(f"{path} is not an Excel workbook that can be read: it is damaged: {reason}") from error


def _shown_row(cells: Iterable[Any]) -> tuple[list[str], int]:
    """Return the texts of a row up to its last, and their length; it ends where that is more than a row may have."""
    shown: list[str] = []
    chars = 0
    for at, cell in enumerate(cells):
        text = "" if cell.value is None else _shown(cell)
        if text:
            chars += len(text)
            shown += [""] * (at - len(shown))
            shown.append(text)
            if chars > MAX_RECORD_CHARS:
                break
    return shown, chars


def _shown(cell: Any) -> str:
    from openpyxl.utils.escape import unescape

    value = cell.value
    if isinstance(value, str):
        text: str = unescape(value)  # what XML has no character for stands as _xHHHH_
        # A character beyond 16 bits stands as a pair of them.
        return text if is_text(text) else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    if isinstance(value, dt.timedelta):  # hours are counted beyond a day
        seconds = round(abs(value.total_seconds()))
        return f"{'-' if value < dt.timedelta() else ''}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return to_cell(value)
    # Excel keeps 15 digits; what files have beyond them comes from binary fractions.
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    return text.zfill(len(cell.number_format)) if _PADDED.fullmatch(cell.number_format or "") else text
