"""Say what changed between two periods of cases, and which changes are more than chance.

The mixes of labels, places, urgency and doubt, the vocabulary, and where a model reads the texts its confidence and
embeddings are compared. Each change has a test, and the tests share one budget of false alarms: when both periods are
random halves of one, 19 in 20 runs raise no alarm at all.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain, Levels
from tawasul_nlp.evaluation.case_labels import (
    URGENCY,
    CaseLabels,
    LabelBasis,
    find_basis,
    level_columns,
    level_names,
)
from tawasul_nlp.evaluation.drift_findings import ConfidenceShift, DriftTest, EmbeddingShift, LabelMix, Unknown
from tawasul_nlp.evaluation.drift_result import DriftResult
from tawasul_nlp.evaluation.evaluator import Progress
from tawasul_nlp.evaluation.period_reading import Periods, read_periods
from tawasul_nlp.evaluation.shifts import (
    ALPHA,
    holm,
    label_changes,
    mean_discrepancy,
    mix_change,
    population_stability,
    told_apart,
    word_shifts,
)
from tawasul_nlp.evaluation.task_result import ModelFacts
from tawasul_nlp.report.names import Name, Names
from tawasul_nlp.tables.labelled import open_labelled
from tawasul_nlp.text.personal_data import PLACEHOLDERS, find_personal_data

_EMBEDDED = 1000


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
    >>> found = drift({"text": streets}, {"text": water})
    >>> "topic" in found.changed, found.tests["topic"].beyond_chance
    (True, True)
    """
    advance = on_progress or (lambda *_: None)
    if (new is None) == (since is None):
        raise ValueError("drift compares two tables, or one that a day divides: give either a second table or since")
    sources = [open_labelled(table, text_column) for table in (reference, new) if table is not None]
    own = dict(label_columns) if isinstance(label_columns, Mapping) else {name: name for name in label_columns}
    basis = find_basis(sources, model, domain, prefix)
    _check_rounds(rounds, basis, own)
    for source in sources:
        source.check_columns(list(own.values()))
        source.check_columns([date_column] if date_column else [], "--date-column")
    periods = read_periods(
        sources,
        [{**columns, **own} for columns in basis.columns],
        date_column=date_column,
        since=since,
        on_progress=lambda share: advance("reading", share),
    )
    labels = basis.labels(periods.texts, periods.cells, advance)
    advance("testing", 0.0)
    found = _compared(periods, labels, basis, rounds, seed)
    advance("testing", 1.0)
    return found


def _check_rounds(rounds: int, basis: LabelBasis, own: Mapping[str, str]) -> None:
    """Raise if no number of dealings that differ less than the periods could show a change."""
    tests = len({*basis.dimensions, *own, "vocabulary"}) + len(basis.tasks) + (basis.classifier is not None)
    # The least p-value that dealing the rows anew can give is 1 / (rounds + 1), and Holm multiplies it by the tests.
    if tests / (rounds + 1) >= ALPHA:
        raise ValueError(f"{rounds} rounds cannot show a change by {tests} tests; give at least {round(tests / ALPHA)}")


def _compared(periods: Periods, labels: CaseLabels, basis: LabelBasis, rounds: int, seed: int) -> DriftResult:
    """Test everything, and adjust the p-values for all that was tested."""
    is_new, domain, classifier = periods.is_new, basis.domain, basis.classifier
    names = Names(domain)
    p_values: dict[str, float] = {}
    mixes: dict[str, LabelMix] = {}
    for dimension, values in labels.of.items():
        if any(values):
            named = partial(names.of, dimension)
            mixes[dimension], p_values[dimension] = label_mix(values, is_new, named, rounds, seed)
    impersonal = partial(_impersonal, domain)
    p_values["vocabulary"], words = word_shifts(periods.texts, is_new, rounds, seed, cleaned=impersonal)
    confidence: dict[str, ConfidenceShift] = {}
    for task, certainty in labels.confidence.items():
        confidence[task], p_values[f"{task} confidence"] = confidence_shift(certainty, is_new)
    embedding = None
    if classifier is not None:
        embedding, p_values["embedding"] = embedding_shift(classifier, periods.texts, is_new, rounds, seed)
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
        unknown=_unknown(labels, domain.gazetteer.levels, by_model=classifier is not None),
        words=tuple(replace(word, beyond_chance=word.beyond_chance and certain) for word in words),
        confidence=confidence,
        embedding=embedding,
        model=None if classifier is None else ModelFacts(classifier.folder.name, classifier.config.model_hash),
        levels=level_names(domain.gazetteer.levels),
        rounds=rounds,
        date=datetime.date.today().isoformat(),
        machine=machine(),
    )


def label_mix(
    values: Sequence[str], is_new: np.ndarray, named: Callable[[str], Name], rounds: int, seed: int
) -> tuple[LabelMix, float]:
    """Return how the mix of labels changed, a value a case, and its p-value."""
    ids, codes = np.unique(values, return_inverse=True)
    old, fresh = (np.bincount(codes[side], minlength=len(ids)) for side in (~is_new, is_new))
    changes = label_changes(old, fresh, [named(id) for id in ids.tolist()])
    return LabelMix(round(population_stability(old, fresh), 4), tuple(changes)), mix_change(old, fresh, rounds, seed)


def _as_certain_as(mix: LabelMix, adjusted_p: float) -> LabelMix:
    """Hold single labels to the test of their mix: each is as certain as the less certain (Meinshausen 2008)."""
    changes = []
    for each in mix.changes:
        p = round(max(each.adjusted_p, adjusted_p), 5)
        changes.append(replace(each, adjusted_p=p, beyond_chance=p < ALPHA))
    return replace(mix, changes=tuple(changes))


def confidence_shift(confidence: np.ndarray, is_new: np.ndarray) -> tuple[ConfidenceShift, float]:
    """Return how the model's confidence changed, and the p-value of the Kolmogorov-Smirnov test."""
    from scipy.stats import ks_2samp

    old, fresh = confidence[~is_new], confidence[is_new]
    test = ks_2samp(old, fresh)
    before, now = (round(float(side.mean()), 4) for side in (old, fresh))
    return ConfidenceShift(before, now, round(float(test.statistic), 4)), float(test.pvalue)


def embedding_shift(
    classifier: ComplaintClassifier, texts: Sequence[str], is_new: np.ndarray, rounds: int, seed: int
) -> tuple[EmbeddingShift, float]:
    """Return how the embeddings of at most 1,000 texts of each period differ, and the p-value."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(side))[:_EMBEDDED] for side in (~is_new, is_new)])
    vectors = classifier.encode([texts[row] for row in rows.tolist()])
    distance, p_value = mean_discrepancy(vectors, is_new[rows], rounds, seed)
    return EmbeddingShift(round(distance, 6), round(told_apart(vectors, is_new[rows], seed), 4)), p_value


def _unknown(labels: CaseLabels, levels: Levels, *, by_model: bool) -> dict[str, Unknown]:
    """Return why dimensions that cases may have were not compared."""
    found: dict[str, Unknown] = {
        dimension: Unknown("not_told" if by_model else "no_column", column)
        for dimension, column in {**level_columns(levels), URGENCY: URGENCY}.items()
        if dimension not in labels.of
    }
    for dimension, values in labels.of.items():
        if not any(values):
            found[dimension] = Unknown("no_value", dimension)
    return found


def _impersonal(domain: Domain, text: str) -> str:
    """Return a text without its personal data, names of people too, of which no word must be shown."""
    for span in reversed(find_personal_data(text, PLACEHOLDERS.keys(), domain)):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text
