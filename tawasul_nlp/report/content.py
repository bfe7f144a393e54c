"""What the page of a classified table holds: its data, for the script."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from tawasul_nlp.answers import URGENCY
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.routing import agency_named
from tawasul_nlp.duplicates.recurring import RecurringProblems, recurring_problems
from tawasul_nlp.report.names import Name, Names
from tawasul_nlp.report.page_cases import CASES_OF_A_PROBLEM, PageCases, PageRows
from tawasul_nlp.report.tally import DIMENSIONS, UNKNOWN, Tally
from tawasul_nlp.tables.added_columns import TASKS
from tawasul_nlp.tables.classified import TOWN_COLUMNS

# Recurring problems have at least this many incidents, in at least this many weeks; the most unusual are shown.
MIN_INCIDENTS = 3
MIN_WEEKS = 2
RECURRING = 100
_NUMBER_TYPES = ("<i1", "<i2", "<i4")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What is known of a table after both passes."""

    tally: Tally
    # By ``"block"`` and by ``"town"``, the most unusual first.
    problems: Mapping[str, RecurringProblems]
    rows: PageRows
    cases: PageCases
    # For each code of the tally.
    names: Mapping[str, list[Name]]


def find_recurring(tally: Tally) -> dict[str, RecurringProblems]:
    """Return the problems that recur in a block and in a town, the most unusual first."""
    days = [None if day == UNKNOWN else date.fromordinal(day) for day in tally.days]
    return {
        place: recurring_problems(
            tally.incidents.tolist(),
            tally.names_of("topic"),
            tally.names_of(place),
            days,
            min_incidents=MIN_INCIDENTS,
            min_weeks=MIN_WEEKS,
        )
        for place in ("block", "town")
    }


def page_names(tally: Tally, *, mask: bool) -> dict[str, list[Name]]:
    """Return the name of each code; a custom one may hold personal data."""
    names = Names(tally.table.domain, mask=mask)
    return {dimension: [names.of(dimension, name) for name in codes.names] for dimension, codes in tally.codes.items()}


def page_content(findings: Findings) -> dict[str, Any]:
    """Return the page's data, but the facts of how it was made."""
    tally, domain = findings.tally, findings.tally.table.domain
    return {
        **_facts(tally, domain),
        "names": findings.names,
        "otherLabels": _other_labels(tally, domain),
        "columns": _columns(tally),
        "townsAt": _coordinates(tally, domain),
        "cases": [
            [row, case.id, case.text, case.reasons, case.other_topics, case.place, case.number, case.group]
            for row, case in findings.cases.of_row.items()
        ],
        "incidents": [[incident, findings.cases.clearest[incident]] for incident in findings.rows.incidents.tolist()],
        "minIncidents": MIN_INCIDENTS,
        "minWeeks": MIN_WEEKS,
        "recurring": {
            place: {
                "all": len(problems),
                "counted": problems.incidents,
                "shown": _recurring(tally, place, problems[:RECURRING]),
            }
            for place, problems in findings.problems.items()
        },
    }


def _other_labels(tally: Tally, domain: Domain) -> dict[str, list[tuple[str, str, str]]]:
    """Return the labels that no case of the table has, for corrections: id, Arabic and English name."""
    return {
        task: [
            (id, label.name_ar, label.name_en)
            for id, label in domain.taxonomy.labels_of(task).items()
            if id not in tally.codes[task].names
        ]
        for task in (*TASKS, URGENCY)
    }


def _facts(tally: Tally, domain: Domain) -> dict[str, Any]:
    levels, table = domain.gazetteer.levels, tally.table
    return {
        "rows": tally.rows,
        "rejected": tally.rejected,
        "first": None if tally.first is None else tally.first.isoformat(),
        "last": None if tally.last is None else tally.last.isoformat(),
        "dated": table.date is not None,
        "datesUnread": tally.dates_unread,
        "unplaced": _unplaced(tally, domain),
        "grouped": table.grouped,
        "incidentCount": tally.incident_count,
        "repeated": int((tally.incident_sizes > 1).sum()),
        "blocksWithinTowns": levels.blocks_within_towns,
        "hasBlocks": levels.block is not None,
        "regions": list(domain.gazetteer.governorates),
        "placeColumns": {
            "block": "block" in table.added,
            "town": any(name in table.added for name in TOWN_COLUMNS),
        },
    }


