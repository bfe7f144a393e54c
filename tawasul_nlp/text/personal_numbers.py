"""What the rules on personal numbers compare a folded text with, compiled from what a pack says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .personal.cues import cued_patterns
from .personal.patterns import AFTER, AROUND, BEFORE, BETWEEN, JOIN, SPREADSHEET, TRUNK
from .personal.plan import NationalNumber, NumberPlan, Phones, phone_start
from .personal_cues import any_of
from .personal_forms import abbreviation_pattern, form_pattern, word_pattern

# How many digits follow a country code, in neighbouring countries and in those that residents come from.
_ABROAD = (("966|971", "9"), ("965|968|973|974", "8"), ("1|20|44|63|880|9[0128]", "10"), ("977|9[34]", "9,10"))
# How mobile numbers start in neighbouring countries.
_NEIGHBOURS = {"966": "5", "971": "5", "965": "[569]", "968": "[79]", "973": "[36]", "974": "[3567]"}


@dataclass(frozen=True, slots=True, eq=False)
class PersonalNumbers:
    """The compiled rules of one pack.

    Attributes
    ----------
    plan : NumberPlan
    national, phone, prefixed_phone, foreign_phone, code_behind, letters_among : Pattern
    cued : dict of str to Pattern
        By kind, a cue and its number.
    national_cue : Pattern
        Of the text before a number.
    unit_after, unit_before : Pattern
        Of an amount.
    """

    plan: NumberPlan
    national: re.Pattern[str]
    phone: re.Pattern[str]
    prefixed_phone: re.Pattern[str]
    foreign_phone: re.Pattern[str]
    code_behind: re.Pattern[str]
    letters_among: re.Pattern[str]
    cued: dict[str, re.Pattern[str]]
    national_cue: re.Pattern[str]
    unit_after: re.Pattern[str]
    unit_before: re.Pattern[str]


@lru_cache(maxsize=8)
def compiled(plan: NumberPlan) -> PersonalNumbers:
    """Compile what a pack says of personal numbers."""
    national, phones = plan.national, plan.phones
    forms = any_of(*(form_pattern(form, JOIN) for form in national.forms))
    start, more = phone_start(phones), phones.digits - 1
    shortest, longest = sorted((phones.digits, national.digits))
    return PersonalNumbers(
        plan,
        national=re.compile(f"{BEFORE}{forms}{AFTER}{SPREADSHEET}"),
        # With a comma and the like only after a cue for a phone number.
        phone=re.compile(
            rf"(?<!\d)(?:\((?=\d\d\)))?{start}\d(?:(?:[,،:+=](?! )|[{BETWEEN})(]{{0,5}}+)\d){{{more}}}"
            rf"(?!\d){SPREADSHEET}"
        ),
        prefixed_phone=_prefixed_phone(phones),
        foreign_phone=_foreign_phone(phones),
        # 39001234 (973)
        code_behind=re.compile(rf" ?[(+]{{1,2}}{phones.country_code}[)+]{{0,2}}(?!\d)| ?{phones.country_code}\+"),
        # Letters for digits, from scanning or typing: 39OO1234.
        letters_among=re.compile(
            r"(?<![^\W_])(?=[\d -]{0,9}[OoIl])(?=(?:[OoIl -]{0,3}\d){5})"
            rf"[\dOoIl](?:[ -]?[\dOoIl]){{{shortest - 1},{longest - 1}}}(?![^\W_])"
        ),
        cued=cued_patterns(plan),
        national_cue=_national_cue(national),
        unit_after=_unit_after(plan),
        unit_before=_unit_before(plan),
    )


def _prefixed_phone(phones: Phones) -> re.Pattern[str]:
    """Match numbers with a country code: the country's own, and others marked by a plus or two zeros."""
    code, digits = phones.country_code, phones.digits
    spaced = AROUND.join(code)
    others = [("|".join(one for one in codes.split("|") if one != code), count) for codes, count in _ABROAD]
    abroad = "|".join(rf"(?:{codes}){TRUNK}(?:{AROUND}\d){{{count}}}(?!\d)" for codes, count in others)
    return re.compile(
        rf"(?:[+(]{{1,2}}+ ?|(?<![\d.,])0{AROUND}0{AROUND}){spaced}[\]}},:]?{TRUNK}"
        rf"(?:{AROUND}\d){{{digits}}}(?!\d){SPREADSHEET}"
        rf"|{BEFORE}{code}[+]?{AROUND}{phone_start(phones)}\d(?:{AROUND}\d){{{digits - 1}}}{AFTER}{SPREADSHEET}"
        rf"|(?:\+{AROUND}|(?<![\d.,])00{AROUND})(?:{abroad})"
        rf"|\+{AROUND}(?!{code})[1-9]{TRUNK}(?:{AROUND}\d){{8,12}}(?!\d)"
        # The plus after the code or the number, as some write right to left.
        rf"|(?<![\w+.,-])[1-9]\d{{0,2}}\+{AROUND}\d(?:{AROUND}\d){{7,11}}(?!\d)|(?<![\w+.,-])[1-9]\d{{9,12}}\+(?!\d)"
        rf"|(?<![\w.,-])00[1-9](?:{AROUND}\d){{9,12}}(?!\d)"
    )


