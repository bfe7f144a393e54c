"""Find the columns of a classified table that the report needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tawasul_nlp.domain import Domain, Levels
from tawasul_nlp.tables.added_columns import FALLBACK_PREFIX, GROUP_COLUMNS, TASKS, classification_columns
from tawasul_nlp.tables.errors import MissingColumnError, TableError
from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.fields import check_columns, named, wordiest
from tawasul_nlp.tables.run.case_rows import likely_id, read_date

# The report cannot do without these.
_NEEDED = ("kind", "topic", "topic_probability", "agency", "agency_probability", "needs_review")
# A town is read from the first of these that a row has: the added column, then the table's own columns.
TOWN_COLUMNS = ("town", "quarter", "place")
# A column of dates holds a date in at least this share of its non-empty cells.
_DATES_SHARE = 0.9
# Places within a town, which are shown with a case.
_DETAILS = ("landmark", "road")


@dataclass(frozen=True, slots=True)
class ReportColumns:
    """Names of the columns of a classified table.

    Attributes
    ----------
    text : tuple of str
        The texts of several columns are joined.
    id, date : str or None
        None where the table has none.
    added : dict of str to str
        The standard name of a column (``agency``, ``group_id``, ...) to its name in this table, if present.
    routed : str or None
        The table's own column of the agency that each case was sent to; only named, never found.
    """

    text: tuple[str, ...]
    id: str | None
    date: str | None
    added: dict[str, str]
    routed: str | None = None

    @property
    def grouped(self) -> bool:
        """Whether the table has the columns of grouping."""
        return {"group_id", "group_size"} <= set(self.added)


def find_columns(
    reader: Reader,
    *,
    text: str | Sequence[str] | None = None,
    id: str | None = None,
    date: str | None = None,
    routed: str | None = None,
    prefix: str | None = None,
    levels: Levels | None = None,
) -> ReportColumns:
    """Find the columns by name, and those of text, id and date also by the content of the first rows.

    Parameters
    ----------
    reader : Reader
    text : str, sequence of str or None
        Column to use, or several, or fields of the objects in one (``complaint.body``); None to find it.
    id, date : str or None
        Columns to use; None to find them.
    routed : str or None
        Column of the agency that each case was sent to.
    prefix : str or None
        Prefix that was passed to classification; None tries no prefix and ``tawasul_``.
    levels : Levels or None
        The levels of places, whose columns classification named; None is Bahrain's.

    Raises
    ------
    TableError
        If the table is not classified, or lacks a named column.
    """
    texts = named(text)
    check_columns(reader, texts, "--text-column")
    for name, option in ((id, "--id-column"), (date, "--date-column"), (routed, "--routed-column")):
        if name is not None and name not in reader.columns:
            raise MissingColumnError(name, reader.columns, option=option)
    added = _added(reader.columns, prefix, levels or Domain.bundled().gazetteer.levels)
    first = next(iter(reader.chunks()), None)
    if first is None or not len(first.numbers):
        raise TableError("the table has no rows that can be read, so there is nothing to report")
    own = [name for name in reader.columns if name not in added.values() and name != routed]
    values = {name: first.column(name) for name in own}
    if not texts:
        texts = named(wordiest(values))
    if not texts:
        raise TableError("no column of the table reads like text; name it with --text-column")
    others = [name for name in own if name not in texts]
    if id is None:
        id = likely_id(others)
    if date is None:
        date = next((name for name in others if name != id and are_dates(values[name])), None)
    return ReportColumns(texts, id, date, added, routed)


def _added(columns: tuple[str, ...], prefix: str | None, levels: Levels) -> dict[str, str]:
    found = _found(columns, prefix, [*levels.columns(), *TOWN_COLUMNS])
    # Whatever a country calls its levels, the report counts by region, block and town.
    standard = dict(zip(levels.columns(), _roles(levels), strict=True))
    return {standard.get(name, name): column for name, column in found.items()}


def _roles(levels: Levels) -> tuple[str, ...]:
    return ("governorate", "town") if levels.block is None else ("governorate", "block", "town")


def _found(columns: tuple[str, ...], prefix: str | None, places: list[str]) -> dict[str, str]:
    classified = classification_columns((*TASKS, "urgency"), issues=True)
    names = dict.fromkeys((*classified, *GROUP_COLUMNS, *_DETAILS, *places))
    # Prefixed columns first: if both exist, the plain ones are the table's own.
    for tried in [FALLBACK_PREFIX, ""] if prefix is None else [prefix]:
        found = {name: tried + name for name in names if tried + name in columns}
        if all(name in found for name in _NEEDED):
            # Grouping may have run before or after, with its own prefix; towns may be the table's own.
            for name in (*GROUP_COLUMNS, *places[-len(TOWN_COLUMNS) :]):
                other = next((p + name for p in (FALLBACK_PREFIX, "") if p + name in columns), None)
                if name not in found and other is not None:
                    found[name] = other
            return found
    missing = [name for name in _NEEDED if (prefix or "") + name not in columns]
    raise TableError(
        f"the table is not classified: it has no column {', '.join(missing)}; run tawasul classify on it first"
        " (name its --prefix here if it had one)"
    )


def are_dates(cells: Sequence[Any]) -> bool:
    """Whether nearly all cells that are not empty are dates, and some is.

    >>> are_dates(["2026-03-01", "", "1/3/2026"]), are_dates([None, "أمس"])
    (True, False)
    """
    known = [cell for cell in cells if cell is not None and cell != ""]
    dates = 0
    for cell in known:
        try:
            dates += read_date(cell) is not None
        except ValueError:
            continue
    return bool(known) and dates >= _DATES_SHARE * len(known)
