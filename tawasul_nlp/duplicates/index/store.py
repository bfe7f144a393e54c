"""The store of an index: every query and every change of its database, and what people decided as constraints.

Changes go inside a transaction. ``must_link`` holds the component of each case that a person linked, so one case may
leave it and the others stay linked; ``cannot_link`` holds each pair in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tawasul_nlp.duplicates.candidates import search_vectors
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Constraints
from tawasul_nlp.duplicates.features import CaseFeatures, pack, place_keys
from tawasul_nlp.duplicates.index.database import DATABASE, IndexDatabase, storable
from tawasul_nlp.duplicates.index.incidents import IncidentEvent
from tawasul_nlp.errors import FIRST_YEAR, LAST_YEAR

# Cases that are read at once.
_BLOCK = 4_096
_JULIAN_1970 = 2_440_587.5
# A date that no case can be given any more counts as none; `verify` names it.
_CREATED_AT = f"CASE WHEN created_at >= '{FIRST_YEAR}' AND created_at < '{LAST_YEAR + 1}' THEN created_at END"
_LAST_DECISION = "SELECT max(julianday(at)) FROM events WHERE incident = {} AND by_person"
_OVERRULES = "overrules an earlier decision"
# What is wrong with an index of which one of these queries has a row.
_CONTRADICTIONS = {
    "it has cases without an incident, or incidents without a representative": (
        "cases WHERE group_id NOT IN (SELECT id FROM groups)",
        "groups g WHERE NOT EXISTS (SELECT 1 FROM cases c WHERE c.row = g.representative AND c.group_id = g.id)",
    ),
    "its incidents contradict the decisions of people that it holds": (
        "must_link WHERE row NOT IN (SELECT row FROM cases)",
        "cannot_link WHERE first NOT IN (SELECT row FROM cases)",
        "cannot_link a WHERE NOT EXISTS (SELECT 1 FROM cannot_link b WHERE b.first = a.second AND b.second = a.first)",
        "must_link JOIN cases USING (row) GROUP BY component HAVING count(DISTINCT group_id) > 1 OR count(*) = 1",
        "cannot_link k JOIN cases a ON a.row = k.first JOIN cases b ON b.row = k.second WHERE a.group_id = b.group_id",
    ),
}
# What else an index has of another one whose sound rows it took.
_TAKEN_OVER = (
    "UPDATE main.cases SET group_id = s.group_id, score = s.score, reason = s.reason "
    "FROM source.cases s WHERE s.row = main.cases.row",
    "INSERT OR REPLACE INTO main.meta (name, value) "
    "SELECT name, value FROM source.meta WHERE name IN ('rows', 'reopen_days', 'quiet_day')",
    "DELETE FROM main.sqlite_sequence",
    "INSERT INTO main.sqlite_sequence SELECT * FROM source.sqlite_sequence",
    "DELETE FROM main.readings WHERE first NOT IN (SELECT row FROM main.cases)",
    "DELETE FROM main.readings WHERE second NOT IN (SELECT row FROM main.cases)",
    # Where rows are lost that others name.
    "DELETE FROM main.groups WHERE id NOT IN (SELECT group_id FROM main.cases)",
    "UPDATE main.groups SET representative = (SELECT min(row) FROM main.cases WHERE group_id = groups.id) "
    "WHERE representative NOT IN (SELECT row FROM main.cases)",
    "DELETE FROM main.must_link WHERE row NOT IN (SELECT row FROM main.cases)",
    "DELETE FROM main.must_link WHERE component IN "
    "(SELECT component FROM main.must_link GROUP BY component HAVING count(*) = 1)",
    "DELETE FROM main.cannot_link WHERE first NOT IN (SELECT row FROM main.cases)",
    "DELETE FROM main.cannot_link AS one WHERE NOT EXISTS "
    "(SELECT 1 FROM main.cannot_link other WHERE other.first = one.second AND other.second = one.first)",
)
_OF_INCIDENT = "SELECT row FROM cases WHERE group_id = ?"
# A closing may be of an earlier day, so its time does not tell when it was stored; the number of an event does.
_CHANGED = (
    "SELECT {} FROM events WHERE id > (SELECT coalesce(max(id), 0) FROM events WHERE at < ?4 AND kind != 'closed')"
)
_INCIDENT_IDS = (
    "SELECT g.id FROM groups g JOIN cases c ON c.group_id = g.id "
    "WHERE g.id > ?2 AND (?3 IS NULL OR (g.closed_at IS NULL) = ?3) "
    f"AND (?4 IS NULL OR g.id IN ({_CHANGED.format('incident')} UNION {_CHANGED.format('other')})) "
    "GROUP BY g.id HAVING count(*) >= ?1"
)


Placement = tuple[int, float, str]
"""The incident of a case, its score with the representative, and the reason."""


class StoredCase(NamedTuple):
    """A case and its incident."""

    row: int
    id: str
    text: str
    place: str | None
    incident: int
    score: float
    reason: str


def difference(earlier: Case | StoredCase, case: Case) -> str | None:
    """Return in what a case differs from that of its id: the text, or the place that it names; None if in neither."""
    if storable(earlier.text) != storable(case.text):
        return "text"
    return "place" if case.place is not None and storable(case.place) != storable(earlier.place or "") else None


class IndexStore(IndexDatabase):
    """The database of an index by what is asked of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Most indexes have no constraints, and then adding a case asks for none.
        query = "SELECT EXISTS (SELECT 1 FROM must_link) OR EXISTS (SELECT 1 FROM cannot_link)"
        self.has_links = bool(self.one(query))
        self.begin()

    # -- cases ---------------------------------------------------------------------------------------------------------

    def rows(self) -> int:
        """Return the number of rows ever added; no row is used twice."""
        return int(self.facts().get("rows", "0"))

    def count(self) -> int:
        """Return the number of cases."""
        return int(self.one("SELECT count(*) FROM cases"))

    def case(self, case_id: object) -> StoredCase | None:
        """Return a case by its id; None if there is none."""
        query = "SELECT row, id, text, place, group_id AS incident, score, reason FROM cases WHERE id = ?"
        stored = self.first(query, case_id)
        return None if stored is None else StoredCase(**stored)

    def values(self, column: str, rows: Sequence[int]) -> dict[int, Any]:
        """Return a column of cases by row."""
        values: dict[int, Any] = {}
        for start in range(0, len(rows), _BLOCK):
            block = _listed(rows[start : start + _BLOCK])
            values |= dict(self.all(f"SELECT row, {column} FROM cases WHERE row IN ({block})"))
        return values

    def cases(self, rows: Sequence[int] | None = None) -> list[Case]:
        """Return all cases, or those of some rows, in the order of arrival, without what the model read of them."""
        among = "" if rows is None else f"WHERE row IN ({_listed(rows)})"
        query = f"SELECT text, id, {_CREATED_AT} AS created_at, place FROM cases {among} ORDER BY row"
        return [Case(**row) for row in self.all(query)]

    def placements(self) -> list[tuple[int, str, int, float, str]]:
        """Return row, id, incident, score and reason of all cases, in the order of arrival."""
        return self.all("SELECT row, id, group_id, score, reason FROM cases ORDER BY row")

    def case_rows(self) -> list[Any]:
        """Return the rows of all cases; through the index of ids, which is small, since the table holds the texts."""
        return [row for (row,) in self.all("SELECT row FROM cases INDEXED BY sqlite_autoindex_cases_1")]

    def add_cases(
        self, ids: Sequence[str], cases: Iterable[Case], features: CaseFeatures, placements: Iterable[Placement]
    ) -> int:
        """Store cases, with what the model read of them, and return the row of the first."""
        start = self.rows()
        self.keep(rows=str(start + len(ids)))
        values = zip(ids, cases, _packed(features), placements, strict=True)
        rows = (
            (row, name, case.text, case.created_at and case.created_at.isoformat(), case.place, *read, *placement)
            for row, (name, case, read, placement) in enumerate(values, start)
        )
        columns = "row, id, text, created_at, place, columns, vector, place_key, group_id, score, reason"
        self.change_many(f"INSERT INTO cases ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return start

    def replace_features(self, rows: Sequence[int], features: CaseFeatures) -> None:
        """Store what another model read of cases."""
        values = ((*read, row) for read, row in zip(_packed(features), rows, strict=True))
        self.change_many("UPDATE cases SET columns = ?, vector = ?, place_key = ? WHERE row = ?", values)

    def place(self, row: int, incident: int, score: float, reason: str) -> None:
        """Store the incident of a case; -1 for none yet."""
        self.change("UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", incident, score, reason, row)

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

    def incident_ids(
        self,
        min_size: int,
        limit: int | None,
        after: int | None = None,
        is_open: bool | None = None,
        changed_since: datetime | None = None,
    ) -> list[int]:
        """Return the incidents with at least ``min_size`` cases: the largest first, or else by id those after one."""
        query = f"{_INCIDENT_IDS} ORDER BY {'count(*) DESC, ' if after is None else ''}g.id LIMIT ?5"
        since = changed_since and changed_since.isoformat()
        values = (min_size, after or 0, is_open, since, -1 if limit is None else limit)
        return [incident for (incident,) in self.all(query, values)]

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
            raise KeyError(f"no incident {incident} in {self.path}")
        return None if stored[0] is None else datetime.fromisoformat(stored[0])

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

    def day_range(self, incident: int) -> tuple[float | None, float | None]:
        """Return the first and the last day of an incident, in days since 1970; None if no case has a date."""
        query = f"SELECT min(julianday({_CREATED_AT})), max(julianday({_CREATED_AT})) FROM cases WHERE group_id = ?"
        ((first, last),) = self.all(query, (incident,))
        return (None, None) if first is None else (first - _JULIAN_1970, last - _JULIAN_1970)

    def quiet_incidents(self, day: float) -> list[tuple[int, int, float]]:
        """Return the open incidents before a day: id, representative, and when the last report or decision came.

        Those without a dated report are none of them.
        """
        last = f"max(max(julianday({_CREATED_AT})), coalesce(({_LAST_DECISION.format('g.id')}), 0)) - {_JULIAN_1970}"
        return self.all(
            f"SELECT g.id, g.representative, {last} AS last FROM groups g JOIN cases c ON c.group_id = g.id "
            "WHERE g.closed_at IS NULL GROUP BY g.id HAVING last < ? ORDER BY g.id",
            (day,),
        )

    def last_decision(self, incident: int) -> float:
        """Return on which day, since 1970, a person last decided about an incident; below 0 for never."""
        return float(self.one(f"SELECT coalesce(({_LAST_DECISION.format('?')}), 0)", incident)) - _JULIAN_1970

    def was_closed_by_person(self, incident: int) -> bool:
        """Return whether the last closing of an incident was a person's decision."""
        query = "SELECT by_person FROM events WHERE incident = ? AND kind = 'closed' ORDER BY id DESC LIMIT 1"
        return any(by_person for (by_person,) in self.all(query, (incident,)))

    def new_incident(self, representative: int, recurrence_of: int | None = None) -> int:
        """Store an incident, and return its id."""
        query = "INSERT INTO groups (representative, recurrence_of) VALUES (?, ?)"
        return self.change(query, representative, recurrence_of)

    def set_representative(self, incident: int, row: int) -> None:
        """Store which case the others of an incident match; one that is not there is made, and later ids are higher."""
        query = "INSERT INTO groups (id, representative) VALUES (?, ?) ON CONFLICT DO UPDATE SET representative = ?"
        self.change(query, incident, row, row)

    def last_incident_id(self) -> int:
        """Return the highest id that an incident ever had."""
        return int(self.one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'groups'"))

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

    def split_off(self) -> set[int]:
        """Return the incidents that a person began, by splitting off a case."""
        query = "SELECT DISTINCT incident FROM events WHERE kind = 'split' AND by_person"
        return {incident for (incident,) in self.all(query)}

    # -- details of incidents ------------------------------------------------------------------------------------------

    def incident_members(self, incidents: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return incident, row, id, score, reason, time of the cases, closing and recurrence; representatives first."""
        return self.all(
            f"SELECT c.group_id, c.row, c.id, c.score, c.reason, {_CREATED_AT}, g.closed_at, g.recurrence_of "
            f"FROM cases c JOIN groups g ON g.id = c.group_id WHERE g.id IN ({_listed(incidents)}) "
            "ORDER BY c.group_id, c.row != g.representative, c.score DESC, c.row"
        )

    def place_examples(self, incidents: Sequence[int]) -> list[tuple[int, int, bytes]]:
        """Return incident, number of cases, and packed features of the first for each combination of places."""
        rows = self.all(
            "SELECT group_id, count(*), columns, min(row) FROM cases "
            f"WHERE group_id IN ({_listed(incidents)}) GROUP BY group_id, place_key"
        )
        return [(incident, cases, columns) for incident, cases, columns, _ in rows]

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

    def link(self, incident: int, reason: str) -> str | None:
        """Link all cases of an incident; return that this overrules an earlier decision, if it does."""
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
        return _OVERRULES if overruled else None

    def separate(self, row: int, incident: int) -> str | None:
        """Keep a case, which has left an incident, apart from its cases; return that this overrules a decision."""
        self.has_links = True
        overruled = self._unlink(row)
        for pair in ("?, row", "row, ?"):
            self.change(
                f"INSERT OR IGNORE INTO cannot_link (first, second) SELECT {pair} FROM cases WHERE group_id = ?",
                row,
                incident,
            )
        return _OVERRULES if overruled else None

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

    def begin(self, by: str | None = None, note: str | None = None, at: datetime | None = None) -> None:
        """Begin changes that happen at a time, None for now; ``by`` and ``note`` are of what a person decides."""
        self.at, self._by, self._note = at or datetime.now(UTC), by, note

    def record(
        self,
        kind: str,
        incident: int,
        *,
        row: int | None = None,
        other: int | None = None,
        reason: str | None = None,
        by_person: bool = False,
    ) -> None:
        """Store an event, about the case in a row."""
        by, note = (self._by, self._note) if by_person else (None, None)
        self.change(
            "INSERT INTO events (kind, incident, case_id, other, at, by_person, person, note, reason) "
            "VALUES (?, ?, (SELECT id FROM cases WHERE row = ?), ?, ?, ?, ?, ?, ?)",
            *(kind, incident, row, other, self.at.isoformat(), by_person, by, note, reason),
        )

    def history(self, incident: int | None = None, after: int = 0, limit: int | None = None) -> list[IncidentEvent]:
        """Return what happened to an incident, or at most ``limit`` events of all after one, the earliest first."""
        events = (
            "SELECT id, kind, incident, case_id, other, at, by_person, person AS by, note, reason FROM events WHERE"
        )
        if incident is None:
            rows = self.all(f"{events} id > ? ORDER BY id LIMIT ?", (after, -1 if limit is None else limit))
        else:
            rows = self.all(f"{events} incident = ? OR other = ? ORDER BY id", (incident, incident))
        return [
            IncidentEvent(**{**row, "at": datetime.fromisoformat(row["at"]), "by_person": bool(row["by_person"])})
            for row in rows
        ]

    def version(self) -> int:
        """Return the number of the last event, which every change raises."""
        return int(self.one("SELECT coalesce(max(id), 0) FROM events"))

    def readings(self, rows: Iterable[int]) -> dict[tuple[int, int], float]:
        """Return what was read of the pairs of some cases."""
        marks = _listed(rows)
        query = f"SELECT first, second, logit FROM readings WHERE first IN ({marks}) AND second IN ({marks})"
        return {(first, second): logit for first, second, logit in self.all(query)}

    def delete_readings(self) -> None:
        """Delete what was read of all pairs."""
        self.change("DELETE FROM readings")

    def all_readings(self) -> list[tuple[int, int, float]]:
        """Return what was read of all pairs: two rows, the lower first, and the log-odds."""
        return self.all("SELECT first, second, logit FROM readings")

    def add_readings(self, readings: Iterable[tuple[int, int, float]]) -> None:
        """Store what was read of pairs of rows, the lower first; NaN, of what cannot be read, is left out."""
        read = (reading for reading in readings if not math.isnan(reading[2]))
        self.change_many("INSERT OR IGNORE INTO readings (first, second, logit) VALUES (?, ?, ?)", read)

    # -- another index -------------------------------------------------------------------------------------------------

    def take_over(self, folder: Path) -> tuple[int, int]:
        """Store the cases, decisions and history of another index as it is at one moment, even if it is in use.

        What was read of its cases here stays. Damaged rows are left out. Returns the number of its last event, and how
        many rows are damaged.
        """
        self.change("ATTACH ? AS source", f"{(folder / DATABASE).resolve().as_uri()}?mode=rw")
        try:
            with self.committed():
                damaged = 0
                for table in ("cases", "groups", "must_link", "cannot_link", "events"):
                    columns = ", ".join(self._columns(table)[0])
                    damaged += self.one(f"SELECT count(*) FROM source.{table} WHERE crc IS NOT crc({columns})")
                    gone, new = "", ""
                    if table == "cases":
                        gone = "WHERE row NOT IN (SELECT row FROM source.cases)"
                        new = "AND row NOT IN (SELECT row FROM main.cases)"
                    self.change(f"DELETE FROM main.{table} {gone}")
                    self.change(
                        f"INSERT INTO main.{table} ({columns}) "
                        f"SELECT {columns} FROM source.{table} WHERE crc IS crc({columns}) {new}"
                    )
                for statement in _TAKEN_OVER:
                    self.change(statement)
                return self.version(), damaged
        finally:
            self.change("DETACH source")

    # -- check ---------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise IndexFormatError if cases, incidents and decisions contradict each other."""
        for contradiction, queries in _CONTRADICTIONS.items():
            if any(self.first(f"SELECT 1 FROM {query}") for query in queries):
                raise self.damaged(contradiction)

    def impossible_dates(self) -> tuple[str, ...]:
        """Return the cases and the closed incidents whose date would be refused today."""
        cases = self.all(f"SELECT id FROM cases WHERE created_at NOTNULL AND {_CREATED_AT} IS NULL ORDER BY row")
        latest = datetime.now(UTC).isoformat()
        closings = self.all(
            "SELECT id FROM groups WHERE closed_at NOT BETWEEN ? AND ? ORDER BY id", (str(FIRST_YEAR), latest)
        )
        return (*(f"case {case_id!r}" for (case_id,) in cases), *(f"incident {incident}" for (incident,) in closings))


def _packed(features: CaseFeatures) -> Iterable[tuple[bytes, bytes, int]]:
    """Yield what is stored of features: columns, search vector, and a key of the places."""
    vectors = search_vectors(features).astype("<f2")
    keys = place_keys(features).astype(np.int64).tolist()
    return zip(pack(features), (vector.tobytes() for vector in vectors), keys, strict=True)


def _listed(rows: Iterable[int]) -> str:
    """Return rows for a query; not as its values, of which SQLite takes so many only."""
    return ",".join(map(str, rows))
