"""Match what people wrote with the table that it is about, and check all of it before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tawasul_nlp.domain import Domain
from tawasul_nlp.review.incident_corrections import GroupedRow, IncidentDecision
from tawasul_nlp.review.label_corrections import CorrectedCase, corrected
from tawasul_nlp.review.label_names import LabelNames, SeenLabels
from tawasul_nlp.review.review_sheet import INCIDENT, MERGE, NEW_INCIDENT, Answer, correction_column
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, is_true, number_of
from tawasul_nlp.tables.errors import TableError

_SHOWN = 10
_NEW = (NEW_INCIDENT, "جديد")


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What people decided about the cases of a table.

    Attributes
    ----------
    cases : tuple of CorrectedCase
        Those whose labels somebody corrected or confirmed.
    decisions : tuple of IncidentDecision
    rows : tuple of GroupedRow
        All rows of the table that are in an incident.
    names : mapping of str to LabelNames
    """

    cases: tuple[CorrectedCase, ...]
    decisions: tuple[IncidentDecision, ...]
    rows: tuple[GroupedRow, ...]
    names: Mapping[str, LabelNames]


def match_answers(
    table: ClassifiedTable,
    answers: Iterable[Answer],
    domain: Domain,
    on_progress: Callable[[float], None] | None = None,
) -> Reviewed:
    """Return what the answers decide about a table.

    Raises
    ------
    TableError
        If one is about no case of the table, or about one that another is about, or names an unknown label or incident.
        The message names the first ten rows that are wrong.
    """
    given = [each for each in answers if each.labels or each.checked or each.incident or each.merge_with]
    keys = {each.key for each in given}
    seen, cases, rows = SeenLabels(table), dict[str, ClassifiedCase](), list[GroupedRow]()
    for case in table.cases(on_progress):
        seen.add(case)
        if table.grouped and case.incident is not None:
            rows.append(_grouped_row(case, table))
        cases |= {key: case for key in (case.key, f"r{case.row}") if key in keys}
    checker = _Checker(table, domain, seen.names(domain), frozenset(row.incident for row in rows))
    reviewed = [checker.labels(each, cases[each.key]) for each in given if each.key in cases]
    decisions = [one for each in given if each.key in cases for one in checker.decisions(each, cases[each.key])]
    problems = [*_unmatched(given, cases, table), *checker.problems]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise TableError(f"the review cannot be applied, and nothing was changed: {'; '.join(problems[:_SHOWN])}{more}")
    found = tuple(one for one in reviewed if one is not None)
    return Reviewed(found, tuple(decisions), tuple(rows), checker.names)


def _unmatched(given: Sequence[Answer], cases: Mapping[str, ClassifiedCase], table: ClassifiedTable) -> Iterator[str]:
    first: dict[int, str] = {}
    for each in given:
        if each.key not in cases:
            yield f"{each.where} is about no case of {table.path.name}, or its text was changed since the review"
        elif (row := cases[each.key].row) in first:
            yield f"{each.where} is about the same case as {first[row]}"
        else:
            first[row] = each.where


class _Checker:
    """Reads labels and incidents as people wrote them; collects what is wrong instead of stopping at the first."""

    def __init__(
        self, table: ClassifiedTable, domain: Domain, names: Mapping[str, LabelNames], incidents: frozenset[int]
    ) -> None:
        self.names = names
        self.problems: list[str] = []
        self._table = table
        self._domain = domain
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
        return corrected(case, written, self._table, self._domain) if written or answer.checked else None

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
                kinds = f"a number of the table's incidents{f' or {NEW_INCIDENT}' if column == INCIDENT else ''}"
                self.problems.append(f"{answer.where}, {column}: expected {kinds}")
            elif int(incident) != int(case.incident):
                yield IncidentDecision(answer.where, case.row, int(incident), column == MERGE)


def _grouped_row(case: ClassifiedCase, table: ClassifiedTable) -> GroupedRow:
    def cell(name: str) -> object:
        return case.record.get(table.added.get(name, name))

    incident = number_of(case.incident)
    if incident is None:
        raise TableError(f"row {case.row} of {table.path} has a group_id that is no number; group the table anew")
    score, head = number_of(cell("group_score")) or 0.0, is_true(cell("is_representative"))
    return GroupedRow(case.row, case.id, int(incident), score, head)
