"""Write an Excel workbook of one sheet, a chunk at a time, however long it is.

Its bytes depend only on the rows: it has no time stamp, which openpyxl, which reads workbooks here, would store.

Texts are written as texts, so none is a formula; numbers that Excel keeps exactly, booleans and dates are what they
are, those of a workbook that was read too. The header stays in sight and filters, and a table with Arabic headings
reads from right to left, with Arabic columns for people (:mod:`~tawasul_nlp.tables.io.arabic`).
"""

from __future__ import annotations

import datetime as dt
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.arabic import ArabicView
from tawasul_nlp.tables.io.cells import is_text, to_cell
from tawasul_nlp.tables.io.chunk import MAX_COLUMNS, Chunk, Content, Shown, Written
from tawasul_nlp.tables.io.excel_reader import MAX_ROWS, ExcelReader, is_workbook
from tawasul_nlp.tables.io.formats import Layout, TableFormat

MAX_CELL = 32_767  # what a cell of Excel holds, in UTF-16 units
_EXACT = 10**15  # from here on Excel keeps only the first fifteen digits of a number

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEET = "xl/worksheets/sheet1.xml"
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/>'
        f'<Override PartName="/{_SHEET}" ContentType="{_KIND}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        "<bookViews><workbookView/></bookViews>"
        '<sheets><sheet name="cases" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font/><font><b/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill>'
        '</fills><borders count="1"><border/></borders>'
        '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="5"><xf/><xf numFmtId="14" applyNumberFormat="1"/>'
        '<xf numFmtId="22" applyNumberFormat="1"/><xf applyAlignment="1"><alignment vertical="top" wrapText="1"/></xf>'
        '<xf fontId="1" applyFont="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}
_DAY, _TIME, _WRAPPED, _HEADING = ' s="1"', ' s="2"', ' s="3"', ' s="4"'  # positions among the formats of cells
_FIRST_DAY = dt.datetime(1899, 12, 30)
_COUNTED = dt.date(1900, 3, 1)  # Excel takes 1900 for a leap year, so that earlier days are texts
# Widths of columns, in characters, by so many first rows; texts of the widest are wrapped.
_NARROWEST, _WIDEST, _SAMPLED = 8, 60, 50
_HIDDEN = ' hidden="1"'
# What XML has no character for, what it would read as a line end, and what looks like our way of writing these.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_workbook(path: Path, layout: Layout, content: Content) -> Written:
    """Write a workbook of one sheet.

    Raises :class:`TableError` if there are more rows than a sheet of Excel has.
    """
    columns = [*layout.columns, *layout.added]
    view = ArabicView(columns, layout.domain or Domain.bundled()) if layout.arabic else None

    def shown(chunk: Chunk, added: Sequence[list[Any]]) -> list[list[Any]]:
        of_rows = zip(chunk.records(), added, strict=True)
        records = [record | dict(zip(layout.added, map(added_cell, values), strict=True)) for record, values in of_rows]
        return [view.values(record) if view else [record.get(name) for name in columns] for record in records]

    parts = (shown(*part) for part in content)
    first = next(parts, [])
    headings = columns if view is None else view.columns
    widths = [_width(column) for column in zip(headings, *first[:_SAMPLED], strict=True)]
    formats = [_WRAPPED if width == _WIDEST else "" for width in widths]
    rows = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in _PARTS.items():
            archive.writestr(_entry(name), _XML + part)
        with archive.open(_entry(_SHEET), "w", force_zip64=True) as sheet:
            sheet.write((_XML + _head(widths, view)).encode() + _row(headings, [_HEADING] * len(headings)))
            for values in chain([first], parts):
                sheet.writelines(_row(row, formats) for row in values)
                rows += len(values)
                if rows >= MAX_ROWS:
                    raise TableError(
                        f"the output has more than the {MAX_ROWS - 1:,} rows that a sheet of Excel holds below its "
                        "header; write a .csv or .parquet, or split the input"
                    )
            whole = f"A1:{_letters(len(headings))}{rows + 1}"
            sheet.write(f'</sheetData><autoFilter ref="{whole}"/></worksheet>'.encode())
    return Written(rows)


