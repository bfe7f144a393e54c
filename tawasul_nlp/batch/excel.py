"""Read a sheet of an Excel workbook a chunk at a time, its cells as the text that they show.

Needs openpyxl (extra ``excel``). A workbook is a zip archive: it is measured before anything in it is unpacked.
"""

from __future__ import annotations

import datetime as dt
import lzma
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.delimited import MAX_RECORD_CHARS
from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.intake import Parsed, check_width, distinct_names, gather
from tawasul_nlp.batch.rows import CHUNK_ROWS, START, Chunk, Position, Reject, to_cell, to_json

if TYPE_CHECKING:
    import pyarrow as pa

# A full sheet of a million cases unpacks to about two gigabytes; XML of a real workbook shrinks 5 to 30 times.
MAX_UNPACKED = 4 << 30
MAX_STRINGS = 1 << 30  # openpyxl holds the workbook's table of strings in memory
MAX_RATIO = 200
_SMALL = 1 << 20  # of a part that is small, the ratio means nothing
_MAX_PARTS = 10_000
MAX_ROWS = 1_048_576
# What openpyxl, the XML parser and zipfile raise at a part that is damaged, encrypted or packed in an unknown way.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    EOFError,
)
_PADDED = re.compile(r"0{2,}")  # a number format such as 000000000, which people use for CPR numbers


class ExcelReader:
    """Read one sheet: its first row that is not empty is the header, rows without any value are not rows.

    A number shows without a needless ``.0`` and with the zeros that its format puts in front, a date as ISO 8601.
    A formula shows the value that was computed when the workbook was saved.

    Parameters
    ----------
    path : Path
    sheet : str or None
        None for the first one.

    Raises
    ------
    TableError
        If the file is no workbook, unpacks to more than a workbook would, or has no such sheet.
    ModuleNotFoundError
        If openpyxl is not installed.
    """

    def __init__(self, path: Path, sheet: str | None) -> None:
        self._path = path
        self._total = 0
        self._line = 0
        check_archive(path)
        with _workbook(path) as book:
            sheets = [found.title for found in book.worksheets]
            if sheet is not None and sheet not in sheets:
                raise TableError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, sheets))}")
            if not sheets:
                raise TableError(f"{path} has no sheet with cells")
            self.sheet = sheet if sheet is not None else sheets[0]
            header = next(self._rows(book), None)
            if header is None:
                raise TableError(f"the sheet {self.sheet!r} of {path} is empty")
        self._header_row, names = header
        while names and not names[-1]:
            names.pop()
        check_width(path, len(names))
        self.columns, self.notes = distinct_names(names)
        if sheet is None and len(sheets) > 1:
            others = ", ".join(map(repr, sheets[1:6]))
            self.notes = (*self.notes, f"read is the first sheet, {self.sheet!r}; others are {others}")

    def chunks(self, max_rows: int = CHUNK_ROWS, start: Position = START) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        return gather(self._parsed(start), max_rows)

    def _parsed(self, start: Position) -> Iterator[Parsed]:
        row = start.row
        width = len(self.columns)
        with _workbook(self._path) as book:
            for line, cells in self._rows(book):
                self._line = line
                if line <= max(self._header_row, start.line):
                    continue
                row += 1
                size = sum(map(len, cells))
                item: dict[str, Any] | Reject
                if size > MAX_RECORD_CHARS:  # one text can stand in thousands of cells without making the file large
                    item = Reject(row, line, f"is longer than {MAX_RECORD_CHARS:,} characters", None)
                elif any(cells[width:]):
                    problem = f"has {len(cells)} cells where the header has {width}"
                    item = Reject(row, line, problem, to_json(cells[:width] + [cell for cell in cells[width:] if cell]))
                else:
                    item = dict(zip(self.columns, cells[:width] + [""] * (width - len(cells)), strict=True))
                yield item, line, size + width, Position(row, line)
        self._line = self._total

    def _rows(self, book: Any) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows that have a value, with their numbers in the sheet."""
        from openpyxl.cell.read_only import EMPTY_CELL

        sheet = book[self.sheet]
        self._total = sheet.max_row or 0
        sheet.reset_dimensions()  # some programs state a wrong size, and cells beyond it would be lost
        try:
            for line, cells in enumerate(sheet.rows, 1):
                if line > MAX_ROWS:
                    raise TableError(f"{self._path} has more than {MAX_ROWS:,} rows, which no sheet of Excel has")
                # A row with one cell far to the right is filled up with empty ones.
                shown = [_shown(cell) if cell is not EMPTY_CELL else "" for cell in cells]
                if any(shown):
                    yield line, shown
        except _DAMAGE as error:
            raise TableError(f"{self._path} is damaged: {error}") from error

    def fraction_read(self) -> float:
        """Return the share of the sheet's rows that were read."""
        return min(1.0, self._line / self._total) if self._total else 0.0

    def schema(self) -> pa.Schema:
        """Return the schema: every column is text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Accept any column: all hold text."""


def check_archive(path: Path) -> None:
    """Raise :class:`TableError` if the parts of a workbook would unpack to more than a real one's.

    The sizes are those that the archive states. ``zipfile`` gives no more than stated, so they bound the work.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError) as error:
        raise TableError(f"{path} is not an Excel workbook that can be read: {error}") from error
    worst = max((p.file_size / max(1, p.compress_size) for p in parts if p.file_size > _SMALL), default=0.0)
    strings = max((p.file_size for p in parts if "sharedstrings" in p.filename.lower()), default=0)
    total = sum(part.file_size for part in parts)
    if len(parts) > _MAX_PARTS or total > MAX_UNPACKED or strings > MAX_STRINGS or worst > MAX_RATIO:
        raise TableError(
            f"{path} would unpack to {total:,} bytes in {len(parts):,} parts, one of them {worst:,.0f} times its "
            "packed size; that is no workbook of cases, so it was not opened. If it is yours, save the sheet as "
            "'CSV UTF-8'"
        )


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "reading Excel workbooks needs openpyxl; install it with: pip install 'tawasul-nlp[excel]'"
        ) from error
    with path.open("rb") as file:  # a file has no name whose ending openpyxl could mind
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of charts and styles that it leaves out
                book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # openpyxl raises whatever its XML parser does
            reason = str(error).partition("\n")[0]
            raise TableError(f"{path} is not an Excel workbook that can be read: {reason}") from error
        try:
            yield book
        finally:
            book.close()


def _shown(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and _PADDED.fullmatch(cell.number_format or ""):
        return str(value).zfill(len(cell.number_format))
    return to_cell(value)
