"""Train the n-gram scorer: hashed TF-IDF features and one linear SVM for each task, or each label of several."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar

from tawasul_nlp.evaluation.fitting import fit_label_scores
from tawasul_nlp.model.combine import combine, log_softmax
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import join_labels
from tawasul_nlp.model.ngram import Counts, FeatureBlock, ngram_counts, save_ngram
from tawasul_nlp.tables.io.cells import escaped_row
from tawasul_nlp.training.config import NgramConfig
from tawasul_nlp.training.dataset import is_labelled

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Of characters, and of words. A linear SVM holds eight bytes for every feature and label: 400 MB for a hundred labels.
MOST_FEATURES = 500_000


def kept_features(counts: Counts, min_df: int, most: int = MOST_FEATURES) -> FeatureBlock:
    """Keep the hash values that at least ``min_df`` texts have, or more texts if these are over ``most``.

    They come with their smoothed idf.
    """
    values, document_frequency = np.unique(counts.indices, return_counts=True)
    while np.count_nonzero(document_frequency >= min_df) > most:
        min_df += 1
    keep = document_frequency >= min_df
    idf = np.log((1 + counts.texts) / (1 + document_frequency[keep])) + 1
    return FeatureBlock(values[keep].astype(np.int32), idf.astype(np.float32))


def weighed(blocks: Sequence[FeatureBlock], counts: Sequence[Counts]) -> csr_matrix:
    """Return the L2-normalised sublinear TF-IDF of each block, side by side: (texts, features of all), float32."""
    from scipy.sparse import csr_matrix, hstack

    tables = []
    for block, block_counts in zip(blocks, counts, strict=True):
        rows, columns, values = block.known(block_counts)
        tables.append(csr_matrix((values, (rows, columns)), shape=(block_counts.texts, len(block.hashes))))
    return hstack(tables, "csr")


def fit_ngram(
    texts: list[str],
    targets: dict[str, np.ndarray],
    labels: dict[str, tuple[str, ...]],
    path: Path,
    config: NgramConfig,
    weights: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Fit the scorer and write it to ``path``; ValueError if a label has no text.

    ``targets`` are those of :func:`~tawasul_nlp.training.dataset.truth_of`. ``weights`` (labels,) say how much a text
    counts by its label, for tasks whose labels do not count the same.
    """
    counts = ngram_counts(texts)
    pairs = list(zip(counts, config.min_df, strict=True))
    blocks = tuple(kept_features(block_counts, min_df) for block_counts, min_df in pairs)
    features = weighed(blocks, counts)
    weights_of, biases = {}, {}
    for task, target in targets.items():
        labelled = is_labelled(target)
        present = np.unique(target[labelled]) if target.ndim == 1 else np.flatnonzero((target == 1).any(0))
        missing = [name for index, name in enumerate(labels[task]) if index not in present]
        if missing:
            raise ValueError(f"no training example of {task} {', '.join(missing)}: add some, or drop the label")
        fit_svm = linear_svm if target.ndim == 1 else one_vs_rest_svms
        weights_of[task], biases[task] = fit_svm(
            features[labelled], target[labelled], config.C, (weights or {}).get(task)
        )
    heavy = heaviest(np.concatenate(list(weights_of.values()), axis=1), config.features or features.shape[1])
    sizes = np.cumsum([0, *(len(block.hashes) for block in blocks)])
    blocks = tuple(
        FeatureBlock(block.hashes[heavy[start:end]], block.idf[heavy[start:end]])
        for block, start, end in zip(blocks, sizes[:-1], sizes[1:], strict=True)
    )
    save_ngram(path, blocks, {task: matrix[heavy] for task, matrix in weights_of.items()}, biases)


def linear_svm(
    features: csr_matrix, target: np.ndarray, C: float, class_weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (features, labels) and biases (labels,), float32, of an SVM for at least two labels."""
    from sklearn.svm import LinearSVC

    of_label = None if class_weights is None else dict(enumerate(class_weights.tolist()))
    svm = LinearSVC(C=C, class_weight=of_label, random_state=0).fit(features, target)
    weights, biases = svm.coef_.T.astype(np.float32), svm.intercept_.astype(np.float32)
    if len(svm.classes_) == 2:  # one column tells two labels apart; the format has one for each
        return np.concatenate([-weights, weights], axis=1), np.concatenate([-biases, biases])
    return weights, biases


def one_vs_rest_svms(
    features: csr_matrix, target: np.ndarray, C: float, class_weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (features, labels) and biases (labels,), float32, of an SVM for each label against the rest.

    A label that all texts have scores 1 for every text. ``class_weights`` (labels,) are those of texts that have it.
    """
    weights = np.zeros((features.shape[1], target.shape[1]), np.float32)
    biases = np.ones(target.shape[1], np.float32)
    for label in np.flatnonzero((target == 0).any(0)).tolist():
        two_weights = None if class_weights is None else np.array([1.0, class_weights[label]])
        both, offsets = linear_svm(features, target[:, label], C, two_weights)
        weights[:, label], biases[label] = both[:, 1], offsets[1]
    return weights, biases


def heaviest(weights: np.ndarray, count: int) -> np.ndarray:
    """Say which ``count`` features have the longest weight vectors: (features,), bool. The lightest decide nothing."""
    chosen = np.zeros(len(weights), bool)
    chosen[np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:count]] = True
    return chosen


