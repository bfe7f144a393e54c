r"""Escape cells that a spreadsheet would run as formulas.

Excel and LibreOffice take a cell of a CSV for a formula when it begins with ``=``, ``+``, ``-`` or ``@``, and a formula
can fetch a web page or start a program. There is one rule, for cells and headers alike:

    A sign that begins a formula gets an apostrophe in front of it wherever a spreadsheet may begin a cell: at the start
    of the text, and behind each comma, semicolon, tab, bar or line end in it, for the separator that a spreadsheet
    takes depends on its language and not on the file. Blanks, invisible characters, and quotes before the sign
    do not count. What is a number, or a telephone number, to the end of the line stays as it is: it calls nothing.

An apostrophe is how a spreadsheet's user says "this is text" (OWASP's page on CSV injection gives the signs and the
remedy); for text that has it in the middle, nothing else would do: quotes around a cell mean nothing to a program that
splits it elsewhere.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Iterable
from typing import Any

# Whatever compatibility normalisation (NFKC) turns into one of = + - @ and the minus sign;
# tests/tables/run/test_outputs.py holds this and the next to the tables of Unicode.
SIGNS = (
    "=+\\-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"
)
# Control and format characters and blanks, and the letters that show nothing; line ends and tabs are separators here.
UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680"
    "\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
SEPARATORS = ",;\t|\r\n"
# What is longer than forty characters is not a number; without a limit, a line of many would be read once for each.
_NUMBER = r"[+\-\u2212][\d .,:()/%\-\u00a0٪٫٬]{0,40}(?:(?<=\d)[eE][+\-]?\d{1,3})?"
_SIGN = re.compile(f"[{SIGNS}]")
_ESCAPE = re.compile(rf"((?:\A|[{SEPARATORS}])[{UNSEEN}\"]*+)'(?=[{SIGNS}])")
_FORMULA = re.compile(rf'((?:\A|[{SEPARATORS}])[{UNSEEN}"]*+)(?=[{SIGNS}])(?!{_NUMBER}(?:[\r\n]|\Z))')


def escaped(cell: str) -> str:
    r"""Return the cell with an apostrophe before what a spreadsheet would run, else the very same string.

    Examples
    --------
    >>> escaped("=HYPERLINK(...)"), escaped("- الماي مقطوع"), escaped("الماي مقطوع;=1+1")
    ("'=HYPERLINK(...)", "'- الماي مقطوع", "الماي مقطوع;'=1+1")
    >>> escaped("-5"), escaped("+973 3900 1234"), escaped("-1.5e-05"), escaped("--"), escaped("المجاري")
    ('-5', '+973 3900 1234', '-1.5e-05', '--', 'المجاري')
    """
    if _SIGN.search(cell) is None:
        return cell
    safe, signs = _FORMULA.subn(r"\1'", cell)
    return safe if signs else cell


def unescaped(cell: str) -> str:
    r"""Return what :func:`escaped` made this cell of, or the cell itself if it made it of nothing.

    Examples
    --------
    >>> unescaped("'- الماي مقطوع;'=1+1"), unescaped("'اقتباس'"), unescaped("'-5")
    ('- الماي مقطوع;=1+1', "'اقتباس'", "'-5")
    """
    original = _ESCAPE.sub(r"\1", cell)
    return original if escaped(original) == cell else cell


def escaped_row(values: Iterable[object]) -> list[str]:
    """Return the values as cells of a row that holds no formula.

    >>> escaped_row([3, "=1+1"])
    ['3', "'=1+1"]
    """
    return [escaped(str(value)) for value in values]


def is_text(value: str) -> bool:
    r"""Return whether a string can be stored as UTF-8, which half of a surrogate pair cannot.

    >>> is_text("مجمع 711"), is_text("\ud83d")
    (True, False)
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


_JSON_NAMES = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean"}


def json_name(value: Any) -> str:
    """Return what JSON calls a value.

    >>> json_name(True), json_name([1]), json_name(None)
    ('boolean', 'array', 'null')
    """
    return "null" if value is None else _JSON_NAMES.get(type(value), type(value).__name__)


def json_value(value: Any) -> Any:
    """Return a JSON form of a value that JSON lacks; meant for ``json.dumps(default=...)``.

    >>> import datetime as dt
    >>> json_value(dt.date(2026, 3, 1))
    '2026-03-01'
    """
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)


def to_json(value: Any) -> str:
    """Return `value` as JSON on one line, Arabic unescaped; NaN and infinities, which JSON lacks, become null.

    >>> to_json({"نص": "الشارع مظلم", "n": float("nan")})
    '{"نص": "الشارع مظلم", "n": null}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=json_value)
    except ValueError:
        return json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False, default=json_value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def to_cell(value: Any) -> str:
    """Return the text of a CSV cell: nothing for None, ``true``/``false``, JSON for lists and objects.

    >>> to_cell(None), to_cell(True), to_cell(12), to_cell(["أ", 1])
    ('', 'true', '12', '["أ", 1]')
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple | dict):
        return to_json(value)
    return str(json_value(value))


def to_name(value: Any) -> str:
    """Return a cell that names something, a label or a group: without blanks around it, and nothing for NaN.

    A whole number that a table made a float, for want of a value in another row, loses its ``.0``.

    >>> to_name(" الأشغال "), to_name(12.0), to_name(float("nan")), to_name(None)
    ('الأشغال', '12', '', '')
    """
    if isinstance(value, float):
        if value != value:
            return ""
        if value.is_integer():
            value = int(value)
    return to_cell(value).strip()
