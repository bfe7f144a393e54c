"""Evaluate a model on any labelled table: figures with intervals for each task, by slice, beside baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import majority, tfidf_svm
from tawasul_nlp.evaluation.metrics import (
    TARGETS,
    Answers,
    answers,
    bootstrap,
    difference,
    figures_with_intervals,
    interval_of_alike,
    most_confused,
    reliability,
    risk_coverage,
    slice_accuracy,
)
from tawasul_nlp.evaluation.text_table import TextTable, hit_string, row_keys
from tawasul_nlp.model.folder import file_hash

LENGTHS = ((0, "1-50"), (51, "51-100"), (101, "101-200"), (201, "201-400"), (401, "above 400"))
MOST_SLICES = 20
CONFUSION_LABELS = 15
_CHUNK = 4096


def evaluate(
    classifier: ComplaintClassifier,
    table: TextTable,
    tasks: dict[str, str],
    *,
    slices: Sequence[str] = (),
    group_column: str | None = None,
    train: TextTable | None = None,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Return everything that the report shows, ready for JSON.

    Parameters
    ----------
    classifier : ComplaintClassifier
    table : TextTable
        With the columns that the other arguments name.
    tasks : dict of str to str
        The column of each task that is evaluated.
    slices : sequence of str
        Columns by whose values the accuracy is shown; the length of the text always is.
    group_column : str or None
        Rows with one value here are drawn together in the bootstrap, such as the reports of one incident.
    train : TextTable or None
        Training rows with the same label columns: baselines are fitted on them.
    resamples : int
        Bootstrap resamples.

    Raises
    ------
    ValueError
        If a task has no labelled row.
    """
    probabilities = read_all(classifier, table.texts, list(tasks))
    groups = table.groups(group_column)
    thresholds = classifier.info()["thresholds"]
    result: dict[str, Any] = {
        "model": {"folder": classifier.folder.name, "hash": classifier.config.model_hash},
        "data": {
            "file": table.path.name,
            "sha256": file_hash(table.path),
            "rows": len(table),
            "not_usable": [list(row) for row in table.skipped],
            "groups": group_column,
        },
        "resamples": resamples,
        "tasks": {},
    }
    if train is not None:
        result["train"] = {"file": train.path.name, "rows": len(train), "texts_in_both": _shared(train, table)}
    hits: dict[str, str] = {}
    for task, column in tasks.items():
        truth = table.columns[column]
        known = np.array([bool(label) for label in truth])
        if not known.any():
            raise ValueError(f"no row of {table.path} has a label in column {column!r}; name another column for {task}")
        rows = np.flatnonzero(known)
        found = answers(classifier.labels[task], [truth[row] for row in rows], probabilities[task][rows])
        own = np.unique(groups[rows], return_inverse=True)[1]
        part = evaluate_task(found, own, resamples)
        unknown = Counter(truth[row] for row in rows if truth[row] not in set(classifier.labels[task]))
        part |= {"column": column, "unlabelled": int((~known).sum()), "unknown_labels": dict(unknown.most_common())}
        part["review"] = review(found, thresholds.get(task, {}))
        part["slices"] = {
            name: _sliced(found.hits, values, own, resamples)
            for name, values in (
                ("length", [length_bucket(table.texts[row]) for row in rows]),
                *((name, [table.columns[name][row] or "(none)" for row in rows]) for name in slices),
            )
        }
        if train is not None:
            texts = [table.texts[row] for row in rows]
            part["baselines"] = baselines(train, column, texts, [truth[row] for row in rows], found, own, resamples)
        result["tasks"][task] = part
        right = np.zeros(len(table), bool)
        right[rows] = found.hits
        hits[task] = hit_string(right, known)
    keys = row_keys(table.texts, {task: table.columns[column] for task, column in tasks.items()})
    result["rows"] = {"keys": keys, "hits": hits}
    if group_column is not None:
        result["rows"]["groups"] = groups.tolist()
    return result


