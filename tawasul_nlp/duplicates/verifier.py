"""The verifier reads both texts of a pair together where the pair scorer is unsure.

Conflicting places, and what people decided, stay above it: such pairs are not read. Each unordered pair is read at most
once, in the same order of its texts, so nothing depends on which case came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tawasul_nlp.duplicates.candidates import pair_keys
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.pair_features import AREAS, NAMES, NEAR_COPY, copied, has_codes, pair_features, shares
from tawasul_nlp.duplicates.pair_scorer import MEASURES, PairScorer, Verification
from tawasul_nlp.model.encoder import MAX_CHARS

READING = "both texts read together"
# The first score's log-odds count up to this much: of reports in quite other words it is lower than it should be, and a
# reading must be able to say so. On the fitting incidents it costs .002 of the log loss (training/EXPERIMENTS.md).
_MOST = 4.0


class PairReader(Protocol):
    """A model that reads two texts together, such as a :class:`~tawasul_nlp.classifier.ComplaintClassifier`."""

    def pair_logits(self, pairs: Sequence[tuple[str, str]], /) -> np.ndarray:
        """Return the log-odds that the two texts of each pair report one event: (pairs,)."""


def pair_measures(
    scorer: PairScorer,
    features: CaseFeatures,
    first: np.ndarray,
    second: np.ndarray,
    scores: np.ndarray,
    readings: np.ndarray,
) -> np.ndarray:
    """Return :data:`~tawasul_nlp.duplicates.pair_scorer.MEASURES` of pairs: (pairs, 4), float64.

    ``scores`` are those of the pairs by ``scorer``, above 0 and below 1; ``readings`` their log-odds by a
    :class:`PairReader`.
    """
    same = [shares(getattr(features, name)[first], getattr(features, name)[second]) > 0 for name in AREAS]
    named = [has_codes(getattr(features, name), rows) for name in AREAS for rows in (first, second)]
    return np.column_stack(
        [
            np.clip(_log_odds(scores) - scorer.late(features, first, second), -_MOST, _MOST),
            readings,
            np.any(same, axis=0),
            ~np.any(named, axis=0),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Verifier:
    """Corrects the scores of pairs of which a scorer is unsure."""

    scorer: PairScorer
    rule: Verification
    reader: PairReader

    def read(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return the log-odds that texts report one event, whichever comes first: (pairs,), float32.

        NaN where there is nothing to read, or more than is read.
        """
        ordered = [(a, b) if a <= b else (b, a) for a, b in pairs]
        readable = [pair for pair in dict.fromkeys(ordered) if all(0 < len(text) <= MAX_CHARS for text in pair)]
        logits = dict(zip(readable, self.reader.pair_logits(readable).tolist(), strict=True))
        return np.array([logits.get(pair, np.nan) for pair in ordered], np.float32)

    def scores(
        self, features: CaseFeatures, first: np.ndarray, second: np.ndarray, scores: np.ndarray, readings: np.ndarray
    ) -> np.ndarray:
        """Return the probabilities of pairs that were read, float32; parameters are those of :func:`pair_measures`.

        Copies that name another house, road or street are as likely as before at most: to a reader they look the same.
        """
        measures = pair_measures(self.scorer, features, first, second, scores, readings)
        logits = self.rule.logits(measures) + self.scorer.late(features, first, second)
        verified = np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)
        elsewhere = pair_features(features, first, second)[:, NAMES.index("numbers_differ")] > 0
        limited = (copied(features, first, second) >= NEAR_COPY) & elsewhere
        return np.where(limited, np.minimum(verified, scores), verified).astype(np.float32)

    def contributions(
        self, features: CaseFeatures, first: int, second: int, score: float, reading: float
    ) -> dict[str, float]:
        """Return what the families of features of the scorer, and the reading, add to the log-odds of a pair."""
        a, b = np.array([first]), np.array([second])
        measures = pair_measures(self.scorer, features, a, b, np.array([score]), np.array([reading]))[0]
        parts = dict(zip(MEASURES, (np.array(self.rule.weights) * measures).tolist(), strict=True))
        late = float(self.scorer.late(features, a, b)[0])
        odds = float(_log_odds(np.array([score]))[0]) - late
        share = parts["first_score"] / odds if odds else 1.0
        families = {name: share * part for name, part in self.scorer.contributions(features, first, second).items()}
        families["place"] += parts["same_place"] + parts["place_of_none"]
        families["time between"] = late
        families["base rate"] += self.rule.intercept
        return {READING: parts["reading"], **families}


