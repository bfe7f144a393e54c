"""Evaluate a model on any labelled table: figures with intervals for each task, by slice, beside baselines."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import majority, tfidf_svm
from tawasul_nlp.evaluation.intervals import difference
from tawasul_nlp.evaluation.label_set_metrics import evaluate_label_sets, label_set_answers, label_set_baselines
from tawasul_nlp.evaluation.metrics import (
    Answers,
    answers,
    metrics_of,
    most_confused,
    reliability,
    risk_coverage,
    scores_by_label,
)
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.slices import length_bucket, review_rates, slice_accuracies
from tawasul_nlp.evaluation.task_result import (
    BaselineResult,
    ConfusionMatrix,
    DataFacts,
    LabelSetEvaluation,
    ModelFacts,
    RowHits,
    TaskEvaluation,
    TrainFacts,
)
from tawasul_nlp.model.label_sets import set_probability, sorted_cell
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.model.thresholds import decide
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable, open_labelled

CONFUSION_LABELS = 15
_CHUNK = 4096

Progress = Callable[[str, float], None]


def evaluate(
    model: ComplaintClassifier | str | Path | None,
    data: Any,
    *,
    text_column: str = "text",
    label_columns: Mapping[str, str] | Sequence[str] | None = None,
    slices: Sequence[str] = (),
    group_column: str | None = None,
    train: Any = None,
    resamples: int = 1000,
    on_progress: Progress | None = None,
) -> EvaluationResult:
    """Measure a model on labelled rows.

    Parameters
    ----------
    model : ComplaintClassifier, str, Path or None
        A classifier, what :meth:`ComplaintClassifier.from_pretrained` loads, or None for the bundled model.
    data : str, Path or table
        CSV, JSONL, Parquet or Excel; a table of pandas, Polars or Arrow, a ``datasets.Dataset``, a dictionary of
        columns; or what :func:`~tawasul_nlp.tables.open_labelled` returned, which has its text column already.
    text_column : str
    label_columns : mapping of str to str, sequence of str, or None
        The column of each task; names alone are those of tasks and columns alike. None for every task of the model
        that the table has a column for.
    slices : sequence of str
        Columns by whose values the accuracy is shown; it always is by the length of the text.
    group_column : str or None
        Rows with one value here are drawn together in the bootstrap, such as the reports of one incident.
    train : str, Path, table or None
        Training rows with the same columns, on which baselines are fitted.
    resamples : int
        Bootstrap resamples.
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    TableError
        If a table cannot be read, lacks a column, or has no row with a text.
    ValueError
        If a task is none of the model's or has no labelled row, or ``resamples`` is below 1.
    MissingExtraError
        If scikit-learn or scipy is not installed.

    Examples
    --------
    >>> table = {"text": ["المجاري طافحة في مجمع 714", "شكرا لعمال النظافة"], "kind": ["complaint", "praise"]}
    >>> result = evaluate(None, table, label_columns=["kind"], resamples=20)
    >>> result.tasks["kind"].n, result.tasks["kind"].metrics.accuracy.value
    (2, 1.0)
    """
    advance = on_progress or _ignore
    classifier = loaded(model)
    source = open_labelled(data, text_column)
    tasks = task_columns(label_columns, classifier, source)
    if isinstance(slices, str):
        raise ValueError(f"slices is {slices!r}, expected a list of columns; write [{slices!r}]")
    source.check_columns(slices, "--slices")
    source.check_columns([group_column] if group_column else [], "--group-column")
    wanted = [*tasks.values(), *slices, *([group_column] if group_column else [])]
    table = source.read(wanted, lambda share: advance("reading", share))
    known_rows = None
    if train is not None:
        known_rows = open_labelled(train, source.text_column).read(list(tasks.values()))
    for task, column in tasks.items():
        for each in [table] if known_rows is None else [table, known_rows]:
            if not any(each.columns[column]):
                raise ValueError(f"no row of {each.name} has a label in column {column!r}; name another for {task}")
    probabilities = predict_all(classifier, table.texts, list(tasks), advance)
    return evaluate_probabilities(
        classifier,
        table,
        tasks,
        probabilities,
        slices=slices,
        group_column=group_column,
        train=known_rows,
        resamples=resamples,
        on_progress=advance,
    )


def evaluate_probabilities(
    classifier: ComplaintClassifier,
    table: LabelledTable,
    tasks: Mapping[str, str],
    probabilities: Mapping[str, np.ndarray],
    *,
    slices: Sequence[str] = (),
    group_column: str | None = None,
    train: LabelledTable | None = None,
    resamples: int = 1000,
    on_progress: Progress | None = None,
) -> EvaluationResult:
    """Measure what a model makes of labelled rows, given its probabilities (n_texts, labels) for them; see `evaluate`.

    Parameters
    ----------
    tasks : mapping of str to str
        The column of each task.
    """
    advance = on_progress or _ignore
    groups = table.groups(group_column)
    found: dict[str, TaskEvaluation] = {}
    label_sets: dict[str, LabelSetEvaluation] = {}
    hits: dict[str, str] = {}
    counts: dict[str, tuple[tuple[int, int, int], ...]] = {}
    for at, (task, column) in enumerate(tasks.items()):
        advance("measuring", at / len(tasks))
        labels = np.array(table.columns[column])
        rows = np.flatnonzero(labels != "")
        truth = labels[rows].tolist()
        own = np.unique(groups[rows], return_inverse=True)[1]
        texts = [table.texts[row] for row in rows]
        learned = None if train is None else _labelled(train, column)
        settings, of_rows = classifier.config.tasks[task], probabilities[task][rows]
        common: dict[str, Any] = {
            "column": column,
            "unlabelled": len(table) - len(rows),
            "thresholds": settings.thresholds,
            "slices": {
                "length": [length_bucket(text) for text in texts],
                **{name: [table.columns[name][row] or "(none)" for row in rows] for name in slices},
            },
        }
        right = np.zeros(len(table), bool)
        if settings.multi_label:
            chosen = of_rows >= settings.label_threshold
            sets = label_set_answers(settings.labels, truth, chosen, set_probability(of_rows, chosen))
            baselines = {} if learned is None else label_set_baselines(*learned, texts, truth, sets, own, resamples)
            label_sets[task] = evaluate_label_sets(sets, settings.labels, own, resamples, baselines=baselines, **common)
            counts[task] = tuple((right, said, true) for right, said, true in sets.counts.tolist())
            right[rows] = sets.hits
        else:
            answered = answers(settings.labels, truth, of_rows, predicted=decide(settings, of_rows)[0])
            found[task] = evaluate_task(
                answered,
                own,
                resamples,
                baselines={} if learned is None else _baselines(*learned, texts, truth, answered, own, resamples),
                **common,
            )
            right[rows] = answered.hits
        hits[task] = hit_string(right, labels != "")
    advance("measuring", 1.0)
    return EvaluationResult(
        model=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        tasks=found,
        rows=RowHits(
            row_keys(
                table.texts,
                {
                    task: list(map(sorted_cell, table.columns[column])) if task in label_sets else table.columns[column]
                    for task, column in tasks.items()
                },
            ),
            hits,
            None if group_column is None else tuple(groups.tolist()),
            counts,
        ),
        resamples=resamples,
        date=datetime.date.today().isoformat(),
        machine=machine(),
        train=None if train is None else TrainFacts(train.name, len(train), _shared(train, table)),
        label_sets=label_sets,
    )


def _labelled(train: LabelledTable, column: str) -> tuple[list[str], list[str]]:
    """Return the texts that have a label, and their cells."""
    pairs = [(text, cell) for text, cell in zip(train.texts, train.columns[column], strict=True) if cell]
    return [text for text, _ in pairs], [cell for _, cell in pairs]


def evaluate_task(
    found: Answers,
    groups: np.ndarray,
    resamples: int,
    *,
    column: str = "",
    unlabelled: int = 0,
    thresholds: Mapping[str, float],
    slices: Mapping[str, Sequence[str]],
    baselines: Mapping[str, BaselineResult],
) -> TaskEvaluation:
    """Return all that is measured of one task's answers; ``groups`` and each of ``slices`` have a value a row."""
    assert found.confidence is not None
    unknown = Counter(found.labels[label] for label in found.truth[found.truth >= found.known].tolist())
    return TaskEvaluation(
        column=column,
        n=len(found.truth),
        unlabelled=unlabelled,
        unknown_labels=dict(unknown.most_common()),
        metrics=metrics_of(found, groups, resamples),
        reliability=reliability(found.confidence, found.hits),
        risk_coverage=risk_coverage(found.confidence, found.hits),
        review=review_rates(found.confidence, found.hits, thresholds),
        slices={name: slice_accuracies(found.hits, values, groups, resamples) for name, values in slices.items()},
        by_label=scores_by_label(found),
        most_confused=most_confused(found),
        confusion=confusion(found),
        baselines=dict(baselines),
    )


