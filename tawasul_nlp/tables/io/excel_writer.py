"""Write an Excel workbook of one sheet, a chunk at a time, however long it is.

Its bytes depend only on the rows: it has no time stamp, which openpyxl, which reads workbooks here, would store.

Texts are written as texts, so none is a formula; numbers that Excel keeps exactly and booleans are what they are.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import is_text, to_cell
from tawasul_nlp.tables.io.chunk import MAX_COLUMNS, Chunk, Content, Written
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
        f'<Override PartName="/{_SHEET}" ContentType="{_KIND}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="cases" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}
_HEAD = f'<worksheet xmlns="{_MAIN}"><sheetData>'
_TAIL = "</sheetData></worksheet>"
# What XML has no character for, what it would read as a line end, and what looks like our way of writing these.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def write_workbook(path: Path, layout: Layout, content: Content) -> Written:
    """Write a workbook of one sheet.

    Raises :class:`TableError` if there are more rows than a sheet of Excel has.
    """
    rows = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in _PARTS.items():
            archive.writestr(_entry(name), _XML + part)
        with archive.open(_entry(_SHEET), "w", force_zip64=True) as sheet:
            sheet.write((_XML + _HEAD).encode() + _row([*layout.columns, *layout.added]))
            for chunk, added in content:
                for record, values in zip(chunk.records(), added, strict=True):
                    sheet.write(_row([*(record.get(name) for name in layout.columns), *map(added_cell, values)]))
                    rows += 1
                if rows >= MAX_ROWS:
                    raise TableError(
                        f"the output has more than the {MAX_ROWS - 1:,} rows that a sheet of Excel holds below its "
                        "header; write a .csv or .parquet, or split the input"
                    )
            sheet.write(_TAIL.encode())
    return Written(rows)


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


def _row(values: Iterable[Any]) -> bytes:
    return f"<row>{''.join(map(_cell, values))}</row>".encode()


def _cell(value: Any) -> str:
    r"""Return the XML of a cell.

    >>> _cell(0.87), _cell("=1+1")
    ('<c><v>0.87</v></c>', '<c t="inlineStr"><is><t xml:space="preserve">=1+1</t></is></c>')
    """
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < _EXACT:
        return f"<c><v>{value!r}</v></c>"
    text = to_cell(value)
    if not text:
        return "<c/>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(_written(text))}</t></is></c>'


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
