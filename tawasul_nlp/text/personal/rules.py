"""Rules that distinguish personal data from other numbers in a folded text.

Each finder returns ``(kind, start, end)``. Numbers without a distinctive form (accounts, registrations, requests,
plates, most passports) are found only after a cue word, or before one, and not where they are an amount, a date or a
year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import cues, patterns
from .cues import PersonalNumbers

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
    return (
        patterns.LATIN.match(text[max(0, start - 1) : start]) is not None
        and patterns.LATIN.match(text, end) is not None
    )


def groups_of(found: str) -> list[str]:
    """Return the groups of digits."""
    return re.findall(r"\d+", found.removesuffix(".0"))


def sizes_of(found: str) -> tuple[int, ...]:
    """Return the number of digits in each group."""
    return tuple(map(len, groups_of(found)))


_LETTERS_AS_DIGITS = str.maketrans("OoIl", "0011")


def find(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    """Return everything that looks like personal data; of two overlapping matches the first wins."""
    if patterns.EMAIL_SIGN.search(text):
        yield from _emails(text)
    if patterns.DIGIT.search(text):
        yield from _ibans(numbers, text)
        yield from _cards(text)
        for kind in numbers.cued:
            yield from _cued(numbers, kind, text)
        yield from _before_cues(numbers, text)
        yield from _prefixed_phones(numbers, text)
        yield from _passports(text)
        yield from _with_letters(numbers, text)
        yield from _cprs(numbers, text)
        yield from _phones(numbers, text)
        yield from _houses(numbers, text)


def _emails(text: str) -> Iterator[Found]:
    for match in patterns.EMAIL.finditer(text):
        bare = match["bare"]
        if (
            not bare
            or match["at"] == "AT"
            or re.search(r"[._\d]", bare)
            or is_behind(patterns.EMAIL_CUE, text, match.start())
        ):
            yield "email", match.start(), match.end()


def _has_valid_checksum(iban: str) -> bool:
    """Return whether the number formed as in ISO 13616 is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _ibans(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    last = 0
    for match in patterns.IBAN.finditer(text):
        start, found = match.start(), match.group(1)
        if start < last:
            continue
        value = number(found).upper()
        length = patterns.IBAN_LENGTHS.get(value[:2])
        # The match may include words after a spaced number, unless it is mostly letters.
        if length is None or len(value) < length or sum(map(str.isdigit, value[:length])) * 2 < length:
            continue
        # One of the country with a mistyped digit still counts after a cue word.
        end = start + [index + 1 for index, char in enumerate(found) if char.isalnum()][length - 1]
        is_whole = value.startswith(numbers.plan.iban) and not text[end : end + 1].isalnum()
        is_named = is_whole and is_behind(patterns.ACCOUNT_CUE, text, start)
        if is_named or _has_valid_checksum(value[:length]):
            last = end
            yield "iban", start, last


def _has_valid_luhn(digits: str) -> bool:
    """Return whether the Luhn sum of ISO/IEC 7812-1 is a multiple of ten."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _cards(text: str) -> Iterator[Found]:
    last = 0
    for match in patterns.CARD.finditer(text):
        start, found = match.start(), match.group(1)
        if start < last or is_behind(patterns.ACCOUNT_CUE, text, start) or is_behind(patterns.OTHER_CUE, text, start):
            continue
        card = _card(found, is_behind(patterns.CARD_CUE, text, start))
        if card:
            last = start + len(card)
            yield "card", start, last


def _card(found: str, is_named: bool) -> str | None:
    """Return the part of a long number that is a card's.

    After a cue word, it may be of another network, or have a mistyped digit.
    """
    digits = number(found)
    ends = [match.end() for match in patterns.DIGIT.finditer(found)]
    mistyped = None
    for length in patterns.CARD_LENGTHS:
        if length > len(ends) or (length < len(ends) and ends[length] == ends[length - 1] + 1):
            continue  # absent, or not the end of a group
        if not (is_named or patterns.CARD_NUMBER.fullmatch(digits, 0, length)):
            continue
        card = found[: ends[length - 1]]
        if not is_named and not _is_card_grouped(sizes_of(card)):
            continue
        if _has_valid_luhn(digits[:length]):
            return card
        if length == 16 and is_named:
            mistyped = card
    return mistyped


def _is_card_grouped(sizes: tuple[int, ...]) -> bool:
    """Return whether groups are a card's, not a list of numbers or two phones."""
    *first, last = sizes
    return not first or sizes[:2] == (4, 6) or (len(set(first)) == 1 and last <= first[0] and 1 < first[0] < 8)


def _passports(text: str) -> Iterator[Found]:
    for match in patterns.PASSPORT.finditer(text):
        if not is_behind(patterns.OTHER_CUE, text, match.start()):
            yield "passport", *match.span()


def _with_letters(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    for match in numbers.letters_among.finditer(text):
        found, start = match.group(), match.start()
        digits = number(found).translate(_LETTERS_AS_DIGITS)
        if len(digits) == numbers.plan.national.digits and is_behind(numbers.national_cue, text, start):
            yield "cpr", start, match.end()
        elif numbers.phone.fullmatch(digits) and is_behind(patterns.PHONE_CUE, text, start):
            yield "phone", start, match.end()


def _cprs(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    for match in numbers.national.finditer(text):
        start, end = match.span()
        if not is_code(text, start, end) and _is_plainly_cpr(numbers, text, start, end):
            yield "cpr", start, end


def _is_plainly_cpr(numbers: PersonalNumbers, text: str, start: int, end: int) -> bool:
    """Return whether nine digits are a CPR, not an amount, a street or another number."""
    found = text[start:end]
    sizes = sizes_of(found)
    if (
        patterns.ROUND.fullmatch(number(found))
        or is_amount(numbers, text, start, end)
        or is_behind(patterns.OTHER_CUE, text, start)
    ):
        return False
    if len(sizes) == 1:
        return True
    # Other groups separated by spaces are a list; of two parts, the first may be a year, or both a decimal.
    is_signed = len(sizes) > 2 and _common_sign(found) not in (None, " ")
    if is_behind(patterns.PLACE_CUE, text, start) or not (is_signed or sizes in numbers.plan.national.groups):
        return False
    return len(sizes) > 2 or (patterns.YEAR.fullmatch(found[:4]) is None and _common_sign(found) != ".")


def _common_sign(found: str) -> str | None:
    """Return the sign between all groups of a number; None if it differs."""
    signs = {gap.strip(" ") or " " for gap in re.findall(r"\D+", found.removesuffix(".0"))}
    return signs.pop() if len(signs) == 1 else None


def _prefixed_phones(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    for match in numbers.prefixed_phone.finditer(text):
        value = number(match.group())
        start, end = match.span()
        code = numbers.plan.phones.country_code
        is_block = (
            value.startswith(code) and match.group()[0] not in "+(" and is_behind(patterns.PLACE_CUE, text, start)
        )
        is_own = value.startswith((code, f"00{code}"))
        is_sum = not is_own and (patterns.ROUND.fullmatch(value) or is_amount(numbers, text, start, end))
        if not (is_block or is_sum or is_public(numbers, value)):
            yield "phone", start, end
    for match in numbers.foreign_phone.finditer(text):
        start = match.start()
        if (
            patterns.MOBILE_AT_HOME.match(text, start)
            or is_behind(patterns.PHONE_CUE, text, start)
            or is_near(patterns.PHONE_NEARBY, text, start)
        ):
            yield "phone", *match.span()
    for match in patterns.NUMBER_AT_HOME.finditer(text):
        if is_behind(patterns.PHONE_CUE, text, match.start()):
            yield "phone", *match.span()


def _phones(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    position = 0
    while found := numbers.phone.search(text, position):
        start, end = found.span()
        if _is_phone(numbers, text, start, end):
            code = numbers.code_behind.match(text, end)
            end = code.end() if code else end
            yield "phone", start, end
            position = end
        else:
            # A road number may precede a phone number: 3612 3900 1234.
            position = start + 1


def _is_phone(numbers: PersonalNumbers, text: str, start: int, end: int) -> bool:
    if (
        is_public(numbers, number(text[start:end]))
        or (is_code(text, start, end) and not is_behind(patterns.PHONE_CUE, text, start))
        or (is_behind(patterns.OTHER_CUE, text, start) and not is_near(patterns.PHONE_WORD, text, start))
        or (end - start > 8 and is_behind(patterns.PLACE_CUE, text, start))
    ):
        return False
    # What the text calls a phone number is one, whatever surrounds it.
    return _is_plainly_phone(numbers, text, start, end) or is_behind(patterns.PHONE_CUE, text, start)


def _is_plainly_phone(numbers: PersonalNumbers, text: str, start: int, end: int) -> bool:
    """Return whether eight digits are a phone, not an amount, a date or a list of small numbers."""
    before, after = patterns.STANDS_ALONE
    if not (before.match(text, start) and after.match(text, end)) or is_amount(numbers, text, start, end):
        return False
    found = text[start:end]
    value = number(found)
    if patterns.ROUND.fullmatch(value) or patterns.DAY.fullmatch(value):
        return False
    groups, sizes = groups_of(found), sizes_of(found)
    if len(groups) == 1:
        return value == found.removesuffix(".0")
    if re.search(r"[,،:+=]|.\(", found) or patterns.HIJRI_DAY.fullmatch(value) or _is_range(groups):
        return False
    is_named = is_near(patterns.PHONE_NEARBY, text, start) or is_behind(patterns.TOWARDS, text, start)
    # "3500 2023" is more likely an amount and a year than a number in two halves.
    if any(patterns.RECENT.fullmatch(group) for group in groups):
        return is_named and sizes == (4, 4)
    sign = _common_sign(found)
    if is_named:
        return True
    if set(sizes) == {1}:
        return sign not in (None, " ") or not _is_list(text, start, end)
    if sign == "." and len(groups) == 2 and sizes != (4, 4):
        return False
    if found[0] == "(" or sizes == (2, 2, 2, 2) and sign in ("-", ".", "_", "·"):
        return True
    return sizes in numbers.plan.phones.groups or (
        min(sizes) > 1
        and (sign is not None or (len(sizes) == 3 and "." not in found))
        and value.startswith(numbers.plan.phones.mobile_starts)
    )


def _is_list(text: str, start: int, end: int) -> bool:
    """Return whether single digits continue before or after, or count up: 3 4 5 6 7 8 9 1."""
    digits = list(map(int, number(text[start:end])))
    steps = [after - before for before, after in zip(digits, digits[1:], strict=False)]
    return (
        steps.count(1) > 2
        or re.search(r"\d\W?\Z", text[max(0, start - 2) : start]) is not None
        or patterns.DIGIT.match(text, end + 1) is not None
    )


def _is_range(groups: list[str]) -> bool:
    """Return whether it is a range: houses (3612-3614), people (3000-3500) or times (1600-1730)."""
    if len(set(map(len, groups))) != 1:
        return False
    if all(patterns.TIME.fullmatch(group) for group in groups) and groups == sorted(groups):
        return True
    numbers = list(map(int, groups))
    near = 100 if len(groups[0]) == 4 else 5
    if len(groups) > 2 and len(set(groups)) == 1:
        return True
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    return all(0 < step <= near for step in steps) or all(group.endswith("00") for group in groups)


def _cued(numbers: PersonalNumbers, kind: str, text: str) -> Iterator[Found]:
    """Return the numbers of a kind that follow its cues."""
    for match in numbers.cued[kind].finditer(text):
        if _is_cued(numbers, kind, text, match):
            start, end = match.span("value")
            yield kind, start, end
            while (another := cues.AND_ANOTHER.match(text, end)) and _is_alike(match["value"], another["value"]):
                start, end = another.span("value")
                if not is_amount(numbers, text, start, end):
                    yield kind, start, end


def _before_cues(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    """Return the numbers that precede their cues."""
    if not cues.ANY_BEHIND.search(text):
        return
    for kind, pattern in cues.BEHIND.items():
        for match in pattern.finditer(text):
            start, end = match.span("value")
            found = match["value"]
            is_other = is_behind(patterns.OTHER_CUE, text, start) or is_behind(patterns.PLACE_CUE, text, start)
            if not (is_other or _is_date(found) or patterns.YEAR.fullmatch(found) or is_public(numbers, found)):
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
        return patterns.DAY.fullmatch(found) is None and sizes_of(found) not in ((1, phone), (phone, 1))
    if is_amount(numbers, text, start, end) or is_public(numbers, number(found)):
        return False
    far = match.group("far")
    is_phone = numbers.phone.fullmatch(found) and not patterns.OF_A_YEAR.fullmatch(found)
    if far and (is_phone or is_behind(patterns.OTHER_CUE, text, start)):
        return False
    is_numbered = match["strong"] or match["numbered"] or cues.NUMBERED.match(match.group())
    is_strong = is_numbered or cues.STRONG_LINK.search(far or match["link"])
    if kind == "plate":
        return not (match["described"] and found.endswith("000")) and (digits > 3 or match["car"] is None)
    if _is_date(found) or patterns.YEAR.fullmatch(found):
        return False
    if kind == "passport":
        if any(map(str.isalpha, found)) or not match["words"] or is_strong:
            return digits >= 6 or found[0].isalpha()
        return digits >= 7 and numbers.phone.fullmatch(found) is None
    if match.groupdict().get("distant"):
        is_day = patterns.DAY.fullmatch(found) or re.fullmatch(r"20\d\d[01]\d[0-3]\d", found)
        is_other = is_phone or is_day or (kind == "request" and numbers.national.fullmatch(found))
        return digits >= 7 and not found.endswith("000") and not is_other
    if is_strong or found[0].isalpha():
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket 118844", but not "my ticket 12345", which may be a count.
        is_other = is_phone or re.fullmatch(r"\d{9}|\d{8}/\d+", found)
        return digits >= 6 and not found.endswith("00") and not is_other
    if patterns.OF_A_YEAR.fullmatch(found) or patterns.YEAR_AFTER.match(text, end):
        return True
    if far and kind in ("account", "request"):
        return digits >= 7 and not found.endswith("000")  # "my account shows that the balance is 12550"
    return digits >= 5 and not found.endswith("000") and patterns.MONTH.fullmatch(found) is None


def _is_date(found: str) -> bool:
    """Return whether it is a day (12/05/2024) or a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    if not all(map(str.isdigit, parts)):
        return False
    if len(parts) == 2:
        return all(map(patterns.YEAR.fullmatch, parts)) and ("-" in found or int(parts[1]) - int(parts[0]) == 1)
    lengths = sorted(map(len, parts))
    return len(parts) == 3 and lengths[1] <= 2 and lengths[2] in (2, 4) and min(map(int, parts)) <= 12


def _houses(numbers: PersonalNumbers, text: str) -> Iterator[Found]:
    """Return the numbers of houses and flats."""
    for match in cues.HOUSE.finditer(text):
        if not is_amount(numbers, text, *match.span("value")):
            yield "house", *match.span("value")
