"""Cases on their way into an index: which are new, their ids, their rows, and whole groupings at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.candidates import keyed_pairs, search_vectors
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import CaseFeatures, pack, place_keys
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.duplicates.index.assign import Assigner
from tawasul_nlp.duplicates.index.database import now, storable
from tawasul_nlp.duplicates.index.incidents import IncidentEvent, stored_event
from tawasul_nlp.duplicates.index.index_folder import IndexFolder


def new_cases(folder: IndexFolder, cases: Sequence[Case]) -> dict[int, str]:
    """Return the positions of the cases that are new, and their ids; one without an id gets an unused one.

    Raises
    ------
    ValueError
        If an id is already there with another text.
    """
    new: list[int] = []
    texts: dict[str, str] = {}
    for position, case in enumerate(cases):
        text = storable(case.text)
        if case.id is None:
            new.append(position)
        elif case.id not in texts:
            stored = folder.case(case.id)
            texts[case.id] = text if stored is None else stored.text
            if stored is None:
                new.append(position)
        if case.id is not None and texts[case.id] != text:
            raise ValueError(
                f"case {position}: the id {case.id!r} is already in {folder.path} with another text; "
                "remove that case first, or give this one a unique id"
            )
    taken = {case.id for case in cases}
    ids = {}
    for row, position in enumerate(new, start=folder.rows()):
        case_id = cases[position].id
        if case_id is None:
            names = chain([f"case-{row}"], (f"case-{row}-{number}" for number in count(2)))
            case_id = next(name for name in names if name not in taken and folder.case(name) is None)
            taken.add(case_id)
        ids[position] = case_id
    return ids


def add_cases(
    folder: IndexFolder, assigner: Assigner, cases: Mapping[str, Case], features: CaseFeatures, settings: dict[str, str]
) -> set[str]:
    """Store new cases by id, each in its incident, and return the ids of those that are the first of theirs."""
    firsts = set()
    vectors = search_vectors(features)
    with folder.transaction(len(vectors)) as start:
        folder.keep_threshold(assigner.threshold)
        folder.keep(**settings)
        folder.add_cases((*row, -1, 0.0, "") for row in _rows(start, cases, cases.values(), features))
        # One after the other: each is found as a neighbour of those that come after it.
        for position, case_id in enumerate(cases):
            row, vector = start + position, vectors[position]
            folder.add_to_graph(row, vector[None])
            if assigner.assign(row, features.take(np.array([position])), vector):
                firsts.add(case_id)
    return firsts


def load_groups(folder: IndexFolder, groups: DuplicateGroups) -> None:
    """Store the cases and incidents of a grouping in an empty index."""
    ids = [case.id if case.id is not None else f"case-{row}" for row, case in enumerate(groups.cases)]
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise ValueError(f"two cases have the id {twice!r}; give every case a unique id")
    vectors = search_vectors(groups.features)
    representatives, incident_of, sizes = np.unique(groups.representatives, return_inverse=True, return_counts=True)
    placements = zip((incident_of + 1).tolist(), groups.scores.tolist(), groups.reasons, strict=True)
    time = now()
    with folder.transaction(len(vectors)) as start:
        folder.keep_threshold(groups.threshold)
        rows = _rows(start, ids, groups.cases, groups.features)
        folder.add_cases((*row, *placement) for row, placement in zip(rows, placements, strict=True))
        loaded = zip(representatives.tolist(), sizes.tolist(), strict=True)
        for incident, (representative, size) in enumerate(loaded, start=1):
            folder.add_incident(incident, representative)
            reason = f"loaded with {size} {'case' if size == 1 else 'cases'}"
            event = IncidentEvent("created", incident, case_id=ids[representative], at=time, reason=reason)
            folder.add_events([stored_event(event)])
        first, second = keyed_pairs(groups.readings.keys).T.tolist()
        folder.add_readings(zip(first, second, groups.readings.logits.tolist(), strict=True))
        folder.add_to_graph(start, vectors)


def packed_features(features: CaseFeatures) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield what an index stores of the features of cases: columns, search vector, and a key of their places."""
    vectors = search_vectors(features).astype("<f2")
    keys = place_keys(features).astype(np.int64).tolist()
    for columns, vector, key in zip(pack(features), vectors, keys, strict=True):
        yield columns, vector.tobytes(), key


def _rows(start: int, ids: Iterable[str], cases: Iterable[Case], features: CaseFeatures) -> Iterator[tuple[Any, ...]]:
    """Yield the stored values of cases, but for the incident."""
    for row, (case_id, case, packed) in enumerate(zip(ids, cases, packed_features(features), strict=True), start):
        created_at = case.created_at.isoformat() if case.created_at else None
        yield row, case_id, case.text, created_at, case.place, *packed
