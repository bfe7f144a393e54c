"""What a cell of a workbook shows, from what stands in the file: texts, numbers, dates, spans of hours."""

from __future__ import annotations

import datetime as dt
import re

from tawasul_nlp.batch.rows import is_text

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_INTEGER = re.compile(r"-?[0-9]+")
_PADDED = re.compile(r"0{2,}")  # a number format such as 000000000, which people use for CPR numbers
# Of a number format what is quoted, escaped, filled up or in brackets is no date, except spans of hours.
_NO_DATE = re.compile(r'"[^"]*"|[\\_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
_DATE = re.compile(r"[dmyhs]", re.IGNORECASE)
_SPAN = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_NO_DAY = 2_958_466  # the number after 9999-12-31
# Formats of dates that have a number but no code in the file (ECMA-376, 18.8.30); those from 27 on are East Asian.
BUILT_IN_DATES = {str(n): "y" for n in (*range(14, 23), *range(27, 37), 45, 47, *range(50, 59))} | {"46": "[h]"}


def unescaped(text: str) -> str:
    r"""Return a text with the characters that a workbook writes as ``_xHHHH_``, because XML has none or loses them.

    >>> unescaped("مجمع_x0009_714"), unescaped("_x005F_x0041_")
    ('مجمع\t714', '_x0041_')
    """
    if "_x" not in text:
        return text
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if not is_text(text):  # a character beyond 16 bits is written as a pair of them
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown_number(value: str, code: str, epoch: dt.datetime) -> str:
    """Return a number as a cell shows it, without the decoration of its format.

    Parameters
    ----------
    value : str
        As it stands in the file.
    code : str
        The number format: a date is shown in ISO 8601, a span as hours, zeros in front stay.
    epoch : datetime
        The day with the number 0.

    Examples
    --------
    >>> epoch = dt.datetime(1899, 12, 30)
    >>> shown_number("46082.354166666664", "dd/mm/yyyy hh:mm", epoch), shown_number("1.5", "[h]:mm", epoch)
    ('2026-03-01 08:30:00', '36:00:00')
    >>> shown_number("10101234", "000000000", epoch), shown_number("12.100000000000001", "", epoch)
    ('010101234', '12.1')
    """
    plain = _NO_DATE.sub("", code.partition(";")[0])
    try:
        number = float(value)
        if _SPAN.search(plain):
            seconds = round(abs(number) * 86_400)
            return f"{'-' if number < 0 else ''}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if _DATE.search(plain) and 0 <= number < _NO_DAY:
            return _shown_day(number, epoch)
    except (ValueError, OverflowError):  # no number, or none that ends
        return value
    if not _INTEGER.fullmatch(value):
        # Excel keeps 15 digits; what files have beyond them comes from binary fractions.
        value = str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.15g}"
    return value.zfill(len(code)) if _PADDED.fullmatch(code) else value


def _shown_day(number: float, epoch: dt.datetime) -> str:
    # Excel counts a 29 February 1900, so its first days lie one later than the days after say.
    day = int(number) + (1 if epoch.year == 1899 and 1 <= number < 60 else 0)
    moment = epoch + dt.timedelta(day, milliseconds=round(number % 1 * 86_400_000))
    if number < 1:
        return moment.time().isoformat()
    return moment.isoformat(" ") if moment.time() != dt.time() else moment.date().isoformat()
