"""The first pass over a classified table: what each of its rows is, without its text."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from tawasul_nlp.domain.words import fold_phrase
from tawasul_nlp.tables.classified import TOWN_COLUMNS, ClassifiedTable, day_of, is_true, number_of
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.io.fields import values_of
from tawasul_nlp.tables.run.case_rows import settled_order

# What the page counts and filters by.
DIMENSIONS = ("agency", "topic", "kind", "urgency", "governorate", "town", "block", "routed")
# Bounds a column with unexpected content; the bundled labels and all blocks fit.
MOST_NAMES = 5_000
MOST_NAME_CHARS = 100
UNKNOWN = -1


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
        if len(name) > MOST_NAME_CHARS:
            name = name[:MOST_NAME_CHARS] + "…"
        if len(self._numbers) >= MOST_NAMES and name not in self._numbers:
            name = "…"
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> list[str]:
        """The names by their numbers."""
        return list(self._numbers)


@dataclass
class Tally:
    """The rows of a table as columns of numbers; a rejected row has none."""

    table: ClassifiedTable
    # The names of each of :data:`DIMENSIONS`, and of reasons for review.
    codes: dict[str, Codes] = field(default_factory=lambda: {name: Codes() for name in (*DIMENSIONS, "reason")})
    # For each of :data:`DIMENSIONS`, the code of each row.
    values: dict[str, array[int]] = field(default_factory=lambda: {name: array("h") for name in DIMENSIONS})
    # Ordinals; :data:`UNKNOWN` without a readable date.
    days: array[int] = field(default_factory=lambda: array("i"))
    # Incidents are numbered in order of appearance; a row without one is an incident of its own.
    incidents: array[int] = field(default_factory=lambda: array("i"))
    # Whether a row needs review, the smaller probability of its topic and agency, and that of its urgency.
    reviews: array[int] = field(default_factory=lambda: array("b"))
    certainties: array[float] = field(default_factory=lambda: array("f"))
    urgency_certainties: array[float] = field(default_factory=lambda: array("f"))
    rejected: int = 0
    dates_unread: int = 0
    incident_count: int = 0
    _incident_of: dict[str, int] = field(default_factory=dict)
    # Whether the day comes first in a date such as 3/5/2026.
    day_first: bool = field(init=False)

    def __post_init__(self) -> None:
        self.day_first = settled_order(self.table.reader, self.table.date, self.table.read)

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
        added = self.table.added
        towns = [
            first_name(names) for names in zip(*(values_of(chunk, added.get(n)) for n in TOWN_COLUMNS), strict=True)
        ]
        blocks = [_block(value) for value in values_of(chunk, added.get("block"))]
        if self.table.domain.gazetteer.levels.blocks_within_towns:  # so a block's name is its number and its town
            pairs = zip(blocks, towns, strict=True)
            blocks = [f"{block}، {town}" if block and town else None for block, town in pairs]
        names = {
            **{name: map(_name, values_of(chunk, added.get(name))) for name in DIMENSIONS},
            "town": towns,
            "block": blocks,
            "routed": map(self._routed, values_of(chunk, self.table.routed)),
        }
        for dimension, values in names.items():
            self.values[dimension].extend(map(self.codes[dimension].of, values))
        for day, unread in (day_of(value, self.day_first) for value in values_of(chunk, self.table.date)):
            self.days.append(UNKNOWN if day is None else day.toordinal())
            self.dates_unread += unread
        for value in values_of(chunk, added.get("incident_id")):
            self.incidents.append(self._incident(_name(value)))
        reviews = values_of(chunk, added["needs_review"])
        self.reviews.extend(map(is_true, reviews))
        certain = (chunk.column(added[name]) for name in ("topic_probability", "agency_probability"))
        self.certainties.extend(min(map(_probability, pair)) for pair in zip(*certain, strict=True))
        self.urgency_certainties.extend(map(_probability, values_of(chunk, added.get("urgency_probability"))))

    def _routed(self, value: Any) -> str | None:
        name = _name(value)
        return None if name is None else self.table.agency_names.get(fold_phrase(name), name)

    def _incident(self, group: str | None) -> int:
        number = self.incident_count if group is None else self._incident_of.setdefault(group, self.incident_count)
        self.incident_count += number == self.incident_count
        return number


def first_name(values: Iterable[Any]) -> str | None:
    """Return the first cell that is not empty, as text.

    >>> first_name(["", None, "توبلي"])
    'توبلي'
    """
    return next(filter(None, map(_name, values)), None)


def _name(value: Any) -> str | None:
    return to_cell(value).strip() or None


def _block(value: Any) -> str | None:
    """Return a block's number; tables write whole numbers in a column with gaps as 714.0."""
    name = _name(value)
    return name if name is None else name.removesuffix(".0")


def _probability(value: Any) -> float:
    return number_of(value) or 0.0
