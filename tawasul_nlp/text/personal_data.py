"""Find and mask personal data in citizens' texts: who wrote must not follow from what was written.

Everything is looked for in a copy of the text in which digits are ASCII and which has the same
length, so that spans are those of the original. Numbers with no form of their own (accounts,
registrations, requests, plates) are masked only behind a word that says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

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


_DIGITS = {zero + value: str(value) for zero in (0x0660, 0x06F0, 0xFF10) for value in range(10)}
# What people put between digits; marks of writing direction creep in when a number is pasted.
_GAP = r"[ \-\u00a0\u200e\u200f\u202a-\u202e\u2066-\u2069]"
_MARKS = "\u200e\u200f\u202a-\u202e\u2066-\u2069"
_LATIN = re.compile(r"[A-Za-z]")

_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++")
_IBAN = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}{_GAP}?\d{_GAP}?\d(?:{_GAP}?[A-Za-z0-9]){{11,30}}")
_IBAN_LENGTHS = {"BH": 22, "SA": 24, "AE": 23, "KW": 30, "QA": 29, "OM": 23}
# Letters may touch a number, and signs that join it to nothing or to another whole number (39001234/36001234); what
# they join to other digits is part of a decimal or a longer code.
_BEFORE = rf"(?<!\d)(?:(?<!\d[.,/-])|(?<=\d{{8}}[.,/-])|(?<=\d{{4}}{_GAP}\d{{4}}[.,/-]))"
_AFTER = rf"(?!\d|[.,/-](?=\d)(?!\d{{4}}{_GAP}?\d{{4}}))"
# In two parts only if it starts with a month of birth and not with what may be a year.
_CPR = re.compile(rf"{_BEFORE}(?:\d{{9}}|(?!19|20)\d\d(?:0[1-9]|1[0-2]){_GAP}\d{{5}}){_AFTER}")
_PHONE_START = rf"(?=3|6{_GAP}?[36]|1{_GAP}?[367]|7{_GAP}?7)"
_EIGHT_DIGITS = rf"\d(?:{_GAP}?\d){{7}}"
_PREFIXED_PHONE = re.compile(
    rf"(?:\+{_GAP}?|(?<!\d)00)973(?:{_GAP}{{0,2}}\d){{8}}(?!\d)"
    rf"|{_BEFORE}973{_GAP}{{0,2}}{_PHONE_START}{_EIGHT_DIGITS}{_AFTER}"
)
_PHONE = re.compile(rf"{_BEFORE}{_PHONE_START}{_EIGHT_DIGITS}{_AFTER}")
# How people group the digits of a phone number. Other groups may be a list of small numbers.
_PHONE_GROUPS = frozenset({(8,), (4, 4), (2, 6), (2, 3, 3), (3, 5)})
_PHONE_CUE = re.compile(
    r"(?<![^\W\d_])(?:(?:و?(?:ال|بال|لل|عال|[بل])?(?:هاتف|تلفون|تليفون|جوال|موبايل|نقال|رقم|واتس)"
    r"|و?[اأإ]?تصل|كلم|تواصل)\w{0,4}|ت|tel|telephone|phone|mobile|mob|call|contact|whatsapp|number|no)"
    r"(?:\W{1,3}(?:رقم|على|علي|بي|بنا|هو|me|us|at|is|no|number))*\W{0,3}\Z",
    re.IGNORECASE,
)
_PLACE_CUE = re.compile(
    r"(?:مجمع|بلوك|طريق|شارع|(?<![a-z])(?:block|blk|road|rd|street|st|avenue))(?:\W{1,2}(?:رقم|no))?\W{0,3}\Z",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_DAY = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d")
_UNIT_AFTER = re.compile(
    r"\s{0,2}(?:دينار|دنانير|فلس|د\.ب|ريال|درهم|دولار|متر|كيلو|%|٪|(?:BD|BHD|bd|bhd|dinars?|fils|sqm|km)(?![A-Za-z]))"
)
_UNIT_BEFORE = re.compile(r"(?:BD|BHD|bd|bhd|د\.ب)\.?\s{0,2}\Z")

# A cue, what may stand between ("رقم", "no.", a colon), and the number. Strong: the text says "number".
# A full stop ends the search, for what comes behind it is another matter.
_NUMBER_WORD = r"(?:رقم(?:ه|ها|ي|نا)?|no\.?|number|num|nr|#)"
_LINK = rf"(?:[\s:\-/#()=]{{1,3}}(?:{_NUMBER_WORD}|هو|هي|is|was)(?![^\W\d])){{0,2}}[\s:\-/#(={_MARKS}]{{1,4}}"
_VALUE = r"(?P<value>(?:[A-Za-z]{1,4}-?)?\d(?:[-/]?\d){2,19})(?![\w]|[.,]\d)"
_CUES = {
    "cr": r"(?:(?:ال)?سجل\w{0,3}\s(?:ال)?تجاري|س\.ت|C\.?R\.?|commercial registration)",
    "account": r"(?:(?:لل|ال|ب|و|بال)?حساب(?:ي|ه|ها|نا|هم)?(?:\s(?:ال)?(?:كهرباء|ماء|بنكي|مشترك))?|account|acct|a/c)",
    "request": r"(?:(?:لل|ال|ب|و|بال)?طلب(?:ي|ه|ها|نا|هم)?(?:\s(?:ال)?[إا]سكان(?:ي|ية)?)?|request|application)",
    "plate": r"(?:(?:ال|ب)?لوح[ةه](?:\s(?:ال)?(?:سيار|مرك|شاحن|دراج|باص|حافل)\w{0,6})?|(?:ال)?نمر[ةه]"
    r"|رقم\s(?:ال)?(?:سيار[ةه]|مركب[ةه]|موتر)"
    r"|(?:number |licen[cs]e )?plate)",
    "house": r"(?:(?:ال|ب|و)?(?:بيت|منزل|شق[ةه]|فيلا|مبنى|بناي[ةه]|عمار[ةه])"
    r"|house|flat|villa|building|bldg|apartment|apt)",
}
_CUED = {
    kind: re.compile(rf"(?<![^\W\d_])(?:(?P<strong>رقم|رقمه)\s)?{cue}(?P<link>{_LINK}){_VALUE}", re.IGNORECASE)
    for kind, cue in _CUES.items()
    if kind != "house"
}
_HOUSE = re.compile(
    rf"(?<![^\W\d_]){_CUES['house']}{_LINK}(?P<value>\d{{1,5}}[A-Za-z]?)(?![\w]|[.,/]\d)", re.IGNORECASE
)
_STRONG_LINK = re.compile(rf"{_NUMBER_WORD}|[:#]", re.IGNORECASE)
_ACCOUNT_CUE = re.compile(r"(?:حساب\w{0,3}|[آاإ]يبان|iban|account)\W{0,4}\Z", re.IGNORECASE)
_PLATE_VALUE = re.compile(r"\d{3,6}")


def _compact(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _is_public(value: str) -> bool:
    local = value.removeprefix("00973").removeprefix("973")
    return local in PUBLIC_NUMBERS or (len(local) == 8 and local.startswith("80")) or len(local) < 3


def _is_amount(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 8) : start]
    return _UNIT_AFTER.match(text, end) is not None or _UNIT_BEFORE.search(before) is not None


def _has_valid_checksum(iban: str) -> bool:
    """Tell whether the number formed as ISO 13616 says is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _emails(text: str) -> Iterator[PersonalDataSpan]:
    for match in _EMAIL.finditer(text):
        yield PersonalDataSpan("email", match.start(), match.end(), match.group())


