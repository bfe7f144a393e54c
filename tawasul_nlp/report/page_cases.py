"""The cases that the page holds with their texts: all of a small table, of a larger one those that matter most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.tally import UNKNOWN, Tally
from tawasul_nlp.tables.classified import ClassifiedTable, listed
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.io.fields import joined_text, values_of
from tawasul_nlp.text import mask_personal_data

# A page of so many texts opens at once.
MOST_CASES = 20_000
# Of a larger table: so many of the newest, of the urgent, and of the least certain cases for review; and so many
# reports of each of the largest incidents. Together they are at most MOST_CASES.
OF_A_KIND = 4_500
INCIDENTS = 400
REPORTS_OF_AN_INCIDENT = 12
CASES_OF_A_PROBLEM = 6
URGENT = ("emergency", "urgent")
# Longer texts are cut to their beginning.
MOST_CHARS = 600
MOST_ID_CHARS = 80
# A longer number of an incident is not one of grouping, and may be a person's.
MOST_GROUP_DIGITS = 7
MOST_LISTED = 20
_PLACES = ("governorate", "town", "block")


@dataclass(frozen=True, slots=True, eq=False)
class PageRows:
    """Which rows (n_rows,) the page holds with their texts, and the incidents of several reports, the largest first."""

    is_held: np.ndarray
    incidents: np.ndarray


def choose_rows(tally: Tally, problems: Iterable[RecurringProblem]) -> PageRows:
    """Return what the page of a table holds; ``problems`` are those that it lists."""
    sizes = tally.incident_sizes
    repeated = np.flatnonzero(sizes > 1)
    incidents = repeated[np.argsort(-sizes[repeated], kind="stable")]
    if tally.rows <= MOST_CASES:
        return PageRows(np.ones(tally.rows, bool), incidents)
    incidents = incidents[:INCIDENTS]
    is_held = np.zeros(tally.rows, bool)
    newest = np.argsort(-np.asarray(tally.days), kind="stable")
    urgency, levels = np.asarray(tally.values["urgency"])[newest], tally.codes["urgency"].names
    urgent = [newest[urgency == levels.index(level)] for level in URGENT if level in levels]  # emergencies first
    surest_last = np.argsort(np.asarray(tally.certainties), kind="stable")
    unsure = surest_last[np.asarray(tally.reviews)[surest_last] > 0]
    for rows in (newest, np.concatenate([*urgent, newest[:0]]), unsure):
        is_held[rows[:OF_A_KIND]] = True
    is_held[_first_reports(tally, incidents)] = True
    for problem in problems:
        is_held[list(problem.incidents[:CASES_OF_A_PROBLEM])] = True
    return PageRows(is_held, incidents)


def _first_reports(tally: Tally, incidents: np.ndarray) -> np.ndarray:
    """Return the first reports of each incident."""
    incident_of = np.asarray(tally.incidents)
    rows = np.flatnonzero(np.isin(incident_of, incidents))
    rows = rows[np.argsort(incident_of[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(incident_of[rows], prepend=UNKNOWN))
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    reports: np.ndarray = rows[rank < REPORTS_OF_AN_INCIDENT]
    return reports


@dataclass(frozen=True, slots=True)
class PageCase:
    """What the page holds of a case beside its row's numbers."""

    id: str
    text: str = field(repr=False)
    # Codes of the reasons for review, and of the topics of further matters in the text.
    reasons: tuple[int, ...]
    other_topics: tuple[int, ...]
    # What is named beyond town and block: a landmark, a road.
    place: str = field(repr=False)
    # That of its row in the table, rejected rows counted.
    number: int
    # Its incident's number in the table; empty without one.
    group: str


@dataclass(frozen=True, slots=True)
class PageCases:
    """The cases that the page holds, by their rows, and the row of the clearest report of each listed incident."""

    of_row: dict[int, PageCase]
    clearest: dict[int, int]


