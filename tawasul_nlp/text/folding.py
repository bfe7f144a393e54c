"""Fold a text to how a reader sees it, before searching it for personal data.

Digits of any script, circle or keycap become ASCII digits; spaces of any width and dashes of any length become one
kind; letters that people interchange are unified; invisible characters are removed.
"""

from __future__ import annotations

import unicodedata

_LETTERS = dict(zip("أإآٱىیېےةہھەکڪگڨچپڤڥژ", "ااااييييههههككققجبففز", strict=True))
_SIGNS = {
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
    if char in _LETTERS:
        return _LETTERS[char]
    if char in _SIGNS:
        return _SIGNS[char]
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
    """The fold of each character seen so far, by its code point."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


_FOLDS = _Folds()


def fold(text: str) -> str:
    """Fold a text.

    Examples
    --------
    >>> fold("３٩₀0–①2\\u200f𝟑4️⃣ ىـــة")
    '3900-1234 يه'
    """
    return text.translate(_FOLDS)


def sources(text: str) -> list[int]:
    """Return the position in ``text`` of the source of each character of ``fold(text)``.

    Examples
    --------
    >>> sources("بـ٥")
    [0, 2]
    """
    return [position for position, char in enumerate(text) for _ in _FOLDS[ord(char)]]


def end_of_character(text: str, end: int) -> int:
    """Move the end of a character past its marks, such as the keycap around a digit."""
    while end < len(text) and unicodedata.category(text[end]) in ("Mn", "Me"):
        end += 1
    return end
