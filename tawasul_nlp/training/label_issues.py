"""List the labels that are probably wrong, and the texts that are unlike all others (cleanlab)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.ngram import NgramFeatures
from tawasul_nlp.tables.io.escaping import escaped_row
from tawasul_nlp.training.ngram_fitting import kept_features, weighed

FOLDS = 5
OUTLIER_SHARE = 0.02
_NEIGHBOURS = 10


def held_out_probabilities(texts: Sequence[str], target: np.ndarray, groups: np.ndarray, labels: int) -> np.ndarray:
    """Return probabilities by linear models that saw neither the text nor a duplicate of it: (n_texts, labels).

    An encoder that was trained on a text knows its label by heart, right or wrong; so the judge is the n-gram scorer,
    cross-validated.
    """
    from sklearn.model_selection import GroupKFold
    from sklearn.svm import LinearSVC

    counts = NgramFeatures().counts(list(texts))
    features = weighed([kept_features(block, 2) for block in counts], counts)
    # Below what any real score is, for a label that a fold has no text of.
    scores = np.full((len(texts), labels), -3.0)
    for fitted, judged in GroupKFold(min(FOLDS, len(np.unique(groups)))).split(features, target, groups):
        seen = np.unique(target[fitted])
        if len(seen) < 2:
            continue
        decision = (
            LinearSVC(C=0.3, random_state=0).fit(features[fitted], target[fitted]).decision_function(features[judged])
        )
        columns = decision if decision.ndim == 2 else np.stack([-decision, decision], axis=1)
        scores[np.ix_(judged, seen)] = columns
    rows = np.arange(len(texts))

    def loss(sharpness: float) -> float:
        return float(-log_softmax(scores * np.exp(sharpness))[rows, target].mean())

    best = minimize_scalar(loss, bounds=(-3, 4), method="bounded")
    return np.exp(log_softmax(scores * np.exp(best.x)))


def label_issues(target: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose label is probably wrong, the likeliest first, and their quality from 0 to 1."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    rows = find_label_issues(target, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(rows), np.asarray(get_label_quality_scores(target, probabilities))[rows]


def outliers(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows furthest from their nearest neighbours, and their scores (0: like no other text, 1: like many).

    At most :data:`OUTLIER_SHARE` of the rows; none where there are too few rows to tell.
    """
    from cleanlab.outlier import OutOfDistribution

    if len(embeddings) <= 2 * _NEIGHBOURS:
        return np.zeros(0, np.int64), np.zeros(0)
    scores = OutOfDistribution({"k": _NEIGHBOURS}).fit_score(features=embeddings, verbose=False)
    rows = np.argsort(scores, kind="stable")[: max(1, int(len(scores) * OUTLIER_SHARE))]
    return rows, np.asarray(scores)[rows]


def write_suspects(
    path: Path,
    places: Sequence[tuple[str, int]],
    texts: Sequence[str],
    groups: np.ndarray,
    truth: Mapping[str, np.ndarray],
    labels: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Write ``file, row, task, label, suggestion, quality, text`` of suspicious labels.

    Returns
    -------
    dict
        For each task the number of ``labels`` listed, and the ``judge_accuracy``: how often the models that suspect
        them give a text its own label. The lower it is, the less a suspicion means. A task whose texts are all
        duplicates of each other is left out.
    """
    found: dict[str, dict[str, float]] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "task", "label", "suggestion", "quality", "text"])
        for task, target in truth.items():
            known = np.flatnonzero(target >= 0)
            if len(np.unique(groups[known])) < 2:
                continue  # nothing is left to judge by
            probabilities = held_out_probabilities(
                [texts[row] for row in known.tolist()], target[known], groups[known], len(labels[task])
            )
            rows, quality = label_issues(target[known], probabilities)
            for row, score in zip(rows.tolist(), quality.tolist(), strict=True):
                at = int(known[row])
                names = labels[task][target[at]], labels[task][int(probabilities[row].argmax())]
                writer.writerow(escaped_row([*places[at], task, *names, f"{score:.4f}", texts[at]]))
            right = probabilities.argmax(1) == target[known]
            found[task] = {"labels": len(rows), "judge_accuracy": round(float(right.mean()), 4)}
    return found


def write_outliers(path: Path, places: Sequence[tuple[str, int]], texts: Sequence[str], embeddings: np.ndarray) -> int:
    """Write ``file, row, score, text`` of the texts that are unlike all others; return their number."""
    rows, scores = outliers(embeddings)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "score", "text"])
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            writer.writerow(escaped_row([*places[row], f"{score:.4f}", texts[row]]))
    return len(rows)
