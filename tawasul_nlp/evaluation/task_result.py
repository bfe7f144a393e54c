"""What an evaluation found for one task, and on which rows with which model."""

from __future__ import annotations

from dataclasses import dataclass, field

from tawasul_nlp.evaluation.intervals import Estimate
from tawasul_nlp.evaluation.metrics import ConfusedPair, LabelScores, Metrics, ReliabilityBin


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model was measured: its folder's name, and its hash."""

    folder: str
    hash: str


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Which rows were measured.

    Attributes
    ----------
    name : str
        Of the file, or the type of the table in memory.
    sha256 : str or None
        Of the file.
    rows : int
        Rows used.
    unusable : tuple of (int, str)
        Number and reason of each row that was not.
    group_column : str or None
        Rows with one value in it were drawn together in the bootstrap.
    """

    name: str
    sha256: str | None
    rows: int
    unusable: tuple[tuple[int, str], ...]
    group_column: str | None


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """Which rows the baselines were fitted on, and how many of the measured texts are among them."""

    name: str
    rows: int
    texts_in_both: int


@dataclass(frozen=True, slots=True)
class ReviewRate:
    """What one of the model's stored thresholds does on the measured rows.

    Attributes
    ----------
    threshold : float
    coverage : float
        Share of the answers that it accepts without review.
    error : float or None
        Share of wrong answers among these; None if there are none.
    """

    threshold: float
    coverage: float
    error: float | None


@dataclass(frozen=True, slots=True)
class SliceAccuracy:
    """Rows of one slice, and the accuracy on them."""

    n: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """Counts (true, predicted) among the labels that take part in most mistakes."""

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """A baseline on the same rows, and the model's gain over it in points of accuracy (McNemar's p-value)."""

    train_rows: int
    metrics: Metrics
    gain_in_points: Estimate
    p_value: float


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """What was found for one task.

    Attributes
    ----------
    column : str
        That holds the true labels.
    n, unlabelled : int
        Rows with a label, which are measured, and rows without.
    unknown_labels : dict of str to int
        Labels that the model does not have; their rows count as errors.
    metrics : Metrics
    reliability : tuple of ReliabilityBin
    risk_coverage : tuple of (float, float)
        Share of accepted answers, the most confident first, and the error among them.
    review : dict of str to ReviewRate
        For each target error of the model's stored thresholds.
    slices : dict of str to dict of str to SliceAccuracy
        For each slicing (the text's length, and the columns asked for) each value.
    by_label : tuple of LabelScores
        The weakest label first.
    most_confused : tuple of ConfusedPair
    confusion : ConfusionMatrix
    baselines : dict of str to BaselineResult
        Empty without training rows.
    """

    column: str
    n: int
    unlabelled: int
    unknown_labels: dict[str, int]
    metrics: Metrics
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[tuple[float, float], ...]
    review: dict[str, ReviewRate]
    slices: dict[str, dict[str, SliceAccuracy]]
    by_label: tuple[LabelScores, ...]
    most_confused: tuple[ConfusedPair, ...]
    confusion: ConfusionMatrix
    baselines: dict[str, BaselineResult]


@dataclass(frozen=True, slots=True)
class LabelSetMetrics:
    """The figures of one system for one multi-label task, each with its 95% interval.

    Attributes
    ----------
    exact_match : Estimate
        Share of the rows whose set of labels is exactly right.
    micro_precision, micro_recall, micro_f1 : Estimate
        Over all pairs of a row and a label, as scikit-learn's.
    macro_f1 : Estimate
        Mean F1 of the labels that occur among truths and answers.
    ece, aurc, coverage_at_2, coverage_at_5 : Estimate or None
        As those of :class:`~tawasul_nlp.evaluation.metrics.Metrics`, of sets and the probabilities that they are right;
        None for a system without probabilities.
    """

    exact_match: Estimate
    micro_precision: Estimate
    micro_recall: Estimate
    micro_f1: Estimate
    macro_f1: Estimate
    ece: Estimate | None = None
    aurc: Estimate | None = None
    coverage_at_2: Estimate | None = None
    coverage_at_5: Estimate | None = None


@dataclass(frozen=True, slots=True)
class LabelSetBaseline:
    """A baseline on the same rows, and the model's gain over it in points of micro F1."""

    train_rows: int
    metrics: LabelSetMetrics
    gain_in_points: Estimate


@dataclass(frozen=True, slots=True)
class LabelSetEvaluation:
    """What was found for one multi-label task.

    Attributes
    ----------
    column : str
        That holds the true labels.
    n, unlabelled : int
        Rows whose labels are known, which are measured, and other rows.
    unknown_labels : dict of str to int
        Labels that the model does not have, with their rows; the sets of these count as errors.
    labels_a_row : tuple of (float, float)
        True and answered, on average.
    metrics : LabelSetMetrics
    reliability, risk_coverage, review, slices
        As those of :class:`TaskEvaluation`, of sets that are exactly right.
    by_label : tuple of LabelScores
        The weakest label first.
    baselines : dict of str to LabelSetBaseline
        Empty without training rows.
    """

    column: str
    n: int
    unlabelled: int
    unknown_labels: dict[str, int]
    labels_a_row: tuple[float, float]
    metrics: LabelSetMetrics
    reliability: tuple[ReliabilityBin, ...]
    risk_coverage: tuple[tuple[float, float], ...]
    review: dict[str, ReviewRate]
    slices: dict[str, dict[str, SliceAccuracy]]
    by_label: tuple[LabelScores, ...]
    baselines: dict[str, LabelSetBaseline]


@dataclass(frozen=True, slots=True)
class RowHits:
    """Which rows were answered rightly, so that two models can be compared row by row.

    Attributes
    ----------
    keys : tuple of str
        A hash of each row's text and labels.
    hits : dict of str to str
        For each task one character a row: ``1`` right, ``0`` wrong, ``-`` no label. A set of labels is right as a
        whole.
    groups : tuple of int or None
        Rows of one number belong together.
    label_counts : dict of str to tuple of (int, int, int)
        For each multi-label task and each row with labels: those answered rightly, those answered, and those true.
    """

    keys: tuple[str, ...]
    hits: dict[str, str]
    groups: tuple[int, ...] | None = None
    label_counts: dict[str, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)
