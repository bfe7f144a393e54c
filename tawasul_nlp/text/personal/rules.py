"""Rules that distinguish personal data from other numbers in a folded text.

Numbers without a distinctive form (accounts, registrations, requests, plates, most passports) are found only after a
cue word, or before one, and not where they are an amount, a date or a year.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .patterns import WORDS, PersonalNumbers

_KindSpan = tuple[str, int, int]
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in WORDS["iban_lengths"].split()}
_CARD_LENGTHS = (16, 15, 14, 19, 18, 17, 13)
_LETTERS_AS_DIGITS = str.maketrans("OoIl", "0011")
_BEFORE = 40  # characters before a number that are searched for words


def plain(written: str) -> str:
    """Return the letters and digits of a number, without separators and a spreadsheet's ".0"."""
    return re.sub(r"[\W_]+", "", written.removesuffix(".0"))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may be a person's number, ``text[start:end]``, and what is around it."""

    numbers: PersonalNumbers
    text: str = field(repr=False)
    start: int
    end: int

    @property
    def written(self) -> str:
        return self.text[self.start : self.end]

    @property
    def end_of_tail(self) -> int:
        """Where the number ends with the one or two digits that a form adds to it."""
        tail = self.numbers.patterns["TAIL"].match(self.text, self.end)
        return tail.end() if tail else self.end

    @property
    def groups(self) -> list[str]:
        """The groups of digits."""
        return re.findall(r"\d+", self.written.removesuffix(".0"))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of digits in each group."""
        return tuple(map(len, self.groups))

    @property
    def sign(self) -> str | None:
        """The sign between all groups; None if it differs."""
        signs = {gap.strip(" ") or " " for gap in re.findall(r"\D+", self.written.removesuffix(".0"))}
        return signs.pop() if len(signs) == 1 else None

    def fits(self, name: str, value: str | None = None) -> bool:
        """Return whether the whole number, or another value, matches a pattern."""
        return self.numbers.patterns[name].fullmatch(self.written if value is None else value) is not None

    def follows(self, *names: str) -> bool:
        """Return whether the number directly follows a word of one of the patterns."""
        before = self.text[max(0, self.start - _BEFORE) : self.start]
        return any(self.numbers.patterns[name].search(before) for name in names)

    def is_near(self, name: str) -> bool:
        """Return whether a word occurs within forty characters before the number."""
        return self.numbers.patterns[name].search(self.text, max(0, self.start - _BEFORE), self.start) is not None

    def is_amount(self) -> bool:
        """Return whether a unit follows the number, or a word for an amount precedes it."""
        before = self.text[max(0, self.start - 24) : self.start]
        patterns = self.numbers.patterns
        return bool(patterns["UNIT_AFTER"].match(self.text, self.end) or patterns["AMOUNT_BEFORE"].search(before))

    def is_code(self) -> bool:
        """Return whether Latin letters touch both sides: RR870412356BH is a parcel."""
        latin = self.numbers.patterns["LATIN"]
        return bool(latin.match(self.text[max(0, self.start - 1) : self.start]) and latin.match(self.text, self.end))

    def is_public(self) -> bool:
        """Return whether it is a public line, or too short to be personal."""
        phones = self.numbers.plan.phones
        value = plain(self.written)
        local = value.removeprefix(f"00{phones.country_code}").removeprefix(phones.country_code)
        toll_free = len(local) == phones.digits and local.startswith(phones.public_starts)
        return local in phones.public or toll_free or len(local) < 3


def find(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    """Yield ``(kind, start, end)`` of all that looks like personal data; of two overlapping matches the first wins."""
    if numbers.patterns["EMAIL_SIGN"].search(text):
        yield from _emails(numbers, text)
    if numbers.patterns["DIGIT"].search(text):
        yield from _ibans(numbers, text)
        yield from _cards(numbers, text)
        for kind in numbers.cued:
            yield from _cued(numbers, kind, text)
        yield from _before_cues(numbers, text)
        yield from _prefixed_phones(numbers, text)
        yield from _by_form(numbers, text)
        yield from _phones(numbers, text)
        for candidate in _candidates(numbers, "HOUSE", text, "value"):
            if not candidate.is_amount():
                yield "house", candidate.start, candidate.end


def _candidates(numbers: PersonalNumbers, name: str, text: str, group: str | int = 0) -> Iterator[_Candidate]:
    for match in numbers.patterns[name].finditer(text):
        yield _Candidate(numbers, text, match.start(group), match.end(group))


def _emails(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    for match in numbers.patterns["EMAIL"].finditer(text):
        bare = match["bare"]
        is_address = not bare or match["at"] == "AT" or re.search(r"[._\d]", bare)
        if is_address or _Candidate(numbers, text, *match.span()).follows("EMAIL_BEFORE"):
            yield "email", match.start(), match.end()


def _has_valid_checksum(iban: str) -> bool:
    """Return whether the number formed as in ISO 13616 is 1 modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _ibans(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    last = 0
    for candidate in _candidates(numbers, "IBAN", text, 1):
        start, value = candidate.start, plain(candidate.written).upper()
        length = _IBAN_LENGTHS.get(value[:2], 0)
        # The match may include words after a spaced number, unless it is mostly letters.
        is_filled = 0 < length <= len(value) and sum(map(str.isdigit, value[:length])) * 2 >= length
        if start < last or not is_filled:
            continue
        # One of the country with a mistyped digit still counts after a cue word.
        end = start + [index for index, char in enumerate(candidate.written, 1) if char.isalnum()][length - 1]
        is_whole = value.startswith(numbers.plan.iban) and not text[end : end + 1].isalnum()
        if (is_whole and candidate.follows("ACCOUNT_BEFORE")) or _has_valid_checksum(value[:length]):
            last = end
            yield "iban", start, last


def _has_valid_luhn(digits: str) -> bool:
    """Return whether the Luhn sum of ISO/IEC 7812-1 is a multiple of ten."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _cards(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    last = 0
    for candidate in _candidates(numbers, "CARD", text, 1):
        if candidate.start >= last and not candidate.follows("ACCOUNT_BEFORE", "OTHER_BEFORE"):
            end = _end_of_card(candidate)
            if end is not None:
                last = end
                yield "card", candidate.start, last


def _end_of_card(candidate: _Candidate) -> int | None:
    """Return where the part of a long number ends that is a card's.

    After a cue word, it may be of another network, or have a mistyped digit.
    """
    is_named = candidate.follows("CARD_BEFORE")
    digits = plain(candidate.written)
    ends = [candidate.start + index for index, char in enumerate(candidate.written, 1) if char in "0123456789"]
    mistyped = None
    for length in _CARD_LENGTHS:
        if length > len(ends) or (length < len(ends) and ends[length] == ends[length - 1] + 1):
            continue  # absent, or not the end of a group
        end = ends[length - 1]
        sizes = _Candidate(candidate.numbers, candidate.text, candidate.start, end).sizes
        if not (is_named or (candidate.fits("CARD_NUMBER", digits[:length]) and _is_card_grouped(sizes))):
            continue
        if _has_valid_luhn(digits[:length]):
            return end
        if length == 16 and is_named:
            mistyped = end
    return mistyped


def _is_card_grouped(sizes: tuple[int, ...]) -> bool:
    *first, last = sizes
    return not first or sizes[:2] == (4, 6) or (len(set(first)) == 1 and last <= first[0] and 1 < first[0] < 8)


def _by_form(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    for candidate in _candidates(numbers, "PASSPORT", text):
        if not candidate.follows("OTHER_BEFORE"):
            yield "passport", candidate.start, candidate.end
    for candidate in _candidates(numbers, "LETTERS_AMONG", text):
        digits = plain(candidate.written).translate(_LETTERS_AS_DIGITS)
        if len(digits) == numbers.plan.national.digits and candidate.follows("NATIONAL_BEFORE"):
            yield "cpr", candidate.start, candidate.end
        elif candidate.fits("PHONE", digits) and candidate.follows("PHONE_BEFORE"):
            yield "phone", candidate.start, candidate.end
    for candidate in _candidates(numbers, "NATIONAL", text):
        if not candidate.is_code() and _is_plainly_national(candidate):
            yield "cpr", candidate.start, candidate.end_of_tail


def _is_plainly_national(candidate: _Candidate) -> bool:
    if candidate.fits("ROUND", plain(candidate.written)) or candidate.is_amount() or candidate.follows("OTHER_BEFORE"):
        return False
    sizes, sign = candidate.sizes, candidate.sign
    if len(sizes) == 1:
        return True
    # Other groups separated by spaces are a list; of two parts, the first may be a year, or both a decimal.
    is_signed = len(sizes) > 2 and sign not in (None, " ")
    if candidate.follows("PLACE_BEFORE") or not (is_signed or sizes in candidate.numbers.plan.national.groups):
        return False
    return len(sizes) > 2 or (not candidate.fits("YEAR", candidate.written[:4]) and sign != ".")


def _prefixed_phones(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    code = numbers.plan.phones.country_code
    for candidate in _candidates(numbers, "PREFIXED_PHONE", text):
        value = plain(candidate.written)
        is_block = value.startswith(code) and candidate.written[0] not in "+(" and candidate.follows("PLACE_BEFORE")
        is_of_country = value.startswith((code, f"00{code}"))
        is_sum = not is_of_country and (candidate.fits("ROUND", value) or candidate.is_amount())
        if not (is_block or is_sum or candidate.is_public()):
            yield "phone", candidate.start, candidate.end
    for candidate in _candidates(numbers, "FOREIGN_PHONE", text):
        is_mobile = numbers.patterns["MOBILE_AT_HOME"].match(text, candidate.start)
        if is_mobile or candidate.follows("PHONE_BEFORE") or candidate.is_near("PHONE_NEARBY"):
            yield "phone", candidate.start, candidate.end
    for candidate in _candidates(numbers, "NUMBER_AT_HOME", text):
        if candidate.follows("PHONE_BEFORE"):
            yield "phone", candidate.start, candidate.end


def _phones(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    position = 0
    while match := numbers.patterns["PHONE"].search(text, position):
        start, end = match.span()
        if _is_phone(_Candidate(numbers, text, start, end)):
            code = numbers.patterns["CODE_BEHIND"].match(text, end)
            position = code.end() if code else end
            yield "phone", start, position
        else:
            # A road number may precede a phone number: 3612 3900 1234.
            position = start + 1


def _is_phone(candidate: _Candidate) -> bool:
    is_named = candidate.follows("PHONE_BEFORE")
    if (
        candidate.is_public()
        or (candidate.is_code() and not is_named)
        or (candidate.follows("OTHER_BEFORE") and not candidate.is_near("PHONE_WORD"))
        or (candidate.end - candidate.start > 8 and candidate.follows("PLACE_BEFORE"))
    ):
        return False
    # What the text calls a phone number is one, whatever surrounds it.
    return is_named or _is_plainly_phone(candidate)


def _is_plainly_phone(candidate: _Candidate) -> bool:
    """Return whether eight digits are a phone, not an amount, a date or a list of small numbers."""
    text, patterns, phones = candidate.text, candidate.numbers.patterns, candidate.numbers.plan.phones
    stands_alone = patterns["ALONE_BEFORE"].match(text, candidate.start)
    if not (stands_alone and patterns["ALONE_AFTER"].match(text, candidate.end)) or candidate.is_amount():
        return False
    written, value = candidate.written, plain(candidate.written)
    groups, sizes, sign = candidate.groups, candidate.sizes, candidate.sign
    if candidate.fits("ROUND", value) or candidate.fits("DAY", value):
        return False
    if len(groups) == 1:
        return value == written.removesuffix(".0")
    if re.search(r"[,،:+=]|.\(", written) or candidate.fits("HIJRI_DAY", value) or _is_range(candidate):
        return False
    is_named = candidate.is_near("PHONE_NEARBY") or candidate.follows("TOWARDS_BEFORE")
    # "3500 2023" is more likely an amount and a year than a number in two halves.
    if any(candidate.fits("RECENT", group) for group in groups):
        return is_named and sizes == (4, 4)
    if is_named:
        return True
    if set(sizes) == {1}:
        return sign not in (None, " ") or not _is_list(candidate)
    if sign == "." and len(groups) == 2 and sizes != (4, 4):
        return False
    if written[0] == "(" or sizes == (2, 2, 2, 2) and sign in ("-", ".", "_", "·"):
        return True
    is_grouped = min(sizes) > 1 and (sign is not None or (len(sizes) == 3 and "." not in written))
    return sizes in phones.groups or (is_grouped and value.startswith(phones.mobile_starts))


def _steps(values: list[int]) -> list[int]:
    return [after - before for before, after in zip(values, values[1:], strict=False)]


def _is_list(candidate: _Candidate) -> bool:
    """Return whether single digits continue before or after, or count up: 3 4 5 6 7 8 9 1."""
    text, start = candidate.text, candidate.start
    return (
        _steps(list(map(int, plain(candidate.written)))).count(1) > 4
        or re.search(r"\d\W?\Z", text[max(0, start - 2) : start]) is not None
        or candidate.fits("DIGIT", text[candidate.end + 1 : candidate.end + 2])
    )


def _is_range(candidate: _Candidate) -> bool:
    """Return whether it is a range: houses (3612-3614), people (3000-3500) or times (1600-1730)."""
    groups = candidate.groups
    if len(set(candidate.sizes)) != 1:
        return False
    if all(candidate.fits("TIME", group) for group in groups) and groups == sorted(groups):
        return True
    if len(groups) > 2 and len(set(groups)) == 1:
        return True
    near = 100 if len(groups[0]) == 4 else 5
    is_rising = all(0 < step <= near for step in _steps(list(map(int, groups))))
    return is_rising or all(group.endswith("00") for group in groups)


def _cued(numbers: PersonalNumbers, kind: str, text: str) -> Iterator[_KindSpan]:
    for match in numbers.cued[kind].finditer(text):
        candidate = _Candidate(numbers, text, match.start("value"), match.end("value"))
        if not _is_cued(candidate, kind, match):
            continue
        yield kind, candidate.start, candidate.end_of_tail if kind in ("cpr", "passport") else candidate.end
        while another := numbers.patterns["AND_ANOTHER"].match(text, candidate.end):
            if not _is_alike(match["value"], another["value"]):
                break
            candidate = _Candidate(numbers, text, another.start("value"), another.end("value"))
            if not candidate.is_amount():
                yield kind, candidate.start, candidate.end


def _before_cues(numbers: PersonalNumbers, text: str) -> Iterator[_KindSpan]:
    if not numbers.patterns["ANY_BEHIND"].search(text):
        return
    for kind, pattern in numbers.behind.items():
        for match in pattern.finditer(text):
            candidate = _Candidate(numbers, text, match.start("value"), match.end("value"))
            is_other = candidate.follows("OTHER_BEFORE", "PLACE_BEFORE") or _is_date(candidate)
            if not (is_other or candidate.fits("YEAR") or candidate.is_public()):
                yield kind, candidate.start, candidate.end


def _is_alike(one: str, other: str) -> bool:
    """Return whether two numbers have the same form, letters for letters."""
    (form, digits), (other_form, other_digits) = (
        (re.sub(r"\d+", "0", value), len(re.sub(r"\D+", "", value))) for value in (one, other)
    )
    return form == other_form and abs(digits - other_digits) <= 1 and other_digits >= 4


def _is_cued(candidate: _Candidate, kind: str, match: re.Match[str]) -> bool:
    written, patterns = candidate.written, candidate.numbers.patterns
    digits = sum(map(str.isdigit, written))
    if kind == "cpr":
        # A row number may precede another number: 1 39001234.
        phone = candidate.numbers.plan.phones.digits
        return not candidate.fits("DAY") and candidate.sizes not in ((1, phone), (phone, 1))
    is_phone = candidate.fits("PHONE") and not candidate.fits("OF_A_YEAR")
    far = match["far"]
    if candidate.is_amount() or candidate.is_public() or (far and (is_phone or candidate.follows("OTHER_BEFORE"))):
        return False
    is_numbered = match["strong"] or match["numbered"] or patterns["NUMBERED"].match(match.group())
    is_strong = is_numbered or patterns["STRONG_LINK"].search(far or match["link"])
    is_thousands = written.endswith("000")
    if kind == "plate":
        return not (match["described"] and is_thousands) and (digits > 3 or match["car"] is None)
    if _is_date(candidate) or candidate.fits("YEAR"):
        return False
    if kind == "passport":
        if any(map(str.isalpha, written)) or not match["words"] or is_strong:
            return digits >= 6 or written[0].isalpha()
        return digits >= 7 and not candidate.fits("PHONE")
    if match.groupdict().get("distant"):
        is_day = candidate.fits("DAY") or re.fullmatch(r"20\d\d[01]\d[0-3]\d", written) is not None
        is_other = is_phone or is_day or (kind == "request" and candidate.fits("NATIONAL"))
        return digits >= 7 and not is_thousands and not is_other
    if is_strong or written[0].isalpha():
        return digits >= 4
    if match.groupdict().get("named"):
        # "my ticket 118844", but not "my ticket 12345", which may be a count.
        is_other = is_phone or re.fullmatch(r"\d{9}|\d{8}/\d+", written) is not None
        return digits >= 6 and not written.endswith("00") and not is_other
    if candidate.fits("OF_A_YEAR") or patterns["YEAR_AFTER"].match(candidate.text, candidate.end):
        return True
    if far and kind in ("account", "request"):
        return digits >= 7 and not is_thousands  # "my account shows that the balance is 12550"
    return digits >= 5 and not is_thousands and not candidate.fits("MONTH")


def _is_date(candidate: _Candidate) -> bool:
    """Return whether it is a day (12/05/2024) or a school year (2023/2024)."""
    parts = re.split(r"[-/\\]", candidate.written)
    if not all(map(str.isdigit, parts)):
        return False
    if len(parts) == 2:
        is_next = "-" in candidate.written or int(parts[1]) - int(parts[0]) == 1
        return is_next and all(candidate.fits("YEAR", part) for part in parts)
    lengths = sorted(map(len, parts))
    return len(parts) == 3 and lengths[1] <= 2 and lengths[2] in (2, 4) and min(map(int, parts)) <= 12
