"""A review as a table: cases with empty columns for what is wrong, and what people wrote into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.extras import require
from tawasul_nlp.review.labels import LabelNames
from tawasul_nlp.tables.classified import ClassifiedCase
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.io.chunk import Chunk, Reader
from tawasul_nlp.tables.io.excel_writer import MAX_CELL
from tawasul_nlp.tables.io.files import PendingFile
from tawasul_nlp.tables.io.formats import open_reader, output_format
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.text import mask_personal_data

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

CASE = "case"
ROW = "row"
CHECKED = "checked"
INCIDENT = "correct_incident"
MERGE = "merge_with"
NEW_INCIDENT = "new"
_COMPARED_CHARS = 1_000
_YES = ("yes", "true", "1", "1.0", "x", "✓", "نعم")

# Of the workbook: the sheet of labels, what is chosen for a checked case, widths of columns, and the sheet of help.
_LABELS = "labels"
_CHECKED = "نعم"
_WIDTHS = {"case": 14, "id": 18, "reason": 24, "text": 70}
_WIDTH = 22
_HELP = (
    ("", "ما خلا من أعمدة التصحيح يبقى كما هو؛ اكتب فيها ما هو خطأ فقط.", "Leave empty what is right."),
    ("correct_…", "التصنيف الصحيح، من القائمة.", "The right label, from the list."),
    (CHECKED, f"«{_CHECKED}» إذا راجعت الحالة وكان الباقي صحيحًا: يتعلم منها النموذج.", "Seen, and the rest is right."),
    (INCIDENT, f"رقم البلاغ الذي تنتمي إليه الحالة، أو {NEW_INCIDENT} لفصلها.", "Its incident's number, or new."),
    (MERGE, "رقم بلاغ هو وهذا البلاغ واحد: يدمجان.", "The number of an incident that is the same as this one."),
)


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A case to be looked at, and why: ``urgent``, ``unsure`` or ``diverse``; ``text`` is what people are shown."""

    case: ClassifiedCase
    reason: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReviewSheet:
    """The cases of a review, and what may be written about them."""

    cases: tuple[ReviewCase, ...]
    # The labels of each task.
    names: Mapping[str, LabelNames]
    # Whether cases have incidents.
    grouped: bool

    def columns(self) -> dict[str, str]:
        """Return the columns with their Arrow types: what is known of a case, then what a person may write."""
        answers = (*self.names, "incident") if self.grouped else tuple(self.names)
        corrections = (*map(correction_column, self.names), *((INCIDENT, MERGE) if self.grouped else ()))
        return dict.fromkeys((CASE, "id", "reason", "text", *answers, *corrections, CHECKED), "string")

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, with names of labels as people read them."""
        empty: dict[str, Any] = dict.fromkeys(self.columns())
        for one in self.cases:
            case = one.case
            answers = {task: names.name(case.labels[task]) for task, names in self.names.items()}
            about = {CASE: case.key, "id": case.id, "reason": _reason(one), "text": one.text}
            yield empty | about | answers | ({"incident": case.incident} if self.grouped else {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person wrote about one case."""

    # The row of the review, for messages.
    where: str
    # That of the case, or the number of its row alone, as in ``r17``.
    key: str
    # For each task with one, the label as it was written.
    labels: Mapping[str, str]
    # Whether what was not corrected was found right.
    checked: bool = False
    # The incident to move the case to (or ``new``), and the one to merge its incident with; empty for none.
    incident: str = ""
    merge_with: str = ""
    # What the row shows of the case; empty if its program left it out.
    id: str = ""
    text: str = field(default="", repr=False)

    def is_about(self, case: ClassifiedCase, domain: Domain) -> bool:
        """Return whether the row shows this case, masked or not: the letters and digits, as far as a cell has them."""

        def start(text: str) -> str:
            return re.sub(r"\W+", "", text)[:_COMPARED_CHARS]

        return all(
            not cell or start(cell) in (start(value), start(mask_personal_data(value, domain=domain).text))
            for cell, value in ((self.id, case.id or ""), (self.text, case.text))
        )

    @property
    def empty(self) -> bool:
        """Whether nothing was written."""
        return not (self.labels or self.checked or self.incident or self.merge_with)


