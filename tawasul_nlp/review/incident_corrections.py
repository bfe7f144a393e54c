"""What people decided about the incidents of a grouped table, carried out in the table or in an index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tawasul_nlp.tables.errors import TableError

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex

_DECIMALS = 4


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
    """What a person decided about the case of a row.

    Attributes
    ----------
    where : str
        The row of the review, for messages.
    row : int
    into : int or None
        The incident that it belongs to; None for one of its own.
    merges : bool
        Whether the whole incident of the case is one with ``into``.
    """

    where: str
    row: int
    into: int | None
    merges: bool = False


@dataclass(frozen=True, slots=True)
class GroupCells:
    """The group columns of a row."""

    incident: int
    size: int
    score: float
    representative: bool


def decided_in_table(rows: Sequence[GroupedRow], decisions: Sequence[IncidentDecision]) -> dict[int, GroupCells]:
    """Carry out decisions in the table alone; return the rows whose cells change.

    Merges come first; then cases move or get an incident of their own, with an id that no other has. A case that a
    person moved has the score 1. An incident that its representative leaves gets its first case as a new one.
    """
    first = {each.row: each.incident for each in rows}
    became = {incident: incident for incident in first.values()}
    for decision in decisions:
        if decision.merges and decision.into is not None:
            own, into = became[first[decision.row]], became[decision.into]
            became = {incident: into if now == own else now for incident, now in became.items()}
    incident = {row: became[own] for row, own in first.items()}
    fresh = max(became, default=0) + 1
    for decision in decisions:
        if not decision.merges:
            into = fresh if decision.into is None else became[decision.into]
            incident[decision.row], fresh = into, max(fresh, into + 1)
    members: defaultdict[int, list[GroupedRow]] = defaultdict(list)
    for each in rows:
        members[incident[each.row]].append(each)
    moved = {each.row for each in rows if incident[each.row] != each.incident}
    touched = {incident[row] for row in moved} | {each.incident for each in rows if each.row in moved}
    return {
        row: cells for of in sorted(touched) if of in members for row, cells in _cells(of, members[of], moved).items()
    }


def _cells(of: int, members: Sequence[GroupedRow], moved: set[int]) -> dict[int, GroupCells]:
    stayed = [each for each in members if each.row not in moved] or list(members)
    head = next((each for each in stayed if each.representative), stayed[0])
    return {
        each.row: GroupCells(
            of,
            len(members),
            1.0 if each.row in moved or each is head else each.score,
            each is head,
        )
        for each in members
    }


def decided_in_index(
    index: DuplicateIndex, rows: Sequence[GroupedRow], decisions: Sequence[IncidentDecision], by: str | None
) -> dict[int, GroupCells]:
    """Carry out decisions in the index, and return the group columns of all rows as they are there now.

    A decision that already holds changes nothing, so that what was interrupted may be repeated.

    Raises
    ------
    TableError
        If the index lacks a case, or an incident; then nothing is changed.
    """
    id_of = {each.row: each.id for each in rows}
    leaving = {decision.row for decision in decisions if not decision.merges}
    # An incident is known by a case that stays, so that a repeated decision finds what it became.
    known_by = sorted(rows, key=lambda each: (each.row not in leaving, each.representative))
    heads = {each.incident: each.id for each in known_by}
    _check(index, id_of, heads, decisions)
    for decision in sorted(decisions, key=lambda each: not each.merges):
        case = str(id_of[decision.row])
        own = index.assignment(case).group_id
        if decision.into is None:
            if index.group(own).size > 1:
                index.split(case, by=by)
            continue
        into = index.assignment(str(heads[decision.into])).group_id
        if own != into and decision.merges:
            index.merge([into, own], by=by)
        elif own != into:
            index.move(case, into, by=by)
    return _assigned(index, rows)


def _check(
    index: DuplicateIndex,
    id_of: Mapping[int, str | None],
    heads: Mapping[int, str | None],
    decisions: Iterable[IncidentDecision],
) -> None:
    for decision in decisions:
        needed = [id_of[decision.row], *([] if decision.into is None else [heads[decision.into]])]
        if any(case is None or case not in index for case in needed):
            raise TableError(
                f"{decision.where}: a case of it is not in the index {index.folder}; add the table to the index first, "
                "with the same --id-column"
            )


def _assigned(index: DuplicateIndex, rows: Sequence[GroupedRow]) -> dict[int, GroupCells]:
    assignments = index.assignments()
    incidents = {incident.group_id: incident for incident in index.groups(1)}
    found = {}
    for each in rows:
        assignment = assignments.get(each.id or "")
        if assignment is not None:
            incident = incidents[assignment.group_id]
            score, head = round(assignment.score, _DECIMALS), incident.representative == each.id
            found[each.row] = GroupCells(assignment.group_id, incident.size, score, head)
    return found
