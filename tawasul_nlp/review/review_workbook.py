"""A review as an Excel workbook: labels are chosen from lists, and the sheet reads from right to left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.extras import require
from tawasul_nlp.review.review_sheet import (
    CHECKED,
    INCIDENT,
    MERGE,
    NEW_INCIDENT,
    ReviewSheet,
    correction_column,
)
from tawasul_nlp.tables.errors import disk_errors
from tawasul_nlp.tables.io.excel_writer import MAX_CELL
from tawasul_nlp.tables.io.files import PendingFile

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_LABELS = "labels"
_YES = "نعم"
_WIDTHS = {"case": 14, "id": 18, "reason": 24, "text": 70}
_WIDTH = 22
_HELP = (
    ("", "ما خلا من أعمدة التصحيح يبقى كما هو؛ اكتب فيها ما هو خطأ فقط.", "Leave empty what is right."),
    ("correct_…", "التصنيف الصحيح، من القائمة.", "The right label, from the list."),
    (CHECKED, f"«{_YES}» إذا راجعت الحالة وكان الباقي صحيحًا: يتعلم منها النموذج.", "Seen, and the rest is right."),
    (INCIDENT, f"رقم البلاغ الذي تنتمي إليه الحالة، أو {NEW_INCIDENT} لفصلها.", "Its incident's number, or new."),
    (MERGE, "رقم بلاغ هو وهذا البلاغ واحد: يدمجان.", "The number of an incident that is the same as this one."),
)


def write_workbook(sheet: ReviewSheet, path: Path) -> None:
    """Write a review as a workbook.

    Raises
    ------
    MissingExtraError
        If openpyxl is not installed.
    TableError
        If the file cannot be written.
    """
    require("excel", "a review as a workbook", "openpyxl")
    from openpyxl import Workbook

    book = Workbook()
    cases: Any = book.active
    cases.title = "cases"
    columns = list(sheet.columns())
    _write(cases, [columns, *([record[name] for name in columns] for record in sheet.records())])
    _lay_out(cases, columns)
    _add_lists(cases, book.create_sheet(_LABELS), sheet, columns)
    help_sheet = book.create_sheet("شرح")
    _write(help_sheet, _HELP)
    help_sheet.sheet_view.rightToLeft = True
    with disk_errors(), PendingFile(path) as pending:
        book.save(pending.path)
        pending.publish()


def _write(sheet: Worksheet, rows: Iterable[Sequence[str | None]]) -> None:
    """Write rows of texts: none becomes a formula, and what a workbook cannot hold is replaced or cut."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    for row, values in enumerate(rows, 1):
        for column, value in enumerate(values, 1):
            if value:
                cell = sheet.cell(row, column, ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)[: MAX_CELL // 2])
                cell.data_type = "s"


def _lay_out(sheet: Worksheet, columns: list[str]) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    sheet.sheet_view.rightToLeft = True
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    for number, name in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, _WIDTH)
        sheet.cell(1, number).font = Font(bold=True)
    text = columns.index("text") + 1
    for row in range(2, sheet.max_row + 1):
        sheet.cell(row, text).alignment = Alignment(wrap_text=True, vertical="top")


def _add_lists(cases: Worksheet, labels: Worksheet, sheet: ReviewSheet, columns: list[str]) -> None:
    """Write the labels of each task on a sheet of their own, and let the cells of corrections offer them."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    labels.sheet_view.rightToLeft = True
    offered = {CHECKED: f'"{_YES}"'}
    for number, (task, names) in enumerate(sheet.names.items(), 1):
        for row, name in enumerate((task, *map(names.name, names.ids)), 1):
            labels.cell(row, number, name).data_type = "s"
        letter = get_column_letter(number)
        labels.column_dimensions[letter].width = _WIDTH * 2
        offered[correction_column(task)] = f"'{_LABELS}'!${letter}$2:${letter}${len(names.ids) + 1}"
    for name, source in offered.items():
        letter = get_column_letter(columns.index(name) + 1)
        choice = DataValidation(type="list", formula1=source, allow_blank=True, showErrorMessage=name == CHECKED)
        choice.add(f"{letter}2:{letter}{max(cases.max_row, 2)}")
        cases.add_data_validation(choice)
