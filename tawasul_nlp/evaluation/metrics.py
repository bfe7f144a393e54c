"""Quality of one task's answers, with intervals. Numbers in, numbers out.

Every figure is computed from row weights, so that a bootstrap resample is the same rows with other weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.evaluation.intervals import Estimate, bootstrap, interval_of_alike

BINS = 15
TARGETS = (0.02, 0.05)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one system for one task, each with its 95% interval.

    Attributes
    ----------
    accuracy, macro_f1, weighted_f1 : Estimate
        As scikit-learn's, over the labels that occur among truths and answers.
    top3 : Estimate
        Share of the rows whose label is among the three likeliest.
    ece : Estimate or None
        See :func:`expected_calibration_error`; None for a system without probabilities, as are those below.
    aurc : Estimate or None
        Area under the risk-coverage curve (Geifman et al. 2019).
    coverage_at_2, coverage_at_5 : Estimate or None
        See :func:`coverage_at`.
    """

    accuracy: Estimate
    macro_f1: Estimate
    weighted_f1: Estimate
    top3: Estimate
    ece: Estimate | None = None
    aurc: Estimate | None = None
    coverage_at_2: Estimate | None = None
    coverage_at_5: Estimate | None = None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The answers whose confidence lies in one of the bins of equal width."""

    start: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """How many rows of one label were given another."""

    true: str
    predicted: str
    n: int


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Precision, recall and F1 of one label, and how many rows have it."""

    label: str
    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a system answered for one task.

    Attributes
    ----------
    labels : tuple of str
        The system's labels; then those that only the data have, which the system can never answer.
    truth, predicted : ndarray of int, shape (n,)
        Indices into ``labels``.
    top3 : ndarray of bool, shape (n,)
        Whether the truth is among the three likeliest labels.
    known : int
        How many of ``labels`` are the system's own.
    confidence : ndarray of float, shape (n,), or None
        Probability of the answer; None for a system without probabilities.
    """

    labels: tuple[str, ...]
    truth: np.ndarray
    predicted: np.ndarray
    top3: np.ndarray
    known: int
    confidence: np.ndarray | None = None

    @property
    def hits(self) -> np.ndarray:
        """Which answers are right: (n,), bool."""
        right: np.ndarray = self.truth == self.predicted
        return right


def answers(
    labels: tuple[str, ...],
    truth: Sequence[str],
    scores: np.ndarray,
    probabilities: bool = True,
    predicted: np.ndarray | None = None,
) -> Answers:
    """Compare scores (n, labels) with the true labels; labels that the system lacks count as missed.

    ``predicted`` are the answers (n,) of a system that does not always answer the label with the highest score.

    >>> found = answers(("a", "b"), ["a", "b", "c"], np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]))
    >>> found.labels, found.hits.tolist()
    (('a', 'b', 'c'), [True, False, False])
    """
    every = labels + tuple(sorted(set(truth) - set(labels)))
    position = {label: index for index, label in enumerate(every)}
    target = np.array([position[label] for label in truth], dtype=np.int64)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    answered = best[:, 0] if predicted is None else predicted
    return Answers(
        labels=every,
        truth=target,
        predicted=answered,
        top3=(best == target[:, None]).any(1),
        known=len(labels),
        confidence=np.take_along_axis(scores, answered[:, None], axis=1)[:, 0] if probabilities else None,
    )


def summariser(given: Answers) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to every figure of :class:`Metrics`, by name.

    scikit-learn's figures would count a label of weight 0, which a resample does not have, and take far longer;
    for weights of 1 these are the same.
    """
    hits = given.hits
    size = len(given.labels)

    def figures(weights: np.ndarray) -> dict[str, float]:
        total = weights.sum()
        true_positive = np.bincount(given.truth[hits], weights[hits], size)
        actual = np.bincount(given.truth, weights, size)
        both = actual + np.bincount(given.predicted, weights, size)
        present = both > 0
        f1 = 2 * true_positive[present] / both[present]
        found = {
            "accuracy": float(weights[hits].sum() / total),
            "macro_f1": float(f1.mean()),
            "weighted_f1": float(f1 @ actual[present] / total),
            "top3": float(weights[given.top3].sum() / total),
        }
        return found | (of_confidence(weights) if of_confidence is not None else {})

    of_confidence = None if given.confidence is None else confidence_summariser(given.confidence, hits)
    return figures