def _foreign_phone(phones: Phones) -> re.Pattern[str]:
    """Match neighbours' numbers: without a plus after a cue for a phone number, or as a mobile in national format."""
    neighbours = "|".join(f"{code}{JOIN}{start}" for code, start in _NEIGHBOURS.items() if code != phones.country_code)
    return re.compile(
        rf"(?<![\d+])(?:(?:{neighbours})(?:{JOIN}\d){{7}}\d?"
        rf"|(?:91|92|20|44|63|94|880|977)(?:{JOIN}\d){{10}}|05(?:{JOIN}\d){{8}})(?!\d)"
    )


def _national_cue(number: NationalNumber) -> re.Pattern[str]:
    adjectives = [rf"{word_pattern(word)}\w{{0,2}}" for word in number.adjectives]
    latin = [abbreviation_pattern(letters) for letters in number.abbreviations if letters.isascii()]
    words = any_of(*adjectives, r"هوي(?:ه|ت)\w{0,2}", r"بطاق(?:ه|ت)\w{0,2}", *latin)
    return re.compile(rf"{words}(?:\W{{1,3}}(?:رقم|no|number|هو|is))*\W{{0,3}}\Z", re.IGNORECASE)


def _unit_after(plan: NumberPlan) -> re.Pattern[str]:
    signs = "".join(f"{re.escape(sign)}|" for sign in plan.currency_signs)
    codes = "".join(f"{code}|" for code in plan.currency_codes)
    return re.compile(
        r"\)?\s{0,2}"
        + any_of(
            rf"(?:دينار|دنانير|فلس|فلوس|{signs}ريال|درهم|دولار|ا?متار|متر|كيلو(?:متر|واط|وات)?|واط|وات|لتر|ليتر|نسمه)"
            r"(?:ا|ات|ين)?(?![^\W\d_])",
            r"[%٪]",
            rf"(?:{codes}USD|dinars?|fils|sqm|km|kwh|litres?|liters?|gallons?)(?![A-Za-z])",
        ),
        re.IGNORECASE,
    )


def _unit_before(plan: NumberPlan) -> re.Pattern[str]:
    signs = "".join(f"{re.escape(sign)}|" for sign in plan.currency_signs)
    codes = "".join(f"{code}|" for code in plan.currency_codes)
    return re.compile(
        rf"(?:(?<![A-Za-z])(?:{codes}USD)|{signs}مبلغ|(?:قيم|تكلف|ميزاني)(?:ه|تها?)|قرا[ءي]ه (?:ال)?عداد)"
        r"\.?[\s:(]{0,3}\Z",
        re.IGNORECASE,
    )
