"""The result of grouping: the cases of each incident, with scores and reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tawasul_nlp.duplicates.candidates import keyed_pairs, pair_keys, unique_keys
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Conflicts, Constraints, Edges, star_clustering
from tawasul_nlp.duplicates.features import CaseFeatures, most_urgent
from tawasul_nlp.duplicates.pair_features import NEAR_COPY, conflicting_places, copied, shares
from tawasul_nlp.duplicates.verifier import READING, CaseScores
from tawasul_nlp.extras import require

if TYPE_CHECKING:
    import pandas

# Pairs below this score are not kept, so a result cannot be regrouped at a lower threshold.
LEAST = 0.02
# The reason of a representative.
REPRESENTATIVE = "representative"
# Reasons of members that a person linked with the representative, or with a case that belongs to its incident.
LINKED = "linked by a person"
# Log-odds below which a contribution is not worth telling.
_TELLING = 0.05
_SENTENCES = {
    "en": {
        "score": "one event with a probability of",
        "conflict": "the places that they name conflict",
        "for": "for it:",
        "against": "against it:",
        "and": ", ",
    },
    "ar": {
        "score": "احتمال أنهما عن حدث واحد:",
        "conflict": "المكانان المذكوران فيهما متعارضان",
        "for": "ما يؤيد ذلك:",
        "against": "ما يعارضه:",
        "and": "، ",
        "similarity of meaning": "تشابه المعنى",
        "similarity of wording": "تشابه الألفاظ",
        "place": "المكان",
        "topic": "الموضوع",
        "numbers and roads": "الأرقام والطرق",
        "length": "الطول",
        "time between": "المدة بينهما",
        "base rate": "ندرة البلاغات المكررة",
        READING: "قراءة النصين معًا",
    },
}
THROUGH = "by a case that a person linked"
# The kinds of places of which a reason names the first two that both cases name.
_PLACE_WORDS = {
    "roads": "road",
    "blocks": "block",
    "landmarks": "landmark",
    "quarters": "quarter",
    "towns": "town",
}


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """One incident."""

    # The value of `labels` of its cases.
    number: int
    # Row number of the case that all others match.
    representative: int
    # Row numbers: the representative, then the others by descending score.
    members: tuple[int, ...]
    # Probability that each member and the representative report one incident; 1 for the representative, and for a
    # member that must be linked with it.
    scores: tuple[float, ...]
    # Why each member belongs here; `representative` for the representative.
    reasons: tuple[str, ...]
    # The highest urgency of its cases, and the row number of the first that has it. None if the model does not tell it.
    urgency: str | None = None
    most_urgent: int | None = None

    def __len__(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True)
class PairExplanation:
    """Why two cases are, or are not, one incident."""

    # Probability that they report one incident; 0 if their places conflict, or a text has no letter or digit.
    score: float
    # In a few words.
    reason: str
    conflicting_place: bool
    # What each family of features adds to the log-odds of the score, which is their sum unless the score is 0 by
    # rule; of a verified pair also `both texts read together`.
    contributions: dict[str, float]
    # Whether the first score was unsure, so that the model read both texts together.
    verified: bool = False

    def sentences(self, language: Literal["ar", "en"] = "ar") -> list[str]:
        """Return the same for people: the score, a conflict, and what speaks for and against, the weightiest first.

        Examples
        --------
        >>> why = PairExplanation(0.8, "same problem", False, {"place": 2.04, "base rate": -0.6, "length": 0.01})
        >>> print(*why.sentences("en"), sep="; ")
        one event with a probability of 80%; for it: place (+2.0); against it: base rate (-0.6)
        """
        words = _SENTENCES[language]
        parts = sorted(self.contributions.items(), key=lambda part: -abs(part[1]))
        told = [f"{words['score']} {self.score:.0%}"]
        if self.conflicting_place:
            told.append(words["conflict"])
        for side, sign in (("for", 1), ("against", -1)):
            named = [f"{words.get(name, name)} ({part:+.1f})" for name, part in parts if sign * part >= _TELLING]
            if named:
                told.append(f"{words[side]} {words['and'].join(named)}")
        return told


def explained(scores: CaseScores, first: int, second: int) -> PairExplanation:
    """Explain the score of two cases, by row number."""
    a, b = np.array([first]), np.array([second])
    contributions = scores.contributions(first, second)
    return PairExplanation(
        score=float(scores.score(a, b)[0]),
        reason=pair_reasons(scores.features, a, b)[0],
        conflicting_place=bool(conflicting_places(scores.features, a, b)[0]),
        contributions=contributions,
        verified=READING in contributions,
    )


class DuplicateGroups:
    """Groups of cases that report one incident."""

    def __init__(
        self,
        cases: Sequence[Case],
        edges: Edges,
        scores: CaseScores,
        threshold: float,
        constraints: Constraints | None = None,
    ) -> None:
        if not LEAST <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}, expected {LEAST} to 1")
        self.cases = cases
        # The lowest score at which a case joins a representative.
        self.threshold = threshold
        self.features = scores.features
        # Edges and scores as given, so regrouping at another threshold compares, and reads, the same as if it had been
        # the first.
        self._edges, self._given = edges, scores
        self._scores = scores.related()
        self._constraints = constraints
        # (n,), int64: The row number of each case's representative.
        self.representatives: np.ndarray
        # (n,), float32: The score of each case with its representative, 1 for representatives.
        self.scores: np.ndarray
        self.representatives, self.scores = _grouped(edges, self._scores, threshold, constraints)
        # (n,), int64: The group of each case; groups are numbered by descending size, single cases included.
        self.labels: np.ndarray
        self.labels, self._sizes = _numbered(self.representatives)

    def __len__(self) -> int:
        return len(self._sizes)

    def __repr__(self) -> str:
        several = self._sizes[self._sizes > 1]  # counted here, since `groups` computes the reasons of all members
        return (
            f"DuplicateGroups({len(self.cases)} cases: {len(several)} incidents with {several.sum()} reports, "
            f"{len(self) - len(several)} alone, threshold {self.threshold:.2f})"
        )

    @cached_property
    def groups(self) -> list[DuplicateGroup]:
        """Incidents with several reports, the largest first."""
        order = np.lexsort((-self.scores, self.representatives != np.arange(len(self.cases)), self.labels))
        several = self._sizes[self._sizes > 1]
        return [self._group(number, rows) for number, rows in enumerate(np.split(order, np.cumsum(several))[:-1])]

    def _group(self, number: int, rows: np.ndarray) -> DuplicateGroup:
        """Return a group; its representative is the first of its rows."""
        by_row = np.sort(rows)
        urgency, first = most_urgent(self.features.urgency[by_row])
        return DuplicateGroup(
            number=number,
            representative=int(rows[0]),
            members=tuple(rows.tolist()),
            scores=tuple(self.scores[rows].tolist()),
            reasons=tuple(self.reasons[row] for row in rows.tolist()),
            urgency=urgency,
            most_urgent=None if first is None else int(by_row[first]),
        )

    @cached_property
    def reasons(self) -> list[str]:
        """Why each case is in its incident; ``representative`` for a representative."""
        members = np.flatnonzero(self.representatives != np.arange(len(self.cases)))
        heads, score = self.representatives[members], copy(self._scores).score
        why = member_reasons(self.features, members, heads, score, self.threshold, self._constraints)
        reasons = dict(zip(members.tolist(), why, strict=True))
        return [reasons.get(row, REPRESENTATIVE) for row in range(len(self.cases))]

    @property
    def singletons(self) -> np.ndarray:
        """Row numbers of the single cases."""
        return np.flatnonzero(self._sizes[self.labels] == 1)

    @property
    def readings(self) -> dict[int, float]:
        """The log-odds of the pairs whose texts were read together to verify them, by their ``pair_keys``."""
        return self._scores.readings

    def rethreshold(self, threshold: float) -> DuplicateGroups:
        """Regroup at another threshold without reading the texts again; the result is as if it had been the first.

        Where pairs are verified, a few that only then come up may be read.

        Raises
        ------
        ValueError
            If the threshold is below 0.02 (pairs that score less are not kept) or above 1.
        """
        return DuplicateGroups(self.cases, self._edges, self._given, threshold, self._constraints)

    def explain(self, first: int, second: int) -> PairExplanation:
        """Explain the score of two cases, by row number."""
        for row in (first, second):
            if not 0 <= row < len(self.cases):
                raise IndexError(f"row {row} of {len(self.cases)} cases")
        scores = copy(self._given)
        # What is read to explain is not counted among what was read to group.
        scores.readings, scores.left = self._scores.readings, self._scores.left
        return explained(scores, first, second)

    def to_frame(self) -> pandas.DataFrame:
        """Return a data frame: id, incident_id, incident_size, incident_score, is_representative, reason, text.

        Raises
        ------
        MissingExtraError
            If the extra ``pandas`` is not installed.
        """
        require("pandas", "a table of the groups", "pandas")
        import pandas

        sizes = self._sizes[self.labels]
        return pandas.DataFrame(
            {
                "id": [case.id if case.id is not None else str(row) for row, case in enumerate(self.cases)],
                "incident_id": self.labels,
                "incident_size": sizes,
                "incident_score": self.scores,
                "is_representative": self.representatives == np.arange(len(self.cases)),
                "reason": [why if size > 1 else "alone" for why, size in zip(self.reasons, sizes, strict=True)],
                "text": [case.text for case in self.cases],
            }
        )

    def summary(self) -> dict[str, Any]:
        """Return counts: cases, incidents, those with several reports, reports in them, largest group, pairs read."""
        return {**size_counts(self._sizes.tolist()), "pairs_read": len(self.readings)}


def size_counts(sizes: Sequence[int]) -> dict[str, int]:
    """Return counts by the sizes of incidents: cases, incidents, those with several reports, reports in them, largest.

    Examples
    --------
    >>> size_counts([3, 1, 2])
    {'cases': 6, 'incidents': 3, 'groups': 2, 'grouped_cases': 5, 'largest_group': 3}
    """
    several = [size for size in sizes if size > 1]
    return {
        "cases": sum(sizes),
        "incidents": len(sizes),
        "groups": len(several),
        "grouped_cases": sum(several),
        "largest_group": max(sizes, default=0),
    }


def _numbered(representative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number groups by descending size: return each case's group (n,), and each group's size."""
    sizes = np.bincount(representative, minlength=len(representative))
    representatives = np.flatnonzero(sizes)
    ordered = representatives[np.lexsort((representatives, -sizes[representatives]))]
    number = np.empty(len(representative), np.int64)
    number[ordered] = np.arange(len(ordered))
    return number[representative], sizes[ordered]


