"""The decisions of people about the incidents of an index: merge, split, move, close, reopen.

Each is stored as constraints between cases, which win over every score for ever. All cases of an incident that a person
merged, or moved a case into, are linked; a case that left an incident is kept apart from all its cases. The latest
decision wins, and what it overrules is no longer a constraint. Changes go inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tawasul_nlp.duplicates.groups import LINKED
from tawasul_nlp.duplicates.index.assign import Assigner
from tawasul_nlp.duplicates.index.store import IndexFolder

_OVERRULES = "overrules an earlier decision"


class Decisions:
    """Carries out the decisions of people."""

    def __init__(self, folder: IndexFolder, assigner: Assigner) -> None:
        self._folder = folder
        self._assigner = assigner

    def merge(self, incidents: Sequence[int]) -> None:
        """Put the cases of incidents into the first."""
        into, *others = incidents
        is_open = any(self.closed_at(incident) is None for incident in incidents)
        for other in others:
            self._folder.change("UPDATE cases SET group_id = ? WHERE group_id = ?", into, other)
            self._assigner.delete_merged(other, into)
        reason = self._linked(into)
        for other in others:
            self._record("merged", into, other=other, reason=reason)
        if is_open and self.closed_at(into) is not None:
            self._assigner.reopen(into, by_person=True)

    def split(self, row: int, group_id: int) -> None:
        """Put a case into an incident of its own."""
        incident = self._assigner.new_group(row)
        reason = self._left(row, group_id, incident)
        self._record("split", incident, row=row, other=group_id, reason=reason)
        self._renewed(row, group_id)

    def move(self, row: int, group_id: int, incident: int) -> None:
        """Put a case into another incident."""
        left = self._left(row, group_id, incident)
        joined = self._linked(incident)
        self._record("moved", incident, row=row, other=group_id, reason=left or joined)
        if self._folder.first("SELECT 1 FROM cases WHERE group_id = ?", group_id) is None:
            self._assigner.delete_merged(group_id, incident)
        else:
            self._renewed(row, group_id)

    def close(self, incident: int, at: datetime | None) -> None:
        """Close an incident."""
        at = at or self._assigner.journal.at
        self._folder.change("UPDATE groups SET closed_at = ? WHERE id = ?", at.isoformat(), incident)
        self._record("closed", incident, at=at)

    def closed_at(self, incident: int) -> datetime | None:
        """Return when an incident was closed; None if it is open.

        Raises
        ------
        KeyError
            If no incident has this id (any more).
        """
        found = self._folder.first("SELECT closed_at FROM groups WHERE id = ?", incident)
        if found is None:
            raise KeyError(f"no group {incident} in {self._folder.path}")
        return None if found[0] is None else self._folder.moment(found[0])

    def _left(self, row: int, group_id: int, incident: int) -> str | None:
        """Take a case out of an incident; return whether that overrules a decision."""
        self._assigner.place(row, incident, 1.0, "representative")
        return _OVERRULES if self._assigner.links.separate(row, group_id) else None

    def _linked(self, incident: int) -> str | None:
        """Link all cases of an incident; return whether that overrules a decision."""
        overruled = self._assigner.links.link(incident)
        self._folder.change(
            "UPDATE cases SET score = 1.0, reason = CASE WHEN row = "
            "(SELECT representative FROM groups WHERE id = ?) THEN 'representative' ELSE ? END WHERE group_id = ?",
            incident,
            LINKED,
            incident,
        )
        return _OVERRULES if overruled else None

    def _renewed(self, row: int, group_id: int) -> None:
        """Give an incident a new representative if the case that left it was that."""
        if self._folder.one("SELECT representative FROM groups WHERE id = ?", group_id) == row:
            self._assigner.new_representative(group_id)

    def _record(
        self,
        kind: str,
        incident: int,
        *,
        row: int | None = None,
        other: int | None = None,
        reason: str | None = None,
        at: datetime | None = None,
    ) -> None:
        self._assigner.journal.record(kind, incident, row=row, other=other, reason=reason, by_person=True, at=at)
