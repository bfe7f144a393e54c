"""Apply what people wrote into a review: to the table, to its incidents, and to a file that a model learns from.

A corrected label gets the probability 1, and its case needs no review any more. A corrected topic routes the case
again, unless the agency was corrected too, and the main one of its issues follows. All is checked first: if one label
is unknown, nothing changes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.review.labels import CorrectedCase, LabelNames, SeenLabels, cells_of, corrected, lesson_of
from tawasul_nlp.review.review_sheet import (
    INCIDENT,
    MERGE,
    NEW_INCIDENT,
    Answer,
    correction_column,
    read_sheet,
    whole_chunks,
)
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, as_classified, is_true, number_of
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import unescaped
from tawasul_nlp.tables.io.formats import WriteOptions, open_reader
from tawasul_nlp.tables.io.write import write_records
from tawasul_nlp.tables.run.outputs import WrittenTable, rewrite_table, table_run

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex

_TEXT = "text"
_MOST_PROBLEMS = 10
_NEW = (NEW_INCIDENT, "جديد")
_COMMAND = "corrections apply"
_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class CorrectionReport:
    """What was applied."""

    output: Path
    # For each task, the cases whose label changed; of the agency, those too that a corrected topic routed anew.
    changed: Mapping[str, int]
    # Cases that a person checked and found right.
    confirmed: int
    # Decisions about incidents.
    merged: int
    moved: int
    split: int
    # Rows of the file that a model learns from, the earlier ones included; 0 without one.
    lessons: int
    # Rows read, written and rejected.
    table: WrittenTable


def apply_corrections(
    review: str | Path,
    classified: str | Path | ClassifiedTable,
    output: str | Path,
    *,
    index: DuplicateIndex | None = None,
    append_to: str | Path | None = None,
    by: str | None = None,
    write: WriteOptions = WriteOptions(),
    on_progress: Callable[[float], None] | None = None,
) -> CorrectionReport:
    """Apply a review to the table that it was written from.

    Only what differs from the table changes, or nothing if anything is wrong. It may be repeated.

    Parameters
    ----------
    review : str or Path
        A filled-in file of ``write_review``, or any table with its columns ``case`` and ``correct_...``.
    classified, output : str or Path
        The table, unchanged since, or an opened one; and the corrected one.
    index : DuplicateIndex or None
        Where incidents are merged and split as well, ``by`` whom; the table's groups become what they are there.
    append_to : str or Path or None
        A table from which ``tawasul update`` learns: texts with all their labels, in place of earlier ones.
    write, on_progress
        As for ``classify_table``; the progress is a share.

    Raises
    ------
    TableError
        If a file cannot be read or written. It names wrong rows: unknown labels, incidents and cases, cases told twice.

    Examples
    --------
    >>> import tempfile
    >>> row = {"text": "حفرة في الشارع", "topic": "road_damage", "topic_probability": "0.4", "needs_review": "true"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, record in (("cases", row), ("review", {"row": "1", "correct_topic": "paving_sidewalks"})):
    ...         _ = write_records(f"{folder}/{name}.csv", dict.fromkeys(record, "string"), [record])
    ...     apply_corrections(f"{folder}/review.csv", f"{folder}/cases.csv", f"{folder}/corrected.csv").changed["topic"]
    1
    """
    table, advance = as_classified(classified), on_progress or (lambda _: None)
    reviewed = match_answers(table, read_sheet(Path(review), table.tasks), lambda share: advance(share / 2))
    lessons = [] if append_to is None else _with_lessons(Path(append_to), reviewed.cases, table)
    also_written = {} if append_to is None else {"file of corrections": Path(append_to)}
    output = Path(output)
    run = table_run(
        _COMMAND, table.file, table.reader, output, write, also_read=[Path(review)], also_written=also_written
    )
    with ExitStack() as changes:
        if index is not None:
            changes.enter_context(index.together())
        # The index takes the decisions when all files are written, and before one of them appears under its name.
        rewritten = rewrite_table(
            run,
            _cells(table, reviewed, index, by),
            domain=table.domain,
            before=lambda: _write_lessons(append_to, lessons, table, changes.close),
            on_progress=lambda share: advance(0.5 + share / 2),
        )
    return _report(output, reviewed, len(lessons), rewritten)


@dataclass(frozen=True, slots=True)
class GroupedRow:
    """A row of a grouped table: its number, its case's id, and its place in an incident."""

    row: int
    id: str | None
    incident: int
    score: float
    representative: bool


@dataclass(frozen=True, slots=True)
class IncidentDecision:
    """What a person decided about the case of a row."""

    # The row of the review, for messages.
    where: str
    row: int
    # The incident that it belongs to; None for one of its own.
    into: int | None
    # Whether the whole incident of the case is one with ``into``.
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people decided about the cases of a table."""

    # Those whose labels somebody corrected or confirmed.
    cases: tuple[CorrectedCase, ...]
    decisions: tuple[IncidentDecision, ...]
    # All rows of the table that are in an incident.
    rows: tuple[GroupedRow, ...]
    names: Mapping[str, LabelNames]


def match_answers(
    table: ClassifiedTable, answers: Iterable[Answer], on_progress: Callable[[float], None] | None = None
) -> Reviewed:
    """Match what people wrote with the cases that it is about, and check all of it before anything changes."""
    answers = [answer for answer in answers if not answer.empty]
    keys = {answer.key for answer in answers}
    labels, cases, rows = SeenLabels(table), dict[str, ClassifiedCase](), list[GroupedRow]()
    for case in table.cases(on_progress):
        labels.add(case)
        if case.incident is not None:
            rows.append(_grouped_row(case, table))
        cases |= {key: case for key in (case.key, f"r{case.row}") if key in keys}
    checker = _Checker(table, labels.names(), frozenset(row.incident for row in rows))
    pairs = [(answer, cases[answer.key]) for answer in answers if answer.key in cases]
    reviewed = [checker.labels(answer, case) for answer, case in pairs]
    decisions = [decision for answer, case in pairs for decision in checker.decisions(answer, case)]
    _raise_problems([*_unmatched(answers, cases, table), *checker.problems])
    return Reviewed(
        cases=tuple(case for case in reviewed if case is not None),
        decisions=tuple(decisions),
        rows=tuple(rows),
        names=checker.names,
    )


def _unmatched(answers: Sequence[Answer], cases: Mapping[str, ClassifiedCase], table: ClassifiedTable) -> Iterator[str]:
    first: dict[int, str] = {}
    for answer in answers:
        if answer.key not in cases:
            yield f"{answer.where} is about no case of {table.path.name}, or its text was changed since the review"
        elif not answer.is_about(cases[answer.key], table.domain):
            yield (
                f"{answer.where} shows another text or id than the case that it names; sort a review by whole rows, or "
                "write it anew"
            )
        elif (row := cases[answer.key].row) in first:
            yield f"{answer.where} is about the same case as {first[row]}"
        else:
            first[row] = answer.where


def _raise_problems(problems: Sequence[str]) -> None:
    if problems:
        listed, further = "; ".join(problems[:_MOST_PROBLEMS]), len(problems) - _MOST_PROBLEMS
        more = f"; and {further} more" if further > 0 else ""
        raise TableError(f"the review cannot be applied, and nothing was changed: {listed}{more}")


class _Checker:
    """Reads labels and incidents as people wrote them; collects what is wrong instead of stopping at the first."""

    def __init__(self, table: ClassifiedTable, names: Mapping[str, LabelNames], incidents: frozenset[int]) -> None:
        self.names = names
        self.problems: list[str] = []
        self._table = table
        self._incidents = incidents

    def labels(self, answer: Answer, case: ClassifiedCase) -> CorrectedCase | None:
        """Return a case with its corrected labels; None if nobody said anything about labels."""
        written = {}
        for task, label in answer.labels.items():
            try:
                written[task] = self.names[task].find(label)
            except KeyError:
                self.problems.append(f"{answer.where}: {task!r} is no task of {self._table.path.name}")
            except ValueError as error:
                self.problems.append(f"{answer.where}, {correction_column(task)}: {error}")
        return corrected(case, written, self._table) if written or answer.checked else None

    def decisions(self, answer: Answer, case: ClassifiedCase) -> Iterator[IncidentDecision]:
        """Yield the decisions about a case's incident that change something."""
        for column, written in ((MERGE, answer.merge_with), (INCIDENT, answer.incident)):
            if not written:
                continue
            if case.incident is None:
                self.problems.append(f"{answer.where}, {column}: the case is in no incident; run tawasul group first")
            elif column == INCIDENT and written.casefold() in _NEW:
                yield IncidentDecision(answer.where, case.row, None)
            elif (incident := number_of(written)) not in self._incidents or incident is None:
                expected = f"a number of the table's incidents{f' or {NEW_INCIDENT}' if column == INCIDENT else ''}"
                self.problems.append(f"{answer.where}, {column}: expected {expected}")
            elif int(incident) != int(case.incident):
                yield IncidentDecision(answer.where, case.row, int(incident), merges=column == MERGE)


def _grouped_row(case: ClassifiedCase, table: ClassifiedTable) -> GroupedRow:
    incident = number_of(case.incident)
    if incident is None:
        raise TableError(f"row {case.row} of {table.path} has a incident_id that is no number; group the table anew")
    score, is_representative = (
        case.record.get(table.added.get(name, name)) for name in ("incident_score", "is_representative")
    )
    return GroupedRow(
        row=case.row,
        id=case.id,
        incident=int(incident),
        score=number_of(score) or 0.0,
        representative=is_true(is_representative),
    )


def _with_lessons(path: Path, cases: Sequence[CorrectedCase], table: ClassifiedTable) -> list[dict[str, str]]:
    """Return the rows of a file of corrections, whose texts may be corrected again, and a row for each further case."""
    columns = (_TEXT, *table.tasks)
    rows: dict[str, dict[str, str]] = {}
    if path.exists():
        reader = open_reader(path, text_column=_TEXT)
        missing = [name for name in columns if name not in reader.columns]
        if missing or len(reader.columns) > len(columns):
            raise TableError(
                f"{path} has the columns {', '.join(reader.columns)}, expected {', '.join(columns)}; append to a file "
                "of corrections of the same tasks"
            )
        for chunk in whole_chunks(reader, path):
            for record in chunk.records():
                text = unescaped(record[_TEXT] or "")
                rows[text] = {name: record[name] or "" for name in columns} | {_TEXT: text}
    lessons = [lesson_of(case, table.domain) for case in cases if case.case.text.strip()]
    rows |= {lesson[_TEXT]: {name: lesson[name] for name in columns} for lesson in lessons}
    return list(rows.values())


def _write_lessons(
    path: str | Path | None, lessons: Sequence[dict[str, str]], table: ClassifiedTable, before: Callable[[], None]
) -> None:
    if path is None:
        before()
    else:
        write_records(path, dict.fromkeys((_TEXT, *table.tasks), "string"), lessons, before=before)


def _cells(
    table: ClassifiedTable, reviewed: Reviewed, index: DuplicateIndex | None, by: str | None
) -> dict[int, dict[str, Any]]:
    """Return the cells that change by row, and carry out in the index what was decided about incidents."""
    groups: dict[int, dict[str, Any]] = {}
    if reviewed.decisions and index is not None:
        if table.id is None:
            raise TableError("an index knows cases by their ids, and no id column is named; name one with --id-column")
        groups = _decided_in_index(index, reviewed.rows, reviewed.decisions, by)
    elif reviewed.decisions:
        groups = _decided_in_table(reviewed.rows, reviewed.decisions)
    cells: dict[int, dict[str, Any]] = {
        row: {table.added[name]: value for name, value in group.items() if name in table.added}
        for row, group in groups.items()
    }
    for case in reviewed.cases:
        row = case.case.row
        cells[row] = cells.get(row, {}) | cells_of(case, table, reviewed.names)
    return cells


def _report(output: Path, reviewed: Reviewed, lessons: int, rewritten: WrittenTable) -> CorrectionReport:
    moves = [decision for decision in reviewed.decisions if not decision.merges]
    return CorrectionReport(
        output=output,
        changed=Counter(task for case in reviewed.cases for task in case.changed),
        confirmed=sum(not case.changed for case in reviewed.cases),
        merged=len(reviewed.decisions) - len(moves),
        moved=sum(decision.into is not None for decision in moves),
        split=sum(decision.into is None for decision in moves),
        lessons=lessons,
        table=rewritten,
    )


def _decided_in_table(rows: Sequence[GroupedRow], decisions: Sequence[IncidentDecision]) -> dict[int, dict[str, Any]]:
    """Carry out decisions in the table alone; return the group columns of the rows that change.

    Merges come first; then cases move or get an incident of their own, with an id that no other has. A case that a
    person moved has the score 1. An incident that its representative leaves gets its first case as a new one.
    """
    incident_before = {row.row: row.incident for row in rows}
    became = {incident: incident for incident in incident_before.values()}
    for decision in decisions:
        if decision.merges and decision.into is not None:
            merged, into = became[incident_before[decision.row]], became[decision.into]
            became = {incident: into if now == merged else now for incident, now in became.items()}
    incident_of = {row: became[incident] for row, incident in incident_before.items()}
    fresh = max(became, default=0) + 1
    for decision in decisions:
        if not decision.merges:
            into = fresh if decision.into is None else became[decision.into]
            incident_of[decision.row], fresh = into, max(fresh, into + 1)
    members: defaultdict[int, list[GroupedRow]] = defaultdict(list)
    for row in rows:
        members[incident_of[row.row]].append(row)
    moved = {row.row for row in rows if incident_of[row.row] != row.incident}
    touched = {incident_of[row] for row in moved} | {incident_before[row] for row in moved}
    changed: dict[int, dict[str, Any]] = {}
    for incident in sorted(touched & members.keys()):
        stayed = [member for member in members[incident] if member.row not in moved] or members[incident]
        head = next((member for member in stayed if member.representative), stayed[0])
        for member in members[incident]:
            score = 1.0 if member.row in moved or member is head else member.score
            changed[member.row] = _group_columns(incident, len(members[incident]), score, member is head)
    return changed


def _group_columns(incident: int, size: int, score: float, is_representative: bool) -> dict[str, Any]:
    return dict(zip(GROUP_COLUMNS, (incident, size, score, is_representative), strict=True))


def _decided_in_index(
    index: DuplicateIndex, rows: Sequence[GroupedRow], decisions: Sequence[IncidentDecision], by: str | None
) -> dict[int, dict[str, Any]]:
    """Carry out decisions in the index, and return the group columns of all rows as they are there now.

    A decision that already holds changes nothing, so that what was interrupted may be repeated. Nothing is changed if
    the index lacks a case.
    """
    id_of = {row.row: row.id for row in rows}
    leaving = {decision.row for decision in decisions if not decision.merges}
    # An incident is known by a case that stays, so that a repeated decision finds what it became.
    staying_last = sorted(rows, key=lambda row: (row.row not in leaving, row.representative))
    heads = {row.incident: row.id for row in staying_last}
    for decision in decisions:
        needed = [id_of[decision.row], *([] if decision.into is None else [heads[decision.into]])]
        if any(case is None or case not in index for case in needed):
            raise TableError(
                f"{decision.where}: a case of it is not in the index {index.folder}; add the table to the index first, "
                "with the same --id-column"
            )
    for decision in sorted(decisions, key=lambda decision: not decision.merges):
        case = str(id_of[decision.row])
        incident = index.assignment(case).incident_id
        if decision.into is None:
            if index.incident(incident).size > 1:
                index.split(case, by=by)
            continue
        into = index.assignment(str(heads[decision.into])).incident_id
        if incident != into and decision.merges:
            index.merge([into, incident], by=by)
        elif incident != into:
            index.move(case, into, by=by)
    assignments = index.assignments()
    incidents = {incident.incident_id: incident for incident in index.incidents(1)}
    cells = {}
    for row in rows:
        assignment = assignments.get(row.id or "")
        if assignment is not None:
            group = incidents[assignment.incident_id]
            score, is_representative = round(assignment.score, _DECIMALS), group.representative == row.id
            cells[row.row] = _group_columns(assignment.incident_id, group.size, score, is_representative)
    return cells
