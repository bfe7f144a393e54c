"""Bootstrap and exact intervals of figures, and tests of a difference. Numbers in, numbers out.

A figure is computed from row weights, so that a bootstrap resample is the same rows with other weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


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
        name: Estimate(round(float(value), 4), round(float(low[at]), 4), round(float(high[at]), 4))
        for at, (name, value) in enumerate(whole.items())
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
    """How two systems differ on the same rows.

    Attributes
    ----------
    points : Estimate
        First minus second in points of accuracy, with the paired bootstrap 95% interval.
    first_only, second_only : int
        Rows that only the one or only the other gets right.
    p_value : float
        Exact McNemar test: of the rows where only one is right, each is as likely to be right.
    """

    points: Estimate
    first_only: int
    second_only: int
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
