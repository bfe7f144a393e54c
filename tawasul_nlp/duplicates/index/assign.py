"""Assign the cases of an index to incidents, and update incidents when a case is added or removed.

:meth:`Assigner.assign` makes one decision in three steps. The incidents near a case are its candidates
(:meth:`Assigner.candidates`). A plan says what is to happen: the case and the small open incidents that it matches are
regrouped (``Regrouping``; without any it begins one), or it joins a large or a closed one as that is (``Join``). The
plan is then carried out, and what happens is recorded.

What a person decided comes before every score. An incident ends when a person closes it, or when no report came for the
horizon of its topic. It stays as it is: its cases do not move, and a new case joins, reopens or repeats it only if it
matches none that goes on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS, search_vectors
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Conflicts, Constraints, Edges, star_clustering
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.groups import LINKED, REPRESENTATIVE, member_reasons, pair_reasons
from tawasul_nlp.duplicates.index.index_folder import IndexFolder
from tawasul_nlp.duplicates.index.index_scores import ASKED, IndexScores
from tawasul_nlp.duplicates.pair_features import conflicting_places

# At most this many cases are regrouped when one is added (some milliseconds); it joins larger incidents as they are.
_LOCAL = 48
# The search for cases near a new one ends at this many open incidents, or this many cases: neither the reports of one
# incident nor closed ones must hide another.
_INCIDENTS = 4
_MOST_NEIGHBOURS = 8 * NEIGHBOURS
# Reasons of what happens by itself.
_NO_MATCH = "does not match the representative of its incident"
_MATCHES_BOTH = "a case matches both"
_QUIET = "no report for {:.0f} days"
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident near a case: its representative's row, and its most similar case's row and score."""

    incident: int
    representative: int
    row: int
    score: float
    # None for an open incident.
    closed_at: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """An incident that ended before a case was received, or that is closed; on which day, by whom."""

    candidate: Candidate
    day: float
    by_person: bool


@dataclass(frozen=True, slots=True)
class Join:
    """A plan for adding a case to an incident that otherwise stays as it is."""

    incident: int
    score: float
    reason: str
    reopens: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Regrouping:
    """A plan for regrouping some cases, the new one last."""

    rows: list[int]
    # The current incident of each; -1 for none.
    incidents: list[int]
    # (n,), int64: The position of each case's representative.
    representatives: np.ndarray
    # (n,), float32
    scores: np.ndarray
    reasons: list[str]
    # The closed incident that the case, which is alone, repeats.
    recurrence_of: int | None = None

    def leaves_alone(self) -> bool:
        """Return whether the last case is in no group with others."""
        return int((self.representatives == self.representatives[-1]).sum()) == 1


