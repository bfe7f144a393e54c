"""The sheets of an Excel workbook, read as a stream: what it takes of memory does not depend on what the file holds.

A workbook is a zip archive of XML (ECMA-376). Its parts go through expat a block at a time, and only what a row holds
is kept; the table of strings, which every cell may point into, lies in temporary files when it is large.
"""

from __future__ import annotations

import datetime as dt
import posixpath
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from tawasul_nlp.batch.delimited import MAX_RECORD_CHARS
from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.intake import MAX_COLUMNS
from tawasul_nlp.batch.workbook_cells import BUILT_IN_DATES, shown_number, unescaped

MAX_ROWS = 1_048_576
_MAX_FORMATS = 100_000  # Excel has room for 65,490
_MAX_SHEETS = 10_000
_MAX_NAME = 255
_MAX_DEPTH = 64
_MAX_TAG = 1 << 20  # bytes; expat keeps a tag until it has all of it
_BLOCK = 1 << 16
_IN_MEMORY = 1 << 24
# What reading a part raises when it is damaged, encrypted or packed in a way that workbooks are not.
_DAMAGE = (zipfile.BadZipFile, zlib.error, expat.ExpatError, RuntimeError, ValueError, KeyError, EOFError)

_CELL = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet with cells: its name, its part of the archive, and whether people see it."""

    name: str
    part: str
    visible: bool


@dataclass(slots=True)
class _Row:
    """A row while it is read: its cells as they stand in the file, by column: type, number of the format, value."""

    line: int
    cells: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    chars: int = 0


class Workbook:
    """A workbook that is open; use it in a ``with`` block.

    Raises
    ------
    TableError
        If it cannot be read; so does every method.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._strings = _Strings()
        book = _Book()
        self._read("xl/workbook.xml", book)
        relations = _Relations()
        self._read("xl/_rels/workbook.xml.rels", relations)
        targets = relations.targets
        self.sheets = [
            Sheet(name, targets[relation][1], visible)
            for name, relation, visible in book.sheets
            if targets.get(relation, ("", ""))[0] == "worksheet"
        ]
        self._epoch = dt.datetime(1904, 1, 1) if book.from_1904 else dt.datetime(1899, 12, 30)
        parts = dict(targets.values())
        styles = _Styles()
        if "styles" in parts:
            self._read(parts["styles"], styles)
        self._formats = styles.formats
        self._strings_part = parts.get("sharedStrings")

    def close(self) -> None:
        """Let go of the temporary files."""
        self._strings.close()

    def rows(
        self, sheet: Sheet, share_read: Callable[[float], None] = lambda share: None
    ) -> Iterator[tuple[int, dict[int, str] | None]]:
        """Yield the rows of a sheet that have a cell: the row's number from 1, and its cells' texts by column from 0.

        Cells without a text are left out. A row has None for its cells if these hold more than a record may.
        """
        if self._strings_part is not None:
            self._read(self._strings_part, self._strings)
            self._strings_part = None
        content = _SheetContent()
        for share in self._blocks(sheet.part, content):
            share_read(share)
            for row in content.taken():
                if row.line > MAX_ROWS:
                    raise TableError(f"{self._path} has more than {MAX_ROWS:,} rows, which no sheet of Excel has")
                yield row.line, self._shown(row)

    def _shown(self, row: _Row) -> dict[int, str] | None:
        shown = {}
        room = MAX_RECORD_CHARS - row.chars
        for column, (kind, style, value) in row.cells.items():
            text = self._text(kind, style, value)
            room -= len(text) if kind == "s" else 0  # one string may stand in many cells
            if room < 0:
                return None
            if text:
                shown[column] = text
        return shown

    def _text(self, kind: str, style: int, value: str) -> str:
        if kind == "s":
            return self._strings[int(value)] if value else ""
        if kind in ("str", "inlineStr"):
            return unescaped(value)
        if kind == "b":
            return {"1": "true", "0": "false"}.get(value, value)
        if kind == "d":
            return value.replace("T", " ").removesuffix(" 00:00:00")
        if kind == "n" and value:
            return shown_number(value, self._formats[style] if style < len(self._formats) else "", self._epoch)
        return value

    def _read(self, part: str, content: _Content) -> None:
        for _ in self._blocks(part, content):
            pass

    def _blocks(self, part: str, content: _Content) -> Iterator[float]:
        """Feed a part to `content`; yield after each block, how much of the part that was."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = content.start
        parser.EndElementHandler = content.end
        parser.CharacterDataHandler = content.text
        parser.StartDoctypeDeclHandler = _no_doctype
        fed = 0
        size = self._archive.getinfo(part).file_size
        with self._archive.open(part) as file:
            while block := file.read(_BLOCK):
                parser.Parse(block)
                fed += len(block)
                if fed - parser.CurrentByteIndex > _MAX_TAG:
                    raise TableError(f"{self._path} has a tag of more than {_MAX_TAG:,} bytes, which no workbook has")
                yield fed / size
            parser.Parse(b"", True)
            yield 1.0


@contextmanager
def open_workbook(path: Path) -> Iterator[Workbook]:
    """Open a workbook, and give :class:`TableError` for all that may be wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            book = Workbook(path, archive)
            try:
                yield book
            finally:
                book.close()
    except TableError:
        raise
    except _DAMAGE as error:
        raise TableError(f"{path} is damaged: {str(error) or type(error).__name__}") from error


def _no_doctype(*_: object) -> None:
    raise ValueError("it declares a document type, which no workbook has")


