"""Star clustering: groups of scored pairs in which every member matches the representative directly.

As in Aslam, Pelekhov and Rus (2004), the case with the most matches becomes a representative and takes its matches;
then the next one that is still free. Afterwards every member joins the representative that it matches best, unless its
place conflicts with that of a member, or their dates are too far apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tawasul_nlp.duplicates.features import CaseFeatures, place_keys
from tawasul_nlp.duplicates.pair_scorer import conflicting_places


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


class Conflicts:
    """Decides which cases can share a group: no two places conflict, no two dates are too far apart.

    Parameters
    ----------
    features : CaseFeatures
    longest : float
        The most days between two members; a missing date conflicts with none.
    """

    def __init__(self, features: CaseFeatures, longest: float) -> None:
        self._features = features
        self._longest = longest
        # Most cases share their places with many others, so conflicts are cached by kind of place.
        _, self._example, kind = np.unique(place_keys(features), return_index=True, return_inverse=True)
        self._kind: list[int] = kind.tolist()
        dated = ~np.isnan(features.days)
        self._earliest: list[float] = np.where(dated, features.days, np.inf).tolist()
        self._latest: list[float] = np.where(dated, features.days, -np.inf).tolist()
        self._known: dict[tuple[int, int], bool] = {}

    def cluster(self, representative: int) -> ClusterState:
        """Return the cluster of a representative, without other members."""
        return ClusterState(
            self._kind[representative], set(), self._earliest[representative], self._latest[representative]
        )

    def join(self, row: int, cluster: ClusterState) -> bool:
        """Add a case that matches the representative, unless it conflicts with a member; return whether it was added.

        A match does not conflict with the representative itself.
        """
        earliest = min(cluster.earliest, self._earliest[row])
        latest = max(cluster.latest, self._latest[row])
        if latest - earliest > self._longest:
            return False
        kind = self._kind[row]
        if kind != cluster.kind and kind not in cluster.places:
            if any(self._between(kind, present) for present in cluster.places):
                return False
            cluster.places.add(kind)
        cluster.earliest, cluster.latest = earliest, latest
        return True

    def _between(self, one: int, other: int) -> bool:
        """Return whether two kinds of places conflict."""
        pair = (one, other) if one < other else (other, one)
        found = self._known.get(pair)
        if found is None:
            first, second = self._example[[pair[0]]], self._example[[pair[1]]]
            found = self._known[pair] = bool(conflicting_places(self._features, first, second)[0])
        return found


@dataclass(slots=True)
class ClusterState:
    """A cluster's kinds of places, of its representative and of its other members, and its first and last day."""

    kind: int
    places: set[int]
    earliest: float
    latest: float


def star_clustering(n: int, edges: Edges, conflicts: Conflicts) -> tuple[np.ndarray, np.ndarray]:
    """Group ``n`` cases by their matching pairs.

    Parameters
    ----------
    n : int
    edges : Edges
        Only pairs that match.
    conflicts : Conflicts

    Returns
    -------
    representative : ndarray of int64, shape (n,)
        The row number of each case's representative; its own, if it is one or stands alone.
    score : ndarray of float32, shape (n,)
        The score of each case with its representative; 1 for representatives.
    """
    representative = np.arange(n)
    score = np.ones(n, np.float32)
    starts, other, weight = _adjacency(n, edges)
    degree = np.bincount(np.repeat(np.arange(n), np.diff(starts)), weights=weight, minlength=n)
    matched = np.flatnonzero(np.diff(starts) > 0)
    pending: list[int] = matched[np.lexsort((matched, -degree[matched]))].tolist()
    while pending:
        free = set(pending)
        representatives: set[int] = set()
        for node in pending:
            if node not in free:
                continue
            representatives.add(node)
            free.discard(node)
            free.difference_update(other[starts[node] : starts[node + 1]].tolist())
        left = _assign(pending, representatives, starts, other, weight, conflicts, representative, score)
        # Cases that conflict with members of all their representatives are clustered among themselves.
        pending = left if len(left) < len(pending) else []
    return representative, score


def _assign(
    pending: list[int],
    representatives: set[int],
    starts: np.ndarray,
    other: np.ndarray,
    weight: np.ndarray,
    conflicts: Conflicts,
    representative: np.ndarray,
    score: np.ndarray,
) -> list[int]:
    """Assign every pending case to its best representative; return those that conflict with all."""
    waiting = set(pending)
    clusters = {chosen: conflicts.cluster(chosen) for chosen in representatives}
    offers = []
    for node in pending:
        if node in representatives:
            continue
        mine = slice(starts[node], starts[node + 1])
        for chosen, value in zip(other[mine].tolist(), weight[mine].tolist(), strict=True):
            if chosen in representatives:
                offers.append((-value, node, chosen))
    waiting -= representatives
    for negative, node, chosen in sorted(offers):
        if node not in waiting or not conflicts.join(node, clusters[chosen]):
            continue
        waiting.discard(node)
        representative[node] = chosen
        score[node] = -negative
    return [node for node in pending if node in waiting]


def _adjacency(n: int, edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return compressed sparse rows: the start of each case's matches, the matches, and their scores."""
    source = np.concatenate([edges.first, edges.second])
    target = np.concatenate([edges.second, edges.first])
    weight = np.concatenate([edges.scores, edges.scores])
    order = np.lexsort((target, source))
    starts = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))]).astype(np.int64)
    return starts, target[order], weight[order]
