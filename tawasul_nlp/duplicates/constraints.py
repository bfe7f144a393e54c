"""Constraints of a clustering: pairs of cases that must, or must not, be in one group.

As in constrained clustering (Wagstaff and others, 2001), "must link" is an equivalence: its components are contracted
to nodes, which are clustered like cases, and a "cannot link" between two cases keeps their nodes apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

Pairs = Iterable[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """The constraints of n cases.

    Attributes
    ----------
    node : ndarray of int64, shape (n,)
        The node of each case, numbered from 0; cases that must be together share one.
    apart : dict of int to set of int
        The nodes that must not be with a node; symmetric.
    sealed : frozenset of int
        Nodes that are complete: no other joins them.
    size : ndarray of int64, shape (nodes,)
        The number of cases of each node.
    """

    node: np.ndarray
    apart: dict[int, set[int]]
    sealed: frozenset[int] = frozenset()
    size: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", np.bincount(self.node))

    @classmethod
    def from_pairs(cls, n: int, must_link: Pairs, cannot_link: Pairs, sealed: Iterable[int] = ()) -> Constraints | None:
        """Return the constraints of ``n`` cases by row numbers; None if there are none.

        Raises
        ------
        ValueError
            If a row number is out of range, or two cases that must not be together are linked.

        Examples
        --------
        >>> found = Constraints.from_pairs(4, [(0, 2)], [(2, 3)])
        >>> found.node.tolist(), found.apart
        ([0, 1, 0, 2], {0: {2}, 2: {0}})
        """
        linked, separated, complete = list(must_link), list(cannot_link), list(sealed)
        if not linked and not separated and not complete:
            return None
        for name, pairs in (("must_link", linked), ("cannot_link", separated)):
            for first, second in pairs:
                if not (0 <= first < n and 0 <= second < n):
                    raise ValueError(f"{name} names the cases {first} and {second}, expected row numbers of {n} cases")
        parent = list(range(n))

        def root(row: int) -> int:
            while parent[row] != row:
                parent[row] = row = parent[parent[row]]
            return row

        for first, second in linked:
            low, high = sorted((root(first), root(second)))
            parent[high] = low
        node = np.unique([root(row) for row in range(n)], return_inverse=True)[1]
        apart: dict[int, set[int]] = {}
        for first, second in separated:
            one, other = int(node[first]), int(node[second])
            if one == other:
                raise ValueError(
                    f"cannot_link keeps the cases {first} and {second} apart, but must_link joins them, directly or "
                    "through others; remove one of the two"
                )
            apart.setdefault(one, set()).add(other)
            apart.setdefault(other, set()).add(one)
        return cls(node, apart, frozenset(int(node[row]) for row in complete))

    def contracted(
        self, first: np.ndarray, second: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the scored pairs of nodes that may be together, the lower first: each with its best score."""
        low = np.minimum(self.node[first], self.node[second])
        high = np.maximum(self.node[first], self.node[second])
        order = np.lexsort((-scores, high, low))
        low, high, best = low[order], high[order], scores[order]
        keep = low != high
        keep[1:] &= (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        for at in np.flatnonzero(keep).tolist() if self.apart or self.sealed else ():
            one, other = int(low[at]), int(high[at])
            keep[at] = other not in self.apart.get(one, ()) and self.sealed.isdisjoint((one, other))
        return low[keep], high[keep], best[keep]

    def expanded(
        self, first: np.ndarray, second: np.ndarray, scores: np.ndarray, chosen: np.ndarray, strength: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each case's representative and score from those of the nodes.

        A node is represented by its case with the most matches. The cases of a representative's own node have the
        score 1, since a person joined them; those of another node have its best score.
        """
        n = len(self.node)
        weight = np.concatenate([scores, scores])
        degree = np.bincount(np.concatenate([first, second]), weights=weight, minlength=n)
        order = np.lexsort((-degree, self.node))
        starts = np.cumsum(self.size) - self.size
        return order[starts][chosen[self.node]], strength[self.node]
