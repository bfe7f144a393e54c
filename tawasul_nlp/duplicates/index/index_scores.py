"""The scores of the pairs of an index's cases; what a verifier read is stored, so that no pair is read twice.

Of an arriving case at most ``per_case`` candidates are read
(:class:`~tawasul_nlp.duplicates.pair_scorer.Verification`), and as many pairs of cases that both match a third, so the
time that it takes is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS, NEIGHBOURS_TO_VERIFY, keyed_pairs
from tawasul_nlp.duplicates.case_scores import Readings
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.index.database import IndexDatabase
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.verifier import Verifier

# The row of a case that is only asked about.
ASKED = -1
_Pair = tuple[int, int]
"""Two rows, the lower first."""


class IndexScores:
    """Scores pairs of cases by their rows in an index.

    Parameters
    ----------
    database : IndexDatabase
    scorer : PairScorer
    verifier : Verifier or None
        None for the scorer's own scores.

    Attributes
    ----------
    scorer : PairScorer
    neighbours : int
        With so many of the nearest cases one is compared at least.
    pairs_read : int
        How many pairs were read, rather than looked up.
    """

    def __init__(self, database: IndexDatabase, scorer: PairScorer, verifier: Verifier | None) -> None:
        self.scorer = scorer
        self.neighbours = NEIGHBOURS if verifier is None else NEIGHBOURS_TO_VERIFY
        self.pairs_read = 0
        self._database = database
        self._verifier = verifier
        self.begin()

    def begin(self, asked: str | None = None) -> None:
        """Begin with another case, of which as many pairs as ``per_case`` says may be read again.

        Parameters
        ----------
        asked : str or None
            The text of a case that is only asked about, so that nothing is stored; None for a case of the index.
        """
        self._asked = asked
        most = 0 if self._verifier is None else self._verifier.rule.per_case
        self._left = {False: most, True: most}  # of candidates, and of related pairs
        self._known: dict[_Pair, float] = {}

    def score(
        self, features: CaseFeatures, rows: Sequence[int], first: np.ndarray, second: np.ndarray, *, related: bool
    ) -> np.ndarray:
        """Return the probability that the cases of each pair report one incident.

        Parameters
        ----------
        features : CaseFeatures
        rows : sequence of int
            The row of each of these cases in the index, or :data:`ASKED`.
        first, second : ndarray of int, shape (pairs,)
            Positions among them.
        related : bool
            Whether the pairs come up since both cases match a third, so that they are read however low their score is.

        Returns
        -------
        ndarray of float32, shape (pairs,)
        """
        scores = self.scorer.score(features, first, second)
        if self._verifier is None:
            return scores
        unsure = (scores > 0) & (scores < self._verifier.rule.high) & (first != second)
        at = np.flatnonzero(unsure)
        pairs = [_pair(rows[a], rows[b]) for a, b in zip(first[at].tolist(), second[at].tolist(), strict=True)]
        self._look_up({row for pair in pairs for row in pair})
        worth = unsure[at] if related else scores[at] >= self._verifier.rule.low
        likeliest = np.argsort(-scores[at], kind="stable")
        new = dict.fromkeys(pairs[k] for k in likeliest.tolist() if worth[k] and pairs[k] not in self._known)
        chosen = list(new)[: self._left[related]]
        self._left[related] -= len(chosen)
        self._read(self._verifier, chosen)
        was_read = [k for k, pair in enumerate(pairs) if pair in self._known]
        at, readings = at[was_read], np.array([self._known[pairs[k]] for k in was_read], np.float32)
        scores[at] = self._verifier.scores(features, first[at], second[at], scores[at], readings)
        return scores

    def _look_up(self, rows: set[int]) -> None:
        """Remember what was read of the pairs of some rows before."""
        if rows:
            marks = ",".join("?" * len(rows))
            found = self._database.all(
                f"SELECT first, second, logit FROM readings WHERE first IN ({marks}) AND second IN ({marks})",
                [*rows] * 2,
            )
            if not all(isinstance(logit, float) and isfinite(logit) for *_, logit in found):
                raise self._database.damaged("what it holds of pairs that were read is not a number")
            self._known.update({(first, second): logit for first, second, logit in found})

    def _read(self, verifier: Verifier, pairs: Sequence[_Pair]) -> None:
        """Read pairs together, and store that unless a case is only asked about."""
        if not pairs:
            return
        rows = {row for pair in pairs for row in pair} - {ASKED}
        marks = ",".join("?" * len(rows))
        texts = dict(self._database.all(f"SELECT row, text FROM cases WHERE row IN ({marks})", [*rows]))
        if self._asked is not None:
            texts[ASKED] = self._asked
        logits = verifier.read([(texts[a], texts[b]) for a, b in pairs]).tolist()
        self._known.update(zip(pairs, logits, strict=True))
        self.pairs_read += len(pairs)
        if self._asked is None:
            store_readings(self._database, ((*pair, logit) for pair, logit in zip(pairs, logits, strict=True)))


def forget(database: IndexDatabase, row: int) -> None:
    """Delete what was read of a removed case, inside a transaction."""
    database.change("DELETE FROM readings WHERE first = ? OR second = ?", row, row)


def store_readings(database: IndexDatabase, readings: Iterable[tuple[int, int, float]]) -> None:
    """Store what was read of pairs of rows, inside a transaction."""
    database.change_many("INSERT OR IGNORE INTO readings (first, second, logit) VALUES (?, ?, ?)", readings)


def rows_read(readings: Readings) -> list[tuple[int, int, float]]:
    """Return the readings of a grouping for :func:`store_readings`; the rows of its cases are their positions."""
    first, second = keyed_pairs(readings.keys).T
    return list(zip(first.tolist(), second.tolist(), readings.logits.tolist(), strict=True))


def _pair(one: int, other: int) -> _Pair:
    return (one, other) if one < other else (other, one)