def _head(widths: Sequence[int], view: ArabicView | None) -> str:
    """Return what stands before the rows: the header stays in sight, and what only programs read is hidden."""
    visible = len(widths) - (0 if view is None else len(view.hidden))
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"{"" if at <= visible else _HIDDEN}/>'
        for at, width in enumerate(widths, 1)
    )
    direction = "" if view is None else ' rightToLeft="1"'
    return (
        f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"{direction}>'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{columns}</cols><sheetData>"
    )


def _width(cells: Iterable[Any]) -> int:
    return min(_WIDEST, max(_NARROWEST, *(len(to_cell(cell)) + 3 for cell in cells)))


def _letters(column: int) -> str:
    """Return what Excel calls a column, from 1.

    >>> _letters(26), _letters(28)
    ('Z', 'AB')
    """
    above, last = divmod(column - 1, 26)
    return (_letters(above) if above else "") + chr(ord("A") + last)


def _check_columns(names: Sequence[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise TableError(
            f"the output has {len(names):,} columns, and a sheet of Excel has {MAX_COLUMNS:,}; write a .csv"
        )
    if any(_units(name) > MAX_CELL for name in names):
        raise TableError(f"a column's name is longer than the {MAX_CELL:,} characters of a cell of Excel; write a .csv")


def without_long_cells(chunk: Chunk, written: Callable[[Chunk], Chunk] | None = None) -> Chunk:
    """Return the chunk with rejects for the rows of which a cell is too long for Excel.

    What counts is the chunk as it is written: masks can be longer than what they hide.
    """
    records = (written(chunk) if written is not None else chunk).records()
    return chunk.rejecting({row: problem for row, record in enumerate(records) if (problem := _problem(record))})


def _problem(record: dict[str, Any]) -> str | None:
    for name, value in record.items():
        if value is not None and not isinstance(value, bool | int | float) and _units(to_cell(value)) > MAX_CELL:
            return (
                f"column {name!r} is longer than the {MAX_CELL:,} characters that a cell of Excel holds; "
                "write a .csv or .parquet to keep it"
            )
    return None


def _units(text: str) -> int:
    """Return the length of a text as Excel counts it."""
    return len(text) if len(text) > MAX_CELL else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # its time is the format's first
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _row(values: Iterable[Any], formats: Iterable[str]) -> bytes:
    return f"<row>{''.join(map(_cell, values, formats))}</row>".encode()


def _cell(value: Any, text_format: str = "") -> str:
    r"""Return the XML of a cell.

    >>> _cell(0.87), _cell("=1+1")
    ('<c><v>0.87</v></c>', '<c t="inlineStr"><is><t xml:space="preserve">=1+1</t></is></c>')
    >>> _cell(dt.date(2026, 3, 1))
    '<c s="1"><v>46082</v></c>'
    """
    held = value.held if isinstance(value, Shown) else value
    if isinstance(held, bool):
        return f'<c t="b"><v>{int(held)}</v></c>'
    if isinstance(held, int | float) and math.isfinite(held) and abs(held) < _EXACT:
        return f"<c><v>{held!r}</v></c>"
    if isinstance(held, dt.datetime) and held.tzinfo is None and held.date() >= _COUNTED:
        return f"<c{_TIME}><v>{(held - _FIRST_DAY) / dt.timedelta(days=1)!r}</v></c>"
    if isinstance(held, dt.date) and not isinstance(held, dt.datetime) and held >= _COUNTED:
        return f"<c{_DAY}><v>{(held - _FIRST_DAY.date()).days}</v></c>"
    text = to_cell(value)
    if not text:
        return "<c/>"
    return f'<c{text_format} t="inlineStr"><is><t xml:space="preserve">{escape(_written(text))}</t></is></c>'


def _written(text: str) -> str:
    text = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    return text if is_text(text) else text.encode("utf-8", "backslashreplace").decode()


EXCEL = TableFormat(
    name="xlsx",
    title="an Excel workbook",
    suffixes=(".xlsx",),
    read_suffixes=(".xlsm",),  # Excel opens it only with macros
    open=ExcelReader,
    write=write_workbook,
    recognises=lambda path, start: start.startswith(b"PK\x03\x04") and is_workbook(path),
    binary=True,
    check_columns=_check_columns,
    fitting=without_long_cells,
    takes=frozenset({"sheet", "header_row"}),
)
