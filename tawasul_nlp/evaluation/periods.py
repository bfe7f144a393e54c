"""Say what changed between two periods of cases, and which changes are more than chance.

The mix of labels, the model's confidence, the vocabulary and the embeddings of two tables are compared. Each change has
a test, and the tests share one budget of false alarms: when both tables are random halves of one, 19 in 20 runs raise
no alarm at all.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.drift_result import (
    ConfidenceShift,
    DriftResult,
    DriftTest,
    EmbeddingShift,
    LabelMix,
    PeriodFacts,
    Points,
)
from tawasul_nlp.evaluation.evaluator import Progress, loaded, outputs, task_columns
from tawasul_nlp.evaluation.shifts import (
    ALPHA,
    coded,
    holm,
    jensen_shannon,
    label_changes,
    mean_discrepancy,
    mix_change,
    population_stability,
    told_apart,
    word_shifts,
)
from tawasul_nlp.evaluation.task_result import ModelFacts
from tawasul_nlp.model.decision import decide
from tawasul_nlp.tables.labelled import LabelledTable, open_labelled
from tawasul_nlp.tables.run.case_rows import read_date

LEAST_ROWS = 10
_HISTOGRAM = np.linspace(0, 1, 21)
_POINTS = 400


def drift(
    reference: Any,
    new: Any,
    model: ComplaintClassifier | str | Path | None = None,
    *,
    text_column: str = "text",
    label_columns: Mapping[str, str] | Sequence[str] | None = None,
    date_column: str | None = None,
    rounds: int = 499,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> DriftResult:
    """Compare two tables of cases.

    Parameters
    ----------
    reference, new : str, Path or table
        The earlier and the later cases: whatever :func:`~tawasul_nlp.evaluation.evaluate` takes.
    model : ComplaintClassifier, str, Path or None
        Its answers are compared, but those of multi-label tasks, and its embeddings.
    text_column : str
    label_columns : mapping of str to str, sequence of str, or None
        Columns of the true labels of tasks, whose mix is compared; None compares the mix of the model's answers.
    date_column : str or None
        Column of both tables with dates, to show the periods.
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
        If a table cannot be read, lacks a column, or has no row with a text.
    ValueError
        If a table has fewer than 10 usable rows, or no date of it can be read, or the rounds are too few for any test
        to show a change; if a text has several labels of every task, or of one that is named.

    Examples
    --------
    >>> streets = [f"الشارع مظلم عند بيت {number}" for number in range(30)]
    >>> water = [f"الماي مقطوع عن بيت {number}" for number in range(30)]
    >>> drift({"text": streets}, {"text": water}, rounds=199).alarms
    (...'topic mix'...)
    """
    advance = on_progress or (lambda *_: None)
    classifier = loaded(model)
    sources = open_labelled(reference, text_column), open_labelled(new, text_column)
    tasks = None
    if label_columns is not None:
        tasks = task_columns(label_columns, classifier, sources[0])
    several = classifier.multi_label_tasks
    compared = [task for task in classifier.labels if task not in several]
    if not compared or set(several) & (tasks or {}).keys():
        raise ValueError(
            f"drift compares the mix of labels where a text has one; of {', '.join(several)} it has several"
            f"{', so name another task' if compared else ', and the model has no other task'}"
        )
    tests = len(compared) + len(tasks or compared) + 2
    # The least p-value that dealing the rows anew can give is 1 / (rounds + 1), and Holm multiplies it by the tests.
    if tests / (rounds + 1) >= ALPHA:
        raise ValueError(f"{rounds} rounds cannot show a change by {tests} tests; give at least {round(tests / ALPHA)}")
    wanted = [*(tasks or {}).values(), *([date_column] if date_column else [])]
    for source in sources:
        source.check_columns([date_column] if date_column else [], "--date-column")
    old, fresh = (source.read(wanted, lambda share: advance("reading", share)) for source in sources)
    for table in (old, fresh):
        if len(table) < LEAST_ROWS:
            raise ValueError(f"{table.name} has {len(table)} usable rows; a comparison needs at least {LEAST_ROWS}")
    periods = _period(old, date_column), _period(fresh, date_column)
    texts = old.texts + fresh.texts
    is_new = np.arange(len(texts)) >= len(old)
    probabilities, vectors = _predicted(classifier, compared, texts, advance)
    advance("testing", 0.0)
    p_values: dict[str, float] = {}
    labels: dict[str, LabelMix] = {}
    confidence: dict[str, ConfidenceShift] = {}
    for task, shares in probabilities.items():
        answers, certainty = decide(classifier.config.tasks[task], shares)
        if tasks is None:
            codes, names = coded([classifier.labels[task][index] for index in answers])
            labels[task], p_values[f"{task} mix"] = label_mix(codes, names, is_new, rounds, seed)
        confidence[task], p_values[f"{task} confidence"] = confidence_shift(certainty, is_new)
    for task, column in (tasks or {}).items():
        codes, names = coded([value or "(none)" for value in old.columns[column] + fresh.columns[column]])
        labels[task], p_values[f"{task} mix"] = label_mix(codes, names, is_new, rounds, seed)
    p_values["vocabulary"], *words = word_shifts(texts, is_new, rounds, seed)
    distance, p_values["embedding"] = mean_discrepancy(vectors, is_new, rounds, seed)
    adjusted = holm(p_values)
    # Single words are only named where the vocabulary as a whole changed: one budget of false alarms for everything.
    certain = adjusted["vocabulary"] < ALPHA
    changed, unseen = (
        tuple(replace(word, beyond_chance=word.beyond_chance and certain) for word in shifts) for shifts in words
    )
    advance("testing", 1.0)
    return DriftResult(
        model=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        reference=periods[0],
        new=periods[1],
        tests={
            name: DriftTest(round(p, 5), round(adjusted[name], 5), adjusted[name] < ALPHA)
            for name, p in p_values.items()
        },
        labels_are="answered" if tasks is None else "true",
        labels={task: _as_certain_as(mix, adjusted[f"{task} mix"]) for task, mix in labels.items()},
        confidence=confidence,
        changed_words=changed,
        unseen_words=unseen,
        embedding=EmbeddingShift(
            round(distance, 6), round(told_apart(vectors, is_new, seed), 4), *_plane(vectors, is_new, seed)
        ),
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


def _predicted(
    classifier: ComplaintClassifier, tasks: Sequence[str], texts: list[str], on_progress: Progress
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return each task's probabilities (n_texts, labels) and the embeddings (n_texts, hidden)."""
    found = list(outputs(classifier, texts, on_progress))
    return (
        {task: np.concatenate([each.probabilities[task] for each in found]) for task in tasks},
        np.concatenate([each.embedding for each in found]),
    )