def _columns(tally: Tally) -> dict[str, list[str]]:
    """Return a column for each dimension that the table has, and those of days, incidents and certainty."""
    columns = {name: tally.values[name] for name in DIMENSIONS if tally.codes[name].names}
    days = np.asarray(tally.days)
    first = int(tally.known_days.min()) if len(tally.known_days) else 0
    rest = {
        "day": np.where(days == UNKNOWN, UNKNOWN, days - first),
        "incident": tally.incidents,
        "review": tally.reviews,
        "percent": _percent(tally.certainties),
        "urgencyPercent": _percent(tally.urgency_certainties),
    }
    if tally.table.routed is not None:
        rest["misrouted"] = misrouted(tally)
    return {name: packed(column) for name, column in {**columns, **rest}.items()}


def _percent(shares: Sequence[float]) -> np.ndarray:
    return np.rint(100 * np.clip(shares, 0, 1))


def _coordinates(tally: Tally, domain: Domain) -> dict[int, tuple[float, float]]:
    """Return latitude and longitude of the towns that the gazetteer can place."""
    located = {
        place.name_ar: (place.latitude, place.longitude)
        for place in domain.gazetteer.places.values()
        if place.is_area and place.latitude is not None and place.longitude is not None
    }
    return {code: located[town] for code, town in enumerate(tally.codes["town"].names) if town in located}


def _recurring(tally: Tally, place: str, problems: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "topic": tally.codes["topic"].of(problem.topic),
            "place": tally.codes[place].of(problem.place),
            "incidents": len(problem.incidents),
            "reports": len(problem.cases),
            "weeks": problem.weeks,
            "first": problem.first.isoformat(),
            "last": problem.last.isoformat(),
            "expected": round(problem.expected, 2),
            "q": float(f"{problem.q_value:.2g}"),
            "cases": problem.incidents[:CASES_OF_A_PROBLEM],
        }
        for problem in problems
    ]


def misrouted(tally: Tally) -> np.ndarray:
    """Return whether each row went elsewhere: (rows,), bool.

    An agency is told by its id, a code or any of its names. Rows whose routing names no one agency do not count, nor do
    those for which the model names no agency at all, or a group or ministry of which the agency is a part.
    """
    domain = tally.table.domain
    routed_to = [agency_named(name, domain) for name in tally.codes["routed"].names]
    answers = tally.codes["agency"].names
    # One cell for each pair of a routing and an answer, and a last row and column for those without.
    elsewhere = np.zeros((len(routed_to) + 1, len(answers) + 1), bool)
    for routed, agency in enumerate(routed_to):
        for answer, name in enumerate(answers):
            elsewhere[routed, answer] = agency is not None and not _same(agency, name, domain)
    is_misrouted: np.ndarray = elsewhere[np.asarray(tally.values["routed"]), np.asarray(tally.values["agency"])]
    return is_misrouted


def _unplaced(tally: Tally, domain: Domain) -> list[tuple[int, int]]:
    """Return what cases were routed to that names no agency, and how many, the most first."""
    names, codes = tally.codes["routed"].names, np.asarray(tally.values["routed"])
    cases = np.bincount(codes[codes != UNKNOWN], minlength=len(names)).tolist()
    return sorted(
        ((code, cases[code]) for code, name in enumerate(names) if agency_named(name, domain) is None),
        key=lambda pair: -pair[1],
    )


def _same(routed: str, answer: str, domain: Domain) -> bool:
    """Whether there is no agency to send to, or both are one, or the one is part of the other: a group or ministry."""
    agencies = domain.taxonomy.agencies
    if answer not in agencies:
        return False
    pairs = ((routed, answer), (answer, routed))
    return (
        agencies[answer].kind == "none"
        or routed == answer
        or any(part in agencies[whole].members.values() or agencies[part].parent == whole for part, whole in pairs)
    )


def packed(numbers: Any) -> list[str]:
    """Return the least type that holds a column's numbers, and their bytes, compressed (zlib) and as base64.

    A browser unpacks a million numbers in some milliseconds, and reads none of them as text.

    Examples
    --------
    >>> kind, data = packed([3, -1, 200])
    >>> kind, np.frombuffer(zlib.decompress(base64.b64decode(data)), f"<{kind}").tolist()
    ('i2', [3, -1, 200])
    """
    column = np.asarray(numbers, np.int64)
    for kind in _NUMBER_TYPES:
        limits = np.iinfo(kind)
        if not len(column) or (limits.min <= column.min() and column.max() <= limits.max):
            break
    return [kind.removeprefix("<"), base64.b64encode(zlib.compress(column.astype(kind).tobytes())).decode()]
