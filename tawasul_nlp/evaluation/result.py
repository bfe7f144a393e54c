"""The result of an evaluation, which can be read, stored as JSON, printed as tables, and shown as a page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.evaluation.label_set_metrics import LabelSetMetrics
from tawasul_nlp.evaluation.metrics import TARGETS, Estimate, Metrics
from tawasul_nlp.evaluation.output import p_text, per_cent, signed, terminal_table, to_plain, write_json, write_text
from tawasul_nlp.evaluation.plots import Page, confusion_plot, reliability_plot, risk_coverage_plot
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    ModelFacts,
    RowHits,
    TaskEvaluation,
    TrainFacts,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "top3": "in top 3",
    "ece": "ECE",
    "coverage_at_2": "coverage at 2% error",
    "coverage_at_5": "coverage at 5% error",
}
SET_FIGURES = {
    "exact_match": "exact match",
    "micro_f1": "micro F1",
    "micro_precision": "micro precision",
    "micro_recall": "micro recall",
    "macro_f1": "macro F1",
    "ece": "ECE",
    "coverage_at_2": "coverage at 2% error",
    "coverage_at_5": "coverage at 5% error",
}
# Labels and confusions that a table lists.
_ON_PAGE, _IN_TERMINAL = 15, 5

Evaluation = TaskEvaluation[Metrics] | TaskEvaluation[LabelSetMetrics]


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationResult:
    """What :func:`~tawasul_nlp.evaluation.evaluate` found. ``rich.print`` shows it as tables."""

    model: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskEvaluation[Metrics]]
    rows: RowHits
    # Of the bootstrap.
    resamples: int
    date: str
    machine: str
    train: TrainFacts | None = None
    # What to run to measure it again, if it was a command.
    command: str = ""
    # Of the multi-label tasks, which are not among the others.
    label_sets: dict[str, TaskEvaluation[LabelSetMetrics]] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Evaluation]:
        """Every task, those of several labels last."""
        return {**self.tasks, **self.label_sets}

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds: dictionaries, lists, strings, numbers and None."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON; :func:`~tawasul_nlp.evaluation.compare` reads such files."""
        write_json(self.to_dict(), path)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained page with plots, which needs no network.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        """
        write_text(_html(self), path)

    def __rich__(self) -> RenderableType:
        return _terminal(self)

    def __repr__(self) -> str:
        figures = [f"accuracy {task} {per_cent(part.metrics.accuracy)}" for task, part in self.tasks.items()]
        figures += [f"micro F1 {task} {per_cent(part.metrics.micro_f1)}" for task, part in self.label_sets.items()]
        rows = f"{self.data.rows} rows of {self.data.name}"
        return f"EvaluationResult({self.model.folder} on {rows}: {', '.join(figures)})"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of which the first column names what the others count."""

    title: str
    header: list[str]
    rows: list[list[str]]


def _figure(name: str, metrics: Metrics | LabelSetMetrics) -> str:
    value: Estimate | None = getattr(metrics, name)
    if name == "ece" and value is not None:
        return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"
    return per_cent(value)


def _about(result: EvaluationResult) -> str:
    """Say in one line what was measured with what."""
    data = result.data
    unit = f"by {data.group_column}" if data.group_column else "by row"
    return (
        f"{result.date}, {result.machine}. Model {result.model.folder} ({result.model.hash}) on {data.name}: "
        f"{data.rows} rows used, {len(data.unusable)} not usable. "
        f"Per cent, with bootstrap 95% intervals ({result.resamples} resamples {unit})."
    )


def _notes(task: str, part: Evaluation) -> Iterator[str]:
    """Yield what must be known about the rows of a task."""
    if part.labels_a_row is not None:
        true, answered = part.labels_a_row
        yield f"{task}: several labels a row, {true:.2f} on average, and {answered:.2f} answered."
    if part.unlabelled:
        yield f"{task}: {_rows(part.unlabelled)} no label, so not counted."
    if part.unknown_labels:
        listed = ", ".join(f"{label} ({count})" for label, count in list(part.unknown_labels.items())[:8])
        rows = _rows(sum(part.unknown_labels.values()))
        yield f"{task}: {rows} a label that the model does not have, which counts as an error: {listed}."


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"


def _summaries(result: EvaluationResult) -> list[_Table]:
    kinds: tuple[tuple[Mapping[str, Evaluation], Mapping[str, str]], ...] = (
        (result.tasks, FIGURES),
        (result.label_sets, SET_FIGURES),
    )
    summaries = []
    for tasks, figures in kinds:
        rows = [["rows", *(f"{part.n:,}" for part in tasks.values())]]
        rows += [[title, *(_figure(name, part.metrics) for part in tasks.values())] for name, title in figures.items()]
        if tasks:
            summaries.append(_Table("", ["", *tasks], rows))
    return summaries


