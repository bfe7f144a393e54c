"""Recurring problems: the same topic at the same place, in distinct incidents over weeks."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.cases import is_missing
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.errors import checked_time


@dataclass(frozen=True, slots=True)
class RecurringProblem:
    """A topic that recurs at a place."""

    topic: str
    place: str
    # Row number of the representative of each distinct incident, the earliest incident first.
    incidents: tuple[int, ...]
    # Row numbers of all reports of these incidents, ascending.
    cases: tuple[int, ...]
    # Calendar weeks (ISO 8601) in which an incident was first reported.
    weeks: int
    # When the first and the last of the incidents were first reported.
    first: date
    last: date
    # The number of incidents if the place had its usual share of the topic.
    expected: float
    # Probability of at least this many incidents if `expected` is the mean: the smaller, the more unusual.
    p_value: float
    # `p_value`, corrected for the number of pairs tested.
    q_value: float


class RecurringProblems(list[RecurringProblem]):
    """A list of recurring problems with counts of what was tested."""

    def __init__(self, problems: Iterable[RecurringProblem], *, incidents: int, skipped: int, pairs: int) -> None:
        super().__init__(problems)
        # Distinct incidents that were counted.
        self.incidents = incidents
        # Incidents left out because none of their reports has a topic, a place or a date.
        self.skipped = skipped
        # Pairs of a topic and a place that were tested, including those without an incident.
        self.pairs = pairs


def recurring_problems(
    groups: DuplicateGroups | Sequence[int] | np.ndarray,
    topics: Sequence[Any],
    places: Sequence[Any],
    dates: Sequence[Any],
    *,
    min_incidents: int = 3,
    min_weeks: int = 2,
    max_q_value: float = 1.0,
) -> RecurringProblems:
    """List the topics that recur at a place, the most unusual first.

    If a topic's incidents fell on places in proportion to each place's share of all incidents, a pair's number of
    incidents would roughly follow a Poisson distribution; ``p_value`` is its tail (:func:`poisson_tail`), and
    ``q_value`` corrects it for all pairs (:func:`false_discovery_rates`). The statistic ignores seasons and population,
    assumes independent incidents (one cause reported as three incidents looks unusual), and says little for few
    incidents or few places: use it to decide where to look first, not as proof.

    Parameters
    ----------
    groups : DuplicateGroups or sequence of int, shape (n,)
        The incident of each case, so forty reports of one pipe burst count once. With labels alone, the first case of a
        label is its representative.
    topics, places : sequences of str or None, shape (n,)
        One per case. An incident has its representative's, or without one, the first among its reports.
    dates : sequence of date, datetime, ISO 8601 str or None, shape (n,)
        One per case. An incident has its earliest report's.
    min_incidents, min_weeks : int
        The fewest distinct incidents of a problem, and calendar weeks in which they were first reported.
    max_q_value : float
        The largest q-value to list; 1 lists everything.

    Examples
    --------
    >>> topics = ["water_leak"] * 4 + ["street_lighting"] * 4
    >>> places = ["مجمع 711"] * 4 + ["مجمع 1203", "مجمع 1205", "مجمع 904", "مجمع 338"]
    >>> dates = ["2026-01-05", "2026-01-05", "2026-02-10", "2026-03-20", *["2026-01-07"] * 4]
    >>> problem = recurring_problems([0, 0, 1, 2, 3, 4, 5, 6], topics, places, dates)[0]
    >>> problem.place, problem.incidents, problem.cases, problem.weeks, round(problem.expected, 2)
    ('مجمع 711', (0, 2, 3), (0, 1, 2, 3), 3, 1.29)
    """
    if min_incidents < 1 or min_weeks < 1 or not 0 < max_q_value <= 1:
        raise ValueError(
            f"got min_incidents={min_incidents}, min_weeks={min_weeks}, max_q_value={max_q_value}; "
            "expected at least 1, at least 1, and above 0 up to 1"
        )
    members = _members(groups, {"topics": topics, "places": places, "dates": dates})
    of_pair = _by_pair(members, topics, places, dates)
    total = sum(map(len, of_pair.values()))
    expected, p_values, pairs = _chances(of_pair)
    figures = zip(expected.tolist(), p_values.tolist(), false_discovery_rates(p_values).tolist(), strict=False)
    problems = []
    for ((topic, place), incidents), (mean, p_value, q_value) in zip(of_pair.items(), figures, strict=True):
        problem = _problem(topic, place, incidents, mean, p_value, q_value)
        if len(incidents) >= min_incidents and problem.weeks >= min_weeks and problem.q_value <= max_q_value:
            problems.append(problem)
    problems.sort(key=lambda one: (one.p_value, -len(one.incidents), one.topic, one.place))
    return RecurringProblems(problems, incidents=total, skipped=len(members) - total, pairs=pairs)


# The day on which an incident was first reported, and the row numbers of its reports, that of its representative first.
_Incident = tuple[date, list[int]]


def _by_pair(
    members: Sequence[list[int]], topics: Sequence[Any], places: Sequence[Any], dates: Sequence[Any]
) -> dict[tuple[str, str], list[_Incident]]:
    """Return the incidents of each topic at each place, but those without a topic, a place or a date."""
    topic_of = [_name(value) for value in topics]
    place_of = [_name(value) for value in places]
    day_of = [_day(value, row) for row, value in enumerate(dates)]
    of_pair: dict[tuple[str, str], list[_Incident]] = {}
    for rows in members:
        topic = next((topic_of[row] for row in rows if topic_of[row]), None)
        place = next((place_of[row] for row in rows if place_of[row]), None)
        days = [day for row in rows if (day := day_of[row]) is not None]
        if topic is not None and place is not None and days:
            of_pair.setdefault((topic, place), []).append((min(days), rows))
    return of_pair


def _chances(of_pair: Mapping[tuple[str, str], Sequence[_Incident]]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the expected incidents of each pair, the p-values of all pairs, and how many pairs there are.

    A topic and a place that have no incident together are a pair too, with the p-value 1; they come last.
    """
    of_topic: Counter[str] = Counter()
    of_place: Counter[str] = Counter()
    for (topic, place), incidents in of_pair.items():
        of_topic[topic] += len(incidents)
        of_place[place] += len(incidents)
    total = of_topic.total()
    pairs = len(of_topic) * len(of_place)
    expected = np.array([of_topic[topic] * of_place[place] / total for topic, place in of_pair])
    counts = map(len, of_pair.values())
    p_values = np.ones(pairs)
    p_values[: len(of_pair)] = [poisson_tail(*pair) for pair in zip(counts, expected.tolist(), strict=True)]
    return expected, p_values, pairs