def loaded(model: ComplaintClassifier | str | Path | None) -> ComplaintClassifier:
    """Return the classifier that is given, or load it."""
    return model if isinstance(model, ComplaintClassifier) else ComplaintClassifier.from_pretrained(model)


def task_columns(
    given: Mapping[str, str] | Sequence[str] | None, classifier: ComplaintClassifier, source: LabelledSource
) -> dict[str, str]:
    """Return the column of each task that is asked for; None for those that have a column of their name.

    Raises
    ------
    ValueError
        If a task is none of the model's, or named twice, or there is none.
    MissingColumnError
        If the table lacks a column.
    """
    tasks = tuple(classifier.labels)
    if given is None:
        found = {task: task for task in tasks if task in source.columns}
        if not found:
            raise MissingColumnError(tasks[0], source.columns, option="--label-columns")
        return found
    if isinstance(given, str):
        raise ValueError(f"label_columns is {given!r}, expected a list of names or a mapping; write [{given!r}]")
    found = dict(given) if isinstance(given, Mapping) else {name: name for name in given}
    if not isinstance(given, Mapping) and len(found) < len(given):
        raise ValueError(f"the label columns name a task twice: {', '.join(given)}")
    if not found:
        raise ValueError("label_columns names no task; leave it out for every task that the table has a column for")
    for task in found:
        if task not in tasks:
            raise ValueError(
                f"label column {task!r} names no task of the model ({', '.join(tasks)}); "
                f"say which task it is for, as in {tasks[0]}={task}"
            )
    source.check_columns(list(found.values()))
    return found


