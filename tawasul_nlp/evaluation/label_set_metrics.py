"""Quality of the answers to a multi-label task: of the sets as a whole, and of their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.evaluation.metrics import (
    Estimate,
    LabelScores,
    bootstrap,
    confidence_summariser,
    interval_of_alike,
)
from tawasul_nlp.model.label_sets import label_matrix, split_labels


@dataclass(frozen=True, slots=True)
class LabelSetMetrics:
    """The figures of one system for one multi-label task, each with its 95% interval."""

    # Share of the rows whose set of labels is exactly right.
    exact_match: Estimate
    # Over all pairs of a row and a label, as scikit-learn's.
    micro_precision: Estimate
    micro_recall: Estimate
    micro_f1: Estimate
    # Mean F1 of the labels that occur among truths and answers.
    macro_f1: Estimate
    # As those of Metrics, of sets and the probabilities that they are right; None for a system without probabilities.
    ece: Estimate | None = None
    aurc: Estimate | None = None
    coverage_at_2: Estimate | None = None
    coverage_at_5: Estimate | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LabelSetAnswers:
    """What a system answered for a multi-label task."""

    # The system's labels; then those that only the data have, which the system can never answer.
    labels: tuple[str, ...]
    # Which labels (n, labels) each row has, and which were answered.
    truth: np.ndarray
    answered: np.ndarray
    # How many of the labels are the system's own.
    n_own_labels: int
    # Probability (n,) that the set is right; None for a system without probabilities.
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

    >>> system = label_set_answers(("a", "b"), ["a|c", "b"], np.array([[True, False], [False, True]]))
    >>> system.labels, system.hits.tolist(), system.counts.tolist()
    (('a', 'b', 'c'), [False, True], [[1, 1, 2], [1, 1, 1]])
    """
    every = labels + tuple(sorted({label for cell in set(cells) for label in split_labels(cell)} - set(labels)))
    more = np.zeros((len(cells), len(every) - len(labels)), bool)
    truth = label_matrix(cells, every) == 1
    return LabelSetAnswers(every, truth, np.hstack([answered, more]), len(labels), confidence)


def label_set_summariser(system: LabelSetAnswers) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to every figure of :class:`LabelSetMetrics`, by name."""
    hits = system.hits
    truth, answered = system.truth.astype(np.float32), system.answered.astype(np.float32)
    both = truth * answered
    of_confidence = None if system.confidence is None else confidence_summariser(system.confidence, hits)

    def figures(weights: np.ndarray) -> dict[str, float]:
        right, said, true = (weights @ part for part in (both, answered, truth))
        present = said + true > 0
        f1 = 2 * right[present] / (said + true)[present]
        values = {
            "exact_match": float(weights[hits].sum() / weights.sum()),
            "micro_precision": _share(right.sum(), said.sum()),
            "micro_recall": _share(right.sum(), true.sum()),
            "micro_f1": _share(2 * right.sum(), said.sum() + true.sum()),
            "macro_f1": float(f1.mean()) if present.any() else 0.0,
        }
        return values | (of_confidence(weights) if of_confidence is not None else {})

    return figures


def label_set_metrics(system: LabelSetAnswers, groups: np.ndarray, resamples: int) -> LabelSetMetrics:
    """Return every figure with its 95% interval; rows with one number in ``groups`` are drawn together."""
    figures = bootstrap(label_set_summariser(system), groups, resamples)
    if system.hits.all() or not system.hits.any():
        figures["exact_match"] = interval_of_alike(bool(system.hits[0]), groups)
    return LabelSetMetrics(**figures)


def micro_f1_of(counts: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the micro F1 of rows with such ``counts`` (n, 3), which weigh the same if no weights are system."""
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


def label_set_scores(system: LabelSetAnswers) -> tuple[LabelScores, ...]:
    """Return the scores of each label that has rows, the least F1 first."""
    from sklearn.metrics import precision_recall_fscore_support

    present = np.flatnonzero(system.truth.any(axis=0))
    if not len(present):
        return ()
    columns = precision_recall_fscore_support(
        system.truth[:, present], system.answered[:, present], average=None, zero_division=0
    )
    scores = [
        LabelScores(system.labels[label], int(n), *(round(float(share), 4) for share in shares))
        for label, *shares, n in zip(present.tolist(), *columns, strict=True)
    ]
    return tuple(sorted(scores, key=lambda each: (each.f1, each.label)))


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0
