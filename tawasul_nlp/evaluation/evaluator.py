"""Evaluate a model on any labelled table: figures with intervals for each task, by slice, beside baselines."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import machine
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.baselines import baseline_answers
from tawasul_nlp.evaluation.result import EvaluationResult
from tawasul_nlp.evaluation.task_answers import task_answers
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    ModelFacts,
    RowHits,
    TaskSystems,
    TrainFacts,
    evaluate_task,
    length_bucket,
)
from tawasul_nlp.model.label_sets import sorted_cell
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
    >>> result.tasks["kind"].n, result.tasks["kind"].metrics["accuracy"].value
    (2, 1.0)
    """
    advance = on_progress or (lambda *_: None)
    if isinstance(slices, str):
        raise ValueError(f"slices is {slices!r}, expected a list of columns; write [{slices!r}]")
    classifier = loaded(model)
    source = open_labelled(data)
    tasks = task_columns(label_columns, classifier, source)
    table = read_columns(source, tasks, {"--slices": slices, "--group-column": [group_column or ""]}, advance)
    if train is not None:
        train = open_labelled(train, source.text_column).read(list(tasks.values()))
    _check_labels(tasks, table, train)
    probabilities = predict_all(classifier, table.texts, list(tasks), advance)
    advance("measuring", 0.0)
    return evaluate_probabilities(
        classifier,
        table,
        tasks,
        probabilities,
        slices=slices,
        group_column=group_column,
        train=train,
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
    systems: dict[str, TaskSystems] = {}
    for task, column in tasks.items():
        settings, cells = classifier.config.tasks[task], table.columns[column]
        rows = [row for row, cell in enumerate(cells) if cell]
        texts, truth = [table.texts[row] for row in rows], [cells[row] for row in rows]
        examples = (
            [] if train is None else [pair for pair in zip(train.texts, train.columns[column], strict=True) if pair[1]]
        )
        systems[task] = TaskSystems(
            column=column,
            labelled=np.array(cells) != "",
            model=task_answers(settings, truth, probabilities[task][rows]),
            baselines=baseline_answers(examples, texts, truth, multi_label=settings.multi_label) if examples else {},
            train_rows=len(examples),
            thresholds=settings.thresholds,
        )
    sliced = {name: [value or "(none)" for value in table.columns[name]] for name in slices}
    return evaluation_result(
        systems,
        model=ModelFacts(classifier.folder.name, classifier.config.model_hash),
        data=DataFacts(table.name, table.sha256, len(table), tuple(table.unusable), group_column),
        keys=row_keys(table.texts, {task: table.columns[column] for task, column in tasks.items()}),
        groups=table.groups(group_column),
        slices={"length": list(map(length_bucket, table.texts)), **sliced},
        resamples=resamples,
        train=None if train is None else TrainFacts(train.name, len(train), _shared(train, table)),
    )


def evaluation_result(
    systems: Mapping[str, TaskSystems],
    *,
    model: ModelFacts,
    data: DataFacts,
    keys: tuple[str, ...],
    groups: np.ndarray,
    slices: Mapping[str, Sequence[str]],
    resamples: int,
    train: TrainFacts | None = None,
) -> EvaluationResult:
    """Measure what was answered for all tasks, and note which rows were answered rightly."""
    hits = {task: hit_string(each.model.hits, each.labelled) for task, each in systems.items()}
    return EvaluationResult(
        model=model,
        data=data,
        tasks={task: evaluate_task(each, groups, slices, resamples) for task, each in systems.items()},
        rows=RowHits(keys, hits, tuple(groups.tolist()) if len(np.unique(groups)) < len(groups) else None),
        resamples=resamples,
        date=datetime.date.today().isoformat(),
        machine=machine(),
        train=train,
    )


def loaded(model: ComplaintClassifier | str | Path | None, domain: Domain | None = None) -> ComplaintClassifier:
    """Return the classifier that is given, or load it, perhaps with another pack."""
    if isinstance(model, ComplaintClassifier):
        return model
    return ComplaintClassifier.from_pretrained(model, domain=domain)


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
    """Return a short hash of each row's text and labels, by which two results are known to be about the same rows.

    Several labels of one row count in any order.
    """
    rows = zip(texts, *(map(sorted_cell, labels[task]) for task in sorted(labels)), strict=True)
    return tuple(hashlib.sha256(json.dumps(row).encode()).hexdigest()[:12] for row in rows)


def hit_string(hits: np.ndarray, labelled: np.ndarray) -> str:
    """Write which answers to labelled rows are right, one character a row: ``1``, ``0``, or ``-`` without a label.

    >>> hit_string(np.array([True, False]), np.array([True, True, False]))
    '10-'
    """
    marks = np.full(len(labelled), "-")
    marks[labelled] = np.where(hits, "1", "0")
    return "".join(marks.tolist())


def _shared(train: LabelledTable, table: LabelledTable) -> int:
    """Count the evaluated texts that the training rows have as well, apart from signs and spaces."""
    train_texts = {folded(text) for text in train.texts}
    return sum(folded(text) in train_texts for text in table.texts)


def folded(text: str) -> str:
    """Return a text without signs and spaces, by which copies are known."""
    return "".join(char for char in text if char.isalnum())
