"""The preprocessing of AraBERT v0.2 models, written from its observable behaviour.

The specification is what ``ArabertPreprocessor("bert-base-arabertv02")`` and ``("...-twitter")``
of the ``arabert`` package return; ``eval/quality/normalisation.py`` compares with it line by line, and
``tests/text`` holds pairs made by it. In order:

1. HTML character references are decoded, harakat (U+064B to U+0652) and tatweel removed.
2. Web addresses become ``[رابط]``, e-mail addresses ``[بريد]``, mentions ``[مستخدم]``.
3. Everything between ``<`` and ``>`` is removed, Arabic-Indic digits become ASCII.
4. Any character but a digit that repeats three times or more is cut to two.
5. A slash becomes a dash, spaces surround every sign and separate digits from Arabic
   letters, and characters unknown to the model (Persian letters, superscript alef, bidi marks,
   and emoji for the non-Twitter model) become a space.
6. White space is collapsed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from .arabizi_reading import data_lines
from .rewrites import TRIPLE, Edit, Pass, code_points, regex, whitespace_edits

_URL = " [رابط] "
_EMAIL = " [بريد] "
_MENTION = " [مستخدم] "

# Signs and letters outside the plain alphabet that stay in the text, each between two spaces.
_SIGNS = "!\"#$%'()*+,-.:;<=>?@\\^_`{|}~«·»،؛؟–—‘’“”…୍ۚ" + code_points("653-65f 66a-66c 671-674")

# HTML5 character references, the semicolon optional as in browsers.
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")

# A host is 2 to 256 of these, a dot and a lower-case domain; a path may add a few more. The look-behind anchors it at
# the start of its run, so a run is scanned once; only in runs beyond the limit may it start anywhere.
_HOST = r"[-a-zA-Z0-9@:%._+~#=]"
_DOMAIN_AND_PATH = r"\.[a-z]{2,6}\b[-a-zA-Z0-9@:%_+.~#?&/=]*+"
_ADDRESS = re.compile(rf"(?:https?://.|(?<!{_HOST})){_HOST}{{2,256}}{_DOMAIN_AND_PATH}")
_ADDRESS_IN_LONG_RUN = re.compile(rf"(?:https?://.)?{_HOST}{{2,256}}{_DOMAIN_AND_PATH}")
_LONG_RUN = re.compile(rf"{_HOST}{{257}}")
_PERHAPS_ADDRESS = re.compile(r"\.[a-z]{2}")

_ARABIC_LETTER = re.compile("[\u0621-\u063a\u0641-\u064a]")
_MARKUP = re.compile(r"<[^>]+>")
# All that the last pass may change: runs without letters, square brackets and white space.
_SIGN_RUN = re.compile(r"[^A-Za-z\u0621-\u063a\u0641-\u064a\[\]\s]+")
_TO_ASCII = str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")


def _decode(match: re.Match[str]) -> str:
    reference = match.group()
    # An invalid code point becomes U+FFFD, and Python refuses to parse thousands of digits.
    is_code_point = len(reference[2:].rstrip(";").lstrip("xX0")) <= 7
    return html.unescape(reference) if is_code_point or not _LONG_NUMBER.fullmatch(reference) else "\ufffd"


def _address_edits(text: str) -> Iterator[Edit]:
    if _PERHAPS_ADDRESS.search(text) is None:
        return
    pattern = _ADDRESS if _LONG_RUN.search(text) is None else _ADDRESS_IN_LONG_RUN
    for match in pattern.finditer(text):
        yield Edit(match.start(), match.end(), _URL)


def _markup_edits(text: str) -> Iterator[Edit]:
    """Everything between angle brackets; after the last ``>``, each ``<`` would search to the end in vain."""
    for match in _MARKUP.finditer(text, 0, text.rfind(">") + 1):
        yield Edit(match.start(), match.end(), " ")


def _sign_pass(keep_emoji: bool) -> Pass:
    """Digits to ASCII, spaces around signs and between digits and Arabic letters, unknown characters to a space."""
    signs = _SIGNS + code_points(" ".join(data_lines("arabert_emoji.txt"))) if keep_emoji else _SIGNS
    spaced = {char: f" {char} " for char in signs} | {"/": " - "}
    spaced |= {char: char.translate(_TO_ASCII) for char in "0123456789٠١٢٣٤٥٦٧٨٩"}

    def edits(text: str) -> Iterator[Edit]:
        for match in _SIGN_RUN.finditer(text):
            # Character by character, so that each sign keeps its own offset.
            for position, char in enumerate(match.group(), match.start()):
                replacement = spaced.get(char, " ")
                if replacement.isdigit():
                    if position == match.start() and position and _ARABIC_LETTER.match(text, position - 1):
                        replacement = " " + replacement
                    if position + 1 == match.end() and _ARABIC_LETTER.match(text, position + 1):
                        replacement += " "
                if replacement != char:
                    yield Edit(position, position + 1, replacement)

    return edits


def build_arabert(keep_emoji: bool) -> tuple[Pass, ...]:
    """Return the passes of the profiles ``arabert`` and, keeping emoji, ``arabert-twitter``."""
    return (
        regex(_REFERENCE, _decode, hint="&", decodes=True),
        # Not "[x]+": `re` finds the start of a class without repetition three times as fast.
        regex("[\u0640\u064b-\u0652][\u0640\u064b-\u0652]*", ""),
        _address_edits,
        regex(r"https?://[a-zA-Z0-9_\-./~?=%&]+", _URL, hint="http"),
        regex(r"www[a-zA-Z0-9_\-?=%&/.~]+", _URL, hint="www"),
        regex(r"(?<![a-zA-Z])[a-zA-Z]++\.com", _URL, hint=".com"),
        regex(r"http\S*", _URL, hint="http"),
        regex(r"www\S*", _URL, hint="www"),
        regex(r"://", _URL, hint="://"),
        regex(r"(?<![\w-])[\w-]++@[\w-]++(?:\.[\w-]++)++", _EMAIL, hint="@"),
        regex(r"(?<!\S)\S+@\S+", _EMAIL, hint="@"),
        regex(r"@\w+", _MENTION, hint="@"),
        _markup_edits,
        regex(r"(\D)\1\1+", lambda match: match.group()[0] * 2, probe=TRIPLE),
        _sign_pass(keep_emoji),
        whitespace_edits,
    )
