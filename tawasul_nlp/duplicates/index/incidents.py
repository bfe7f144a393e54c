"""The results of an index: assignments, matches, incidents with their details, and what happened to them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import overload

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.duplicates.case_places import code
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.index.database import now
from tawasul_nlp.duplicates.index.index_folder import IndexFolder
from tawasul_nlp.duplicates.index.store import IndexStore


@dataclass(frozen=True, slots=True)
class Assignment:
    """The incident that a case is assigned to."""

    id: str
    # The incident.
    group_id: int
    # Whether the case was just added as the first report of its incident.
    is_new: bool
    # Probability that the case and the incident's representative report one incident; 1 for the representative, and
    # for a case that a person linked with it.
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """What happened to an incident, by a person or by itself."""

    # `created`, `joined` (a new case), `merged` (all of `other`, whose id is gone, came into it), `moved` (a case
    # came from `other`), `split` (it came to be when a case left `other`), `closed`, `reopened` or `removed` (a case,
    # by :meth:`~tawasul_nlp.duplicates.DuplicateIndex.remove`).
    kind: str
    incident: int
    # The case that it is about; for what happened by itself, the one that was the occasion.
    case_id: str | None = None
    # The other incident; for `created`, the closed one that it repeats.
    other: int | None = None
    # When, in UTC.
    at: datetime = field(default_factory=now)
    # Whether a person decided it, or it followed from an added or removed case.
    by_person: bool = False
    # Who decided it, and why, if the caller said so.
    by: str | None = None
    note: str | None = None
    # Why it happened by itself; of a person's decision, whether it overruled an earlier one.
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Additions(Sequence[Assignment]):
    """What came of adding cases: a sequence of their assignments, in their order."""

    assignments: tuple[Assignment, ...]
    # Everything that happened to incidents: which were created, joined, merged and reopened, and which earlier cases
    # moved, each with its reason.
    changes: tuple[IncidentEvent, ...]

    def __len__(self) -> int:
        return len(self.assignments)

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self.assignments)

    @overload
    def __getitem__(self, index: int) -> Assignment: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Assignment, ...]: ...

    def __getitem__(self, index: int | slice) -> Assignment | tuple[Assignment, ...]:
        return self.assignments[index]


@dataclass(frozen=True, slots=True)
class Match:
    """An incident that a case may belong to, with its representative.

    ``score`` and ``reason`` are those of its most similar case; ``is_duplicate`` says whether the case would be grouped
    with its cases if it were added, and ``is_closed`` whether it is closed.
    """

    group_id: int
    representative: str
    text: str
    size: int
    score: float
    reason: str
    is_duplicate: bool
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of the index."""

    # Its id, which no other incident ever gets.
    group_id: int
    # The id of the case that the others match.
    representative: str
    # The ids of its cases, the representative first.
    members: tuple[str, ...]
    scores: tuple[float, ...]
    # Score and reason of each member, as of :class:`Assignment`.
    reasons: tuple[str, ...]
    # When it was closed, in UTC; None while it is open.
    closed_at: datetime | None
    # The closed incident that it repeats.
    recurrence_of: int | None
    # The days of its first and last report; None if no report has a date.
    first_day: date | None
    last_day: date | None
    # The dated reports of the last seven days, and of the seven before them.
    last_week: int
    week_before: int
    # The Arabic names of the places that its reports name, the most frequent first: blocks, roads, towns, landmarks.
    places: tuple[str, ...]
    # The likeliest topic of its representative; None if the model has not read it, or the topic is the caller's own.
    topic: str | None
    # The agency that owns the topic, in the governorate that the most reports name.
    agency: str | None

    @property
    def size(self) -> int:
        """Return the number of its cases."""
        return len(self.members)

    @property
    def state(self) -> str:
        """Return ``open`` or ``closed``."""
        return "open" if self.closed_at is None else "closed"

    @property
    def growth(self) -> int:
        """Return how many more reports came in the last seven days than in the seven before."""
        return self.last_week - self.week_before


# What can happen to an incident.
_KINDS = ("created", "joined", "merged", "moved", "split", "closed", "reopened", "removed")
_EVENT_FIELDS = tuple(field.name for field in fields(IncidentEvent))


class Journal:
    """Writes what happens to incidents in the transaction in which it happens, and keeps the events of the last one."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store
        self.begin()

    def begin(self, by: str | None = None, note: str | None = None, at: datetime | None = None) -> None:
        """Begin a transaction's events, at a time, None for now; ``by`` and ``note`` are of what a person decides."""
        self._events: list[IncidentEvent] = []
        self.at = at or now()
        self._by, self._note = by, note

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
        """Write an event, about the case in a row."""
        event = IncidentEvent(
            kind=kind,
            incident=incident,
            case_id=None if row is None else self._store.case_ids([row])[row],
            other=other,
            at=self.at,
            by_person=by_person,
            by=self._by if by_person else None,
            note=self._note if by_person else None,
            reason=reason,
        )
        self._events.append(event)
        self._store.add_events([stored_event(event)])

    def events(self) -> tuple[IncidentEvent, ...]:
        """Return the events since :meth:`begin`."""
        return tuple(self._events)