FOLDS = 5
OUTLIER_SHARE = 0.02
_NEIGHBOURS = 10


def held_out_probabilities(texts: Sequence[str], target: np.ndarray, groups: np.ndarray, labels: int) -> np.ndarray:
    """Return probabilities by linear models that saw neither the text nor a duplicate of it: (n_texts, labels).

    An encoder that was trained on a text knows its label by heart, right or wrong; so the judge is the n-gram scorer,
    cross-validated. Targets are label indices (n_texts,), or which labels each text has (n_texts, labels).
    """
    from sklearn.model_selection import GroupKFold

    counts = ngram_counts(list(texts))
    features = weighed([kept_features(block, 2) for block in counts], counts)
    # Below what any real score is, for a label that a fold has no text of.
    scores = np.full((len(texts), labels), -3.0)
    for fitted, judged in GroupKFold(min(FOLDS, len(np.unique(groups)))).split(features, target, groups):
        seen = np.unique(target[fitted]) if target.ndim == 1 else np.flatnonzero(target[fitted].any(axis=0))
        if len(seen) < (2 if target.ndim == 1 else 1):
            continue
        fit, truth = (
            (linear_svm, target[fitted]) if target.ndim == 1 else (one_vs_rest_svms, target[np.ix_(fitted, seen)])
        )
        weights, biases = fit(features[fitted], truth, 0.3)
        scores[np.ix_(judged, seen)] = features[judged] @ weights + biases
    if target.ndim == 2:
        judge = TaskConfig(tuple(map(str, range(labels))), {"ngram": 1.0}, multi_label=True)
        judged_scores = {"ngram": {"judge": scores}}
        fitted_judge = fit_label_scores("judge", {"judge": judge}, judged_scores, target, 1.0)
        return np.exp(combine({"judge": fitted_judge}, judged_scores)["judge"])
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

    Returns for each task the number of ``labels`` listed, and the ``judge_accuracy``: how often the models that suspect
    them give a text its own label. The lower it is, the less a suspicion means. A task whose texts are all duplicates
    of each other is left out.
    """
    counts: dict[str, dict[str, float]] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", "task", "label", "suggestion", "quality", "text"])
        for task, target in truth.items():
            labelled = np.flatnonzero(is_labelled(target))
            if len(np.unique(groups[labelled])) < 2:
                continue  # nothing is left to judge by
            probabilities = held_out_probabilities(
                [texts[row] for row in labelled.tolist()], target[labelled], groups[labelled], len(labels[task])
            )
            rows, quality = label_issues(target[labelled], probabilities)
            suggested = probabilities.argmax(1) if target.ndim == 1 else (probabilities >= 0.5).astype(np.int8)
            for row, score in zip(rows.tolist(), quality.tolist(), strict=True):
                number = int(labelled[row])
                names = _cell(labels[task], target[number]), _cell(labels[task], suggested[row])
                writer.writerow(escaped_row([*places[number], task, *names, f"{score:.4f}", texts[number]]))
            right = (suggested == target[labelled]).reshape(len(labelled), -1).all(axis=1)
            counts[task] = {"labels": len(rows), "judge_accuracy": round(float(right.mean()), 4)}
    return counts


def _cell(labels: Sequence[str], target: np.ndarray) -> str:
    """Return the label of an index, or the labels that are marked."""
    return labels[int(target)] if target.ndim == 0 else join_labels(compress(labels, target))


def write_outliers(path: Path, places: Sequence[tuple[str, int]], texts: Sequence[str], embeddings: np.ndarray) -> int:
    """Write ``file, row, score, text`` of the texts that are unlike all others; return their number."""
    rows, scores = outliers(embeddings)
    with path.open("w", encoding="utf-8", newline="") as file:
        cells = [[*places[row], f"{score:.4f}", texts[row]] for row, score in zip(rows, scores, strict=True)]
        csv.writer(file).writerows([["file", "row", "score", "text"], *map(escaped_row, cells)])
    return len(rows)
