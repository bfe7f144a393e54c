"""A review as a table: cases with empty columns for what is wrong, and what people wrote into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tawasul_nlp.review.label_names import LabelNames
from tawasul_nlp.tables.classified import ClassifiedCase
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.io.formats import open_reader
from tawasul_nlp.tables.io.write import write_records

CASE = "case"
ROW = "row"
CHECKED = "checked"
INCIDENT = "correct_incident"
MERGE = "merge_with"
NEW_INCIDENT = "new"
_YES = ("yes", "true", "1", "1.0", "x", "✓", "نعم")


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A case to be looked at, and why: ``urgent``, ``unsure`` or ``diverse``; ``text`` is what people are shown."""

    case: ClassifiedCase
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ReviewSheet:
    """The cases of a review, and what may be written about them.

    Attributes
    ----------
    cases : tuple of ReviewCase
    names : mapping of str to LabelNames
        The labels of each task.
    grouped : bool
        Whether cases have incidents.
    """

    cases: tuple[ReviewCase, ...]
    names: Mapping[str, LabelNames]
    grouped: bool

    def columns(self) -> dict[str, str]:
        """Return the columns with their Arrow types: what is known of a case, then what a person may write."""
        known = {CASE: "string", "id": "string", "reason": "string", "text": "string"}
        incident = ("incident",) if self.grouped else ()
        answers = dict.fromkeys((*self.names, *incident), "string")
        written = [*map(correction_column, self.names), *((INCIDENT, MERGE) if self.grouped else ()), CHECKED]
        return known | answers | dict.fromkeys(written, "string")

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
    """What a person wrote about one case.

    Attributes
    ----------
    where : str
        The row of the review, for messages.
    key : str
        That of the case, or the number of its row alone, as in ``r17``.
    labels : mapping of str to str
        For each task with one, the label as it was written.
    checked : bool
        Whether what was not corrected was found right.
    incident, merge_with : str
        The incident to move the case to (or ``new``), and the one to merge its incident with; empty for none.
    """

    where: str
    key: str
    labels: Mapping[str, str]
    checked: bool = False
    incident: str = ""
    merge_with: str = ""


def correction_column(task: str) -> str:
    """Return the column for a task's correction."""
    return f"correct_{task}"


def write_sheet(sheet: ReviewSheet, path: Path) -> None:
    """Write a review as CSV, JSONL or Parquet."""
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
    known = {INCIDENT, *map(correction_column, tasks)}
    odd = [name for name in reader.columns if name.startswith(correction_column("")) and name not in known]
    if odd:
        raise TableError(f"{path} has a column {odd[0]!r}, expected some of {', '.join(sorted(known))}; rename it")
    answers = []
    for chunk in reader.chunks():
        if chunk.rejects:
            raise TableError(f"row {chunk.rejects[0].row} of {path} {chunk.rejects[0].reason}; mend it")
        records = zip(chunk.numbers, chunk.records(), strict=True)
        answers += [_answer(f"row {number}", record, tasks) for number, record in records]
    return answers


def _answer(where: str, record: Mapping[str, Any], tasks: Sequence[str]) -> Answer:
    written = {task: to_name(record.get(correction_column(task))) for task in tasks}
    return Answer(
        where,
        to_name(record.get(CASE)) or f"r{to_name(record.get(ROW))}",
        {task: label for task, label in written.items() if label},
        to_name(record.get(CHECKED)).casefold() in _YES,
        to_name(record.get(INCIDENT)),
        to_name(record.get(MERGE)),
    )


def _reason(one: ReviewCase) -> str:
    return ": ".join(filter(None, (one.reason, ", ".join(one.case.reasons))))
