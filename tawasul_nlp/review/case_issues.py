"""The issues of a classified case, and what becomes of them when a person corrects the main one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, listed
from tawasul_nlp.tables.errors import TableError

_ISSUES, _TOPICS, OTHER_AGENCIES = "issues", "other_topics", "other_agencies"


@dataclass(frozen=True, slots=True)
class CaseIssue:
    """An issue as the table has it: ``start:end`` is the clause of the text that reports it."""

    topic: str
    agency: str
    probability: float
    start: int
    end: int


def issues_of(case: ClassifiedCase, table: ClassifiedTable) -> tuple[CaseIssue, ...]:
    """Return the issues of a case, the main one first; none if the table does not have them.

    Raises
    ------
    TableError
        If its cell cannot be read.
    """
    if not (table.has(_ISSUES) and table.has(_TOPICS)):  # alone, the column may be the table's own
        return ()
    cell = case.record.get(table.column(_ISSUES))
    try:
        found = json.loads(cell or "[]") if isinstance(cell, str) else cell or []
        return tuple(CaseIssue(**issue) for issue in found)
    except (ValueError, TypeError):
        raise TableError(
            f"row {case.row} of {table.path} has a cell {table.column(_ISSUES)!r} that tawasul classify did not write; "
            "put it back, or take the column out"
        ) from None


def with_main(issues: Sequence[CaseIssue], topic: str, agency: str) -> tuple[CaseIssue, ...]:
    """Return a case's issues with another topic or agency of the main one.

    The clause that was read as the new topic becomes the main one's; without such a clause, the main one's was misread.

    Examples
    --------
    >>> model = [CaseIssue("road_damage", "works", 0.6, 0, 9), CaseIssue("water_leak", "ewa", 0.5, 9, 20)]
    >>> with_main(model, "water_leak", "ewa")
    (CaseIssue(topic='water_leak', agency='ewa', probability=1.0, start=9, end=20),)
    """
    main = next((each for each in issues if each.topic == topic), issues[0])
    sure = main.probability if topic == issues[0].topic else 1.0
    others = (each for each in issues[1:] if each.topic != topic)
    return (replace(main, topic=topic, agency=agency, probability=sure), *others)


def issue_cells(case: ClassifiedCase, table: ClassifiedTable, topic: str, agency: str) -> dict[str, list[Any]]:
    """Return the columns of a case's issues, given the topic and agency of the main one.

    Where somebody took the column ``issues`` out, the others only lose what the main one is now.
    """
    issues = issues_of(case, table)
    if not issues:
        mains = {_TOPICS: topic, OTHER_AGENCIES: agency}
        return {
            name: [each for each in listed(case.record.get(table.column(name))) if each != main]
            for name, main in mains.items()
        }
    main, *others = with_main(issues, topic, agency)
    return {
        _ISSUES: [asdict(main), *map(asdict, others)],
        _TOPICS: [each.topic for each in others],
        OTHER_AGENCIES: list(dict.fromkeys(each.agency for each in others if each.agency != agency)),
    }
