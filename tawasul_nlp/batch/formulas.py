"""Cells that a spreadsheet would run as formulas, made harmless.

Excel and LibreOffice take a CSV cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and a formula can
fetch a web page or start a program. Such a cell gets an apostrophe in front, which is how a spreadsheet's user says
"this is text" (OWASP's page on CSV injection gives the signs and the remedy). A signed number or a telephone number
stays as it is: it has nothing that could be called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The wide forms begin a formula in East Asian versions; tabs and line ends are skipped before the sign is looked for.
_STARTS = frozenset("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+\-][\d .,:()/%\-\u00a0٪٫٬]*(?:\d[eE][+\-]?\d+)?")


def guarded(cell: str) -> str:
    r"""Return the cell with an apostrophe in front if a spreadsheet would run it, else the very same string.

    Examples
    --------
    >>> guarded("=HYPERLINK(...)"), guarded("- الماي مقطوع"), guarded("\t=1+1")
    ("'=HYPERLINK(...)", "'- الماي مقطوع", "'\t=1+1")
    >>> guarded("-5"), guarded("+973 3900 1234"), guarded("-1.5e-05"), guarded("--"), guarded("المجاري")
    ('-5', '+973 3900 1234', '-1.5e-05', '--', 'المجاري')
    """
    if not cell or cell[0] not in _STARTS or _NUMBER.fullmatch(cell):
        return cell
    return "'" + cell


def guarded_row(values: Iterable[object]) -> list[str]:
    """Return the values as cells of a row that holds no formula.

    >>> guarded_row([3, "=1+1"])
    ['3', "'=1+1"]
    """
    return [guarded(str(value)) for value in values]
