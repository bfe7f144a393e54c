"""Excel workbooks: read by ``excel_reader.py``, and built by ``excel_writer.py`` from the rows of a sheet."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from tawasul_nlp.tables.io.excel_reader import ExcelReader
from tawasul_nlp.tables.io.excel_writer import SheetWriter, Workbook, without_long_cells
from tawasul_nlp.tables.io.formats import TableFormat
from tawasul_nlp.tables.io.layout import Layout
from tawasul_nlp.tables.io.packed import is_workbook


def _build(rows: Path, table: Path, _layout: Layout) -> None:
    with closing(Workbook(table)) as book, rows.open("rb") as file:
        shutil.copyfileobj(file, book)


EXCEL = TableFormat(
    name="xlsx",
    title="an Excel workbook",
    suffixes=(".xlsx",),
    read_suffixes=(".xlsm",),  # Excel opens it only with macros
    open=ExcelReader,
    append=SheetWriter,
    build=_build,
    recognises=lambda path, start: start.startswith(b"PK\x03\x04") and is_workbook(path),
    binary=True,
    fitting=without_long_cells,
    takes=frozenset({"sheet", "header_row"}),
    piped="csv",
)
