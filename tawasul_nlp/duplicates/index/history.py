"""The history of an index: what happened to its incidents, written in the transaction in which it happens."""

from __future__ import annotations

from datetime import datetime

from tawasul_nlp.duplicates.index.database import IndexDatabase, now
from tawasul_nlp.duplicates.index.incidents import IncidentEvent

KINDS = ("created", "joined", "merged", "moved", "split", "closed", "reopened", "removed")
EVENT_FIELDS = "kind, incident, case_id, other, at, by_person, person, note, reason"
INSERT_EVENT = f"INSERT INTO events ({EVENT_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Journal:
    """Writes events, and keeps those of the last transaction."""

    def __init__(self, database: IndexDatabase) -> None:
        self._database = database
        self._events: list[IncidentEvent] = []
        self.at = now()
        self._by: str | None = None
        self._note: str | None = None

    def begin(self, by: str | None = None, note: str | None = None) -> None:
        """Begin the events of a transaction; ``by`` and ``note`` belong to those that a person decides."""
        self._events, self.at, self._by, self._note = [], now(), by, note

    def record(
        self,
        kind: str,
        incident: int,
        *,
        row: int | None = None,
        other: int | None = None,
        reason: str | None = None,
        by_person: bool = False,
        at: datetime | None = None,
    ) -> None:
        """Write an event."""
        case_id = None if row is None else str(self._database.one("SELECT id FROM cases WHERE row = ?", row))
        by, note = (self._by, self._note) if by_person else (None, None)
        event = IncidentEvent(kind, incident, case_id, other, at or self.at, by_person, by, note, reason)
        self._events.append(event)
        self._database.change(INSERT_EVENT, *stored_event(event))

    def events(self) -> tuple[IncidentEvent, ...]:
        """Return the events since :meth:`begin`."""
        return tuple(self._events)

    def of(self, incident: int) -> list[IncidentEvent]:
        """Return what happened to an incident, the earliest first."""
        query = f"SELECT {EVENT_FIELDS} FROM events WHERE incident = ? OR other = ? ORDER BY id"
        return [_event(self._database, *row) for row in self._database.all(query, (incident, incident))]

    def all(self) -> list[IncidentEvent]:
        """Return what happened to all incidents, the earliest first."""
        return read_events(self._database)


def read_events(database: IndexDatabase) -> list[IncidentEvent]:
    """Return all events of an index, the earliest first."""
    return [_event(database, *row) for row in database.all(f"SELECT {EVENT_FIELDS} FROM events ORDER BY id")]


def stored_event(event: IncidentEvent) -> tuple[object, ...]:
    """Return an event as it is stored, without its number."""
    return (
        event.kind,
        event.incident,
        event.case_id,
        event.other,
        event.at.isoformat(),
        int(event.by_person),
        event.by,
        event.note,
        event.reason,
    )


def _event(
    database: IndexDatabase,
    kind: str,
    incident: int,
    case_id: str | None,
    other: int | None,
    at: str,
    by_person: int,
    person: str | None,
    note: str | None,
    reason: str | None,
) -> IncidentEvent:
    if kind not in KINDS:
        raise database.damaged(f"its history has an event of the kind {kind!r}")
    return IncidentEvent(kind, incident, case_id, other, database.moment(at), bool(by_person), person, note, reason)
