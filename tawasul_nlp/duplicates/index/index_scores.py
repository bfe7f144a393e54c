"""The scores of the pairs of an index's cases; what a verifier read is stored, so that no pair is read twice.

Of an arriving case at most ``per_case`` candidates are read
(:class:`~tawasul_nlp.duplicates.pair_scorer.Verification`), and as many pairs of cases that both match a third, so the
time that it takes is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS, NEIGHBOURS_TO_VERIFY
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.index.store import IndexStore
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.verifier import Verifier

# The row of a case that is only asked about.
ASKED = -1


class IndexScores:
    """Scores pairs of cases by their rows in an index; without a verifier, by the scorer alone."""

    def __init__(self, store: IndexStore, scorer: PairScorer, verifier: Verifier | None) -> None:
        self.scorer = scorer
        # With so many of the nearest cases one is compared at least.
        self.neighbours = NEIGHBOURS if verifier is None else NEIGHBOURS_TO_VERIFY
        # How many pairs were read, rather than looked up.
        self.pairs_read = 0
        self._store = store
        self.verifier = verifier
        self.begin()

    def begin(self, asked: str | None = None) -> None:
        """Begin with another case, of which as many pairs as ``per_case`` says may be read again.

        ``asked`` is the text of a case that is only asked about, so that nothing is stored.
        """
        self._asked = asked
        most = 0 if self.verifier is None else self.verifier.rule.per_case
        self._left = {False: most, True: most}  # of candidates, and of related pairs
        # What was read of pairs of rows, the lower first.
        self._logits: dict[tuple[int, int], float] = {}

    def among(
        self, rows: Sequence[int], features: CaseFeatures, *, related: bool = True
    ) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return the score of pairs of some cases: a function of their positions, (pairs,) twice -> (pairs,) float32.

        ``rows`` are those of the cases in the index, or :data:`ASKED`. Pairs are ``related`` that come up since both
        cases match a third, so that they are read however low their score is.
        """
        return partial(self._score, rows, features, related)

    def _score(
        self, rows: Sequence[int], features: CaseFeatures, related: bool, first: np.ndarray, second: np.ndarray
    ) -> np.ndarray:
        scores, verifier = self.scorer.score(features, first, second), self.verifier
        if verifier is None:
            return scores
        unsure = np.flatnonzero((scores > 0) & (scores < verifier.rule.high) & (first != second))
        ends = zip(first[unsure].tolist(), second[unsure].tolist(), strict=True)
        pairs = [(min(rows[a], rows[b]), max(rows[a], rows[b])) for a, b in ends]
        self._logits |= self._store.readings({row for pair in pairs for row in pair})
        least = 0.0 if related else verifier.rule.low
        likeliest = [k for k in np.argsort(-scores[unsure], kind="stable").tolist() if scores[unsure[k]] >= least]
        new = dict.fromkeys(pairs[k] for k in likeliest if pairs[k] not in self._logits)
        self._read(verifier, list(new)[: self._left[related]], related)
        was_read = [k for k, pair in enumerate(pairs) if not math.isnan(self._logits.get(pair, math.nan))]
        readings = np.array([self._logits[pairs[k]] for k in was_read], np.float32)
        verified = unsure[was_read]
        scores[verified] = verifier.scores(features, first[verified], second[verified], scores[verified], readings)
        return scores

    def _read(self, verifier: Verifier, pairs: Sequence[tuple[int, int]], related: bool) -> None:
        """Read pairs together, and store that unless a case is only asked about."""
        if not pairs:
            return
        texts = self._store.values("text", sorted({row for pair in pairs for row in pair}))
        if self._asked is not None:
            texts[ASKED] = self._asked
        logits = dict(zip(pairs, verifier.read([(texts[a], texts[b]) for a, b in pairs]).tolist(), strict=True))
        self._left[related] -= len(pairs)
        self._logits |= logits
        self.pairs_read += len(pairs)
        if self._asked is None:
            self._store.add_readings((*pair, logit) for pair, logit in logits.items())
