"""List the labels that are probably wrong, and the texts that are unlike all others (cleanlab)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from tawasul_nlp.evaluation.fitting import fit_label_scores
from tawasul_nlp.model.combine import combine, log_softmax
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.model.ngram import NgramFeatures
from tawasul_nlp.tables.io.cells import escaped_row
from tawasul_nlp.training.dataset import is_labelled
from tawasul_nlp.training.ngram_fitting import kept_features, linear_svm, one_vs_rest_svms, weighed

FOLDS = 5
OUTLIER_SHARE = 0.02
_NEIGHBOURS = 10


def held_out_probabilities(texts: Sequence[str], target: np.ndarray, groups: np.ndarray, labels: int) -> np.ndarray:
    """Return probabilities by linear models that saw neither the text nor a duplicate of it: (n_texts, labels).

    An encoder that was trained on a text knows its label by heart, right or wrong; so the judge is the n-gram scorer,
    cross-validated. Targets are label indices (n_texts,), or which labels each text has (n_texts, labels).
    """
    from sklearn.model_selection import GroupKFold

    counts = NgramFeatures().counts(list(texts))
    features = weighed([kept_features(block, 2) for block in counts], counts)
    # Below what any real score is, for a label that a fold has no text of.
    scores = np.full((len(texts), labels), -3.0)
    for fitted, judged in GroupKFold(min(FOLDS, len(np.unique(groups)))).split(features, target, groups):
        seen = np.unique(target[fitted]) if target.ndim == 1 else np.flatnonzero(target[fitted].any(axis=0))
        if len(seen) < (2 if target.ndim == 1 else 1):
            continue
        fit, known = (
            (linear_svm, target[fitted]) if target.ndim == 1 else (one_vs_rest_svms, target[np.ix_(fitted, seen)])
        )
        weights, biases = fit(features[fitted], known, 0.3)
        scores[np.ix_(judged, seen)] = features[judged] @ weights + biases
    if target.ndim == 2:
        judge = TaskConfig(tuple(map(str, range(labels))), {"ngram": 1.0}, multi_label=True)
        found = {"ngram": {"judge": scores}}
        fitted_judge = fit_label_scores("judge", {"judge": judge}, found, target, 1.0)
        return np.exp(combine({"judge": fitted_judge}, found)["judge"])
    rows = np.arange(len(texts))

    def loss(sharpness: float) -> float:
        return float(-log_softmax(scores * np.exp(sharpness))[rows, target].mean())

    best = minimize_scalar(loss, bounds=(-3, 4), method="bounded")
    return np.exp(log_softmax(scores * np.exp(best.x)))


def label_issues(target: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose label is probably wrong, the likeliest first, and their quality from 0 to 1."""
    if target.ndim == 2:
        from cleanlab.multilabel_classification import filter as by_label
        from cleanlab.multilabel_classification import rank

        sets = [np.flatnonzero(row).tolist() for row in target]
        rows = by_label.find_label_issues(sets, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
        return np.asarray(rows), np.asarray(rank.get_label_quality_scores(sets, probabilities))[rows]
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


def write_label_issues(
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
            known = np.flatnonzero(is_labelled(target))
            if len(np.unique(groups[known])) < 2:
                continue  # nothing is left to judge by
            probabilities = held_out_probabilities(
                [texts[row] for row in known.tolist()], target[known], groups[known], len(labels[task])
            )
            rows, quality = label_issues(target[known], probabilities)
            suggested = probabilities.argmax(1) if target.ndim == 1 else (probabilities >= 0.5).astype(np.int8)
            for row, score in zip(rows.tolist(), quality.tolist(), strict=True):
                at = int(known[row])
                names = _cell(labels[task], target[at]), _cell(labels[task], suggested[row])
                writer.writerow(escaped_row([*places[at], task, *names, f"{score:.4f}", texts[at]]))
            right = (suggested == target[known]).reshape(len(known), -1).all(axis=1)
            found[task] = {"labels": len(rows), "judge_accuracy": round(float(right.mean()), 4)}
    return found


def _cell(labels: Sequence[str], target: np.ndarray) -> str:
    """Return the label of an index, or the labels that are marked."""
    return labels[int(target)] if target.ndim == 0 else join_labels(compress(labels, target))


def write_outliers(path: Path, places: Sequence[tuple[str, int]], texts: Sequence[str], embeddings: np.ndarray) -> int:
    """Write ``file, row, score, text`` of the texts that are unlike all others; return their number."""
    rows, scores = outliers(embeddings)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "score", "text"])
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            writer.writerow(escaped_row([*places[row], f"{score:.4f}", texts[row]]))
    return len(rows)
