"""Say what changed between two periods of cases, and which changes are more than chance.

The mixes of labels, places and urgency, the share of cases for review, and the vocabulary are compared. Each change has
a test, and the tests share one budget of false alarms: when both periods are random halves of one, 19 in 20 runs raise
no alarm at all.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.case_labels import URGENCY, LabelBasis, find_basis, level_columns, level_names
from tawasul_nlp.evaluation.drift_result import DriftResult, PeriodFacts, TableFacts, Unknown
from tawasul_nlp.evaluation.evaluator import Progress
from tawasul_nlp.evaluation.shifts import ALPHA, DriftTest, LabelMix, holm, label_mix, word_shifts
from tawasul_nlp.evaluation.task_evaluation import ModelFacts
from tawasul_nlp.report.names import Names
from tawasul_nlp.tables.classified import are_dates, day_of
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable, open_labelled
from tawasul_nlp.tables.run.case_rows import read_date
from tawasul_nlp.text.personal.mask import PLACEHOLDERS, find_personal_data

LEAST_ROWS = 10


def drift(
    reference: Any,
    new: Any = None,
    model: ComplaintClassifier | str | Path | None = None,
    *,
    since: str | datetime.date | None = None,
    text_column: str = "text",
    label_columns: Mapping[str, str] | Sequence[str] = (),
    date_column: str | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    rounds: int = 999,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> DriftResult:
    """Compare the cases of two periods.

    Tables that ``tawasul classify`` wrote have the answers already, and no model is loaded; of other tables, or if a
    model is named, it reads the texts.

    Parameters
    ----------
    reference : str, Path or table
        The earlier cases: whatever :func:`~tawasul_nlp.evaluation.evaluate` takes.
    new : str, Path, table or None
        The later cases; None if ``since`` divides the first table.
    model : ComplaintClassifier, str, Path or None
        None for the tables' own answers, or else the bundled model's.
    since : str, date or None
        The first day of the later period, for one table; its cases without a date are left out.
    text_column : str
    label_columns : mapping of str to str, or sequence of str
        More columns to compare; that of a task takes the place of the answers, as in ``{"topic": "category"}``.
    date_column : str or None
        Column of dates; None finds one that holds dates in both tables.
    prefix : str or None
        Prefix of the columns that classification added; None tries no prefix and ``tawasul_``.
    domain : Domain or None
        The pack with the names of labels and places; None is the model's, or else Bahrain's.
    rounds : int
        Random dealings of each permutation test.
    seed : int
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Returns
    -------
    DriftResult

    Raises
    ------
    TableError
        If a table cannot be read, lacks a column, has no row with a text, or no dates by which it could be divided.
    ValueError
        If a period has fewer than 10 usable rows, no date can be read, ``since`` is no date or stands beside a second
        table, or the rounds are too few for any test to show a change.

    Examples
    --------
    >>> streets = [f"الشارع مظلم عند بيت {number}" for number in range(30)]
    >>> water = [f"الماي مقطوع عن بيت {number}" for number in range(30)]
    >>> result = drift({"text": streets}, {"text": water})
    >>> "topic" in result.changed, result.tests["topic"].beyond_chance
    (True, True)
    """
    advance = on_progress or (lambda *_: None)
    if (new is None) == (since is None):
        raise ValueError("drift compares two tables, or one that a day divides: give either a second table or since")
    sources = [open_labelled(table, text_column) for table in (reference, new) if table is not None]
    more_columns = dict(
        label_columns if isinstance(label_columns, Mapping) else ((name, name) for name in label_columns)
    )
    basis = find_basis(sources, model, domain, prefix)
    _check_rounds(rounds, len({*basis.dimensions, *more_columns, "vocabulary"}))
    for source in sources:
        source.check_columns(list(more_columns.values()))
        source.check_columns([date_column] if date_column else [], "--date-column")
    columns = [{**of_table, **more_columns} for of_table in basis.columns]
    periods = _read_periods(sources, columns, date_column, since, lambda share: advance("reading", share))
    labels = basis.labels(periods.texts, periods.cells, advance)
    advance("testing", 0.0)
    result = _compared(periods, labels, basis, rounds, seed)
    advance("testing", 1.0)
    return result


def _check_rounds(rounds: int, tests: int) -> None:
    """Raise if no number of dealings that differ less than the periods could show a change."""
    # The least p-value that dealing the rows anew can give is 1 / (rounds + 1), and Holm multiplies it by the tests.
    if tests / (rounds + 1) >= ALPHA:
        raise ValueError(f"{rounds} rounds cannot show a change by {tests} tests; give at least {round(tests / ALPHA)}")


@dataclass(frozen=True, slots=True, eq=False)
class _Periods:
    """The cases of two periods."""

    # Those that were read, one or two.
    tables: tuple[TableFacts, ...]
    reference: PeriodFacts
    new: PeriodFacts
    texts: list[str]
    # By dimension a value a case.
    cells: dict[str, list[str]]
    # Which cases (n_cases,) are of the later period.
    is_new: np.ndarray
    since: str | None


def _read_periods(
    sources: Sequence[LabelledSource],
    columns: Sequence[Mapping[str, str]],
    date_column: str | None,
    since: str | datetime.date | None,
    on_progress: Callable[[float], None],
) -> _Periods:
    """Read the cases of two tables, or of one table those before a day and those since.

    ``columns`` are, for each table, those of what is to be read besides the texts.
    """
    first_day = None if since is None else _day(since)
    dates = date_column or _find_dates(sources)
    if first_day is not None and dates is None:
        raise TableError(
            f"{sources[0].name} has no column of dates by which it could be divided; name one with --date-column"
        )
    extra = [dates] if dates else []
    tables = [source.read([*of.values(), *extra], on_progress) for source, of in zip(sources, columns, strict=True)]
    days_of_tables = [_days(table, dates) for table in tables]
    days = [day for of_table in days_of_tables for day in of_table]
    if date_column is not None and not any(days):
        raise ValueError(
            f"no date of column {date_column!r} in {tables[0].name} can be read; write 2026-03-01 or 1/3/2026"
        )
    old, later = _sides(days, len(tables[0]), first_day)
    # Those of the reference first, so that one table gives what two would.
    rows = [*old, *later]
    reference = _facts(tables[0].name, [days[row] for row in old])
    new = _facts(tables[-1].name, [days[row] for row in later])
    _check_sizes(reference, new, first_day)
    texts = [text for table in tables for text in table.texts]
    cells = {
        name: [cell for table, of in zip(tables, columns, strict=True) for cell in table.columns[of[name]]]
        for name in columns[0]
    }
    return _Periods(
        tables=tuple(
            TableFacts(table.name, tuple(table.unusable), dates, 0 if dates is None else of_table.count(None))
            for table, of_table in zip(tables, days_of_tables, strict=True)
        ),
        reference=reference,
        new=new,
        texts=[texts[row] for row in rows],
        cells={name: [values[row] for row in rows] for name, values in cells.items()},
        is_new=np.arange(len(rows)) >= len(old),
        since=None if first_day is None else first_day.isoformat(),
    )


def _day(since: str | datetime.date) -> datetime.date:
    try:
        time = read_date(since)
    except ValueError:
        time = None
    if time is None:
        raise ValueError(f"since is {since!r}, expected a date such as 2026-03-01 or 1/3/2026")
    return time.date()


def _find_dates(sources: Sequence[LabelledSource]) -> str | None:
    """Return the first column that holds dates in all tables, by their first rows."""
    chunks = [next(iter(source.reader.chunks()), None) for source in sources]
    shared = [name for name in sources[0].columns if all(name in source.columns for source in sources)]
    return next(
        (name for name in shared if all(chunk is not None and are_dates(chunk.column(name)) for chunk in chunks)), None
    )


def _days(table: LabelledTable, date_column: str | None) -> list[datetime.date | None]:
    """Return the day of each case; None for one without a date that can be read."""
    return [None] * len(table) if date_column is None else [day_of(cell)[0] for cell in table.columns[date_column]]


def _sides(
    days: Sequence[datetime.date | None], first_rows: int, first_day: datetime.date | None
) -> tuple[list[int], list[int]]:
    """Return the rows of the reference and of the later period: those of the first table, or those before a day."""
    if first_day is None:
        return list(range(first_rows)), list(range(first_rows, len(days)))
    dated = [(row, day) for row, day in enumerate(days) if day is not None]
    return [row for row, day in dated if day < first_day], [row for row, day in dated if day >= first_day]


def _facts(table: str, days: Sequence[datetime.date | None]) -> PeriodFacts:
    dated = [day for day in days if day is not None]
    first, last = (min(dated).isoformat(), max(dated).isoformat()) if dated else (None, None)
    return PeriodFacts(table, len(days), first, last)


def _check_sizes(reference: PeriodFacts, new: PeriodFacts, first_day: datetime.date | None) -> None:
    for period, side in ((reference, f" before {first_day}"), (new, f" from {first_day} on")):
        if period.rows < LEAST_ROWS:
            name = period.table if first_day is None else period.table + side
            raise ValueError(f"{name} has {period.rows} usable rows; a comparison needs at least {LEAST_ROWS}")


def _compared(
    periods: _Periods, labels: Mapping[str, Sequence[str]], basis: LabelBasis, rounds: int, seed: int
) -> DriftResult:
    """Test everything, and adjust the p-values for all that was tested."""
    domain, classifier = basis.domain, basis.classifier
    names = Names(domain)
    p_values: dict[str, float] = {}
    mixes: dict[str, LabelMix] = {}
    for dimension, values in labels.items():
        if any(values):
            name_of = partial(names.of, dimension)
            mixes[dimension], p_values[dimension] = label_mix(values, periods.is_new, name_of, rounds, seed)
    impersonal = partial(_impersonal, domain)
    p_values["vocabulary"], words = word_shifts(periods.texts, periods.is_new, rounds, seed, cleaned=impersonal)
    adjusted = {name: round(p, 5) for name, p in holm(p_values).items()}
    # Single labels and words are only named where all together changed: one budget of false alarms for everything.
    certain = adjusted["vocabulary"] < ALPHA
    return DriftResult(
        reference=periods.reference,
        new=periods.new,
        tables=periods.tables,
        since=periods.since,
        tests={name: DriftTest(round(p, 5), adjusted[name], adjusted[name] < ALPHA) for name, p in p_values.items()},
        mixes={dimension: _as_certain_as(mix, adjusted[dimension]) for dimension, mix in mixes.items()},
        unknown=_unknown(labels, basis),
        words=tuple(replace(word, beyond_chance=word.beyond_chance and certain) for word in words),
        model=None if classifier is None else ModelFacts(classifier.folder.name, classifier.config.model_hash),
        levels=level_names(domain.gazetteer.levels),
        rounds=rounds,
        date=datetime.date.today().isoformat(),
        machine=machine(),
    )


def _as_certain_as(mix: LabelMix, adjusted_p: float) -> LabelMix:
    """Hold single labels to the test of their mix: each is as certain as the less certain (Meinshausen 2008)."""
    changes = []
    for each in mix.changes:
        p = round(max(each.adjusted_p, adjusted_p), 5)
        changes.append(replace(each, adjusted_p=p, beyond_chance=p < ALPHA))
    return replace(mix, changes=tuple(changes))


def _unknown(labels: Mapping[str, Sequence[str]], basis: LabelBasis) -> dict[str, Unknown]:
    """Return why dimensions that cases may have were not compared."""
    unknown: dict[str, Unknown] = {
        dimension: Unknown("no_column" if basis.classifier is None else "not_told", column)
        for dimension, column in {**level_columns(basis.domain.gazetteer.levels), URGENCY: URGENCY}.items()
        if dimension not in labels
    }
    return unknown | {name: Unknown("no_value", name) for name, values in labels.items() if not any(values)}


def _impersonal(domain: Domain, text: str) -> str:
    """Return a text without its personal data, names of people too, of which no word must be shown."""
    for span in reversed(find_personal_data(text, PLACEHOLDERS.keys(), domain)):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text
