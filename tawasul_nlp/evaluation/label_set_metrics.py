"""Quality of the answers to a multi-label task: of the sets as a whole, and of their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.evaluation.baselines import frequent_set, tfidf_svms
from tawasul_nlp.evaluation.intervals import Estimate, bootstrap, interval_of_alike
from tawasul_nlp.evaluation.metrics import LabelScores, confidence_summariser, reliability, risk_coverage
from tawasul_nlp.evaluation.slices import review_rates, slice_accuracies
from tawasul_nlp.evaluation.task_result import LabelSetBaseline, LabelSetEvaluation, LabelSetMetrics
from tawasul_nlp.model.label_sets import label_matrix, split_labels

SET_BASELINES = ("most frequent set", "TF-IDF + linear SVM")


@dataclass(frozen=True, slots=True, eq=False)
class LabelSetAnswers:
    """What a system answered for a multi-label task.

    Attributes
    ----------
    labels : tuple of str
        The system's labels; then those that only the data have, which the system can never answer.
    truth, answered : ndarray of bool, shape (n, labels)
    confidence : ndarray of float, shape (n,), or None
        Probability that the set is right; None for a system without probabilities.
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    answered: np.ndarray
    confidence: np.ndarray | None = None

    @property
    def hits(self) -> np.ndarray:
        """Which sets are exactly right: (n,), bool."""
        right: np.ndarray = (self.truth == self.answered).all(axis=1)
        return right

    @property
    def counts(self) -> np.ndarray:
        """Labels of each row that were answered rightly, answered, and true: (n, 3), int."""
        both = self.truth & self.answered
        return np.stack([part.sum(axis=1) for part in (both, self.answered, self.truth)], axis=1)


def label_set_answers(
    labels: tuple[str, ...], cells: Sequence[str], answered: np.ndarray, confidence: np.ndarray | None = None
) -> LabelSetAnswers:
    """Compare the answered labels (n, labels) with the true ones of each cell; labels that the system lacks are missed.

    >>> found = label_set_answers(("a", "b"), ["a|c", "b"], np.array([[True, False], [False, True]]))
    >>> found.labels, found.hits.tolist(), found.counts.tolist()
    (('a', 'b', 'c'), [False, True], [[1, 1, 2], [1, 1, 1]])
    """
    every = labels + tuple(sorted({label for cell in set(cells) for label in split_labels(cell)} - set(labels)))
    more = np.zeros((len(cells), len(every) - len(labels)), bool)
    return LabelSetAnswers(every, label_matrix(cells, every) == 1, np.hstack([answered, more]), confidence)


def label_set_summariser(given: LabelSetAnswers) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to every figure of :class:`LabelSetMetrics`, by name."""
    hits = given.hits
    truth, answered = given.truth.astype(np.float32), given.answered.astype(np.float32)
    both = truth * answered
    of_confidence = None if given.confidence is None else confidence_summariser(given.confidence, hits)

    def figures(weights: np.ndarray) -> dict[str, float]:
        right, said, true = (weights @ part for part in (both, answered, truth))
        present = said + true > 0
        f1 = 2 * right[present] / (said + true)[present]
        found = {
            "exact_match": float(weights[hits].sum() / weights.sum()),
            "micro_precision": _share(right.sum(), said.sum()),
            "micro_recall": _share(right.sum(), true.sum()),
            "micro_f1": _share(2 * right.sum(), said.sum() + true.sum()),
            "macro_f1": float(f1.mean()) if present.any() else 0.0,
        }
        return found | (of_confidence(weights) if of_confidence is not None else {})

    return figures


def label_set_metrics(given: LabelSetAnswers, groups: np.ndarray, resamples: int) -> LabelSetMetrics:
    """Return every figure with its 95% interval; rows with one number in ``groups`` are drawn together."""
    found = bootstrap(label_set_summariser(given), groups, resamples)
    if given.hits.all() or not given.hits.any():
        found["exact_match"] = interval_of_alike(bool(given.hits[0]), groups)
    return LabelSetMetrics(**found)


def micro_f1_of(counts: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the micro F1 of rows with such ``counts`` (n, 3), which weigh the same if no weights are given."""
    right, said, true = (counts.sum(0) if weights is None else weights @ counts).tolist()
    return _share(2 * right, said + true)


