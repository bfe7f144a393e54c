"""What an evaluation found: values that can be read, stored as JSON, printed, and shown as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp._system import atomic_write
from tawasul_nlp.evaluation.metrics import ConfusedPair, Estimate, LabelScores, Metrics, ReliabilityBin

if TYPE_CHECKING:
    from rich.console import RenderableType


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
class RowHits:
    """Which rows were answered rightly, so that two models can be compared row by row.

    Attributes
    ----------
    keys : tuple of str
        A hash of each row's text and labels.
    hits : dict of str to str
        For each task one character a row: ``1`` right, ``0`` wrong, ``-`` no label.
    groups : tuple of int or None
        Rows of one number belong together.
    """

    keys: tuple[str, ...]
    hits: dict[str, str]
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
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
        from tawasul_nlp.evaluation.show import html

        write_text(html(self), path)

    def __rich__(self) -> RenderableType:
        from tawasul_nlp.evaluation.show import terminal

        return terminal(self)


def to_plain(result: Any) -> dict[str, Any]:
    """Return a dataclass as dictionaries and lists, without what is None at the top."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result)))
    return {name: value for name, value in plain.items() if value is not None}


def write_json(result: Mapping[str, Any], path: str | Path) -> None:
    """Write a result; of what it tells of each row ("rows" by name), every long list on one line."""
    rows = result.get("rows")
    head = {name: value for name, value in result.items() if not (name == "rows" and isinstance(value, dict))}
    text = json.dumps(head, indent=1, ensure_ascii=False)
    if isinstance(rows, dict):
        lines = ",\n".join(f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in rows.items())
        text = text[:-2] + f',\n "rows": {{\n{lines}\n }}\n}}'
    write_text(text + "\n", path)


def write_text(text: str, path: str | Path) -> None:
    """Write a file whole or not at all; its folder is made if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")
