"""The result of an evaluation, which can be read, stored as JSON, printed as tables, and shown as a page with plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.evaluation.metrics import TARGETS, Estimate, Metrics
from tawasul_nlp.evaluation.output import p_text, per_cent, signed, to_plain, write_json, write_text
from tawasul_nlp.evaluation.plot_page import Page
from tawasul_nlp.evaluation.plots import confusion_plot, interval_plot, reliability_plot, risk_coverage_plot
from tawasul_nlp.evaluation.task_result import DataFacts, ModelFacts, ReviewRate, RowHits, TaskEvaluation, TrainFacts

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
_LABELS = 15


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
        figures = ", ".join(f"{task} {per_cent(part.metrics.accuracy)}" for task, part in self.tasks.items())
        return f"EvaluationResult({self.model.folder} on {self.data.rows} rows of {self.data.name}: accuracy {figures})"


def _figure(name: str, metrics: Metrics) -> str:
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


def _notes(task: str, part: TaskEvaluation) -> list[str]:
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
    summary = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    summary.add_column("")
    for task in result.tasks:
        summary.add_column(escape(task), justify="right", no_wrap=True)
    for row in _summary_rows(result):
        summary.add_row(*row)
    parts.append(summary)
    for task, part in result.tasks.items():
        if part.baselines:
            table = Table(box=box.SIMPLE_HEAD, title=Text(f"{task}: baselines"), title_justify="left")
            table.add_column("baseline", no_wrap=True)
            for header in ("accuracy", "model's gain, points", ""):
                table.add_column(header, justify="right", no_wrap=True)
            for name, accuracy, _, gain, p_value in _baseline_rows(part):
                table.add_row(name, accuracy, gain, p_value)
            parts.append(table)
        for name, slices in part.slices.items():
            table = Table(escape(name), box=box.SIMPLE_HEAD, title=Text(f"{task} by {name}"), title_justify="left")
            table.add_column("rows", justify="right")
            table.add_column("accuracy", justify="right", no_wrap=True)
            for value, each in slices.items():
                table.add_row(Text(value), f"{each.n:,}", per_cent(each.accuracy))
            parts.append(table)
        parts += [Text(_review_line(task, target, each)) for target, each in part.review.items()]
        pairs = "; ".join(f"{pair.true} read as {pair.predicted} ({pair.n})" for pair in part.most_confused)
        parts += [
            Text(f"{task}, most confused: {pairs or 'nothing'}"),
            *(Text(note) for note in _notes(task, part)),
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
    page.table(["", *result.tasks], _summary_rows(result))
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
        if part.review:
            page.table(
                ["target error of the stored threshold", "threshold", "accepted, %", "error among them, %"],
                [
                    [f"{float(target):.0%}", each.threshold, per_cent(each.coverage), per_cent(each.error)]
                    for target, each in part.review.items()
                ],
            )
        if part.baselines:
            page.table(["baseline", "accuracy", "macro F1", "model's gain, points", ""], _baseline_rows(part))
        for name, slices in part.slices.items():
            rows = {f"{value} ({each.n})": each.accuracy for value, each in slices.items()}
            page.plots(interval_plot(rows, f"{task} by {name}"))
        page.table(
            ["label, the weakest first", "rows", "precision, %", "recall, %", "F1, %"],
            [
                [each.label, each.n, per_cent(each.precision), per_cent(each.recall), per_cent(each.f1)]
                for each in part.by_label[:_LABELS]
            ],
        )
        if part.most_confused:
            page.plots(confusion_plot(np.array(part.confusion.matrix), part.confusion.labels))
            page.table(
                ["true", "answered", "rows"],
                [[pair.true, pair.predicted, pair.n] for pair in part.most_confused],
                numbers_from=2,
            )
    if result.command:
        page.note(f"Made by: {result.command}")
    return page.html()


def _summary_rows(result: EvaluationResult) -> list[list[str]]:
    parts = result.tasks.values()
    return [
        ["rows", *(f"{part.n:,}" for part in parts)],
        *([title, *(_figure(name, part.metrics) for part in parts)] for name, title in FIGURES.items()),
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
