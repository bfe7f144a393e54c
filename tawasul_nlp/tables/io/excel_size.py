"""Measure a workbook before it is opened: what openpyxl would hold of it in memory.

A workbook is a zip archive of XML. openpyxl reads sheets a row at a time and the table of strings a string at a time,
and forgets their elements; of all other parts it holds every element. The same is counted here, by a parser that holds
nothing, so that a small file which would take much memory is refused.
"""

from __future__ import annotations

import zipfile
import zlib
from array import array
from pathlib import Path
from xml.parsers import expat

from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io import chunking

# A full sheet of a million cases unpacks to about two gigabytes; XML of a real workbook shrinks 5 to 30 times.
MAX_UNPACKED = 4 << 30
MAX_STRINGS = 1 << 29  # the table of strings is held in memory, a million texts of 250 Arabic letters
MAX_RATIO = 200
_SMALL = 1 << 20  # of a part that is small, the ratio means nothing
_MAX_PARTS = 10_000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the standard knows

# What a workbook may take of memory, and that for each byte of it more.
ROOM = 128 << 20
ROOM_PER_BYTE = 100
# What is held, in bytes: of an element with what openpyxl makes of it, of its attributes, of one that was let go, of a
# character. Estimates on the safe side: tests/tables/io/test_excel_reader.py holds that what passes takes no more.
_ELEMENT = 1_000
_ATTRIBUTE = 100
_LET_GO = 200
_CHAR = 2
_MAX_TAG = 1 << 20  # bytes; the parser keeps a tag until it has all of it
_BLOCK = 1 << 16

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
_ROW, _CELL, _VALUE, _STRING = f"{_MAIN} row", f"{_MAIN} c", f"{_MAIN} v", f"{_MAIN} si"
_DIGITS = "0123456789"
_MAX_DIGITS = 9  # of a number or a column that there may be
# The names by which parts are taken for sheets, strings, and copies of a pivot table's source, which nobody reads; and
# the kind that such a part must then be of wherever it is named, or it would be read in another way than measured.
_KINDS = {"worksheets/": "worksheet", "sharedStrings": "sharedStrings", "pivotCache": "pivotCache"}
_ADVICE = "If it is yours, save the sheet as 'CSV UTF-8'"


