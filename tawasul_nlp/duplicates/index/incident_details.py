"""What an officer wants to see of incidents: how large and how old they are, where, about what, and how they grow."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.duplicates.case_places import code
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.index.history import moment, now
from tawasul_nlp.duplicates.index.incidents import Incident
from tawasul_nlp.duplicates.index.store import IndexFolder

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
        times = sorted(moment(store, time) for time in created if time is not None)
        topic = topics.get(group_id)
        found[group_id] = Incident(
            group_id,
            names[0],
            names,
            scores,
            reasons,
            None if closed[0] is None else moment(store, closed[0]),
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
