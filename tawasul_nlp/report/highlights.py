"""The highlights of a report: the largest incidents and the most unusual recurring problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tawasul_nlp.domain import Level
from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.content import Findings
from tawasul_nlp.report.tally import UNKNOWN
from tawasul_nlp.tables.classified import TOWN_COLUMNS

LARGEST = 5
MOST_UNUSUAL = 3


@dataclass(frozen=True, slots=True)
class LargeIncident:
    """An incident with many reports.

    Attributes
    ----------
    reports : int
    topic, topic_name_ar : str
        Of its clearest report; empty if that has none.
    text : str
        Of its clearest report, masked if the page is.
    """

    reports: int
    topic: str
    topic_name_ar: str
    text: str


@dataclass(frozen=True, slots=True)
class ComingBack:
    """A topic that recurs in a block or a town.

    Attributes
    ----------
    topic, topic_name_ar : str
    place : str
        As people write it: ``مجمع 711``, ``كرزكان``.
    incidents, reports, weeks : int
        Distinct incidents, all their reports, and the calendar weeks in which an incident was first reported.
    expected : float
        The number of incidents if the place had its usual share of the topic.
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
        At most three, the most unusual first; a problem that recurs in a block and in its town is listed once.
    grouped, dated, placed : bool
        Whether the table has incidents, dates, and blocks or towns.
    """

    largest: tuple[LargeIncident, ...]
    coming_back: tuple[ComingBack, ...]
    grouped: bool
    dated: bool
    placed: bool


def highlights(found: Findings, block: Level | None) -> Highlights:
    """Return the highlights of a table; ``block`` is the level of blocks, whose name stands before their numbers."""
    tally, names, cases = found.tally, found.names, found.cases

    def shown(dimension: str, name: str) -> str:
        return names[dimension][tally.codes[dimension].of(name)][1]

    largest = []
    for incident in found.held.incidents[:LARGEST].tolist():
        row = cases.clearest[incident]
        code = tally.values["topic"][row]
        topic, name_ar = ("", "") if code == UNKNOWN else names["topic"][code][:2]
        largest.append(LargeIncident(int(tally.incident_sizes[incident]), topic, name_ar, cases.of_row[row].text))
    coming_back = [
        ComingBack(
            problem.topic,
            shown("topic", problem.topic),
            f"{block.name_ar} {shown(place, problem.place)}"
            if place == "block" and block
            else shown(place, problem.place),
            len(problem.incidents),
            len(problem.cases),
            problem.weeks,
            problem.expected,
            problem.first,
            problem.last,
        )
        for place, problem in most_unusual(found.problems)
    ]
    table = tally.table
    placed = any(name in table.added for name in ("block", *TOWN_COLUMNS))
    return Highlights(tuple(largest), tuple(coming_back), table.grouped, table.date is not None, placed)


def most_unusual(problems: Mapping[str, Sequence[RecurringProblem]]) -> list[tuple[str, RecurringProblem]]:
    """Return recurring problems with the dimension of their place, the most unusual first.

    Of two problems of one topic that share an incident, such as a block's and its town's, only the more unusual is
    kept.
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