def label_mix(
    codes: np.ndarray, names: list[str], is_new: np.ndarray, rounds: int, seed: int
) -> tuple[LabelMix, float]:
    """Return how the mix of labels changed, and its p-value."""
    statistic, p_value = mix_change(codes, is_new, rounds, seed)
    old = np.bincount(codes[~is_new], minlength=len(names))
    fresh = np.bincount(codes[is_new], minlength=len(names))
    return LabelMix(
        round(statistic, 2),
        round(population_stability(old, fresh), 4),
        round(jensen_shannon(old, fresh), 4),
        tuple(label_changes(codes, is_new, names)),
    ), p_value


def confidence_shift(confidence: np.ndarray, is_new: np.ndarray) -> tuple[ConfidenceShift, float]:
    """Return how the model's confidence changed, and the p-value of the Kolmogorov-Smirnov test."""
    from scipy.stats import ks_2samp

    old, fresh = confidence[~is_new], confidence[is_new]
    test = ks_2samp(old, fresh)
    first, second = (tuple((np.histogram(side, _HISTOGRAM)[0] / len(side)).round(4).tolist()) for side in (old, fresh))
    return ConfidenceShift(
        (round(float(old.mean()), 4), round(float(fresh.mean()), 4)), round(float(test.statistic), 4), (first, second)
    ), float(test.pvalue)


def _plane(vectors: np.ndarray, is_new: np.ndarray, seed: int) -> tuple[Points, Points]:
    """Return some rows of each table on the plane that spreads the embeddings most."""
    from sklearn.decomposition import PCA

    plane = PCA(2, random_state=seed).fit_transform(vectors)
    rng = np.random.default_rng(seed)
    old, fresh = (
        tuple(map(tuple, plane[rng.permutation(np.flatnonzero(side))[:_POINTS]].round(3).tolist()))
        for side in (~is_new, is_new)
    )
    return old, fresh


def _period(table: LabelledTable, date_column: str | None) -> PeriodFacts:
    facts = PeriodFacts(table.name, len(table), tuple(table.unusable))
    if date_column is None:
        return facts
    days: Counter[str] = Counter()
    unread = 0
    for value in table.columns[date_column]:
        try:
            moment = read_date(value)
        except ValueError:
            moment = None
        if moment is None:
            unread += 1
        else:
            days[moment.date().isoformat()] += 1
    if not days:
        raise ValueError(f"no date of column {date_column!r} in {table.name} can be read; write 2026-03-01 or 1/3/2026")
    return replace(facts, first=min(days), last=max(days), dates_unread=unread, days=dict(sorted(days.items())))
