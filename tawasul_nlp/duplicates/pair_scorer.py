"""The probability that two cases report one incident, learned from the features of pairs.

The model is a generalised additive one: logistic regression on piecewise-linear functions of a few similarities and on
the relations between the places, topics and numbers of the two texts. So every part of a score can be explained
(:meth:`PairScorer.contributions`). Two rules override it: a conflicting place keeps two cases apart, and a long time
between them lowers the score.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import cores
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.pair_features import (
    ABSENT,
    FLAGS,
    KNOTS,
    NAMES,
    Meetings,
    conflicting_places,
    measures,
    meetings,
    pair_features,
)
from tawasul_nlp.errors import ModelFormatError

MEASURES = ("first_score", "reading", "same_place", "place_of_none")
"""What the log-odds of a pair that was read are a linear function of: the log-odds of the pair scorer without the time
between the cases (up to a limit), those of the model that read both texts, and whether both name a place in common, or
neither any."""

_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Verification:
    """A rule for pairs of which the pair scorer is unsure.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    # Candidates are read whose score is at least `low` and below `high`; a pair of which both cases match a third
    # also below `low`, unless the score is 0 by rule.
    low: float
    high: float
    # So many candidates are read for each case, the likeliest first, and at most as many of the other pairs.
    per_case: int
    # What each of :data:`MEASURES` counts.
    weights: tuple[float, ...]
    intercept: float
    # The probability from which two cases count as duplicates when pairs are verified.
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
        return {**asdict(self), "weights": dict(zip(MEASURES, self.weights, strict=True))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Verification:
        """Read what :meth:`as_json` returned; KeyError, TypeError or ValueError if it is something else."""
        numbers = {name: float(content[name]) for name in ("low", "high", "intercept", "threshold")}
        weights = tuple(float(content["weights"][name]) for name in MEASURES)
        return cls(per_case=int(content["per_case"]), weights=weights, **numbers)


FORMAT_VERSION = 5
# Pairs scored at a time: few enough that their features stay in the processor's cache.
_BLOCK = 16_384

_FAMILIES = {
    "similarity of meaning": ("cosine", "cosine_same_place", "cosine_no_place"),
    "similarity of wording": ("shingles", "shingles_same_names", "rarest_shared_word", "rarity_shared", "other_script"),
    "place": ("rarest_shared_place", *FLAGS[:8]),
    "topic": ("topics", "topics_same_place"),
    "numbers and roads": FLAGS[8:12],
    "length": ("length", "length_no_place"),
}


@dataclass(frozen=True, slots=True, eq=False)
class PairScorer:
    """The learned probability that two cases report one incident."""

    # (len(NAMES),), float64
    weights: np.ndarray
    intercept: float
    # The probability from which two cases count as duplicates; chosen on validation data.
    threshold: float
    # Cases received more than this many days apart lose one unit of log-odds for every further `days`. The corpus has
    # no dates, so this is a rule, not learned.
    days: float = 21.0
    # Which pairs a model that reads pairs verifies; None for a model that does not.
    verification: Verification | None = None

    def score(self, features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the probability of pairs, by row numbers: (pairs,), float32.

        It is 0 where the places conflict or a text has no letter or digit.
        """
        scores = np.empty(len(first), np.float32)

        def fill(start: int) -> None:
            part = slice(start, start + _BLOCK)
            a, b = first[part], second[part]
            met = meetings(features, a, b)
            never = conflicting_places(features, a, b, met) | (features.length[a] == 0) | (features.length[b] == 0)
            may = np.flatnonzero(~never)
            # The common places of a pair are looked up once, for the rule and the features.
            places = {name: (both[may], common[may]) for name, (both, common) in met.items()}
            logits = self._logits(features, a[may], b[may], places)
            scores[part] = 0.0
            scores[start + may] = 1.0 / (1.0 + np.exp(np.minimum(-logits, 700.0)))  # centuries apart are 0 too

        starts = range(0, len(first), _BLOCK)
        if len(starts) == 1:
            fill(0)
        elif starts:
            with ThreadPoolExecutor(cores()) as pool:  # numpy releases the interpreter lock
                list(pool.map(fill, starts))
        return scores

    def _logits(self, features: CaseFeatures, first: np.ndarray, second: np.ndarray, places: Meetings) -> np.ndarray:
        """Return the log-odds of pairs, without a table of their features."""
        values, flags = measures(features, first, second, places)
        logits = self.intercept + self.late(features, first, second)
        start = 0
        for name, knots in KNOTS.items():
            heights = self.weights[start : start + len(knots)]
            logits += np.where(values[name] == ABSENT, 0.0, np.interp(values[name], knots, heights))
            start += len(knots)
        for name, weight in zip(FLAGS, self.weights[start:], strict=True):
            logits[flags[name]] += weight
        return logits

    def late(self, features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return what the time between two cases adds to the log-odds: 0 or less; 0 if a date is missing."""
        apart = np.abs(features.days[first] - features.days[second])
        return -np.nan_to_num(np.maximum(apart / self.days - 1.0, 0.0))

    def contributions(self, features: CaseFeatures, first: int, second: int) -> dict[str, float]:
        """Return what each family of features adds to the log-odds of one pair."""
        a, b = np.array([first]), np.array([second])
        parts = pair_features(features, a, b)[0] * self.weights
        families = {
            family: float(sum(part for name, part in zip(NAMES, parts, strict=True) if name.split("@")[0] in members))
            for family, members in _FAMILIES.items()
        }
        return {**families, "time between": float(self.late(features, a, b)[0]), "base rate": self.intercept}

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        content: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "intercept": self.intercept,
            "threshold": self.threshold,
            "days": self.days,
            "weights": dict(zip(NAMES, (round(float(weight), 6) for weight in self.weights), strict=True)),
        }
        if self.verification is not None:
            content["verification"] = self.verification.as_json()
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> PairScorer:
        """Read a model.

        Raises
        ------
        ModelFormatError
            If the file is missing, damaged, or of another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format_version"] != FORMAT_VERSION:
                raise ModelFormatError(
                    f"{path}: format version {content['format_version']!r}, this library reads {FORMAT_VERSION}; "
                    "use the library version that trained it, or retrain"
                )
            weights = np.array([content["weights"][name] for name in NAMES], np.float64)
            rule = content.get("verification")
            return cls(
                weights=weights,
                intercept=float(content["intercept"]),
                threshold=float(content["threshold"]),
                days=float(content["days"]),
                verification=None if rule is None else Verification.from_json(rule),
            )
        except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ModelFormatError):
                raise
            raise ModelFormatError(f"{path}: not a pair scorer ({error!r}); restore the model folder") from error
