"""Choose the cases of a classified table that are worth a look, and write them for people to correct."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.taxonomy import EMERGENCY
from tawasul_nlp.review.labels import SeenLabels
from tawasul_nlp.review.review_sheet import ReviewCase, ReviewSheet, write_sheet
from tawasul_nlp.tables.classified import ClassifiedCase, ClassifiedTable, as_classified
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.formats import output_format
from tawasul_nlp.text import mask_personal_data

_URGENCY = "urgency"
_URGENT = (EMERGENCY, "urgent")
_NOTHING_READ = frozenset({"empty_text", "unreadable_text"})


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """How many cases to choose for each reason.

    Raises
    ------
    ValueError
        If a number is negative, or all are 0.

    Examples
    --------
    >>> ReviewPlan(unsure=300).urgent
    50
    """

    # Of those that the model sends to review, the least sure of the agency first (or else of the topic, or any task): a
    # wrong agency costs most, and where the model is unsure of it, other answers are wrong, too.
    unsure: int = 100
    # Of those with the urgency ``emergency`` or ``urgent``, in this order, the surest first.
    urgent: int = 50
    # Of the others: of each topic in turn (or each label of the first task), beginning with the rarest, the least sure.
    # They show what the model is wrong about without knowing it.
    diverse: int = 50

    def __post_init__(self) -> None:
        counts = (self.unsure, self.urgent, self.diverse)
        if min(counts) < 0 or not any(counts):
            raise ValueError(f"got {counts} unsure, urgent and diverse cases, expected none below 0 and one above it")


_PLAN = ReviewPlan()


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """What was written."""

    output: Path
    # Of the table, those that could be read.
    rows: int
    # Of the review.
    cases: int
    # How many of them are ``urgent``, ``unsure`` and ``diverse``.
    reasons: Mapping[str, int]


def write_review(
    source: str | Path | ClassifiedTable,
    output: str | Path,
    plan: ReviewPlan = _PLAN,
    *,
    mask: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> ReviewReport:
    """Write the cases of a classified table that are worth a look, no two of one incident.

    Each row has the text, the model's answers, and an empty column for the correction of each; in a workbook the labels
    are chosen from lists. A grouped table has two more, for the incident that a case belongs to and for one that its
    incident is to be merged with. :func:`~tawasul_nlp.review.apply_corrections` reads what people wrote.

    Parameters
    ----------
    source : str, Path or ClassifiedTable
        Output of ``tawasul classify`` (and ``group``); opened by ``open_classified`` to name its columns or country.
    output : str or Path
        ``.xlsx`` (extra ``excel``), ``.csv``, ``.jsonl`` or ``.parquet``.
    plan : ReviewPlan
    mask : bool
        Whether personal data in texts and ids are masked. What is applied later goes by the table's own texts.
    overwrite : bool
        Whether to replace a file that is there, which people may have filled in.
    on_progress : callable, optional
        Called with the share of the work done.

    Raises
    ------
    TableError
        If the table cannot be read or has no case to review, or the output cannot be written or is there already.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp.tables.io.write import write_records
    >>> row = {"text": "حفرة في الشارع", "topic": "road_damage", "topic_probability": "0.4", "needs_review": "true"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_records(f"{folder}/classified.csv", dict.fromkeys(row, "string"), [row])
    ...     write_review(f"{folder}/classified.csv", f"{folder}/review.csv").reasons["unsure"]
    1
    """
    table, output = as_classified(source, review=Path(output)), Path(output)
    if output.exists() and not overwrite:
        raise TableError(f"{output} is there already and may be filled in; write to another file, or use --force")
    output_format(output)
    advance = on_progress or (lambda _: None)
    reasons = choose_cases(table, plan, lambda share: advance(share / 2))
    rows, labels, chosen = 0, SeenLabels(table), {}
    for case in table.cases(lambda share: advance(0.5 + share / 2)):
        rows += 1
        labels.add(case)
        if case.row in reasons:
            chosen[case.row] = _review_case(case, reasons[case.row], table.domain if mask else None)
    write_sheet(ReviewSheet(tuple(chosen[row] for row in reasons), labels.names(), table.grouped), output)
    return ReviewReport(output, rows, len(chosen), Counter(reasons.values()))


def _review_case(case: ClassifiedCase, reason: str, masked_by: Domain | None) -> ReviewCase:
    def masked(text: str) -> str:
        return text if masked_by is None else mask_personal_data(text, domain=masked_by).text

    return ReviewCase(replace(case, id=None if case.id is None else masked(case.id)), reason, masked(case.text))


def first_of_groups(order: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the cases of an order, of each group only its first: two of one incident need no look each.

    Parameters
    ----------
    order : ndarray of int, shape (n_ordered,)
        Positions of cases.
    groups : ndarray of int, shape (n_cases,)
        Cases of one number report the same incident.

    Examples
    --------
    >>> first_of_groups(np.array([2, 0, 1, 3]), np.array([7, 8, 7, 9])).tolist()
    [2, 1, 3]
    """
    chosen: np.ndarray = order[np.sort(np.unique(groups[order], return_index=True)[1])]
    return chosen


def choose_cases(
    table: ClassifiedTable, plan: ReviewPlan, on_progress: Callable[[float], None] | None = None
) -> dict[int, str]:
    """Return the rows of the chosen cases with the reason of each: urgent ones first, then unsure, then diverse."""
    candidates = _Candidates(next((task for task in ("topic", *table.tasks) if task in table.tasks), ""))
    for case in table.cases(on_progress):
        if case.text.strip() and not _NOTHING_READ & set(case.reasons):
            candidates.add(case)
    incidents, chosen = np.asarray(candidates.incidents), np.zeros(0, np.int64)
    reasons: dict[int, str] = {}
    for reason, order in candidates.orders():
        free = order[~np.isin(incidents[order], incidents[chosen])]
        picks = first_of_groups(free, incidents)[: getattr(plan, reason)]
        chosen = np.concatenate([chosen, picks])
        reasons |= {candidates.rows[pick]: reason for pick in picks}
    if not reasons:
        raise TableError(f"{table.path} has no case to review; ask for others with --unsure, --urgent or --diverse")
    return reasons


@dataclass(slots=True)
class _Candidates:
    """What the choice needs of the cases that a person could judge: a value each."""

    # The task among whose labels diverse cases take turns.
    spread_by: str
    rows: array[int] = field(default_factory=lambda: array("q"))
    # The probability of the agency, or else of the topic, or else the smallest one of an answer.
    certainties: array[float] = field(default_factory=lambda: array("d"))
    # Urgent ones first, the surest before others; infinite for those that are not urgent.
    urgencies: array[float] = field(default_factory=lambda: array("d"))
    reviews: array[int] = field(default_factory=lambda: array("b"))
    labels: array[int] = field(default_factory=lambda: array("q"))
    incidents: array[int] = field(default_factory=lambda: array("q"))
    _label_codes: dict[str, int] = field(default_factory=dict)
    _incident_codes: dict[str, int] = field(default_factory=dict)

    def add(self, case: ClassifiedCase) -> None:
        """Add a case; one without an incident is an incident of its own."""
        urgency, label = case.labels.get(_URGENCY), case.labels.get(self.spread_by, "")
        rank = _URGENT.index(urgency) - case.probabilities[_URGENCY] if urgency in _URGENT else np.inf
        self.rows.append(case.row)
        decisive = [case.probabilities[task] for task in ("agency", "topic") if task in case.probabilities]
        self.certainties.append(decisive[0] if decisive else min(case.probabilities.values(), default=1.0))
        self.urgencies.append(rank)
        self.reviews.append(case.needs_review)
        self.labels.append(self._label_codes.setdefault(label, len(self._label_codes)))
        incident = -case.row
        if case.incident is not None:
            incident = self._incident_codes.setdefault(case.incident, len(self._incident_codes))
        self.incidents.append(incident)

    def orders(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each reason with the positions of its cases, those that need a look most first."""
        reviews = np.asarray(self.reviews).astype(bool)
        certainties, urgencies = np.asarray(self.certainties), np.asarray(self.urgencies)
        urgent = np.isfinite(urgencies)
        yield "urgent", np.argsort(urgencies, kind="stable")[: urgent.sum()]
        unsure = np.flatnonzero(reviews)
        yield "unsure", unsure[np.argsort(certainties[unsure], kind="stable")]
        others = np.flatnonzero(~reviews & ~urgent)
        yield "diverse", others[self._in_turn(np.asarray(self.labels)[others], certainties[others])]

    def _in_turn(self, labels: np.ndarray, certainties: np.ndarray) -> np.ndarray:
        """Return the order of the least sure of each label, the rarest label first, then of the second of each."""
        names, counts = list(self._label_codes), np.bincount(labels, minlength=len(self._label_codes))
        rarest = sorted(range(len(names)), key=lambda code: (counts[code], names[code]))
        by_label = np.lexsort((certainties, labels))
        turns = np.arange(len(by_label)) - np.searchsorted(labels[by_label], labels[by_label])
        order: np.ndarray = by_label[np.lexsort((np.argsort(rarest)[labels[by_label]], turns))]
        return order
