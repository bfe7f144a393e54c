"""Find and mask personal data in citizens' texts: who wrote must not follow from what was written.

Everything is looked for in a copy of the text in which digits are ASCII, letters that people write
for one another are one, and marks that nobody sees are gone; spans are those of the original.
Numbers with no form of their own (accounts, registrations, requests, plates) are masked only behind
a word that says what they are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from .personal_patterns import (
    ACCOUNT_CUE,
    CPR,
    CUED,
    DAY,
    DIGIT,
    EMAIL,
    GAP,
    HOUSE,
    IBAN,
    IBAN_LENGTHS,
    LATIN,
    MARKS,
    MONTH,
    OF_A_YEAR,
    PHONE,
    PHONE_CUE,
    PHONE_GROUPS,
    PLACE_CUE,
    PLAIN,
    PREFIXED_PHONE,
    ROUND,
    STANDS_ALONE,
    STRONG_LINK,
    UNIT_AFTER,
    UNIT_BEFORE,
    YEAR,
    YEAR_AFTER,
)

#: Each kind with what stands in the masked text in its place.
PLACEHOLDERS = {
    "email": "[بريد]",
    "iban": "[آيبان]",
    "cr": "[سجل تجاري]",
    "account": "[رقم حساب]",
    "request": "[رقم طلب]",
    "plate": "[رقم لوحة]",
    "cpr": "[رقم شخصي]",
    "phone": "[هاتف]",
    "house": "[رقم منزل]",
}
#: What is masked when no kinds are named; house and flat numbers are often needed to do the work.
DEFAULT_KINDS = frozenset(PLACEHOLDERS) - {"house"}
#: Public lines that look like personal ones; numbers that start with 80 are free lines and never masked.
PUBLIC_NUMBERS = frozenset({"17155363"})


@dataclass(frozen=True, slots=True)
class PersonalDataSpan:
    """One piece of personal data in the original text.

    Attributes
    ----------
    kind : str
        A key of :data:`PLACEHOLDERS`.
    start, end : int
        ``[start, end)`` in the original, in characters.
    value : str
        What stands there, digits in ASCII, without separators.
    """

    kind: str
    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text without its personal data.

    Attributes
    ----------
    text : str
        The text with placeholders.
    spans : tuple of PersonalDataSpan
        What was masked, in the order of the original.
    """

    text: str
    spans: tuple[PersonalDataSpan, ...]


def _compact(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _is_public(value: str) -> bool:
    local = value.removeprefix("00973").removeprefix("973")
    return local in PUBLIC_NUMBERS or (len(local) == 8 and local.startswith("80")) or len(local) < 3


def _is_amount(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 24) : start]
    return UNIT_AFTER.match(text, end) is not None or UNIT_BEFORE.search(before) is not None


def _has_valid_checksum(iban: str) -> bool:
    """Tell whether the number formed as ISO 13616 says is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _emails(text: str) -> Iterator[PersonalDataSpan]:
    for match in EMAIL.finditer(text):
        yield PersonalDataSpan("email", match.start(), match.end(), match.group())


def _ibans(text: str) -> Iterator[PersonalDataSpan]:
    last = 0
    for match in IBAN.finditer(text):
        start, found = match.start(), match.group(1)
        if start < last:
            continue
        ends = [index + 1 for index, char in enumerate(found) if char.isalnum()]
        value = _compact(found).upper()
        if not value.isascii():
            continue
        length = IBAN_LENGTHS.get(value[:2])
        # Words behind a spaced number may have been matched too; in one that is mostly letters, nothing else was.
        if length is None or len(value) < length or sum(map(str.isdigit, value[:length])) * 2 < length:
            continue
        end = start + ends[length - 1]
        if _has_valid_checksum(value[:length]):
            kind = "iban"
        elif value.startswith("BH") and ACCOUNT_CUE.search(text[max(0, start - 16) : start]):
            kind = "account"
        else:
            continue
        last = end
        yield PersonalDataSpan(kind, start, end, value[:length])


def _cued(kind: str, text: str) -> Iterator[PersonalDataSpan]:
    for match in CUED[kind].finditer(text):
        start, end = match.span("value")
        found = match.group("value")
        value = _compact(found)
        digits = sum(char.isdigit() for char in found)
        strong = match.group("strong") or STRONG_LINK.search(match.group("link"))
        if kind == "cpr":
            is_personal = not DAY.fullmatch(found)
        elif _is_amount(text, start, end) or _is_public(value):
            is_personal = False
        elif kind == "plate":
            is_personal = True
        elif _is_date(found) or YEAR.fullmatch(found):
            is_personal = False
        elif strong:
            is_personal = digits >= 4
        elif match.groupdict().get("named"):
            is_personal = False
        else:
            has_year = OF_A_YEAR.fullmatch(found) or YEAR_AFTER.match(text, end)
            is_sum = found.endswith("000") or MONTH.fullmatch(found)
            is_personal = has_year is not None or (digits >= 5 and not is_sum)
        if is_personal:
            yield PersonalDataSpan(kind, start, end, value)


def _is_date(found: str) -> bool:
    """Tell a day (12/05/2024) and a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", found)
    return (len(parts) == 3 and sorted(map(len, parts))[1] <= 2 and max(map(len, parts)) <= 4) or (
        len(parts) == 2 and all(YEAR.fullmatch(part) for part in parts) and int(parts[1]) - int(parts[0]) == 1
    )


