"""Read the cases of two periods, from two tables or from one that a day divides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import TypeVar

import numpy as np

from tawasul_nlp.evaluation.drift_findings import PeriodFacts, TableFacts
from tawasul_nlp.report.columns import are_dates
from tawasul_nlp.report.tally import day_of
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable
from tawasul_nlp.tables.run.case_rows import read_date

LEAST_ROWS = 10
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """The cases of two periods.

    Attributes
    ----------
    tables : tuple of TableFacts
        Those that were read, one or two.
    reference, new : PeriodFacts
    texts : list of str
    cells : dict of str to list of str
        What was asked for, a value a case.
    is_new : ndarray of bool, shape (n_cases,)
        Which cases are of the later period.
    since : str or None
        The day that divides a table, as an ISO date.
    """

    tables: tuple[TableFacts, ...]
    reference: PeriodFacts
    new: PeriodFacts
    texts: list[str]
    cells: dict[str, list[str]]
    is_new: np.ndarray
    since: str | None


def read_periods(
    sources: Sequence[LabelledSource],
    columns: Sequence[Mapping[str, str]],
    *,
    date_column: str | None,
    since: str | date | None,
    on_progress: Callable[[float], None],
) -> Periods:
    """Read the cases of two tables, or of one table those before a day and those since.

    Parameters
    ----------
    sources : sequence of LabelledSource
    columns : sequence of mapping of str to str
        For each table, the column of each thing to read besides the texts.
    date_column : str or None
        None finds one that holds dates in all tables; without it the periods have no days.
    since : str, date or None
        The first day of the later period, for one table; cases without a date are left out.
    on_progress : callable
        Called with the share of a table that was read.

    Raises
    ------
    TableError
        If a table cannot be read or lacks a column, or has no dates by which it could be divided.
    ValueError
        If no date of the named column can be read, ``since`` is no date, or a period has fewer than 10 usable rows.
    """
    first_day = None if since is None else _day_given(since)
    dated = date_column or _find_dates(sources)
    if first_day is not None and dated is None:
        raise TableError(
            f"{sources[0].name} has no column of dates by which it could be divided; name one with --date-column"
        )
    extra = [dated] if dated else []
    tables = [source.read([*of.values(), *extra], on_progress) for source, of in zip(sources, columns, strict=True)]
    days_of_tables = [_days(table, dated) for table in tables]
    days = list(chain.from_iterable(days_of_tables))
    if date_column is not None and not any(days):
        raise ValueError(
            f"no date of column {date_column!r} in {tables[0].name} can be read; write 2026-03-01 or 1/3/2026"
        )
    # Those of the reference first, so that one table gives what two would.
    old, later = _sides(days, len(tables[0]), first_day)

    def chosen(values: Iterable[_Value]) -> list[_Value]:
        every = list(values)
        return [every[row] for row in (*old, *later)]

    reference = _facts(tables[0].name, [days[row] for row in old])
    new = _facts(tables[-1].name, [days[row] for row in later])
    _check_sizes(reference, new, first_day)
    return Periods(
        tuple(_table_facts(table, dated, own) for table, own in zip(tables, days_of_tables, strict=True)),
        reference,
        new,
        chosen(text for table in tables for text in table.texts),
        {
            name: chosen(cell for table, of in zip(tables, columns, strict=True) for cell in table.columns[of[name]])
            for name in columns[0]
        },
        np.arange(len(old) + len(later)) >= len(old),
        None if first_day is None else first_day.isoformat(),
    )


def _sides(days: Sequence[date | None], first_rows: int, first_day: date | None) -> tuple[list[int], list[int]]:
    """Return the rows of the reference and of the later period: those of the first table, or those before a day."""
    if first_day is None:
        return list(range(first_rows)), list(range(first_rows, len(days)))
    dated = [(row, day) for row, day in enumerate(days) if day is not None]
    return [row for row, day in dated if day < first_day], [row for row, day in dated if day >= first_day]


def _days(table: LabelledTable, date_column: str | None) -> list[date | None]:
    """Return the day of each case; None for one without a date that can be read."""
    return [None] * len(table) if date_column is None else [day_of(cell)[0] for cell in table.columns[date_column]]


def _check_sizes(reference: PeriodFacts, new: PeriodFacts, first_day: date | None) -> None:
    for period, side in ((reference, f" before {first_day}"), (new, f" from {first_day} on")):
        if period.rows < LEAST_ROWS:
            name = period.table if first_day is None else period.table + side
            raise ValueError(f"{name} has {period.rows} usable rows; a comparison needs at least {LEAST_ROWS}")


def _day_given(since: str | date) -> date:
    try:
        found = read_date(since)
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"since is {since!r}, expected a date such as 2026-03-01 or 1/3/2026")
    return found.date()


def _find_dates(sources: Sequence[LabelledSource]) -> str | None:
    """Return the first column that holds dates in all tables, by their first rows."""
    chunks = [next(iter(source.reader.chunks()), None) for source in sources]
    shared = [name for name in sources[0].columns if all(name in source.columns for source in sources)]
    return next(
        (name for name in shared if all(chunk is not None and are_dates(chunk.column(name)) for chunk in chunks)), None
    )


def _facts(table: str, days: Sequence[date | None]) -> PeriodFacts:
    known = [day for day in days if day is not None]
    ends = (min(known).isoformat(), max(known).isoformat()) if known else (None, None)
    return PeriodFacts(table, len(days), *ends)


def _table_facts(table: LabelledTable, date_column: str | None, days: Sequence[date | None]) -> TableFacts:
    undated = 0 if date_column is None else days.count(None)
    return TableFacts(table.name, tuple(table.unusable), date_column, undated)
