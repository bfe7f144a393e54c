"""Read a sheet of an Excel workbook a chunk at a time, its cells as the text that they show.

A workbook is a zip archive: it is measured before anything in it is unpacked.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.delimited import MAX_RECORD_CHARS
from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.intake import Parsed, distinct_names, gather
from tawasul_nlp.batch.rows import CHUNK_ROWS, START, Chunk, Position, Reject, to_json
from tawasul_nlp.batch.workbook import open_workbook

if TYPE_CHECKING:
    import pyarrow as pa

# A full sheet of a million cases unpacks to about two gigabytes; XML of a real workbook shrinks 5 to 30 times.
MAX_UNPACKED = 4 << 30
MAX_STRINGS = 1 << 30  # the workbook's table of strings lies in a temporary file
MAX_RATIO = 200
_SMALL = 1 << 20  # of a part that is small, the ratio means nothing
_MAX_PARTS = 10_000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the standard knows


class ExcelReader:
    """Read one sheet: its first row that is not empty is the header, rows without any value are not rows.

    A number shows without a needless ``.0`` and with the zeros that its format puts in front, a date as ISO 8601.
    A formula shows the value that was computed when the workbook was saved.

    Parameters
    ----------
    path : Path
    sheet : str or None
        None for the first one that is not hidden.

    Raises
    ------
    TableError
        If the file is no workbook, unpacks to more than a workbook would, or has no such sheet.
    """

    def __init__(self, path: Path, sheet: str | None) -> None:
        self._path = path
        self._share = 0.0
        check_archive(path)
        with open_workbook(path) as book:
            if not book.sheets:
                raise TableError(f"{path} has no sheet with cells")
            names = [found.name for found in book.sheets]
            if sheet is not None and sheet not in names:
                raise TableError(f"{path} has no sheet {sheet!r}; its sheets are {', '.join(map(repr, names))}")
            shown = [found.name for found in book.sheets if found.visible] or names
            self.sheet = sheet if sheet is not None else shown[0]
            self._at = names.index(self.sheet)
            self._header_row, header = next(
                ((line, cells) for line, cells in book.rows(book.sheets[self._at]) if cells != {}), (0, {})
            )
        if header is None:
            raise TableError(f"the header of {path} is longer than {MAX_RECORD_CHARS:,} characters")
        if not header:
            raise TableError(f"the sheet {self.sheet!r} of {path} is empty")
        self.columns, self.notes = distinct_names([header.get(at, "") for at in range(max(header) + 1)])
        if sheet is None and len(names) > 1:
            others = ", ".join([repr(name) for name in names if name != self.sheet][:5])
            self.notes = (*self.notes, f"read is the sheet {self.sheet!r}; others are {others}")

    def chunks(self, max_rows: int = CHUNK_ROWS, start: Position = START) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        return gather(self._parsed(start), max_rows)

    def _parsed(self, start: Position) -> Iterator[Parsed]:
        row = start.row
        width = len(self.columns)
        with open_workbook(self._path) as book:
            for line, cells in book.rows(book.sheets[self._at], self._see):
                if line <= max(self._header_row, start.line) or cells == {}:
                    continue
                row += 1
                item: dict[str, Any] | Reject
                if cells is None:  # one text can stand in thousands of cells without making the file large
                    item = Reject(row, line, f"is longer than {MAX_RECORD_CHARS:,} characters", None)
                    size = 0
                else:
                    values = [cells.get(at, "") for at in range(width)]
                    size = sum(map(len, cells.values()))
                    beyond = [cells[at] for at in sorted(cells) if at >= width]
                    if beyond:
                        problem = f"has {max(cells) + 1} cells where the header has {width}"
                        item = Reject(row, line, problem, to_json(values + beyond))
                    else:
                        item = dict(zip(self.columns, values, strict=True))
                yield item, line, size, Position(row, line)

    def _see(self, share: float) -> None:
        self._share = share

    def fraction_read(self) -> float:
        """Return the share of the sheet that was read."""
        return self._share

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
    packings = {part.compress_type for part in parts} - set(_PACKINGS)
    if packings:
        raise TableError(f"{path} is packed in a way that workbooks are not (number {min(packings)} of zip archives)")
    worst = max((p.file_size / max(1, p.compress_size) for p in parts if p.file_size > _SMALL), default=0.0)
    strings = max((p.file_size for p in parts if "sharedstrings" in p.filename.lower()), default=0)
    total = sum(part.file_size for part in parts)
    if len(parts) > _MAX_PARTS or total > MAX_UNPACKED or strings > MAX_STRINGS or worst > MAX_RATIO:
        raise TableError(
            f"{path} would unpack to {total:,} bytes in {len(parts):,} parts, one of them {worst:,.0f} times its "
            "packed size; that is no workbook of cases, so it was not opened. If it is yours, save the sheet as "
            "'CSV UTF-8'"
        )
