"""The notation in which a pack writes forms of numbers and cue words, and the patterns that it becomes.

It has no unbounded repetition, no alternatives and no look-around, so a pack cannot contain a pattern that takes longer
than linear time, nor one that its author did not mean.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"YY|MM|DD|#+|[0-9]|\[[0-9][0-9-]*\]|-")
_SEPARATOR: Final = "[ /-]"
_LETTERS: Final = r"(?:(?:\[[^\W_]+\]|[^\W_])\??)+"
_WORD: Final = re.compile(rf"{_LETTERS}(?: {_LETTERS})*\*?")
_MOST: Final = 40


def form_pattern(form: str, gap: str = "") -> str:
    """Return the pattern of a form of numbers.

    ``#`` is any digit, a digit is itself, ``[569]`` or ``[0-2]`` is one of some, ``YY`` are the two digits of a year,
    ``MM`` and ``DD`` a month and a day, and ``-`` is a space, a hyphen or a slash.

    Parameters
    ----------
    form : str
    gap : str
        Pattern of what may stand between two digits, except within ``YY``.

    Raises
    ------
    ValueError
        If the form is written otherwise.

    Examples
    --------
    >>> form_pattern("YYMM#####")
    '\\\\d\\\\d(?:0[1-9]|1[0-2])\\\\d{5}'
    """
    tokens = _TOKEN.findall(form) if len(form) <= _MOST else []
    if not tokens or "".join(tokens) != form:
        raise ValueError(
            f"got the form {form!r}, expected digits, #, [569], [0-2], YY, MM, DD and -, at most {_MOST} in all"
        )
    parts: list[str] = []
    for token in tokens:
        joined = bool(parts) and _SEPARATOR not in (parts[-1], _part(token, gap))
        if token[0] == "#":
            parts.append(_digits(len(token), gap, joined))
        else:
            parts.append((gap if joined else "") + _part(token, gap))
    try:
        re.compile("".join(parts))
    except re.error as error:  # [2-0]
        raise ValueError(f"got the form {form!r}, in which {error.msg}; write [0-2]") from None
    return "".join(parts)


def _part(token: str, gap: str) -> str:
    known = {
        "-": _SEPARATOR,
        "YY": r"\d\d",
        "MM": f"(?:0{gap}[1-9]|1{gap}[0-2])",
        "DD": f"(?:0{gap}[1-9]|[12]{gap}\\d|3{gap}[01])",
    }
    return known.get(token, token)


def _digits(count: int, gap: str, joined: bool) -> str:
    if not gap:
        return r"\d" if count == 1 else rf"\d{{{count}}}"
    rest = count if joined else count - 1
    return ("" if joined else r"\d") + (rf"(?:{gap}\d){{{rest}}}" if rest else "")


def form_length(form: str) -> int:
    """Count the digits of a form.

    Examples
    --------
    >>> form_length("[23]YYMMDD#####")
    12
    """
    return sum(len(token) if token[0] in "#YMD" else token != "-" for token in _TOKEN.findall(form))


def word_pattern(word: str) -> str:
    """Return the pattern of a cue word.

    Letters and digits are themselves, ``[9s]`` is one of some, ``?`` makes the one before it optional, a space is
    any space, and ``*`` at the end stands for up to two more letters.

    Raises
    ------
    ValueError
        If the word is written otherwise.

    Examples
    --------
    >>> word_pattern("sha5[9s]*"), word_pattern("s[ou]kk?ani")
    ('sha5[9s]\\\\w{0,2}', 's[ou]kk?ani')
    """
    if len(word) > _MOST or not _WORD.fullmatch(word):
        raise ValueError(
            f"got the word {word!r}, expected letters, spaces, [ab], a ? after a letter and a * at the end, at most "
            f"{_MOST} in all"
        )
    return word.removesuffix("*").replace(" ", r"\s") + (r"\w{0,2}" if word.endswith("*") else "")


def abbreviation_pattern(letters: str) -> str:
    """Return the pattern of an abbreviation, with or without full stops and spaces where it has some.

    Raises
    ------
    ValueError
        If it has anything but letters and spaces.

    Examples
    --------
    >>> abbreviation_pattern("cpr")
    'c\\\\.?p\\\\.?r\\\\.?'
    """
    if not all(letter.isalpha() or letter == " " for letter in letters) or len(letters) > _MOST or not letters.strip():
        raise ValueError(f"got the abbreviation {letters!r}, expected letters and spaces")
    return "".join(" ?" if letter == " " else rf"{letter}\.?" for letter in letters.strip())
