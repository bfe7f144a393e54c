"""The rules that tell personal data from other numbers in a folded text.

Each finder gives ``(kind, start, end)``. Numbers with no form of their own (accounts, registrations, requests, plates,
most passports) are found only behind a word that says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .personal_cued import AND_ANOTHER, CUED, HOUSE, STRONG_LINK
from .personal_cues import (
    ACCOUNT_CUE,
    CARD_CUE,
    EMAIL_CUE,
    OTHER_CUE,
    PHONE_CUE,
    PHONE_NEARBY,
    PHONE_WORD,
    PLACE_CUE,
    UNIT_AFTER,
    UNIT_BEFORE,
    YEAR_AFTER,
)
from .personal_patterns import (
    CARD,
    CARD_LENGTHS,
    CARD_NUMBER,
    CODE_BEHIND,
    CPR,
    CPR_GROUPS,
    DAY,
    DIGIT,
    EMAIL,
    EMAIL_SIGN,
    FOREIGN_PHONE,
    HIJRI_DAY,
    IBAN,
    IBAN_LENGTHS,
    LATIN,
    MOBILE_AT_HOME,
    MONTH,
    OF_A_YEAR,
    PASSPORT,
    PHONE,
    PHONE_GROUPS,
    PREFIXED_PHONE,
    ROUND,
    STANDS_ALONE,
    TIME,
    YEAR,
)

#: Public lines that look like personal ones; numbers that start with 80 are free lines and never masked.
PUBLIC_NUMBERS = frozenset({"17155363"})
Found = tuple[str, int, int]


def find(text: str) -> Iterator[Found]:
    """Give all that looks like personal data; of two that overlap the first is right."""
    if EMAIL_SIGN.search(text):
        yield from _emails(text)
    if DIGIT.search(text):
        yield from _ibans(text)
        yield from _cards(text)
        for kind in CUED:
            yield from _cued(kind, text)
        yield from _prefixed_phones(text)
        yield from _passports(text)
        yield from _cprs(text)
        yield from _phones(text)
        yield from _houses(text)


def number(text: str) -> str:
    """Give the letters and digits of a number, without what separates them and a spreadsheet's ".0".

    Examples
    --------
    >>> number("3900 1234.0")
    '39001234'
    """
    return re.sub(r"[\W_]+", "", text.removesuffix(".0"))


def _is_public(value: str) -> bool:
    local = value.removeprefix("00973").removeprefix("973")
    return local in PUBLIC_NUMBERS or (len(local) == 8 and local.startswith("80")) or len(local) < 3


def _is_amount(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 24) : start]
    return UNIT_AFTER.match(text, end) is not None or UNIT_BEFORE.search(before) is not None


def _is_behind(cue: re.Pattern[str], text: str, start: int) -> bool:
    return cue.search(text[max(0, start - 40) : start]) is not None


def _is_near(word: re.Pattern[str], text: str, start: int) -> bool:
    return word.search(text, max(0, start - 40), start) is not None


def _is_code(text: str, start: int, end: int) -> bool:
    """Tell whether Latin letters stand on both sides: RR870412356BH is a parcel."""
    return LATIN.match(text[max(0, start - 1) : start]) is not None and LATIN.match(text, end) is not None


def _groups(found: str) -> list[str]:
    return re.findall(r"\d+", found.removesuffix(".0"))


def _sizes(found: str) -> tuple[int, ...]:
    return tuple(map(len, _groups(found)))


def _emails(text: str) -> Iterator[Found]:
    for match in EMAIL.finditer(text):
        bare = match["bare"]
        if not bare or re.search(r"[._\d]", bare) or _is_behind(EMAIL_CUE, text, match.start()):
            yield "email", match.start(), match.end()


def _has_valid_checksum(iban: str) -> bool:
    """Tell whether the number formed as ISO 13616 says is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _ibans(text: str) -> Iterator[Found]:
    last = 0
    for match in IBAN.finditer(text):
        start, found = match.start(), match.group(1)
        if start < last:
            continue
        value = number(found).upper()
        length = IBAN_LENGTHS.get(value[:2])
        # Words behind a spaced number may have been matched too; in one that is mostly letters, nothing else was.
        if length is None or len(value) < length or sum(map(str.isdigit, value[:length])) * 2 < length:
            continue
        # A Bahraini one with a digit mistyped is one still where a word says so.
        end = start + [index + 1 for index, char in enumerate(found) if char.isalnum()][length - 1]
        is_whole = value.startswith("BH") and not text[end : end + 1].isalnum()
        is_named = is_whole and _is_behind(ACCOUNT_CUE, text, start)
        if is_named or _has_valid_checksum(value[:length]):
            last = end
            yield "iban", start, last


