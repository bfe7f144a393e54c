"""The decisions of people about the incidents of an index: merge, split, move, close.

Each is stored as constraints between cases, which win over every score for ever. All cases of an incident that a person
merged, or moved a case into, are linked; a case that left an incident is kept apart from all its cases. The latest
decision wins, and what it overrules is no longer a constraint. Changes go inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from tawasul_nlp.duplicates.groups import LINKED, REPRESENTATIVE
from tawasul_nlp.duplicates.index.assign import Assigner
from tawasul_nlp.duplicates.index.index_folder import IndexFolder

_OVERRULES = "overrules an earlier decision"


class Decisions:
    """Carries out the decisions of people."""

    def __init__(self, folder: IndexFolder, assigner: Assigner) -> None:
        self._folder = folder
        self._assigner = assigner
        self._journal = assigner.journal

    def merge(self, incidents: Sequence[int]) -> None:
        """Put the cases of incidents into the first."""
        into, *others = incidents
        is_open = any(self._folder.closed_at(incident) is None for incident in incidents)
        for other in others:
            self._folder.replace_incident(other, into)
        reason = _OVERRULES if self._folder.link(into, LINKED) else None
        for other in others:
            self._journal.record("merged", into, other=other, reason=reason, by_person=True)
        if is_open and self._folder.closed_at(into) is not None:
            self._assigner.reopen(into, by_person=True)

    def split(self, row: int, incident: int) -> None:
        """Put a case into an incident of its own."""
        begun = self._folder.new_incident(row)
        reason = _OVERRULES if self._leave(row, incident, begun) else None
        self._journal.record("split", begun, row=row, other=incident, reason=reason, by_person=True)
        self._renew(row, incident)

    def move(self, row: int, incident: int, target: int) -> None:
        """Put a case into another incident."""
        overrules_link = self._leave(row, incident, target)
        overrules = self._folder.link(target, LINKED) or overrules_link
        reason = _OVERRULES if overrules else None
        self._journal.record("moved", target, row=row, other=incident, reason=reason, by_person=True)
        if self._folder.size(incident):
            self._renew(row, incident)
        else:
            self._folder.replace_incident(incident, target)

    def close(self, incident: int) -> None:
        """Close an incident."""
        self._folder.set_closed_at(incident, self._journal.at.isoformat())
        self._journal.record("closed", incident, by_person=True)

    def _leave(self, row: int, incident: int, target: int) -> bool:
        """Take a case out of an incident; return whether that overrules a decision."""
        self._folder.place(row, target, 1.0, REPRESENTATIVE)
        return self._folder.separate(row, incident)

    def _renew(self, row: int, incident: int) -> None:
        """Give an incident a new representative if the case that left it was that."""
        if self._folder.representative(incident) == row:
            self._assigner.new_representative(incident)
