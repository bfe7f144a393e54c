"""Read the rows of a table as cases for grouping: texts with ids, dates, places and topics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tawasul_nlp.errors import checked_time
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.io.fields import values_of, with_texts

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import Case

# Of a slash date the day comes first, as it is written in Bahrain; ISO 8601 is tried before.
_DATES = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d")
_TIMES = ("", " %H:%M", " %H:%M:%S")
_ID_NAMES = ("id", "case_id", "caseid", "case_number", "case_no", "number", "رقم", "رقم_الحالة", "رقم الحالة")
_WESTERN = {ord("٠") + digit: str(digit) for digit in range(10)}


def read_date(value: Any) -> datetime | None:
    """Read a cell as a date: ISO 8601, or day/month/year with or without a time, in whichever digits.

    Raises ``ValueError`` if it is not a date, or not of the years 1900 to 2200.

    Examples
    --------
    >>> read_date("2026-03-01T08:30").isoformat(), read_date("١/٣/٢٠٢٦").date().isoformat()
    ('2026-03-01T08:30:00+00:00', '2026-03-01')
    """
    if not isinstance(value, str):
        return None if value is None else checked_time(value)
    text = " ".join(value.translate(_WESTERN).split())
    if not text:
        return None
    try:
        return checked_time(text)
    except ValueError:
        for form in (day + hour for day in _DATES for hour in _TIMES):
            with suppress(ValueError):
                return checked_time(datetime.strptime(text, form))
        raise


def likely_id(columns: Sequence[str]) -> str | None:
    """Return the first column that is named like an id.

    >>> likely_id(["text", "Case_ID"])
    'Case_ID'
    """
    return next((name for name in columns if name.casefold() in _ID_NAMES), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFields:
    """The columns of a table from which its cases are read, or fields in them."""

    text: tuple[str, ...]
    id: str | None = None
    date: str | None = None
    place: str | None = None
    topic: str | None = None


def read_cases(chunk: Chunk, fields: CaseFields) -> tuple[Chunk, list[Case], int]:
    """Return the chunk without the rows whose text cannot be read, a case for each of the others, and unread dates."""
    from tawasul_nlp.duplicates import Case

    whole, texts = with_texts(chunk, fields.text)
    ids, days, places, topics = (
        values_of(whole, name) for name in (fields.id, fields.date, fields.place, fields.topic)
    )
    dates = list(map(_date, days))
    cases = [
        Case(text, _name(id), date or None, _name(place), _name(topic))
        for text, id, date, place, topic in zip(texts, ids, dates, places, topics, strict=True)
    ]
    return whole, cases, dates.count(False)


def _date(value: Any) -> datetime | Literal[False] | None:
    """Return a date, None where there is none, or False where it cannot be read."""
    try:
        return read_date(value)
    except ValueError:
        return False


def _name(value: Any) -> str | None:
    return to_cell(value).strip() or None
