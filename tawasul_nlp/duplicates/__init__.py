"""Grouping of near-duplicates: one incident, many citizens."""

from __future__ import annotations

from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups, PairExplanation
from tawasul_nlp.duplicates.index.incidents import Additions, Assignment, Incident, IncidentEvent, Match
from tawasul_nlp.duplicates.index.index import DuplicateIndex
from tawasul_nlp.duplicates.index.index_folder import IndexCheck
from tawasul_nlp.duplicates.index.rebuild import IndexRebuild, rebuild_index
from tawasul_nlp.duplicates.recurring import RecurringProblems, recurring_problems

__all__ = [
    "Additions",
    "Assignment",
    "Case",
    "DuplicateGrouper",
    "DuplicateGroups",
    "DuplicateIndex",
    "Incident",
    "IncidentEvent",
    "IndexCheck",
    "IndexRebuild",
    "Match",
    "PairExplanation",
    "RecurringProblems",
    "rebuild_index",
    "recurring_problems",
]
