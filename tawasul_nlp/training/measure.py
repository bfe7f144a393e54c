"""What a finished model reaches on its validation rows, whole and by slices, for its metrics file and card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation import EvaluationResult, evaluate
from tawasul_nlp.evaluation.label_set_metrics import LabelSetAnswers, label_set_scores, label_set_summariser
from tawasul_nlp.evaluation.metrics import LabelScores, answers, most_confused, scores_by_label, summariser
from tawasul_nlp.evaluation.task_evaluation import review_rates
from tawasul_nlp.model.folder import ModelConfig, TaskConfig
from tawasul_nlp.model.label_sets import set_probability
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.model.thresholds import decide
from tawasul_nlp.training.dataset import WholeTable, is_labelled

RARE = 20
_LISTED = 5
_MOST_VALUES = 20
# The target error at which it is told how many answers of a slice are accepted.
_TARGET = "0.05"


def measure(
    config: ModelConfig,
    output: ModelOutput,
    texts: list[str],
    truth: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    leaked: np.ndarray,
    slices: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Measure each task on labelled texts.

    Parameters
    ----------
    config : ModelConfig
    output : ModelOutput
        What the model makes of the texts.
    texts : list of str
    truth : mapping of str to ndarray of int, shape (n_texts,)
        See :func:`~tawasul_nlp.training.dataset.truth_of`.
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
        For a multi-label task exact_match (which is the accuracy of its slices), micro_f1 and macro_f1, the mean
        labels_a_text, and no confusions.
    """
    lengths = np.array([len(text) for text in texts])
    measured = {}
    for task, target in truth.items():
        known = np.flatnonzero(is_labelled(target))
        settings = config.tasks[task]
        rare = trained[task] < RARE
        figures, confidence, hits = (_of_sets if settings.multi_label else _of_labels)(
            settings, target[known], output.probabilities[task][known]
        )
        own = [slices[row] for row in known.tolist()] if slices else []
        parts = {
            **_by_value(own),
            **_by_length(lengths[known]),
            "no duplicate in training": ~leaked[known],
            "may be a duplicate of a training text": leaked[known],
            f"label with fewer than {RARE} training texts": ((target[known] == 1) & rare).any(1)
            if settings.multi_label
            else rare[target[known]],
            "longer than the encoder reads": output.truncated[known],
        }
        accepted = confidence >= settings.thresholds[_TARGET]
        measured[task] = {
            "texts": len(known),
            **figures,
            "slices": {
                name: {
                    "texts": int(rows.sum()),
                    "accuracy": round(float(hits[rows].mean()), 4),
                    "accepted": round(float(accepted[rows].mean()), 4),
                    "error": round(float(1 - hits[rows & accepted].mean()), 4) if accepted[rows].any() else None,
                }
                for name, rows in parts.items()
                if rows.any()
            },
            "thresholds": {
                name: {"threshold": rate.threshold, "accepted": rate.coverage, "error": rate.error}
                for name, rate in review_rates(confidence, hits, settings.thresholds).items()
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


_Figures = tuple[dict[str, Any], np.ndarray, np.ndarray]


def _of_labels(settings: TaskConfig, target: np.ndarray, probabilities: np.ndarray) -> _Figures:
    """Return the figures of a task, the confidence of each answer, and which answers are right."""
    truth = [settings.labels[label] for label in target.tolist()]
    found = answers(settings.labels, truth, probabilities, predicted=decide(settings, probabilities)[0])
    assert found.confidence is not None
    figures = summariser(found)(np.ones(len(target)))
    return (
        {
            **{name: round(figures[name], 4) for name in ("accuracy", "macro_f1", "top3")},
            "calibration_error": round(figures["ece"], 4),
            "weakest": _weakest(scores_by_label(found)),
            "confusions": [
                {"label": pair.true, "answered": pair.predicted, "texts": pair.n}
                for pair in most_confused(found, _LISTED)
            ],
        },
        found.confidence,
        found.hits,
    )


def _of_sets(settings: TaskConfig, target: np.ndarray, probabilities: np.ndarray) -> _Figures:
    """Return the same for a multi-label task, of whose answers those are right that are exactly so."""
    answered = probabilities >= settings.label_threshold
    confidence = set_probability(probabilities, answered)
    found = LabelSetAnswers(settings.labels, target == 1, answered, len(settings.labels), confidence)
    figures = label_set_summariser(found)(np.ones(len(target)))
    return (
        {
            **{name: round(figures[name], 4) for name in ("exact_match", "micro_f1", "macro_f1")},
            "calibration_error": round(figures["ece"], 4),
            "labels_a_text": round(float(found.truth.sum(1).mean()), 4),
            "weakest": _weakest(label_set_scores(found)),
        },
        confidence,
        found.hits,
    )


def _weakest(scores: Sequence[LabelScores]) -> list[dict[str, Any]]:
    return [{"label": each.label, "texts": each.n, "f1": each.f1} for each in scores[:_LISTED]]


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
