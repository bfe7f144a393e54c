"""Evaluate a model on any labelled table: figures with intervals for each task, by slice, beside baselines."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import frequent_set, majority, tfidf_svm, tfidf_svms
from tawasul_nlp.evaluation.label_set_metrics import LabelSetAnswers, label_set_answers
from tawasul_nlp.evaluation.metrics import Answers, answers
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    LabelSetEvaluation,
    ModelFacts,
    RowHits,
    TaskEvaluation,
    TaskRows,
    TrainFacts,
    evaluate_label_sets,
    evaluate_task,
    length_bucket,
)
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import label_matrix, set_probability, sorted_cell, split_labels
from tawasul_nlp.model.thresholds import decide
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable, open_labelled

BASELINES = ("majority", "TF-IDF + linear SVM")
SET_BASELINES = ("most frequent set", "TF-IDF + linear SVM")
_CHUNK = 4096

Progress = Callable[[str, float], None]
SystemAnswers = Answers | LabelSetAnswers


def evaluate(
    model: ComplaintClassifier | str | Path | None,
    data: Any,
    *,
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
        columns; or what :func:`~tawasul_nlp.tables.open_labelled` returned for another text column than ``text``.
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
    advance = on_progress or (lambda *_: None)
    classifier = loaded(model)
    source = open_labelled(data)
    tasks = task_columns(label_columns, classifier, source)
    if isinstance(slices, str):
        raise ValueError(f"slices is {slices!r}, expected a list of columns; write [{slices!r}]")
    groups = [group_column] if group_column else []
    source.check_columns(slices, "--slices")
    source.check_columns(groups, "--group-column")
    table = source.read([*tasks.values(), *slices, *groups], lambda share: advance("reading", share))
    train_table = None if train is None else open_labelled(train, source.text_column).read(list(tasks.values()))
    for task, column in tasks.items():
        for each in (table, train_table):
            if each is not None and not any(each.columns[column]):
                raise ValueError(f"no row of {each.name} has a label in column {column!r}; name another for {task}")
    probabilities = predict_all(classifier, table.texts, list(tasks), advance)
    return evaluate_probabilities(
        classifier,
        table,
        tasks,
        probabilities,
        slices=slices,
        group_column=group_column,
        train=train_table,
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

    ``tasks`` are the columns of the tasks.
    """
    advance = on_progress or (lambda *_: None)
    groups = table.groups(group_column)
    measured: dict[str, MeasuredTask] = {}
    for number, (task, column) in enumerate(tasks.items()):
        advance("measuring", number / len(tasks))
        settings, labelled = classifier.config.tasks[task], np.array(table.columns[column]) != ""
        rows = np.flatnonzero(labelled).tolist()
        texts, truth = [table.texts[row] for row in rows], [table.columns[column][row] for row in rows]
        examples = (
            [] if train is None else [pair for pair in zip(train.texts, train.columns[column], strict=True) if pair[1]]
        )
        task_rows = TaskRows(
            column=column,
            unlabelled=len(table) - len(rows),
            groups=np.unique(groups[rows], return_inverse=True)[1],
            slices={
                "length": [length_bucket(text) for text in texts],
                **{name: [table.columns[name][row] or "(none)" for row in rows] for name in slices},
            },
            resamples=resamples,
            thresholds=settings.thresholds,
            train_rows=len(examples),
        )
        system = _answers(settings, truth, probabilities[task][rows])
        baselines = baseline_answers(examples, texts, truth, multi_label=settings.multi_label) if examples else {}
        measured[task] = MeasuredTask.of(labelled, task_rows, system, baselines)
    advance("measuring", 1.0)
    cells = {
        task: list(map(sorted_cell, table.columns[column]))
        if classifier.config.tasks[task].multi_label
        else table.columns[column]
        for task, column in tasks.items()
    }
    return evaluation_result(
        measured,
        model=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        keys=row_keys(table.texts, cells),
        groups=None if group_column is None else groups,
        resamples=resamples,
        train=None if train is None else TrainFacts(train.name, len(train), _shared(train, table)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTask:
    """What was measured of a task, which rows (n_rows,) have a label for it, and what was answered to these."""

    labelled: np.ndarray
    system: SystemAnswers
    evaluation: TaskEvaluation | LabelSetEvaluation

    @classmethod
    def of(
        cls, labelled: np.ndarray, rows: TaskRows, system: SystemAnswers, baselines: Mapping[str, SystemAnswers]
    ) -> MeasuredTask:
        """Measure the answers of a system, beside those of baselines, to the labelled rows."""
        if isinstance(system, Answers):
            alike = {name: each for name, each in baselines.items() if isinstance(each, Answers)}
            return cls(labelled, system, evaluate_task(system, rows, alike))
        sets = {name: each for name, each in baselines.items() if isinstance(each, LabelSetAnswers)}
        return cls(labelled, system, evaluate_label_sets(system, rows, sets))


def evaluation_result(
    measured: Mapping[str, MeasuredTask],
    *,
    model: ModelFacts,
    data: DataFacts,
    keys: tuple[str, ...],
    groups: np.ndarray | None,
    resamples: int,
    train: TrainFacts | None = None,
) -> EvaluationResult:
    """Return what was measured of all tasks, and which rows were answered rightly."""
    tasks: dict[str, TaskEvaluation] = {}
    label_sets: dict[str, LabelSetEvaluation] = {}
    hits: dict[str, str] = {}
    counts: dict[str, tuple[tuple[int, int, int], ...]] = {}
    for task, each in measured.items():
        right = np.zeros(len(each.labelled), bool)
        right[each.labelled] = each.system.hits
        hits[task] = hit_string(right, each.labelled)
        if isinstance(each.evaluation, TaskEvaluation):
            tasks[task] = each.evaluation
        else:
            label_sets[task] = each.evaluation
        if isinstance(each.system, LabelSetAnswers):
            counts[task] = tuple((right, said, true) for right, said, true in each.system.counts.tolist())
    return EvaluationResult(
        model=model,
        data=data,
        tasks=tasks,
        rows=RowHits(keys, hits, None if groups is None else tuple(groups.tolist()), counts),
        resamples=resamples,
        date=datetime.date.today().isoformat(),
        machine=machine(),
        train=train,
        label_sets=label_sets,
    )


def _answers(task: TaskConfig, truth: Sequence[str], probabilities: np.ndarray) -> SystemAnswers:
    """Return what a task of a model answers to rows, beside their labels."""
    if task.multi_label:
        chosen = probabilities >= task.label_threshold
        return label_set_answers(task.labels, truth, chosen, set_probability(probabilities, chosen))
    return answers(task.labels, truth, probabilities, predicted=decide(task, probabilities)[0])


def baseline_answers(
    examples: Sequence[tuple[str, str]], texts: Sequence[str], truth: Sequence[str], *, multi_label: bool
) -> dict[str, SystemAnswers]:
    """Fit the baselines of one task on training texts and their cells; return what they answer to other texts."""
    known_texts, cells = [text for text, _ in examples], [cell for _, cell in examples]
    if multi_label:
        names = tuple(sorted({label for cell in set(cells) for label in split_labels(cell)}))
        target = label_matrix(cells, names) == 1
        sets = (frequent_set(target, len(texts)), tfidf_svms(known_texts, target, texts))
        return {name: label_set_answers(names, truth, each) for name, each in zip(SET_BASELINES, sets, strict=True)}
    names = tuple(sorted(set(cells)))
    scores = [majority(cells, names, len(texts))]
    if len(names) > 1:
        scores.append(tfidf_svm(known_texts, cells, names, texts))
    return {
        name: answers(names, truth, each, probabilities=False) for name, each in zip(BASELINES, scores, strict=False)
    }


def loaded(model: ComplaintClassifier | str | Path | None) -> ComplaintClassifier:
    """Return the classifier that is given, or load it."""
    return model if isinstance(model, ComplaintClassifier) else ComplaintClassifier.from_pretrained(model)


def task_columns(
    label_columns: Mapping[str, str] | Sequence[str] | None, classifier: ComplaintClassifier, source: LabelledSource
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
    if label_columns is None:
        columns = {task: task for task in tasks if task in source.columns}
        if not columns:
            raise MissingColumnError(tasks[0], source.columns, option="--label-columns")
        return columns
    if isinstance(label_columns, str):
        raise ValueError(
            f"label_columns is {label_columns!r}, expected a list of names or a mapping; write [{label_columns!r}]"
        )
    columns = dict(label_columns) if isinstance(label_columns, Mapping) else {name: name for name in label_columns}
    if not isinstance(label_columns, Mapping) and len(columns) < len(label_columns):
        raise ValueError(f"the label columns name a task twice: {', '.join(label_columns)}")
    if not columns:
        raise ValueError("label_columns names no task; leave it out for every task that the table has a column for")
    for task in columns:
        if task not in tasks:
            raise ValueError(
                f"label column {task!r} names no task of the model ({', '.join(tasks)}); "
                f"say which task it is for, as in {tasks[0]}={task}"
            )
    source.check_columns(list(columns.values()))
    return columns


def predict_all(
    classifier: ComplaintClassifier, texts: Sequence[str], tasks: Sequence[str], on_progress: Progress = lambda *_: None
) -> dict[str, np.ndarray]:
    """Return the probabilities (n_texts, labels) of each task from one pass, without keeping the embeddings."""
    parts = []
    for start in range(0, len(texts), _CHUNK):
        parts.append(classifier._forward(texts[start : start + _CHUNK]).probabilities)
        on_progress("predicting", min(1.0, (start + _CHUNK) / len(texts)))
    return {task: np.concatenate([part[task] for part in parts]) for task in tasks}


def row_keys(texts: Sequence[str], labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a short hash of each row's text and labels, by which two results are known to be about the same rows."""
    rows = zip(texts, *(labels[task] for task in sorted(labels)), strict=True)
    return tuple(hashlib.sha256(json.dumps(row).encode()).hexdigest()[:12] for row in rows)


def hit_string(hits: np.ndarray, labelled: np.ndarray) -> str:
    """Write which answers are right as one character a row: ``1``, ``0``, or ``-`` where the row has no label.

    >>> hit_string(np.array([True, False, False]), np.array([True, True, False]))
    '10-'
    """
    return "".join("-" if not has_label else "1" if hit else "0" for hit, has_label in zip(hits, labelled, strict=True))


def _shared(train: LabelledTable, table: LabelledTable) -> int:
    """Count the evaluated texts that the training rows have as well, apart from signs and spaces."""
    train_texts = {folded(text) for text in train.texts}
    return sum(folded(text) in train_texts for text in table.texts)


def folded(text: str) -> str:
    """Return a text without signs and spaces, by which copies are known."""
    return "".join(char for char in text if char.isalnum())
