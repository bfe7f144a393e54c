"""The highlights of a report: the largest incidents and the most unusual recurring problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.content import Findings
from tawasul_nlp.report.tally import UNKNOWN
from tawasul_nlp.tables.classified import TOWN_COLUMNS

LARGEST = 5
MOST_UNUSUAL = 3


@dataclass(frozen=True, slots=True)
class LargeIncident:
    """An incident with many reports."""

    reports: int
    # Of its clearest report; empty if that has none.
    topic: str
    topic_name_ar: str
    # Of its clearest report, masked if the page is.
    text: str


@dataclass(frozen=True, slots=True)
class ComingBack:
    """A topic that recurs in a block or a town."""

    topic: str
    topic_name_ar: str
    # As people write it: ``مجمع 711``, ``كرزكان``.
    place: str
    # Distinct incidents, all their reports, and the calendar weeks in which an incident was first reported.
    incidents: int
    reports: int
    weeks: int
    # The number of incidents if the place had its usual share of the topic.
    expected: float
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Highlights:
    """The largest incidents and the most unusual problems, or why there are none."""

    # At most five, the largest first.
    largest: tuple[LargeIncident, ...]
    # At most three, the most unusual first; a problem that recurs in a block and in its town is listed once.
    coming_back: tuple[ComingBack, ...]
    # Whether the table has incidents, dates, and blocks or towns.
    grouped: bool
    dated: bool
    placed: bool


def highlights(findings: Findings) -> Highlights:
    """Return the highlights of a table."""
    table, problems = findings.tally.table, most_unusual(findings.problems)
    return Highlights(
        largest=tuple(_large_incident(findings, incident) for incident in findings.rows.incidents[:LARGEST].tolist()),
        coming_back=tuple(_coming_back(findings, dimension, problem) for dimension, problem in problems),
        grouped=table.grouped,
        dated=table.date is not None,
        placed=any(name in table.added for name in ("block", *TOWN_COLUMNS)),
    )


def _large_incident(findings: Findings, incident: int) -> LargeIncident:
    tally, cases = findings.tally, findings.cases
    row = cases.clearest[incident]
    code = tally.values["topic"][row]
    topic, name_ar = ("", "") if code == UNKNOWN else findings.names["topic"][code][:2]
    return LargeIncident(
        reports=int(tally.incident_sizes[incident]), topic=topic, topic_name_ar=name_ar, text=cases.of_row[row].text
    )


def _coming_back(findings: Findings, dimension: str, problem: RecurringProblem) -> ComingBack:
    """Return a problem, and its place as the country calls it; ``dimension`` is that of the place."""
    place, block = _arabic_name(findings, dimension, problem.place), findings.tally.table.domain.gazetteer.levels.block
    return ComingBack(
        topic=problem.topic,
        topic_name_ar=_arabic_name(findings, "topic", problem.topic),
        place=f"{block.name_ar} {place}" if dimension == "block" and block else place,
        incidents=len(problem.incidents),
        reports=len(problem.cases),
        weeks=problem.weeks,
        expected=problem.expected,
        first=problem.first,
        last=problem.last,
    )


def _arabic_name(findings: Findings, dimension: str, name: str) -> str:
    return findings.names[dimension][findings.tally.codes[dimension].of(name)].arabic


def most_unusual(problems: Mapping[str, Sequence[RecurringProblem]]) -> list[tuple[str, RecurringProblem]]:
    """Return recurring problems with the dimension of their place, the most unusual first.

    Two of one topic that share an incident, such as a block's and its town's, are listed once.
    """
    ranked = sorted(
        ((dimension, problem) for dimension, of_places in problems.items() for problem in of_places),
        key=lambda pair: (pair[1].p_value, -len(pair[1].incidents)),
    )
    chosen: list[tuple[str, RecurringProblem]] = []
    for dimension, problem in ranked:
        if len(chosen) == MOST_UNUSUAL:
            break
        same_topic = (other for _, other in chosen if other.topic == problem.topic)
        if not any(set(other.incidents) & set(problem.incidents) for other in same_topic):
            chosen.append((dimension, problem))
    return chosen
