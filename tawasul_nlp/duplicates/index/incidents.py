"""The results of an index: assignments, matches, incidents and what happened to them, and the outcome of a check."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import overload

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.duplicates.case_places import code
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.index.database import now
from tawasul_nlp.duplicates.index.store import IndexFolder


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
    case_id: str | None
    # The other incident; for `created`, the closed one that it repeats.
    other: int | None
    # When, in UTC.
    at: datetime
    # Whether a person decided it, or it followed from an added or removed case.
    by_person: bool
    # Who decided it, and why, if the caller said so.
    by: str | None
    note: str | None
    # Why it happened by itself; of a person's decision, whether it overruled an earlier one.
    reason: str | None


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
    def __getitem__(self, at: int) -> Assignment: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Assignment, ...]: ...

    def __getitem__(self, at: int | slice) -> Assignment | tuple[Assignment, ...]:
        return self.assignments[at]


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


# Incidents that are read at once.
_AT_ONCE = 400
_WEEK = timedelta(days=7)
_NAMED = ("towns", "quarters", "landmarks")
_NUMBERED = ("blocks", "roads")


def read_incidents(store: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> list[Incident]:
    """Return incidents by id, in this order; those that are not there are left out."""
    found: dict[int, Incident] = {}
    for start in range(0, len(ids), _AT_ONCE):
        found |= _read(store, classifier, ids[start : start + _AT_ONCE])
    return [found[incident] for incident in ids if incident in found]


def _read(store: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> dict[int, Incident]:
    marks = ",".join(map(str, map(int, ids)))
    members = defaultdict(list)
    for group_id, *member in store.all(
        "SELECT c.group_id, c.id, c.score, c.reason, c.created_at, g.closed_at, g.recurrence_of FROM cases c "
        f"JOIN groups g ON g.id = c.group_id WHERE g.id IN ({marks}) "
        "ORDER BY c.group_id, c.row != g.representative, c.score DESC, c.row"
    ):
        members[group_id].append(member)
    places, topics = _about(store, classifier, marks)
    today = now()
    found = {}
    for group_id, rows in members.items():
        names, scores, reasons, created, closed, recurrence_of = zip(*rows, strict=True)
        times = sorted(store.moment(time) for time in created if time is not None)
        topic = topics.get(group_id)
        found[group_id] = Incident(
            group_id,
            names[0],
            names,
            scores,
            reasons,
            None if closed[0] is None else store.moment(closed[0]),
            recurrence_of[0],
            times[0].date() if times else None,
            times[-1].date() if times else None,
            _between(times, today - _WEEK, today),
            _between(times, today - 2 * _WEEK, today - _WEEK),
            places[group_id].names(),
            topic,
            _agency(store.domain, topic, places[group_id].ids()),
        )
    return found


class _Places:
    """How many reports of an incident name each place."""

    def __init__(self) -> None:
        self._named: Counter[str] = Counter()
        self._ids: Counter[str] = Counter()

    def add(self, features: CaseFeatures, row: int, reports: int) -> None:
        known, levels = _by_code(features.domain), features.domain.gazetteer.levels
        for role, level in zip(_NUMBERED, levels.places, strict=False):
            for number in getattr(features, role)[row].tolist():
                if number >= 0 and level.unique_in == COUNTRY:  # other codes are hashes
                    self._named[f"{level.name_ar} {number}"] += reports
        for role in _NAMED:
            for place in getattr(features, role)[row].tolist():
                if place in known:
                    self._named[features.domain.gazetteer.places[known[place]].name_ar] += reports
                    self._ids[known[place]] += reports
        if (region := int(features.governorate[row])) in known:
            self._ids[known[region]] += reports

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._named.most_common())

    def ids(self) -> tuple[str, ...]:
        """Return the ids of regions, areas and landmarks, those first that most reports name."""
        return tuple(name for name, _ in self._ids.most_common())


def _about(
    store: IndexFolder, classifier: ComplaintClassifier, marks: str
) -> tuple[dict[int, _Places], dict[int, str]]:
    """Return incidents' places, and the topics of their representatives as far as the model's."""
    places: dict[int, _Places] = defaultdict(_Places)
    rows = store.all(
        "SELECT group_id, columns, count(*), min(row) FROM cases "
        f"WHERE group_id IN ({marks}) GROUP BY group_id, place_key"
    )
    features = _without_vectors(store, [blob for _, blob, *_ in rows])
    for at, (group_id, _, reports, _) in enumerate(rows):
        places[group_id].add(features, at, reports)
    labels = classifier.labels[classifier.known_task(None)]
    names = {code(f"topic:{label}"): label for label in labels}
    heads = store.all(
        f"SELECT g.id, c.columns FROM groups g JOIN cases c ON c.row = g.representative WHERE g.id IN ({marks})"
    )
    likeliest = _without_vectors(store, [blob for _, blob in heads]).topics[:, 0].tolist() if heads else []
    topics = {group_id: names[topic] for (group_id, _), topic in zip(heads, likeliest, strict=True) if topic in names}
    return places, topics


def _without_vectors(store: IndexFolder, blobs: Sequence[bytes]) -> CaseFeatures:
    return unpack(blobs, np.zeros((len(blobs), store.width), np.float32), store.domain)


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
