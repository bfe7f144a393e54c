"""The results of an index: assignments, matches, incidents, and the outcome of a check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
        Probability that the case and the incident's representative report one incident; 1 for the representative.
    reason : str
    """

    id: str
    group_id: int
    is_new: bool
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """An open incident that a case may belong to, with its representative.

    ``score`` and ``reason`` are those of its most similar case; ``is_duplicate`` says whether the case would be grouped
    with its cases if it were added.
    """

    group_id: int
    representative: str
    text: str
    size: int
    score: float
    reason: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of the index: the ids of its representative and of all its cases, representative first."""

    group_id: int
    representative: str
    members: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]


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