def allowed(
    first: np.ndarray, second: np.ndarray, scores: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the pairs to read: those that are among the likeliest of one of their cases.

    Of each pair, which comes once, ``first`` and ``second`` are the row numbers; ``left`` is how many pairs may be read
    for each case. Returns the positions of the chosen pairs, ascending, and what is left of ``left``.

    Examples
    --------
    >>> chosen, left = allowed(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([0.2, 0.5, 0.4]), np.array([1, 1, 1]))
    >>> chosen.tolist(), left.tolist()
    ([1, 2], [0, 0, 0])
    """
    cases, pairs = np.concatenate([first, second]), np.tile(np.arange(len(first)), 2)
    order = np.lexsort((pairs, -scores[pairs], cases))
    cases, pairs = cases[order], pairs[order]
    rank = np.arange(len(cases)) - np.searchsorted(cases, cases)
    inside = rank < left[cases]
    return np.unique(pairs[inside]), left - np.bincount(cases[inside], minlength=len(left))


def to_read(rule: Verification, n: int, first: np.ndarray, second: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the positions, ascending, of those of all candidate pairs of ``n`` cases that a rule says to read."""
    unsure = np.flatnonzero((scores >= rule.low) & (scores < rule.high))
    left = np.full(n, rule.per_case, np.int64)
    return unsure[allowed(first[unsure], second[unsure], scores[unsure], left)[0]]


class CaseScores:
    """The scores of the pairs of a list of cases; with a verifier, which reads their texts, unsure pairs are read."""

    def __init__(
        self, features: CaseFeatures, scorer: PairScorer, verifier: Verifier | None = None, texts: Sequence[str] = ()
    ) -> None:
        self.features = features
        self.scorer = scorer
        # The log-odds of the pairs that were read until now, by their :func:`pair_keys`; never changed in place.
        self.readings: dict[int, float] = {}
        self._verifier = verifier
        self._texts = texts
        self._limit(0.0 if verifier is None else verifier.rule.low)

    def related(self) -> CaseScores:
        """Return the scores for pairs that come up since both cases match a third.

        That says more than the first score does, so however low it is, unless it is 0 by rule, they are read.
        """
        related = copy(self)
        related._limit(0.0)
        return related

    def _limit(self, least: float) -> None:
        """Read pairs from a score on, and of each case no more than the rule says from now on."""
        self._least = least
        # How many more pairs may be read for each case.
        per_case = 0 if self._verifier is None else self._verifier.rule.per_case
        self.left = np.full(len(self.features), per_case, np.int64)

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the probability that the cases of each pair report one incident: (pairs,), float32."""
        scores = self.scorer.score(self.features, first, second)
        if self._verifier is None:
            return scores
        read, readings = self._read(self._verifier, first, second, scores)
        scores[read] = self._verifier.scores(self.features, first[read], second[read], scores[read], readings)
        return scores

    def contributions(self, first: int, second: int) -> dict[str, float]:
        """Return what adds to the log-odds of a pair: the families of features, and reading both texts if unsure."""
        if self._verifier is not None:
            a, b = np.array([first]), np.array([second])
            score = self.scorer.score(self.features, a, b)
            _, readings = self._read(self._verifier, a, b, score)
            if len(readings):
                return self._verifier.contributions(self.features, first, second, float(score[0]), float(readings[0]))
        return self.scorer.contributions(self.features, first, second)

    def _read(
        self, verifier: Verifier, first: np.ndarray, second: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the pairs that are read now or were before, and their log-odds."""
        unsure = np.flatnonzero((scores > 0) & (scores < verifier.rule.high) & (first != second))
        keys = pair_keys(first[unsure], second[unsure])
        unread = np.array([key not in self.readings for key in keys.tolist()], np.bool_)
        new = np.flatnonzero(unread & (scores[unsure] >= self._least))
        new = new[np.unique(keys[new], return_index=True)[1]]
        chosen, self.left = allowed(first[unsure[new]], second[unsure[new]], scores[unsure[new]], self.left)
        new = new[chosen]
        rows = zip(first[unsure[new]].tolist(), second[unsure[new]].tolist(), strict=True)
        logits = verifier.read([(self._texts[a], self._texts[b]) for a, b in rows])
        self.readings = self.readings | dict(zip(keys[new].tolist(), logits.tolist(), strict=True))
        readings = np.array([self.readings.get(key, np.nan) for key in keys.tolist()], np.float32)
        was_read = ~np.isnan(readings)
        return unsure[was_read], readings[was_read]


def _log_odds(scores: np.ndarray) -> np.ndarray:
    odds = scores.astype(np.float64)
    return np.asarray(np.log(odds / (1.0 - odds)))
