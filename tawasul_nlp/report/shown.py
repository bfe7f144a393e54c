"""The second pass over a classified table: the texts of the cases that the page holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.report.page_cases import Held
from tawasul_nlp.report.tally import UNKNOWN, Tally
from tawasul_nlp.tables.classified import ClassifiedTable, cells_of
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.io.fields import joined_text, values_of
from tawasul_nlp.text import mask_personal_data

# Longer texts are cut to their beginning.
MOST_CHARS = 600
MOST_ID_CHARS = 80
# A longer number of an incident is not one of grouping, and may be a person's.
MOST_GROUP_DIGITS = 7
MOST_LISTED = 20
_PLACES = ("governorate", "town", "block")


@dataclass(frozen=True, slots=True)
class ShownCase:
    """What the page holds of a case beside its row's numbers.

    Attributes
    ----------
    id, text : str
    reasons, other_topics : tuple of int
        Codes of the reasons for review, and of the topics of further matters in the text.
    place : str
        What is named beyond town and block: a landmark, a road.
    number : int
        That of its row in the table, rejected rows counted.
    group : str
        Its incident's number in the table; empty without one.
    """

    id: str
    text: str
    reasons: tuple[int, ...]
    other_topics: tuple[int, ...]
    place: str
    number: int
    group: str


@dataclass(slots=True)
class ShownCases:
    """The cases that the page holds, by their rows, and the clearest report of each listed incident."""

    of_row: dict[int, ShownCase] = field(default_factory=dict)
    clearest: dict[int, int] = field(default_factory=dict)


def read_cases(
    tally: Tally,
    held: Held,
    masked_by: Domain | None,
    on_chunk: Callable[[float], None] | None = None,
) -> ShownCases:
    """Read the table again and return the cases that the page holds.

    Parameters
    ----------
    tally : Tally
        Result of the first pass.
    held : Held
    masked_by : Domain or None
        Whose personal numbers are masked; None masks nothing.
    on_chunk : callable, optional
        Called with the share of the table that is read.
    """
    incidents = np.asarray(tally.incidents)
    listed = np.isin(incidents, held.incidents)
    wanted = held.rows | listed
    found: dict[int, ShownCase] = {}
    clearest: dict[int, tuple[tuple[bool, bool, float], int, ShownCase]] = {}
    start = 0
    for chunk in tally.table.reader.chunks():
        # A table that was changed since the first pass may have more rows; the later check of the input reports it.
        rows = start + np.flatnonzero(wanted[start : start + len(chunk.numbers)])
        written = _written(chunk.keep((rows - start).tolist(), []), tally.table) if len(rows) else ()
        for row, cells in zip(rows.tolist(), written, strict=True):
            if held.rows[row]:
                found[row] = _case(cells, tally, masked_by)
            if listed[row]:
                incident = int(incidents[row])
                clarity = _clarity(tally, row, cells.text)
                if incident not in clearest or clarity > clearest[incident][0]:
                    clearest[incident] = clarity, row, found.get(row) or _case(cells, tally, masked_by)
        start += len(chunk.numbers)
        if on_chunk is not None:
            on_chunk(tally.table.reader.fraction_read())
    found |= {row: case for _, row, case in clearest.values()}
    return ShownCases(dict(sorted(found.items())), {incident: row for incident, (_, row, _) in clearest.items()})


@dataclass(frozen=True, slots=True)
class _Written:
    """What a row of the table says; nothing is masked."""

    number: int
    id: Any
    text: str
    reasons: Any
    other_topics: Any
    places: tuple[Any, ...]
    group: Any


def _written(chunk: Chunk, table: ClassifiedTable) -> Iterator[_Written]:
    def cells(name: str) -> list[Any]:
        return cells_of(chunk, table.added.get(name))

    texts = zip(*(values_of(chunk, name) for name in table.text), strict=True)
    # A quarter stands in for the town of a row without one, where it need not be told twice.
    quarters = [quarter if town else None for town, quarter in zip(cells("town"), cells("quarter"), strict=True)]
    return map(
        _Written,
        chunk.numbers,
        chunk.numbers if table.id is None else cells_of(chunk, table.id),
        (joined_text(map(_text, parts)) for parts in texts),
        cells("review_reasons"),
        cells("other_topics"),
        zip(quarters, cells("landmark"), cells("road"), strict=True),
        cells("group_id"),
    )


def _case(cells: _Written, tally: Tally, masked_by: Domain | None) -> ShownCase:
    return ShownCase(
        id=str(cells.number) if tally.table.id is None else _id(cells.id, cells.number, masked_by),
        text=_shortened(cells.text, masked_by),
        reasons=tuple(map(tally.codes["reason"].of, _listed(cells.reasons))),
        other_topics=tuple(map(tally.codes["topic"].of, _listed(cells.other_topics))),
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


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    parts = value.split(";") if isinstance(value, str) else map(str, value)
    return [part for part in map(str.strip, parts) if part][:MOST_LISTED]


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