def _problem(
    topic: str, place: str, incidents: Iterable[_Incident], expected: float, p_value: float, q_value: float
) -> RecurringProblem:
    ordered = sorted(incidents, key=lambda incident: (incident[0], incident[1][0]))
    return RecurringProblem(
        topic=topic,
        place=place,
        incidents=tuple(rows[0] for _, rows in ordered),
        cases=tuple(sorted(row for _, rows in ordered for row in rows)),
        weeks=len({day.isocalendar()[:2] for day, _ in ordered}),
        first=ordered[0][0],
        last=ordered[-1][0],
        expected=expected,
        p_value=p_value,
        q_value=q_value,
    )


def poisson_tail(count: int, mean: float) -> float:
    """Return the probability of at least ``count`` events (1 or more) under a Poisson distribution.

    The terms ``exp(-mean) * mean**k / k!`` are summed on the side of ``count`` where they decrease from the first on.

    Examples
    --------
    >>> round(poisson_tail(3, 0.6), 4), round(1 - math.exp(-0.6) * (1 + 0.6 + 0.6**2 / 2), 4)
    (0.0231, 0.0231)
    """
    above = count > mean
    k = count if above else count - 1
    term = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
    total = 0.0
    while term > total * sys.float_info.epsilon / 4:
        total += term
        if above:
            k += 1
            term *= mean / k
        else:
            term *= k / mean  # nothing is left below 0
            k -= 1
    return total if above else 1.0 - total


def false_discovery_rates(p_values: np.ndarray) -> np.ndarray:
    """Return the q-value of each p-value by Benjamini and Hochberg (1995): (n,), float64.

    Examples
    --------
    >>> false_discovery_rates(np.array([0.01, 0.5, 0.02])).tolist()
    [0.03, 0.5, 0.03]
    """
    order = np.argsort(p_values)[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    q_values = np.empty(len(p_values))
    q_values[order] = np.minimum.accumulate(p_values[order] * (len(p_values) / ranks))
    return q_values


def _members(
    groups: DuplicateGroups | Sequence[int] | np.ndarray, columns: Mapping[str, Sequence[Any]]
) -> list[list[int]]:
    """Return each incident's row numbers, its representative first, if the columns fit."""
    labels = groups.labels if isinstance(groups, DuplicateGroups) else np.asarray(groups)
    if labels.ndim != 1:
        raise ValueError(f"the labels have shape {labels.shape}, expected (n,): one label per case")
    for name, values in columns.items():
        if len(values) != len(labels):
            raise ValueError(
                f"got {len(values)} {name} for {len(labels)} cases, expected one per case; pass None for unknown ones"
            )
    of_label: dict[Any, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        of_label.setdefault(label, []).append(row)
    members = list(of_label.values())
    if isinstance(groups, DuplicateGroups):
        heads = groups.representatives.tolist()
        members = [sorted(rows, key=lambda row: (row != heads[row], row)) for rows in members]
    return members


def _name(value: Any) -> str | None:
    return None if is_missing(value) else str(value).strip() or None


def _day(value: Any, row: int) -> date | None:
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    return checked_time(value, f"date {row}").date()
