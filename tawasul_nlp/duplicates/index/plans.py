"""What an index knows of the incidents near a case, and what it plans to do with the case."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident near a case: its representative's row, and the score of its most similar case."""

    group_id: int
    representative: int
    score: float
    row: int  # of the most similar case
    position: int  # of that case among the features returned with the candidates
    closed_at: str | None  # None for an open incident


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
    """A plan for regrouping some cases."""

    # The cases; -1 for one not in the index.
    rows: list[int]
    # The current incident of each; -1 for none.
    old: list[int]
    # (n,), int64: The position of each case's representative.
    representatives: np.ndarray
    # (n,), float32
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


def regrouped(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[str, int, int | None, int]]:
    """Yield what became of incidents when some cases changed theirs.

    Parameters
    ----------
    old, new : sequence of int
        The incident of each case before and after; an id of ``new`` that is not among ``old`` is a new incident.

    Yields
    ------
    tuple of str, int, int or None, int
        ``merged``, ``split`` or ``moved``, the incident, the position of the case (None for a merger, which is one of
        all cases), and the incident before.

    Examples
    --------
    >>> list(regrouped([1, 1, 2, 3, 3], [1, 4, 1, 3, 1]))
    [('merged', 1, None, 2), ('split', 4, 1, 1), ('moved', 1, 4, 3)]
    """
    into = defaultdict(set)
    for before, after in zip(old, new, strict=True):
        into[before].add(after)
    merged = {gone for gone in into.keys() - set(new) if len(into[gone]) == 1 and into[gone] <= into.keys()}
    for gone in sorted(merged):
        yield "merged", min(into[gone]), None, gone
    begun = set(new) - into.keys()
    for at, (before, after) in enumerate(zip(old, new, strict=True)):
        if before != after and before not in merged:
            yield "split" if after in begun else "moved", after, at, before
            begun.discard(after)
