"""What a report says first: the largest incidents, and the most unusual of the problems that keep coming back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.tally import DIMENSIONS, UNKNOWN, Codes

LARGEST = 5
MOST_UNUSUAL = 3


@dataclass(frozen=True, slots=True)
class LargeIncident:
    """An incident that many report.

    Attributes
    ----------
    reports : int
    topic, topic_name_ar : str
        Of its clearest report; empty where that has none.
    text : str
        Of its clearest report, masked where the page is.
    """

    reports: int
    topic: str
    topic_name_ar: str
    text: str


@dataclass(frozen=True, slots=True)
class ComingBack:
    """A topic that keeps coming back in a block or a town.

    Attributes
    ----------
    topic, topic_name_ar : str
    place : str
        As people write it: ``مجمع 711``, ``كرزكان``.
    incidents, reports, weeks : int
        Distinct incidents, all their reports, and the calendar weeks in which an incident was first reported.
    expected : float
        How many incidents the place would have if it had its usual share of the topic.
    first, last : date
    """

    topic: str
    topic_name_ar: str
    place: str
    incidents: int
    reports: int
    weeks: int
    expected: float
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Highlights:
    """The largest incidents and the most unusual problems, or why there are none.

    Attributes
    ----------
    largest : tuple of LargeIncident
        At most five, the largest first.
    coming_back : tuple of ComingBack
        At most three, the most unusual first; what comes back in a block and in its town is told once.
    grouped, dated, placed : bool
        Whether the table says which cases are one incident, when they came in, and in which block or town.
    """

    largest: tuple[LargeIncident, ...]
    coming_back: tuple[ComingBack, ...]
    grouped: bool
    dated: bool
    placed: bool


def highlights(
    data: Mapping[str, Any], problems: Mapping[str, Sequence[RecurringProblem]], codes: Mapping[str, Codes]
) -> Highlights:
    """Take the highlights from the data of the page and what keeps coming back in a ``"block"`` and in a ``"town"``."""

    def shown(dimension: str, name: str) -> str:
        own: str = data["names"][dimension][codes[dimension].of(name)][1]
        return own

    largest = []
    for size, _, members in data["largest"][:LARGEST]:
        _, text, of, *_ = data["cases"][members[0]]
        code = of[DIMENSIONS.index("topic")]
        topic, name_ar = ("", "") if code == UNKNOWN else data["names"]["topic"][code][:2]
        largest.append(LargeIncident(size, topic, name_ar, text))
    coming_back = [
        ComingBack(
            problem.topic,
            shown("topic", problem.topic),
            f"مجمع {shown(place, problem.place)}" if place == "block" else shown(place, problem.place),
            len(problem.incidents),
            len(problem.cases),
            problem.weeks,
            problem.expected,
            problem.first,
            problem.last,
        )
        for place, problem in most_unusual(problems)
    ]
    placed = any(data["placeColumns"].values())
    return Highlights(tuple(largest), tuple(coming_back), data["grouped"], data["dated"], placed)


def most_unusual(problems: Mapping[str, Sequence[RecurringProblem]]) -> list[tuple[str, RecurringProblem]]:
    """Return what keeps coming back with the dimension of its place, the most unusual first.

    Of two problems of one topic that share an incident, as a block and its town do, only the more unusual is there.
    """
    found: list[tuple[str, RecurringProblem]] = []
    ranked = sorted(
        ((place, problem) for place, listed in problems.items() for problem in listed),
        key=lambda one: (one[1].p_value, -len(one[1].incidents)),
    )
    for place, problem in ranked:
        if len(found) == MOST_UNUSUAL:
            break
        if not any(
            other.topic == problem.topic and set(other.incidents) & set(problem.incidents) for _, other in found
        ):
            found.append((place, problem))
    return found
