"""Grouping of near-duplicates: one incident, many citizens."""

from __future__ import annotations

from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroup, DuplicateGroups, PairExplanation
from tawasul_nlp.duplicates.index.incidents import (
    Additions,
    Assignment,
    Incident,
    IncidentEvent,
    Match,
)
from tawasul_nlp.duplicates.index.index import DuplicateIndex
from tawasul_nlp.duplicates.index.index_folder import IndexCheck
from tawasul_nlp.duplicates.index.rebuild import IndexRebuild, rebuild_index
from tawasul_nlp.duplicates.recurring import RecurringProblem, RecurringProblems, recurring_problems

__all__ = [
    "Additions",
    "Case",
    "DuplicateGroup",
    "DuplicateGrouper",
    "DuplicateGroups",
    "DuplicateIndex",
    "Incident",
    "IncidentEvent",
    "IndexCheck",
    "IndexRebuild",
    "Match",
    "PairExplanation",
    "Assignment",
    "RecurringProblem",
    "RecurringProblems",
    "rebuild_index",
    "recurring_problems",
]
