"""Find and mask personal data in citizens' texts, so that a text does not identify its author.

Three steps: the text is folded (``folding.py``), matched with patterns (``personal_patterns.py``; those of a country's
numbers, ``personal_numbers.py``, are compiled from its pack), and rules decide what is personal (``personal_rules.py``;
``personal_cued.py`` for numbers that need a cue word). Spans refer to the original.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tawasul_nlp.errors import checked_text

from ..folding import end_of_character, fold, sources
from ..personal_context import number
from ..personal_names import names
from ..personal_numbers import compiled
from .plan import NumberPlan, default_plan
from .rules import find

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
    """One piece of personal data in the original text.

    Attributes
    ----------
    kind : str
        A key of :data:`PLACEHOLDERS`.
    start, end : int
        ``[start, end)`` in the original, in characters.
    value : str
        The letters and digits of a number, in ASCII, without separators; an e-mail address or a name as written.
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


def find_personal_data(
    text: str, kinds: Collection[str] = DEFAULT_KINDS, domain: HasNumberPlan | None = None
) -> tuple[PersonalDataSpan, ...]:
    """Find personal data.

    Parameters
    ----------
    text : str
    kinds : collection of str
        Keys of :data:`PLACEHOLDERS`.
    domain : Domain or None
        The pack with national numbers and phones; None is Bahrain's.

    Returns
    -------
    tuple of PersonalDataSpan
        Ascending, without overlap. Where two kinds match a number, the one that a cue names wins.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.
    ValueError
        For an unknown kind.

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
    plain = fold(text)
    numbers = compiled(default_plan() if domain is None else domain.personal)
    found = [*find(numbers, plain), *(names(plain) if "name" in kinds else ())]
    if not found:
        return ()
    origin = sources(text)
    taken = bytearray(len(text))
    chosen: list[PersonalDataSpan] = []
    for kind, first, last in found:
        start, end = origin[first], end_of_character(text, origin[last - 1] + 1)
        # Kinds that were not requested still take precedence: an account is not a phone.
        if not any(taken[start:end]):
            taken[start:end] = b"\x01" * (end - start)
            if kind in kinds:
                value = text[start:end] if kind in ("email", "name") else number(plain[first:last]).upper()
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

    Returns
    -------
    MaskedText
        The masked text, and the spans in the original.

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
    parts: list[str] = []
    last = 0
    for span in spans:
        parts += (text[last : span.start], placeholders[span.kind])
        last = span.end
    parts.append(text[last:])
    return MaskedText("".join(parts), spans)
