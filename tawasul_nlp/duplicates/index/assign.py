"""Assign the cases of an index to incidents, and update incidents when a case is added or removed.

What a person decided comes before every score. A closed incident stays as it is: its cases do not move, and a new case
joins, reopens or repeats it only if it matches no open one.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS
from tawasul_nlp.duplicates.clustering import Conflicts, Constraints, Edges, star_clustering
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.groups import LINKED, member_reasons, pair_reasons
from tawasul_nlp.duplicates.index.history import Journal
from tawasul_nlp.duplicates.index.index_scores import ASKED, IndexScores
from tawasul_nlp.duplicates.index.links import Links
from tawasul_nlp.duplicates.index.plans import Join, Offer, Plan, Recurrence, regrouped
from tawasul_nlp.duplicates.index.store import IndexFolder
from tawasul_nlp.duplicates.pair_features import conflicting_places

# At most this many cases are regrouped when one is added (some milliseconds); it joins larger incidents as they are.
_LOCAL = 48
# The search for cases near a new one ends at this many open incidents, or this many cases: neither the reports of one
# incident nor closed ones must hide another.
_INCIDENTS = 4
_MOST_NEIGHBOURS = 8 * NEIGHBOURS
_JULIAN_1970 = 2_440_587.5
# Reasons of what happens by itself.
_NO_MATCH = "does not match the representative of its incident"
_SHOWN = "a case matches both"


class Assigner:
    """Assigns the cases of an index folder to incidents; changes go inside its transaction."""

    def __init__(self, folder: IndexFolder, scores: IndexScores, threshold: float, reopen_days: float) -> None:
        self._folder = folder
        self.scores = scores
        self.threshold = threshold
        self.reopen_days = reopen_days
        self.links = Links(folder)
        self.journal = Journal(folder)

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
            f"SELECT g.id, c.row, c.columns, g.representative, g.closed_at FROM cases c "
            f"JOIN groups g ON g.id = c.group_id WHERE c.row IN ({marks}) "
            f"UNION SELECT g.id, h.row, h.columns, g.representative, g.closed_at FROM cases c "
            f"JOIN groups g ON g.id = c.group_id JOIN cases h ON h.row = g.representative WHERE c.row IN ({marks})",
            near * 2,
        )
        if not found:
            return [], features
        others = self._folder.unpack([other for _, other, *_ in found], [blob for _, _, blob, *_ in found])
        joined, first, second = _against(features, others)
        rows = [ASKED if row is None else row, *(other for _, other, *_ in found)]
        scores = self.scores.score(joined, rows, first, second, related=False).tolist()
        best: dict[int, Offer] = {}
        for at, ((group_id, other, _, representative, closed), score) in enumerate(
            zip(found, scores, strict=True), start=1
        ):
            offer = best.get(group_id)
            if offer is None or (score, other == representative) > (offer.score, False):
                best[group_id] = Offer(group_id, representative, score, other, at, closed)
        return sorted(best.values(), key=lambda offer: (-offer.score, offer.group_id)), joined

    def joined(self, features: CaseFeatures, offers: list[Offer]) -> set[int]:
        """Return the incidents of the cases that a case would be grouped with if it were added."""
        decided = self._decided(ASKED, features, offers)
        if isinstance(decided, Plan):
            own = decided.representatives[-1]
            return {
                old
                for old, representative in zip(decided.old, decided.representatives, strict=True)
                if representative == own and old >= 0
            }
        return {decided.group_id} if isinstance(decided, Join) else set()

    def settle(self, row: int, features: CaseFeatures, vector: np.ndarray, left: int | None = None) -> bool:
        """Assign a stored case to an incident; return whether it is the first report of a new one.

        The case and the open incidents that it matches are regrouped as if they had all arrived at once, so the order
        of arrival matters little: a case may show that two incidents are one, or be the better representative.

        Parameters
        ----------
        row : int
        features : CaseFeatures
        vector : ndarray of float32, shape (width + places,)
        left : int or None
            The incident that the case was in until now; None for a new case.
        """
        self.scores.begin()
        decided = self._decided(row, features, self.offers(features, vector, row)[0])
        if isinstance(decided, Plan):
            self._carry_out(decided, left)
            return decided.leaves_alone()
        if isinstance(decided, Join):
            self.assign(row, decided.group_id, decided.score, decided.reason)
            self._record_arrival(row, decided.group_id, decided.reason, left)
            if decided.reopens:
                self.reopen(decided.group_id, row)
            return False
        self.found(row, left, decided.of if decided is not None else None)
        return True

    def found(self, row: int, left: int | None = None, recurrence_of: int | None = None) -> int:
        """Begin an incident with a case, and return its id."""
        group_id = self.new_group(row, recurrence_of)
        self.assign(row, group_id, 1.0, "representative")
        self._record_start(row, group_id, left, recurrence_of)
        return group_id

    def reopen(self, group_id: int, row: int | None = None, *, by_person: bool = False) -> None:
        """Open a closed incident again."""
        self._folder.change("UPDATE groups SET closed_at = NULL WHERE id = ?", group_id)
        reason = None if by_person else "a new report"
        self.journal.record("reopened", group_id, row=row, reason=reason, by_person=by_person)

    def new_representative(self, group_id: int) -> None:
        """Find a new representative for an incident that lost its own."""
        self.scores.begin()
        members = self._members(group_id)
        if not members:
            self._folder.change("DELETE FROM groups WHERE id = ?", group_id)
            return
        rows = [row for row, _ in members]
        features = self._folder.unpack(rows, [blob for _, blob in members])
        closed = self._folder.one("SELECT closed_at FROM groups WHERE id = ?", group_id) is not None
        if len(members) <= _LOCAL and not closed:
            self._carry_out(self._plan(rows, [group_id] * len(rows), features))
            return
        # The case most similar to the lost representative replaces it: first of all one that was linked with it.
        representative = int(
            self._folder.one("SELECT row FROM cases WHERE group_id = ? ORDER BY score DESC, row", group_id)
        )
        head = rows.index(representative)
        self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", representative, group_id)
        scores, reasons, node = self._against_one(rows, features, head)
        lost: dict[int, list[int]] = defaultdict(list)
        for at, (row, score, reason) in enumerate(zip(rows, scores.tolist(), reasons, strict=True)):
            if closed or score >= self.threshold:
                self.assign(row, group_id, score, "representative" if at == head else reason)
            else:
                self._folder.change("UPDATE cases SET group_id = -1 WHERE row = ?", row)
                lost[int(node[at])].append(row)
        for first, *linked in lost.values():
            if linked:  # they stay together, whatever else they match
                found = self.found(first, group_id)
                for row in linked:
                    self.assign(row, found, 1.0, LINKED)
                    self.journal.record("moved", found, row=row, other=group_id, reason=LINKED)
            else:
                self.settle(first, self._folder.read([first]), self._folder.search_vectors([first])[0], group_id)

    def _against_one(
        self, rows: list[int], features: CaseFeatures, head: int
    ) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Return each case's score with a representative, the reason, and the node of linked cases that it is in."""
        everyone = np.arange(len(rows))
        chosen = np.full(len(rows), head)
        scores = self._related(features, rows, everyone, chosen)
        constraints = self.links.among(rows)
        node = everyone if constraints is None else constraints.node
        if constraints is not None:
            mates = np.flatnonzero(node == node[head])
            for mate in mates[mates != head][:_LOCAL].tolist():
                scores = np.maximum(scores, self._related(features, rows, everyone, np.full(len(rows), mate)))
            best = np.zeros(len(constraints.size), np.float32)
            np.maximum.at(best, node, scores)
            scores = best[node]
        scores[node == node[head]] = 1.0
        return scores, self._reasons(features, rows, chosen, constraints), node

    def _related(self, features: CaseFeatures, rows: list[int], first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the scores of pairs of cases that match a third."""
        return self.scores.score(features, rows, first, second, related=True)

    def _reasons(
        self, features: CaseFeatures, rows: list[int], representatives: np.ndarray, constraints: Constraints | None
    ) -> list[str]:
        """Return why each of some cases is in the group of its representative."""

        def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return self._related(features, rows, first, second)

        return member_reasons(features, np.arange(len(rows)), representatives, score, self.threshold, constraints)

    def _near(self, vector: np.ndarray, row: int | None) -> list[int]:
        wanted = self.scores.neighbours + 1
        while True:
            found = self._folder.nearest(vector, wanted)
            near = [other for other in found if other != row]
            marks = ",".join("?" * len(near))
            incidents = self._folder.one(
                "SELECT count(DISTINCT g.id) FROM cases c JOIN groups g ON g.id = c.group_id "
                f"WHERE g.closed_at IS NULL AND c.row IN ({marks})",
                *near,
            )
            if incidents >= _INCIDENTS or len(found) < wanted or wanted > _MOST_NEIGHBOURS:
                return near
            wanted *= 2

    def _decided(self, row: int, features: CaseFeatures, offers: list[Offer]) -> Plan | Join | Recurrence | None:
        """Return what to do with a case; None if it begins an incident."""
        decided = self._among_open(row, features, [offer for offer in offers if offer.closed_at is None])
        closed = [offer for offer in offers if offer.closed_at is not None]
        if closed and (decided is None or (isinstance(decided, Plan) and decided.leaves_alone())):
            return self._among_closed(row, features, closed) or decided
        return decided

    def _among_open(self, row: int, features: CaseFeatures, offers: list[Offer]) -> Plan | Join | None:
        """Return a plan for regrouping a case with its matches, or for joining a large incident."""
        rows: list[int] = []
        old: list[int] = []
        blobs: list[bytes] = []
        for offer in offers:
            if not self._fits(row, features, offer):
                continue
            size = int(self._folder.one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
            if size < _LOCAL:
                if len(rows) + size < _LOCAL:
                    members = self._members(offer.group_id)
                    rows += [member for member, _ in members]
                    blobs += [blob for _, blob in members]
                    old += [offer.group_id] * len(members)
            elif not rows:
                found = self._match(row, features, offer)
                if found is not None:
                    return Join(offer.group_id, *found)
        if not rows:
            return None
        return self._plan([*rows, row], [*old, -1], CaseFeatures.joined([self._folder.unpack(rows, blobs), features]))

    def _among_closed(self, row: int, features: CaseFeatures, offers: list[Offer]) -> Join | Recurrence | None:
        """Return what to do with a case of closed incidents: of those that it matches, the one closed last counts.

        A case received on an earlier day than that of the closing only joins; until ``reopen_days`` after it, a case
        reopens the incident; later, it begins one that repeats it.
        """
        matching = []
        for offer in offers:
            if self._fits(row, features, offer) and (found := self._match(row, features, offer)) is not None:
                matching.append((self._folder.moment(offer.closed_at).timestamp() / 86_400, offer.group_id, found))
        if not matching:
            return None
        closed, group_id, found = max(matching)
        day = float(features.days[0])
        if np.isnan(day):
            day = self.journal.at.timestamp() / 86_400
        if day > closed + self.reopen_days:
            return Recurrence(group_id)
        return Join(group_id, *found, reopens=int(day) >= int(closed))

    def _match(self, row: int, features: CaseFeatures, offer: Offer) -> tuple[float, str] | None:
        """Return score and reason of a match with an incident's representative, or with a case linked with it."""
        others = [offer.representative, offer.row]
        joined, first, second = _against(features, self._folder.read(others))
        scores = self._related(joined, [row, *others], first, second).tolist()
        reasons = pair_reasons(joined, first, second)
        if scores[0] >= self.threshold:
            return scores[0], reasons[0]
        if scores[1] >= self.threshold and self.links.are_linked(offer.representative, offer.row):
            return scores[1], reasons[1]
        return None

    def _fits(self, row: int, features: CaseFeatures, offer: Offer) -> bool:
        """Return whether a case is similar enough, and conflicts with no member's place, date or a person's decision.

        As in :class:`~tawasul_nlp.duplicates.clustering.Conflicts`, it need not agree with both of two members that
        conflict with each other, which a person linked.
        """
        if offer.score < self.threshold or self.links.keep_apart(row, offer.group_id):
            return False
        found = self._folder.all(
            "SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (offer.group_id,)
        )
        nothing = np.zeros((len(found), self._folder.width), np.float32)
        members = unpack([blob for _, blob in found], nothing, self._folder.domain)
        conflicting = conflicting_places(*_against(features, members))
        for at in np.flatnonzero(conflicting).tolist():
            like = np.flatnonzero(~conflicting)
            if not self.links or not conflicting_places(members, np.full(len(like), at), like).any():
                return False
        first, last = (
            None if date is None else date - _JULIAN_1970
            for date in self._folder.all(
                "SELECT min(julianday(created_at)), max(julianday(created_at)) FROM cases WHERE group_id = ?",
                (offer.group_id,),
            )[0]
        )
        day = float(features.days[0])
        if first is None or last is None or np.isnan(day):
            return True
        longest = self.scores.scorer.longest
        if last - first > longest:
            return first - longest <= day <= last + longest
        return max(abs(first - day), abs(last - day)) <= longest

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
        edges = Edges(first, second, self._related(features, rows, first, second)).above(self.threshold)
        constraints = self.links.among(rows)
        conflicts = Conflicts(features, self.scores.scorer.longest, constraints)
        representatives, scores = star_clustering(len(rows), edges, conflicts)
        reasons = self._reasons(features, rows, representatives, constraints)
        return Plan(rows, old, representatives, scores, reasons)

    def _carry_out(self, plan: Plan, left: int | None = None) -> None:
        """Move a plan's cases to their new incidents; one without cases is deleted.

        The last case, if it is in none, comes from the incident ``left``; None for a new case.
        """
        ids = plan.kept()
        begun = set()
        for representative in np.unique(plan.representatives).tolist():
            row = plan.rows[representative]
            if representative in ids:
                self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", row, ids[representative])
            else:
                ids[representative] = self.new_group(row)
                begun.add(ids[representative])
        new = [ids[representative] for representative in plan.representatives.tolist()]
        cases = zip(plan.rows, plan.representatives.tolist(), new, plan.scores.tolist(), plan.reasons, strict=True)
        for at, (row, representative, group_id, score, reason) in enumerate(cases):
            self.assign(row, group_id, score, "representative" if representative == at else reason)
        old, added = list(plan.old), None
        if old[-1] < 0:
            added = plan.rows[-1]
            if new[-1] in begun:
                self._record_start(added, new[-1], left)
            else:
                self._record_arrival(added, new[-1], plan.reasons[-1], left)
            old[-1] = new[-1]  # what follows is about the others
        for kind, group_id, position, before in regrouped(old, new):
            if position is None:
                self.journal.record(kind, group_id, row=added, other=before, reason=_SHOWN)
            else:
                reason = _NO_MATCH if kind == "split" else plan.reasons[position]
                self.journal.record(kind, group_id, row=plan.rows[position], other=before, reason=reason)
        for gone in set(old) - set(new):
            self.delete_merged(gone, min(after for before, after in zip(old, new, strict=True) if before == gone))

    def delete_merged(self, gone: int, target: int) -> None:
        """Delete an incident whose cases are now in another, which takes its place in chains of recurrences."""
        self._folder.change(
            "UPDATE groups SET recurrence_of = (SELECT recurrence_of FROM groups WHERE id = ?) "
            "WHERE id = ? AND recurrence_of IS NULL",
            gone,
            target,
        )
        self._folder.change("UPDATE groups SET recurrence_of = ? WHERE recurrence_of = ?", target, gone)
        self._folder.change("UPDATE groups SET recurrence_of = NULL WHERE recurrence_of = id AND id = ?", target)
        self._folder.change("DELETE FROM groups WHERE id = ?", gone)

    def _record_start(self, row: int, group_id: int, left: int | None, recurrence_of: int | None = None) -> None:
        if left is None:
            self.journal.record("created", group_id, row=row, other=recurrence_of)
        else:
            self.journal.record("split", group_id, row=row, other=left, reason=_NO_MATCH)

    def _record_arrival(self, row: int, group_id: int, reason: str, left: int | None) -> None:
        if left is None:
            self.journal.record("joined", group_id, row=row, reason=reason)
        elif left != group_id:
            self.journal.record("moved", group_id, row=row, other=left, reason=reason)

    def new_group(self, row: int, recurrence_of: int | None = None) -> int:
        """Store an incident with this representative, and return its id."""
        return self._folder.change(
            "INSERT INTO groups (representative, recurrence_of) VALUES (?, ?)", row, recurrence_of
        )

    def assign(self, row: int, group_id: int, score: float, reason: str) -> None:
        """Store the incident of a case."""
        self._folder.change(
            "UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", group_id, score, reason, row
        )


def _against(one: CaseFeatures, others: CaseFeatures) -> tuple[CaseFeatures, np.ndarray, np.ndarray]:
    """Return features and the pairs of ``one`` (row 0) with each of ``others``."""
    features = CaseFeatures.joined([one, others])
    second = np.arange(1, len(features))
    return features, np.zeros(len(second), np.int64), second
