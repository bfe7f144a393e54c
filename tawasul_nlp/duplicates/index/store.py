"""The store of an index: every query and every change of its database, and what people decided as constraints.

Changes go inside a transaction. ``must_link`` holds the component of each case that a person linked, so one case may
leave it and the others stay linked; ``cannot_link`` holds each pair in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Constraints
from tawasul_nlp.duplicates.index.database import IndexDatabase

# Cases that are read at once.
_BLOCK = 4_096
_JULIAN_1970 = 2_440_587.5
_CASE_FIELDS = "row, id, text, created_at, place, columns, vector, place_key, group_id, score, reason"
_EVENT_FIELDS = "kind, incident, case_id, other, at, by_person, person, note, reason"
_OF_INCIDENT = "SELECT row FROM cases WHERE group_id = ?"


class StoredCase(NamedTuple):
    """A case and its incident."""

    row: int
    id: str
    text: str
    incident: int
    score: float
    reason: str


class IndexStore(IndexDatabase):
    """The database of an index by what is asked of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Most indexes have no constraints, and then adding a case asks for none.
        query = "SELECT EXISTS (SELECT 1 FROM must_link) OR EXISTS (SELECT 1 FROM cannot_link)"
        self.has_links = bool(self.one(query))

    # -- settings ------------------------------------------------------------------------------------------------------

    def threshold(self) -> float | None:
        """Return the threshold of the last decision; None if none was set."""
        return self._number("threshold", "its threshold", 1)

    def reopen_days(self) -> float | None:
        """Return how long closed incidents may reopen; None if that was not set."""
        return self._number("reopen_days", "the time for which its closed incidents may reopen", math.inf)

    def _number(self, name: str, what: str, most: float) -> float | None:
        stored = self.facts().get(name)
        try:
            number = None if stored is None else float(stored)
        except (TypeError, ValueError):
            number = -1.0
        if number is not None and not 0 <= number <= most:
            raise self.damaged(f"{what} is {stored!r}")
        return number

    def keep_threshold(self, threshold: float) -> None:
        """Store the threshold of the decisions."""
        self.keep(threshold=repr(float(threshold)))

    def rows(self) -> int:
        """Return the number of rows ever added; no row is used twice."""
        stored = self.facts().get("rows", "0")
        if not str(stored).isdecimal():
            raise self.damaged(f"it says that it holds {stored!r} rows")
        return int(stored)

    # -- cases ---------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of cases."""
        return int(self.one("SELECT count(*) FROM cases"))

    def case(self, case_id: object) -> StoredCase | None:
        """Return a case by its id; None if there is none."""
        stored = self.first("SELECT row, id, text, group_id, score, reason FROM cases WHERE id = ?", case_id)
        return None if stored is None else StoredCase._make(stored)

    def case_ids(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the ids of cases by row."""
        return dict(self.all(f"SELECT row, id FROM cases WHERE row IN ({_listed(rows)})"))

    def texts(self, rows: Iterable[int]) -> dict[int, str]:
        """Return the texts of cases by row."""
        return dict(self.all(f"SELECT row, text FROM cases WHERE row IN ({_listed(rows)})"))

    def cases(self) -> list[Case]:
        """Return all cases in the order of arrival, without what the model read of them."""
        rows = self.all("SELECT text, id, created_at, place FROM cases ORDER BY row")
        return [Case(text, id=case_id, created_at=time, place=place) for text, case_id, time, place in rows]

    def placements(self) -> list[tuple[int, str, int, float, str]]:
        """Return row, id, incident, score and reason of all cases, in the order of arrival."""
        return self.all("SELECT row, id, group_id, score, reason FROM cases ORDER BY row")

    def case_rows(self) -> list[Any]:
        """Return the rows of all cases; through the index of ids, which is small, since the table holds the texts."""
        return [row for (row,) in self.all("SELECT row FROM cases INDEXED BY sqlite_autoindex_cases_1")]

    def columns(self, rows: Sequence[int]) -> Iterator[bytes]:
        """Yield the packed features of cases."""
        return self._blobs("columns", rows)

    def vectors(self, rows: Sequence[int]) -> Iterator[bytes]:
        """Yield the packed search vectors of cases."""
        return self._blobs("vector", rows)

    def _blobs(self, column: str, rows: Sequence[int]) -> Iterator[bytes]:
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            of_row = dict(self.all(f"SELECT row, {column} FROM cases WHERE row IN ({_listed(block)})"))
            yield from (of_row[row] for row in block)

    def add_cases(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Store cases as rows of ``row, id, text, created_at, place, columns, vector, place_key, group_id, ...``."""
        self.change_many(f"INSERT INTO cases ({_CASE_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def replace_features(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Store the features that another model gave, and incidents; what the one before read of pairs is deleted."""
        fields = "columns = ?, vector = ?, place_key = ?, group_id = ?, score = ?, reason = ?"
        self.change_many(f"UPDATE cases SET {fields} WHERE row = ?", rows)
        self.change("DELETE FROM readings")
        self.change("DELETE FROM meta WHERE name = 'graph'")

    def place(self, row: int, incident: int, score: float, reason: str) -> None:
        """Store the incident of a case."""
        self.change("UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", incident, score, reason, row)

    def leave(self, row: int) -> None:
        """Take a case out of its incident; it is in none until it is placed."""
        self.change("UPDATE cases SET group_id = -1 WHERE row = ?", row)

    def delete_case(self, row: int) -> None:
        """Delete a case; what it was kept apart from, those linked with it still are."""
        if self.has_links:
            mates = "must_link a JOIN must_link b USING (component) JOIN cannot_link k ON k.first = a.row"
            for pair in ("b.row, k.second", "k.second, b.row"):
                self.change(
                    f"INSERT OR IGNORE INTO cannot_link (first, second) SELECT {pair} FROM {mates} "
                    "WHERE a.row = ? AND b.row != a.row",
                    row,
                )
            self._unlink(row)
            self.change("DELETE FROM cannot_link WHERE first = ? OR second = ?", row, row)
        self.change("DELETE FROM readings WHERE first = ? OR second = ?", row, row)
        self.change("DELETE FROM cases WHERE row = ?", row)

    # -- incidents -----------------------------------------------------------------------------------------------------

    def incident_ids(self, min_size: int, limit: int | None) -> list[int]:
        """Return the incidents with at least ``min_size`` cases, the largest first."""
        query = (
            "SELECT group_id FROM cases GROUP BY group_id HAVING count(*) >= ? ORDER BY count(*) DESC, group_id LIMIT ?"
        )
        return [incident for (incident,) in self.all(query, (min_size, -1 if limit is None else limit))]

    def sizes(self) -> list[int]:
        """Return how many cases each incident has."""
        return [size for (size,) in self.all("SELECT count(*) FROM cases GROUP BY group_id")]

    def size(self, incident: int) -> int:
        """Return how many cases an incident has."""
        return int(self.one("SELECT count(*) FROM cases WHERE group_id = ?", incident))

    def members(self, incident: int) -> list[int]:
        """Return the rows of an incident's cases."""
        return [row for (row,) in self.all(f"{_OF_INCIDENT} ORDER BY row", (incident,))]

    def closest_member(self, incident: int) -> int:
        """Return the row of the case with the highest score."""
        return int(self.one(f"{_OF_INCIDENT} ORDER BY score DESC, row LIMIT 1", incident))

    def representative(self, incident: int) -> int:
        """Return the row of the case that the others match."""
        return int(self.one("SELECT representative FROM groups WHERE id = ?", incident))

    def closed_at(self, incident: int) -> datetime | None:
        """Return when an incident was closed; None if it is open. KeyError if there is no such incident (any more)."""
        stored = self.first("SELECT closed_at FROM groups WHERE id = ?", incident)
        if stored is None:
            raise KeyError(f"no group {incident} in {self.path}")
        return None if stored[0] is None else self.moment(stored[0])

    def near_incidents(self, rows: Sequence[int]) -> list[tuple[int, int, int, str | None]]:
        """Return incident, row, the incident's representative and closing of cases and of their representatives."""
        of_cases = f"FROM cases c JOIN groups g ON g.id = c.group_id WHERE c.row IN ({_listed(rows)})"
        return self.all(
            f"SELECT g.id, c.row, g.representative, g.closed_at {of_cases} "
            f"UNION SELECT g.id, g.representative, g.representative, g.closed_at {of_cases} ORDER BY 1, 2"
        )

    def count_open_incidents(self, rows: Sequence[int]) -> int:
        """Return to how many open incidents some cases belong."""
        query = "SELECT count(DISTINCT g.id) FROM cases c JOIN groups g ON g.id = c.group_id WHERE g.closed_at IS NULL"
        return int(self.one(f"{query} AND c.row IN ({_listed(rows)})"))

    def place_examples(self, incident: int) -> list[bytes]:
        """Return the packed features of one case for each combination of places that an incident's cases name."""
        rows = self.all("SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (incident,))
        return [columns for _, columns in rows]

    def day_range(self, incident: int) -> tuple[float | None, float | None]:
        """Return the first and the last day of an incident, in days since 1970; None if no case has a date."""
        query = "SELECT min(julianday(created_at)), max(julianday(created_at)) FROM cases WHERE group_id = ?"
        ((first, last),) = self.all(query, (incident,))
        return (None, None) if first is None else (first - _JULIAN_1970, last - _JULIAN_1970)

    def new_incident(self, representative: int, recurrence_of: int | None = None) -> int:
        """Store an incident, and return its id."""
        query = "INSERT INTO groups (representative, recurrence_of) VALUES (?, ?)"
        return self.change(query, representative, recurrence_of)

    def add_incident(self, incident: int, representative: int) -> None:
        """Store an incident by its id, or another representative of one that is there; later ones get higher ids."""
        query = "INSERT INTO groups (id, representative) VALUES (?, ?) ON CONFLICT DO UPDATE SET representative = ?"
        self.change(query, incident, representative, representative)

    def last_incident_id(self) -> int:
        """Return the highest id that an incident ever had."""
        return int(self.one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'groups'"))

    def set_representative(self, incident: int, row: int) -> None:
        """Store which case the others of an incident match."""
        self.change("UPDATE groups SET representative = ? WHERE id = ?", row, incident)

    def set_closed_at(self, incident: int, time: str | None) -> None:
        """Store when an incident was closed; None opens it."""
        self.change("UPDATE groups SET closed_at = ? WHERE id = ?", time, incident)

    def delete_incident(self, incident: int) -> None:
        """Delete an incident without cases."""
        self.change("DELETE FROM groups WHERE id = ?", incident)

    def replace_incident(self, gone: int, target: int) -> None:
        """Delete an incident whose cases go to another, which takes its place in chains of recurrences."""
        self.change("UPDATE cases SET group_id = ? WHERE group_id = ?", target, gone)
        self.change(
            "UPDATE groups SET recurrence_of = (SELECT recurrence_of FROM groups WHERE id = ?) "
            "WHERE id = ? AND recurrence_of IS NULL",
            gone,
            target,
        )
        self.change("UPDATE groups SET recurrence_of = ? WHERE recurrence_of = ?", target, gone)
        self.change("UPDATE groups SET recurrence_of = NULL WHERE recurrence_of = id AND id = ?", target)
        self.delete_incident(gone)

    def closed_incidents(self) -> set[int]:
        """Return the closed incidents."""
        return {incident for (incident,) in self.all("SELECT id FROM groups WHERE closed_at IS NOT NULL")}

    # -- details of incidents ------------------------------------------------------------------------------------------

    def incident_members(self, incidents: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return incident, id, score, reason, time of the cases, closing and recurrence; representatives first."""
        return self.all(
            "SELECT c.group_id, c.id, c.score, c.reason, c.created_at, g.closed_at, g.recurrence_of FROM cases c "
            f"JOIN groups g ON g.id = c.group_id WHERE g.id IN ({_listed(incidents)}) "
            "ORDER BY c.group_id, c.row != g.representative, c.score DESC, c.row"
        )

    def incident_places(self, incidents: Sequence[int]) -> list[tuple[int, bytes, int]]:
        """Return incident, packed features and number of cases for each combination of places."""
        rows = self.all(
            "SELECT group_id, columns, count(*), min(row) FROM cases "
            f"WHERE group_id IN ({_listed(incidents)}) GROUP BY group_id, place_key"
        )
        return [(incident, columns, cases) for incident, columns, cases, _ in rows]

    def representative_columns(self, incidents: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return incidents and the packed features of their representatives."""
        query = "SELECT g.id, c.columns FROM groups g JOIN cases c ON c.row = g.representative"
        return self.all(f"{query} WHERE g.id IN ({_listed(incidents)})")

    # -- what people decided -------------------------------------------------------------------------------------------

    def constraints_among(self, rows: Sequence[int], sealed: Sequence[Sequence[int]] = ()) -> Constraints | None:
        """Return the constraints among some cases by their positions in ``rows``; None if there are none.

        The cases of each of ``sealed``, named by their positions, stay together, and no other joins them.
        """
        if not self.has_links and not sealed:
            return None
        position = {row: number for number, row in enumerate(rows)}
        among = f"IN ({_listed(rows)})" if len(rows) <= _BLOCK else "NOTNULL"
        head: dict[int, int] = {}
        linked = [(cases[0], case) for cases in sealed for case in cases]
        for row, component in self.all(f"SELECT row, component FROM must_link WHERE row {among}"):
            if row in position:
                linked.append((head.setdefault(component, position[row]), position[row]))
        pairs = self.all(f"SELECT first, second FROM cannot_link WHERE first {among} AND second > first")
        apart = [(position[first], position[second]) for first, second in pairs if {first, second} <= position.keys()]
        return Constraints.from_pairs(len(rows), linked, apart, [case for cases in sealed for case in cases])

    def are_linked(self, first: int, second: int) -> bool:
        """Return whether a person linked two cases."""
        query = "SELECT 1 FROM must_link a JOIN must_link b USING (component) WHERE a.row = ? AND b.row = ? LIMIT 1"
        return self.has_links and self.first(query, first, second) is not None

    def keeps_apart(self, row: int, incident: int) -> bool:
        """Return whether a person keeps a case apart from one of an incident's."""
        pairs = "cannot_link k JOIN cases c ON c.row = k.second"
        query = f"SELECT 1 FROM {pairs} WHERE k.first = ? AND c.group_id = ? LIMIT 1"
        return self.has_links and self.first(query, row, incident) is not None

    def link(self, incident: int, reason: str) -> bool:
        """Link all cases of an incident; return whether that overrules an earlier decision."""
        self.has_links = True
        inside = f"FROM cannot_link WHERE first IN ({_OF_INCIDENT}) AND second IN ({_OF_INCIDENT})"
        overruled = self.first(f"SELECT 1 {inside} LIMIT 1", incident, incident) is not None
        if overruled:
            self.change(f"DELETE {inside}", incident, incident)
        self.change(
            "INSERT OR REPLACE INTO must_link (row, component) "
            f"SELECT row, (SELECT coalesce(max(component), 0) + 1 FROM must_link) FROM ({_OF_INCIDENT})",
            incident,
        )
        representative = self.representative(incident)
        self.change(
            "UPDATE cases SET score = 1.0, reason = CASE row WHEN ? THEN 'representative' ELSE ? END "
            "WHERE group_id = ?",
            representative,
            reason,
            incident,
        )
        return overruled

    def separate(self, row: int, incident: int) -> bool:
        """Keep a case, which has left an incident, apart from its cases; return whether that overrules a decision."""
        self.has_links = True
        overruled = self._unlink(row)
        for pair in ("?, row", "row, ?"):
            self.change(
                f"INSERT OR IGNORE INTO cannot_link (first, second) SELECT {pair} FROM cases WHERE group_id = ?",
                row,
                incident,
            )
        return overruled

    def _unlink(self, row: int) -> bool:
        """Take a case out of its component, whose last case is not linked any more; return whether it was linked."""
        stored = self.first("SELECT component FROM must_link WHERE row = ?", row)
        if stored is None:
            return False
        self.change("DELETE FROM must_link WHERE row = ?", row)
        alone = "1 = (SELECT count(*) FROM must_link WHERE component = ?)"
        self.change(f"DELETE FROM must_link WHERE component = ? AND {alone}", *stored, *stored)
        return True

    # -- history, readings ---------------------------------------------------------------------------------------------

    def events(self, incident: int | None = None) -> list[tuple[Any, ...]]:
        """Return the stored events of an incident, or of all, the earliest first."""
        if incident is None:
            return self.all(f"SELECT {_EVENT_FIELDS} FROM events ORDER BY id")
        query = f"SELECT {_EVENT_FIELDS} FROM events WHERE incident = ? OR other = ? ORDER BY id"
        return self.all(query, (incident, incident))

    def add_events(self, events: Iterable[tuple[Any, ...]]) -> None:
        """Store events."""
        self.change_many(f"INSERT INTO events ({_EVENT_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", events)

    def version(self) -> int:
        """Return a number that every change raises: that of the last event."""
        return int(self.one("SELECT coalesce(max(id), 0) FROM events"))

    def readings(self, rows: Iterable[int]) -> dict[tuple[int, int], float]:
        """Return what was read of the pairs of some cases."""
        marks = _listed(rows)
        query = f"SELECT first, second, logit FROM readings WHERE first IN ({marks}) AND second IN ({marks})"
        stored = self.all(query)
        if not all(isinstance(logit, float) and math.isfinite(logit) for *_, logit in stored):
            raise self.damaged("what it holds of pairs that were read is not a number")
        return {(first, second): logit for first, second, logit in stored}

    def add_readings(self, readings: Iterable[tuple[int, int, float]]) -> None:
        """Store what was read of pairs of rows, the lower first."""
        self.change_many("INSERT OR IGNORE INTO readings (first, second, logit) VALUES (?, ?, ?)", readings)

    # -- check ---------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise IndexFormatError if cases, incidents and decisions contradict each other."""
        stray = "SELECT count(*) FROM cases WHERE group_id NOT IN (SELECT id FROM groups)"
        headless = (
            "SELECT count(*) FROM groups g WHERE NOT EXISTS "
            "(SELECT 1 FROM cases c WHERE c.row = g.representative AND c.group_id = g.id)"
        )
        if self.one(stray) or self.one(headless):
            raise self.damaged("it has cases without an incident, or incidents without a representative")
        contradictions = (
            "SELECT count(*) FROM must_link WHERE row NOT IN (SELECT row FROM cases)",
            "SELECT count(*) FROM cannot_link WHERE first NOT IN (SELECT row FROM cases)",
            "SELECT count(*) FROM cannot_link a WHERE NOT EXISTS "
            "(SELECT 1 FROM cannot_link b WHERE b.first = a.second AND b.second = a.first)",
            "SELECT count(*) FROM (SELECT component FROM must_link JOIN cases USING (row) "
            "GROUP BY component HAVING count(DISTINCT group_id) > 1 OR count(*) = 1)",
            "SELECT count(*) FROM cannot_link k JOIN cases a ON a.row = k.first JOIN cases b ON b.row = k.second "
            "WHERE a.group_id = b.group_id",
        )
        if any(self.one(query) for query in contradictions):
            raise self.damaged("its incidents contradict the decisions of people that it holds")


def _listed(rows: Iterable[int]) -> str:
    """Return rows for a query; not as its values, of which SQLite takes so many only."""
    return ",".join(map(str, rows))
