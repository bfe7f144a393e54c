"""Choose the cases of a classified table that a person should look at."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from tawasul_nlp.domain.taxonomy import EMERGENCY
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable

URGENCY = "urgency"
_URGENT = (EMERGENCY, "urgent")
_NOTHING_READ = frozenset({"empty_text", "unreadable_text"})


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """How many cases to choose for each reason.

    Attributes
    ----------
    unsure : int
        Of those that the model sends to review, the least sure first, and one of each incident.
    urgent : int
        Of those with the urgency ``emergency`` or ``urgent``, in this order, the surest first.
    diverse : int
        Of the others: of each topic in turn (or each label of the first task), beginning with the rarest, the least
        sure. They show what the model is wrong about without knowing it.

    Raises
    ------
    ValueError
        If a number is negative, or all are 0.

    Examples
    --------
    >>> ReviewPlan(unsure=300).urgent
    50
    """

    unsure: int = 100
    urgent: int = 50
    diverse: int = 50

    def __post_init__(self) -> None:
        counts = (self.unsure, self.urgent, self.diverse)
        if min(counts) < 0 or not any(counts):
            raise ValueError(f"got {counts} unsure, urgent and diverse cases, expected none below 0 and one above it")


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    rank: float
    row: int
    incident: str | None


def choose_cases(
    table: ClassifiedTable, plan: ReviewPlan, on_progress: Callable[[float], None] | None = None
) -> dict[int, str]:
    """Return the rows of the chosen cases with the reason of each: urgent ones first, then unsure, then diverse."""
    candidates = _Candidates(plan, next((task for task in ("topic", *table.tasks) if task in table.tasks), ""))
    for case in table.cases(on_progress):
        candidates.add(case)
    return candidates.chosen()


class _Candidates:
    """Collects what is worth a look, no more of each label than could be chosen."""

    def __init__(self, plan: ReviewPlan, spread_by: str) -> None:
        self._plan = plan
        self._spread_by = spread_by
        self._urgent: list[_Candidate] = []
        self._unsure: list[_Candidate] = []
        self._sure: defaultdict[str, list[_Candidate]] = defaultdict(list)
        self._labels: Counter[str] = Counter()

    def add(self, case: ClassifiedCase) -> None:
        """Offer a case."""
        if not case.text.strip() or _NOTHING_READ & set(case.reasons):
            return
        certainty = min(case.probabilities.values(), default=1.0)
        urgency = case.labels.get(URGENCY)
        if urgency in _URGENT:
            rank = _URGENT.index(urgency) - case.probabilities[URGENCY]
            self._urgent.append(_Candidate(rank, case.row, case.incident))
        if case.needs_review:
            self._unsure.append(_Candidate(certainty, case.row, case.incident))
        elif urgency not in _URGENT:
            label = case.labels.get(self._spread_by, "")
            self._labels[label] += 1
            self._keep(self._sure[label], _Candidate(-certainty, -case.row, case.incident))

    def _keep(self, heap: list[_Candidate], one: _Candidate) -> None:
        """Keep the least sure of a label: a heap whose first is the surest."""
        heapq.heappush(heap, one)
        if len(heap) > self._plan.diverse:
            heapq.heappop(heap)

    def chosen(self) -> dict[int, str]:
        """Return the chosen rows with their reasons."""
        taken = _Taken()
        taken.first(sorted(self._urgent), self._plan.urgent, "urgent")
        taken.first(sorted(self._unsure), self._plan.unsure, "unsure")
        taken.first(self._in_turn(), self._plan.diverse, "diverse")
        return taken.rows

    def _in_turn(self) -> Iterator[_Candidate]:
        """Yield the least sure of each label, the rarest label first, then the second of each, and so on."""
        rarest = sorted(self._sure, key=lambda label: (self._labels[label], label))
        waiting = [sorted(self._sure[label]) for label in rarest if self._sure[label]]
        while waiting:
            for own in waiting:
                one = own.pop()
                yield _Candidate(one.rank, -one.row, one.incident)
            waiting = [own for own in waiting if own]


class _Taken:
    """The rows that were chosen so far, of which no two are of one incident."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}
        self._incidents: set[str] = set()

    def first(self, candidates: Iterable[_Candidate], count: int, reason: str) -> None:
        """Take so many of the candidates, in their order."""
        fitting = (one for one in candidates if one.row not in self.rows and one.incident not in self._incidents)
        for one in islice(fitting, count):
            self.rows[one.row] = reason
            if one.incident is not None:
                self._incidents.add(one.incident)
