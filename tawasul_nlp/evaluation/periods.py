"""Say what changed between two periods of cases, and which changes are more than chance.

The mixes of labels, places and urgency, the share of cases for review, and the vocabulary are compared. Each change has
a test, and the tests share one budget of false alarms: when both periods are random halves of one, 19 in 20 runs raise
no alarm at all.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.answers import URGENCY
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.places.levels import Level
from tawasul_nlp.evaluation.drift_result import REVIEW, DriftResult, PeriodFacts, TableFacts, Unknown
from tawasul_nlp.evaluation.evaluator import Progress, loaded
from tawasul_nlp.evaluation.shifts import ALPHA, DriftTest, holm, label_changes, mix_p, word_shifts
from tawasul_nlp.evaluation.task_evaluation import ModelFacts
from tawasul_nlp.report.names import Name, Names
from tawasul_nlp.tables.added_columns import added_values
from tawasul_nlp.tables.classified import added_prefix, answered_tasks, are_dates, day_of, is_true
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_name
from tawasul_nlp.tables.labelled import LabelledSource, open_labelled
from tawasul_nlp.tables.run.case_rows import read_date
from tawasul_nlp.text.personal.mask import PLACEHOLDERS, find_personal_data

LEAST_ROWS = 10
_FIRST_TASKS = ("topic", "agency", "kind")
_CHUNK = 1024


def drift(
    reference: Any,
    new: Any = None,
    model: ComplaintClassifier | str | Path | None = None,
    *,
    since: str | datetime.date | None = None,
    date_column: str | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    on_progress: Progress | None = None,
) -> DriftResult:
    """Compare the cases of two periods.

    Tables that ``tawasul classify`` wrote have the answers already, and no model is loaded; of other tables, or if a
    model is named, it reads the texts.

    Parameters
    ----------
    reference, new : str, Path or table
        The earlier and the later cases, as :func:`~tawasul_nlp.evaluation.evaluate` takes them; no later ones if
        ``since`` divides the first table.
    model : ComplaintClassifier, str, Path or None
        None for the tables' own answers, or else the bundled model's.
    since : str, date or None
        The first day of the later period, for one table; its cases without a date are left out.
    date_column : str or None
        None finds a column that holds dates in both tables.
    prefix : str or None
        Prefix of the columns that classification added; None tries no prefix and ``tawasul_``.
    domain : Domain or None
        The pack with the names of labels and places; None is the model's, or else Bahrain's.
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ValueError, TableError
        If a period has fewer than 10 usable rows, a table has no dates by which it could be divided, or ``since`` is
        no date or stands beside a second table.

    Examples
    --------
    >>> water = {"text": [f"الماي مقطوع عن بيت {number}" for number in range(30)]}
    >>> "topic" in drift({"text": ["الشارع مظلم"] * 30}, water).changed
    True
    """
    advance = on_progress or (lambda *_: None)
    if (new is None) == (since is None):
        raise ValueError("drift compares two tables, or one that a day divides: give either a second table or since")
    sources = [open_labelled(table) for table in (reference, new) if table is not None]
    pack, classifier = domain or Domain.bundled(), None
    columns = [] if model is not None else [_classified_columns(source, pack, prefix) for source in sources]
    if not columns or not all(columns):
        classifier = loaded(model, domain)
        pack, columns = domain or classifier.domain, [{} for _ in sources]
    periods = _read_periods(sources, columns, date_column, since, lambda share: advance("reading", share))
    if classifier is not None:
        periods = replace(periods, cells=_predicted(classifier, pack, periods.texts, advance))
    advance("testing", 0.0)
    return _compared(periods, pack, classifier)


def _levels(domain: Domain) -> dict[str, Level]:
    levels = domain.gazetteer.levels
    blocks = {} if levels.block is None else {"block": levels.block}
    return {"governorate": levels.region, "town": levels.area, **blocks}


def _dimensions(tasks: Sequence[str], domain: Domain) -> dict[str, str]:
    """Return what has a mix, in the order of the page, with the column that classification adds for it."""
    first = [task for task in _FIRST_TASKS if task in tasks]
    others = [task for task in tasks if task not in (*_FIRST_TASKS, URGENCY)]
    places = {name: level.column for name, level in _levels(domain).items()}
    last = [URGENCY, REVIEW] if URGENCY in tasks else [REVIEW]
    return {name: places.get(name, name) for name in (*first, *others, *places, *last)}


def _classified_columns(source: LabelledSource, domain: Domain, prefix: str | None) -> dict[str, str]:
    """Return the column of each dimension of a classified table; none if it is not classified."""
    if prefix is not None:
        source.check_columns([prefix + REVIEW], "--prefix")
    prefix = added_prefix(source.columns, prefix)
    if prefix is None:
        return {}
    dimensions = _dimensions(answered_tasks(source.columns, prefix, "probability"), domain)
    return {name: prefix + column for name, column in dimensions.items() if prefix + column in source.columns}


def _predicted(
    classifier: ComplaintClassifier, domain: Domain, texts: Sequence[str], on_progress: Progress
) -> dict[str, list[str]]:
    """Return what a model answers; a task of which a text may have several labels has no mix."""
    tasks = [task for task in classifier.labels if task not in classifier.multi_label_tasks]
    dimensions, levels = _dimensions(tasks, domain), classifier.domain.gazetteer.levels
    cells: dict[str, list[str]] = {dimension: [] for dimension in dimensions}
    for start in range(0, len(texts), _CHUNK):
        for prediction in classifier.predict(texts[start : start + _CHUNK]):
            for values, value in zip(
                cells.values(), added_values(prediction, tuple(dimensions.values()), levels), strict=True
            ):
                values.append(to_name(value))
        on_progress("predicting", min(1.0, (start + _CHUNK) / len(texts)))
    return cells


@dataclass(frozen=True, slots=True, eq=False)
class _Periods:
    """The cases of two periods."""

    # Those that were read, one or two.
    tables: tuple[TableFacts, ...]
    reference: PeriodFacts
    new: PeriodFacts
    texts: list[str] = field(repr=False)
    # By dimension a value a case, empty where it has none.
    cells: dict[str, list[str]] = field(repr=False)
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
    """Read the cases of two tables, or of one table those before a day and those since, with the columns of each."""
    first_day = None if since is None else _day(since)
    for source in sources:
        source.check_columns([date_column] if date_column else [], "--date-column")
    dates = date_column or _find_dates(sources)
    if first_day is not None and dates is None:
        raise TableError(
            f"{sources[0].name} has no column of dates by which it could be divided; name one with --date-column"
        )
    shared = [name for name in columns[0] if all(name in of_table for of_table in columns)]
    days: list[datetime.date | None] = []
    texts: list[str] = []
    cells: dict[str, list[str]] = {name: [] for name in shared}
    facts = []
    for source, of_table in zip(sources, columns, strict=True):
        table = source.read([*(of_table[name] for name in shared), *([dates] if dates else [])], on_progress)
        days_of_table = [None] * len(table) if dates is None else [day_of(cell)[0] for cell in table.columns[dates]]
        undated = 0 if dates is None else days_of_table.count(None)
        facts.append(TableFacts(table.name, tuple(table.unusable), dates, undated))
        days += days_of_table
        texts += table.texts
        for name, values in cells.items():
            values += table.columns[of_table[name]]
    if date_column is not None and not any(days):
        raise ValueError(
            f"no date of column {date_column!r} in {facts[0].name} can be read; write 2026-03-01 or 1/3/2026"
        )
    # The cases of the reference first, so that one table gives what two would.
    if first_day is None:
        old, later, sides = (
            list(range(len(days) - len(table))),
            list(range(len(days) - len(table), len(days))),
            ("", ""),
        )
    else:
        dated = [(row, day) for row, day in enumerate(days) if day is not None]
        old, later = [row for row, day in dated if day < first_day], [row for row, day in dated if day >= first_day]
        sides = f" before {first_day}", f" from {first_day} on"
    rows = [*old, *later]
    return _Periods(
        tables=tuple(facts),
        reference=_period(facts[0].name, [days[row] for row in old], sides[0]),
        new=_period(facts[-1].name, [days[row] for row in later], sides[1]),
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
        raise ValueError(
            f"since is {since!r}, expected a date such as 2026-03-01 or 1/3/2026, of the years 1900 to 2200"
        )
    return time.date()


def _find_dates(sources: Sequence[LabelledSource]) -> str | None:
    """Return the first column that holds dates in all tables, by their first rows."""
    chunks = [next(iter(source.reader.chunks()), None) for source in sources]
    shared = [name for name in sources[0].columns if all(name in source.columns for source in sources)]
    return next(
        (name for name in shared if all(chunk is not None and are_dates(chunk.column(name)) for chunk in chunks)), None
    )


def _period(table: str, days: Sequence[datetime.date | None], side: str) -> PeriodFacts:
    """Return the facts of a period; ``side`` says in an error which part of the table it is."""
    if len(days) < LEAST_ROWS:
        raise ValueError(f"{table}{side} has {len(days)} usable rows; a comparison needs at least {LEAST_ROWS}")
    dated = [day for day in days if day is not None]
    first, last = (min(dated).isoformat(), max(dated).isoformat()) if dated else (None, None)
    return PeriodFacts(table, len(days), first, last)


def _labels(cells: Mapping[str, Sequence[str]], domain: Domain) -> dict[str, list[str]]:
    values = {dimension: list(column) for dimension, column in cells.items()}
    if REVIEW in values:
        values[REVIEW] = ["true" if is_true(value) else "false" for value in values[REVIEW]]
    if "block" in values:
        values["block"] = [number.removesuffix(".0") for number in values["block"]]
        if domain.gazetteer.levels.blocks_within_towns and "town" in values:
            pairs = zip(values["block"], values["town"], strict=True)
            values["block"] = [f"{number}، {town}" if number and town else "" for number, town in pairs]
    return values


def _compared(periods: _Periods, domain: Domain, classifier: ComplaintClassifier | None) -> DriftResult:
    """Test everything, and adjust the p-values for all that was tested."""
    names, levels = Names(domain), _levels(domain)
    labels = _labels(periods.cells, domain)
    p_values: dict[str, float] = {}
    mixes: dict[str, tuple[np.ndarray, np.ndarray, list[Name]]] = {}
    no_column: Literal["no_column", "not_told"] = "no_column" if classifier is None else "not_told"
    unknown = {
        name: Unknown(no_column, levels[name].column if name in levels else name)
        for name in (*levels, URGENCY)
        if name not in labels
    }
    for dimension, values in labels.items():
        if not any(values):
            unknown[dimension] = Unknown("no_value", dimension)
            continue
        ids, codes = np.unique(values, return_inverse=True)
        old, new = (np.bincount(codes[side], minlength=len(ids)) for side in (~periods.is_new, periods.is_new))
        mixes[dimension] = old, new, [names.of(dimension, id) for id in ids.tolist()]
        p_values[dimension] = mix_p(old, new)
    p_values["vocabulary"], words = word_shifts(periods.texts, periods.is_new, cleaned=partial(_impersonal, domain))
    adjusted = {name: round(p, 5) for name, p in holm(p_values).items()}
    # Single labels and words are only named where all together changed: one budget of false alarms for everything.
    certain = adjusted["vocabulary"] < ALPHA
    return DriftResult(
        reference=periods.reference,
        new=periods.new,
        tables=periods.tables,
        since=periods.since,
        tests={name: DriftTest(round(p, 5), adjusted[name], adjusted[name] < ALPHA) for name, p in p_values.items()},
        mixes={dimension: label_changes(*mix, adjusted[dimension]) for dimension, mix in mixes.items()},
        unknown=unknown,
        words=tuple(
            replace(word, adjusted_p=round(word.adjusted_p, 5), beyond_chance=word.beyond_chance and certain)
            for word in words
        ),
        model=None if classifier is None else ModelFacts(classifier.folder.name, classifier.config.model_hash),
        levels={dimension: (level.name_ar, level.name_en) for dimension, level in levels.items()},
        date=datetime.date.today().isoformat(),
        machine=machine(),
    )


def _impersonal(domain: Domain, text: str) -> str:
    """Return a text without its personal data, names of people too, of which no word must be shown."""
    for span in reversed(find_personal_data(text, PLACEHOLDERS.keys(), domain)):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text