class _Content:
    """What is made of a part's elements, whose names come without prefixes."""

    def __init__(self) -> None:
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take a start tag."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError(f"its elements are nested more than {_MAX_DEPTH} deep")
        self.begin(name.rpartition(":")[2], attributes)

    def end(self, name: str) -> None:
        """Take an end tag."""
        self._depth -= 1
        self.finish(name.rpartition(":")[2])

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element."""

    def finish(self, name: str) -> None:
        """End an element."""

    def text(self, data: str) -> None:
        """Take text, of which an element may have several pieces."""


class _Book(_Content):
    """``workbook.xml``: names of the sheets with their relations, and from which day days are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str, bool]] = []
        self.from_1904 = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.from_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "sheet" and len(self.sheets) < _MAX_SHEETS:
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            visible = attributes.get("state", "visible") == "visible"
            self.sheets.append((unescaped(attributes.get("name", "")[:_MAX_NAME]), relation[:_MAX_NAME], visible))


class _Relations(_Content):
    """``workbook.xml.rels``: of each relation its kind, and the part that it leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: dict[str, tuple[str, str]] = {}

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and len(self.targets) < _MAX_SHEETS and "Id" in attributes:
            kind = attributes.get("Type", "").rpartition("/")[2]
            part = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", ""))).lstrip("/")
            self.targets[attributes["Id"][:_MAX_NAME]] = (kind[:_MAX_NAME], part[:_MAX_NAME])


class _Styles(_Content):
    """``styles.xml``: the number format of each style, as far as it tells how a cell shows."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: list[str] = []
        self._codes: dict[str, str] = {}
        self._inside = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and len(self._codes) < _MAX_FORMATS:
            self._codes[attributes.get("numFmtId", "")[:_MAX_NAME]] = attributes.get("formatCode", "")[:_MAX_NAME]
        elif name == "cellXfs":
            self._inside = True
        elif name == "xf" and self._inside and len(self.formats) < _MAX_FORMATS:
            number = attributes.get("numFmtId", "0")
            self.formats.append(self._codes.get(number, BUILT_IN_DATES.get(number, "")))

    def finish(self, name: str) -> None:
        if name == "cellXfs":
            self._inside = False


class _Texts(_Content):
    """Text of ``t`` elements, without the reading aids (``rPh``) that East Asian programs put beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[str] = []
        self.chars = 0
        self._listening = self._aside = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._aside |= name == "rPh"
        self._listening = name == "t" and not self._aside

    def finish(self, name: str) -> None:
        self._aside &= name != "rPh"
        self._listening = False

    def text(self, data: str) -> None:
        if self._listening:
            self.chars += len(data)
            if self.chars <= MAX_RECORD_CHARS:
                self._pieces.append(data)

    def joined(self) -> str:
        """Return the text since the last call."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


class _Strings(_Texts):
    """``sharedStrings.xml``: the texts that cells point to, by their numbers; in files when they are many."""

    def __init__(self) -> None:
        super().__init__()
        self._data, self._ends = (tempfile.SpooledTemporaryFile(_IN_MEMORY) for _ in range(2))  # noqa: SIM115
        self._end = 0

    def finish(self, name: str) -> None:
        super().finish(name)
        if name == "si":
            # Of a text that no record may hold so much is kept that its rows are too long.
            data = (
                unescaped(self.joined()).encode() if self.chars <= MAX_RECORD_CHARS else b" " * (MAX_RECORD_CHARS + 1)
            )
            self.chars = 0
            self._data.write(data)
            self._end += len(data)
            self._ends.write(self._end.to_bytes(8))

    def __getitem__(self, number: int) -> str:
        self._ends.seek(max(0, 8 * number - 8))
        ends = self._ends.read(16 if number else 8)
        if number < 0 or len(ends) < (16 if number else 8):
            raise ValueError(f"a cell has the text number {number}, and there is none")
        start = int.from_bytes(ends[:-8])
        self._data.seek(start)
        return self._data.read(int.from_bytes(ends[-8:]) - start).decode()

    def close(self) -> None:
        self._data.close()
        self._ends.close()


class _SheetContent(_Texts):
    """A sheet's rows and cells."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[_Row] = []
        self._row = _Row(0)
        self._column = -1
        self._kind, self._style = "n", 0

    def taken(self) -> list[_Row]:
        """Return the rows that are complete and have a cell, and forget them."""
        rows, self._rows = self._rows, []
        return rows

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
            if self._column >= MAX_COLUMNS:
                raise ValueError(f"a row has more than {MAX_COLUMNS:,} cells")
            self._kind, self._style = attributes.get("t", "n")[:_MAX_NAME], int(attributes.get("s", "0"))
        elif name == "v":
            self._listening = True
        elif name == "row":
            # Rows come in their order; one that says otherwise is not lost.
            self._row = _Row(max(self._row.line + 1, int(attributes.get("r", "0"))))
            self._column = -1
            self.chars = 0
        elif name in ("t", "rPh", "is", "r"):
            super().begin(name, attributes)

    def finish(self, name: str) -> None:
        super().finish(name)
        if name == "c":
            value = self.joined()
            if value:
                self._row.cells[self._column] = (self._kind, self._style, value)
        elif name == "row" and self._row.cells:
            self._row.chars = self.chars
            self._rows.append(self._row)


def _column(reference: str) -> int:
    """Return the column of a cell, from 0.

    >>> _column("A1"), _column("XFD7")
    (0, 16383)
    """
    match = _CELL.fullmatch(reference)
    if match is None:
        raise ValueError(f"a cell is called {reference[:20]!r}")
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1
