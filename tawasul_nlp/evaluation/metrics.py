"""Quality of one task's answers, with intervals, and tests of a difference. Numbers in, numbers out.

Every figure is computed from row weights, so that a bootstrap resample is the same rows with other weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BINS = 15
TARGETS = (0.02, 0.05)


class Estimate(NamedTuple):
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float


def bootstrap(
    statistics: Callable[[np.ndarray], dict[str, float]],
    groups: np.ndarray,
    resamples: int,
    seed: int = 0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Estimate]:
    """Return each figure with its bootstrap 95% interval.

    The interval is that of the percentiles, moved by the bootstrap's own estimate of its bias: a resample holds only
    two thirds of the rows, so its macro F1 comes out too low and its calibration error too high.

    Parameters
    ----------
    statistics : callable
        From row weights (n,) to named figures.
    groups : ndarray of int, shape (n,)
        Rows with one number are drawn together; ``arange(n)`` draws row by row.
    resamples : int
    seed : int
    bounds : tuple of float
        Least and greatest possible value of the figures.

    Raises
    ------
    ValueError
        If there are no resamples, which give no interval.
    """
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected at least 1")
    whole = statistics(np.ones(len(groups)))
    rng = np.random.default_rng(seed)
    size = int(groups.max()) + 1
    draws = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(size, size=size), minlength=size)[groups].astype(float)
        if weights.any():
            draws.append(list(statistics(weights).values()))
    drawn = np.array(draws)
    with np.errstate(all="ignore"):
        drawn = drawn - (np.nanmean(drawn, axis=0) - np.array(list(whole.values())))
        low, high = np.clip(np.nanquantile(drawn, [0.025, 0.975], axis=0), *bounds)
    return {
        name: Estimate(round(float(value), 4), round(float(low[index]), 4), round(float(high[index]), 4))
        for index, (name, value) in enumerate(whole.items())
    }


def exact_interval(right: int, n: int) -> Estimate:
    """Return the share of ``right`` among ``n`` with its exact (Clopper-Pearson) 95% interval.

    >>> exact_interval(4, 5)
    Estimate(value=0.8, low=0.2836, high=0.9949)
    """
    from scipy.stats import binomtest

    interval = binomtest(right, n).proportion_ci(0.95, "exact")
    return Estimate(right / n, round(float(interval.low), 4), round(float(interval.high), 4))


def interval_of_alike(right: bool, groups: np.ndarray) -> Estimate:
    """Return the exact interval for the case that all or none are right; rows with one number in ``groups`` are one.

    There every resample says the same, so that a bootstrap would claim certainty from three rows.

    >>> interval_of_alike(True, np.arange(5)).low, interval_of_alike(True, np.zeros(5, int)).low
    (0.4782, 0.025)
    """
    n = len(np.unique(groups))
    return exact_interval(n if right else 0, n)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two systems differ on the same rows."""

    # First minus second in points of accuracy, with the paired bootstrap 95% interval.
    points: Estimate
    # Rows that only the one or only the other gets right.
    first_only: int
    second_only: int
    # Exact McNemar test: of the rows where only one is right, each is as likely to be right.
    p_value: float

    @property
    def significant(self) -> bool:
        """Whether chance alone would show such a difference less than once in twenty times, by both tests."""
        return self.p_value < 0.05 and (self.points.low > 0 or self.points.high < 0)


def difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray, resamples: int = 2000) -> Difference:
    """Compare the hits of two systems on the same rows: (n,) bool each."""
    from scipy.stats import binomtest

    gain = first.astype(float) - second.astype(float)
    mean_gain = bootstrap(
        lambda weights: {"gain": float(weights @ gain / weights.sum())}, groups, resamples, bounds=(-1.0, 1.0)
    )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p_value = float(binomtest(only_first, apart, 0.5).pvalue) if apart else 1.0
    points = Estimate(*(round(100 * number, 2) for number in mean_gain["gain"]))
    return Difference(points, only_first, only_second, p_value)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one system for one task, each with its 95% interval."""

    # The first three as scikit-learn's, over the labels that occur among truths and answers.
    accuracy: Estimate
    macro_f1: Estimate
    weighted_f1: Estimate
    # Share of the rows whose label is among the three likeliest.
    top3: Estimate
    # See expected_calibration_error; None for a system without probabilities, as are those below.
    ece: Estimate | None = None
    # Area under the risk-coverage curve (Geifman et al. 2019).
    aurc: Estimate | None = None
    # The largest share of answers, the most confident first, whose error is at most 2% and 5%. The threshold is chosen
    # on these very rows, so it flatters: what a stored threshold does is another figure.
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
    """What a system answered for one task."""

    # The system's labels; then those that only the data have, which the system can never answer.
    labels: tuple[str, ...]
    # Indices (n,) into the labels.
    truth: np.ndarray
    predicted: np.ndarray
    # Whether (n,) the truth is among the three likeliest labels.
    top3: np.ndarray
    # How many of the labels are the system's own.
    n_own_labels: int
    # Probability (n,) of the answer; None for a system without probabilities.
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

    >>> system = answers(("a", "b"), ["a", "b", "c"], np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]))
    >>> system.labels, system.hits.tolist()
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
        n_own_labels=len(labels),
        confidence=np.take_along_axis(scores, answered[:, None], axis=1)[:, 0] if probabilities else None,
    )


def summariser(system: Answers) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to every figure of :class:`Metrics`, by name.

    scikit-learn's figures would count a label of weight 0, which a resample does not have, and take far longer;
    for weights of 1 these are the same.
    """
    hits = system.hits
    size = len(system.labels)

    def figures(weights: np.ndarray) -> dict[str, float]:
        total = weights.sum()
        true_positive = np.bincount(system.truth[hits], weights[hits], size)
        actual = np.bincount(system.truth, weights, size)
        both = actual + np.bincount(system.predicted, weights, size)
        present = both > 0
        f1 = 2 * true_positive[present] / both[present]
        values = {
            "accuracy": float(weights[hits].sum() / total),
            "macro_f1": float(f1.mean()),
            "weighted_f1": float(f1 @ actual[present] / total),
            "top3": float(weights[system.top3].sum() / total),
        }
        return values | (of_confidence(weights) if of_confidence is not None else {})

    of_confidence = None if system.confidence is None else confidence_summariser(system.confidence, hits)
    return figures


def confidence_summariser(confidence: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to ``ece``, ``aurc`` and the coverages at :data:`TARGETS`."""
    order = np.argsort(-confidence, kind="stable")
    last = _last_of_equals(confidence[order])
    which = _bins(confidence)

    def figures(weights: np.ndarray) -> dict[str, float]:
        sorted_weights = weights[order]
        cumulated = np.cumsum(sorted_weights)
        wrong = np.cumsum(sorted_weights * ~hits[order])
        return {
            "ece": _ece(which, confidence, hits, weights),
            "aurc": float((sorted_weights * wrong / np.maximum(cumulated, 1e-12)).sum() / weights.sum()),
            **{f"coverage_at_{target * 100:.0f}": _coverage(cumulated, wrong, last, target) for target in TARGETS},
        }

    return figures


def metrics_of(system: Answers, groups: np.ndarray, resamples: int) -> Metrics:
    """Return every figure with its 95% interval; rows with one number in ``groups`` are drawn together."""
    figures = bootstrap(summariser(system), groups, resamples)
    for name, right in (("accuracy", system.hits), ("top3", system.top3)):
        if right.all() or not right.any():
            figures[name] = interval_of_alike(bool(right[0]), groups)
    return Metrics(**figures)


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
        (round(float((rank + 1) / len(hits)), 4), round(float(error), 4))
        for rank, error in zip(last, errors, strict=True)
    )


def most_confused(system: Answers, limit: int = 15) -> tuple[ConfusedPair, ...]:
    """Return the most frequent pairs of a true label and the other that was answered instead."""
    wrong = np.flatnonzero(~system.hits)
    size = len(system.labels)
    codes, counts = np.unique(system.truth[wrong] * size + system.predicted[wrong], return_counts=True)
    top = np.argsort(-counts, kind="stable")[:limit]
    return tuple(
        ConfusedPair(system.labels[codes[i] // size], system.labels[codes[i] % size], int(counts[i])) for i in top
    )


def scores_by_label(system: Answers) -> tuple[LabelScores, ...]:
    """Return the scores of each label that has rows, the least F1 first."""
    from sklearn.metrics import precision_recall_fscore_support

    present = np.unique(system.truth)
    columns = precision_recall_fscore_support(system.truth, system.predicted, labels=present, zero_division=0)
    scores = [
        LabelScores(system.labels[label], int(n), *(round(float(share), 4) for share in shares))
        for label, *shares, n in zip(present.tolist(), *columns, strict=True)
    ]
    return tuple(sorted(scores, key=lambda each: (each.f1, each.label)))


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
