"""The context of a number in a folded text, and helpers that the rules share."""

from __future__ import annotations

import re

from .personal.patterns import LATIN
from .personal_numbers import PersonalNumbers

Found = tuple[str, int, int]


def number(text: str) -> str:
    """Return the letters and digits of a number, without separators and a spreadsheet's ".0".

    Examples
    --------
    >>> number("3900 1234.0")
    '39001234'
    """
    return re.sub(r"[\W_]+", "", text.removesuffix(".0"))


def is_public(numbers: PersonalNumbers, value: str) -> bool:
    """Return whether a number is a public line, or too short to be personal."""
    phones = numbers.plan.phones
    local = value.removeprefix(f"00{phones.country_code}").removeprefix(phones.country_code)
    toll_free = len(local) == phones.digits and local.startswith(phones.public_starts)
    return local in phones.public or toll_free or len(local) < 3


def is_amount(numbers: PersonalNumbers, text: str, start: int, end: int) -> bool:
    """Return whether a unit follows a number, or a word for an amount precedes it."""
    before = text[max(0, start - 24) : start]
    return numbers.unit_after.match(text, end) is not None or numbers.unit_before.search(before) is not None


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
