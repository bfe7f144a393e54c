"""Say what changed between two periods of classified cases, and which changes are more than chance.

The mixes of labels, places and urgency, the share of cases for review, and the vocabulary are compared; of a grouped
table, reports of one incident count once. Each change has
a test, and the tests share one budget of false alarms: when both periods are random halves of one, 19 in 20 runs raise
no alarm at all.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from tawasul_nlp._system import machine
from tawasul_nlp.answers import URGENCY
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import Level
from tawasul_nlp.errors import FIRST_YEAR, LAST_YEAR
from tawasul_nlp.evaluation.drift_result import REVIEW, DriftResult, PeriodFacts, TableFacts, Unknown
from tawasul_nlp.evaluation.evaluator import Progress
from tawasul_nlp.evaluation.shifts import ALPHA, DriftTest, label_changes, mix_p, word_shifts
from tawasul_nlp.report.names import Name, Names
from tawasul_nlp.tables.added_columns import FALLBACK_PREFIX
from tawasul_nlp.tables.classified import added_prefix, answered_tasks, are_dates, day_of, is_true
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.dates import DateOrder, is_day_first, read_date
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable, open_labelled
from tawasul_nlp.text.personal.mask import PLACEHOLDERS, find_personal_data

LEAST_ROWS = 10
PREFIXES = (FALLBACK_PREFIX, "")
_FIRST_TASKS = ("topic", "agency", "kind", URGENCY)


def drift(
    reference: Any,
    new: Any = None,
    *,
    since: str | datetime.date | None = None,
    date_column: str | None = None,
    date_order: DateOrder | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    on_progress: Progress | None = None,
) -> DriftResult:
    """Compare the cases of two periods, which ``tawasul classify`` has read.

    Parameters
    ----------
    reference, new : str, Path or table
        The earlier and the later cases, classified, as :func:`~tawasul_nlp.evaluation.evaluate` takes them; no later
        ones if ``since`` divides the first table.
    since : str, date or None
        The first day of the later period, for one table; its cases without a date are left out.
    date_column : str or None
        None finds a column that holds dates in both tables.
    date_order : {"day-first", "month-first"}, optional
        What comes first in dates such as ``3/5/2026``; if None, the dates tell.
    prefix : str or None
        Prefix of the columns that classification added; None tries no prefix and ``tawasul_``.
    domain : Domain or None
        The pack with the names of labels and places; None is Bahrain's.
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ValueError, TableError
        If a table is not classified, a period has fewer than 10 usable rows, a table has no dates by which it could be
        divided, or ``since`` is no date or stands beside a second table.

    Examples
    --------
    >>> answers = {"topic": ["water_leak"] * 30, "topic_probability": [0.9] * 30, "needs_review": [False] * 30}
    >>> leaks = {"text": [f"الماي يتسرب عند بيت {number}" for number in range(30)], **answers}
    >>> "topic" in drift({**leaks, "topic": ["road_damage"] * 30}, leaks).changed
    True
    """
    advance = on_progress or (lambda *_: None)
    if (new is None) == (since is None):
        raise ValueError("drift compares two tables, or one that a day divides: give either a second table or since")
    first_day = None if since is None else _day(since)
    sources = [open_labelled(table) for table in (reference, new) if table is not None]
    domain = domain or Domain.bundled()
    columns = [_classified_columns(source, domain, prefix) for source in sources]
    dates = _date_column(sources, date_column)
    if first_day is not None and dates is None:
        raise TableError(
            f"{sources[0].name} has no column of dates by which it could be divided; name one with --date-column"
        )
    tables, periods = [], []
    for source, of_table in zip(sources, columns, strict=True):
        shared = {name: column for name, column in of_table.items() if all(name in others for others in columns)}
        incidents = next(
            (prefix + "incident_id" for prefix in PREFIXES if prefix + "incident_id" in source.columns), None
        )
        wanted = dict.fromkeys(filter(None, [*shared.values(), dates, incidents]))
        table = source.read([*wanted], lambda share: advance("reading", share))
        days: list[datetime.date | None] = [None] * len(table)
        if dates is not None:
            day_first = is_day_first(table.columns[dates], dates, date_order)
            days = [day_of(cell, day_first)[0] for cell in table.columns[dates]]
        cases = _cases(table, shared, days, table.columns[incidents] if incidents else [""] * len(table), domain)
        undated = 0 if dates is None else sum(case.day is None for case in cases)
        if date_column is not None and undated == len(cases):
            raise ValueError(
                f"no date of column {date_column!r} in {table.name} can be read; write 2026-03-01 or 1/3/2026"
            )
        tables.append(TableFacts(table.name, tuple(table.unusable), dates, undated))
        periods.append(_Period(table.name, cases))
    if first_day is not None:
        dated = [(case.day, case) for case in periods[0].cases if case.day is not None]
        periods = [
            _Period(tables[0].name, [case for day, case in dated if day < first_day], f" before {first_day}"),
            _Period(tables[0].name, [case for day, case in dated if day >= first_day], f" from {first_day} on"),
        ]
    before, now = (replace(period, cases=_once(period.cases)) for period in periods)
    advance("testing", 0.0)
    since = None if first_day is None else first_day.isoformat()
    return _compared(before, now, domain, tables=tuple(tables), since=since)


def _day(since: str | datetime.date) -> datetime.date:
    with suppress(ValueError):
        if time := read_date(since):
            return time.date()
    raise ValueError(
        f"since is {since!r}, expected a date such as 2026-03-01 or 1/3/2026, of the years {FIRST_YEAR} to {LAST_YEAR}"
    )


def _levels(domain: Domain) -> dict[str, Level]:
    levels = domain.gazetteer.levels
    blocks = {} if levels.block is None else {"block": levels.block}
    return {"governorate": levels.region, "town": levels.area, **blocks}


def _classified_columns(source: LabelledSource, domain: Domain, prefix: str | None) -> dict[str, str]:
    """Return what has a mix in a classified table, in the order of the page, with its column."""
    prefix_of_table = added_prefix(source.columns, prefix)
    if prefix_of_table is None:
        raise TableError(
            f"{source.name} is not classified: it has no column {prefix or ''}{REVIEW} with the answers of a task; run "
            "tawasul classify on it first (name its --prefix here if it had one)"
        )
    tasks = answered_tasks(source.columns, prefix_of_table, "probability")
    first = [task for task in _FIRST_TASKS if task in tasks]
    places = {name: level.column for name, level in _levels(domain).items()}
    columns = {
        name: prefix_of_table + places.get(name, name) for name in dict.fromkeys((*first, *tasks, *places, REVIEW))
    }
    return {name: column for name, column in columns.items() if column in source.columns}


def _date_column(sources: Sequence[LabelledSource], named: str | None) -> str | None:
    """Return the named column, or the first that holds dates in all tables, by their first rows."""
    if named is not None:
        for source in sources:
            source.check_columns([named], "--date-column")
        return named
    chunks = [next(iter(source.reader.chunks()), None) for source in sources]
    shared = [name for name in sources[0].columns if all(name in source.columns for source in sources)]
    return next(
        (name for name in shared if all(chunk is not None and are_dates(chunk.column(name)) for chunk in chunks)), None
    )


@dataclass(frozen=True, slots=True)
class _Case:
    text: str = field(repr=False)
    day: datetime.date | None
    # What names its incident; empty where none is known.
    incident: str = field(repr=False)
    # By dimension a value, empty where the case has none.
    values: Mapping[str, str] = field(repr=False)


def _cases(
    table: LabelledTable,
    columns: Mapping[str, str],
    days: Sequence[datetime.date | None],
    incidents: Sequence[str],
    domain: Domain,
) -> list[_Case]:
    rows = zip(*(table.columns[column] for column in columns.values()), strict=True)
    cases = []
    for text, day, incident, row in zip(table.texts, days, incidents, rows, strict=True):
        values = dict(zip(columns, row, strict=True))
        values[REVIEW] = "true" if is_true(values[REVIEW]) else "false"
        if "block" in values:
            values["block"] = values["block"].removesuffix(".0")
            if domain.gazetteer.levels.blocks_within_towns and "town" in values:
                number, town = values["block"], values["town"]
                values["block"] = f"{number}، {town}" if number and town else ""
        cases.append(_Case(text, day, incident, values))
    return cases


def _once(cases: Sequence[_Case]) -> list[_Case]:
    """Return one report of each incident, the first: many reports of one event are no change."""
    first = {case.incident or at: case for at, case in reversed([*enumerate(cases)])}
    return list(reversed(first.values()))


@dataclass(frozen=True, slots=True)
class _Period:
    table: str
    cases: Sequence[_Case] = field(repr=False)
    # Which part of the table it is, for an error.
    side: str = ""

    def facts(self) -> PeriodFacts:
        if len(self.cases) < LEAST_ROWS:
            raise ValueError(
                f"{self.table}{self.side} has {len(self.cases)} usable rows; a comparison needs at least {LEAST_ROWS}"
            )
        days = [case.day for case in self.cases if case.day is not None]
        first, last = (min(days).isoformat(), max(days).isoformat()) if days else (None, None)
        return PeriodFacts(self.table, len(self.cases), first, last)


def _compared(
    before: _Period, now: _Period, domain: Domain, *, tables: tuple[TableFacts, ...], since: str | None
) -> DriftResult:
    """Test everything, and adjust the p-values for all that was tested."""
    reference, new = before.facts(), now.facts()
    names, levels, cases = Names(domain), _levels(domain), [*before.cases, *now.cases]
    is_new = np.arange(len(cases)) >= reference.rows
    p_values: dict[str, float] = {}
    mixes: dict[str, tuple[np.ndarray, np.ndarray, list[Name]]] = {}
    unknown = {
        name: Unknown("no_column", levels[name].column if name in levels else name)
        for name in (*levels, URGENCY)
        if name not in cases[0].values
    }
    for dimension in cases[0].values:
        values = [case.values[dimension] for case in cases]
        if not any(values):
            unknown[dimension] = Unknown("no_value", dimension)
            continue
        ids, codes = np.unique(values, return_inverse=True)
        old, later = (np.bincount(codes[side], minlength=len(ids)) for side in (~is_new, is_new))
        mixes[dimension] = old, later, [names.of(dimension, id) for id in ids.tolist()]
        p_values[dimension] = mix_p(old, later)
    texts = [case.text for case in cases]
    p_values["vocabulary"], words = word_shifts(texts, is_new, cleaned=partial(_impersonal, domain))
    adjusted = dict(zip(p_values, false_discovery_control(list(p_values.values())).round(5).tolist(), strict=True))
    # Single labels and words are only named where all together changed: one budget of false alarms for everything.
    certain = adjusted["vocabulary"] < ALPHA
    return DriftResult(
        reference=reference,
        new=new,
        tables=tables,
        since=since,
        tests={name: DriftTest(round(p, 5), adjusted[name], adjusted[name] < ALPHA) for name, p in p_values.items()},
        mixes={dimension: label_changes(*mix, adjusted[dimension]) for dimension, mix in mixes.items()},
        unknown=unknown,
        words=tuple(
            replace(word, adjusted_p=round(word.adjusted_p, 5), beyond_chance=word.beyond_chance and certain)
            for word in words
        ),
        levels={dimension: (level.name_ar, level.name_en) for dimension, level in levels.items()},
        date=datetime.date.today().isoformat(),
        machine=machine(),
    )


def _impersonal(domain: Domain, text: str) -> str:
    """Return a text without its personal data, names of people too, of which no word must be shown."""
    for span in reversed(find_personal_data(text, PLACEHOLDERS.keys(), domain)):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text
