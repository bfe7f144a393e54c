"""Star clustering: groups of scored pairs in which every member matches the representative directly.

As in Aslam, Pelekhov and Rus (2004), the case with the most matches becomes a representative and takes its matches;
then the next one that is still free. Afterwards every member joins the representative that it matches best, unless its
place conflicts with that of a member, or it came after the horizon of their topic. Cases that a person linked are
clustered as one node, and match what one of them matches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from tawasul_nlp.duplicates.features import CaseFeatures, place_keys
from tawasul_nlp.duplicates.pair_features import conflicting_places

Pairs = Iterable[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Constraints:
    """The constraints of n cases."""

    # (n,), int64: The node of each case, numbered from 0; cases that must be together share one.
    node: np.ndarray
    # The nodes that must not be with a node; symmetric.
    apart: dict[int, set[int]]
    # Nodes that are complete: no other joins them.
    sealed: frozenset[int] = frozenset()
    # (nodes,), int64: The number of cases of each node.
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
        >>> constraints = Constraints.from_pairs(4, [(0, 2)], [(2, 3)])
        >>> constraints.node.tolist(), constraints.apart
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

    def contracted(self, edges: Edges) -> Edges:
        """Return the scored pairs of nodes that may be together: each with its best score."""
        low = np.minimum(self.node[edges.first], self.node[edges.second])
        high = np.maximum(self.node[edges.first], self.node[edges.second])
        order = np.lexsort((-edges.scores, high, low))
        low, high = low[order], high[order]
        keep = low != high
        keep[1:] &= (low[1:] != low[:-1]) | (high[1:] != high[:-1])
        for pair in np.flatnonzero(keep).tolist() if self.apart or self.sealed else ():
            one, other = int(low[pair]), int(high[pair])
            keep[pair] = other not in self.apart.get(one, ()) and self.sealed.isdisjoint((one, other))
        return Edges(low[keep], high[keep], edges.scores[order][keep])

    def expanded(self, edges: Edges, chosen: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each case's representative and score from those of the nodes.

        A node is represented by its case with the most matches. The cases of a representative's own node have the
        score 1, since a person joined them; those of another node have its best score.
        """
        weight = np.concatenate([edges.scores, edges.scores])
        degree = np.bincount(np.concatenate([edges.first, edges.second]), weights=weight, minlength=len(self.node))
        order = np.lexsort((-degree, self.node))
        starts = np.cumsum(self.size) - self.size
        return order[starts][chosen[self.node]], scores[self.node]


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Scored pairs: row numbers (the lower first) and probabilities, sorted by row numbers."""

    first: np.ndarray
    second: np.ndarray
    scores: np.ndarray

    def above(self, threshold: float) -> Edges:
        """Return the pairs with at least this score."""
        keep = self.scores >= threshold
        return Edges(self.first[keep], self.second[keep], self.scores[keep])


@dataclass(slots=True)
class Cluster:
    """A representative and the cases that joined it."""

    # Its cases; only the representative unless some cases must be kept apart.
    members: set[int]
    # The kinds of places that they name.
    places: frozenset[int]
    # Their first and last day, and for how many days it goes on without a report.
    earliest: float
    latest: float
    horizon: float


class Conflicts:
    """Decides which cases can share a group: no two places conflict, and no gap between their days is too long.

    With constraints, what is called a case here is a node of them. A person may have linked cases in spite of their
    places; another case may then join if it agrees with one of any two that conflict. The longest gap is the longer
    horizon of the case's topic and the representative's; a missing date conflicts with none.
    """

    def __init__(self, features: CaseFeatures, constraints: Constraints | None = None) -> None:
        self.constraints = constraints
        self._features = features
        # Most cases share their places with many others, so conflicts are cached by kind of place.
        _, self._example, kind = np.unique(place_keys(features), return_index=True, return_inverse=True)
        alone = [frozenset((number,)) for number in range(len(self._example))]
        node, n = np.arange(len(features)), len(features)
        self._apart: dict[int, set[int]] = {}
        if constraints is not None:
            node, n, self._apart = constraints.node, len(constraints.size), constraints.apart
        self._places: list[frozenset[int]] = [frozenset()] * n
        for case, number in zip(node.tolist(), kind.tolist(), strict=True):
            self._places[case] = self._places[case] | alone[number] if self._places[case] else alone[number]
        earliest, latest, horizon = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
        dated = ~np.isnan(features.days)
        np.minimum.at(earliest, node[dated], features.days[dated])
        np.maximum.at(latest, node[dated], features.days[dated])
        np.maximum.at(horizon, node, features.horizons)
        self._earliest: list[float] = earliest.tolist()
        self._latest: list[float] = latest.tolist()
        self._horizon: list[float] = horizon.tolist()
        self._conflicting: dict[tuple[int, int], bool] = {}

    def cluster(self, case: int) -> Cluster:
        """Return the cluster of a representative, without other members."""
        return Cluster(
            members={case},
            places=self._places[case],
            earliest=self._earliest[case],
            latest=self._latest[case],
            horizon=self._horizon[case],
        )

    def join(self, case: int, cluster: Cluster) -> bool:
        """Add a case that matches the representative, unless it conflicts with a member; return whether it was added.

        A match does not conflict with the representative's own place.
        """
        if self._apart and not self._apart.get(case, set()).isdisjoint(cluster.members):
            return False
        gap = max(self._earliest[case] - cluster.latest, cluster.earliest - self._latest[case])
        if isfinite(gap) and gap > max(self._horizon[case], cluster.horizon):
            return False
        places = self._places[case]
        if not places <= cluster.places:
            if not self._agree(places, cluster.places):
                return False
            cluster.places |= places
        cluster.earliest = min(cluster.earliest, self._earliest[case])
        cluster.latest = max(cluster.latest, self._latest[case])
        if self._apart:
            cluster.members.add(case)
        return True

    def _agree(self, places: frozenset[int], present: frozenset[int]) -> bool:
        """Return whether two sets of kinds of places conflict in nothing that a person has not linked already."""
        conflicting = [(one, other) for one in places for other in present if self._between(one, other)]
        return all(
            any(self._between(other, like) and not self._between(one, like) for like in present)
            or any(self._between(one, like) and not self._between(like, other) for like in places)
            for one, other in conflicting
        )

    def _between(self, one: int, other: int) -> bool:
        """Return whether two kinds of places conflict."""
        if one == other:
            return False
        pair = (one, other) if one < other else (other, one)
        if pair not in self._conflicting:
            first, second = self._example[[pair[0]]], self._example[[pair[1]]]
            self._conflicting[pair] = bool(conflicting_places(self._features, first, second)[0])
        return self._conflicting[pair]


def star_clustering(n: int, edges: Edges, conflicts: Conflicts) -> tuple[np.ndarray, np.ndarray]:
    """Group ``n`` cases by their matching pairs.

    Returns
    -------
    representative : ndarray of int64, shape (n,)
        The row number of each case's representative; its own, if it is one or stands alone.
    score : ndarray of float32, shape (n,)
        The score of each case with its representative; 1 for representatives, and for what a person linked with one.
        Of other cases that a person linked, the best score of one of them.
    """
    constraints = conflicts.constraints
    if constraints is None:
        return _clustered(n, edges, conflicts)
    chosen, scores = _clustered(len(constraints.size), constraints.contracted(edges), conflicts)
    return constraints.expanded(edges, chosen, scores)


def _clustered(n: int, edges: Edges, conflicts: Conflicts) -> tuple[np.ndarray, np.ndarray]:
    representative = np.arange(n)
    score = np.ones(n, np.float32)
    starts, other, weight = _adjacency(n, edges)
    degree = np.bincount(np.repeat(np.arange(n), np.diff(starts)), weights=weight, minlength=n)
    matched = np.flatnonzero(np.diff(starts) > 0)
    pending: list[int] = matched[np.lexsort((matched, -degree[matched]))].tolist()
    while pending:
        free = set(pending)
        clusters = {}
        for node in pending:
            if node in free:
                clusters[node] = conflicts.cluster(node)
                free.discard(node)
                free.difference_update(other[starts[node] : starts[node + 1]].tolist())
        # Every other case joins the best of its representatives with whose members it does not conflict.
        waiting = {node for node in pending if node not in clusters}
        matches = []
        for node in waiting:
            part = slice(starts[node], starts[node + 1])
            pairs = zip(other[part].tolist(), weight[part].tolist(), strict=True)
            matches += [(-value, node, chosen) for chosen, value in pairs if chosen in clusters]
        matches.sort()
        joined = True
        while joined:  # a case may close the gap of days to another
            joined = False
            for negative, node, chosen in matches:
                if node in waiting and conflicts.join(node, clusters[chosen]):
                    joined = True
                    waiting.discard(node)
                    representative[node], score[node] = chosen, -negative
        # Cases that conflict with members of all their representatives are clustered among themselves.
        left = [node for node in pending if node in waiting]
        pending = left if len(left) < len(pending) else []
    return representative, score


def _adjacency(n: int, edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return compressed sparse rows: the start of each case's matches, the matches, and their scores."""
    source = np.concatenate([edges.first, edges.second])
    target = np.concatenate([edges.second, edges.first])
    weight = np.concatenate([edges.scores, edges.scores])
    order = np.lexsort((target, source))
    starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))]).astype(np.int64)
    return starts, target[order], weight[order]
