"""What a calibration changed, which can be read, stored as JSON, printed, and added to a model's card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tawasul_nlp.evaluation.output import per_cent, to_plain, write_json
from tawasul_nlp.evaluation.task_evaluation import DataFacts, ModelFacts

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class AcceptedAnswers:
    """Share of the answers that need no review, and of wrong ones among them (None if there are none)."""

    coverage: float
    error: float | None


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """What one calibration does on the rows."""

    # Of a multi-label task, the share of sets that are exactly right.
    accuracy: float
    # Expected calibration error.
    ece: float
    # For each target error that the calibration has thresholds for.
    accepted: dict[str, AcceptedAnswers]


@dataclass(frozen=True, slots=True)
class TaskCalibration:
    """What the calibration changed for one task."""

    # Of the true labels; None where they follow from those of another task.
    column: str | None
    # Rows with a label, and those among them whose label the model lacks: every answer to them is wrong.
    n: int
    unknown_labels: int
    # Of the model as it was, and cross-validated of the new calibration.
    before: CalibrationFigures
    after: CalibrationFigures
    # The least target error that some threshold keeps to.
    least_error: float


@dataclass(frozen=True, slots=True, repr=False)
class CalibrationResult:
    """What :func:`~tawasul_nlp.evaluation.calibrate` changed. ``rich.print`` shows it as a table."""

    CARD_TITLE: ClassVar[str] = "**Calibrated anew**"

    before: ModelFacts
    after: ModelFacts
    data: DataFacts
    tasks: dict[str, TaskCalibration]
    # Of the cross-validation.
    folds: int
    # Target errors that no threshold reaches.
    warnings: tuple[str, ...]
    date: str
    # What to run to calibrate again, if it was a command.
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as what JSON holds: dictionaries, lists, strings, numbers and None."""
        return to_plain(self)

    def to_json(self, path: str | Path) -> None:
        """Write the result as JSON."""
        write_json(self.to_dict(), path)

    def card(self) -> str:
        """Return a section for the model's card, in Markdown."""
        lines = [" | ".join(["", *row, ""]).strip() for row in (self._header(), *self._rows())]
        rule = "|" + " --- |" * len(self._header())
        return "\n\n".join(
            [
                f"{self.CARD_TITLE} on {self.date}, on {self.data.rows} rows of {self.data.name}. Thresholds and "
                f"probabilities are those of this calibration, no longer those above. {self._about()}",
                "\n".join([lines[0], rule, *lines[1:]]),
                *(f"- {sentence}." for sentence in self.warnings),
            ]
        )

    def _about(self) -> str:
        return (
            f"After: each row judged by a calibration on other rows ({self.folds} folds); coverage is the share that "
            "needs no review, error the share of wrong answers in it, both in per cent."
        )

    def _targets(self) -> list[str]:
        return list(next(iter(self.tasks.values())).after.accepted)

    def _header(self) -> list[str]:
        names = [f"{what} at {100 * float(target):g}%" for target in self._targets() for what in ("coverage", "error")]
        return ["task", "rows", "", "accuracy", "ECE", *names]

    def _rows(self) -> Iterator[list[str]]:
        for task, part in self.tasks.items():
            for name, figures in (("before", part.before), ("after", part.after)):
                row = [task, str(part.n), name, per_cent(figures.accuracy), f"{figures.ece:.3f}"]
                for target in self._targets():
                    accepted = figures.accepted.get(target)
                    row += ["-", "-"] if accepted is None else [per_cent(accepted.coverage), per_cent(accepted.error)]
                yield row

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for name in self._header():
            table.add_column(name)
        for row in self._rows():
            table.add_row(*map(Text, row))
        parts: list[RenderableType] = [
            Text(f"Model {self.before.hash} became {self.after.hash} on {self.data.rows} rows of {self.data.name}."),
            table,
            Text(self._about()),
        ]
        for task, part in self.tasks.items():
            if part.unknown_labels:
                parts.append(Text(f"{task}: {part.unknown_labels} rows have labels that the model lacks."))
        parts += [Text(f"{sentence}.") for sentence in self.warnings]
        return Group(*parts)

    def __repr__(self) -> str:
        figures = ", ".join(
            f"{task} ECE {part.before.ece:.3f} to {part.after.ece:.3f}" for task, part in self.tasks.items()
        )
        return f"CalibrationResult({self.data.rows} rows of {self.data.name}: {figures})"
