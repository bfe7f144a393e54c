"""Train the n-gram reader: hashed TF-IDF features and one linear SVM for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.model.ngram import FeatureBlock, NgramFeatures, save_ngram
from training.corpus import Example, LabelSpace


def kept_features(counts: Any, min_df: int) -> FeatureBlock:
    """Keep the hash values that at least ``min_df`` texts have, with their smoothed idf."""
    values, document_frequency = np.unique(counts.indices, return_counts=True)
    keep = document_frequency >= min_df
    idf = np.log((1 + counts.shape[0]) / (1 + document_frequency[keep])) + 1
    return FeatureBlock(values[keep].astype(np.int32), idf.astype(np.float32))


def train_ngram(
    examples: list[Example], labels: LabelSpace, path: Path, recipe: dict[str, Any], tasks: tuple[str, ...]
) -> None:
    """Fit the reader on ``examples`` and write it to ``path``."""
    from scipy.sparse import hstack
    from sklearn.svm import LinearSVC

    counts = NgramFeatures().counts([example.text for example in examples])
    pairs = list(zip(counts, recipe["min_df"], strict=True))
    blocks = tuple(kept_features(block_counts, min_df) for block_counts, min_df in pairs)
    features = hstack([block.weigh(block_counts) for block, block_counts in zip(blocks, counts, strict=True)], "csr")
    weights, biases = {}, {}
    for task in tasks:
        names = labels.of(task)
        known = np.array([bool(getattr(example, task)) for example in examples])
        target = np.array(
            [names.index(getattr(example, task)) if getattr(example, task) else -1 for example in examples]
        )
        svm = LinearSVC(C=recipe["C"], random_state=0).fit(features[known], target[known])
        if len(svm.classes_) != len(names):
            missing = [name for index, name in enumerate(names) if index not in svm.classes_]
            raise ValueError(f"no training example of {task} {', '.join(missing)}: add some, or drop the label")
        weights[task], biases[task] = svm.coef_.T.astype(np.float32), svm.intercept_.astype(np.float32)
    kept = heaviest(np.concatenate(list(weights.values()), axis=1), recipe.get("features", features.shape[1]))
    sizes = np.cumsum([0, *(len(block.hashes) for block in blocks)])
    blocks = tuple(
        FeatureBlock(block.hashes[kept[start:end]], block.idf[kept[start:end]])
        for block, start, end in zip(blocks, sizes[:-1], sizes[1:], strict=True)
    )
    save_ngram(path, blocks, {task: matrix[kept] for task, matrix in weights.items()}, biases)


def heaviest(weights: np.ndarray, count: int) -> np.ndarray:
    """Say which ``count`` features have the longest weight vectors: (features,), bool. The lightest decide nothing."""
    kept = np.zeros(len(weights), bool)
    kept[np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:count]] = True
    return kept
