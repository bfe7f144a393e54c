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
from tawasul_nlp.evaluation.baselines import baseline_answers
from tawasul_nlp.evaluation.label_set_metrics import LabelSetAnswers, label_set_answers
from tawasul_nlp.evaluation.metrics import answers
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    ModelFacts,
    RowHits,
    SystemAnswers,
    TaskEvaluation,
    TaskRows,
    TrainFacts,
    evaluate_task,
    length_bucket,
)
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import set_probability, sorted_cell
from tawasul_nlp.model.thresholds import decide
from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.labelled import LabelledSource, LabelledTable, open_labelled

_CHUNK = 4096

Progress = Callable[[str, float], None]


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
        What :meth:`ComplaintClassifier.from_pretrained` loads, or a classifier.
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
    on_progress : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ValueError, TableError
        If a task is none of the model's or has no labelled row, or a table lacks a column or has no text.

    Examples
    --------
    >>> table = {"text": ["المجاري طافحة في مجمع 714", "شكرا لعمال النظافة"], "kind": ["complaint", "praise"]}
    >>> result = evaluate(None, table, label_columns=["kind"], resamples=20)
    >>> result.tasks["kind"].n, result.tasks["kind"].metrics.accuracy.value
    (2, 1.0)
    """
    advance = on_progress or (lambda *_: None)
    if isinstance(slices, str):
        raise ValueError(f"slices is {slices!r}, expected a list of columns; write [{slices!r}]")
    classifier = loaded(model)
    source = open_labelled(data)
    tasks = task_columns(label_columns, classifier, source)
    table = read_columns(source, tasks, {"--slices": slices, "--group-column": [group_column or ""]}, advance)
    train_table = None if train is None else open_labelled(train, source.text_column).read(list(tasks.values()))
    _check_labels(tasks, table, train_table)
    probabilities = predict_all(classifier, table.texts, list(tasks), advance)
    advance("measuring", 0.0)
    return evaluate_probabilities(
        classifier,
        table,
        tasks,
        probabilities,
        slices=slices,
        group_column=group_column,
        train=train_table,
        resamples=resamples,
    )


def read_columns(
    source: LabelledSource, tasks: Mapping[str, str], options: Mapping[str, Sequence[str]], advance: Progress
) -> LabelledTable:
    """Read the texts of a table with the columns of tasks, and those that options name, if they name any."""
    others = {option: [column for column in columns if column] for option, columns in options.items()}
    for option, columns in others.items():
        source.check_columns(columns, option)
    columns = [*tasks.values(), *(column for columns in others.values() for column in columns)]
    return source.read(columns, lambda share: advance("reading", share))


def _check_labels(tasks: Mapping[str, str], *tables: LabelledTable | None) -> None:
    for task, column in tasks.items():
        for table in tables:
            if table is not None and not any(table.columns[column]):
                raise ValueError(f"no row of {table.name} has a label in column {column!r}; name another for {task}")


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
) -> EvaluationResult:
    """Measure a model's probabilities (n_texts, labels) of labelled rows; ``tasks`` has the column of each task."""
    groups = table.groups(group_column)
    measured: dict[str, MeasuredTask] = {}
    for task, column in tasks.items():
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
        measured[task] = MeasuredTask(labelled, system, evaluate_task(system, task_rows, baselines))
    return evaluation_result(
        measured,
        model=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        keys=row_keys(table.texts, _comparable(table, tasks, classifier)),
        groups=None if group_column is None else groups,
        resamples=resamples,
        train=None if train is None else TrainFacts(train.name, len(train), _shared(train, table)),
    )


def _comparable(
    table: LabelledTable, tasks: Mapping[str, str], classifier: ComplaintClassifier
) -> dict[str, list[str]]:
    """Return the labels of each task; several of one row in one order."""
    cells = {task: table.columns[column] for task, column in tasks.items()}
    several = classifier.multi_label_tasks
    return {task: list(map(sorted_cell, labels)) if task in several else labels for task, labels in cells.items()}


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTask:
    """What was measured of a task, which rows (n_rows,) have a label for it, and what was answered to these."""

    labelled: np.ndarray
    system: SystemAnswers
    evaluation: TaskEvaluation[Any]


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
    hits: dict[str, str] = {}
    for task, of_task in measured.items():
        right = np.zeros(len(of_task.labelled), bool)
        right[of_task.labelled] = of_task.system.hits
        hits[task] = hit_string(right, of_task.labelled)
    label_sets = {task: each.system for task, each in measured.items() if isinstance(each.system, LabelSetAnswers)}
    counts = {
        task: tuple((right, said, true) for right, said, true in system.counts.tolist())
        for task, system in label_sets.items()
    }
    return EvaluationResult(
        model=model,
        data=data,
        tasks={task: each.evaluation for task, each in measured.items() if task not in label_sets},
        rows=RowHits(keys, hits, None if groups is None else tuple(groups.tolist()), counts),
        resamples=resamples,
        date=datetime.date.today().isoformat(),
        machine=machine(),
        train=train,
        label_sets={task: measured[task].evaluation for task in label_sets},
    )


def _answers(task: TaskConfig, truth: Sequence[str], probabilities: np.ndarray) -> SystemAnswers:
    """Return what a task of a model answers to rows, beside their labels."""
    if task.multi_label:
        chosen = probabilities >= task.label_threshold
        return label_set_answers(task.labels, truth, chosen, set_probability(probabilities, chosen))
    return answers(task.labels, truth, probabilities, predicted=decide(task, probabilities)[0])


def loaded(model: ComplaintClassifier | str | Path | None) -> ComplaintClassifier:
    """Return the classifier that is given, or load it."""
    return model if isinstance(model, ComplaintClassifier) else ComplaintClassifier.from_pretrained(model)


def task_columns(
    label_columns: Mapping[str, str] | Sequence[str] | None, classifier: ComplaintClassifier, source: LabelledSource
) -> dict[str, str]:
    """Return the column of each task that is asked for; None for those that have a column of their name.

    Raises ValueError if a task is none of the model's, or named twice, or there is none.
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