def _has_valid_luhn(digits: str) -> bool:
    """Tell whether the sum of ISO/IEC 7812-1, in which every second digit is doubled, is a multiple of ten."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _cards(text: str) -> Iterator[Found]:
    last = 0
    for match in CARD.finditer(text):
        start, found = match.start(), match.group(1)
        if start < last or _is_behind(ACCOUNT_CUE, text, start) or _is_behind(OTHER_CUE, text, start):
            continue
        card = _card(found, _is_behind(CARD_CUE, text, start))
        if card:
            last = start + len(card)
            yield "card", start, last


def _card(found: str, is_named: bool) -> str | None:
    """Give what of a long number is a card's.

    Behind a word for one, it may be of another network, or have a digit mistyped.
    """
    digits = number(found)
    ends = [match.end() for match in DIGIT.finditer(found)]
    mistyped = None
    for length in CARD_LENGTHS:
        if length > len(ends) or (length < len(ends) and ends[length] == ends[length - 1] + 1):
            continue  # not there, or not the end of a group
        if not (is_named or CARD_NUMBER.fullmatch(digits, 0, length)):
            continue
        card = found[: ends[length - 1]]
        if not is_named and not _is_card_grouped(_sizes(card)):
            continue
        if _has_valid_luhn(digits[:length]):
            return card
        if length == 16 and is_named:
            mistyped = card
    return mistyped


def _cued(kind: str, text: str) -> Iterator[Found]:
    for match in CUED[kind].finditer(text):
        if _is_cued(kind, text, match):
            start, end = match.span("value")
            yield kind, start, end
            while (another := AND_ANOTHER.match(text, end)) and _is_alike(match["value"], another["value"]):
                start, end = another.span("value")
                if not _is_amount(text, start, end):
                    yield kind, start, end


def _is_alike(one: str, other: str) -> bool:
    """Tell whether two numbers are written in one way, letters for letters."""
    shapes = [(re.sub(r"\d+", "0", value), len(re.sub(r"\D+", "", value))) for value in (one, other)]
    (form, digits), (other_form, other_digits) = shapes
    return form == other_form and abs(digits - other_digits) <= 1 and other_digits >= 4


def _is_card_grouped(sizes: tuple[int, ...]) -> bool:
    """Tell groups of a card from lists of numbers, and from two phones."""
    *first, last = sizes
    return not first or sizes[:2] == (4, 6) or (len(set(first)) == 1 and last <= first[0] and 1 < first[0] < 8)


def _is_cued(kind: str, text: str, match: re.Match[str]) -> bool:
    """Tell whether a number behind a word is what the word says, and no amount, date or year."""
    start, end = match.span("value")
    found = match.group("value")
    digits = sum(char.isdigit() for char in found)
    if kind == "cpr":
        # The number of a row may stand before another's: 1 39001234.
        return DAY.fullmatch(found) is None and _sizes(found)[:2] != (1, 8)
    if _is_amount(text, start, end) or _is_public(number(found)):
        return False
    is_strong = match.group("strong") or STRONG_LINK.search(match.group("link"))
    if kind == "plate":
        return not (match["described"] and found.endswith("000")) and (digits > 3 or match["car"] is None)
    if _is_date(found) or YEAR.fullmatch(found):
        return False
    if kind == "passport":
        if any(map(str.isalpha, found)) or not match["words"] or is_strong:
            return digits >= 6 or found[0].isalpha()
        return digits >= 7 and PHONE.fullmatch(found) is None
    if kind == "account" and match["far"]:
        return digits >= 8 and PHONE.fullmatch(found) is None
    if is_strong:
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket INC0012345", but not "my ticket 12345": that may be how many there are.
        return found[0].isalpha() and digits >= 4
    if OF_A_YEAR.fullmatch(found) or YEAR_AFTER.match(text, end):
        return True
    return digits >= 5 and not found.endswith("000") and MONTH.fullmatch(found) is None


def _is_date(found: str) -> bool:
    """Tell a day (12/05/2024) and a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    return (len(parts) == 3 and sorted(map(len, parts))[1] <= 2 and max(map(len, parts)) <= 4) or (
        len(parts) == 2 and all(YEAR.fullmatch(part) for part in parts) and int(parts[1]) - int(parts[0]) == 1
    )


def _houses(text: str) -> Iterator[Found]:
    for match in HOUSE.finditer(text):
        if not _is_amount(text, *match.span("value")):
            yield "house", *match.span("value")


def _passports(text: str) -> Iterator[Found]:
    for match in PASSPORT.finditer(text):
        if not _is_behind(OTHER_CUE, text, match.start()):
            yield "passport", *match.span()


def _cprs(text: str) -> Iterator[Found]:
    for match in CPR.finditer(text):
        start, end = match.span()
        if not _is_code(text, start, end) and _is_plainly_cpr(text, start, end):
            yield "cpr", start, end


