"""The normalisation steps: character tables, patterns, and their order.

Steps that replace single characters are merged into one table and applied in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5
from itertools import chain

from .arabert import build_arabert
from .profiles import Profile
from .rewrites import (
    TRIPLE,
    Pass,
    casefold_edits,
    character_map,
    code_points,
    emoji_edits,
    nfkc_edits,
    regex,
    whitespace_edits,
)

URL_PLACEHOLDER = "[رابط]"
EMAIL_PLACEHOLDER = "[بريد]"
MENTION_PLACEHOLDER = "[مستخدم]"


# Tab, line feed and the other white space controls are left for the white space step.
_CONTROLS = code_points("0-8 e-1b 7f-84 86-9f d800-dfff fff9-fffc")
_INVISIBLE = code_points(
    "ad 34f 61c 180e"  # soft hyphen, combining grapheme joiner, Arabic letter mark, Mongolian vowel separator
    " 200b-200f 202a-202e"  # zero-width space, joiners, directional marks, bidi embeddings and overrides
    " 2060-206f 20e3"  # word joiner, invisible operators, bidi isolates; the keycap, whose digit stays
    " fe00-fe0f feff e0000-e007f"  # variation selectors, byte order mark, tags
)
# U+0653 to U+0655 are the composed hamza and madda: NFKC has joined them to their letter by now.
_DIACRITICS = code_points("610-61a 64b-65f 670 6d6-6dd 6df-6e8 6ea-6ed 8ca-8e1 8e3-8ff fc5e-fc63 fcf2-fcf4 fe70-fe7f")
_DIGITS = {chr(zero + value): str(value) for zero in (0x0660, 0x06F0) for value in range(10)}

_TABLES: dict[str, dict[str, str]] = {
    "controls": dict.fromkeys(_CONTROLS, " "),
    "invisible": dict.fromkeys(_INVISIBLE, ""),
    "tatweel": {"ـ": ""},
    "diacritics": dict.fromkeys(_DIACRITICS, ""),
    "digits": {**_DIGITS, "٫": ".", "٬": ",", "٪": "%"},
    "keyboard_letters": dict(zip("کڪیۍېےۓہھەۀۂۃٱٲٳٵ", "ككييييئهههههةاأإأ", strict=True)),
    "fold_alef": {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا"},
    "fold_hamza": {"ؤ": "و", "ئ": "ي", "ء": ""},
    "fold_ya": {"ى": "ي"},
    "fold_ta_marbuta": {"ة": "ه"},
    # The spellings that people without these keys use: جذي for چذي, قال for گال.
    "fold_dialect_letters": {"چ": "ج", "گ": "ق", "ڨ": "ق", "پ": "ب", "ڤ": "ف", "ڥ": "ف", "ژ": "ز"},
}


def character_table(steps: tuple[str, ...]) -> dict[str, str]:
    """Merge the tables of the given steps, in order, into one."""
    merged: dict[str, str] = {}
    for step in steps:
        table = _TABLES.get(step)
        if table is None:
            continue
        merged = {source: table.get(target, target) for source, target in merged.items()}
        for source, target in table.items():
            merged.setdefault(source, target)
    return merged


# One spelling of "&" after another: &amp;amp;lt; has been escaped three times.
_ENTITY = re.compile(
    r"&(?:(?:amp|AMP|#0{0,4}38|#[xX]0{0,3}26);)*+(?:#([0-9]{1,7});|#[xX]([0-9a-fA-F]{1,6});|([A-Za-z][A-Za-z0-9]{1,31};))?+"
)


def _decode_entity(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name is not None:
        # An unknown name stays unchanged, after its ampersand.
        return html5.get(name, "&" + name)
    if decimal is None and hexadecimal is None:
        return "&"
    code = int(decimal) if decimal is not None else int(hexadecimal, 16)
    return chr(code) if 0 < code <= 0x10FFFF else " "


# A scheme or www. and then no white space, quote or bracket; or a host name in a domain that citizens
# use, with its path. Runs are possessive and start at a token's start, so no character is scanned more than a few
# times. Signs that end the sentence stay outside.
_INSIDE = r"""[^\s<>"'«»()\[\]]"""
_LAST = r"""[^\s<>"'«»()\[\].,;:!?،؛؟]"""
_TOP_LEVEL = "|".join(rf"(?<=\.{name})" for name in ("bh", "io", "me", "com", "net", "org", "gov", "edu"))
# An Arabic word that touches an address ("ايميليfoo@bar.com", "bahrain.bhشكرا") is not part of it.
_ARABIC = "\u0600-\u06ff"
_NOT_IN_WORD = rf"(?<![^\W{_ARABIC}])(?<![.@-])"
_URL = re.compile(
    rf"(?:[hH][tT][tT][pP][sS]?://|{_NOT_IN_WORD}[wW][wW][wW]\.){_INSIDE}*{_LAST}"
    rf"|{_NOT_IN_WORD}[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++(?:{_TOP_LEVEL})(?![^\W{_ARABIC}]|@)"
    rf"(?:/(?:{_INSIDE}*{_LAST})?)?"
)
_PERHAPS_URL = re.compile(r"[A-Za-z0-9-][.:]\S")  # anything may follow "www."
_EMAIL = re.compile(
    rf"(?:(?<![^\W{_ARABIC}])(?<![.%+-])(?:[^\W{_ARABIC}]|[.%+-])++|(?<![\w.%+-])[{_ARABIC}\d_.%+-]++)"
    r"@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++"
)
_MENTION = re.compile(r"(?<![\w@.])@\w+")
_HASHTAG = re.compile(r"(?<![\w&#])#(?=[^\W\d])\w+")
_PUNCTUATION = re.compile(r"[^\w\s]|_")
_REPEATED = re.compile(r"([^\d\s])\1\1+")
_LONG_VOWELS = frozenset("اوييىآ")
_DOUBLE_ALEF = re.compile("اا+")


def _plain_hashtag(match: re.Match[str]) -> str:
    # One character for one, so that every letter keeps its own offset.
    return " " + match.group()[1:].replace("_", " ")


def _cap_letters(match: re.Match[str]) -> str:
    repeated = match.group()
    char = repeated[0]
    if not char.isalpha() or (char.isupper() and len(repeated) == 3):
        return repeated  # III is a numeral and AAA a code, not an elongated letter
    return char if char in _LONG_VOWELS else char * 2


def _cap_signs(match: re.Match[str]) -> str:
    repeated = match.group()
    return repeated if repeated[0].isalnum() else repeated[0] * 2


def _cap_both(match: re.Match[str]) -> str:
    return _cap_letters(match) if match.group()[0].isalnum() else _cap_signs(match)


def _characters(profile: Profile) -> list[Pass]:
    passes: list[Pass] = [character_map(character_table(profile.steps))]
    # Removing characters can bring a letter and a mark together that now compose.
    return [*passes, nfkc_edits] if "unicode" in profile.steps else passes


def _repeats(profile: Profile) -> list[Pass]:
    cap = _cap_both
    if "repeated_punctuation" not in profile.steps:
        cap = _cap_letters
    elif "elongation" not in profile.steps:
        cap = _cap_signs
    return [regex(_REPEATED, cap, probe=TRIPLE)]


# The builder of each step. Steps that share one are applied in one pass, at the position of the first.
_PASSES: dict[str, Callable[[Profile], list[Pass]]] = {
    "html_entities": lambda _: [regex(_ENTITY, _decode_entity, hint="&", decodes=True)],
    "unicode": lambda _: [nfkc_edits],
    **dict.fromkeys(_TABLES, _characters),
    "urls": lambda _: [regex(_URL, URL_PLACEHOLDER, probe=_PERHAPS_URL)],
    "emails": lambda _: [regex(_EMAIL, EMAIL_PLACEHOLDER, hint="@")],
    "mentions": lambda _: [regex(_MENTION, MENTION_PLACEHOLDER, hint="@")],
    "hashtags": lambda _: [regex(_HASHTAG, _plain_hashtag, hint="#")],
    "drop_emoji": lambda _: [emoji_edits],
    "casefold": lambda _: [casefold_edits],
    "drop_punctuation": lambda _: [regex(_PUNCTUATION, " ")],
    "elongation": _repeats,
    "double_alef": lambda _: [regex(_DOUBLE_ALEF, "ا", hint="اا")],
    "repeated_punctuation": _repeats,
    "whitespace": lambda _: [whitespace_edits],
    "arabert": lambda _: list(build_arabert(keep_emoji=False)),
    "arabert_twitter": lambda _: list(build_arabert(keep_emoji=True)),
}


def build(profile: Profile) -> tuple[Pass, ...]:
    """Return the passes of a profile, in the order of its steps."""
    makers = dict.fromkeys(_PASSES[step] for step in profile.steps)
    return tuple(chain.from_iterable(make(profile) for make in makers))