def outputs(
    classifier: ComplaintClassifier, texts: Sequence[str], on_progress: Progress = lambda *_: None
) -> Iterator[ModelOutput]:
    """Yield what the model makes of the texts, some thousands at a time."""
    for start in range(0, len(texts), _CHUNK):
        yield classifier._forward(texts[start : start + _CHUNK])
        on_progress("predicting", min(1.0, (start + _CHUNK) / len(texts)))


def predict_all(
    classifier: ComplaintClassifier, texts: Sequence[str], tasks: Sequence[str], on_progress: Progress = lambda *_: None
) -> dict[str, np.ndarray]:
    """Return the probabilities (n_texts, labels) of each task from one pass, without keeping the embeddings."""
    parts = [each.probabilities for each in outputs(classifier, texts, on_progress)]
    return {task: np.concatenate([part[task] for part in parts]) for task in tasks}


def confusion(found: Answers) -> ConfusionMatrix:
    """Return the confusion matrix among the labels that take part in most mistakes."""
    from sklearn.metrics import confusion_matrix

    size = len(found.labels)
    wrong = ~found.hits
    mistakes = np.bincount(found.truth[wrong], minlength=size) + np.bincount(found.predicted[wrong], minlength=size)
    chosen = np.argsort(-mistakes, kind="stable")[:CONFUSION_LABELS]
    chosen = chosen[mistakes[chosen] > 0]
    if not len(chosen):
        return ConfusionMatrix((), ())
    matrix = confusion_matrix(found.truth, found.predicted, labels=chosen)
    return ConfusionMatrix(tuple(found.labels[index] for index in chosen), tuple(map(tuple, matrix.tolist())))


def _baselines(
    known_texts: list[str],
    labels: list[str],
    texts: list[str],
    truth: list[str],
    model: Answers,
    groups: np.ndarray,
    resamples: int,
) -> dict[str, BaselineResult]:
    """Fit the baselines of one task on the training rows; return their figures and the model's gain over each."""
    names = tuple(sorted(set(labels)))
    scores = {"majority": majority(labels, names, len(texts))}
    if len(names) > 1:
        scores["TF-IDF + linear SVM"] = tfidf_svm(known_texts, labels, names, texts)
    shown = {}
    for name, table in scores.items():
        found = answers(names, truth, table, probabilities=False)
        shown[name] = baseline_result(len(labels), found, model, groups, resamples)
    return shown


def baseline_result(rows: int, found: Answers, model: Answers, groups: np.ndarray, resamples: int) -> BaselineResult:
    """Return the figures of a baseline that learned from so many rows, and the model's gain over it."""
    gain = difference(model.hits, found.hits, groups, resamples)
    return BaselineResult(rows, metrics_of(found, groups, resamples), gain.points, gain.p_value)


def row_keys(texts: Sequence[str], labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a short hash of each row's text and labels, by which two results are known to be about the same rows."""
    rows = zip(texts, *(labels[task] for task in sorted(labels)), strict=True)
    return tuple(hashlib.sha256(json.dumps(row).encode()).hexdigest()[:12] for row in rows)


def hit_string(hits: np.ndarray, known: np.ndarray) -> str:
    """Write which answers are right as one character a row: ``1``, ``0``, or ``-`` where the row has no label.

    >>> hit_string(np.array([True, False, False]), np.array([True, True, False]))
    '10-'
    """
    return "".join("-" if not labelled else "1" if hit else "0" for hit, labelled in zip(hits, known, strict=True))


def _shared(train: LabelledTable, table: LabelledTable) -> int:
    """Count the evaluated texts that the training rows have as well, apart from signs and spaces."""
    known = {folded(text) for text in train.texts}
    return sum(folded(text) in known for text in table.texts)


def folded(text: str) -> str:
    """Return a text without signs and spaces, by which copies are known."""
    return "".join(char for char in text if char.isalnum())


def _ignore(doing: str, share: float) -> None:
    """Tell nobody."""