def read_cases(
    tally: Tally, page_rows: PageRows, masked_by: Domain | None, on_chunk: Callable[[float], None]
) -> PageCases:
    """Read the table again, after the first pass, and return the cases that the page holds.

    Personal data are masked as the domain ``masked_by`` has them; None masks nothing.
    """
    incidents, reader = np.asarray(tally.incidents), tally.table.reader
    is_listed = np.isin(incidents, page_rows.incidents)
    is_read = page_rows.is_held | is_listed
    cases: dict[int, PageCase] = {}
    clearest: dict[int, tuple[tuple[bool, bool, float], int, PageCase]] = {}
    start = 0
    for chunk in reader.chunks():
        # A table that was changed since the first pass may have more rows; the later check of the input reports it.
        rows = start + np.flatnonzero(is_read[start : start + len(chunk.numbers)])
        row_cells = _cells(chunk.keep((rows - start).tolist(), []), tally.table) if len(rows) else ()
        for row, cells in zip(rows.tolist(), row_cells, strict=True):
            if page_rows.is_held[row]:
                cases[row] = _case(cells, tally, masked_by)
            if is_listed[row]:
                incident = int(incidents[row])
                clarity = _clarity(tally, row, cells.text)
                if incident not in clearest or clarity > clearest[incident][0]:
                    clearest[incident] = clarity, row, cases.get(row) or _case(cells, tally, masked_by)
        start += len(chunk.numbers)
        on_chunk(reader.fraction_read())
    cases |= {row: case for _, row, case in clearest.values()}
    return PageCases(dict(sorted(cases.items())), {incident: row for incident, (_, row, _) in clearest.items()})


@dataclass(frozen=True, slots=True)
class _Cells:
    """What a row of the table says; nothing is masked."""

    number: int
    id: Any
    text: str = field(repr=False)
    reasons: Any
    other_topics: Any
    places: tuple[Any, ...] = field(repr=False)
    group: Any


def _cells(chunk: Chunk, table: ClassifiedTable) -> Iterator[_Cells]:
    def cells(name: str) -> list[Any]:
        return values_of(chunk, table.added.get(name))

    texts = zip(*(values_of(chunk, name) for name in table.text), strict=True)
    # A quarter stands in for the town of a row without one, where it need not be told twice.
    quarters = [quarter if town else None for town, quarter in zip(cells("town"), cells("quarter"), strict=True)]
    return map(
        _Cells,
        chunk.numbers,
        chunk.numbers if table.id is None else values_of(chunk, table.id),
        (joined_text(map(_text, parts)) for parts in texts),
        cells("review_reasons"),
        cells("other_topics"),
        zip(quarters, cells("landmark"), cells("road"), strict=True),
        cells("incident_id"),
    )


def _case(cells: _Cells, tally: Tally, masked_by: Domain | None) -> PageCase:
    return PageCase(
        id=str(cells.number) if tally.table.id is None else _id(cells.id, cells.number, masked_by),
        text=_shortened(cells.text, masked_by),
        reasons=tuple(map(tally.codes["reason"].of, _names(cells.reasons))),
        other_topics=tuple(map(tally.codes["topic"].of, _names(cells.other_topics))),
        place=_shortened("، ".join(filter(None, map(to_cell, cells.places))), masked_by),
        number=cells.number,
        group=_group(cells.group),
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else to_cell(value)


def _shortened(text: str, masked_by: Domain | None) -> str:
    # Masked before it is cut, since half a number is no longer recognised.
    if masked_by is not None and text:
        text = mask_personal_data(text[: 4 * MOST_CHARS], domain=masked_by).text
    return text if len(text) <= MOST_CHARS else text[:MOST_CHARS] + "…"


def _names(cell: Any) -> list[str]:
    return [name for name in map(str.strip, listed(cell)) if name][:MOST_LISTED]


def _clarity(tally: Tally, row: int, text: str) -> tuple[bool, bool, float]:
    """Return the sort key for the clearest report of an incident: in Arabic, with a place, certain."""
    arabic = sum("\u0621" <= letter <= "\u064a" for letter in text)
    latin = sum(letter.isascii() and letter.isalpha() for letter in text)
    placed = any(tally.values[dimension][row] != UNKNOWN for dimension in _PLACES)
    return arabic > latin, placed, tally.certainties[row]


def _group(value: Any) -> str:
    name = to_cell(value).removesuffix(".0")
    return name if name.isdecimal() and len(name) <= MOST_GROUP_DIGITS else ""


def _id(value: Any, number: int, masked_by: Domain | None) -> str:
    """Return the page's id of a case; a column of ids may hold personal numbers."""
    name = to_cell(value)
    if len(name) > MOST_ID_CHARS:  # not an id, and it may hold a number that is cut in two
        return f"({number})" if masked_by is not None else f"{name[:MOST_ID_CHARS]}… ({number})"
    # Whole numbers in a column with gaps are often written as 870412356.0, which the masks do not recognise.
    masked = None if masked_by is None else mask_personal_data(name.removesuffix(".0"), domain=masked_by)
    return f"{masked.text} ({number})" if masked is not None and masked.spans else name
