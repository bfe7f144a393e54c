"""A slow reference of an index that people govern: incidents, decisions and states, as plain sets of case ids.

It is kept from the history alone, so whatever an index does must stand in its history.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import numpy as np

from tawasul_nlp.duplicates import DuplicateIndex, IncidentEvent
from tawasul_nlp.duplicates.pair_features import conflicting_places
from tests.robustness.index_material import grouper


class Reference:
    """What should be in an index."""

    def __init__(self, events: Iterable[IncidentEvent] = ()) -> None:
        self.incident: dict[str, int] = {}  # of each case
        self.together: dict[str, set[str]] = {}  # the cases that a person linked with each, itself among them
        self.apart: set[frozenset[str]] = set()  # pairs that a person keeps apart
        self.closed: set[int] = set()
        self.governed: set[int] = set()  # incidents that a person merged, or moved a case into
        for event in events:
            self.take(event)

    def members(self, incident: int) -> set[str]:
        """Return the cases of an incident."""
        return {case for case, other in self.incident.items() if other == incident}

    def link(self, cases: set[str]) -> None:
        """Link all these cases; what kept them apart is overruled."""
        linked = cases.union(*(self.together.get(case, set()) for case in cases))
        for case in linked:
            self.together[case] = linked
        self.apart = {pair for pair in self.apart if not pair <= linked}

    def remove(self, case: str) -> None:
        """Take a case away; those linked with it stay apart from what it was kept apart from."""
        mates = self.together.get(case, {case}) - {case}
        for pair in [pair for pair in self.apart if case in pair]:
            (other,) = pair - {case}
            self.apart |= {frozenset((mate, other)) for mate in mates}
            self.apart.discard(pair)
        self._unlink(case)
        del self.incident[case]

    def take(self, event: IncidentEvent) -> None:
        """Do what an event of the history says."""
        into, other, case = event.incident, event.other, event.case_id
        if event.kind in ("created", "joined", "split", "moved") and case is not None:
            self.incident[case] = into
        if event.kind == "merged" and other is not None:
            self.incident |= dict.fromkeys(self.members(other), into)
            self.closed.discard(other)
            if other in self.governed:
                self.governed.add(into)
        if event.by_person and case is not None and other is not None and event.kind in ("split", "moved"):
            self._unlink(case)  # what linked it is overruled
            self.apart |= {frozenset((case, member)) for member in self.members(other)}
        if event.by_person and event.kind in ("merged", "moved"):
            self.link(self.members(into))
            self.governed.add(into)
        if event.kind == "closed":
            self.closed.add(into)
        elif event.kind == "reopened":
            self.closed.discard(into)
        elif event.kind == "removed" and case is not None:
            self.remove(case)

    def _unlink(self, case: str) -> None:
        linked = self.together.pop(case, set())
        linked.discard(case)
        if len(linked) == 1:
            self.together.pop(linked.pop())


def wrong(index: DuplicateIndex) -> Iterator[str]:
    """Yield what is wrong with an index, by its own history."""
    expected = Reference(index.history())
    incidents = index.incidents(min_size=1)
    if {name: assigned.incident_id for name, assigned in index.assignments().items()} != expected.incident:
        yield "its history tells of other incidents"
    if sorted(member for incident in incidents for member in incident.members) != sorted(expected.incident):
        yield "a case is in no incident, or in two"
    closed = {incident.incident_id for incident in incidents if incident.closed_at}
    if closed != expected.closed.intersection(expected.incident.values()):
        yield "its history tells of other closed incidents"
    for linked in expected.together.values():
        if len({expected.incident[case] for case in linked}) > 1:
            yield "linked cases are in two incidents"
    for first, second in expected.apart:
        if expected.incident[first] == expected.incident[second]:
            yield "cases that a person keeps apart are in one incident"
    if stored_decisions(index) != (expected.together, expected.apart):
        yield "its constraints are not what people decided"
    rows = {name: row for row, name, *_ in index._store.placements()}
    for incident in incidents:
        features = index._store.features([rows[member] for member in incident.members])
        conflict = conflicting_places(features, *np.triu_indices(incident.size, 1)).any()
        if conflict and incident.incident_id not in expected.governed:
            yield "members' places conflict, and nobody linked them"


def stored_decisions(index: DuplicateIndex) -> tuple[dict[str, set[str]], set[frozenset[str]]]:
    """Return the constraints that an index holds, as a reference does."""
    named = "JOIN cases a ON a.row = {} JOIN cases b ON b.row = {}"
    linked = "SELECT a.id, b.id FROM must_link m JOIN must_link n USING (component) " + named.format("m.row", "n.row")
    together: dict[str, set[str]] = {}
    for first, second in index._store.all(linked):
        together.setdefault(first, set()).add(second)
    apart = index._store.all("SELECT a.id, b.id FROM cannot_link k " + named.format("k.first", "k.second"))
    return together, {frozenset(pair) for pair in apart}


def decide(index: DuplicateIndex, chance: random.Random, note: str) -> tuple[IncidentEvent, ...]:
    """Have a person decide something at random; nothing if that is not possible."""
    names = list(index.assignments())
    incidents = sorted({assigned.incident_id for assigned in index.assignments().values()})
    kind = chance.choice(("merge", "merge", "split", "split", "move", "move", "close", "reopen"))
    if kind == "merge" and len(incidents) > 1:
        return index.merge(chance.sample(incidents, chance.choice((2, 2, min(3, len(incidents))))), note=note)
    several = [name for incident in index.incidents() for name in incident.members]
    if kind == "split" and several:
        return index.split(chance.choice(several), note=note)
    if kind == "move" and len(incidents) > 1:
        name = chance.choice(several or names)
        before = index.assignment(name).incident_id
        return index.move(name, chance.choice([incident for incident in incidents if incident != before]), note=note)
    closed = {incident.incident_id for incident in index.incidents(min_size=1) if incident.closed_at}
    if kind == "close" and (still_open := [incident for incident in incidents if incident not in closed]):
        return index.close_incident(chance.choice(still_open), note=note)
    if kind == "reopen" and closed:
        return index.reopen_incident(chance.choice(sorted(closed)), note=note)
    return ()


def opened(folder: object) -> DuplicateIndex:
    """Open an index by the bundled model."""
    return DuplicateIndex.open(str(folder), grouper())
