"""Read the dates of a table as people write them.

Whether the day or the month comes first in ``3/5/2026`` is one decision for a column: see :func:`day_comes_first`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from tawasul_nlp.errors import checked_time
from tawasul_nlp.tables.errors import TableError

DateOrder = Literal["day-first", "month-first"]

_FOLDED = str.maketrans(
    {**{chr(ord("٠") + digit): str(digit) for digit in range(10)}, **dict.fromkeys("أإآ", "ا"), "،": ","}
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "يناير, كانون الثاني, january, jan",
            "فبراير, شباط, february, feb",
            "مارس, اذار, march, mar",
            "ابريل, نيسان, april, apr",
            "مايو, ايار, may",
            "يونيو, حزيران, june, jun",
            "يوليو, تموز, july, jul",
            "اغسطس, اب, august, aug",
            "سبتمبر, ايلول, september, sep, sept",
            "اكتوبر, تشرين الاول, october, oct",
            "نوفمبر, تشرين الثاني, november, nov",
            "ديسمبر, كانون الاول, december, dec",
        ),
        start=1,
    )
    for name in names.split(", ")
}
_WRITTEN = re.compile(
    r"(?P<date>.*?)"
    r"(?:[ ,t]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:\.\d+)?"
    r" ?(?P<half>ص|صباحا|م|مساء|[ap]\.?m\.?)?)?"
)
_NUMBERS = re.compile(
    r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d\d)|(?P<year>\d{4})[/.-](?P<month>\d{1,2})[/.-](?P<day>\d{1,2})"
)
_NAMED = re.compile(r"(?P<day>\d{1,2})[ /.-]*(?P<month>[^\W\d_][^\d,/.-]*)[ ,/.-]*(?P<year>\d{4}|\d\d)")
_NAME_FIRST = re.compile(r"(?P<month>[^\W\d_]+)\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})")
_CENTURY = 70  # a year of two digits is of this century below it
# Excel counts days from here; days of the years 1954 to 2119, so that no number of a case is taken for a date.
_EXCEL_DAY_0, _EXCEL_DAYS = datetime(1899, 12, 30), range(20_000, 80_000)


def read_date(value: Any, day_first: bool = True) -> datetime | None:
    """Read a cell as a date; None if it is empty.

    It is ISO 8601, numbers with slashes, dots or dashes, a day with the name of its month in Arabic or English, or the
    number of a day in Excel, in whichever digits, with or without a time. Without a time zone it counts as UTC.

    Raises
    ------
    ValueError
        If it is not a date, or not of the years 1900 to 2200.

    Examples
    --------
    >>> [read_date(cell).date().isoformat() for cell in ("٣/٥/٢٠٢٦", "3 مايو 2026", "May 3, 2026", "03.05.26", 46145)]
    ['2026-05-03', '2026-05-03', '2026-05-03', '2026-05-03', '2026-05-03']
    >>> read_date("03/05/2026 2:22 PM", day_first=False).isoformat()
    '2026-03-05T14:22:00+00:00'
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and int(value) in _EXCEL_DAYS:
        return checked_time(_EXCEL_DAY_0 + timedelta(days=float(value)))
    if not isinstance(value, str):
        return None if value is None else checked_time(value)
    text = _folded(value)
    if not text:
        return None
    if re.fullmatch(r"\d{5}(?:\.\d+)?", text) and int(float(text)) in _EXCEL_DAYS:
        return read_date(float(text))
    try:
        return checked_time(text)
    except ValueError:
        with suppress(ValueError):
            return checked_time(_written(text, day_first))
        raise


def _folded(value: str) -> str:
    return " ".join(value.translate(_FOLDED).casefold().split())


def _written(text: str, day_first: bool) -> datetime:
    """Read what is no ISO 8601; ValueError if it is no date."""
    parts = _WRITTEN.fullmatch(text)
    if parts is None:
        raise ValueError("expected a date, or a date and a time")
    year, month, day = _day(parts["date"], day_first)
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("expected an hour from 1 to 12")
        hour = hour % 12 + 12 * (parts["half"][0] in "pم")
    return datetime(year, month, day, hour, minute, second)


def _day(text: str, day_first: bool) -> tuple[int, int, int]:
    """Return year, month and day."""
    if found := _NUMBERS.fullmatch(text):
        if found["year"]:
            return int(found["year"]), int(found["month"]), int(found["day"])
        first, second = int(found[1]), int(found[2])
        month, day = (second, first) if day_first else (first, second)
        return _year(found[3]), month, day
    found = _NAMED.fullmatch(text) or _NAME_FIRST.fullmatch(text)
    month_of = None if found is None else _MONTHS.get(found["month"].strip())
    if found is None or month_of is None:
        raise ValueError("expected numbers, or a month's name between or before numbers")
    return _year(found["year"]), month_of, int(found["day"])


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (2000 if year < _CENTURY else 1900)


def day_comes_first(values: Iterable[Any]) -> bool | None:
    """Return whether the day comes before the month in a column's dates; None if none of them tells.

    A number above 12 is a day. A column without dates such as ``3/5/2026`` needs no order.

    >>> day_comes_first(["3/5/2026", "25/5/2026"]), day_comes_first(["5/25/2026"]), day_comes_first(["3/5/2026"])
    (True, False, None)
    """
    told, doubtful = 0, False
    for value in values:
        parts = _WRITTEN.fullmatch(_folded(value)) if isinstance(value, str) else None
        found = None if parts is None else _NUMBERS.fullmatch(parts["date"])
        if found is None or found["year"]:
            continue
        first, second = int(found[1]), int(found[2])
        told += (first > 12) - (second > 12)
        doubtful |= first != second
    return told > 0 if told else None if doubtful else True


def is_day_first(values: Iterable[Any], column: str | None, order: DateOrder | None) -> bool:
    """Return whether the day comes first in a column of dates: as is said, or else as its values tell.

    Raises
    ------
    TableError
        If nothing is said and no value tells.
    """
    if column is None or order is not None:
        return order != "month-first"
    found = day_comes_first(values)
    if found is None:
        raise TableError(
            f"the column {column!r} has dates such as 3/5/2026, and none of them tells whether the day or the month "
            "comes first; say --date-order day-first or --date-order month-first"
        )
    return found