def _grouped(
    edges: Edges, scores: CaseScores, threshold: float, constraints: Constraints | None
) -> tuple[np.ndarray, np.ndarray]:
    """Group, comparing cases also with the representatives of their matches, until nothing changes.

    A case has some tens of candidates; in a group of hundreds its representative may not be among them. The group of a
    case depends only on its connected component of matching pairs. ``scores`` are those of related cases, and hold what
    was read afterwards. The result is that of :func:`~tawasul_nlp.duplicates.clustering.star_clustering`.
    """
    conflicts = Conflicts(scores.features, constraints)
    while True:
        matching = edges.above(threshold)
        representative, score = star_clustering(len(scores.features), matching, conflicts)
        apart = representative[matching.first] != representative[matching.second]
        a, b = matching.first[apart], matching.second[apart]
        further = np.concatenate([pair_keys(a, representative[b]), pair_keys(b, representative[a])])
        keys = pair_keys(edges.first, edges.second)
        new = np.setdiff1d(unique_keys(further), keys, assume_unique=True)
        if not len(new):
            return representative, score
        first, second = keyed_pairs(new).T
        order = np.argsort(np.concatenate([keys, new]), kind="stable")
        edges = Edges(
            first=np.concatenate([edges.first, first])[order],
            second=np.concatenate([edges.second, second])[order],
            scores=np.concatenate([edges.scores, scores.score(first, second)])[order],
        )