def check_archive(path: Path, *, any_size: bool = False) -> None:
    """Raise :class:`TableError` if a workbook is damaged, or would unpack to or hold more than a real one.

    It is :class:`~tawasul_nlp.tables.OversizedTableError` where a sheet has far more cells, those before a cell in a
    far column counted too, or far more text in them than the file's size lets one think; `any_size` allows that. The
    sizes are those that the archive states. ``zipfile`` gives no more than stated, so they bound the work.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive.infolist())
            _check_memory(path, archive, any_size)
    except TableError:
        raise
    except _UnreadableError as error:
        raise TableError(f"{path} is not an Excel workbook that can be read: {error}") from error
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, LookupError, EOFError) as error:
        raise TableError(f"{path} is not an Excel workbook that can be read: it is damaged: {error}") from error


def _check_sizes(path: Path, parts: list[zipfile.ZipInfo]) -> None:
    packings = {part.compress_type for part in parts} - set(_PACKINGS)
    if packings:
        raise TableError(f"{path} is packed in a way that workbooks are not (number {min(packings)} of zip archives)")
    worst = max((p.file_size / max(1, p.compress_size) for p in parts if p.file_size > _SMALL), default=0.0)
    strings = max((p.file_size for p in parts if "sharedstrings" in p.filename.lower()), default=0)
    total = sum(part.file_size for part in parts)
    if len(parts) > _MAX_PARTS or total > MAX_UNPACKED or worst > MAX_RATIO:
        raise TableError(
            f"{path} would unpack to {total:,} bytes in {len(parts):,} parts, one of them {worst:,.0f} times its "
            f"packed size; that is no workbook of cases, so it was not opened. {_ADVICE}"
        )
    if strings > MAX_STRINGS:
        raise TableError(
            f"{path} has texts of {strings:,} bytes, and {MAX_STRINGS:,} can be held in memory. Save the sheet as "
            "'CSV UTF-8', which is read a row at a time"
        )


def _check_memory(path: Path, archive: zipfile.ZipFile, any_size: bool) -> None:
    packed = path.stat().st_size
    most_cells = chunking.CELLS + chunking.CELLS_PER_BYTE * packed
    most_chars = chunking.ROOM + chunking.ROOM_PER_BYTE * packed
    strings = array("L")
    room = ROOM + ROOM_PER_BYTE * packed
    held = 0
    names = set(archive.namelist())
    for part in sorted(archive.infolist(), key=lambda part: "sharedStrings" not in part.filename):
        if "pivotCache" in part.filename:
            continue
        content = _Content(part.filename, held, names, strings)
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = content.start
        parser.EndElementHandler = content.end
        parser.CharacterDataHandler = content.text
        fed = 0
        try:
            with archive.open(part) as file:
                while block := file.read(_BLOCK):
                    parser.Parse(block)
                    fed += len(block)
                    if content.held > room or fed - parser.CurrentByteIndex > _MAX_TAG:
                        raise TableError(
                            f"{path} has {packed:,} bytes, and to read {part.filename!r} would take more than the "
                            f"{room:,} bytes of memory that such a file may; it was not opened. {_ADVICE}"
                        )
                    if not any_size and (content.cells > most_cells or content.chars > most_chars):
                        holds = f"more than {most_cells:,} cells or {most_chars:,} characters in a sheet"
                        raise OversizedTableError(path, packed, f"{holds}, the most for such a file")
                parser.Parse(b"", True)
        except expat.ExpatError as error:
            # Pictures and programs are no XML. Whoever reads another part has to stop at the same place.
            if part.filename.endswith((".xml", ".rels")):
                raise TableError(f"{path} is damaged: {part.filename!r}: {error}") from error
        held = content.held


class _UnreadableError(Exception):
    """What a workbook holds is sound, but would be read otherwise than it shows, or not at all."""


class _Content:
    """What is held of a part, in bytes, added to what is held already; and of a sheet its cells and their characters.

    ``strings`` has the length of each text in the table of strings, which comes before the sheets that point into it.
    """

    def __init__(self, name: str, held: int, names: set[str], strings: array[int]) -> None:
        self.held = held
        self.cells = self.chars = 0
        self._strings = strings
        self._pointer: str | None = None  # the number of the text that is a cell's value
        self._header = self._valued = 0  # the last columns with a value: of the header, of the row
        self._names = names
        self._names_parts = name.endswith(".rels") or name == "[Content_Types].xml"
        self._unit = ""  # the element that is read and let go
        if not self._names_parts:
            self._unit = _ROW if "worksheets/" in name else _STRING if "sharedStrings" in name else ""
        self._open = 0  # how many of them are open, one in the other
        self._before = 0  # what was held when the outermost began
        self._chars = 0  # of the outermost
        self._row = 0
        self._column = 0
        self._cell = ""  # the latest that has a name
        self._shared = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take a start tag."""
        if name == self._unit:
            if not self._open:
                self._before, self._chars = self.held, 0
            self._open += 1
            if name == _ROW:
                self._next_row(attributes)
        elif name == _CELL:
            self._next_cell(attributes)
        elif name == _VALUE and self._shared:
            self._pointer = ""
        elif self._names_parts:
            self._check_kind(attributes)
        elif name.startswith(_STRICT):  # openpyxl would see no sheet in it
            raise _UnreadableError(
                "it is saved as 'Strict Open XML Spreadsheet'; save it as 'Excel Workbook' or as 'CSV UTF-8'"
            )
        self.held += _ELEMENT + _ATTRIBUTE * len(attributes) + sum(map(len, attributes.values()))

    def end(self, name: str) -> None:
        """Take an end tag."""
        if name == self._unit:
            self._open -= 1
            if not self._open:
                self.held = self._before + _LET_GO + (_CHAR * self._chars if name == _STRING else 0)
                if name == _STRING:
                    self._strings.append(self._chars)
                else:
                    self._end_row()
        elif name == _VALUE and self._pointer is not None:
            if self._pointer.isdecimal() and int(self._pointer[:_MAX_DIGITS]) < len(self._strings):
                self.chars += self._strings[int(self._pointer)]
            self._pointer = None

    def text(self, data: str) -> None:
        """Take text, of which an element may have several pieces."""
        if self._names_parts and not data.isspace():
            raise ValueError(f"there is text, {data[:20]!r}, where its parts are named")
        self._chars += len(data)
        self.chars += len(data)
        if not data.isspace():
            self._valued = self._column
        if self._pointer is not None:
            self._pointer += data
        self.held += _CHAR * len(data)

    def _next_row(self, attributes: dict[str, str]) -> None:
        row = int(attributes.get("r", self._row + 1))
        if row <= self._row:  # openpyxl would leave it out
            raise ValueError(f"row {row} comes after row {self._row}")
        self._row, self._column, self._valued = row, 0, 0

    def _end_row(self) -> None:
        self._header = self._header or self._valued
        self.cells += max(self._column, self._header if self._valued else 0)

    def _next_cell(self, attributes: dict[str, str]) -> None:
        self._shared = attributes.get("t") == "s"
        column = 0
        for letter in attributes.get("r", "").rstrip(_DIGITS)[:_MAX_DIGITS].upper():
            column = 26 * column + ord(letter) - ord("A") + 1
        if column and column <= self._column:  # openpyxl would leave it out
            raise ValueError(f"cell {attributes['r']} comes after {self._cell or f'column {self._column}'}")
        self._cell = attributes.get("r", "")
        self._column = column or self._column + 1

    def _check_kind(self, attributes: dict[str, str]) -> None:
        kind = attributes.get("type") or attributes.get("Type") or attributes.get("ContentType", "")
        part = attributes.get("Target") or attributes.get("PartName", "")
        if "chartsheet" in kind:  # with its drawings, each of which may stand in it many times
            raise _UnreadableError("one of its sheets is a chart; remove it")
        if attributes.get("TargetMode") == "External" and part not in self._names:
            return  # an address
        kind = kind.rpartition("/")[2].rpartition("spreadsheetml.")[2]
        for name, expected in _KINDS.items():
            if name in part and not kind.startswith(expected):
                raise ValueError(f"its part {part[:100]!r} is called {kind[:100]!r} and not {expected!r}")
