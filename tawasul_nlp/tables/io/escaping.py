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

import re
from collections.abc import Iterable

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


def escaped_row(values: Iterable[object]) -> list[str]:
    """Return the values as cells of a row that holds no formula.

    >>> escaped_row([3, "=1+1"])
    ['3', "'=1+1"]
    """
    return [escaped(str(value)) for value in values]