def member_reasons(
    features: CaseFeatures,
    members: np.ndarray,
    representatives: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
    threshold: float,
    constraints: Constraints | None,
) -> list[str]:
    """Return a short reason why each case is in the group of its representative."""
    reasons = pair_reasons(features, members, representatives)
    if constraints is not None:
        node, head = constraints.node[members], constraints.node[representatives]
        for linked in np.flatnonzero(node == head).tolist():
            reasons[linked] = LINKED
        through = np.flatnonzero((node != head) & ((constraints.size[node] > 1) | (constraints.size[head] > 1)))
        scores = score(members[through], representatives[through])
        for indirect in through[scores < threshold].tolist():
            reasons[indirect] = THROUGH
    for representative in np.flatnonzero(members == representatives).tolist():
        reasons[representative] = REPRESENTATIVE
    return reasons


def pair_reasons(features: CaseFeatures, first: np.ndarray, second: np.ndarray) -> list[str]:
    """Return a short reason why each pair may be one incident."""
    if not len(first):
        return []
    silent = (features.length[first] == 0) | (features.length[second] == 0)
    copies = copied(features, first, second) >= NEAR_COPY
    conflict = conflicting_places(features, first, second)
    same = {
        word: shares(getattr(features, name)[first], getattr(features, name)[second]) > 0
        for name, word in _PLACE_WORDS.items()
    }
    topics = (features.topics[first, 0] == features.topics[second, 0]) & (features.topics[first, 0] != -1)
    reasons = []
    for pair in range(len(first)):
        if silent[pair]:
            reasons.append("no words to compare")
        elif conflict[pair]:
            reasons.append("conflicting place")
        else:
            what = "near-copy" if copies[pair] else "same problem" if topics[pair] else "similar report"
            where = [word for word, shared in same.items() if shared[pair]]
            reasons.append(f"{what}; same {' and '.join(where[:2])}" if where else what)
    return reasons