def read_all(classifier: ComplaintClassifier, texts: Sequence[str], tasks: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the probabilities (n_texts, labels) of each task from one pass, without keeping the embeddings."""
    parts = [classifier._forward(texts[start : start + _CHUNK]).probabilities for start in range(0, len(texts), _CHUNK)]
    return {task: np.concatenate([part[task] for part in parts]) for task in tasks}


def evaluate_task(found: Answers, groups: np.ndarray, resamples: int) -> dict[str, Any]:
    """Return a task's figures with intervals, its curves and its confusions."""
    assert found.confidence is not None
    labels, matrix = confusion(found)
    return {
        "n": len(found.truth),
        "labels": len(found.labels),
        "figures": figures_with_intervals(found, groups, resamples),
        "reliability": reliability(found.confidence, found.hits),
        "risk_coverage": risk_coverage(found.confidence, found.hits),
        "most_confused": most_confused(found),
        "confusion": {"labels": labels, "matrix": matrix.tolist()},
    }


def confusion(found: Answers) -> tuple[list[str], np.ndarray]:
    """Return the labels that take part in most mistakes, and the confusion matrix (true, predicted) among them."""
    size = len(found.labels)
    wrong = ~found.hits
    mistakes = np.bincount(found.truth[wrong], minlength=size) + np.bincount(found.predicted[wrong], minlength=size)
    chosen = np.argsort(-mistakes, kind="stable")[:CONFUSION_LABELS]
    chosen = chosen[mistakes[chosen] > 0]
    place = np.full(size, -1)
    place[chosen] = np.arange(len(chosen))
    inside = (place[found.truth] >= 0) & (place[found.predicted] >= 0)
    matrix = np.zeros((len(chosen), len(chosen)), int)
    np.add.at(matrix, (place[found.truth[inside]], place[found.predicted[inside]]), 1)
    return [found.labels[index] for index in chosen], matrix


def review(found: Answers, thresholds: dict[str, float]) -> dict[str, dict[str, float | None]]:
    """Return, for each target error of the model's stored thresholds, what they do on these rows."""
    assert found.confidence is not None
    shown: dict[str, dict[str, float | None]] = {}
    for target, threshold in thresholds.items():
        accepted = found.confidence >= threshold
        error = round(float((~found.hits[accepted]).mean()), 4) if accepted.any() else None
        shown[target] = {
            "threshold": round(float(threshold), 4),
            "coverage": round(float(accepted.mean()), 4),
            "error": error,
        }
    return shown


def baselines(
    train: TextTable,
    column: str,
    texts: list[str],
    truth: list[str],
    model: Answers,
    groups: np.ndarray,
    resamples: int,
) -> dict[str, Any]:
    """Fit the baselines of one task on the training rows; return their figures and the model's gain over each."""
    pairs = [(text, label) for text, label in zip(train.texts, train.columns[column], strict=True) if label]
    if not pairs:
        raise ValueError(f"no row of {train.path} has a label in column {column!r}")
    known_texts, labels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    names = tuple(sorted(set(labels)))
    scores = {"majority": majority(labels, names, len(texts))}
    if len(names) > 1:
        scores["TF-IDF + linear SVM"] = tfidf_svm(known_texts, labels, names, texts)
    shown = {}
    for name, table in scores.items():
        found = answers(names, truth, table, probabilities=False)
        gain = difference(model.hits, found.hits, groups, resamples)
        shown[name] = {
            "train_rows": len(pairs),
            "figures": figures_with_intervals(found, groups, resamples),
            "gain_in_points": list(gain.points),
            "p_value": gain.p_value,
        }
    return shown


def length_bucket(text: str) -> str:
    """Return the bucket of a text's length in characters.

    >>> length_bucket("المجاري طافحة"), length_bucket("ا" * 101)
    ('1-50', '101-200')
    """
    return [name for least, name in LENGTHS if len(text) >= least][-1]


def _sliced(hits: np.ndarray, values: list[str], groups: np.ndarray, resamples: int) -> dict[str, Any]:
    counts = Counter(values)
    order = [name for _, name in LENGTHS]
    kept = [name for name, _ in counts.most_common(MOST_SLICES)]
    if set(counts) <= set(order):
        kept = [name for name in order if name in counts]
    names = kept + (["(other)"] if len(counts) > len(kept) else [])
    code = {name: index for index, name in enumerate(names)}
    codes = np.array([code.get(value, len(names) - 1) for value in values])
    intervals = bootstrap(slice_accuracy(hits, codes, names), groups, resamples)
    sizes, right = np.bincount(codes, minlength=len(names)), np.bincount(codes, hits, len(names)).astype(int)
    shown = {}
    for name, n, correct in zip(names, sizes.tolist(), right.tolist(), strict=True):
        alike = correct in (0, n)
        accuracy = interval_of_alike(correct == n, groups[codes == code[name]]) if alike else intervals[name]
        shown[name] = {"n": n, "accuracy": accuracy}
    return shown


def _shared(train: TextTable, table: TextTable) -> int:
    """Count the evaluated texts that the training rows have as well, apart from signs and spaces."""

    def folded(text: str) -> str:
        return "".join(char for char in text if char.isalnum())

    known = {folded(text) for text in train.texts}
    return sum(folded(text) in known for text in table.texts)


def targets_reached(part: dict[str, Any]) -> dict[float, float]:
    """Return the coverage that a task reaches at each target error."""
    return {target: part["figures"][f"coverage_at_{target * 100:.0f}"][0] for target in TARGETS}


def data_columns(tasks: dict[str, str], slices: Sequence[str], group_column: str | None) -> list[str]:
    """Return every column that an evaluation reads beside the text."""
    return [*tasks.values(), *slices, *([group_column] if group_column else [])]
