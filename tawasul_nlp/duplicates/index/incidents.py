"""The results of an index: assignments, matches, incidents, and what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import overload


@dataclass(frozen=True, slots=True)
class Assignment:
    """The incident that a case is assigned to."""

    id: str
    # The incident.
    incident_id: int
    # Whether the case was just added as the first report of its incident.
    is_new: bool
    # Probability that the case and the incident's representative report one incident; 1 for the representative, and
    # for a case that a person linked with it.
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """What happened to an incident, by a person or by itself."""

    # Its number; those of later events are higher.
    id: int
    # `created`, `joined` (a new case), `merged` (all of `other`, whose id is gone, came into it), `moved` (a case
    # came from `other`), `split` (it came to be when a case left `other`), `closed`, `reopened` or `removed` (a case,
    # by :meth:`~tawasul_nlp.duplicates.DuplicateIndex.remove`).
    kind: str
    incident: int
    # The case that it is about; for what happened by itself, the one that was the occasion.
    case_id: str | None
    # The other incident; for `created`, the closed one that it repeats.
    other: int | None
    # When, in UTC.
    at: datetime
    # Whether a person decided it, or it followed from an added or removed case.
    by_person: bool
    # Who decided it, and why, if the caller said so.
    by: str | None
    note: str | None
    # Why it happened by itself; of a person's decision, whether it overruled an earlier one.
    reason: str | None


@dataclass(frozen=True, slots=True)
class Additions(Sequence[Assignment]):
    """What came of adding cases: a sequence of their assignments, in their order."""

    assignments: tuple[Assignment, ...]
    # Everything that happened to incidents: which were created, joined, merged and reopened, and which earlier cases
    # moved, each with its reason.
    changes: tuple[IncidentEvent, ...]

    def __len__(self) -> int:
        return len(self.assignments)

    @overload
    def __getitem__(self, index: int) -> Assignment: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Assignment, ...]: ...

    def __getitem__(self, index: int | slice) -> Assignment | tuple[Assignment, ...]:
        return self.assignments[index]


@dataclass(frozen=True, slots=True)
class Match:
    """An incident that a case may belong to, with its representative.

    ``score`` and ``reason`` are those of its most similar case. ``is_duplicate`` says whether the case would be grouped
    with its cases if it were added, and ``obstacle`` why it would not, however high the score.
    """

    incident_id: int
    representative: str
    text: str = field(repr=False)
    size: int
    score: float
    reason: str
    is_duplicate: bool
    is_closed: bool
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of the index."""

    # Its id, which no other incident ever gets.
    incident_id: int
    # The id of the case that the others match.
    representative: str
    # The ids of its cases, the representative first.
    members: tuple[str, ...]
    scores: tuple[float, ...]
    # Score and reason of each member, as of :class:`Assignment`.
    reasons: tuple[str, ...]
    # When it was closed, in UTC; None while it is open.
    closed_at: datetime | None
    # The closed incident that it repeats.
    recurrence_of: int | None
    # The days of its first and last report; None if no report has a date.
    first_day: date | None
    last_day: date | None
    # The dated reports of the last seven days, and of the seven before them.
    last_week: int
    week_before: int
    # The Arabic names of the places that its reports name, the most frequent first: blocks, roads, towns, landmarks.
    places: tuple[str, ...]
    # The highest urgency of its reports, and the id of the first that has it: its words say why. None if the model does
    # not tell it.
    urgency: str | None
    most_urgent: str | None
    # The likeliest topic of its representative; None if the model has not read it, or the topic is the caller's own.
    topic: str | None
    # The agency that owns the topic, in the governorate that the most reports name.
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
