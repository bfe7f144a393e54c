"""Assign the cases of an index to incidents, and update incidents when a case is added or removed.

:meth:`Assigner.assign` makes one decision in three steps. The incidents near a case are its candidates
(:meth:`Assigner.candidates`). A plan says what is to happen: the case and the small open incidents that it matches are
regrouped (``Plan``), it joins a large or a closed one as that is (``Join``), it repeats a closed one (``Recurrence``),
or, without a plan, it begins an incident. The plan is then carried out and its events are recorded.

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
from tawasul_nlp.duplicates.index.plans import Candidate, Join, Plan, Recurrence, regrouped
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

    def candidates(
        self, features: CaseFeatures, vector: np.ndarray, row: int | None = None
    ) -> tuple[list[Candidate], CaseFeatures]:
        """Return the incidents near a case, the likeliest first, and the features of the cases compared with it.

        Compared are the nearest cases and the representatives of their incidents; ``row`` is the case's own, if it is
        already in the index. The case itself is row 0 of the returned features.
        """
        near = self._near(vector, row)
        marks = ",".join("?" * len(near))
        # The nearest cases themselves, and by the union the representatives of their incidents, each once.
        compared = self._folder.all(
            f"SELECT g.id, c.row, c.columns, g.representative, g.closed_at FROM cases c "
            f"JOIN groups g ON g.id = c.group_id WHERE c.row IN ({marks}) "
            f"UNION SELECT g.id, h.row, h.columns, g.representative, g.closed_at FROM cases c "
            f"JOIN groups g ON g.id = c.group_id JOIN cases h ON h.row = g.representative WHERE c.row IN ({marks})",
            near * 2,
        )
        if not compared:
            return [], features
        others = self._folder.unpack([other for _, other, *_ in compared], [blob for _, _, blob, *_ in compared])
        joint, first, second = _against(features, others)
        rows = [ASKED if row is None else row, *(other for _, other, *_ in compared)]
        scores = self.scores.score(joint, rows, first, second, related=False).tolist()
        # An incident is as near as its most similar case; of equally similar ones its representative says why.
        best: dict[int, Candidate] = {}
        for position, ((group_id, other, _, representative, closed_at), score) in enumerate(
            zip(compared, scores, strict=True), start=1
        ):
            candidate = best.get(group_id)
            if candidate is None or (score, other == representative) > (candidate.score, False):
                best[group_id] = Candidate(
                    group_id=group_id,
                    representative=representative,
                    score=score,
                    row=other,
                    position=position,
                    closed_at=closed_at,
                )
        return sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.group_id)), joint

    def matching_incidents(self, features: CaseFeatures, candidates: list[Candidate]) -> set[int]:
        """Return the incidents of the cases that a case would be grouped with if it were added."""
        plan = self._plan_for(ASKED, features, candidates)
        if isinstance(plan, Plan):
            own = plan.representatives[-1]
            return {
                old
                for old, representative in zip(plan.old, plan.representatives, strict=True)
                if representative == own and old >= 0
            }
        return {plan.group_id} if isinstance(plan, Join) else set()

    def assign(self, row: int, features: CaseFeatures, vector: np.ndarray, left: int | None = None) -> bool:
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
        plan = self._plan_for(row, features, self.candidates(features, vector, row)[0])
        if isinstance(plan, Plan):
            self._apply(plan, left)
            return plan.leaves_alone()
        if isinstance(plan, Join):
            self.place(row, plan.group_id, plan.score, plan.reason)
            self._record_arrival(row, plan.group_id, plan.reason, left)
            if plan.reopens:
                self.reopen(plan.group_id, row)
            return False
        self.begin_incident(row, left, plan.of if plan is not None else None)
        return True

    def begin_incident(self, row: int, left: int | None = None, recurrence_of: int | None = None) -> int:
        """Begin an incident with a case, and return its id."""
        group_id = self.new_group(row, recurrence_of)
        self.place(row, group_id, 1.0, "representative")
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
            self._apply(self._regroup(rows, [group_id] * len(rows), features))
            return
        # Too many to regroup, or closed, so only the representative changes. The case most similar to the lost one
        # replaces it: first of all one that was linked with it.
        representative = int(
            self._folder.one("SELECT row FROM cases WHERE group_id = ? ORDER BY score DESC, row", group_id)
        )
        head = rows.index(representative)
        self._folder.change("UPDATE groups SET representative = ? WHERE id = ?", representative, group_id)
        scores, reasons, node = self._against_one(rows, features, head)
        # Of an open incident, cases that do not match the new representative leave it, with those linked with them.
        lost: dict[int, list[int]] = defaultdict(list)
        for at, (row, score, reason) in enumerate(zip(rows, scores.tolist(), reasons, strict=True)):
            if closed or score >= self.threshold:
                self.place(row, group_id, score, "representative" if at == head else reason)
            else:
                self._folder.change("UPDATE cases SET group_id = -1 WHERE row = ?", row)
                lost[int(node[at])].append(row)
        for first, *linked in lost.values():
            if linked:  # they stay together, whatever else they match
                begun = self.begin_incident(first, group_id)
                for row in linked:
                    self.place(row, begun, 1.0, LINKED)
                    self.journal.record("moved", begun, row=row, other=group_id, reason=LINKED)
            else:
                self.assign(first, self._folder.read([first]), self._folder.search_vectors([first])[0], group_id)

    def _against_one(
        self, rows: list[int], features: CaseFeatures, head: int
    ) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Return each case's score with a representative, the reason, and the node of linked cases that it is in."""
        everyone = np.arange(len(rows))
        chosen = np.full(len(rows), head)
        scores = self._related(features, rows, everyone, chosen)
        # Linked cases stand and fall together: a node's score is that of its case that matches best, and what is linked
        # with the representative speaks for it too (some of it, so that the time stays bounded).
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
        """Return the rows near a vector: more of them while they come from too few open incidents."""
        limit = self.scores.neighbours + 1
        while True:
            nearest = self._folder.nearest(vector, limit)
            near = [other for other in nearest if other != row]
            marks = ",".join("?" * len(near))
            incidents = self._folder.one(
                "SELECT count(DISTINCT g.id) FROM cases c JOIN groups g ON g.id = c.group_id "
                f"WHERE g.closed_at IS NULL AND c.row IN ({marks})",
                *near,
            )
            if incidents >= _INCIDENTS or len(nearest) < limit or limit > _MOST_NEIGHBOURS:
                return near
            limit *= 2

    def _plan_for(
        self, row: int, features: CaseFeatures, candidates: list[Candidate]
    ) -> Plan | Join | Recurrence | None:
        """Return what to do with a case; None if it begins an incident."""
        plan = self._plan_among_open(
            row, features, [candidate for candidate in candidates if candidate.closed_at is None]
        )
        # A closed incident counts only for a case that would otherwise be alone.
        closed = [candidate for candidate in candidates if candidate.closed_at is not None]
        if closed and (plan is None or (isinstance(plan, Plan) and plan.leaves_alone())):
            return self._plan_among_closed(row, features, closed) or plan
        return plan

    def _plan_among_open(self, row: int, features: CaseFeatures, candidates: list[Candidate]) -> Plan | Join | None:
        """Return a plan for regrouping a case with its matches, or for joining a large incident."""
        rows: list[int] = []
        old: list[int] = []
        blobs: list[bytes] = []
        for candidate in candidates:
            if not self._is_compatible(row, features, candidate):
                continue
            size = int(self._folder.one("SELECT count(*) FROM cases WHERE group_id = ?", candidate.group_id))
            # Small incidents are pooled for a regrouping while there is room, the likeliest first. A large one takes
            # the case as it is, if it is likelier than all small ones; after those it no longer counts.
            if size < _LOCAL:
                if len(rows) + size < _LOCAL:
                    members = self._members(candidate.group_id)
                    rows += [member for member, _ in members]
                    blobs += [blob for _, blob in members]
                    old += [candidate.group_id] * len(members)
            elif not rows:
                match = self._match_with(row, features, candidate)
                if match is not None:
                    score, reason = match
                    return Join(group_id=candidate.group_id, score=score, reason=reason)
        if not rows:
            return None
        return self._regroup(
            [*rows, row], [*old, -1], CaseFeatures.joined([self._folder.unpack(rows, blobs), features])
        )

    def _plan_among_closed(
        self, row: int, features: CaseFeatures, candidates: list[Candidate]
    ) -> Join | Recurrence | None:
        """Return what to do with a case of closed incidents: of those that it matches, the one closed last counts.

        A case received on an earlier day than that of the closing only joins; until ``reopen_days`` after it, a case
        reopens the incident; later, it begins one that repeats it.
        """
        matches = []
        for candidate in candidates:
            if not self._is_compatible(row, features, candidate):
                continue
            match = self._match_with(row, features, candidate)
            if match is not None:
                closed_day = self._folder.moment(candidate.closed_at).timestamp() / 86_400
                matches.append((closed_day, candidate.group_id, *match))
        if not matches:
            return None
        closed_day, group_id, score, reason = max(matches)
        day = float(features.days[0])
        if np.isnan(day):
            day = self.journal.at.timestamp() / 86_400
        if day > closed_day + self.reopen_days:
            return Recurrence(group_id)
        return Join(group_id=group_id, score=score, reason=reason, reopens=int(day) >= int(closed_day))

    def _match_with(self, row: int, features: CaseFeatures, candidate: Candidate) -> tuple[float, str] | None:
        """Return score and reason of a match with an incident's representative, or with a case linked with it."""
        others = [candidate.representative, candidate.row]
        joint, first, second = _against(features, self._folder.read(others))
        scores = self._related(joint, [row, *others], first, second).tolist()
        reasons = pair_reasons(joint, first, second)
        if scores[0] >= self.threshold:
            return scores[0], reasons[0]
        if scores[1] >= self.threshold and self.links.are_linked(candidate.representative, candidate.row):
            return scores[1], reasons[1]
        return None

    def _is_compatible(self, row: int, features: CaseFeatures, candidate: Candidate) -> bool:
        """Return whether a case is similar enough, and conflicts with no member's place, date or a person's decision.

        As in :class:`~tawasul_nlp.duplicates.clustering.Conflicts`, it need not agree with both of two members that
        conflict with each other, which a person linked.
        """
        if candidate.score < self.threshold or self.links.keep_apart(row, candidate.group_id):
            return False
        # One case of each kind of place is enough to compare places with all members.
        examples = self._folder.all(
            "SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (candidate.group_id,)
        )
        nothing = np.zeros((len(examples), self._folder.width), np.float32)
        members = unpack([blob for _, blob in examples], nothing, self._folder.domain)
        conflicting = conflicting_places(*_against(features, members))
        for member in np.flatnonzero(conflicting).tolist():
            like = np.flatnonzero(~conflicting)
            if not self.links or not conflicting_places(members, np.full(len(like), member), like).any():
                return False
        first, last = (
            None if date is None else date - _JULIAN_1970
            for date in self._folder.all(
                "SELECT min(julianday(created_at)), max(julianday(created_at)) FROM cases WHERE group_id = ?",
                (candidate.group_id,),
            )[0]
        )
        day = float(features.days[0])
        if first is None or last is None or np.isnan(day):
            return True
        # A person may have linked cases over a longer time; then the case has to be near either end, or between.
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

    def _regroup(self, rows: list[int], old: list[int], features: CaseFeatures) -> Plan:
        """Group some cases among themselves."""
        first, second = np.triu_indices(len(rows), 1)
        edges = Edges(first, second, self._related(features, rows, first, second)).above(self.threshold)
        constraints = self.links.among(rows)
        conflicts = Conflicts(features, self.scores.scorer.longest, constraints)
        representatives, scores = star_clustering(len(rows), edges, conflicts)
        reasons = self._reasons(features, rows, representatives, constraints)
        return Plan(rows, old, representatives, scores, reasons)

    def _apply(self, plan: Plan, left: int | None = None) -> None:
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
        for member, (row, representative, group_id, score, reason) in enumerate(cases):
            self.place(row, group_id, score, "representative" if representative == member else reason)
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

    def place(self, row: int, group_id: int, score: float, reason: str) -> None:
        """Store the incident of a case."""
        self._folder.change(
            "UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", group_id, score, reason, row
        )


def _against(one: CaseFeatures, others: CaseFeatures) -> tuple[CaseFeatures, np.ndarray, np.ndarray]:
    """Return features and the pairs of ``one`` (row 0) with each of ``others``."""
    features = CaseFeatures.joined([one, others])
    second = np.arange(1, len(features))
    return features, np.zeros(len(second), np.int64), second
