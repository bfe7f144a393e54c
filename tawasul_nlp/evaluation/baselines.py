"""What a model has to beat: the most frequent label, and a linear model on TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tawasul_nlp.evaluation.fitting import best_threshold
from tawasul_nlp.evaluation.task_answers import Answers, answers, label_set_answers
from tawasul_nlp.model.label_sets import label_matrix, split_labels

BASELINES = ("majority", "TF-IDF + linear SVM")
SET_BASELINES = ("most frequent set", "TF-IDF + linear SVM")
_FOLDS = 3


def baseline_answers(
    examples: Sequence[tuple[str, str]], texts: Sequence[str], truth: Sequence[str], *, multi_label: bool
) -> dict[str, Answers]:
    """Fit the baselines of one task on training texts and their cells; return what they answer to other texts."""
    train_texts, cells = [text for text, _ in examples], [cell for _, cell in examples]
    if multi_label:
        names = tuple(sorted({label for cell in set(cells) for label in split_labels(cell)}))
        target = label_matrix(cells, names) == 1
        sets = (frequent_set(target, len(texts)), tfidf_svms(train_texts, target, texts))
        return {name: label_set_answers(names, truth, each) for name, each in zip(SET_BASELINES, sets, strict=True)}
    names = tuple(sorted(set(cells)))
    scores = [majority(cells, names, len(texts))]
    if len(names) > 1:
        scores.append(tfidf_svm(train_texts, cells, names, texts))
    return {
        name: answers(names, truth, each, probabilities=False) for name, each in zip(BASELINES, scores, strict=False)
    }


def majority(labels: Sequence[str], names: tuple[str, ...], n_texts: int) -> np.ndarray:
    """Return the share of each label of ``names`` in the training labels, for every text: (n_texts, labels)."""
    shares = np.array([labels.count(label) for label in names], dtype=float) / max(1, len(labels))
    return np.tile(shares, (n_texts, 1))


def tfidf_features(char_ngrams: tuple[int, int] = (2, 5), min_df: int = 2) -> Any:
    """Return the unfitted features: TF-IDF of characters within words and of words (1-2)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    return make_union(
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=char_ngrams, sublinear_tf=True, min_df=min_df, dtype=np.float32
        ),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32),
    )


def tfidf_svm(texts: Sequence[str], labels: Sequence[str], names: tuple[str, ...], unseen: Sequence[str]) -> np.ndarray:
    """Fit character (2-5) and word (1-2) TF-IDF with a linear SVM; return its scores (unseen texts, labels).

    Labels of ``names`` that the training labels lack get the lowest score of all.

    Raises
    ------
    ValueError
        If there are fewer than two labels to tell apart.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    if len(set(labels)) < 2:
        raise ValueError(f"the training labels are all {labels[0]!r}; a classifier needs at least two labels")
    model = make_pipeline(tfidf_features(), LinearSVC(C=0.5, random_state=0)).fit(texts, labels)
    return spread(model.decision_function(unseen), model.classes_, names)


def frequent_set(target: np.ndarray, n_texts: int) -> np.ndarray:
    """Return the most frequent set among those of training rows (n_rows, labels), for every text: (n_texts, labels)."""
    sets, counts = np.unique(target, axis=0, return_counts=True)
    return np.tile(sets[counts.argmax()], (n_texts, 1))


def tfidf_svms(texts: Sequence[str], target: np.ndarray, unseen: Sequence[str]) -> np.ndarray:
    """Fit character and word TF-IDF with a linear SVM for each label; return its answers (unseen texts, labels), bool.

    All labels have one threshold, that of the highest micro F1 when the training texts are cross-validated: at 0, rare
    labels are hardly ever answered. A label that all training texts have is answered always.
    """
    from sklearn.model_selection import cross_val_predict
    from sklearn.svm import LinearSVC

    features = tfidf_features().fit(texts)
    seen, new = features.transform(texts), features.transform(unseen)
    counts = target.sum(axis=0)
    # A label has to be on both sides of every fold.
    divisible = np.minimum(counts, len(texts) - counts) >= _FOLDS
    held_out = np.full(target.shape, -1.0)
    scores = np.tile(np.where(target.all(axis=0), np.inf, -np.inf), (len(unseen), 1))
    for label in np.flatnonzero((counts > 0) & (counts < len(texts))).tolist():
        svm, truth = LinearSVC(C=0.5, random_state=0), target[:, label]
        scores[:, label] = svm.fit(seen, truth).decision_function(new)
        if divisible[label]:
            held_out[:, label] = cross_val_predict(svm, seen, truth, cv=_FOLDS, method="decision_function")
    threshold = 0.0
    if divisible.any():
        threshold, _ = best_threshold(held_out[:, divisible].ravel(), target[:, divisible].ravel())
    answered: np.ndarray = scores >= threshold
    return answered


def spread(scores: np.ndarray, classes: Sequence[str], names: tuple[str, ...]) -> np.ndarray:
    """Put a fitted model's scores (n, classes) into the columns of ``names``; one column means two classes."""
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    table = np.full((len(scores), len(names)), scores.min() - 1.0)
    columns = {label: column for column, label in enumerate(names)}
    for class_index, label in enumerate(classes):
        if label in columns:
            table[:, columns[label]] = scores[:, class_index]
    return table
