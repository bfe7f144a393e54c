"""Cases on their way into an index: which are new, their ids, their rows, and whole groupings at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.candidates import search_vectors
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import CaseFeatures, pack, place_keys
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.duplicates.index.database import now, storable
from tawasul_nlp.duplicates.index.history import INSERT_EVENT, stored_event
from tawasul_nlp.duplicates.index.incidents import IncidentEvent
from tawasul_nlp.duplicates.index.index_scores import rows_read, store_readings
from tawasul_nlp.duplicates.index.store import IndexFolder

INSERT_CASE = (
    "INSERT INTO cases (row, id, text, created_at, place, columns, vector, place_key, group_id, score, reason) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def fresh_cases(store: IndexFolder, cases: Sequence[Case]) -> list[int]:
    """Return which cases are new; a known id with another text is an error."""
    fresh: list[int] = []
    seen: dict[str, str] = {}
    for at, case in enumerate(cases):
        if case.id is None:
            fresh.append(at)
            continue
        text = seen.get(case.id)
        if text is None:
            found = store.first("SELECT text FROM cases WHERE id = ?", case.id)
            text = found[0] if found else None
        if text is None:
            fresh.append(at)
            seen[case.id] = storable(case.text)
        elif text != storable(case.text):
            raise ValueError(
                f"case {at}: the id {case.id!r} is already in {store.path} with another text; "
                "remove that case first, or give this one a unique id"
            )
    return fresh


def new_ids(store: IndexFolder, cases: Sequence[Case], fresh: Sequence[int]) -> dict[int, str]:
    """Return the ids of new cases; one without an id gets an unused one."""
    start = store.rows()
    taken = {case.id for case in cases}
    names = {}
    for offset, at in enumerate(fresh):
        given = cases[at].id
        if given is None:
            given, number = f"case-{start + offset}", 2
            while given in taken or store.first("SELECT 1 FROM cases WHERE id = ?", given) is not None:
                given, number = f"case-{start + offset}-{number}", number + 1
            taken.add(given)
        names[at] = given
    return names


def stored_case(row: int, case_id: str, case: Case, features: CaseFeatures, vector: np.ndarray) -> tuple[Any, ...]:
    """Return the stored values of a case without an incident."""
    key = int(place_keys(features)[0].astype(np.int64))
    columns = pack(features)[0]
    return row, case_id, case.text, _created(case), case.place, columns, _packed(vector), key, -1, 0.0, ""


def load(store: IndexFolder, groups: DuplicateGroups, incident_ids: Sequence[int] | None, last_id: int) -> None:
    """Store the cases and incidents of a grouping in an empty index."""
    ids = [case.id if case.id is not None else f"case-{row}" for row, case in enumerate(groups.cases)]
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise ValueError(f"two cases have the id {twice!r}; give every case a unique id")
    features, vectors = groups.features, search_vectors(groups.features)
    reasons = ["representative"] * len(ids)
    for group in groups.groups:
        for row, reason in zip(group.members, group.reasons, strict=True):
            reasons[row] = reason
    representatives, incident_of, sizes = np.unique(groups.representatives, return_inverse=True, return_counts=True)
    numbers = np.arange(1, len(representatives) + 1)
    if incident_ids is not None:
        numbers[incident_of] = incident_ids
    last_id = max(last_id, int(numbers.max(initial=0)))
    at = now()
    with store.transaction(len(vectors)) as start:
        store.keep_threshold(groups.threshold)
        store.change_many(
            "INSERT INTO groups (id, representative) VALUES (?, ?)",
            zip(numbers.tolist(), representatives.tolist(), strict=True),
        )
        store.change("DELETE FROM sqlite_sequence WHERE name = 'groups'")
        store.change("INSERT INTO sqlite_sequence VALUES ('groups', ?)", last_id)
        store.change_many(
            INSERT_CASE,
            zip(
                range(len(ids)),
                ids,
                (case.text for case in groups.cases),
                map(_created, groups.cases),
                (case.place for case in groups.cases),
                pack(features),
                map(_packed, vectors),
                place_keys(features).astype(np.int64).tolist(),
                numbers[incident_of].tolist(),
                groups.scores.tolist(),
                reasons,
                strict=True,
            ),
        )
        store.change_many(
            INSERT_EVENT,
            (
                stored_event(_loaded(number, ids[representative], size, at))
                for number, representative, size in zip(
                    numbers.tolist(), representatives.tolist(), sizes.tolist(), strict=True
                )
            ),
        )
        if len(groups.readings):
            store_readings(store, rows_read(groups.readings))
        store.link(start, vectors)


def _loaded(incident: int, case_id: str, size: int, at: Any) -> IncidentEvent:
    reason = f"loaded with {size} {'case' if size == 1 else 'cases'}"
    return IncidentEvent("created", incident, case_id, None, at, False, None, None, reason)


def _packed(vector: np.ndarray) -> bytes:
    return vector.astype("<f2").tobytes()


def _created(case: Case) -> str | None:
    return case.created_at.isoformat() if case.created_at else None
