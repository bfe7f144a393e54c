"""From a target error to the probability at which an answer is accepted, by what validation texts showed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from tawasul_nlp.model.error_curve import threshold_at
from tawasul_nlp.model.folder import TaskConfig

TargetError = float | Mapping[str, float]
"""One target error for every task, or one for each task that is named."""
DEFAULT_TARGET = 0.05


def targets_of(
    tasks: Mapping[str, TaskConfig], given: TargetError | None, otherwise: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return each task's target error: what is given for it, or else ``otherwise`` (0.05).

    Raises
    ------
    ValueError
        If a target is not between 0 and 1, or is given for a task that the model does not have.
    TypeError
        If a target is no number.
    """
    found = dict(otherwise or dict.fromkeys(tasks, DEFAULT_TARGET))
    if given is None:
        return found
    named = dict(given) if isinstance(given, Mapping) else dict.fromkeys(tasks, given)
    for task, target in named.items():
        if task not in tasks:
            raise ValueError(f"target_error is given for {task!r}, but this model has {', '.join(tasks)}")
        if isinstance(target, bool) or not isinstance(target, int | float | np.floating):
            raise TypeError(f"target_error is a {type(target).__name__}, expected a number, as in 0.05")
        if not 0 < target < 1:
            raise ValueError(f"target_error is {target}, expected above 0 and below 1, as in 0.05")
        found[task] = float(target)
    return found


def thresholds_at(tasks: Mapping[str, TaskConfig], targets: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """Return the least probability at which each label of each task is accepted.

    Raises
    ------
    ValueError
        If a task has thresholds of other targets only.
    """
    return {name: _thresholds(task, targets[name]) for name, task in tasks.items()}


def _thresholds(task: TaskConfig, target: float) -> tuple[float, ...]:
    if task.curve:
        shared = threshold_at(task.curve, target)
        own = {label: threshold_at(curve, target) for label, curve in task.label_curves.items()}
        return tuple(own.get(label, shared) for label in task.labels)
    if not task.thresholds:
        return (0.0,) * len(task.labels)
    for stored, threshold in task.thresholds.items():
        if abs(float(stored) - target) < 1e-9:
            return (threshold,) * len(task.labels)
    raise ValueError(
        f"target_error is {target}, but the model has thresholds for {', '.join(task.thresholds)}; choose one of them, "
        "or calibrate the model on labelled cases, which allows any target (tawasul calibrate)"
    )


def unreached(tasks: Mapping[str, TaskConfig], targets: Mapping[str, float]) -> Iterator[str]:
    """Yield a sentence for each task whose validation texts allow no threshold for its target."""
    for name, target in targets.items():
        curves = [tasks[name].curve, *tasks[name].label_curves.values()]
        if tasks[name].curve and all(math.isinf(threshold_at(curve, target)) for curve in curves):
            best = min(curve[0][1] for curve in curves)
            yield (
                f"no threshold reaches {_percent(target)} for {name}: its best is {_percent(best)}, so all its answers "
                "go to review"
            )


def _percent(share: float) -> str:
    """Write a share in per cent, with the decimals that it has.

    >>> _percent(0.05), _percent(0.0834)
    ('5%', '8.34%')
    """
    return f"{100 * share:.4g}%"
