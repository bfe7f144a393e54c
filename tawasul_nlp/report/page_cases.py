"""Which cases the page holds with their texts: all of a small table, and of a larger one those that matter most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.duplicates.recurring import RecurringProblem
from tawasul_nlp.report.tally import UNKNOWN, Tally

# A page of so many texts opens at once.
MOST_CASES = 20_000
# Of a larger table: so many of the newest, of the urgent, and of the least certain cases for review; and so many
# reports of each of the largest incidents. Together they are at most MOST_CASES.
OF_A_KIND = 4_500
INCIDENTS = 400
REPORTS_OF_AN_INCIDENT = 12
CASES_OF_A_PROBLEM = 6
URGENT = ("emergency", "urgent")


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The rows whose texts the page holds, and the incidents that it lists.

    Attributes
    ----------
    rows : ndarray of bool, shape (rows,)
    incidents : ndarray of int
        Those of several reports, the largest first.
    """

    rows: np.ndarray
    incidents: np.ndarray


def choose_held(tally: Tally, problems: Iterable[RecurringProblem]) -> Held:
    """Return what the page of a table holds; ``problems`` are those that it lists."""
    sizes = tally.incident_sizes
    repeated = np.flatnonzero(sizes > 1)
    incidents = repeated[np.argsort(-sizes[repeated], kind="stable")]
    if tally.rows <= MOST_CASES:
        return Held(np.ones(tally.rows, bool), incidents)
    incidents = incidents[:INCIDENTS]
    rows = np.zeros(tally.rows, bool)
    for chosen in (_newest(tally), _urgent(tally), _unsure(tally), _reports(tally, incidents)):
        rows[chosen] = True
    for problem in problems:
        rows[list(problem.incidents[:CASES_OF_A_PROBLEM])] = True
    return Held(rows, incidents)


def _newest(tally: Tally) -> np.ndarray:
    days = np.asarray(tally.days)
    order: np.ndarray = np.argsort(-days, kind="stable")[:OF_A_KIND]
    return order


def _urgent(tally: Tally) -> np.ndarray:
    """Return the rows of emergencies and then of urgent cases, the newest of each first."""
    urgency, days = np.asarray(tally.values["urgency"]), np.asarray(tally.days)
    codes = {name: code for code, name in enumerate(tally.codes["urgency"].names)}
    found = [np.flatnonzero(urgency == codes[name]) for name in URGENT if name in codes]
    rows = [one[np.argsort(-days[one], kind="stable")] for one in found]
    return np.concatenate([*rows, np.zeros(0, int)])[:OF_A_KIND]


def _unsure(tally: Tally) -> np.ndarray:
    rows = np.flatnonzero(np.asarray(tally.reviews))
    order = np.argsort(np.asarray(tally.certainties)[rows], kind="stable")
    unsure: np.ndarray = rows[order][:OF_A_KIND]
    return unsure


def _reports(tally: Tally, incidents: np.ndarray) -> np.ndarray:
    """Return the first reports of each incident."""
    of = np.asarray(tally.incidents)
    rows = np.flatnonzero(np.isin(of, incidents))
    rows = rows[np.argsort(of[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(of[rows], prepend=UNKNOWN))
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    reports: np.ndarray = rows[rank < REPORTS_OF_AN_INCIDENT]
    return reports
