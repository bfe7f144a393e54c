"""The details of an index's incidents: their days, growth, places, topic and agency."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.duplicates.case_places import code
from tawasul_nlp.duplicates.features import most_urgent
from tawasul_nlp.duplicates.index.incidents import Incident
from tawasul_nlp.duplicates.index.index_folder import IndexFolder

# Incidents that are read at once.
_AT_ONCE = 400
_WEEK = timedelta(days=7)
_NAMED = ("towns", "quarters", "landmarks")
_NUMBERED = ("blocks", "roads")


def read_incidents(folder: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> Iterator[Incident]:
    """Yield incidents by id, in this order; those that are not there are left out."""
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        incidents = {incident.incident_id: incident for incident in _read(folder, classifier, block)}
        yield from (incidents[incident] for incident in block if incident in incidents)


def _read(folder: IndexFolder, classifier: ComplaintClassifier, ids: Sequence[int]) -> Iterator[Incident]:
    members = defaultdict(list)
    for incident, *member in folder.incident_members(ids):
        members[incident].append(member)
    names, place_ids = _places(folder, ids)
    labels = {code(f"topic:{label}"): label for label in classifier.labels[classifier.known_task(None)]}
    representatives = folder.features([rows[0][0] for rows in members.values()])
    read = [row for rows in members.values() for row, *_ in rows]
    urgency_of = dict(zip(read, folder.urgencies(read).tolist(), strict=True))
    today = datetime.now(UTC)
    for (incident, rows), topic_code in zip(members.items(), representatives.topics[:, 0].tolist(), strict=True):
        numbers, case_ids, scores, reasons, created, closed, recurrence_of = zip(*rows, strict=True)
        # Of equally pressing reports the first to come.
        by_number = sorted(zip(numbers, case_ids, strict=True))
        urgency, first = most_urgent(np.array([urgency_of[row] for row, _ in by_number], np.int8))
        times = sorted(map(datetime.fromisoformat, filter(None, created)))
        topic = labels.get(topic_code)
        yield Incident(
            incident_id=incident,
            representative=case_ids[0],
            members=case_ids,
            scores=scores,
            reasons=reasons,
            closed_at=None if closed[0] is None else datetime.fromisoformat(closed[0]),
            recurrence_of=recurrence_of[0],
            first_day=times[0].date() if times else None,
            last_day=times[-1].date() if times else None,
            last_week=sum(today - _WEEK < time <= today for time in times),
            week_before=sum(today - 2 * _WEEK < time <= today - _WEEK for time in times),
            places=tuple(name for name, _ in names[incident].most_common()),
            urgency=urgency,
            most_urgent=None if first is None else by_number[first][1],
            topic=topic,
            agency=_agency(folder.domain, topic, [place for place, _ in place_ids[incident].most_common()]),
        )


_Counts = dict[int, Counter[str]]


def _places(folder: IndexFolder, ids: Sequence[int]) -> tuple[_Counts, _Counts]:
    """Return how many reports of each incident name a place: by its Arabic name, and by the id of all but numbers."""
    names: _Counts = defaultdict(Counter)
    place_ids: _Counts = defaultdict(Counter)
    gazetteer, by_code = folder.domain.gazetteer, _by_code(folder.domain)
    examples, features = folder.place_features(ids)
    for row, (incident, reports) in enumerate(examples):
        for role, level in zip(_NUMBERED, gazetteer.levels.places, strict=False):
            for number in getattr(features, role)[row].tolist():
                if number >= 0 and level.unique_in == COUNTRY:  # other codes are hashes
                    names[incident][f"{level.name_ar} {number}"] += reports
        for role in _NAMED:
            for place in getattr(features, role)[row].tolist():
                if place in by_code:
                    names[incident][gazetteer.places[by_code[place]].name_ar] += reports
                    place_ids[incident][by_code[place]] += reports
        if (region := int(features.governorate[row])) in by_code:
            place_ids[incident][by_code[region]] += reports
    return names, place_ids


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
