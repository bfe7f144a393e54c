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

from .rewrites import TRIPLE, Edit, Pass, code_points, regex, whitespace_edits

_URL = " [رابط] "
_EMAIL = " [بريد] "
_MENTION = " [مستخدم] "

# Signs and letters outside the plain alphabet that stay in the text, each between two spaces.
_SIGNS = "!\"#$%'()*+,-.:;<=>?@\\^_`{|}~«·»،؛؟–—‘’“”…୍ۚ" + code_points("653-65f 66a-66c 671-674")
# Code points of emoji 1.4, single or as part of a sequence, that the Twitter model keeps.
_EMOJI = """
a9 ae 200d 203c 2049 20e3 2122 2139 2194-2199 21a9-21aa 231a-231b 2328 23cf 23e9-23f3 23f8-23fa 24c2 25aa-25ab 25b6
25c0 25fb-25fe 2600-2604 260e 2611 2614-2615 2618 261d 2620 2622-2623 2626 262a 262e-262f 2638-263a 2640 2642 2648-2653
265f-2660 2663 2665-2666 2668 267b 267e-267f 2692-2697 2699 269b-269c 26a0-26a1 26a7 26aa-26ab 26b0-26b1 26bd-26be
26c4-26c5 26c8 26ce-26cf 26d1 26d3-26d4 26e9-26ea 26f0-26f5 26f7-26fa 26fd 2702 2705 2708-270d 270f 2712 2714 2716 271d
2721 2728 2733-2734 2744 2747 274c 274e 2753-2755 2757 2763-2764 2795-2797 27a1 27b0 27bf 2934-2935 2b05-2b07 2b1b-2b1c
2b50 2b55 3030 303d 3297 3299 1f004 1f0cf 1f170-1f171 1f17e-1f17f 1f18e 1f191-1f19a 1f1e6-1f1ff 1f201-1f202 1f21a 1f22f
1f232-1f23a 1f250-1f251 1f300-1f321 1f324-1f393 1f396-1f397 1f399-1f39b 1f39e-1f3f0 1f3f3-1f3f5 1f3f7-1f4fd 1f4ff-1f53d
1f549-1f54e 1f550-1f567 1f56f-1f570 1f573-1f57a 1f587 1f58a-1f58d 1f590 1f595-1f596 1f5a4-1f5a5 1f5a8 1f5b1-1f5b2 1f5bc
1f5c2-1f5c4 1f5d1-1f5d3 1f5dc-1f5de 1f5e1 1f5e3 1f5e8 1f5ef 1f5f3 1f5fa-1f64f 1f680-1f6c5 1f6cb-1f6d2 1f6d5-1f6d7
1f6e0-1f6e5 1f6e9 1f6eb-1f6ec 1f6f0 1f6f3-1f6fc 1f7e0-1f7eb 1f90c-1f93a 1f93c-1f945 1f947-1f978 1f97a-1f9cb 1f9cd-1f9ff
1fa70-1fa74 1fa78-1fa7a 1fa80-1fa86 1fa90-1faa8 1fab0-1fab6 1fac0-1fac2 1fad0-1fad6 e0062-e0063 e0065 e0067 e006c
e006e e0073-e0074 e0077 e007f
"""

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
    signs = _SIGNS + code_points(_EMOJI) if keep_emoji else _SIGNS
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