def _ibans(text: str) -> Iterator[PersonalDataSpan]:
    for match in _IBAN.finditer(text):
        found = match.group()
        ends = [index + 1 for index, char in enumerate(found) if char.isalnum()]
        value = _compact(found).upper()
        # A known country fixes the length; words behind a spaced IBAN may have been matched too.
        length = _IBAN_LENGTHS.get(value[:2], len(value))
        if len(value) < length or not value.isascii():
            continue
        value, end = value[:length], match.start() + ends[length - 1]
        if _has_valid_checksum(value):
            yield PersonalDataSpan("iban", match.start(), end, value)
        elif value.startswith("BH") and _ACCOUNT_CUE.search(text[max(0, match.start() - 16) : match.start()]):
            yield PersonalDataSpan("account", match.start(), end, value)


def _cued(kind: str, text: str) -> Iterator[PersonalDataSpan]:
    for match in _CUED[kind].finditer(text):
        start, end = match.span("value")
        found = match.group("value")
        value = _compact(found)
        digits = sum(char.isdigit() for char in found)
        strong = match.group("strong") or _STRONG_LINK.search(match.group("link"))
        if _is_amount(text, start, end) or _is_public(value):
            continue
        if kind == "plate":
            if _PLATE_VALUE.fullmatch(found):
                yield PersonalDataSpan(kind, start, end, value)
        elif digits >= (4 if strong else 5) and not _YEAR.fullmatch(found) and not _is_date(found):
            yield PersonalDataSpan(kind, start, end, value)


