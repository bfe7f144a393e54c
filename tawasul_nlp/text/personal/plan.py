"""The numbers by which a country knows persons: what ``personal.yaml`` of a pack says, and the notation of its forms.

The notation has no repetition, no alternatives but of digits and no look-around, and words are lists of spellings: so a
pack cannot contain a pattern that takes longer than linear time, nor one that its author did not mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp._packs import default_file

_TOKEN: Final = re.compile(r"YY|MM|DD|#|[0-9]|\[[0-9][0-9-]*\]|-")
_WORD: Final = re.compile(r"[^\W_]+(?: [^\W_]+)*")
_MOST: Final = 40


def form_pattern(form: str, gap: str = "") -> str:
    """Return the pattern of a form of numbers; ValueError if it is written otherwise.

    ``#`` is any digit, a digit is itself, ``[569]`` or ``[0-2]`` is one of some, ``YY`` are the two digits of a year,
    ``MM`` and ``DD`` a month and a day, and ``-`` is a space, a hyphen or a slash. ``gap`` is the pattern of what may
    stand between two digits, except within ``YY``.
    """
    tokens = _TOKEN.findall(form) if len(form) <= _MOST else []
    if not tokens or "".join(tokens) != form:
        raise ValueError(
            f"got the form {form!r}, expected digits, #, [569], [0-2], YY, MM, DD and -, at most {_MOST} in all"
        )
    parts = {
        "-": "[ /-]",
        "#": r"\d",
        "YY": r"\d\d",
        "MM": f"(?:0{gap}[1-9]|1{gap}[0-2])",
        "DD": f"(?:0{gap}[1-9]|[12]{gap}\\d|3{gap}[01])",
    }
    pattern = ""
    for before, token in pairwise(("-", *tokens)):
        pattern += (gap if "-" not in (before, token) else "") + parts.get(token, token)
    try:
        re.compile(pattern)
    except re.error as error:  # [2-0]
        raise ValueError(f"got the form {form!r}, in which {error.msg}; write [0-2]") from None
    return pattern


def form_length(form: str) -> int:
    """Count the digits of a form."""
    return sum(len(token) if token[0] in "#YMD" else token != "-" for token in _TOKEN.findall(form))


def word_pattern(word: str) -> str:
    """Return the pattern of a cue word, in which a space is any space; ValueError if it has more than letters."""
    if len(word) > _MOST or not _WORD.fullmatch(word):
        raise ValueError(
            f"got the word {word!r}, expected letters, digits and single spaces, at most {_MOST} in all; list each "
            "spelling of its own"
        )
    return word.replace(" ", r"\s")


def abbreviation_pattern(letters: str) -> str:
    """Return the pattern of an abbreviation, with or without full stops; ValueError if it has more than letters."""
    if not all(letter.isalpha() or letter == " " for letter in letters) or len(letters) > _MOST or not letters.strip():
        raise ValueError(f"got the abbreviation {letters!r}, expected letters and spaces")
    return "".join(" ?" if letter == " " else rf"{letter}\.?" for letter in letters.strip())


_FEWEST: Final = 6
"""Digits of a national number or a phone number; shorter ones could not be told from other numbers."""
_MOST_ENTRIES: Final = 500
"""Of all lists; each becomes a part of a pattern, which takes time for each of them."""


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """The number that every person has."""

    placeholder: str
    forms: tuple[str, ...]
    shortened: tuple[str, ...]  # forms that it has where leading zeros are lost
    groups: tuple[tuple[int, ...], ...]  # how many digits its groups have, as people write them
    # Cue words: after "number" or "card" in Arabic letters and in Arabizi, after "card" only, and whole phrases.
    adjectives: tuple[str, ...]
    latin_adjectives: tuple[str, ...]
    card_adjectives: tuple[str, ...]
    phrases: tuple[str, ...]
    abbreviations: tuple[str, ...]

    @property
    def digits(self) -> int:
        """How many digits its longest form has."""
        return max(map(form_length, self.forms))


@dataclass(frozen=True, slots=True)
class Phones:
    """The phone numbers of a country: its code, digits, starts, usual groups, and lines that are no person's."""

    country_code: str
    digits: int
    starts: tuple[str, ...]
    mobile_starts: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    public: tuple[str, ...]
    public_starts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NumberPlan:
    """All that a pack says of personal numbers."""

    national: NationalNumber
    phones: Phones
    plates: tuple[str, ...]  # forms of car plates besides three to six digits
    iban: str  # the country of IBANs that count with a mistyped digit after a cue
    currency_codes: tuple[str, ...]  # what stands beside amounts
    currency_signs: tuple[str, ...]
    billers: tuple[str, ...]  # by what names people tell whose account a number is


