"""The first pass over a classified table: counts, and the rows that the report will show."""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tawasul_nlp.report.columns import TOWN_COLUMNS, ReportColumns
from tawasul_nlp.tables.io.chunk import Chunk, to_cell
from tawasul_nlp.tables.run.case_rows import read_date

# Cases are counted for each occurring combination of these.
DIMENSIONS = ("agency", "topic", "kind", "governorate", "block", "week")
# More combinations than this make the page slow; then blocks are merged.
MOST_CELLS = 120_000
QUEUE = 1_000
GROUPS = 200
# A table of at most this many rows has all its texts and incidents on the page.
SMALL = 2_000
# Bounds a column with unexpected content; the bundled labels, all blocks and forty years of weeks fit.
MOST_NAMES = 5_000
MOST_NAME_CHARS = 100
MOST_REASONS = 20
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


@dataclass(frozen=True, slots=True)
class Row:
    """The fields of one row that the report needs, without its text."""

    number: int
    codes: tuple[int, ...]
    town: int
    certainty: float
    needs_review: bool
    reasons: tuple[int, ...]
    day: date | None
    day_unread: bool
    group: str | None
    group_size: int


@dataclass(slots=True)
class Tally:
    """Counts over the rows of a table, and the rows to show.

    Attributes
    ----------
    cells : Counter
        Cases by the codes of :data:`DIMENSIONS`; ``reviews`` counts those that need review.
    queue : list of (float, int, Row)
        A heap of the least certain rows that need review, the most certain first.
    group_sizes : dict of str to int
        Size of each incident with more than one report.
    topics, blocks, towns, days, groups : arrays
        One entry per row, for the recurring problems.
    blocks_within_towns : bool
        Whether a block's number is unique in its town only, so that its name is both.
    """

    columns: ReportColumns
    blocks_within_towns: bool = False
    codes: dict[str, Codes] = field(default_factory=lambda: {name: Codes() for name in (*DIMENSIONS, "town", "reason")})
    cells: Counter[tuple[int, ...]] = field(default_factory=Counter)
    reviews: Counter[tuple[int, ...]] = field(default_factory=Counter)
    rows: int = 0
    rejected: int = 0
    dates_unread: int = 0
    first: date | None = None
    last: date | None = None
    queue: list[tuple[float, int, Row]] = field(default_factory=list)
    group_sizes: dict[str, int] = field(default_factory=dict)
    incidents: int = 0
    topics: array[int] = field(default_factory=lambda: array("i"))
    blocks: array[int] = field(default_factory=lambda: array("i"))
    towns: array[int] = field(default_factory=lambda: array("i"))
    days: array[int] = field(default_factory=lambda: array("i"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    _group_numbers: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk's rows."""
        self.rejected += len(chunk.rejects)
        for row in self.read(chunk):
            self._count(row)
            self.rows += 1

    def read(self, chunk: Chunk) -> Iterator[Row]:
        """Yield the fields of each row of a chunk that the report needs."""
        added = self.columns.added
        empty: list[Any] = [None] * len(chunk.numbers)

        def cells(name: str) -> list[Any]:
            return chunk.column(added[name]) if name in added else empty

        days = chunk.column(self.columns.date) if self.columns.date is not None else empty
        for number, agency, topic, kind, governorate, block, *rest, day in zip(
            chunk.numbers,
            *(cells(name) for name in ("agency", "topic", "kind", "governorate", "block")),
            *(cells(name) for name in ("topic_probability", "agency_probability", "needs_review", "review_reasons")),
            self.groups_of(chunk),
            cells("group_size"),
            zip(*(cells(name) for name in TOWN_COLUMNS), strict=True),
            days,
            strict=True,
        ):
            topic_certainty, agency_certainty, review, reasons, group, size, towns = rest
            when, unread = _day(day)
            week = None if when is None else sunday(when).isoformat()
            town = next(filter(None, map(_name, towns)), None)
            number_of_block = _block(block)
            if self.blocks_within_towns:
                number_of_block = f"{number_of_block}، {town}" if number_of_block and town else None
            names = (*map(_name, (agency, topic, kind, governorate)), number_of_block)
            codes = [self.codes[dimension].of(name) for dimension, name in zip(DIMENSIONS, names, strict=False)]
            yield Row(
                number,
                (*codes, self.codes["week"].of(week)),
                self.codes["town"].of(town),
                min(_number(topic_certainty, 0.0), _number(agency_certainty, 0.0)),
                to_cell(review).casefold() in _YES,
                tuple(self.codes["reason"].of(reason) for reason in _list(reasons)[:MOST_REASONS]),
                when,
                unread,
                group,
                int(_number(size, 1.0)),
            )

    def groups_of(self, chunk: Chunk) -> list[str | None]:
        """Return the incident of each row of a chunk; None if a row has none."""
        name = self.columns.added.get("group_id")
        return [None] * len(chunk.numbers) if name is None else [_name(value) for value in chunk.column(name)]

    def _count(self, row: Row) -> None:
        self.cells[row.codes] += 1
        if row.needs_review:
            self.reviews[row.codes] += 1
            # A heap has its least element first; with negated certainties, that is the most certain.
            entry = (-row.certainty, -row.number, row)
            if len(self.queue) < QUEUE:
                heapq.heappush(self.queue, entry)
            else:
                heapq.heappushpop(self.queue, entry)
        if row.day is not None:
            self.first = row.day if self.first is None else min(self.first, row.day)
            self.last = row.day if self.last is None else max(self.last, row.day)
        self.dates_unread += row.day_unread
        of = dict(zip(DIMENSIONS, row.codes, strict=True))
        self.topics.append(of["topic"])
        self.blocks.append(of["block"])
        self.towns.append(row.town)
        self.days.append(UNKNOWN if row.day is None else row.day.toordinal())
        if row.group is None:
            # Negative numbers are for single cases.
            self.groups.append(-1 - self.rows)
            self.incidents += 1
        else:
            fresh = len(self._group_numbers)
            known = self._group_numbers.setdefault(row.group, fresh)
            self.incidents += known == fresh
            self.groups.append(known)
            if row.group_size > 1:
                self.group_sizes[row.group] = row.group_size

    @property
    def is_small(self) -> bool:
        """Whether all texts and incidents fit on a page."""
        return self.rows <= SMALL

    def largest_groups(self) -> list[str]:
        """Return the ids of the largest incidents, the largest first."""
        most = len(self.group_sizes) if self.is_small else GROUPS
        return [
            name for name, _ in heapq.nsmallest(most, self.group_sizes.items(), key=lambda item: (-item[1], item[0]))
        ]

    def least_certain(self) -> list[Row]:
        """Return the rows for review, the least certain first."""
        return [row for _, _, row in sorted(self.queue, key=lambda entry: (-entry[0], -entry[1]))]

    def counts(self) -> tuple[list[list[int]], bool]:
        """Return one list per combination: its codes, its cases, and how many of them need review.

        If there are too many, combinations that differ only in the block are merged, and the second value is False.
        """
        cells, reviews = self.cells, self.reviews
        blocks_kept = len(cells) <= MOST_CELLS
        if not blocks_kept:
            cells, reviews = _without_blocks(cells), _without_blocks(reviews)
        return [[*codes, count, reviews[codes]] for codes, count in cells.items()], blocks_kept


def sunday(day: date) -> date:
    """Return the Sunday on which the day's week begins in Bahrain.

    >>> sunday(date(2026, 1, 7)).isoformat()
    '2026-01-04'
    """
    return day - timedelta(days=(day.weekday() + 1) % 7)


def without_block(codes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the codes of :data:`DIMENSIONS` with the block unknown.

    >>> without_block((4, 7, 0, 2, 31, 5))
    (4, 7, 0, 2, -1, 5)
    """
    at = DIMENSIONS.index("block")
    return (*codes[:at], UNKNOWN, *codes[at + 1 :])


def _without_blocks(counts: Counter[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    joined: Counter[tuple[int, ...]] = Counter()
    for codes, count in counts.items():
        joined[without_block(codes)] += count
    return joined


def _day(value: Any) -> tuple[date | None, bool]:
    """Return the day of a case, and whether it has a date that is unreadable or a placeholder."""
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


def _number(value: Any, otherwise: float) -> float:
    try:
        number = otherwise if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return number if math.isfinite(number) else otherwise


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(";") if part.strip()]
    return [str(part) for part in value]
