"""Read the rows of a table as cases for grouping: texts with ids, dates, places and topics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk, Reader
from tawasul_nlp.tables.io.dates import is_day_first, read_date
from tawasul_nlp.tables.io.fields import values_of, with_texts
from tawasul_nlp.tables.io.formats import ReadOptions
from tawasul_nlp.tables.io.write import write_records

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFields:
    """The columns of a table from which its cases are read, or fields in them."""

    text: tuple[str, ...]
    id: str | None = None
    date: str | None = None
    place: str | None = None
    topic: str | None = None
    # Whether the day comes first in a date such as 3/5/2026.
    day_first: bool = True


def read_cases(chunk: Chunk, fields: CaseFields) -> tuple[Chunk, list[Case], int]:
    """Return the chunk without the rows whose text cannot be read, a case for each of the others, and unread dates."""
    from tawasul_nlp.duplicates import Case

    whole, texts = with_texts(chunk, fields.text)
    ids, days, places, topics = (
        values_of(whole, name) for name in (fields.id, fields.date, fields.place, fields.topic)
    )
    dates = [_date(day, fields.day_first) for day in days]
    cases = [
        Case(text, _name(id), date or None, _name(place), _name(topic))
        for text, id, date, place, topic in zip(texts, ids, dates, places, topics, strict=True)
    ]
    return whole, cases, dates.count(False)


def settled_order(reader: Reader, column: str | None, read: ReadOptions) -> bool:
    """Return whether the day comes first in a column's dates, and write the rows of those that cannot be read."""
    days = (value for chunk in reader.chunks() for value in values_of(chunk, column))
    day_first = is_day_first(days, column, read.date_order)
    if read.unread_dates is not None:
        unread = (
            {"row": row, "date": to_cell(value)}
            for chunk in reader.chunks()
            for row, value in zip(reader.rows_shown(chunk), values_of(chunk, column), strict=True)
            if _date(value, day_first) is False
        )
        write_records(read.unread_dates, {"row": "int64", "date": "string"}, unread)
    return day_first


def _date(value: Any, day_first: bool) -> datetime | Literal[False] | None:
    """Return a date, None where there is none, or False where it cannot be read."""
    try:
        return read_date(value, day_first)
    except ValueError:
        return False


def _name(value: Any) -> str | None:
    return to_cell(value).strip() or None
