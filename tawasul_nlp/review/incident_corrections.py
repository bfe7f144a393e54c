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
    """What a person decided about the case of a row."""

    # The row of the review, for messages.
    where: str
    row: int
    # The incident that it belongs to; None for one of its own.
    into: int | None
    # Whether the whole incident of the case is one with ``into``.
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
    changed: dict[int, GroupCells] = {}
    for incident in sorted(touched & members.keys()):
        changed |= _cells(incident, members[incident], moved)
    return changed


def _cells(incident: int, members: Sequence[GroupedRow], moved: set[int]) -> dict[int, GroupCells]:
    stayed = [member for member in members if member.row not in moved] or list(members)
    head = next((member for member in stayed if member.representative), stayed[0])
    return {
        member.row: GroupCells(
            incident=incident,
            size=len(members),
            score=1.0 if member.row in moved or member is head else member.score,
            representative=member is head,
        )
        for member in members
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
    id_of = {row.row: row.id for row in rows}
    leaving = {decision.row for decision in decisions if not decision.merges}
    # An incident is known by a case that stays, so that a repeated decision finds what it became.
    staying_last = sorted(rows, key=lambda row: (row.row not in leaving, row.representative))
    heads = {row.incident: row.id for row in staying_last}
    _check(index, id_of, heads, decisions)
    for decision in sorted(decisions, key=lambda decision: not decision.merges):
        case = str(id_of[decision.row])
        incident = index.assignment(case).group_id
        if decision.into is None:
            if index.group(incident).size > 1:
                index.split(case, by=by)
            continue
        into = index.assignment(str(heads[decision.into])).group_id
        if incident != into and decision.merges:
            index.merge([into, incident], by=by)
        elif incident != into:
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
    cells = {}
    for row in rows:
        assignment = assignments.get(row.id or "")
        if assignment is not None:
            incident = incidents[assignment.group_id]
            cells[row.row] = GroupCells(
                incident=assignment.group_id,
                size=incident.size,
                score=round(assignment.score, _DECIMALS),
                representative=incident.representative == row.id,
            )
    return cells
