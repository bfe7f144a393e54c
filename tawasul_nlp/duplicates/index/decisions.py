"""The decisions of people about the incidents of an index: merge, split, move.

Each is stored as constraints between cases, which win over every score for ever. All cases of an incident that a person
merged, or moved a case into, are linked; a case that left an incident is kept apart from all its cases. The latest
decision wins, and what it overrules is no longer a constraint. Changes go inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from tawasul_nlp.duplicates.groups import LINKED, REPRESENTATIVE
from tawasul_nlp.duplicates.index.assign import Assigner
from tawasul_nlp.duplicates.index.index_folder import IndexFolder
from tawasul_nlp.duplicates.index.store import StoredCase


def merge(folder: IndexFolder, incidents: Sequence[int]) -> None:
    """Put the cases of incidents into the first, which is open unless all were closed."""
    into, *others = incidents
    closed = [folder.closed_at(incident) is not None for incident in incidents]
    for other in others:
        folder.replace_incident(other, into)
    reason = folder.link(into, LINKED)
    for other in others:
        folder.record("merged", into, other=other, reason=reason, by_person=True)
    if closed[0] and not all(closed):
        folder.set_closed_at(into, None)
        folder.record("reopened", into, by_person=True)


def split(folder: IndexFolder, assigner: Assigner, case: StoredCase) -> None:
    """Put a case into an incident of its own."""
    if folder.size(case.incident) == 1:
        raise ValueError(f"the case {case.id!r} is alone in incident {case.incident}; there is nothing to split")
    begun = folder.new_incident(case.row)
    folder.place(case.row, begun, 1.0, REPRESENTATIVE)
    reason = folder.separate(case.row, case.incident)
    folder.record("split", begun, row=case.row, other=case.incident, reason=reason, by_person=True)
    assigner.renew(case.incident, case.row)


def move(folder: IndexFolder, assigner: Assigner, case: StoredCase, target: int) -> None:
    """Put a case into another incident."""
    if case.incident == target:
        raise ValueError(f"the case {case.id!r} is in incident {target} already")
    folder.closed_at(target)  # KeyError if there is none
    folder.place(case.row, target, 1.0, REPRESENTATIVE)
    reason = folder.separate(case.row, case.incident)
    reason = folder.link(target, LINKED) or reason
    folder.record("moved", target, row=case.row, other=case.incident, reason=reason, by_person=True)
    if folder.size(case.incident):
        assigner.renew(case.incident, case.row)
    else:
        folder.replace_incident(case.incident, target)