def _houses(text: str) -> Iterator[PersonalDataSpan]:
    for match in HOUSE.finditer(text):
        start, end = match.span("value")
        if not _is_amount(text, start, end):
            yield PersonalDataSpan("house", start, end, match.group("value"))


def _is_behind(cue: re.Pattern[str], text: str, start: int) -> bool:
    return cue.search(text[max(0, start - 32) : start]) is not None


def _is_code(text: str, start: int, end: int) -> bool:
    """Tell whether Latin letters stand on both sides: RR870412356BH is a parcel."""
    return LATIN.match(text[max(0, start - 1) : start]) is not None and LATIN.match(text, end) is not None


def _cprs(text: str) -> Iterator[PersonalDataSpan]:
    for match in CPR.finditer(text):
        start, end = match.span()
        value = _compact(match.group())
        is_road = end - start > 9 and _is_behind(PLACE_CUE, text, start)
        if not (is_road or ROUND.fullmatch(value) or _is_amount(text, start, end) or _is_code(text, start, end)):
            yield PersonalDataSpan("cpr", start, end, value)


def _prefixed_phones(text: str) -> Iterator[PersonalDataSpan]:
    for match in PREFIXED_PHONE.finditer(text):
        value = _compact(match.group())
        start, end = match.span()
        is_block = value.startswith("973") and match.group()[0] != "+" and _is_behind(PLACE_CUE, text, start)
        is_sum = not value.startswith(("973", "00973")) and (ROUND.fullmatch(value) or _is_amount(text, start, end))
        if not (is_block or is_sum or _is_public(value)):
            yield PersonalDataSpan("phone", start, end, value)


def _phones(text: str) -> Iterator[PersonalDataSpan]:
    position = 0
    while found := PHONE.search(text, position):
        start, end = found.span()
        value = _compact(found.group())
        # What the text calls a phone number is one, whatever touches or follows it.
        if (
            _is_public(value)
            or _is_code(text, start, end)
            or (end - start > 8 and _is_behind(PLACE_CUE, text, start))
            or not (_is_plainly_phone(text, start, end) or _is_behind(PHONE_CUE, text, start))
        ):
            # The number of a road may stand before that of a phone: 3612 3900 1234.
            position = start + 1
        else:
            yield PersonalDataSpan("phone", start, end, value)
            position = end


def _is_plainly_phone(text: str, start: int, end: int) -> bool:
    """Tell eight digits of a phone from amounts, dates, and lists of small numbers."""
    before, after = STANDS_ALONE
    if not (before.match(text, start) and after.match(text, end)) or _is_amount(text, start, end):
        return False
    found = text[start:end]
    value = _compact(found)
    groups = tuple(len(group) for group in re.split(GAP, found))
    # "3500 2023" is more likely an amount and a year than a number in two halves.
    if ROUND.fullmatch(value) or DAY.fullmatch(value) or (len(groups) > 1 and YEAR.fullmatch(found[-4:])):
        return False
    return groups in PHONE_GROUPS or (min(groups) > 1 and len(set(re.findall(GAP, found))) == 1 and found[0] in "36")


