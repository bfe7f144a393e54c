"""Train the n-gram scorer: hashed TF-IDF features and one linear SVM for each task, or each label of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tawasul_nlp.model.ngram import Counts, FeatureBlock, NgramFeatures, save_ngram
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

    found = []
    for block, block_counts in zip(blocks, counts, strict=True):
        rows, at, values = block.known(block_counts)
        found.append(csr_matrix((values, (rows, at)), shape=(block_counts.texts, len(block.hashes))))
    return hstack(found, "csr")


def fit_ngram(
    texts: list[str],
    targets: dict[str, np.ndarray],
    labels: dict[str, tuple[str, ...]],
    path: Path,
    config: NgramConfig,
    weights: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Fit the scorer and write it to ``path``.

    Parameters
    ----------
    texts : list of str
    targets : dict of str to ndarray of int, shape (n_texts,)
        For each task, the index of each text's label; -1 where the task is not defined. Of a multi-label task, which
        labels each text has (n_texts, n_labels), all -1 where they are unknown.
    labels : dict of str to tuple of str
        The names of each task's labels; every one needs a text.
    path : Path
    config : NgramConfig
    weights : mapping of str to ndarray of float, shape (labels,), optional
        How much a text counts by its label, for tasks whose labels do not count the same.

    Raises
    ------
    ValueError
        If a label has no text.
    """
    counts = NgramFeatures().counts(texts)
    pairs = list(zip(counts, config.min_df, strict=True))
    blocks = tuple(kept_features(block_counts, min_df) for block_counts, min_df in pairs)
    features = weighed(blocks, counts)
    found, biases = {}, {}
    for task, target in targets.items():
        known = is_labelled(target)
        present = (
            set(target[known].tolist()) if target.ndim == 1 else set(np.flatnonzero((target == 1).any(0)).tolist())
        )
        missing = [name for index, name in enumerate(labels[task]) if index not in present]
        if missing:
            raise ValueError(f"no training example of {task} {', '.join(missing)}: add some, or drop the label")
        fit_svm = linear_svm if target.ndim == 1 else one_vs_rest_svms
        found[task], biases[task] = fit_svm(features[known], target[known], config.C, (weights or {}).get(task))
    kept = heaviest(np.concatenate(list(found.values()), axis=1), config.features or features.shape[1])
    sizes = np.cumsum([0, *(len(block.hashes) for block in blocks)])
    blocks = tuple(
        FeatureBlock(block.hashes[kept[start:end]], block.idf[kept[start:end]])
        for block, start, end in zip(blocks, sizes[:-1], sizes[1:], strict=True)
    )
    save_ngram(path, blocks, {task: matrix[kept] for task, matrix in found.items()}, biases)


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
        own = None if class_weights is None else np.array([1.0, class_weights[label]])
        both, offsets = linear_svm(features, target[:, label], C, own)
        weights[:, label], biases[label] = both[:, 1], offsets[1]
    return weights, biases


def heaviest(weights: np.ndarray, count: int) -> np.ndarray:
    """Say which ``count`` features have the longest weight vectors: (features,), bool. The lightest decide nothing."""
    kept = np.zeros(len(weights), bool)
    kept[np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:count]] = True
    return kept
