"""When both texts of a pair are read together, and how the decision follows: a part of ``pairs.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MEASURES = ("first_score", "reading", "same_place", "place_of_none")
"""What the log-odds of a pair that was read are a linear function of: the log-odds of the pair scorer without the time
between the cases (up to a limit), those of the model that read both texts, and whether both name a place in common, or
neither any."""

_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Verification:
    """A rule for pairs of which the pair scorer is unsure.

    Attributes
    ----------
    low, high : float
        Candidates are read whose score is at least ``low`` and below ``high``; a pair of which both cases match a third
        also below ``low``, unless the score is 0 by rule.
    per_case : int
        So many candidates are read for each case, the likeliest first, and at most as many of the other pairs.
    weights : tuple of float
        What each of :data:`MEASURES` counts.
    intercept : float
    threshold : float
        The probability from which two cases count as duplicates when pairs are verified.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    low: float
    high: float
    per_case: int
    weights: tuple[float, ...]
    intercept: float
    threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < 1:
            raise ValueError(f"pairs from {self.low} to {self.high} are read, expected two numbers between 0 and 1")
        if not 1 <= self.per_case <= _MOST:
            raise ValueError(f"per_case is {self.per_case}, expected 1 to {_MOST}")
        if len(self.weights) != len(MEASURES):
            raise ValueError(f"got {len(self.weights)} weights, expected {len(MEASURES)}")
        if not np.isfinite([*self.weights, self.intercept]).all() or not 0 < self.threshold < 1:
            raise ValueError("a weight is not finite, or the threshold is not between 0 and 1")

    def logits(self, measures: np.ndarray) -> np.ndarray:
        """Return log-odds from :data:`MEASURES`, (pairs, 4), without the time between the cases."""
        return np.asarray(measures @ np.array(self.weights) + self.intercept)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "low": self.low,
            "high": self.high,
            "per_case": self.per_case,
            "weights": dict(zip(MEASURES, self.weights, strict=True)),
            "intercept": self.intercept,
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Verification:
        """Read what :meth:`as_json` returned; KeyError, TypeError or ValueError if it is something else."""
        return cls(
            float(content["low"]),
            float(content["high"]),
            int(content["per_case"]),
            tuple(float(content["weights"][name]) for name in MEASURES),
            float(content["intercept"]),
            float(content["threshold"]),
        )