class Assigner:
    """Assigns the cases of an index folder to incidents; changes go inside its transaction."""

    def __init__(self, folder: IndexFolder, scores: IndexScores, threshold: float, reopen_days: float) -> None:
        self._folder = folder
        self.scores = scores
        self.threshold = threshold
        self.reopen_days = reopen_days

    def asked(self, folder: IndexFolder, text: str) -> Assigner:
        """Return who decides the same for a case that is only asked about, of a folder as it is at one moment."""
        folder.begin()
        scores = IndexScores(folder, self.scores.scorer, self.scores.verifier)
        scores.begin(text)
        return Assigner(folder, scores, self.threshold, self.reopen_days)

    def add(self, cases: Mapping[str, Case], features: CaseFeatures) -> set[str]:
        """Store new cases by id, each in its incident; return the ids of those that are the first of theirs."""
        self._folder.keep(threshold=repr(float(self.threshold)))
        start = self._folder.add_cases(list(cases), cases.values(), features, [(-1, 0.0, "")] * len(cases))
        vectors = search_vectors(features)
        firsts = set()
        # One after the other: each is found as a neighbour of those that come after it.
        for position, case_id in enumerate(cases):
            row, vector = start + position, vectors[position]
            self._folder.add_to_graph(row, vector[None])
            self.end_quiet_incidents(float(features.days[position]))
            if self.assign(row, features.take(np.array([position])), vector):
                firsts.add(case_id)
        return firsts

    def assign(self, row: int, features: CaseFeatures, vector: np.ndarray, left: int | None = None) -> bool:
        """Assign a stored case to an incident; return whether it is the first report of a new one.

        The case and the open incidents that it matches are regrouped as if they had all arrived at once, so the order
        of arrival matters little: a case may show that two incidents are one, or be the better representative.

        ``vector`` is its search vector, and ``left`` the incident that it was in until now; None for a new case.
        """
        self.scores.begin()
        plan = self._plan(row, features, self.candidates(features, vector, row))
        if isinstance(plan, Regrouping):
            self._regroup(plan, left)
            return plan.leaves_alone()
        self._folder.place(row, plan.incident, plan.score, plan.reason)
        self._record_arrival(row, plan.incident, plan.reason, left)
        if plan.reopens:
            self._folder.set_closed_at(plan.incident, None)
            self._folder.record("reopened", plan.incident, row=row, reason="a new report")
        return False

    def end_quiet_incidents(self, day: float) -> None:
        """Close the incidents that had no report for the horizon of their topic, once for each day of reports."""
        last_day = int(self._folder.facts().get("quiet_day", "0"))
        if not last_day + 1 <= day <= self._folder.at.timestamp() / _DAY:
            return
        self._folder.keep(quiet_day=str(int(day)))
        quiet = self._folder.quiet_incidents(day)
        horizons = self._folder.horizons([representative for _, representative, _ in quiet])
        for (incident, _, last), horizon in zip(quiet, horizons.tolist(), strict=True):
            if last + horizon < day:
                self._folder.set_closed_at(incident, _time_of(last + horizon).isoformat())
                self._folder.record("closed", incident, reason=_QUIET.format(horizon))

    # -- the incidents near a case -------------------------------------------------------------------------------------

    def candidates(self, features: CaseFeatures, vector: np.ndarray, row: int = ASKED) -> list[Candidate]:
        """Return the incidents near a case, the likeliest first; ``row`` is its own, if it is already in the index.

        Compared are the nearest cases and the representatives of their incidents.
        """
        compared = self._folder.near_incidents(self._near(vector, row))
        rows = [other for _, other, *_ in compared]
        if not rows:
            return []
        joint, first, second = self.against(features, rows)
        scores = self.scores.among([row, *rows], joint, related=False)(first, second).tolist()
        # An incident is as near as its most similar case; of equally similar ones its representative says why.
        best: dict[int, Candidate] = {}
        for (incident, other, representative, closed_at), score in zip(compared, scores, strict=True):
            before = best.get(incident)
            if before is None or (score, other == representative) > (before.score, False):
                best[incident] = Candidate(
                    incident=incident, representative=representative, row=other, score=score, closed_at=closed_at
                )
        return sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.incident))

    def _near(self, vector: np.ndarray, row: int) -> list[int]:
        """Return the rows near a vector: more of them while they come from too few open incidents."""
        limit = self.scores.neighbours + 1
        while True:
            nearest = self._folder.nearest(vector, limit)
            rows = [other for other in nearest if other != row]
            too_few = self._folder.count_open_incidents(rows) < _INCIDENTS
            if not too_few or len(nearest) < limit or limit > _MOST_NEIGHBOURS:
                return rows
            limit *= 2

    def obstacles(self, features: CaseFeatures, candidates: list[Candidate]) -> dict[int, str]:
        """Return what would keep a case out of incidents if it were added; out of the others nothing would."""
        plan = self._plan(ASKED, features, candidates)
        if isinstance(plan, Join):
            joined, otherwise = {plan.incident}, f"the case matches incident {plan.incident}"
        else:
            together = plan.representatives == plan.representatives[-1]
            joined = {incident for incident, with_it in zip(plan.incidents, together, strict=True) if with_it}
            otherwise = "the case does not match its representative"

        def obstacle(candidate: Candidate) -> str:
            if reason := self._obstacle(ASKED, features, candidate):
                return reason
            ended = self._ended(features, candidate)
            return otherwise if ended is None else f"it ended on {_time_of(ended.day).date()}"

        apart = (candidate for candidate in candidates if candidate.incident not in joined)
        return {candidate.incident: obstacle(candidate) for candidate in apart}

    def against(self, one: CaseFeatures, rows: Sequence[int]) -> tuple[CaseFeatures, np.ndarray, np.ndarray]:
        """Return joint features, and the pairs of a case (position 0) with each of the cases in some rows."""
        return _against(one, self._folder.features(rows))

    # -- plans ---------------------------------------------------------------------------------------------------------

    def _plan(self, row: int, features: CaseFeatures, candidates: list[Candidate]) -> Join | Regrouping:
        """Return what to do with a case."""
        compatible = [one for one in candidates if self._obstacle(row, features, one) is None]
        ended = {one.incident: ending for one in compatible if (ending := self._ended(features, one))}
        plan = self._plan_among_open(row, features, [one for one in compatible if one.incident not in ended])
        # An incident that ended counts only for a case that would otherwise be alone.
        if isinstance(plan, Regrouping) and plan.leaves_alone():
            return self._plan_among_ended(row, features, list(ended.values())) or plan
        return plan

    def _plan_among_open(self, row: int, features: CaseFeatures, candidates: list[Candidate]) -> Join | Regrouping:
        """Return a plan for regrouping a case with its matches, or for joining a large incident."""
        rows: list[int] = []
        incidents: list[int] = []
        for candidate in candidates:
            # Small incidents are pooled for a regrouping while there is room, the likeliest first. A large one takes
            # the case as it is, if it is likelier than all small ones; after those it no longer counts.
            size = self._folder.size(candidate.incident)
            if size < _LOCAL:
                if len(rows) + size < _LOCAL:
                    rows += self._folder.members(candidate.incident)
                    incidents += [candidate.incident] * size
            elif not rows and (match := self._match_with(row, features, candidate)):
                return match
        joint = CaseFeatures.joined([self._folder.features(rows), features])
        return self._regrouping([*rows, row], [*incidents, -1], joint)

    def _plan_among_ended(self, row: int, features: CaseFeatures, ended: list[Ended]) -> Join | Regrouping | None:
        """Return what to do with a case of incidents that ended: of those that it matches the last to end counts.

        A case received on an earlier day only joins. Until ``reopen_days`` after a person closed an incident, a case
        reopens it. Any other one begins an incident that repeats it.
        """
        matches = [(one, match) for one in ended if (match := self._match_with(row, features, one.candidate))]
        if not matches:
            return None
        last, match = max(matches, key=lambda pair: (pair[0].day, pair[0].candidate.incident))
        day = float(features.days[0])
        if np.isnan(day):
            day = self._folder.at.timestamp() / _DAY
        if day > last.day + (self.reopen_days if last.by_person else 0):
            return replace(self._regrouping([row], [-1], features), recurrence_of=last.candidate.incident)
        is_closed = last.candidate.closed_at is not None
        return replace(match, reopens=is_closed and last.by_person and int(day) >= int(last.day))

    def _ended(self, features: CaseFeatures, candidate: Candidate) -> Ended | None:
        """Return when an incident ended; None if it goes on, or did until a case was received."""
        if candidate.closed_at is not None:
            day = datetime.fromisoformat(candidate.closed_at).timestamp() / _DAY
            return Ended(candidate, day, self._folder.was_closed_by_person(candidate.incident))
        _, last = self._folder.day_range(candidate.incident)
        day, horizon = float(features.days[0]), self._horizon(features, candidate)
        if last is None or np.isnan(day) or day <= last + horizon:
            return None
        # Who reopened it, or moved a case into it, said that it went on.
        decided = self._folder.last_decision(candidate.incident)
        return Ended(candidate, max(last + horizon, decided), by_person=day <= decided + horizon)

    def _horizon(self, features: CaseFeatures, candidate: Candidate) -> float:
        """Return how many days without a report an incident goes on for a case."""
        return max(*features.horizons, *self._folder.horizons([candidate.representative]))

    def _match_with(self, row: int, features: CaseFeatures, candidate: Candidate) -> Join | None:
        """Return the match with an incident's representative, or with a case linked with it."""
        others = [candidate.representative, candidate.row]
        joint, first, second = self.against(features, others)
        scores = self.scores.among([row, *others], joint)(first, second).tolist()
        is_linked = self._folder.are_linked(candidate.representative, candidate.row)
        for score, reason in list(zip(scores, pair_reasons(joint, first, second), strict=True))[: 1 + is_linked]:
            if score >= self.threshold:
                return Join(incident=candidate.incident, score=score, reason=reason)
        return None

    def _obstacle(self, row: int, features: CaseFeatures, candidate: Candidate) -> str | None:
        """Return what keeps a case out of an incident: its score, a member's place, its date or a person's decision.

        As in :class:`~tawasul_nlp.duplicates.clustering.Conflicts`, it need not agree with both of two members that
        conflict with each other, which a person linked.
        """
        if candidate.score < self.threshold:
            return f"its score is below {self.threshold:.2f}"
        if self._folder.keeps_apart(row, candidate.incident):
            return "a person keeps them apart"
        # One case of each kind of place is enough to compare places with all members.
        _, members = self._folder.place_features([candidate.incident])
        conflicting = conflicting_places(*_against(features, members))
        agreeing = np.flatnonzero(~conflicting)
        for member in np.flatnonzero(conflicting).tolist():
            linked_though_conflicting = conflicting_places(members, np.full(len(agreeing), member), agreeing)
            if not (self._folder.has_links and linked_though_conflicting.any()):
                return "another of its reports names a conflicting place"
        first, _ = self._folder.day_range(candidate.incident)
        horizon = self._horizon(features, candidate)
        if first is not None and first - float(features.days[0]) > horizon:
            return f"the case came more than {horizon:.0f} days before it"
        return None

    def _regrouping(self, rows: list[int], incidents: list[int], features: CaseFeatures) -> Regrouping:
        """Return a plan that groups some cases among themselves."""
        score = self.scores.among(rows, features)
        first, second = np.triu_indices(len(rows), 1)
        edges = Edges(first, second, score(first, second)).above(self.threshold)
        constraints = self._folder.constraints_among(rows)
        conflicts = Conflicts(features, constraints)
        representatives, scores = star_clustering(len(rows), edges, conflicts)
        reasons = member_reasons(features, np.arange(len(rows)), representatives, score, self.threshold, constraints)
        return Regrouping(
            rows=rows, incidents=incidents, representatives=representatives, scores=scores, reasons=reasons
        )

    # -- carrying them out ---------------------------------------------------------------------------------------------

    def _regroup(self, plan: Regrouping, left: int | None = None) -> None:
        """Move a plan's cases to their new incidents; one without cases is deleted.

        The last case, if it is in none, comes from the incident ``left``; None for a new case.
        """
        pairs = zip(plan.representatives.tolist(), plan.incidents, strict=True)
        ids = kept_ids(sorted((pair for pair in pairs if pair[1] >= 0), key=lambda pair: pair[::-1]))
        begun = set()
        for representative in np.unique(plan.representatives).tolist():
            row = plan.rows[representative]
            if representative in ids:
                self._folder.set_representative(ids[representative], row)
            else:
                ids[representative] = self._folder.new_incident(row, plan.recurrence_of)
                begun.add(ids[representative])
        new = [ids[representative] for representative in plan.representatives.tolist()]
        for position, (row, incident) in enumerate(zip(plan.rows, new, strict=True)):
            self._folder.place(row, incident, float(plan.scores[position]), plan.reasons[position])
        old, added = list(plan.incidents), None
        if old[-1] < 0:
            added = plan.rows[-1]
            if new[-1] in begun:
                self._record_start(added, new[-1], left, plan.recurrence_of)
            else:
                self._record_arrival(added, new[-1], plan.reasons[-1], left)
            old[-1] = new[-1]  # what follows is about the others
        for kind, incident, case, before in regrouped(old, new):
            row, reason = (added, _MATCHES_BOTH) if case is None else (plan.rows[case], plan.reasons[case])
            self._folder.record(kind, incident, row=row, other=before, reason=_NO_MATCH if kind == "split" else reason)
        for gone in set(old) - set(new):
            self._folder.replace_incident(gone, min(new[case] for case, before in enumerate(old) if before == gone))

    def _record_start(self, row: int, incident: int, left: int | None, recurrence_of: int | None = None) -> None:
        if left is None:
            self._folder.record("created", incident, row=row, other=recurrence_of)
        else:
            self._folder.record("split", incident, row=row, other=left, reason=_NO_MATCH)

    def _record_arrival(self, row: int, incident: int, reason: str, left: int | None) -> None:
        if left is None:
            self._folder.record("joined", incident, row=row, reason=reason)
        elif left != incident:
            self._folder.record("moved", incident, row=row, other=left, reason=reason)

    # -- an incident that lost its representative ----------------------------------------------------------------------

    def renew(self, incident: int, row: int) -> None:
        """Find a new representative for an incident that a case has left, if that was its representative."""
        if self._folder.representative(incident) != row:
            return
        self.scores.begin()
        rows = self._folder.members(incident)
        if not rows:
            self._folder.delete_incident(incident)
            return
        features = self._folder.features(rows)
        closed = self._folder.closed_at(incident) is not None
        if len(rows) <= _LOCAL and not closed:
            self._regroup(self._regrouping(rows, [incident] * len(rows), features))
            return
        # Too many to regroup, or closed, so only the representative changes. The case most similar to the lost one
        # replaces it: first of all one that was linked with it.
        representative = self._folder.closest_member(incident)
        self._folder.set_representative(incident, representative)
        constraints = self._folder.constraints_among(rows)
        head = rows.index(representative)
        scores, reasons = self._scores_with(head, rows, features, constraints)
        # Of an open incident, cases that do not match the new representative leave it, with those linked with them.
        leaving: dict[int, list[int]] = defaultdict(list)
        for case, (row, score, reason) in enumerate(zip(rows, scores.tolist(), reasons, strict=True)):
            if closed or score >= self.threshold:
                self._folder.place(row, incident, score, reason)
            else:
                self._folder.place(row, -1, 0.0, "")
                leaving[case if constraints is None else int(constraints.node[case])].append(row)
        for first, *linked in leaving.values():
            if linked:  # they stay together, whatever else they match
                begun = self._folder.new_incident(first)
                self._folder.place(first, begun, 1.0, REPRESENTATIVE)
                self._record_start(first, begun, incident)
                for row in linked:
                    self._folder.place(row, begun, 1.0, LINKED)
                    self._folder.record("moved", begun, row=row, other=incident, reason=LINKED)
            else:
                self.assign(first, self._folder.features([first]), self._folder.search_vectors([first])[0], incident)

    def _scores_with(
        self, head: int, rows: list[int], features: CaseFeatures, constraints: Constraints | None
    ) -> tuple[np.ndarray, list[str]]:
        """Return each case's score with a representative, by position, and the reason."""
        score = self.scores.among(rows, features)
        everyone, heads = np.arange(len(rows)), np.full(len(rows), head)
        scores = score(everyone, heads)
        # Linked cases stand and fall together: a node's score is that of its case that matches best, and what is linked
        # with the representative speaks for it too (some of it, so that the time stays bounded).
        if constraints is not None:
            node = constraints.node
            mates = np.flatnonzero(node == node[head])
            for mate in mates[mates != head][:_LOCAL].tolist():
                scores = np.maximum(scores, score(everyone, np.full(len(rows), mate)))
            best = np.zeros(len(constraints.size), np.float32)
            np.maximum.at(best, node, scores)
            scores = best[node]
            scores[mates] = 1.0
        scores[head] = 1.0
        return scores, member_reasons(features, everyone, heads, score, self.threshold, constraints)


