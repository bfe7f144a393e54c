"""What a finished model reaches on its validation rows, whole and by slices, for its metrics file and card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation import EvaluationResult, evaluate
from tawasul_nlp.evaluation.evaluator import review
from tawasul_nlp.evaluation.metrics import answers, most_confused, scores_by_label, summariser
from tawasul_nlp.training.dataset import WholeTable

RARE = 20
_LISTED = 5
_MOST_VALUES = 20
# The target error at which it is told how many answers of a slice are accepted.
_TARGET = "0.05"


def measure(
    classifier: ComplaintClassifier,
    texts: list[str],
    truth: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    leaked: np.ndarray,
    slices: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Measure each task on labelled texts.

    Parameters
    ----------
    classifier : ComplaintClassifier
    texts : list of str
    truth : mapping of str to ndarray of int, shape (n_texts,)
        Label index for each task; -1 where a text has none.
    trained : mapping of str to ndarray of int, shape (labels,)
        Training texts of each label.
    leaked : ndarray of bool, shape (n_texts,)
        Texts that may be duplicates of a training text.
    slices : sequence of (str, str)
        A column and each text's value in it, or nothing; the most frequent values are slices of their own.

    Returns
    -------
    dict
        For each task: texts, accuracy, macro_f1, top3, calibration_error, thresholds (share accepted and error among
        them, for each target error), the least error that a threshold promises, slices, weakest labels and confusions.
    """
    reading = classifier._forward(texts)
    lengths = np.array([len(text) for text in texts])
    measured = {}
    for task, target in truth.items():
        known = np.flatnonzero(target >= 0)
        own = [slices[row] for row in known.tolist()] if slices else []
        parts = {
            **_by_value(own),
            **_by_length(lengths[known]),
            "no duplicate in training": ~leaked[known],
            "may be a duplicate of a training text": leaked[known],
            f"label with fewer than {RARE} training texts": trained[task][target[known]] < RARE,
            "longer than the encoder reads": reading.truncated[known],
        }
        settings = classifier.config.tasks[task]
        labels = [settings.labels[label] for label in target[known].tolist()]
        found = answers(settings.labels, labels, reading.probabilities[task][known])
        figures = summariser(found)(np.ones(len(known)))
        accepted = reading.probabilities[task][known].max(1) >= settings.thresholds[_TARGET]
        measured[task] = {
            "texts": len(known),
            **{name: round(figures[name], 4) for name in ("accuracy", "macro_f1", "top3")},
            "calibration_error": round(figures["ece"], 4),
            "slices": {
                name: {
                    "texts": int(rows.sum()),
                    "accuracy": round(float(found.hits[rows].mean()), 4),
                    "accepted": round(float(accepted[rows].mean()), 4),
                    "error": round(float(1 - found.hits[rows & accepted].mean()), 4) if accepted[rows].any() else None,
                }
                for name, rows in parts.items()
                if rows.any()
            },
            "weakest": [
                {"label": each.label, "texts": each.n, "f1": each.f1} for each in scores_by_label(found)[:_LISTED]
            ],
            "confusions": [
                {"label": pair.true, "answered": pair.predicted, "texts": pair.n}
                for pair in most_confused(found, _LISTED)
            ],
            "thresholds": {
                name: {"threshold": rate.threshold, "accepted": rate.coverage, "error": rate.error}
                for name, rate in review(found, settings.thresholds).items()
            },
            "least_error": settings.curve[0][1] if settings.curve else None,
        }
    return measured


def evaluate_rows(
    model: ComplaintClassifier, whole: WholeTable, rows: np.ndarray, train: np.ndarray | None = None
) -> EvaluationResult:
    """Measure a model on some rows of a table; rows of one group are drawn together in the bootstrap.

    Parameters
    ----------
    model : ComplaintClassifier
    whole : WholeTable
    rows : ndarray of bool, shape (n_rows,)
    train : ndarray of bool, shape (n_rows,), optional
        Rows on which baselines are fitted.
    """
    texts = list(whole.rows["text"])

    def table(rows: np.ndarray) -> dict[str, list[str]]:
        chosen = np.flatnonzero(rows).tolist()
        found = {"text": [texts[at] for at in chosen], "\0group": [str(whole.groups[at]) for at in chosen]}
        return found | {task: [values[at] for at in chosen] for task, values in whole.labels.items()}

    measured = table(rows)
    tasks = [task for task in whole.labels if task in model.labels and any(measured[task])]
    learned = None if train is None else table(train)
    return evaluate(model, measured, label_columns=tasks, group_column="\0group", train=learned)


def _by_value(values: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """Return the rows of each value of a column, the most frequent first."""
    common = [each for each, _ in Counter(values).most_common(_MOST_VALUES)]
    return {
        f"{column}: {value or '(none)'}": np.array([each == (column, value) for each in values])
        for column, value in common
    }


def _by_length(lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Cut at a third and two thirds of the texts, in characters."""
    short, long = (int(value) for value in np.quantile(lengths, (1 / 3, 2 / 3)))
    return {
        f"up to {short} characters": lengths <= short,
        f"{short + 1} to {long} characters": (lengths > short) & (lengths <= long),
        f"more than {long} characters": lengths > long,
    }