def stored_event(event: IncidentEvent) -> tuple[object, ...]:
    """Return an event as it is stored: its fields in their order."""
    return tuple(event.at.isoformat() if name == "at" else getattr(event, name) for name in _EVENT_FIELDS)


def read_events(store: IndexStore, incident: int | None = None) -> list[IncidentEvent]:
    """Return what happened to an incident, or to all, the earliest first."""
    events = []
    for row in store.events(incident):
        values = dict(zip(_EVENT_FIELDS, row, strict=True))
        if values["kind"] not in _KINDS:
            raise store.damaged(f"its history has an event of the kind {values['kind']!r}")
        values["at"], values["by_person"] = store.moment(values["at"]), bool(values["by_person"])
        events.append(IncidentEvent(**values))
    return events


# Incidents that are read at once.
_AT_ONCE = 400
_WEEK = timedelta(days=7)
_NAMED = ("towns", "quarters", "landmarks")
_NUMBERED = ("blocks", "roads")


def read_incidents(folder: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> list[Incident]:
    """Return incidents by id, in this order; those that are not there are left out."""
    incidents: dict[int, Incident] = {}
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        incidents |= {incident.group_id: incident for incident in _read(folder, classifier, block)}
    return [incidents[incident] for incident in ids if incident in incidents]


def _read(folder: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> Iterator[Incident]:
    members = defaultdict(list)
    for incident, *member in folder.incident_members(ids):
        members[incident].append(member)
    places, topics = _places(folder, ids), _topics(folder, classifier, ids)
    today = now()
    for incident, rows in members.items():
        case_ids, scores, reasons, created, closed, recurrence_of = zip(*rows, strict=True)
        times = sorted(folder.moment(time) for time in created if time is not None)
        topic = topics.get(incident)
        yield Incident(
            group_id=incident,
            representative=case_ids[0],
            members=case_ids,
            scores=scores,
            reasons=reasons,
            closed_at=None if closed[0] is None else folder.moment(closed[0]),
            recurrence_of=recurrence_of[0],
            first_day=times[0].date() if times else None,
            last_day=times[-1].date() if times else None,
            last_week=_between(times, today - _WEEK, today),
            week_before=_between(times, today - 2 * _WEEK, today - _WEEK),
            places=places[incident].names(),
            topic=topic,
            agency=_agency(folder.domain, topic, places[incident].ids()),
        )


class _PlaceCounts:
    """How many reports of an incident name each place."""

    def __init__(self) -> None:
        self._named: Counter[str] = Counter()
        self._ids: Counter[str] = Counter()

    def add(self, features: CaseFeatures, row: int, reports: int) -> None:
        place_ids, gazetteer = _by_code(features.domain), features.domain.gazetteer
        for role, level in zip(_NUMBERED, gazetteer.levels.places, strict=False):
            for number in getattr(features, role)[row].tolist():
                if number >= 0 and level.unique_in == COUNTRY:  # other codes are hashes
                    self._named[f"{level.name_ar} {number}"] += reports
        for role in _NAMED:
            for place in getattr(features, role)[row].tolist():
                if place in place_ids:
                    self._named[gazetteer.places[place_ids[place]].name_ar] += reports
                    self._ids[place_ids[place]] += reports
        if (region := int(features.governorate[row])) in place_ids:
            self._ids[place_ids[region]] += reports

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._named.most_common())

    def ids(self) -> tuple[str, ...]:
        """Return the ids of regions, areas and landmarks, those first that most reports name."""
        return tuple(name for name, _ in self._ids.most_common())


def _places(folder: IndexFolder, ids: Sequence[int]) -> dict[int, _PlaceCounts]:
    places: dict[int, _PlaceCounts] = defaultdict(_PlaceCounts)
    rows = folder.incident_places(ids)
    features = folder.features_without_vectors([columns for _, columns, _ in rows])
    for row, (incident, _, reports) in enumerate(rows):
        places[incident].add(features, row, reports)
    return places


def _topics(folder: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> dict[int, str]:
    """Return the topics of incidents' representatives as far as they are the model's."""
    labels = {code(f"topic:{label}"): label for label in classifier.labels[classifier.known_task(None)]}
    rows = folder.representative_columns(ids)
    likeliest = folder.features_without_vectors([columns for _, columns in rows]).topics[:, 0].tolist()
    return {incident: labels[topic] for (incident, _), topic in zip(rows, likeliest, strict=True) if topic in labels}


def _between(times: Sequence[datetime], start: datetime, end: datetime) -> int:
    return sum(start < time.astimezone(UTC) <= end for time in times)


def _agency(domain: Domain, topic: str | None, places: Sequence[str]) -> str | None:
    """Return the agency of a topic; of a group of agencies, the one of the first place that has one."""
    entry = domain.taxonomy.topics.get(topic or "")
    if entry is None:
        return None
    members = domain.taxonomy.agency(entry.agency).members
    return next((members[place] for place in places if place in members), entry.agency)


@lru_cache(maxsize=4)
def _by_code(domain: Domain) -> dict[int, str]:
    """Return the ids of areas, landmarks and regions by code."""
    gazetteer = domain.gazetteer
    return {code(place): place for place in (*gazetteer.places, *gazetteer.governorates)}
