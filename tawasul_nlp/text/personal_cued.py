"""Numbers that are personal only after a cue, or before one, and not an amount, a date or a year.

All texts are folded (:mod:`tawasul_nlp.text.folding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .personal.cues import AND_ANOTHER, ANY_BEHIND, BEHIND, HOUSE, NUMBERED, STRONG_LINK
from .personal.patterns import DAY, MONTH, OF_A_YEAR, YEAR
from .personal_context import Found, is_amount, is_behind, is_public, number, sizes_of
from .personal_cues import OTHER_CUE, PLACE_CUE, YEAR_AFTER
from .personal_numbers import PersonalNumbers


def cued(numbers: PersonalNumbers, kind: str, text: str) -> Iterator[Found]:
    """Return the numbers of a kind that follow its cues."""
    for match in numbers.cued[kind].finditer(text):
        if _is_cued(numbers, kind, text, match):
            start, end = match.span("value")
            yield kind, start, end
            while (another := AND_ANOTHER.match(text, end)) and _is_alike(match["value"], another["value"]):
                start, end = another.span("value")
                if not is_amount(numbers, text, start, end):
                    yield kind, start, end


def before_cues(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    """Return the numbers that precede their cues."""
    if not ANY_BEHIND.search(text):
        return
    for kind, pattern in BEHIND.items():
        for match in pattern.finditer(text):
            start, end = match.span("value")
            found = match["value"]
            is_other = is_behind(OTHER_CUE, text, start) or is_behind(PLACE_CUE, text, start)
            if not (is_other or _is_date(found) or YEAR.fullmatch(found) or is_public(numbers, found)):
                yield kind, start, end


def _is_alike(one: str, other: str) -> bool:
    """Return whether two numbers have the same form, letters for letters."""
    shapes = [(re.sub(r"\d+", "0", value), len(re.sub(r"\D+", "", value))) for value in (one, other)]
    (form, digits), (other_form, other_digits) = shapes
    return form == other_form and abs(digits - other_digits) <= 1 and other_digits >= 4


def _is_cued(numbers: PersonalNumbers, kind: str, text: str, match: re.Match[str]) -> bool:
    """Return whether a number is what its cue says, not an amount, date or year."""
    start, end = match.span("value")
    found = match.group("value")
    digits = sum(char.isdigit() for char in found)
    if kind == "cpr":
        # A row number may precede another number: 1 39001234.
        phone = numbers.plan.phones.digits
        return DAY.fullmatch(found) is None and sizes_of(found) not in ((1, phone), (phone, 1))
    if is_amount(numbers, text, start, end) or is_public(numbers, number(found)):
        return False
    far = match.group("far")
    is_phone = numbers.phone.fullmatch(found) and not OF_A_YEAR.fullmatch(found)
    if far and (is_phone or is_behind(OTHER_CUE, text, start)):
        return False
    is_numbered = match["strong"] or match["numbered"] or NUMBERED.match(match.group())
    is_strong = is_numbered or STRONG_LINK.search(far or match["link"])
    if kind == "plate":
        return not (match["described"] and found.endswith("000")) and (digits > 3 or match["car"] is None)
    if _is_date(found) or YEAR.fullmatch(found):
        return False
    if kind == "passport":
        if any(map(str.isalpha, found)) or not match["words"] or is_strong:
            return digits >= 6 or found[0].isalpha()
        return digits >= 7 and numbers.phone.fullmatch(found) is None
    if match.groupdict().get("distant"):
        is_day = DAY.fullmatch(found) or re.fullmatch(r"20\d\d[01]\d[0-3]\d", found)
        is_other = is_phone or is_day or (kind == "request" and numbers.national.fullmatch(found))
        return digits >= 7 and not found.endswith("000") and not is_other
    if is_strong or found[0].isalpha():
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket 118844", but not "my ticket 12345", which may be a count.
        is_other = is_phone or re.fullmatch(r"\d{9}|\d{8}/\d+", found)
        return digits >= 6 and not found.endswith("00") and not is_other
    if OF_A_YEAR.fullmatch(found) or YEAR_AFTER.match(text, end):
        return True
    if far and kind in ("account", "request"):
        return digits >= 7 and not found.endswith("000")  # "my account shows that the balance is 12550"
    return digits >= 5 and not found.endswith("000") and MONTH.fullmatch(found) is None


def _is_date(found: str) -> bool:
    """Return whether it is a day (12/05/2024) or a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    if not all(map(str.isdigit, parts)):
        return False
    if len(parts) == 2:
        return all(map(YEAR.fullmatch, parts)) and ("-" in found or int(parts[1]) - int(parts[0]) == 1)
    lengths = sorted(map(len, parts))
    return len(parts) == 3 and lengths[1] <= 2 and lengths[2] in (2, 4) and min(map(int, parts)) <= 12


def houses(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    """Return the numbers of houses and flats."""
    for match in HOUSE.finditer(text):
        if not is_amount(numbers, text, *match.span("value")):
            yield "house", *match.span("value")
