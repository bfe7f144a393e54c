"""The result of an evaluation, which can be read, stored as JSON, printed as tables, and shown as a page with plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.evaluation.label_set_metrics import LabelSetMetrics
from tawasul_nlp.evaluation.metrics import TARGETS, Estimate, Metrics
from tawasul_nlp.evaluation.output import p_text, per_cent, signed, to_plain, write_json, write_text
from tawasul_nlp.evaluation.plot_page import Page
from tawasul_nlp.evaluation.plots import confusion_plot, interval_plot, reliability_plot, risk_coverage_plot
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    LabelSetEvaluation,
    ModelFacts,
    ReviewRate,
    RowHits,
    SliceAccuracy,
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
_LABELS = 15
_WEAKEST = 5


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationResult:
    """What :func:`~tawasul_nlp.evaluation.evaluate` found. ``rich.print`` shows it as tables.

    Attributes
    ----------
    model : ModelFacts
    data : DataFacts
    tasks : dict of str to TaskEvaluation
    rows : RowHits
    resamples : int
        Of the bootstrap.
    train : TrainFacts or None
    date, machine : str
        When and where it was measured.
    command : str
        What to run to measure it again, if it was a command.
    label_sets : dict of str to LabelSetEvaluation
        Of the multi-label tasks, which are not among ``tasks``.
    """

    model: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskEvaluation]
    rows: RowHits
    resamples: int
    date: str
    machine: str
    train: TrainFacts | None = None
    command: str = ""
    label_sets: dict[str, LabelSetEvaluation] = field(default_factory=dict)

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


def _notes(task: str, part: TaskEvaluation | LabelSetEvaluation) -> list[str]:
    """Return what must be known about the rows of a task."""
    said = []
    if part.unlabelled:
        said.append(f"{task}: {_rows(part.unlabelled)} no label, so not counted.")
    if part.unknown_labels:
        listed = ", ".join(f"{label} ({count})" for label, count in list(part.unknown_labels.items())[:8])
        rows = _rows(sum(part.unknown_labels.values()))
        said.append(f"{task}: {rows} a label that the model does not have, which counts as an error: {listed}.")
    return said


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have"


def _terminal(result: EvaluationResult) -> RenderableType:
    """Return the figures as tables for the terminal."""
    from rich import box
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(_about(result))]

    def summary(tasks: Mapping[str, TaskEvaluation | LabelSetEvaluation]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        for task in tasks:
            table.add_column(escape(task), justify="right", no_wrap=True)
        for row in _summary_rows(tasks):
            table.add_row(*row)
        return table

    def by_slice(task: str, all_slices: Mapping[str, Mapping[str, SliceAccuracy]], figure: str) -> Iterator[Table]:
        for name, slices in all_slices.items():
            table = Table(escape(name), box=box.SIMPLE_HEAD, title=Text(f"{task} by {name}"), title_justify="left")
            table.add_column("rows", justify="right")
            table.add_column(figure, justify="right", no_wrap=True)
            for value, each in slices.items():
                table.add_row(Text(value), f"{each.n:,}", per_cent(each.accuracy))
            yield table

    def baselines(task: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, title=Text(f"{task}: baselines"), title_justify="left")
        table.add_column("baseline", no_wrap=True)
        for header in headers:
            table.add_column(header, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        return table

    if result.tasks:
        parts.append(summary(result.tasks))
    for task, part in result.tasks.items():
        if part.baselines:
            shown = ((name, accuracy, *gain) for name, accuracy, _, *gain in _baseline_rows(part))
            parts.append(baselines(task, ("accuracy", "model's gain, points", ""), shown))
        parts += by_slice(task, part.slices, "accuracy")
        parts += [Text(_review_line(task, target, each)) for target, each in part.review.items()]
        pairs = "; ".join(f"{pair.true} read as {pair.predicted} ({pair.n})" for pair in part.most_confused)
        parts += [
            Text(f"{task}, most confused: {pairs or 'nothing'}"),
            *(Text(note) for note in _notes(task, part)),
            "",
        ]
    if result.label_sets:
        parts.append(summary(result.label_sets))
    for task, found in result.label_sets.items():
        if found.baselines:
            headers = ("exact match", "micro F1", "macro F1", "model's gain in micro F1, points")
            parts.append(baselines(task, headers, _set_baseline_rows(found)))
        parts += by_slice(task, found.slices, "exact match")
        parts += [Text(_review_line(task, target, each)) for target, each in found.review.items()]
        weakest = "; ".join(f"{each.label} ({100 * each.f1:.0f}%, {each.n} rows)" for each in found.by_label[:_WEAKEST])
        parts += [
            Text(f"{task}, weakest labels by F1: {weakest or 'none'}"),
            *(Text(note) for note in _notes(task, found)),
            "",
        ]
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
    if result.tasks:
        page.table(["", *result.tasks], _summary_rows(result.tasks))
    if result.label_sets:
        page.table(["", *result.label_sets], _summary_rows(result.label_sets))
    page.note(
        "Coverage at an error: the largest share of answers, the most confident first, among which at most that share "
        "is wrong; its threshold is chosen on these very rows. What the model's stored thresholds do stands below."
    )
    for task, part in result.tasks.items():
        page.heading(task)
        for note in _notes(task, part):
            page.note(note)
        reached: dict[float, Estimate] = {
            target: getattr(part.metrics, f"coverage_at_{target * 100:.0f}") for target in TARGETS
        }
        assert part.metrics.ece is not None
        page.plots(
            reliability_plot(part.reliability, part.metrics.ece.value),
            risk_coverage_plot(part.risk_coverage, {target: each.value for target, each in reached.items()}),
        )
        _add_review(page, part)
        if part.baselines:
            page.table(["baseline", "accuracy", "macro F1", "model's gain, points", ""], _baseline_rows(part))
        _add_slices_and_labels(page, task, part)
        if part.most_confused:
            page.plots(confusion_plot(np.array(part.confusion.matrix), part.confusion.labels))
            page.table(
                ["true", "answered", "rows"],
                [[pair.true, pair.predicted, pair.n] for pair in part.most_confused],
                numbers_from=2,
            )
    for task, found in result.label_sets.items():
        page.heading(task)
        true, answered = found.labels_a_row
        page.note(f"Several labels a row: {true:.2f} on average, and {answered:.2f} answered.")
        for note in _notes(task, found):
            page.note(note)
        assert found.metrics.ece is not None
        page.plots(reliability_plot(found.reliability, found.metrics.ece.value))
        _add_review(page, found)
        if found.baselines:
            header = ["baseline", "exact match", "micro F1", "macro F1", "model's gain in micro F1, points"]
            page.table(header, _set_baseline_rows(found))
        _add_slices_and_labels(page, task, found)
    if result.command:
        page.note(f"Made by: {result.command}")
    return page.html()


def _add_review(page: Page, part: TaskEvaluation | LabelSetEvaluation) -> None:
    if part.review:
        page.table(
            ["target error of the stored threshold", "threshold", "accepted, %", "error among them, %"],
            [
                [f"{float(target):.0%}", each.threshold, per_cent(each.coverage), per_cent(each.error)]
                for target, each in part.review.items()
            ],
        )


def _add_slices_and_labels(page: Page, task: str, part: TaskEvaluation | LabelSetEvaluation) -> None:
    figure = "exact match, %" if isinstance(part, LabelSetEvaluation) else "accuracy, %"
    for name, slices in part.slices.items():
        rows = {f"{value} ({each.n})": each.accuracy for value, each in slices.items()}
        page.plots(interval_plot(rows, f"{task} by {name}", figure))
    page.table(
        ["label, the weakest first", "rows", "precision, %", "recall, %", "F1, %"],
        [
            [each.label, each.n, per_cent(each.precision), per_cent(each.recall), per_cent(each.f1)]
            for each in part.by_label[:_LABELS]
        ],
    )


def _summary_rows(tasks: Mapping[str, TaskEvaluation | LabelSetEvaluation]) -> list[list[str]]:
    """Return the rows of a summary of tasks, which are all of one kind."""
    parts = list(tasks.values())
    figures = SET_FIGURES if isinstance(parts[0], LabelSetEvaluation) else FIGURES
    return [
        ["rows", *(f"{part.n:,}" for part in parts)],
        *([title, *(_figure(name, part.metrics) for part in parts)] for name, title in figures.items()),
    ]


def _set_baseline_rows(part: LabelSetEvaluation) -> list[list[str]]:
    return [
        [
            name,
            *(per_cent(getattr(each.metrics, figure)) for figure in ("exact_match", "micro_f1", "macro_f1")),
            signed(each.gain_in_points),
        ]
        for name, each in part.baselines.items()
    ]


def _baseline_rows(part: TaskEvaluation) -> list[list[str]]:
    return [
        [
            name,
            per_cent(each.metrics.accuracy),
            per_cent(each.metrics.macro_f1),
            signed(each.gain_in_points),
            p_text(each.p_value),
        ]
        for name, each in part.baselines.items()
    ]


def _review_line(task: str, target: str, each: ReviewRate) -> str:
    return (
        f"{task}, threshold for {float(target):.0%} error: {per_cent(each.coverage)}% accepted, "
        f"{per_cent(each.error)}% of them wrong"
    )
