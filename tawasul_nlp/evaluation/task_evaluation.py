"""What is measured of one task's answers: on which rows with which model, whole, by slice, beside baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from tawasul_nlp.evaluation.label_set_metrics import (
    LabelSetAnswers,
    LabelSetMetrics,
    label_set_metrics,
    label_set_scores,
    micro_f1_difference,
)
from tawasul_nlp.evaluation.metrics import (
    Answers,
    ConfusedPair,
    Estimate,
    LabelScores,
    Metrics,
    ReliabilityBin,
    bootstrap,
    difference,
    interval_of_alike,
    metrics_of,
    most_confused,
    reliability,
    risk_coverage,
    scores_by_label,
    slice_accuracy,
)

LENGTHS = ((0, "1-50"), (51, "51-100"), (101, "101-200"), (201, "201-400"), (401, "above 400"))
MOST_SLICES = 20
CONFUSION_LABELS = 15

M = TypeVar("M", Metrics, LabelSetMetrics)
SystemAnswers = Answers | LabelSetAnswers


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Which model was measured: its folder's name, and its hash."""

    folder: str
    hash: str


@dataclass(frozen=True, slots=True)
class DataFacts:
    """Which rows were measured."""

    # Of the file, or the type of the table in memory.
    name: str
    sha256: str | None
    rows: int
    # Number and reason of each row that was not used.
    unusable: tuple[tuple[int, str], ...]
    # Rows with one value in it were drawn together in the bootstrap.
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

    It accepts a share of the answers, the coverage, without review; the error is the share of wrong ones among these,
    None if there are none.
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
class BaselineResult(Generic[M]):
    """A baseline on the same rows, and the model's gain over it in points of accuracy or micro F1."""

    train_rows: int
    metrics: M
    gain_in_points: Estimate
    # McNemar's; None for a multi-label task.
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class TaskEvaluation(Generic[M]):
    """What was measured of one task; answers to a multi-label task are right where the whole set of labels is."""

    # Of the true labels.
    column: str
    # Rows with a label, which are measured, and rows without.
    n: int
    unlabelled: int
    # Rows of each label that the model does not have; they count as errors.
    unknown_labels: dict[str, int]
    metrics: M
    reliability: tuple[ReliabilityBin, ...]
    # Share of accepted answers, the most confident first, and the error among them.
    risk_coverage: tuple[tuple[float, float], ...]
    # For each target error of the model's stored thresholds.
    review: dict[str, ReviewRate]
    # For each slicing (the text's length, and the columns asked for) each value.
    slices: dict[str, dict[str, SliceAccuracy]]
    # The weakest label first.
    by_label: tuple[LabelScores, ...]
    baselines: dict[str, BaselineResult[M]]
    # Of a task of one label.
    most_confused: tuple[ConfusedPair, ...] = ()
    confusion: ConfusionMatrix | None = None
    # Of a multi-label task: true and answered, on average.
    labels_a_row: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class RowHits:
    """Which rows were answered rightly, so that two models can be compared row by row."""

    # A hash of each row's text and labels.
    keys: tuple[str, ...]
    # For each task one character a row: 1 right, 0 wrong, - no label. A set of labels is right as a whole.
    hits: dict[str, str]
    # Rows of one number belong together.
    groups: tuple[int, ...] | None = None
    # For each multi-label task and each row with labels: those answered rightly, those answered, and those true.
    label_counts: dict[str, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class TaskRows:
    """The rows that have a label for a task, and by what they are measured besides."""

    column: str
    # Rows without a label.
    unlabelled: int
    # Rows of one number are drawn together in the bootstrap.
    groups: np.ndarray
    # By name, a value a row.
    slices: Mapping[str, Sequence[str]]
    resamples: int
    # Of the model, by target error.
    thresholds: Mapping[str, float]
    # From which the baselines learned.
    train_rows: int = 0


def evaluate_task(system: SystemAnswers, rows: TaskRows, baselines: Mapping[str, SystemAnswers]) -> TaskEvaluation[Any]:
    """Return all that is measured of one task's answers."""
    assert system.confidence is not None
    label_sets = system if isinstance(system, LabelSetAnswers) else None
    return TaskEvaluation(
        column=rows.column,
        n=len(system.truth),
        unlabelled=rows.unlabelled,
        unknown_labels=_unknown_labels(system),
        metrics=_metrics(system, rows),
        reliability=reliability(system.confidence, system.hits),
        risk_coverage=risk_coverage(system.confidence, system.hits),
        review=review_rates(system.confidence, system.hits, rows.thresholds),
        slices={
            name: _by_value(system.hits, values, rows.groups, rows.resamples) for name, values in rows.slices.items()
        },
        by_label=label_set_scores(system) if isinstance(system, LabelSetAnswers) else scores_by_label(system),
        baselines={name: _beside_baseline(system, baseline, rows) for name, baseline in baselines.items()},
        most_confused=most_confused(system) if isinstance(system, Answers) else (),
        confusion=confusion(system) if isinstance(system, Answers) else None,
        labels_a_row=None if label_sets is None else (_labels_a_row(system.truth), _labels_a_row(label_sets.answered)),
    )


def _metrics(system: SystemAnswers, rows: TaskRows) -> Metrics | LabelSetMetrics:
    if isinstance(system, LabelSetAnswers):
        return label_set_metrics(system, rows.groups, rows.resamples)
    return metrics_of(system, rows.groups, rows.resamples)


def _beside_baseline(system: SystemAnswers, baseline: SystemAnswers, rows: TaskRows) -> BaselineResult[Any]:
    metrics = _metrics(baseline, rows)
    if isinstance(system, LabelSetAnswers) and isinstance(baseline, LabelSetAnswers):
        gain = micro_f1_difference(system.counts, baseline.counts, rows.groups, rows.resamples)
        return BaselineResult(rows.train_rows, metrics, gain)
    apart = difference(system.hits, baseline.hits, rows.groups, rows.resamples)
    return BaselineResult(rows.train_rows, metrics, apart.points, apart.p_value)


def _unknown_labels(system: SystemAnswers) -> dict[str, int]:
    """Return the rows of each label that the system lacks, the most frequent first."""
    if isinstance(system, LabelSetAnswers):
        counts = system.truth.sum(axis=0)
    else:
        counts = np.bincount(system.truth, minlength=len(system.labels))
    unknown = zip(system.labels[system.n_own_labels :], counts[system.n_own_labels :].tolist(), strict=True)
    return dict(Counter(dict(unknown)).most_common())


def _labels_a_row(sets: np.ndarray) -> float:
    return round(float(sets.sum(1).mean()), 4)


def confusion(system: Answers) -> ConfusionMatrix:
    """Return the confusion matrix among the labels that take part in most mistakes."""
    from sklearn.metrics import confusion_matrix

    size = len(system.labels)
    wrong = ~system.hits
    mistakes = np.bincount(system.truth[wrong], minlength=size) + np.bincount(system.predicted[wrong], minlength=size)
    chosen = np.argsort(-mistakes, kind="stable")[:CONFUSION_LABELS]
    chosen = chosen[mistakes[chosen] > 0]
    if not len(chosen):
        return ConfusionMatrix((), ())
    matrix = confusion_matrix(system.truth, system.predicted, labels=chosen)
    return ConfusionMatrix(tuple(system.labels[index] for index in chosen), tuple(map(tuple, matrix.tolist())))


def length_bucket(text: str) -> str:
    """Return the bucket of a text's length in characters.

    >>> length_bucket("المجاري طافحة"), length_bucket("ا" * 101)
    ('1-50', '101-200')
    """
    return [name for least, name in LENGTHS if len(text) >= least][-1]


def review_rates(confidence: np.ndarray, hits: np.ndarray, thresholds: Mapping[str, float]) -> dict[str, ReviewRate]:
    """Return, for each target error of the model's stored thresholds, what they do on these rows."""
    rates = {}
    for target, threshold in thresholds.items():
        accepted = confidence >= threshold
        error = round(float((~hits[accepted]).mean()), 4) if accepted.any() else None
        rates[target] = ReviewRate(round(float(threshold), 4), round(float(accepted.mean()), 4), error)
    return rates


def _by_value(hits: np.ndarray, values: Sequence[str], groups: np.ndarray, resamples: int) -> dict[str, SliceAccuracy]:
    """Return rows and accuracy of each value; the rarest values are one slice."""
    counts = Counter(values)
    order = [name for _, name in LENGTHS]
    names = [name for name, _ in counts.most_common(MOST_SLICES)]
    if set(counts) <= set(order):
        names = [name for name in order if name in counts]
    names += ["(other)"] if len(counts) > len(names) else []
    code = {name: index for index, name in enumerate(names)}
    codes = np.array([code.get(value, len(names) - 1) for value in values])
    intervals = bootstrap(slice_accuracy(hits, codes, names), groups, resamples)
    slices = {}
    for name, index in code.items():
        right = hits[codes == index]
        alike = right.all() or not right.any()
        accuracy = interval_of_alike(bool(right[0]), groups[codes == index]) if alike else intervals[name]
        slices[name] = SliceAccuracy(len(right), accuracy)
    return slices