def _is_plainly_cpr(text: str, start: int, end: int) -> bool:
    """Tell nine digits that begin with a year and a month of birth from amounts, streets and other numbers."""
    found = text[start:end]
    sizes = _sizes(found)
    if ROUND.fullmatch(number(found)) or _is_amount(text, start, end) or _is_behind(OTHER_CUE, text, start):
        return False
    if len(sizes) == 1:
        return True
    # Where spaces separate them, other groups are a list; in two parts, the first may be a year, or all a decimal.
    is_signed = len(sizes) > 2 and _common_sign(found) not in (None, " ")
    if _is_behind(PLACE_CUE, text, start) or not (is_signed or sizes in CPR_GROUPS):
        return False
    return len(sizes) > 2 or (YEAR.fullmatch(found[:4]) is None and _common_sign(found) != ".")


def _common_sign(found: str) -> str | None:
    """Give the sign between all groups of a number, None if it differs."""
    signs = {gap.strip(" ") or " " for gap in re.findall(r"\D+", found.removesuffix(".0"))}
    return signs.pop() if len(signs) == 1 else None


def _prefixed_phones(text: str) -> Iterator[Found]:
    for match in PREFIXED_PHONE.finditer(text):
        value = number(match.group())
        start, end = match.span()
        is_block = value.startswith("973") and match.group()[0] not in "+(" and _is_behind(PLACE_CUE, text, start)
        is_sum = not value.startswith(("973", "00973")) and (ROUND.fullmatch(value) or _is_amount(text, start, end))
        if not (is_block or is_sum or _is_public(value)):
            yield "phone", start, end
    for match in FOREIGN_PHONE.finditer(text):
        start = match.start()
        if (
            MOBILE_AT_HOME.match(text, start)
            or _is_behind(PHONE_CUE, text, start)
            or _is_near(PHONE_NEARBY, text, start)
        ):
            yield "phone", *match.span()


def _phones(text: str) -> Iterator[Found]:
    position = 0
    while found := PHONE.search(text, position):
        start, end = found.span()
        if _is_phone(text, start, end):
            code = CODE_BEHIND.match(text, end)
            end = code.end() if code else end
            yield "phone", start, end
            position = end
        else:
            # The number of a road may stand before that of a phone: 3612 3900 1234.
            position = start + 1


def _is_phone(text: str, start: int, end: int) -> bool:
    if (
        _is_public(number(text[start:end]))
        or (_is_code(text, start, end) and not _is_behind(PHONE_CUE, text, start))
        or (_is_behind(OTHER_CUE, text, start) and not _is_near(PHONE_WORD, text, start))
        or (end - start > 8 and _is_behind(PLACE_CUE, text, start))
    ):
        return False
    # What the text calls a phone number is one, whatever touches or follows it.
    return _is_plainly_phone(text, start, end) or _is_behind(PHONE_CUE, text, start)


def _is_plainly_phone(text: str, start: int, end: int) -> bool:
    """Tell eight digits of a phone from amounts, dates, and lists of small numbers."""
    before, after = STANDS_ALONE
    if not (before.match(text, start) and after.match(text, end)) or _is_amount(text, start, end):
        return False
    found = text[start:end]
    value = number(found)
    if ROUND.fullmatch(value) or DAY.fullmatch(value):
        return False
    groups, sizes = _groups(found), _sizes(found)
    if len(groups) == 1:
        return value == found.removesuffix(".0")
    if re.search(r"[,،:+=]|.\(", found) or HIJRI_DAY.fullmatch(value) or _is_range(groups):
        return False
    is_named = _is_near(PHONE_NEARBY, text, start)
    # "3500 2023" is more likely an amount and a year than a number in two halves.
    if any(YEAR.fullmatch(group) for group in groups):
        return is_named and sizes == (4, 4)
    sign = _common_sign(found)
    if is_named:
        return True
    if set(sizes) == {1}:
        return sign not in (None, " ") or not _is_list(text, start, end)
    if sign == "." and len(groups) == 2 and sizes != (4, 4):
        return False
    return sizes in PHONE_GROUPS or (
        min(sizes) > 1 and (sign is not None or (len(sizes) == 3 and "." not in found)) and value[0] in "36"
    )


def _is_list(text: str, start: int, end: int) -> bool:
    """Tell single digits that go on before or behind, or that count: 3 4 5 6 7 8 9 1."""
    digits = list(map(int, number(text[start:end])))
    steps = [after - before for before, after in zip(digits, digits[1:], strict=False)]
    return (
        steps.count(1) > 2
        or re.search(r"\d\W?\Z", text[max(0, start - 2) : start]) is not None
        or DIGIT.match(text, end + 1) is not None
    )


def _is_range(groups: list[str]) -> bool:
    """Tell 3612-3614, which are houses, 3000-3500, which are people, and 1600-1730, which are times."""
    if len(set(map(len, groups))) != 1:
        return False
    if all(TIME.fullmatch(group) for group in groups) and groups == sorted(groups):
        return True
    numbers = list(map(int, groups))
    near = 100 if len(groups[0]) == 4 else 5
    if len(groups) > 2 and len(set(groups)) == 1:
        return True
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    return all(0 < step <= near for step in steps) or all(group.endswith("00") for group in groups)
