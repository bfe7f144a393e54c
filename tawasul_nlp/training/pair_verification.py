"""Learn which pairs are worth reading, and what the reading counts beside the first score and the places.

The pairs are those that the pair scorer was fitted on, with scores by models that had not seen them. Read are those
between the scores below which hardly any duplicate lies, and above which hardly anything else does. A logistic
regression turns the first score, the reading and the places into a probability; both collections count the same, as for
the scorer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.pair_features import conflicting_places
from tawasul_nlp.duplicates.pair_scorer import MEASURES, PairScorer, Verification
from tawasul_nlp.duplicates.verifier import PairReader, Verifier, pair_measures, to_read
from tawasul_nlp.training.progress import tell

# The share of the duplicates that may score too little to be read, and of other pairs among those that score too much.
MISSED = 0.005
WRONG = 0.01
# The two scores lie within these, whatever few examples say.
LOW = (0.0005, 0.2)
HIGH = (0.8, 0.99)
# An incident has rarely more reports among the candidates of a case.
PER_CASE = 6


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """The pairs of a collection, judged by scorers that had not seen them.

    Attributes
    ----------
    texts : sequence of str
    columns : CaseFeatures
        What the texts are compared by.
    pairs : ndarray of int64, shape (pairs, 2)
    same : ndarray of bool, shape (pairs,)
        Which report one incident.
    scores : ndarray of float64, shape (pairs,)
        The probabilities; 0 where the places conflict.
    """

    texts: Sequence[str]
    columns: CaseFeatures
    pairs: np.ndarray
    same: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(
        cls, texts: Sequence[str], columns: CaseFeatures, pairs: np.ndarray, same: np.ndarray, logits: np.ndarray
    ) -> JudgedPairs:
        """Return the pairs with their log-odds."""
        apart = conflicting_places(columns, pairs[:, 0], pairs[:, 1])
        return cls(texts, columns, pairs, same, np.where(apart, 0.0, 1.0 / (1.0 + np.exp(-logits))))

    def to_read(self, rule: Verification) -> np.ndarray:
        """Return the positions of the pairs that a rule reads, ascending."""
        return to_read(rule, len(self.columns), self.pairs[:, 0], self.pairs[:, 1], self.scores)

    def measures(self, verifier: Verifier, at: np.ndarray) -> np.ndarray:
        """Read the pairs at some positions, and return what the decision follows from."""
        first, second = self.pairs[at].T
        readings = verifier.read([(self.texts[a], self.texts[b]) for a, b in self.pairs[at].tolist()])
        return pair_measures(verifier.scorer, self.columns, first, second, self.scores[at], readings)

    def verified(self, verifier: Verifier) -> JudgedPairs:
        """Return the pairs with what a verifier makes of the unsure ones."""
        at, scores = self.to_read(verifier.rule), self.scores.copy()
        scores[at] = _probabilities(verifier.rule, self.measures(verifier, at))
        return replace(self, scores=scores)


class Remembered:
    """A reader that reads each pair once.

    Parameters
    ----------
    reader : PairReader
    """

    def __init__(self, reader: PairReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], float] = {}

    def pair_logits(self, pairs: Sequence[tuple[str, str]], /) -> np.ndarray:
        """Return the log-odds that the two texts of each pair report one event: (pairs,)."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        self._known.update(zip(new, self._reader.pair_logits(new).tolist(), strict=True))
        return np.array([self._known[pair] for pair in pairs], np.float32)


def fit_verification(reader: PairReader, scorer: PairScorer, sources: Sequence[JudgedPairs]) -> Verification:
    """Choose which pairs are read, and fit how that counts; the threshold is the scorer's, still to be chosen."""
    low, high = read_between(sources)
    rule = Verification(low, high, PER_CASE, (0.0,) * len(MEASURES), 0.0, scorer.threshold)
    measures, same = [], []
    for source in sources:
        at = source.to_read(rule)
        measures.append(source.measures(Verifier(scorer, rule, reader), at))
        same.append(source.same[at])
        tell("%d of %d pairs read together, %d of one incident", len(at), len(source.pairs), int(same[-1].sum()))
    weights, intercept = _logistic(measures, same)
    tell("read from %g to %g; weights %s", low, high, dict(zip(MEASURES, np.round(weights, 3).tolist(), strict=True)))
    return replace(rule, weights=weights, intercept=intercept)


def read_between(sources: Sequence[JudgedPairs]) -> tuple[float, float]:
    """Return the scores between which pairs are read: in no source do more than the given shares lie outside."""
    low = min(np.quantile(source.scores[source.same & (source.scores > 0)], MISSED) for source in sources)
    high = max(map(_safe_from, sources))
    return round(float(np.clip(low, *LOW)), 4), round(float(np.clip(high, *HIGH)), 4)


def _safe_from(source: JudgedPairs) -> float:
    """Return the score above which no more than the share :data:`WRONG` of the pairs are of two incidents."""
    order = np.argsort(-source.scores, kind="stable")
    too_many = np.cumsum(~source.same[order]) > WRONG * np.arange(1, len(order) + 1)
    return float(source.scores[order][too_many.argmax()]) if too_many.any() else 0.0


def _probabilities(rule: Verification, measures: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-rule.logits(measures))))


def _logistic(measures: Sequence[np.ndarray], same: Sequence[np.ndarray]) -> tuple[tuple[float, ...], float]:
    """Fit the weights of measures and the intercept; each source counts as much as the other."""
    from sklearn.linear_model import LogisticRegression

    total = sum(map(len, same))
    weights = [np.full(len(own), total / (len(same) * max(1, len(own)))) for own in same]
    fitted = LogisticRegression(max_iter=1_000)
    fitted.fit(np.concatenate(measures), np.concatenate(same), sample_weight=np.concatenate(weights))
    return tuple(float(value) for value in fitted.coef_[0]), float(fitted.intercept_[0])
