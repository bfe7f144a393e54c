"""Lists of what is common in texts: a line for each level of rarity, with the entries of that level."""

from __future__ import annotations

import re
from typing import Final

from tawasul_nlp._yaml import DataError

_LINE: Final = re.compile(r"[0-9]{1,2}(?: \S+)*")


def rarity_levels(content: str, source: str) -> dict[str, int]:
    """Return each entry's level; what is not listed is rarer than all of them.

    Raises
    ------
    DataError
        If a line is neither a comment nor a level with its entries; the message names it.

    Examples
    --------
    >>> rarity_levels("# Places\\n6 riffa sitra\\n", "common_places.txt")
    {'riffa': 6, 'sitra': 6}
    """
    levels: dict[str, int] = {}
    for at, line in enumerate(content.splitlines(), 1):
        if line and not line.startswith("#"):
            if not _LINE.fullmatch(line):
                raise DataError(f"{source}:{at}: expected a level of rarity and its entries, as in '6 riffa sitra'")
            number, *entries = line.split(" ")
            levels |= dict.fromkeys(entries, int(number))
    return levels
