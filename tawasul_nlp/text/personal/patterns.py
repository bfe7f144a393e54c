"""The patterns of ``patterns.txt``, compiled for a pack: of numbers by their form, and of the words around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tawasul_nlp import _yaml

from .plan import NationalNumber, NumberPlan, Phones, abbreviation_pattern, form_length, form_pattern, word_pattern

_LISTS = "places things english cars buses vehicles impersonal not_names iban_lengths"
#: Space-separated words by the name of their list in ``words.yaml``.
WORDS = _yaml.read(Path(__file__).with_name("words.yaml"), _yaml.record(dict.fromkeys(_LISTS.split(), _yaml.text)))
#: The kinds that have no form of their own and are found by a cue, in the order in which they are searched.
CUED_KINDS = ("cpr", "cr", "account", "request", "plate", "passport")
_REFERENCE = re.compile(r"\{([a-z_]+|[A-Z_]+)\}")
# How many digits follow a country code, in neighbouring countries and in those that residents come from.
_ABROAD = (("966|971", "9"), ("965|968|973|974", "8"), ("1|20|44|63|880|9[0128]", "10"), ("977|9[34]", "9,10"))
# How mobile numbers start in neighbouring countries.
_NEIGHBOURS = {"966": "5", "971": "5", "965": "[569]", "968": "[79]", "973": "[36]", "974": "[3567]"}


@dataclass(frozen=True, slots=True, eq=False)
class PersonalNumbers:
    """The compiled patterns of one pack."""

    plan: NumberPlan
    patterns: Mapping[str, re.Pattern[str]]  # by their names in patterns.txt
    cued: Mapping[str, re.Pattern[str]]  # by kind, a cue and its number
    behind: Mapping[str, re.Pattern[str]]  # by kind, a number and its cue


@lru_cache(maxsize=8)
def compiled(plan: NumberPlan) -> PersonalNumbers:
    """Compile the patterns, with what a pack says of personal numbers."""
    parts = {**_definitions(), **_parts_of(plan.national), **_parts_of_phones(plan.phones, plan.national)}
    parts |= {
        "plates": "".join(f"{form_pattern(form)}|" for form in plan.plates),
        "billers": "".join(f"{word_pattern(biller)}(?!-)|" for biller in plan.billers),
        "currency_signs": "".join(f"{re.escape(sign)}|" for sign in plan.currency_signs),
        "currency_codes": "".join(f"{code}|" for code in plan.currency_codes),
        "no_sum": f"(?!{'|'.join(plan.currency_codes)})" if plan.currency_codes else "",
    }

    def pattern(name: str, **others: str) -> re.Pattern[str]:
        return re.compile(_filled(parts[name], {**parts, **others}))

    return PersonalNumbers(
        plan=plan,
        patterns={name: pattern(name) for name in parts if name.isupper()},
        cued={kind: pattern("cued", cue=parts[f"{kind}_cue"], value=parts[f"{kind}_value"]) for kind in CUED_KINDS},
        behind={
            kind: pattern("behind", noun=parts[f"{kind}_noun"], value=parts[f"{kind}_before_noun"])
            for kind in CUED_KINDS
            if f"{kind}_noun" in parts
        },
    )


@lru_cache(maxsize=1)
def _definitions() -> dict[str, str]:
    definitions = {name: _any_of(*words.split()) for name, words in WORDS.values.items()}
    name = ""
    for line in Path(__file__).with_name("patterns.txt").read_text("utf-8").splitlines():
        if line.startswith("  "):
            definitions[name] += line[2:]
        elif line and not line.startswith("#"):
            name, _, start = line.partition(": ")
            definitions[name] = start
    return definitions


def _filled(pattern: str, parts: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: _filled(parts[match[1]], parts), pattern)


def _any_of(*alternatives: str) -> str:
    return f"(?:{'|'.join(alternatives)})"


def _parts_of(number: NationalNumber) -> dict[str, str]:
    """Return what patterns say of a national number; alternatives that may be missing begin or end with a bar."""
    sizes = sorted({form_length(form) for form in number.forms}, reverse=True)
    whole = [pattern for size in sizes for pattern in (rf"\d{{{size}}}", rf"\d(?:{{join}}\d){{{size - 1}}}")]
    adjectives = [word_pattern(word) for word in number.adjectives]
    latin = [letters for letters in number.abbreviations if letters.isascii()]
    latin_adjectives = "|".join(map(word_pattern, number.latin_adjectives))
    phrases = (word_pattern(phrase).replace(r"\s", r"\s(?:ال)?") for phrase in number.phrases)
    return {
        "national_forms": _any_of(*(form_pattern(form, "{join}") for form in number.forms)),
        "national_value": _any_of(*whole, *map(form_pattern, number.shortened)),
        "adjectives": "|".join(adjectives),
        "adjectives_before": "|".join(rf"{word}\w{{0,2}}" for word in adjectives),
        "card_adjectives": "|".join(map(word_pattern, number.card_adjectives)) or "هويه",
        "latin_phrase": rf"|{{raqam}}\s{{el}}(?:{latin_adjectives})" if latin_adjectives else "",
        "phrases": "".join(f"|{{to}}{phrase}" for phrase in phrases),
        "abbreviations": "".join(f"{abbreviation_pattern(letters)}|" for letters in number.abbreviations),
        "latin_before": "".join(f"|{abbreviation_pattern(letters)}" for letters in latin),
        "latin_abbreviations": "".join(f"|{part}" for letters in latin for part in letters.split()),
    }


def _parts_of_phones(phones: Phones, national: NationalNumber) -> dict[str, str]:
    code = phones.country_code
    abroad = (("|".join(other for other in codes.split("|") if other != code), count) for codes, count in _ABROAD)
    fewest, most = sorted((phones.digits, national.digits))
    return {
        "country_code": code,
        "spaced_code": "{around}".join(code),
        "phone_start": f"(?={'|'.join(form_pattern(start, '{join}') for start in phones.starts)})",
        "phone_digits": str(phones.digits),
        "phone_more": str(phones.digits - 1),
        "fewest_more": str(fewest - 1),
        "most_more": str(most - 1),
        "abroad": "|".join(rf"(?:{codes}){{trunk}}(?:{{around}}\d){{{count}}}(?!\d)" for codes, count in abroad),
        "neighbours": "|".join(f"{other}{{join}}{start}" for other, start in _NEIGHBOURS.items() if other != code),
    }