def _tables(task: str, part: Evaluation, most: int) -> Iterator[_Table]:
    """Yield what was measured of a task besides its summary; of labels and confusions the worst ones."""
    if part.baselines:
        yield _baselines(task, part)
    figure = "accuracy" if part.labels_a_row is None else "exact match"
    for name, values in part.slices.items():
        rows = [[value, f"{each.n:,}", per_cent(each.accuracy)] for value, each in values.items()]
        yield _Table(f"{task} by {name}", [name, "rows", figure], rows)
    if part.review:
        review = [
            [f"{float(target):.0%}", f"{each.threshold}", per_cent(each.coverage), per_cent(each.error)]
            for target, each in part.review.items()
        ]
        yield _Table(
            f"{task}: stored thresholds", ["target error", "threshold", "accepted", "wrong among them"], review
        )
    labels = [
        [each.label, f"{each.n:,}", per_cent(each.precision), per_cent(each.recall), per_cent(each.f1)]
        for each in part.by_label[:most]
    ]
    yield _Table(f"{task}: weakest labels", ["label", "rows", "precision", "recall", "F1"], labels)
    if part.most_confused:
        pairs = [[f"{pair.true} read as {pair.predicted}", f"{pair.n:,}"] for pair in part.most_confused[:most]]
        yield _Table(f"{task}: most confused", ["", "rows"], pairs)


def _baselines(task: str, part: Evaluation) -> _Table:
    figures: tuple[str, ...] = ("accuracy", "macro_f1")
    gain = "model's gain, points"
    if part.labels_a_row is not None:
        figures, gain = ("exact_match", "micro_f1", "macro_f1"), "model's gain in micro F1, points"
    titles = [(SET_FIGURES | FIGURES)[name] for name in figures]
    rows = [
        [
            name,
            *(per_cent(getattr(each.metrics, figure)) for figure in figures),
            signed(each.gain_in_points) + ("" if each.p_value is None else f", {p_text(each.p_value)}"),
        ]
        for name, each in part.baselines.items()
    ]
    return _Table(f"{task}: baselines", ["baseline", *titles, gain], rows)


def _terminal(result: EvaluationResult) -> RenderableType:
    """Return the figures as tables for the terminal."""
    from rich.console import Group
    from rich.text import Text

    def drawn(table: _Table) -> RenderableType:
        return terminal_table(table.header, table.rows, table.title)

    parts: list[RenderableType] = [Text(_about(result)), *map(drawn, _summaries(result))]
    for task, part in result.parts.items():
        parts += map(drawn, _tables(task, part, _IN_TERMINAL))
        parts += [*map(Text, _notes(task, part)), ""]
    return Group(*parts)


def _html(result: EvaluationResult) -> str:
    """Return the self-contained page."""
    page = Page(f"Evaluation of {result.model.folder} on {result.data.name}", _about(result))
    if result.train is not None:
        both = result.train.texts_in_both
        page.note(
            f"Baselines were fitted on {result.train.name} ({result.train.rows} rows). {both} of the evaluated texts "
            f"are in it as well{': figures of whatever learned from it flatter.' if both else '.'}"
        )
    for table in _summaries(result):
        page.table(table.header, table.rows)
    page.note(
        "Coverage at an error: the largest share of answers, the most confident first, among which at most that share "
        "is wrong; its threshold is chosen on these very rows. What the model's stored thresholds do stands below."
    )
    for task, part in result.parts.items():
        page.heading(task)
        for note in _notes(task, part):
            page.note(note)
        _add_plots(page, part)
        for table in _tables(task, part, _ON_PAGE):
            page.note(table.title)
            page.table(table.header, table.rows)
    if result.command:
        page.note(f"Made by: {result.command}")
    return page.html()


def _add_plots(page: Page, part: Evaluation) -> None:
    assert part.metrics.ece is not None
    curves = [reliability_plot(part.reliability, part.metrics.ece.value)]
    if part.confusion is not None:
        reached = {target: getattr(part.metrics, f"coverage_at_{target * 100:.0f}").value for target in TARGETS}
        curves.append(risk_coverage_plot(part.risk_coverage, reached))
        if part.confusion.labels:
            curves.append(confusion_plot(np.array(part.confusion.matrix), part.confusion.labels))
    page.plots(*curves)