def _checked(check: Callable[[str], object]) -> _yaml.Schema:
    """Accept a string that a function accepts; its ValueError is the message."""

    def read(node: yaml.Node, source: str) -> str:
        value = _yaml.text(node, source)
        try:
            check(value)
        except ValueError as error:
            raise _yaml.error_at(node, source, str(error)) from None
        return value

    return read


def _groups(node: yaml.Node, source: str) -> tuple[int, ...]:
    value = _yaml.text(node, source)
    sizes = value.split()
    if not all(size.isdecimal() and size.isascii() and 0 < int(size) < 20 for size in sizes):
        raise _yaml.error_at(node, source, f"got the groups {value!r}, expected numbers of digits such as '3 3 2'")
    return tuple(map(int, sizes))


def _digits(value: str) -> None:
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise ValueError(f"got {value!r}, expected at most 15 digits")


def _letters(value: str) -> None:
    if not (value.isascii() and value.isalpha() and value.isupper() and len(value) <= 3):
        raise ValueError(f"got {value!r}, expected two or three capital letters")


def _sign(value: str) -> None:
    if len(value) > 8 or any(char.isdigit() or char.isspace() for char in value):
        raise ValueError(f"got {value!r}, expected a sign of at most 8 letters and full stops")


_CHECKS: Final[Mapping[str, Callable[[str], object]]] = {
    "form": form_pattern,
    "word": word_pattern,
    "abbreviation": abbreviation_pattern,
    "digits": _digits,
    "letters": _letters,
    "sign": _sign,
}


@lru_cache(maxsize=8)
def read_plan(file: _yaml.File) -> NumberPlan:
    """Check ``personal.yaml``; DataError names the line that is wrong."""
    types = {name: _checked(check) for name, check in _CHECKS.items()}
    data = _yaml.read(file, _yaml.schema_of("personal", groups=_groups, **types))
    number, phones = data["national_number"], data["phones"]
    for entry, what in ((number, "forms"), (phones, "starts"), (number, "adjectives")):
        if not entry[what]:
            raise entry.error(f"{what} is empty; write at least one")
    listed = sum(
        len(value) for entry in (data, number, phones) for value in entry.values.values() if type(value) is tuple
    )
    if listed > _MOST_ENTRIES:
        raise data.error(f"the file lists {listed} forms and words, expected at most {_MOST_ENTRIES}")
    shortest = min(*map(form_length, number["forms"]), phones["digits"])
    longest = max(*map(form_length, number["forms"]), phones["digits"])
    if shortest < _FEWEST or longest > 15:
        raise number.error(f"numbers have {shortest} to {longest} digits, expected {_FEWEST} to 15, phones too")
    groups = tuple(number["groups"]) or tuple((size,) for size in sorted(set(map(form_length, number["forms"]))))
    return data.into(
        NumberPlan,
        national=number.into(NationalNumber, groups=groups),
        phones=phones.into(Phones, groups=phones["groups"] or ((phones["digits"],),)),
    )


@lru_cache(maxsize=1)
def default_plan() -> NumberPlan:
    """Return the plan of the default pack."""
    return read_plan(default_file("personal.yaml"))