def _time_of(day: float) -> datetime:
    return datetime.fromtimestamp(round(day * _DAY), UTC)


def kept_ids(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the ids that new groups keep, of each case's new representative and old incident: each that of most cases.

    Of pairs that are equally frequent the first counts.

    Examples
    --------
    >>> kept_ids([(0, 7), (0, 7), (2, 7), (2, 8), (2, 8), (4, 9)])
    {0: 7, 2: 8, 4: 9}
    """
    ids: dict[int, int] = {}
    taken = set()
    for (representative, incident), _ in Counter(pairs).most_common():
        if representative not in ids and incident not in taken:
            ids[representative] = incident
            taken.add(incident)
    return ids


def regrouped(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[str, int, int | None, int]]:
    """Yield what became of incidents when some cases changed theirs, whose incidents are ``old`` and ``new``.

    An id of ``new`` that is not among ``old`` is a new incident. Yields ``merged``, ``split`` or ``moved``, the
    incident, the position of the case (None for a merger, which is one of all cases), and the incident before.

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
    for case, (before, after) in enumerate(zip(old, new, strict=True)):
        if before != after and before not in merged:
            yield "split" if after in begun else "moved", after, case, before
            begun.discard(after)


def _against(one: CaseFeatures, others: CaseFeatures) -> tuple[CaseFeatures, np.ndarray, np.ndarray]:
    """Return features and the pairs of ``one`` (row 0) with each of ``others``."""
    features = CaseFeatures.joined([one, others])
    second = np.arange(1, len(features))
    return features, np.zeros(len(second), np.int64), second
