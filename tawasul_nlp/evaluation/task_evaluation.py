"""What is measured of one task's answers: on which rows with which model, whole, by slice, beside baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.evaluation.metrics import (
    Estimate,
    ReliabilityBin,
    bootstrap,
    difference,
    interval_of_alike,
    reliability,
    slice_accuracy,
)
from tawasul_nlp.evaluation.task_answers import (
    Answers,
    ConfusedPair,
    LabelScores,
    metrics_of,
    most_confused,
    scores_by_label,
)

LENGTHS = ((0, "1-50"), (51, "51-100"), (101, "101-200"), (201, "201-400"), (401, "above 400"))
MOST_SLICES = 20


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
    """Rows of one slice, the accuracy on them, and what the model's stored thresholds do there."""

    n: int
    accuracy: Estimate
    review: dict[str, ReviewRate]


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """A baseline on the same rows, and the model's gain over it in points of accuracy (exact match)."""

    train_rows: int
    # By name, as those of the model.
    metrics: dict[str, Estimate]
    gain_in_points: Estimate
    # McNemar's.
    p_value: float


@dataclass(frozen=True, slots=True)
class TaskEvaluation:
    """What was measured of one task; answers to a multi-label task are right where the whole set of labels is."""

    # Of the true labels.
    column: str
    # Rows with a label, which are measured, and rows without.
    n: int
    unlabelled: int
    # Rows of each label that the model does not have; they count as errors.
    unknown_labels: dict[str, int]
    # By name; see :func:`~tawasul_nlp.evaluation.task_answers.summariser`.
    metrics: dict[str, Estimate]
    reliability: tuple[ReliabilityBin, ...]
    # For each target error of the model's stored thresholds.
    review: dict[str, ReviewRate]
    # For each slicing (the text's length, and the columns asked for) each value.
    slices: dict[str, dict[str, SliceAccuracy]]
    # The weakest label first.
    by_label: tuple[LabelScores, ...]
    baselines: dict[str, BaselineResult]
    # Of a task of one label.
    most_confused: tuple[ConfusedPair, ...] = ()
    # Of a multi-label task: true and answered, on average.
    labels_a_row: tuple[float, float] | None = None

    @property
    def headline(self) -> tuple[str, Estimate]:
        """Name and value of the figure that stands for the others: accuracy, or micro F1 of a multi-label task."""
        single = self.labels_a_row is None
        return ("accuracy", self.metrics["accuracy"]) if single else ("micro F1", self.metrics["micro_f1"])


@dataclass(frozen=True, slots=True)
class RowHits:
    """Which rows were answered rightly, so that two models can be compared row by row."""

    # A hash of each row's text and labels.
    keys: tuple[str, ...]
    # For each task one character a row: 1 right, 0 wrong, - no label. A set of labels is right as a whole.
    hits: dict[str, str]
    # Rows of one number belong together; None if each stands alone.
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TaskSystems:
    """What a model and baselines answer to the rows that have a label for a task."""

    # Of the true labels.
    column: str
    # Which rows (n_rows,) have a label.
    labelled: np.ndarray
    model: Answers
    baselines: Mapping[str, Answers]
    # From which the baselines learned.
    train_rows: int
    # Of the model, by target error.
    thresholds: Mapping[str, float]


def evaluate_task(
    systems: TaskSystems, groups: np.ndarray, slices: Mapping[str, Sequence[str]], resamples: int
) -> TaskEvaluation:
    """Return all that is measured of one task's answers.

    ``groups`` (n_rows,) are drawn together in the bootstrap, and ``slices`` have by name a value for each row.
    """
    system, rows = systems.model, np.flatnonzero(systems.labelled).tolist()
    assert system.confidence is not None
    multi_label = system.top3 is None
    groups = np.unique(groups[rows], return_inverse=True)[1]
    baselines = {}
    for name, baseline in systems.baselines.items():
        apart = difference(system.hits, baseline.hits, groups, resamples)
        baselines[name] = BaselineResult(
            train_rows=systems.train_rows,
            metrics=metrics_of(baseline, groups, resamples),
            gain_in_points=apart.points,
            p_value=apart.p_value,
        )
    rows_by_label = dict(zip(system.labels, system.truth.sum(axis=0).tolist(), strict=True))
    unknown = Counter({label: rows_by_label[label] for label in system.labels[system.n_own_labels :]})
    return TaskEvaluation(
        column=systems.column,
        n=len(rows),
        unlabelled=len(systems.labelled) - len(rows),
        unknown_labels=dict(unknown.most_common()),
        metrics=metrics_of(system, groups, resamples),
        reliability=reliability(system.confidence, system.hits),
        review=review_rates(system.confidence, system.hits, systems.thresholds),
        slices={
            name: _by_value(system, [values[row] for row in rows], groups, systems.thresholds, resamples)
            for name, values in slices.items()
        },
        by_label=scores_by_label(system),
        baselines=baselines,
        most_confused=() if multi_label else most_confused(system),
        labels_a_row=(_labels_a_row(system.truth), _labels_a_row(system.answered)) if multi_label else None,
    )


def _labels_a_row(sets: np.ndarray) -> float:
    return round(float(sets.sum(1).mean()), 4)


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
        coverage, error = coverage_and_error(hits, confidence >= threshold)
        rates[target] = ReviewRate(threshold=round(float(threshold), 4), coverage=coverage, error=error)
    return rates


def coverage_and_error(hits: np.ndarray, accepted: np.ndarray) -> tuple[float, float | None]:
    """Return the share of accepted answers, and of wrong ones among these; None if there are none."""
    error = round(float((~hits[accepted]).mean()), 4) if accepted.any() else None
    return round(float(accepted.mean()), 4), error


def _by_value(
    system: Answers, values: Sequence[str], groups: np.ndarray, thresholds: Mapping[str, float], resamples: int
) -> dict[str, SliceAccuracy]:
    """Measure the rows of each value; the rarest values are one slice."""
    assert system.confidence is not None
    counts = Counter(values)
    order = [name for _, name in LENGTHS]
    names = [name for name, _ in counts.most_common(MOST_SLICES)]
    if set(counts) <= set(order):
        names = [name for name in order if name in counts]
    names += ["(other)"] if len(counts) > len(names) else []
    code = {name: index for index, name in enumerate(names)}
    codes = np.array([code.get(value, len(names) - 1) for value in values])
    intervals = bootstrap(slice_accuracy(system.hits, codes, names), groups, resamples)
    slices = {}
    for name, index in code.items():
        of_value = codes == index
        hits, confidence = system.hits[of_value], system.confidence[of_value]
        alike = hits.all() or not hits.any()
        accuracy = interval_of_alike(bool(hits[0]), groups[of_value]) if alike else intervals[name]
        slices[name] = SliceAccuracy(len(hits), accuracy, review_rates(confidence, hits, thresholds))
    return slices
