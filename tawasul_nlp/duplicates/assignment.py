"""Assign the cases of an index to incidents, and update incidents when a case is added or removed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS
from tawasul_nlp.duplicates.clustering import Conflicts, Edges, star_clustering
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.groups import pair_reasons
from tawasul_nlp.duplicates.pair_scorer import PairScorer, conflicting_places
from tawasul_nlp.duplicates.store import IndexFolder

# At most this many cases are regrouped when one is added (some milliseconds); it joins larger incidents as they are.
_LOCAL = 48
# The search for cases near a new one ends at this many incidents, or this many cases: the reports of one incident must
# not hide another.
_INCIDENTS = 4
_MOST_NEIGHBOURS = 8 * NEIGHBOURS
_JULIAN_1970 = 2_440_587.5


@dataclass(frozen=True, slots=True)
class Offer:
    """An incident near a case: its representative's row, and the score of its most similar case.

    ``at`` is the row of that case in the features returned with the offers.
    """

    group_id: int
    representative: int
    score: float
    at: int


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


class Assigner:
    """Assigns the cases of an index folder to incidents; changes go inside its transaction."""

    def __init__(self, folder: IndexFolder, scorer: PairScorer, threshold: float) -> None:
        self._folder = folder
        self._scorer = scorer
        self.threshold = threshold

    def offers(
        self, features: CaseFeatures, vector: np.ndarray, row: int | None = None
    ) -> tuple[list[Offer], CaseFeatures]:
        """Return the incidents near a case, the likeliest first, and the features of the cases compared with it.

        Compared are the nearest cases and the representatives of their incidents; ``row`` is the case's own, if it is
        already in the index. The case itself is row 0 of the returned features.
        """
        near = self._near(vector, row)
        marks = ",".join("?" * len(near))
        found = self._folder.all(
            f"SELECT g.id, c.row, c.columns, g.representative FROM cases c JOIN groups g ON g.id = c.group_id "
            f"WHERE c.row IN ({marks}) UNION SELECT g.id, h.row, h.columns, g.representative FROM cases c "
            f"JOIN groups g ON g.id = c.group_id JOIN cases h ON h.row = g.representative WHERE c.row IN ({marks})",
            near * 2,
        )
        if not found:
            return [], features
        others = self._folder.unpack([other for _, other, _, _ in found], [blob for _, _, blob, _ in found])
        joined, first, second = _against(features, others)
        scores = self._scorer.score(joined, first, second).tolist()
        best: dict[int, Offer] = {}
        for at, ((group_id, other, _, representative), score) in enumerate(zip(found, scores, strict=True), start=1):
            offer = best.get(group_id)
            if offer is None or (score, other == representative) > (offer.score, False):
                best[group_id] = Offer(group_id, representative, score, at)
        return sorted(best.values(), key=lambda offer: (-offer.score, offer.group_id)), joined

    def joined(self, features: CaseFeatures, offers: list[Offer]) -> set[int]:
        """Return the incidents of the cases that a case would be grouped with if it were added."""
        decided = self._decided(-1, features, offers)
        if isinstance(decided, Plan):
            own = decided.representatives[-1]
            return {
                old
                for old, representative in zip(decided.old, decided.representatives, strict=True)
                if representative == own and old >= 0
            }
        return {decided[0].group_id} if decided is not None else set()

    def settle(self, row: int, features: CaseFeatures, vector: np.ndarray) -> bool:
        """Assign a stored case to an incident; return whether it is the first report of a new one.

        The case and the incidents that it matches are regrouped as if they had all arrived at once, so the order of
        arrival matters little: a case may show that two incidents are one, or be the better representative.
        """
        decided = self._decided(row, features, self.offers(features, vector, row)[0])
        if isinstance(decided, Plan):
            self._carry_out(decided)
            return int((decided.representatives == decided.representatives[-1]).sum()) == 1
        if decided is not None:
            offer, score, reason = decided
            self._assign(row, offer.group_id, score, reason)
            return False
        self._assign(row, self._new_group(row), 1.0, "representative")
        return True

    def new_representative(self, group_id: int) -> None:
        """Find a new representative for an incident that lost its own."""
        members = self._members(group_id)
        if not members:
            self._folder.change("DELETE FROM groups WHERE id = ?", group_id)
            return
        rows = [row for row, _ in members]
        features = self._folder.unpack(rows, [blob for _, blob in members])
        if len(members) <= _LOCAL:
            self._carry_out(self._plan(rows, [group_id] * len(rows), features))
            return
        # The case most similar to the lost representative replaces it.
        representative = int(
            self._folder.one("SELECT row FROM cases WHERE group_id = ? ORDER BY score DESC, row", group_id)
        )
        at = rows.index(representative)
        self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", representative, group_id)
        self._assign(representative, group_id, 1.0, "representative")
        second = np.delete(np.arange(len(rows)), at)
        first = np.full(len(second), at)
        scores = self._scorer.score(features, first, second).tolist()
        lost = []
        for other, score, reason in zip(second.tolist(), scores, pair_reasons(features, first, second), strict=True):
            if score >= self.threshold:
                self._assign(rows[other], group_id, score, reason)
            else:
                self._folder.change("UPDATE cases SET group_id = -1 WHERE row = ?", rows[other])
                lost.append(rows[other])
        for row in lost:
            self.settle(row, self._folder.read([row]), self._folder.search_vectors([row])[0])

    def _near(self, vector: np.ndarray, row: int | None) -> list[int]:
        wanted = NEIGHBOURS + 1
        while True:
            found = self._folder.nearest(vector, wanted)
            near = [other for other in found if other != row]
            marks = ",".join("?" * len(near))
            incidents = self._folder.one(f"SELECT count(DISTINCT group_id) FROM cases WHERE row IN ({marks})", *near)
            if incidents >= _INCIDENTS or len(found) < wanted or wanted > _MOST_NEIGHBOURS:
                return near
            wanted *= 2

    def _decided(self, row: int, features: CaseFeatures, offers: list[Offer]) -> Plan | tuple[Offer, float, str] | None:
        """Return a plan for a case, a large incident that it joins (with score and reason), or neither."""
        rows: list[int] = []
        old: list[int] = []
        blobs: list[bytes] = []
        for offer in offers:
            if not self._fits(features, offer):
                continue
            size = int(self._folder.one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
            if size < _LOCAL:
                if len(rows) + size < _LOCAL:
                    members = self._members(offer.group_id)
                    rows += [member for member, _ in members]
                    blobs += [blob for _, blob in members]
                    old += [offer.group_id] * len(members)
            elif not rows:
                joined, first, second = _against(features, self._folder.read([offer.representative]))
                score = float(self._scorer.score(joined, first, second)[0])
                if score >= self.threshold:
                    return offer, score, pair_reasons(joined, first, second)[0]
        if not rows:
            return None
        return self._plan([*rows, row], [*old, -1], CaseFeatures.joined([self._folder.unpack(rows, blobs), features]))

    def _fits(self, features: CaseFeatures, offer: Offer) -> bool:
        """Return whether a case is similar enough and conflicts with no member's place or date."""
        if offer.score < self.threshold:
            return False
        found = self._folder.all(
            "SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (offer.group_id,)
        )
        nothing = np.zeros((len(found), self._folder.width), np.float32)
        members = unpack([blob for _, blob in found], nothing, self._folder.domain)
        if conflicting_places(*_against(features, members)).any():
            return False
        day = float(features.days[0])
        dates = self._folder.all(
            "SELECT min(julianday(created_at)), max(julianday(created_at)) FROM cases WHERE group_id = ?",
            (offer.group_id,),
        )[0]
        return not any(date is not None and abs(date - _JULIAN_1970 - day) > self._scorer.longest for date in dates)

    def _members(self, group_id: int) -> list[tuple[int, bytes]]:
        return [
            (int(row), blob)
            for row, blob in self._folder.all(
                "SELECT row, columns FROM cases WHERE group_id = ? ORDER BY row", (group_id,)
            )
        ]

    def _plan(self, rows: list[int], old: list[int], features: CaseFeatures) -> Plan:
        """Group some cases among themselves."""
        first, second = np.triu_indices(len(rows), 1)
        edges = Edges(first, second, self._scorer.score(features, first, second)).above(self.threshold)
        representatives, scores = star_clustering(len(rows), edges, Conflicts(features, self._scorer.longest))
        return Plan(rows, old, representatives, scores, pair_reasons(features, np.arange(len(rows)), representatives))

    def _carry_out(self, plan: Plan) -> None:
        """Move a plan's cases to their new groups; a group without cases is deleted."""
        ids = plan.kept()
        for representative in np.unique(plan.representatives).tolist():
            row = plan.rows[representative]
            if representative in ids:
                self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", row, ids[representative])
            else:
                ids[representative] = self._new_group(row)
        cases = zip(plan.rows, plan.representatives.tolist(), plan.scores.tolist(), plan.reasons, strict=True)
        for at, (row, representative, score, reason) in enumerate(cases):
            self._assign(row, ids[representative], score, "representative" if representative == at else reason)
        for gone in {group_id for group_id in plan.old if group_id >= 0} - set(ids.values()):
            self._folder.change("DELETE FROM groups WHERE id = ?", gone)

    def _new_group(self, row: int) -> int:
        return self._folder.change("INSERT INTO groups (representative) VALUES (?)", row)

    def _assign(self, row: int, group_id: int, score: float, reason: str) -> None:
        self._folder.change(
            "UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", group_id, score, reason, row
        )


def _against(one: CaseFeatures, others: CaseFeatures) -> tuple[CaseFeatures, np.ndarray, np.ndarray]:
    """Return features and the pairs of ``one`` (row 0) with each of ``others``."""
    features = CaseFeatures.joined([one, others])
    second = np.arange(1, len(features))
    return features, np.zeros(len(second), np.int64), second
