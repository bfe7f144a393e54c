"""The first pass over a classified table: what each of its rows is, without its text."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from tawasul_nlp.report.columns import TOWN_COLUMNS, ReportColumns
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.run.case_rows import read_date

# What the page counts and filters by.
DIMENSIONS = ("agency", "topic", "kind", "urgency", "governorate", "town", "block", "routed")
# Bounds a column with unexpected content; the bundled labels and all blocks fit.
MOST_NAMES = 5_000
MOST_NAME_CHARS = 100
UNKNOWN = -1
# Days outside are placeholders: systems write 0001-01-01, 1900-01-01, 1970-01-01 or 9999-12-31 for an empty date.
EARLIEST = date(1990, 1, 1)
MOST_AHEAD = timedelta(days=366)
_YES = ("true", "1", "1.0")  # pandas writes True, a spreadsheet TRUE


class Codes:
    """Numbers for names, in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, name: str | None) -> int:
        """Return the name's number; :data:`UNKNOWN` for none.

        A long name is cut, and names beyond the limit share one number.
        """
        if not name:
            return UNKNOWN
        shown = name if len(name) <= MOST_NAME_CHARS else name[:MOST_NAME_CHARS] + "…"
        if len(self._numbers) >= MOST_NAMES and shown not in self._numbers:
            shown = "…"
        return self._numbers.setdefault(shown, len(self._numbers))

    @property
    def names(self) -> list[str]:
        """The names by their numbers."""
        return list(self._numbers)


@dataclass
class Tally:
    """The rows of a table as columns of numbers; a rejected row has none.

    Attributes
    ----------
    codes : dict of str to Codes
        The names of each of :data:`DIMENSIONS`, and of reasons for review.
    values : dict of str to array
        For each of :data:`DIMENSIONS`, the code of each row.
    days : array
        Ordinals; :data:`UNKNOWN` without a readable date.
    incidents : array
        Incidents are numbered in order of appearance; a row without one is an incident of its own.
    reviews, certainties : array
        Whether a row needs review, and the smaller probability of its topic and agency.
    urgency_certainties : array
        The probability of each row's urgency.
    blocks_within_towns : bool
        Whether a block's number is unique in its town only, so that its name is both.
    """

    columns: ReportColumns
    blocks_within_towns: bool = False
    codes: dict[str, Codes] = field(default_factory=lambda: {name: Codes() for name in (*DIMENSIONS, "reason")})
    values: dict[str, array[int]] = field(default_factory=lambda: {name: array("h") for name in DIMENSIONS})
    days: array[int] = field(default_factory=lambda: array("i"))
    incidents: array[int] = field(default_factory=lambda: array("i"))
    reviews: array[int] = field(default_factory=lambda: array("b"))
    certainties: array[float] = field(default_factory=lambda: array("f"))
    urgency_certainties: array[float] = field(default_factory=lambda: array("f"))
    rejected: int = 0
    dates_unread: int = 0
    incident_count: int = 0
    _incident_of: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return len(self.days)

    @cached_property
    def known_days(self) -> np.ndarray:
        """The ordinals of the rows with a date; only for a finished tally, as what follows."""
        days = np.asarray(self.days)
        return days[days != UNKNOWN]

    @property
    def first(self) -> date | None:
        """The first day of a case."""
        return date.fromordinal(int(self.known_days.min())) if len(self.known_days) else None

    @property
    def last(self) -> date | None:
        """The last day of a case."""
        return date.fromordinal(int(self.known_days.max())) if len(self.known_days) else None

    @cached_property
    def incident_sizes(self) -> np.ndarray:
        """How many of the rows report each incident."""
        return np.bincount(self.incidents, minlength=self.incident_count)

    def names_of(self, dimension: str) -> list[str | None]:
        """Return the name of each row in a dimension."""
        names = self.codes[dimension].names
        return [None if code == UNKNOWN else names[code] for code in self.values[dimension]]

    def add(self, chunk: Chunk) -> None:
        """Add a chunk's rows."""
        self.rejected += len(chunk.rejects)
        added = self.columns.added
        towns = [
            first_name(names) for names in zip(*(self._cells(chunk, added.get(n)) for n in TOWN_COLUMNS), strict=True)
        ]
        blocks = [_block(value) for value in self._cells(chunk, added.get("block"))]
        if self.blocks_within_towns:
            pairs = zip(blocks, towns, strict=True)
            blocks = [f"{block}، {town}" if block and town else None for block, town in pairs]
        names = {
            **{name: map(_name, self._cells(chunk, added.get(name))) for name in DIMENSIONS},
            "town": towns,
            "block": blocks,
            "routed": map(_name, self._cells(chunk, self.columns.routed)),
        }
        for dimension, values in names.items():
            self.values[dimension].extend(map(self.codes[dimension].of, values))
        for day, unread in map(day_of, self._cells(chunk, self.columns.date)):
            self.days.append(UNKNOWN if day is None else day.toordinal())
            self.dates_unread += unread
        for value in self._cells(chunk, added.get("group_id")):
            self.incidents.append(self._incident(_name(value)))
        reviews = self._cells(chunk, added["needs_review"])
        self.reviews.extend(to_cell(value).casefold() in _YES for value in reviews)
        certain = (chunk.column(added[name]) for name in ("topic_probability", "agency_probability"))
        self.certainties.extend(min(map(_probability, pair)) for pair in zip(*certain, strict=True))
        self.urgency_certainties.extend(map(_probability, self._cells(chunk, added.get("urgency_probability"))))

    def _incident(self, group: str | None) -> int:
        number = self.incident_count if group is None else self._incident_of.setdefault(group, self.incident_count)
        self.incident_count += number == self.incident_count
        return number

    @staticmethod
    def _cells(chunk: Chunk, column: str | None) -> list[Any]:
        return [None] * len(chunk.numbers) if column is None else chunk.column(column)


def first_name(values: Iterable[Any]) -> str | None:
    """Return the first cell that is not empty, as text.

    >>> first_name(["", None, "توبلي"])
    'توبلي'
    """
    return next(filter(None, map(_name, values)), None)


def day_of(value: Any) -> tuple[date | None, bool]:
    """Return the day of a case, and whether it has a date that is unreadable or a placeholder.

    >>> day_of("1/3/2026"), day_of("1900-01-01"), day_of("")
    ((datetime.date(2026, 3, 1), False), (None, True), (None, False))
    """
    try:
        found = read_date(value)
    except ValueError:
        return None, True
    if found is None:
        return None, False
    day = found.date()
    return (day, False) if EARLIEST <= day <= date.today() + MOST_AHEAD else (None, True)


def _name(value: Any) -> str | None:
    return to_cell(value).strip() or None


def _block(value: Any) -> str | None:
    """Return a block's number; tables write whole numbers in a column with gaps as 714.0."""
    name = _name(value)
    return name if name is None else name.removesuffix(".0")


def _probability(value: Any) -> float:
    try:
        number = 0.0 if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0
