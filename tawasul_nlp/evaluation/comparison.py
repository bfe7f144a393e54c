"""Say whether two models differ by more than chance on the same rows.

Two evaluations are compared row by row: the paired bootstrap interval of the difference in accuracy, and the exact
McNemar test. Evaluations of different data are refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.errors import DifferentDataError
from tawasul_nlp.evaluation.metrics import TaskComparison, difference
from tawasul_nlp.evaluation.output import JsonResult, TextTable, p_text, per_cent, signed
from tawasul_nlp.evaluation.result import EvaluationResult

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class ComparisonResult(JsonResult):
    """What :func:`compare` found: names of the two evaluations, and each task that both have."""

    first: str
    second: str
    tasks: dict[str, TaskComparison]

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        rows, verdicts = [], []
        for task, part in self.tasks.items():
            apart = f"{part.first_only} / {part.second_only}"
            rows.append([task, *map(per_cent, part.accuracy), signed(part.points), apart, p_text(part.p_value)])
            better = "A" if part.points.value > 0 else "B"
            verdicts.append(
                f"{task}: {better} is better, beyond chance."
                if part.significant
                else f"{task}: no difference beyond chance on these {part.n} rows."
            )
        header = ["task", "A", "B", "A - B, points [95%]", "only A / only B", "McNemar"]
        return Group(Text(f"A = {self.first}\nB = {self.second}"), TextTable(header, rows), *map(Text, verdicts))


def compare(
    first: EvaluationResult | str | Path, second: EvaluationResult | str | Path, *, resamples: int = 2000
) -> ComparisonResult:
    """Compare two evaluations of the same rows, first minus second, for each task that both have.

    Parameters
    ----------
    first, second : EvaluationResult, str or Path
        Results, or the JSON files that hold them. The rows may stand in another order.
    resamples : int
        Bootstrap resamples.

    Raises
    ------
    DifferentDataError
        If the rows differ: other texts, other labels, or other tasks.
    ValueError
        If a file is no result of an evaluation, or ``resamples`` is below 1.

    Examples
    --------
    >>> from tawasul_nlp.evaluation import evaluate
    >>> table = {"text": ["المجاري طافحة في مجمع 714", "شكرا لعمال النظافة"], "kind": ["complaint", "praise"]}
    >>> result = evaluate(None, table, label_columns=["kind"], resamples=20)
    >>> compare(result, result).tasks["kind"].significant
    False
    """
    one, other = _Rows.of(first), _Rows.of(second)
    if len(one.keys) != len(other.keys) or not np.array_equal(one.keys, other.keys):
        shared = len(set(one.keys.tolist()) & set(other.keys.tolist()))
        raise DifferentDataError(
            f"{one.name} is about {len(one.keys)} rows and {other.name} about {len(other.keys)}, of which "
            f"{shared} have the same text and labels; evaluate both models on one table with the same label columns"
        )
    tasks = [task for task in one.hits if task in other.hits]
    if not tasks:
        raise DifferentDataError(
            f"the evaluations have no task in common: {', '.join(one.hits)} and {', '.join(other.hits)}"
        )
    return ComparisonResult(one.name, other.name, {task: _compared(task, one, other, resamples) for task in tasks})


def _compared(task: str, one: _Rows, other: _Rows, resamples: int) -> TaskComparison:
    labelled = one.hits[task] != "-"
    if not np.array_equal(labelled, other.hits[task] != "-"):
        raise DifferentDataError(f"{task}: the two evaluations have labels on different rows")
    # Rows that belong together do so whichever of the two evaluations says so.
    groups = next((each.groups for each in (one, other) if each.groups is not None), np.arange(len(one.keys)))
    groups = np.unique(groups[labelled], return_inverse=True)[1]
    hits = [each.hits[task][labelled] == "1" for each in (one, other)]
    return difference(hits[0], hits[1], groups, resamples)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What an evaluation says of each row, ordered by the row keys, so that tables in another order match."""

    name: str
    keys: np.ndarray
    hits: dict[str, np.ndarray]
    groups: np.ndarray | None

    @classmethod
    def of(cls, evaluation: EvaluationResult | str | Path) -> _Rows:
        if isinstance(evaluation, EvaluationResult):
            path, result = Path(evaluation.data.name), evaluation.to_dict()
        else:
            path, result = Path(evaluation), _read(Path(evaluation))
        try:
            return cls._ordered(f"{path.name} (model {result['model']['hash']})", **result["rows"])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error!r}); make it again") from error

    @classmethod
    def _ordered(cls, name: str, keys: list[str], hits: dict[str, str], groups: list[int] | None = None) -> _Rows:
        texts = all(isinstance(value, str) for value in (*keys, *hits.values()))
        if not texts or any(len(column) != len(keys) for column in (*hits.values(), groups or keys)):
            raise ValueError(f"its {len(keys)} rows are not as many keys, answers and groups")
        order = np.argsort(keys, kind="stable")
        return cls(
            name=name,
            keys=np.array(keys)[order],
            hits={task: np.array(list(marks))[order] for task, marks in hits.items()},
            groups=None if groups is None else np.array(groups, np.int64)[order],
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        result: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read as the JSON of an evaluation ({error})") from error
    if not isinstance(result, dict) or not isinstance(result.get("rows"), dict):
        raise ValueError(f"{path} holds no rows; make it with tawasul evaluate ... -o {path.name}")
    return result