def _is_date(found: str) -> bool:
    parts = re.split("[-/]", found)
    return len(parts) == 3 and all(len(part) <= 4 for part in parts)


def _houses(text: str) -> Iterator[PersonalDataSpan]:
    for match in _HOUSE.finditer(text):
        start, end = match.span("value")
        if not _is_amount(text, start, end):
            yield PersonalDataSpan("house", start, end, match.group("value"))


def _is_behind(cue: re.Pattern[str], text: str, start: int) -> bool:
    return cue.search(text[max(0, start - 32) : start]) is not None


def _is_code(text: str, start: int, end: int) -> bool:
    """Tell whether Latin letters stand on both sides: RR870412356BH is a parcel."""
    return _LATIN.match(text[max(0, start - 1) : start]) is not None and _LATIN.match(text, end) is not None


def _cprs(text: str) -> Iterator[PersonalDataSpan]:
    for match in _CPR.finditer(text):
        start, end = match.span()
        is_road = end - start > 9 and _is_behind(_PLACE_CUE, text, start)
        if not (is_road or _is_amount(text, start, end) or _is_code(text, start, end)):
            yield PersonalDataSpan("cpr", start, end, _compact(match.group()))


def _phones(text: str) -> Iterator[PersonalDataSpan]:
    for match in _PREFIXED_PHONE.finditer(text):
        value = _compact(match.group())
        is_block = value.startswith("973") and match.group()[0] != "+" and _is_behind(_PLACE_CUE, text, match.start())
        if not (is_block or _is_public(value)):
            yield PersonalDataSpan("phone", match.start(), match.end(), value)
    position = 0
    while found := _PHONE.search(text, position):
        start, end = found.span()
        value = _compact(found.group())
        if (
            _is_public(value)
            or _is_amount(text, start, end)
            or _is_code(text, start, end)
            or not _is_written_as_phone(text, start, end)
        ):
            # The number of a road may stand before that of a phone: 3612 3900 1234.
            position = start + 1
        else:
            yield PersonalDataSpan("phone", start, end, value)
            position = end


def _is_written_as_phone(text: str, start: int, end: int) -> bool:
    """Tell eight digits of a phone from dates, roads and lists of small numbers."""
    found = text[start:end]
    groups = tuple(len(group) for group in re.split(_GAP, found))
    if len(groups) > 1 and _is_behind(_PLACE_CUE, text, start):
        return False
    # "3500 2023" is more likely an amount and a year than a number in two halves.
    is_date = _DAY.fullmatch(_compact(found)) or (len(groups) > 1 and _YEAR.fullmatch(found[-4:]))
    is_even = min(groups) > 1 and len(set(re.findall(_GAP, found))) == 1 and found[0] in "36"
    return (not is_date and (groups in _PHONE_GROUPS or is_even)) or _is_behind(_PHONE_CUE, text, start)


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
    plain = text if text.isascii() else text.translate(_DIGITS)
    found: list[PersonalDataSpan] = [*_emails(plain), *_ibans(plain)]
    for kind in _CUED:
        found += _cued(kind, plain)
    found += (*_cprs(plain), *_phones(plain), *_houses(plain))
    taken = bytearray(len(text))
    chosen: list[PersonalDataSpan] = []
    for span in found:
        # Kinds that were not asked for still claim their place: an account is no phone.
        if not any(taken[span.start : span.end]):
            taken[span.start : span.end] = b"\x01" * (span.end - span.start)
            if span.kind in kinds:
                chosen.append(span)
    return tuple(sorted(chosen, key=lambda span: span.start))


def mask_personal_data(text: str, kinds: Collection[str] = DEFAULT_KINDS) -> MaskedText:
    """Replace personal data by placeholders that name its kind.

    Personal numbers (CPR, nine digits), Bahraini mobile and land lines (with and without
    +973), e-mail addresses, IBANs whose check digits are right, and behind a cue word account,
    commercial registration and request numbers and car plates. Public lines, amounts, dates,
    years, blocks and roads stay; eight digits that may be a date (13052024) are masked only
    behind a word that calls for a phone number.

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