def _in_original(span: PersonalDataSpan, hidden: list[int]) -> PersonalDataSpan:
    """Move a span from a text without marks to the one with them; ``hidden[i]`` is what mark i stood before."""
    start = span.start + bisect_right(hidden, span.start)
    end = span.end + bisect_right(hidden, span.end - 1)
    return replace(span, start=start, end=end)


def find_personal_data(text: str, kinds: Collection[str] = DEFAULT_KINDS) -> tuple[PersonalDataSpan, ...]:
    """Find personal data.

    Parameters
    ----------
    text : str
    kinds : collection of str
        Keys of :data:`PLACEHOLDERS`.

    Returns
    -------
    tuple of PersonalDataSpan
        Ascending, without overlap. Where two kinds claim a number, the one that a cue names wins.

    Raises
    ------
    TypeError
        If ``text`` is not a str.
    ValueError
        For an unknown kind.

    Examples
    --------
    >>> [(span.kind, span.value) for span in find_personal_data("رقمي ٣٦٦٠٠١٤٢ والخط الساخن 80008001 لا يرد")]
    [('phone', '36600142')]
    """
    if not isinstance(text, str):
        raise TypeError(f"personal data is looked for in a str, got {type(text).__name__}")
    if isinstance(kinds, str):
        raise TypeError(f"kinds must be a collection of names, got the str {kinds!r}: write {{{kinds!r}}}")
    unknown = sorted(set(kinds) - set(PLACEHOLDERS))
    if unknown:
        raise ValueError(f"unknown kinds of personal data {unknown}; known: {', '.join(PLACEHOLDERS)}")
    plain, hidden = text, []
    if not text.isascii():
        hidden = [match.start() - before for before, match in enumerate(MARKS.finditer(text))]
        plain = (MARKS.sub("", text) if hidden else text).translate(PLAIN)
    found: list[PersonalDataSpan] = list(_emails(plain)) if "@" in plain else []
    if DIGIT.search(plain) is not None:
        found += _ibans(plain)
        for kind in CUED:
            found += _cued(kind, plain)
        found += (*_prefixed_phones(plain), *_cprs(plain), *_phones(plain), *_houses(plain))
    taken = bytearray(len(plain))
    chosen: list[PersonalDataSpan] = []
    for span in found:
        # Kinds that were not asked for still claim their place: an account is no phone.
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\x01" * (span.end - span.start)
            if span.kind in kinds:
                chosen.append(_in_original(span, hidden) if hidden else span)
    return tuple(sorted(chosen, key=lambda span: span.start))


def mask_personal_data(text: str, kinds: Collection[str] = DEFAULT_KINDS) -> MaskedText:
    """Replace personal data by placeholders that name its kind.

    Personal numbers (CPR, nine digits), Bahraini mobile and land lines (with and without
    +973), foreign numbers with their country's code, e-mail addresses, IBANs whose check digits
    are right, and behind a cue word account, commercial registration and (housing) request
    numbers and car plates. Public lines, amounts, dates, years, blocks and roads stay; eight
    digits that may be a date (13052024) or a round sum (36000000) are masked only behind a word
    that calls for a phone number.

    Parameters
    ----------
    text : str
    kinds : collection of str
        Keys of :data:`PLACEHOLDERS`; add ``"house"`` for house and flat numbers.

    Returns
    -------
    MaskedText
        The masked text, and the spans in the original.

    Raises
    ------
    TypeError
        If ``text`` is not a str.
    ValueError
        For an unknown kind.

    Examples
    --------
    >>> mask_personal_data("CPR 870412356 مجمع 714، اتصلوا على 33918206").text
    'CPR [رقم شخصي] مجمع 714، اتصلوا على [هاتف]'
    """
    spans = find_personal_data(text, kinds)
    if not spans:
        return MaskedText(text, ())
    parts: list[str] = []
    last = 0
    for span in spans:
        parts += (text[last : span.start], PLACEHOLDERS[span.kind])
        last = span.end
    parts.append(text[last:])
    return MaskedText("".join(parts), spans)
