"""The result of an evaluation, which can be read, stored as JSON, and shown as tables in a terminal or on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tawasul_nlp.evaluation.metrics import Estimate
from tawasul_nlp.evaluation.output import (
    JsonResult,
    TextTable,
    p_text,
    per_cent,
    rendered,
    signed,
    write_text,
)
from tawasul_nlp.evaluation.task_evaluation import (
    DataFacts,
    ModelFacts,
    RowHits,
    TaskEvaluation,
    TrainFacts,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

# Of tasks of one label, of multi-label tasks, or of both.
FIGURES = {
    "accuracy": "accuracy",
    "exact_match": "exact match",
    "micro_f1": "micro F1",
    "micro_precision": "micro precision",
    "micro_recall": "micro recall",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "top3": "in top 3",
    "ece": "ECE",
    "coverage_at_2": "coverage at 2% error",
    "coverage_at_5": "coverage at 5% error",
}
# Labels and confusions that a table lists.
_ON_PAGE, _IN_TERMINAL = 15, 5


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationResult(JsonResult):
    """What :func:`~tawasul_nlp.evaluation.evaluate` found. ``rich.print`` shows it as tables."""

    model: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskEvaluation]
    rows: RowHits
    # Of the bootstrap.
    resamples: int
    date: str
    machine: str
    train: TrainFacts | None = None
    # What to run to measure it again, if it was a command.
    command: str = ""

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained page, which needs no network."""
        write_text(_html(self), path)

    def __rich__(self) -> RenderableType:
        return _terminal(self)

    def __repr__(self) -> str:
        headlines = ((task, *part.headline) for task, part in self.tasks.items())
        figures = [f"{name} {task} {per_cent(value)}" for task, name, value in headlines]
        rows = f"{self.data.rows} rows of {self.data.name}"
        return f"EvaluationResult({self.model.folder} on {rows}: {', '.join(figures)})"


def _figure(name: str, metrics: Mapping[str, Estimate]) -> str:
    if name == "ece" and name in metrics:
        return "{:.3f} [{:.3f}, {:.3f}]".format(*metrics[name])
    return per_cent(metrics.get(name))


def _about(result: EvaluationResult) -> str:
    """Say in one line what was measured with what."""
    data = result.data
    unit = f"by {data.group_column}" if data.group_column else "by row"
    return (
        f"{result.date}, {result.machine}. Model {result.model.folder} ({result.model.hash}) on {data.name}: "
        f"{data.rows} rows used, {len(data.unusable)} not usable. "
        f"Per cent, with bootstrap 95% intervals ({result.resamples} resamples {unit})."
    )


def _notes(task: str, part: TaskEvaluation) -> Iterator[str]:
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


def _summary(result: EvaluationResult) -> TextTable:
    tasks = result.tasks.values()
    rows = [["rows", *(f"{part.n:,}" for part in tasks)]]
    for name, title in FIGURES.items():
        if any(name in part.metrics for part in tasks):
            rows.append([title, *(_figure(name, part.metrics) for part in tasks)])
    return TextTable(["", *result.tasks], rows)


def _tables(task: str, part: TaskEvaluation, most: int) -> Iterator[TextTable]:
    """Yield what was measured of a task besides its summary; of labels and confusions the worst ones."""
    if part.baselines:
        yield _baselines(task, part)
    figure = "accuracy" if part.labels_a_row is None else "exact match"
    for name, values in part.slices.items():
        accepted = ["accepted at 5%", "wrong among them"] if part.review else []
        rows = []
        for value, each in values.items():
            rate = each.review.get("0.05")
            shares = [] if rate is None else [rate.coverage, rate.error]
            rows.append([value, f"{each.n:,}", per_cent(each.accuracy), *map(per_cent, shares)])
        yield TextTable([name, "rows", figure, *accepted], rows, f"{task} by {name}")
    if part.review:
        review = [
            [f"{float(target):.0%}", f"{each.threshold}", per_cent(each.coverage), per_cent(each.error)]
            for target, each in part.review.items()
        ]
        header = ["target error", "threshold", "accepted", "wrong among them"]
        yield TextTable(header, review, f"{task}: stored thresholds")
    labels = [
        [each.label, f"{each.n:,}", per_cent(each.precision), per_cent(each.recall), per_cent(each.f1)]
        for each in part.by_label[:most]
    ]
    yield TextTable(["label", "rows", "precision", "recall", "F1"], labels, f"{task}: weakest labels")
    if part.most_confused:
        pairs = [[f"{pair.true} read as {pair.predicted}", f"{pair.n:,}"] for pair in part.most_confused[:most]]
        yield TextTable(["", "rows"], pairs, f"{task}: most confused")


def _baselines(task: str, part: TaskEvaluation) -> TextTable:
    figures = ("accuracy", "macro_f1") if part.labels_a_row is None else ("exact_match", "micro_f1", "macro_f1")
    rows = [
        [
            name,
            *(per_cent(each.metrics[figure]) for figure in figures),
            f"{signed(each.gain_in_points)}, {p_text(each.p_value)}",
        ]
        for name, each in part.baselines.items()
    ]
    header = ["baseline", *(FIGURES[name] for name in figures), "model's gain, points"]
    return TextTable(header, rows, f"{task}: baselines")


def _reliability(task: str, part: TaskEvaluation) -> TextTable:
    rows = [
        [f"from {per_cent(each.start)}", f"{each.n:,}", per_cent(each.confidence), per_cent(each.accuracy)]
        for each in part.reliability
    ]
    return TextTable(["confidence", "answers", "mean confidence", "right"], rows, f"{task}: reliability")


def _terminal(result: EvaluationResult) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_about(result)), _summary(result)]
    for task, part in result.tasks.items():
        parts += [*_tables(task, part, _IN_TERMINAL), *map(Text, _notes(task, part)), ""]
    return Group(*parts)


def markdown(result: EvaluationResult) -> str:
    """Return the figures as tables for a page in Markdown."""
    parts = [_summary(result).markdown()]
    for task, part in result.tasks.items():
        parts += [f"*{table.title}*\n\n{table.markdown()}" for table in _tables(task, part, _IN_TERMINAL)]
        parts += _notes(task, part)
    return "\n\n".join(parts)


def _html(result: EvaluationResult) -> str:
    return rendered(
        Path(__file__).with_name("evaluation.html"),
        title=f"Evaluation of {result.model.folder} on {result.data.name}",
        about=_about(result),
        result=result,
        summary=_summary(result),
        tasks=[
            {
                "name": task,
                "notes": _notes(task, part),
                "tables": (*_tables(task, part, _ON_PAGE), _reliability(task, part)),
            }
            for task, part in result.tasks.items()
        ],
    )
