"""Figures with intervals, of confidence too, and tests of a difference. Numbers in, numbers out.

Every figure is computed from row weights, so that a bootstrap resample is the same rows with other weights.
"""

from __future__ import annotations

from collections.abc import Callable
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
class TaskComparison:
    """How two systems differ on the rows of one task."""

    n: int
    # Of the first and of the second; of a multi-label task, the share of sets that are exactly right.
    accuracy: tuple[float, float]
    # First minus second in points of accuracy, with the paired bootstrap 95% interval.
    points: Estimate
    # Rows that only the one or only the other gets right.
    first_only: int
    second_only: int
    # Exact McNemar test: of the rows where only one is right, each is as likely to be right.
    p_value: float
    # Whether chance alone would show such a difference less than once in twenty times, by both tests.
    significant: bool


def difference(first: np.ndarray, second: np.ndarray, groups: np.ndarray, resamples: int = 2000) -> TaskComparison:
    """Compare two systems on the same rows.

    Parameters
    ----------
    first, second : ndarray of bool, shape (n,)
        Which answers of each are right.
    groups : ndarray of int, shape (n,)
    resamples : int

    Examples
    --------
    >>> hits = np.array([True, False])
    >>> difference(hits, hits, np.arange(2), 20).points
    Estimate(value=0.0, low=0.0, high=0.0)
    """
    from scipy.stats import binomtest

    gains = first.astype(float) - second
    gain = bootstrap(lambda weights: {"gain": weights @ gains / weights.sum()}, groups, resamples, bounds=(-1, 1))
    points = Estimate(*(round(100 * number, 2) for number in gain["gain"]))
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p_value = float(binomtest(only_first, apart, 0.5).pvalue) if apart else 1.0
    return TaskComparison(
        n=len(first),
        accuracy=(round(float(first.mean()), 4), round(float(second.mean()), 4)),
        points=points,
        first_only=only_first,
        second_only=only_second,
        p_value=p_value,
        significant=p_value < 0.05 and (points.low > 0 or points.high < 0),
    )


def share(part: float, whole: float) -> float:
    """Return a share; 0 of nothing."""
    return float(part) / float(whole) if whole else 0.0


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The answers whose confidence lies in one of the bins of equal width."""

    start: float
    n: int
    confidence: float
    accuracy: float


def confidence_summariser(confidence: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to ``ece`` and the coverages at :data:`TARGETS`.

    A coverage is the largest share of answers, the most confident first, whose error is at most 2% or 5%. The threshold
    is chosen on these very rows, so it flatters: what a stored threshold does is another figure.
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    # A threshold cannot tell equals apart, so it cuts behind the last of them.
    last = np.append(falling[1:] != falling[:-1], True)
    which = _bins(confidence)

    def figures(weights: np.ndarray) -> dict[str, float]:
        sorted_weights = weights[order]
        cumulated = np.cumsum(sorted_weights)
        wrong = np.cumsum(sorted_weights * ~hits[order])
        return {
            "ece": _ece(which, confidence, hits, weights),
            **{f"coverage_at_{target * 100:.0f}": _coverage(cumulated, wrong, last, target) for target in TARGETS},
        }

    return figures


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


def _coverage(cumulated: np.ndarray, wrong: np.ndarray, last: np.ndarray, target: float) -> float:
    fine = last & (cumulated > 0) & (wrong <= target * cumulated + 1e-9)
    return float(cumulated[fine].max() / cumulated[-1]) if fine.any() else 0.0
