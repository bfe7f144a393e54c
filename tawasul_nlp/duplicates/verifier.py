"""The verifier reads both texts of a pair together where the pair scorer is unsure.

Conflicting places, and what people decided, stay above it: such pairs are not read. Each unordered pair is read at most
once, in the same order of its texts, so nothing depends on which case came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.pair_features import AREAS, NAMES, NEAR_COPY, copied, has_codes, pair_features, shares
from tawasul_nlp.duplicates.pair_scorer import MEASURES, PairScorer, Verification

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

    Parameters
    ----------
    scorer : PairScorer
    features : CaseFeatures
    first, second : ndarray of int, shape (pairs,)
        Row numbers.
    scores : ndarray of float, shape (pairs,)
        Their scores by ``scorer``, above 0 and below 1.
    readings : ndarray of float, shape (pairs,)
        The log-odds by a :class:`PairReader`.
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
        """Return the log-odds that texts report one event, whichever comes first: (pairs,), float32."""
        ordered = [(a, b) if a <= b else (b, a) for a, b in pairs]
        position = {pair: at for at, pair in enumerate(dict.fromkeys(ordered))}
        logits = np.asarray(self.reader.pair_logits(list(position)), np.float32)
        return logits[[position[pair] for pair in ordered]]

    def scores(
        self, features: CaseFeatures, first: np.ndarray, second: np.ndarray, scores: np.ndarray, readings: np.ndarray
    ) -> np.ndarray:
        """Return the probabilities of pairs that were read, float32; parameters are those of :func:`pair_measures`.

        Copies that name another house, road or street are as likely as before at most: to a reader they look the same.
        """
        measures = pair_measures(self.scorer, features, first, second, scores, readings)
        logits = self.rule.logits(measures) + self.scorer.late(features, first, second)
        found = np.asarray(1.0 / (1.0 + np.exp(-logits)), np.float32)
        elsewhere = pair_features(features, first, second)[:, NAMES.index("numbers_differ")] > 0
        limited = (copied(features, first, second) >= NEAR_COPY) & elsewhere
        return np.where(limited, np.minimum(found, scores), found).astype(np.float32)

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
        found = {name: share * part for name, part in self.scorer.contributions(features, first, second).items()}
        found["place"] += parts["same_place"] + parts["place_of_none"]
        found["time between"] = late
        found["base rate"] += self.rule.intercept
        return {READING: parts["reading"], **found}


def _log_odds(scores: np.ndarray) -> np.ndarray:
    odds = scores.astype(np.float64)
    return np.asarray(np.log(odds / (1.0 - odds)))
