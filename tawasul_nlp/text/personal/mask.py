"""Find and mask personal data in citizens' texts, so that a text does not identify its author.

Three steps: the text is folded to how a reader sees it, matched with patterns (``patterns.txt``, which
``patterns.py`` compiles for a pack), and rules decide what is personal (``rules.py``). Spans refer to the original.
Names of persons are found after words that introduce one, without a list of names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from tawasul_nlp.errors import checked_text
from tawasul_nlp.text.rewrites import Edit, apply_edits

from .patterns import WORDS, PersonalNumbers, compiled
from .plan import NumberPlan, default_plan
from .rules import find, plain

#: The placeholder of each kind.
PLACEHOLDERS = {
    "email": "[بريد]",
    "iban": "[آيبان]",
    "card": "[بطاقة بنكية]",
    "cr": "[سجل تجاري]",
    "account": "[رقم حساب]",
    "request": "[رقم طلب]",
    "plate": "[رقم لوحة]",
    "passport": "[رقم جواز]",
    "cpr": "[رقم شخصي]",
    "phone": "[هاتف]",
    "house": "[رقم منزل]",
    "name": "[اسم]",
}
#: The kinds masked by default. House and flat numbers are often needed to handle a case; names are found only after
#: a word that introduces one (``eval/results/rewriting.md`` reports how many).
DEFAULT_KINDS = frozenset(PLACEHOLDERS) - {"house", "name"}


class HasNumberPlan(Protocol):
    """What knows the personal numbers of a country; :class:`tawasul_nlp.domain.Domain` does."""

    @property
    def personal(self) -> NumberPlan:
        """What its numbers look like."""
        ...


@dataclass(frozen=True, slots=True)
class PersonalDataSpan:
    """One piece of personal data, ``[start, end)`` in the original text, in characters."""

    kind: str  # a key of PLACEHOLDERS
    start: int
    end: int
    # Letters and digits of a number, in ASCII, without separators; an e-mail address or a name as written.
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text without its personal data."""

    text: str = field(repr=False)  # with placeholders
    spans: tuple[PersonalDataSpan, ...]  # what was masked, in the order of the original


def find_personal_data(
    text: str, kinds: Collection[str] = DEFAULT_KINDS, domain: HasNumberPlan | None = None
) -> tuple[PersonalDataSpan, ...]:
    """Find personal data, in ascending order and without overlap; see :func:`mask_personal_data`.

    Where two kinds match a number, the one that a cue names wins.

    Examples
    --------
    >>> [(span.kind, span.value) for span in find_personal_data("رقمي ٣٦٦٠٠١٤٢ والخط الساخن 80008001 لا يرد")]
    [('phone', '36600142')]
    """
    text = checked_text(text)
    if isinstance(kinds, str):
        raise TypeError(f"kinds must be a collection of names, got the str {kinds!r}; write {{{kinds!r}}}")
    unknown = sorted(set(kinds) - set(PLACEHOLDERS))
    if unknown:
        raise ValueError(f"unknown kinds of personal data {unknown}; known: {', '.join(PLACEHOLDERS)}")
    folded = fold(text)
    numbers = compiled(default_plan() if domain is None else domain.personal)
    spans = [*find(numbers, folded), *(_names(numbers, folded) if "name" in kinds else ())]
    if not spans:
        return ()
    origin = _sources(text)
    taken = bytearray(len(text))
    chosen: list[PersonalDataSpan] = []
    for kind, first, last in spans:
        start, end = origin[first], _end_of_character(text, origin[last - 1] + 1)
        # Kinds that were not requested still take precedence: an account is not a phone.
        if not any(taken[start:end]):
            taken[start:end] = b"\x01" * (end - start)
            if kind in kinds:
                value = text[start:end] if kind in ("email", "name") else plain(folded[first:last]).upper()
                chosen.append(PersonalDataSpan(kind, start, end, value))
    return tuple(sorted(chosen, key=lambda span: span.start))