def micro_f1_difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray, resamples: int) -> Estimate:
    """Return the micro F1 of one system minus that of another in points, with its paired bootstrap 95% interval.

    Parameters
    ----------
    first, second : ndarray of int, shape (n, 3)
        ``counts`` of the two systems on the same rows.

    Examples
    --------
    >>> counts = np.array([[1, 1, 1], [0, 1, 1]])
    >>> micro_f1_difference(counts, counts, np.arange(2), 20)
    Estimate(value=0.0, low=0.0, high=0.0)
    """

    def gain(weights: np.ndarray) -> dict[str, float]:
        return {"gain": micro_f1_of(first, weights) - micro_f1_of(second, weights)}

    points = bootstrap(gain, groups, resamples, bounds=(-1.0, 1.0))["gain"]
    return Estimate(*(round(100 * number, 2) for number in points))


def label_set_scores(given: LabelSetAnswers) -> tuple[LabelScores, ...]:
    """Return the scores of each label that has rows, the least F1 first."""
    from sklearn.metrics import precision_recall_fscore_support

    present = np.flatnonzero(given.truth.any(axis=0))
    if not len(present):
        return ()
    columns = precision_recall_fscore_support(
        given.truth[:, present], given.answered[:, present], average=None, zero_division=0
    )
    found = [
        LabelScores(given.labels[label], int(n), *(round(float(share), 4) for share in shares))
        for label, *shares, n in zip(present.tolist(), *columns, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (each.f1, each.label)))


def evaluate_label_sets(
    found: LabelSetAnswers,
    known: tuple[str, ...],
    groups: np.ndarray,
    resamples: int,
    *,
    column: str = "",
    unlabelled: int = 0,
    thresholds: Mapping[str, float],
    slices: Mapping[str, Sequence[str]],
    baselines: Mapping[str, LabelSetBaseline],
) -> LabelSetEvaluation:
    """Return all that is measured of one multi-label task; ``known`` are the labels that the system has."""
    assert found.confidence is not None
    unknown = {
        label: int(rows)
        for label, rows in zip(found.labels, found.truth.sum(axis=0), strict=True)
        if label not in set(known)
    }
    return LabelSetEvaluation(
        column=column,
        n=len(found.truth),
        unlabelled=unlabelled,
        unknown_labels=dict(Counter(unknown).most_common()),
        labels_a_row=(round(float(found.truth.sum(1).mean()), 4), round(float(found.answered.sum(1).mean()), 4)),
        metrics=label_set_metrics(found, groups, resamples),
        reliability=reliability(found.confidence, found.hits),
        risk_coverage=risk_coverage(found.confidence, found.hits),
        review=review_rates(found.confidence, found.hits, thresholds),
        slices={name: slice_accuracies(found.hits, values, groups, resamples) for name, values in slices.items()},
        by_label=label_set_scores(found),
        baselines=dict(baselines),
    )


def label_set_baselines(
    known_texts: Sequence[str],
    known_cells: Sequence[str],
    texts: Sequence[str],
    cells: Sequence[str],
    model: LabelSetAnswers,
    groups: np.ndarray,
    resamples: int,
) -> dict[str, LabelSetBaseline]:
    """Fit the baselines on training rows with labels; return their figures and the model's gain over each."""
    names = tuple(sorted({label for cell in set(known_cells) for label in split_labels(cell)}))
    target = label_matrix(known_cells, names) == 1
    answered = {
        SET_BASELINES[0]: frequent_set(target, len(texts)),
        SET_BASELINES[1]: tfidf_svms(known_texts, target, texts),
    }
    return {
        name: label_set_baseline(len(known_texts), label_set_answers(names, cells, table), model, groups, resamples)
        for name, table in answered.items()
    }


def label_set_baseline(
    rows: int, found: LabelSetAnswers, model: LabelSetAnswers, groups: np.ndarray, resamples: int
) -> LabelSetBaseline:
    """Return the figures of a baseline that learned from so many rows, and the model's gain over it."""
    gain = micro_f1_difference(model.counts, found.counts, groups, resamples)
    return LabelSetBaseline(rows, label_set_metrics(found, groups, resamples), gain)


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0
