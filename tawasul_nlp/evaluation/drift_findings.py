"""What is known of two periods and of what changed between them, as values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from tawasul_nlp.evaluation.shifts import LabelChange, WordShift
from tawasul_nlp.evaluation.task_result import ModelFacts


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table that was read.

    Attributes
    ----------
    name : str
    unusable : tuple of (int, str)
        Number and reason of each row that was not used.
    date_column : str or None
    undated : int
        Usable rows without a date that can be read.
    """

    name: str
    unusable: tuple[tuple[int, str], ...]
    date_column: str | None = None
    undated: int = 0


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """One of the two periods.

    Attributes
    ----------
    table : str
        Name of the table with its cases.
    rows : int
    first, last : str or None
        The first and the last day of a case, as ISO dates; None without dates.
    """

    table: str
    rows: int
    first: str | None = None
    last: str | None = None

    @property
    def a_day(self) -> float | None:
        """How many cases a day has; None without dates.

        >>> PeriodFacts("cases.csv", 60, "2026-04-01", "2026-04-30").a_day
        2.0
        """
        if self.first is None or self.last is None:
            return None
        return self.rows / ((dt.date.fromisoformat(self.last) - dt.date.fromisoformat(self.first)).days + 1)


@dataclass(frozen=True, slots=True)
class DriftTest:
    """The p-value of one change, adjusted for the number of tests (Holm), and whether it is beyond chance."""

    p: float
    adjusted_p: float
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class LabelMix:
    """How the shares of labels changed: the population stability index, and each label, the largest change first."""

    psi: float
    changes: tuple[LabelChange, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a dimension was not compared: the reason, and the column that would have it."""

    reason: Literal["no_column", "not_told", "no_value"]
    column: str


@dataclass(frozen=True, slots=True)
class ConfidenceShift:
    """The model's mean certainty of a task in the reference and in the new period, and the distance (KS)."""

    reference: float
    new: float
    ks: float


@dataclass(frozen=True, slots=True)
class EmbeddingShift:
    """How far the embeddings moved: squared mean discrepancy, and AUC of a classifier that tells the periods apart."""

    mmd_squared: float
    auc: float


@dataclass(frozen=True, slots=True)
class DriftFindings:
    """What was found about two periods.

    Attributes
    ----------
    reference, new : PeriodFacts
    tables : tuple of TableFacts
        Those that were read, one or two.
    since : str or None
        The first day of the later period, as an ISO date, if it divides one table.
    tests : dict of str to DriftTest
        Of each mix, of ``vocabulary``, and where a model read the texts of each ``TASK confidence`` and ``embedding``.
    mixes : dict of str to LabelMix
        By dimension: tasks, places, urgency, whether cases need review, and other columns that were asked for.
    unknown : dict of str to Unknown
        Why other dimensions were not compared.
    words : tuple of WordShift
        Those that rose most and those that fell most.
    confidence : dict of str to ConfidenceShift
        Of each task; empty if the tables had the answers.
    embedding : EmbeddingShift or None
        None if the tables had the answers.
    model : ModelFacts or None
        What read the texts; None if the tables had the answers.
    levels : dict of str to (str, str)
        What the country calls governorates, blocks and towns, in Arabic and in English.
    rounds : int
        Random dealings of each permutation test.
    date, machine, command : str
        When and where it was measured, and what to run to measure it again, if it was a command.
    """

    reference: PeriodFacts
    new: PeriodFacts
    tables: tuple[TableFacts, ...]
    since: str | None
    tests: dict[str, DriftTest]
    mixes: dict[str, LabelMix]
    unknown: dict[str, Unknown]
    words: tuple[WordShift, ...]
    confidence: dict[str, ConfidenceShift]
    embedding: EmbeddingShift | None
    model: ModelFacts | None
    levels: dict[str, tuple[str, str]]
    rounds: int
    date: str
    machine: str
    command: str = ""

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of what changed beyond chance."""
        return tuple(name for name, test in self.tests.items() if test.beyond_chance)
