"""The results of an index: assignments, matches, incidents and what happened to them, and the outcome of a check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import overload


@dataclass(frozen=True, slots=True)
class Assignment:
    """The incident that a case is assigned to.

    Attributes
    ----------
    id : str
    group_id : int
        The incident.
    is_new : bool
        Whether the case was just added as the first report of its incident.
    score : float
        Probability that the case and the incident's representative report one incident; 1 for the representative, and
        for a case that a person linked with it.
    reason : str
    """

    id: str
    group_id: int
    is_new: bool
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """What happened to an incident, by a person or by itself.

    Attributes
    ----------
    kind : str
        ``created``, ``joined`` (a new case), ``merged`` (all of ``other``, whose id is gone, came into it), ``moved``
        (a case came from ``other``), ``split`` (it came to be when a case left ``other``), ``closed``, ``reopened`` or
        ``removed`` (a case, by :meth:`~tawasul_nlp.duplicates.DuplicateIndex.remove`).
    incident : int
    case_id : str or None
        The case that it is about; for what happened by itself, the one that was the occasion.
    other : int or None
        The other incident; for ``created``, the closed one that it repeats.
    at : datetime
        When, in UTC.
    by_person : bool
        Whether a person decided it, or it followed from an added or removed case.
    by, note : str or None
        Who decided it, and why, if the caller said so.
    reason : str or None
        Why it happened by itself; of a person's decision, whether it overruled an earlier one.
    """

    kind: str
    incident: int
    case_id: str | None
    other: int | None
    at: datetime
    by_person: bool
    by: str | None
    note: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Additions(Sequence[Assignment]):
    """What came of adding cases: a sequence of their assignments, in their order.

    Attributes
    ----------
    assignments : tuple of Assignment
    changes : tuple of IncidentEvent
        Everything that happened to incidents: which were created, joined, merged and reopened, and which earlier cases
        moved, each with its reason.
    """

    assignments: tuple[Assignment, ...]
    changes: tuple[IncidentEvent, ...]

    def __len__(self) -> int:
        return len(self.assignments)

    def __iter__(self) -> Iterator[Assignment]:
        return iter(self.assignments)

    @overload
    def __getitem__(self, at: int) -> Assignment: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Assignment, ...]: ...

    def __getitem__(self, at: int | slice) -> Assignment | tuple[Assignment, ...]:
        return self.assignments[at]


@dataclass(frozen=True, slots=True)
class Match:
    """An incident that a case may belong to, with its representative.

    ``score`` and ``reason`` are those of its most similar case; ``is_duplicate`` says whether the case would be grouped
    with its cases if it were added, and ``is_closed`` whether it is closed.
    """

    group_id: int
    representative: str
    text: str
    size: int
    score: float
    reason: str
    is_duplicate: bool
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of the index.

    Attributes
    ----------
    group_id : int
        Its id, which no other incident ever gets.
    representative : str
        The id of the case that the others match.
    members : tuple of str
        The ids of its cases, the representative first.
    scores : tuple of float
    reasons : tuple of str
        Score and reason of each member, as of :class:`Assignment`.
    closed_at : datetime or None
        When it was closed, in UTC; None while it is open.
    recurrence_of : int or None
        The closed incident that it repeats.
    first_day, last_day : date or None
        The days of its first and last report; None if no report has a date.
    last_week, week_before : int
        The dated reports of the last seven days, and of the seven before them.
    places : tuple of str
        The Arabic names of the places that its reports name, the most frequent first: blocks, roads, towns, landmarks.
    topic : str or None
        The likeliest topic of its representative; None if the model has not read it, or the topic is the caller's own.
    agency : str or None
        The agency that owns the topic, in the governorate that the most reports name.
    """

    group_id: int
    representative: str
    members: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]
    closed_at: datetime | None
    recurrence_of: int | None
    first_day: date | None
    last_day: date | None
    last_week: int
    week_before: int
    places: tuple[str, ...]
    topic: str | None
    agency: str | None

    @property
    def size(self) -> int:
        """Return the number of its cases."""
        return len(self.members)

    @property
    def state(self) -> str:
        """Return ``open`` or ``closed``."""
        return "open" if self.closed_at is None else "closed"

    @property
    def growth(self) -> int:
        """Return how many more reports came in the last seven days than in the seven before."""
        return self.last_week - self.week_before


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """The outcome of checking an undamaged index: its cases, its incidents, and the bytes of its files."""

    cases: int
    incidents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class IndexRebuild:
    """What became of an index that was made anew.

    Attributes
    ----------
    cases : int
    incidents : int
    ids_kept : int
        Incidents that have the id of one before.
    old : Path
        Where the index from before is.
    """

    cases: int
    incidents: int
    ids_kept: int
    old: Path