def confidence_summariser(confidence: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to ``ece``, ``aurc`` and the coverages at :data:`TARGETS`."""
    order = np.argsort(-confidence, kind="stable")
    last = _last_of_equals(confidence[order])
    which = _bins(confidence)

    def figures(weights: np.ndarray) -> dict[str, float]:
        kept = weights[order]
        cumulated = np.cumsum(kept)
        wrong = np.cumsum(kept * ~hits[order])
        return {
            "ece": _ece(which, confidence, hits, weights),
            "aurc": float((kept * wrong / np.maximum(cumulated, 1e-12)).sum() / weights.sum()),
            **{f"coverage_at_{target * 100:.0f}": _coverage(cumulated, wrong, last, target) for target in TARGETS},
        }

    return figures


def metrics_of(given: Answers, groups: np.ndarray, resamples: int) -> Metrics:
    """Return every figure with its 95% interval; rows with one number in ``groups`` are drawn together."""
    found = bootstrap(summariser(given), groups, resamples)
    for name, right in (("accuracy", given.hits), ("top3", given.top3)):
        if right.all() or not right.any():
            found[name] = interval_of_alike(bool(right[0]), groups)
    return Metrics(**found)


def expected_calibration_error(confidence: np.ndarray, hits: np.ndarray) -> float:
    """Return the expected calibration error with 15 bins of equal width (Guo et al. 2017).

    >>> round(expected_calibration_error(np.array([0.9, 0.9, 0.6]), np.array([True, False, True])), 3)
    0.4
    """
    return _ece(_bins(confidence), confidence, hits, np.ones(len(hits)))


def reliability(confidence: np.ndarray, hits: np.ndarray) -> tuple[ReliabilityBin, ...]:
    """Return count, mean confidence and accuracy of each bin of confidence that has rows."""
    which = _bins(confidence)
    return tuple(
        ReliabilityBin(
            round(index / BINS, 4),
            int((which == index).sum()),
            round(float(confidence[which == index].mean()), 4),
            round(float(hits[which == index].mean()), 4),
        )
        for index in np.unique(which).tolist()
    )


def risk_coverage(confidence: np.ndarray, hits: np.ndarray, points: int = 200) -> tuple[tuple[float, float], ...]:
    """Return pairs of coverage and error when only the most confident answers are accepted, at most ``points``."""
    order = np.argsort(-confidence, kind="stable")
    last = np.flatnonzero(_last_of_equals(confidence[order]))
    errors = np.cumsum(~hits[order])[last] / (last + 1)
    if len(last) > points:
        chosen = np.unique(np.linspace(0, len(last) - 1, points).astype(int))
        last, errors = last[chosen], errors[chosen]
    return tuple(
        (round(float((at + 1) / len(hits)), 4), round(float(error), 4)) for at, error in zip(last, errors, strict=True)
    )


def coverage_at(confidence: np.ndarray, hits: np.ndarray, target: float) -> float:
    """Return the largest share of answers, the most confident first, whose error is at most ``target``.

    The threshold is chosen on these very rows, so it flatters: what a stored threshold does is another figure.

    >>> coverage_at(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True]), 0.3)
    1.0
    >>> coverage_at(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True]), 0.2)
    0.5
    """
    order = np.argsort(-confidence, kind="stable")
    ones = np.ones(len(hits))
    return _coverage(np.cumsum(ones), np.cumsum(~hits[order]), _last_of_equals(confidence[order]), target)


def most_confused(given: Answers, limit: int = 15) -> tuple[ConfusedPair, ...]:
    """Return the most frequent pairs of a true label and the other that was answered instead."""
    wrong = np.flatnonzero(~given.hits)
    size = len(given.labels)
    codes, counts = np.unique(given.truth[wrong] * size + given.predicted[wrong], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:limit]
    return tuple(
        ConfusedPair(given.labels[codes[i] // size], given.labels[codes[i] % size], int(counts[i])) for i in top
    )


def scores_by_label(given: Answers) -> tuple[LabelScores, ...]:
    """Return the scores of each label that has rows, the least F1 first."""
    from sklearn.metrics import precision_recall_fscore_support

    present = np.unique(given.truth)
    columns = precision_recall_fscore_support(given.truth, given.predicted, labels=present, zero_division=0)
    found = [
        LabelScores(given.labels[label], int(n), *(round(float(share), 4) for share in shares))
        for label, *shares, n in zip(present.tolist(), *columns, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (each.f1, each.label)))


def slice_accuracy(hits: np.ndarray, codes: np.ndarray, names: list[str]) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights to the accuracy of each slice; NaN for a slice that a resample lacks."""

    def figures(weights: np.ndarray) -> dict[str, float]:
        total = np.bincount(codes, weights, len(names))
        right = np.bincount(codes, weights * hits, len(names))
        with np.errstate(all="ignore"):
            return dict(zip(names, (right / total).tolist(), strict=True))

    return figures


def _bins(confidence: np.ndarray) -> np.ndarray:
    bins: np.ndarray = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return bins


def _ece(which: np.ndarray, confidence: np.ndarray, hits: np.ndarray, weights: np.ndarray) -> float:
    gap = np.bincount(which, weights * (confidence - hits), BINS)
    return float(np.abs(gap).sum()) / float(weights.sum())


def _last_of_equals(falling: np.ndarray) -> np.ndarray:
    """Mark the last of each run of equal confidences: a threshold cannot tell them apart."""
    return np.append(falling[1:] != falling[:-1], True)


def _coverage(cumulated: np.ndarray, wrong: np.ndarray, last: np.ndarray, target: float) -> float:
    fine = last & (cumulated > 0) & (wrong <= target * cumulated + 1e-9)
    return float(cumulated[fine].max() / cumulated[-1]) if fine.any() else 0.0