def correction_column(task: str) -> str:
    """Return the column for a task's correction."""
    return f"correct_{task}"


def write_sheet(sheet: ReviewSheet, path: Path) -> None:
    """Write a review: in a workbook labels are chosen from lists, and the sheet reads from right to left.

    Raises
    ------
    MissingExtraError
        If the path ends in ``.xlsx`` and openpyxl is not installed.
    TableError
        If the file cannot be written.
    """
    if output_format(path).name == "xlsx":
        _write_workbook(sheet, path)
    else:
        write_records(path, sheet.columns(), sheet.records())


def read_sheet(path: Path, tasks: Sequence[str]) -> list[Answer]:
    """Read what people wrote into a review, whatever rows and columns they left out.

    A table that other programs make may have the number of each row in a column ``row`` instead of ``case``.

    Raises
    ------
    TableError
        If the file is no table, has neither column, one for a task that is none, or rows that cannot be read.
    """
    reader = open_reader(path)
    if CASE not in reader.columns and ROW not in reader.columns:
        raise TableError(
            f"{path} has neither a column {CASE!r} nor {ROW!r}, which say what case a row is about; apply a file of "
            "tawasul review"
        )
    expected = {INCIDENT, *map(correction_column, tasks)}
    odd = [name for name in reader.columns if name.startswith(correction_column("")) and name not in expected]
    if odd:
        raise TableError(f"{path} has a column {odd[0]!r}, expected some of {', '.join(sorted(expected))}; rename it")
    answers = []
    for chunk in whole_chunks(reader, path):
        records = zip(reader.rows_shown(chunk), chunk.records(), strict=True)
        answers += [_answer(f"row {number}", record, tasks) for number, record in records]
    return answers


def whole_chunks(reader: Reader, path: Path) -> Iterator[Chunk]:
    """Yield the rows of a file of which none may be left out; TableError names one that cannot be read."""
    for chunk in reader.chunks():
        if chunk.rejects:
            raise TableError(f"row {chunk.rejects[0].row} of {path} {chunk.rejects[0].reason}; mend it")
        yield chunk


def _answer(where: str, record: Mapping[str, Any], tasks: Sequence[str]) -> Answer:
    written = {task: to_name(record.get(correction_column(task))) for task in tasks}
    return Answer(
        where=where,
        key=to_name(record.get(CASE)) or f"r{to_name(record.get(ROW))}",
        labels={task: label for task, label in written.items() if label},
        checked=to_name(record.get(CHECKED)).casefold() in _YES,
        incident=to_name(record.get(INCIDENT)),
        merge_with=to_name(record.get(MERGE)),
        id=to_name(record.get("id")),
        text=to_name(record.get("text")),
    )


def _reason(one: ReviewCase) -> str:
    return ": ".join(filter(None, (one.reason, ", ".join(one.case.reasons))))


def _write_workbook(sheet: ReviewSheet, path: Path) -> None:
    require("excel", "a review as a workbook", "openpyxl")
    from openpyxl import Workbook

    book = Workbook()
    cases: Any = book.active
    cases.title = "cases"
    columns = list(sheet.columns())
    _write_texts(cases, [columns, *([record[name] for name in columns] for record in sheet.records())])
    _lay_out(cases, columns)
    _add_lists(cases, book.create_sheet(_LABELS), sheet, columns)
    help_sheet = book.create_sheet("شرح")
    _write_texts(help_sheet, _HELP)
    help_sheet.sheet_view.rightToLeft = True
    with disk_errors(), PendingFile(path) as pending:
        book.save(pending.path)
        pending.publish()


def _write_texts(sheet: Worksheet, rows: Iterable[Sequence[str | None]]) -> None:
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
    offered = {CHECKED: f'"{_CHECKED}"'}
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
