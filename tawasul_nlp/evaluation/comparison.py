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
from tawasul_nlp.evaluation.task_evaluation import RowHits

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
            name = task if part.micro_f1 is None else f"{task}, exact match"
            apart = f"{part.first_only} / {part.second_only}"
            rows.append([name, *map(per_cent, part.accuracy), signed(part.points), apart, p_text(part.p_value)])
            if part.micro_f1 is not None and part.micro_f1_points is not None:
                micro_f1 = map(per_cent, part.micro_f1)
                rows.append([f"{task}, micro F1", *micro_f1, signed(part.micro_f1_points), "", ""])
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
    counts = None
    if task in one.counts and task in other.counts:
        counts = one.counts[task][labelled], other.counts[task][labelled]
    return difference(hits[0], hits[1], groups, resamples, counts)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What an evaluation says of each row, ordered by the row keys, so that tables in another order match."""

    name: str
    keys: np.ndarray
    hits: dict[str, np.ndarray]
    groups: np.ndarray | None
    counts: dict[str, np.ndarray]

    @classmethod
    def of(cls, evaluation: EvaluationResult | str | Path) -> _Rows:
        if isinstance(evaluation, EvaluationResult):
            return cls._ordered(f"{evaluation.data.name} (model {evaluation.model.hash})", evaluation.rows)
        path = Path(evaluation)
        try:
            result: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} cannot be read as the JSON of an evaluation ({error})") from error
        rows = result.get("rows") if isinstance(result, dict) else None
        if not isinstance(rows, dict) or not {"keys", "hits"} <= set(rows):
            raise ValueError(f"{path} holds no rows; make it with tawasul evaluate ... -o {path.name}")
        model = result.get("model")
        name = f"{path.name} (model {model.get('hash') if isinstance(model, dict) else None})"
        row_hits = RowHits(rows["keys"], rows["hits"], rows.get("groups"), rows.get("label_counts", {}))
        try:
            return cls._ordered(name, row_hits)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged ({error}); make it again") from error

    @classmethod
    def _ordered(cls, name: str, rows: RowHits) -> _Rows:
        keys = np.array(rows.keys)
        columns = [*rows.hits.values(), *([] if rows.groups is None else [rows.groups])]
        texts = keys.dtype.kind == "U" and all(isinstance(marks, str) for marks in rows.hits.values())
        if not texts or any(len(column) != len(keys) for column in columns):
            raise ValueError(f"its {len(keys)} rows are not as many keys, answers and groups")
        order = np.argsort(keys, kind="stable")
        hits = {task: np.array(list(marks))[order] for task, marks in rows.hits.items()}
        groups = None if rows.groups is None else np.array(rows.groups, np.int64)[order]
        counts = {}
        for task, of_labelled in rows.label_counts.items():
            # Of rows without labels there are none.
            of_rows = np.zeros((len(keys), 3), np.int64)
            of_rows[np.array(list(rows.hits[task])) != "-"] = np.array(of_labelled, np.int64).reshape(-1, 3)
            counts[task] = of_rows[order]
        return cls(name, keys[order], hits, groups, counts)
