"""What people decided about the incidents of an index, and their history, carried over to a rebuilt one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tawasul_nlp.duplicates.constraints import Constraints
from tawasul_nlp.duplicates.index.database import IndexDatabase
from tawasul_nlp.duplicates.index.history import EVENT_FIELDS, INSERT_EVENT, now, stored_event
from tawasul_nlp.duplicates.index.incidents import IncidentEvent
from tawasul_nlp.duplicates.index.plans import regrouped
from tawasul_nlp.duplicates.index.store import IndexFolder

_CASES = "SELECT row, id, group_id, score, reason FROM cases ORDER BY row"


@dataclass(frozen=True, slots=True)
class Governance:
    """What an index holds besides its cases and their features; a case is named by its position.

    Attributes
    ----------
    ids : list of str
    incidents : list of int
        The incident of each case.
    linked : list of (int, int)
        Each linked case and its component.
    apart : list of (int, int)
        Pairs that are kept apart, in both directions.
    closed : dict of int to (str, int)
        When each closed incident was closed, and its representative.
    scores : list of (float, str)
        Score and reason of each case.
    recurrences : list of (int, int)
        Incidents, and the one that each repeats.
    events : list of tuple
        As they are stored.
    settings : dict of str to str
        How long closed incidents may reopen, if that was set.
    """

    ids: list[str]
    incidents: list[int]
    linked: list[tuple[int, int]]
    apart: list[tuple[int, int]]
    closed: dict[int, tuple[str, int]]
    scores: list[tuple[float, str]]
    recurrences: list[tuple[int, int]]
    events: list[tuple[Any, ...]]
    settings: dict[str, str]

    @classmethod
    def read(cls, database: IndexDatabase) -> Governance:
        """Read it from an index."""
        cases = database.all(_CASES)
        ids, incidents = [case[1] for case in cases], [case[2] for case in cases]
        scores = [(score, reason) for *_, score, reason in cases]
        at = {case[0]: position for position, case in enumerate(cases)}
        linked = database.all("SELECT row, component FROM must_link ORDER BY row")
        apart = database.all("SELECT first, second FROM cannot_link ORDER BY first, second")
        closed = database.all("SELECT id, closed_at, representative FROM groups WHERE closed_at IS NOT NULL")
        return cls(
            ids,
            incidents,
            [(at[row], component) for row, component in linked],
            [(at[first], at[second]) for first, second in apart],
            {incident: (when, at[row]) for incident, when, row in closed},
            scores,
            database.all("SELECT id, recurrence_of FROM groups WHERE recurrence_of IS NOT NULL"),
            database.all(f"SELECT {EVENT_FIELDS} FROM events ORDER BY id"),
            {name: value for name, value in database.facts().items() if name == "reopen_days"},
        )

    def constraints(self) -> Constraints | None:
        """Return the constraints by which its cases may be grouped anew: closed incidents stay as they are."""
        first: dict[tuple[str, int], int] = {}
        pairs = [(first.setdefault(("linked", component), at), at) for at, component in self.linked]
        complete = [at for at, incident in enumerate(self.incidents) if incident in self.closed]
        pairs += [(first.setdefault(("closed", self.incidents[at]), at), at) for at in complete]
        return Constraints.from_pairs(len(self.ids), pairs, self.apart, complete)

    def restore(self, store: IndexFolder, new: Sequence[int]) -> None:
        """Write it into a rebuilt index, whose rows are the positions; ``new`` has the incident of each case."""
        at, changes = now(), []
        for kind, incident, position, other in regrouped(self.incidents, new):
            case_id = None if position is None else self.ids[position]
            event = IncidentEvent(kind, incident, case_id, other, at, False, None, None, "the index was rebuilt")
            changes.append(stored_event(event))
        present = set(new)
        with store.transaction():
            store.keep(**self.settings)
            store.change_many("INSERT INTO must_link (row, component) VALUES (?, ?)", self.linked)
            store.change_many("INSERT INTO cannot_link (first, second) VALUES (?, ?)", self.apart)
            for incident, (when, row) in self.closed.items():
                store.change("UPDATE groups SET closed_at = ?, representative = ? WHERE id = ?", when, row, incident)
            store.change_many(
                "UPDATE cases SET score = ?, reason = ? WHERE row = ?",
                ((*self.scores[row], row) for row, incident in enumerate(self.incidents) if incident in self.closed),
            )
            store.change_many(
                "UPDATE groups SET recurrence_of = ? WHERE id = ?",
                ((other, incident) for incident, other in self.recurrences if incident in present),
            )
            if self.events:
                store.change("DELETE FROM events")
                store.change_many(INSERT_EVENT, [*self.events, *changes])
