"""What an index knows of the incidents near a case, and what it plans to do with the case."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Offer:
    """An incident near a case: its representative's row, and the score of its most similar case.

    ``row`` is that case, and ``at`` its row in the features returned with the offers; ``closed_at`` is None for an open
    incident.
    """

    group_id: int
    representative: int
    score: float
    row: int
    at: int
    closed_at: str | None


@dataclass(frozen=True, slots=True)
class Join:
    """A plan for adding a case to an incident that otherwise stays as it is."""

    group_id: int
    score: float
    reason: str
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A plan for beginning an incident that repeats a closed one."""

    of: int


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A plan for regrouping some cases.

    Attributes
    ----------
    rows : list of int
        The cases; -1 for one not in the index.
    old : list of int
        The current incident of each; -1 for none.
    representatives : ndarray of int64, shape (n,)
        The position of each case's representative.
    scores : ndarray of float32, shape (n,)
    reasons : list of str
    """

    rows: list[int]
    old: list[int]
    representatives: np.ndarray
    scores: np.ndarray
    reasons: list[str]

    def leaves_alone(self) -> bool:
        """Return whether the last case is in no group with others."""
        return int((self.representatives == self.representatives[-1]).sum()) == 1

    def kept(self) -> dict[int, int]:
        """Return the old ids that new groups keep, by representative: each keeps that of most of its cases."""
        shared = Counter(
            (int(representative), old)
            for representative, old in zip(self.representatives, self.old, strict=True)
            if old >= 0
        )
        ids: dict[int, int] = {}
        for (representative, old), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
            if representative not in ids and old not in ids.values():
                ids[representative] = old
        return ids
