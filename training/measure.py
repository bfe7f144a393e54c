"""What a finished model reaches on its validation rows, whole and by slices, for its metrics file and card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from training.calibrate import expected_calibration_error

RARE = 20
_LISTED = 5


def measure(
    folder: Path,
    texts: list[str],
    truth: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    leaked: np.ndarray,
) -> dict[str, Any]:
    """Measure each task on labelled texts.

    Parameters
    ----------
    folder : Path
        A model folder.
    texts : list of str
    truth : mapping of str to ndarray of int, shape (n_texts,)
        Label index for each task; -1 where a text has none.
    trained : mapping of str to ndarray of int, shape (labels,)
        Training texts of each label.
    leaked : ndarray of bool, shape (n_texts,)
        Texts that may be duplicates of a training text.

    Returns
    -------
    dict
        For each task: texts, accuracy, macro_f1, top3, calibration_error, thresholds (share accepted and error among
        them, for each target error), slices, weakest labels and confusions.
    """
    classifier = ComplaintClassifier.from_pretrained(folder)
    reading = classifier._forward(texts)
    lengths = np.array([len(text) for text in texts])
    measured = {}
    for task, target in truth.items():
        known = np.flatnonzero(target >= 0)
        slices = {
            **_by_length(lengths[known]),
            "no duplicate in training": ~leaked[known],
            "may be a duplicate of a training text": leaked[known],
            f"label with fewer than {RARE} training texts": trained[task][target[known]] < RARE,
            "longer than the encoder reads": reading.truncated[known],
        }
        settings = classifier.config.tasks[task]
        measured[task] = _task(reading.probabilities[task][known], target[known], settings.labels, slices) | {
            "thresholds": _accepted(reading.probabilities[task][known], target[known], settings.thresholds)
        }
    return measured


def _task(
    probabilities: np.ndarray, target: np.ndarray, labels: tuple[str, ...], slices: dict[str, np.ndarray]
) -> dict[str, Any]:
    from sklearn.metrics import f1_score

    guess, confidence = probabilities.argmax(1), probabilities.max(1)
    right = guess == target
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
    present = np.unique(target)
    each = f1_score(target, guess, labels=present, average=None, zero_division=0)
    weakest = sorted(zip(each.tolist(), present.tolist(), strict=True))[:_LISTED]
    confused = Counter(zip(target[~right].tolist(), guess[~right].tolist(), strict=True)).most_common(_LISTED)
    return {
        "texts": len(target),
        "accuracy": _share(right),
        "macro_f1": round(float(each.mean()), 4),
        "top3": _share((ranked == target[:, None]).any(1)),
        "calibration_error": round(float(expected_calibration_error(confidence, right)), 4),
        "slices": {
            name: {"texts": int(rows.sum()), "accuracy": _share(right[rows])}
            for name, rows in slices.items()
            if rows.any()
        },
        "weakest": [
            {"label": labels[label], "texts": int((target == label).sum()), "f1": round(f1, 4)} for f1, label in weakest
        ],
        "confusions": [
            {"label": labels[first], "answered": labels[second], "texts": count} for (first, second), count in confused
        ],
    }


def _accepted(
    probabilities: np.ndarray, target: np.ndarray, thresholds: Mapping[str, float]
) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for name, threshold in thresholds.items():
        accepted = probabilities.max(1) >= threshold
        wrong = probabilities.argmax(1) != target
        error = _share(wrong[accepted]) if accepted.any() else None
        found[name] = {"threshold": round(threshold, 4), "accepted": _share(accepted), "error": error}
    return found


def _by_length(lengths: np.ndarray) -> dict[str, np.ndarray]:
    """Cut at a third and two thirds of the texts, in characters."""
    short, long = (int(value) for value in np.quantile(lengths, (1 / 3, 2 / 3)))
    return {
        f"up to {short} characters": lengths <= short,
        f"{short + 1} to {long} characters": (lengths > short) & (lengths <= long),
        f"more than {long} characters": lengths > long,
    }


def _share(hits: np.ndarray) -> float:
    return round(float(hits.mean()), 4)