def mask_personal_data(
    text: str, kinds: Collection[str] = DEFAULT_KINDS, domain: HasNumberPlan | None = None
) -> MaskedText:
    """Replace personal data with placeholders that name its kind.

    Masked are personal numbers (CPR, nine digits), Bahraini mobile and land lines (with and without +973), foreign
    numbers with their country code, e-mail addresses, bank cards and IBANs with valid check digits (after a cue word
    also with one digit mistyped), passports, and after a cue word account, commercial registration, request and
    complaint numbers and car plates; in digits of any script and with any sign between their groups. Public lines,
    meters, amounts, dates, years, blocks and roads stay; eight digits that may be a date (13052024) or a round sum
    (36000000) are masked only after a cue for a phone number.

    Parameters
    ----------
    text : str
    kinds : collection of str
        Keys of :data:`PLACEHOLDERS`; add ``"house"`` for house and flat numbers, ``"name"`` for names of
        persons after words that introduce one (many are missed, and some masks are not names).
    domain : Domain or None
        The pack with national numbers and phones; None is Bahrain's. Whatever it calls its national number, the kind is
        ``"cpr"``.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.
    ValueError
        For an unknown kind.

    Examples
    --------
    >>> mask_personal_data("CPR 870412356 مجمع 711، اتصلوا على 33918206").text
    'CPR [رقم شخصي] مجمع 711، اتصلوا على [هاتف]'
    """
    spans = find_personal_data(text, kinds, domain)
    if not spans:
        return MaskedText(text, ())
    plan = default_plan() if domain is None else domain.personal
    placeholders = {**PLACEHOLDERS, "cpr": plan.national.placeholder}
    edits = (Edit(span.start, span.end, placeholders[span.kind]) for span in spans)
    return MaskedText(apply_edits(text, edits), spans)


_FOLDED_LETTERS = dict(zip("أإآٱىیېےةہھەکڪگڨچپڤڥژ", "ااااييييههههككققجبففز", strict=True))
_FOLDED_SIGNS = {
    **dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\n"),
    **dict.fromkeys("\t\x1f\u2800", " "),
    **dict.fromkeys("−⁃˗", "-"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("·•∙⋅‧・‣◦", "·"),
    **dict.fromkeys("│¦❘", "|"),
    **dict.fromkeys("’‘ʼ´`", "'"),
    "➕": "+",
    "➖": "-",
    "。": ".",
    "٫": ".",
    "٬": ",",
    "∶": ":",
}
# Kashida and invisible letters.
_UNSEEN = "ـ\u115f\u1160\u3164\uffa0"


def _fold(char: str) -> str:
    if char in _FOLDED_LETTERS:
        return _FOLDED_LETTERS[char]
    if char in _FOLDED_SIGNS:
        return _FOLDED_SIGNS[char]
    category = unicodedata.category(char)
    if category in ("Mn", "Me", "Cf", "Cc") or char in _UNSEEN:
        return ""
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    number = unicodedata.numeric(char, None) if category in ("Nd", "No") else None
    if number is not None and number < 100 and number == int(number):
        return str(int(number))
    compatible = unicodedata.normalize("NFKC", char)
    # "3½" is not 31/2.
    if compatible == char or "\u2044" in compatible:
        return char
    # Nobody typed the space before a mark without a letter.
    return "".join(map(_fold, compatible)).strip()


class _Folds(dict[int, str]):
    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


_FOLDS = _Folds()


def fold(text: str) -> str:
    """Fold a text."""
    return text.translate(_FOLDS)


def _sources(text: str) -> list[int]:
    """Return the position in ``text`` of the source of each character of ``fold(text)``."""
    return [position for position, char in enumerate(text) for _ in _FOLDS[ord(char)]]


def _end_of_character(text: str, end: int) -> int:
    while end < len(text) and unicodedata.category(text[end]) in ("Mn", "Me"):
        end += 1
    return end


_MOST_WORDS = 4
_NOT_A_NAME = frozenset(WORDS["not_names"].split())


def _is_grammar(word: str) -> bool:
    word = word.lower()
    return word in _NOT_A_NAME or word.removeprefix("و") in _NOT_A_NAME


def _names(numbers: PersonalNumbers, text: str) -> Iterator[tuple[str, int, int]]:
    """Yield ``("name", start, end)`` for each name that a word introduces.

    Up to four words are taken for one, unless one of them is a function word or describes a person.
    """
    patterns = numbers.patterns
    # By the word that introduces it: how many words a name has at least, and whether a sign or a function word must
    # follow it.
    for cue, fewest, by_sign, by_grammar in (
        ("NAME_FIELD", 1, False, False),
        ("NAME_NAMED", 1, True, True),
        ("NAME_TITLE", 2, True, True),
        ("NAME_PERHAPS", 2, True, False),
    ):
        for match in patterns[cue].finditer(text):
            words: list[re.Match[str]] = []
            end = match.end()
            follower = patterns["NAME_WORD"].match(text, end)
            while follower and len(words) < _MOST_WORDS and not _is_grammar(follower[1]):
                words.append(follower)
                end = follower.end()
                follower = patterns["NAME_WORD"].match(text, end)
            is_ended = (by_grammar and follower and _is_grammar(follower[1])) or patterns["NAME_END"].match(text, end)
            if len(words) >= fewest and (is_ended or not by_sign):
                yield "name", words[0].start(1), end
