"""The context of a number in a folded text, and helpers that the rules share."""

from __future__ import annotations

import re

from .personal_cues import UNIT_AFTER, UNIT_BEFORE
from .personal_patterns import LATIN

#: Public lines that look like personal ones; numbers that start with 80 are toll-free and never masked.
PUBLIC_NUMBERS = frozenset({"17155363"})
Found = tuple[str, int, int]


def number(text: str) -> str:
    """Return the letters and digits of a number, without separators and a spreadsheet's ".0".

    Examples
    --------
    >>> number("3900 1234.0")
    '39001234'
    """
    return re.sub(r"[\W_]+", "", text.removesuffix(".0"))


def is_public(value: str) -> bool:
    """Return whether a number is a public line, or too short to be personal."""
    local = value.removeprefix("00973").removeprefix("973")
    return local in PUBLIC_NUMBERS or (len(local) == 8 and local.startswith("80")) or len(local) < 3


def is_amount(text: str, start: int, end: int) -> bool:
    """Return whether a unit follows a number, or a word for an amount precedes it."""
    before = text[max(0, start - 24) : start]
    return UNIT_AFTER.match(text, end) is not None or UNIT_BEFORE.search(before) is not None


def is_behind(cue: re.Pattern[str], text: str, start: int) -> bool:
    """Return whether a number directly follows a word."""
    return cue.search(text[max(0, start - 40) : start]) is not None


def is_near(word: re.Pattern[str], text: str, start: int) -> bool:
    """Return whether a word occurs within forty characters before a number."""
    return word.search(text, max(0, start - 40), start) is not None


def is_code(text: str, start: int, end: int) -> bool:
    """Return whether Latin letters touch both sides: RR870412356BH is a parcel."""
    return LATIN.match(text[max(0, start - 1) : start]) is not None and LATIN.match(text, end) is not None


def groups_of(found: str) -> list[str]:
    """Return the groups of digits."""
    return re.findall(r"\d+", found.removesuffix(".0"))


def sizes_of(found: str) -> tuple[int, ...]:
    """Return the number of digits in each group."""
    return tuple(map(len, groups_of(found)))
