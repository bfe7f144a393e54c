"""From a target error to the probability at which an answer is accepted, by what validation texts showed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from tawasul_nlp.model.error_curve import threshold_at
from tawasul_nlp.model.folder import TaskConfig

TargetError = float | Mapping[str, float | Mapping[str, float]]
"""One target error for every task, or one for each task that is named; of a task one for each label that is named."""
Target = float | dict[str, float]
"""Of one task: for all labels the same, or for each."""
DEFAULT_TARGET = 0.05


def copied(target: TargetError) -> float | dict[str, Target]:
    """Return a target error as plain dictionaries, which can be pickled and written as JSON."""
    if not isinstance(target, Mapping):
        return target
    return {task: dict(each) if isinstance(each, Mapping) else each for task, each in target.items()}


def targets_of(
    tasks: Mapping[str, TaskConfig], given: TargetError | None, otherwise: Mapping[str, Target] | None = None
) -> dict[str, Target]:
    """Return each task's target error, or those of its labels: what is given, or else ``otherwise`` (0.05).

    Raises
    ------
    ValueError
        If a target is not between 0 and 1, or is given for a task or a label that the model does not have.
    TypeError
        If a target is no number.
    """
    found: dict[str, Target] = dict(otherwise or dict.fromkeys(tasks, DEFAULT_TARGET))
    if given is None:
        return found
    named = dict(given) if isinstance(given, Mapping) else dict.fromkeys(tasks, given)
    for task, target in named.items():
        if task not in tasks:
            raise ValueError(f"target_error is given for {task!r}, but this model has {', '.join(tasks)}")
        if not isinstance(target, Mapping):
            found[task] = _share(target)
            continue
        labels = tasks[task].labels
        if tasks[task].multi_label:
            raise ValueError(
                f"target_error of {task} is given for labels, but its labels are accepted together: give one"
            )
        unknown = [label for label in target if label not in labels]
        if unknown:
            raise ValueError(f"target_error is given for {task} {unknown[0]!r}, which is no label of this model")
        before = found[task]
        others = before if isinstance(before, dict) else dict.fromkeys(labels, before)
        found[task] = {**others, **{label: _share(share) for label, share in target.items()}}
    return found


def _share(target: object) -> float:
    if isinstance(target, bool) or not isinstance(target, int | float | np.floating):
        raise TypeError(f"target_error is a {type(target).__name__}, expected a number, as in 0.05")
    if not 0 < target < 1:
        raise ValueError(f"target_error is {target}, expected above 0 and below 1, as in 0.05")
    return float(target)


def thresholds_at(tasks: Mapping[str, TaskConfig], targets: Mapping[str, Target]) -> dict[str, tuple[float, ...]]:
    """Return the least probability at which each label of each task is accepted.

    Raises
    ------
    ValueError
        If a task has thresholds of other targets only.
    """
    return {name: _thresholds(task, targets[name]) for name, task in tasks.items()}


def _thresholds(task: TaskConfig, target: Target) -> tuple[float, ...]:
    if not isinstance(target, dict):
        return _at_one_target(task, target)
    at = {share: _at_one_target(task, share) for share in set(target.values())}
    return tuple(at[target[label]][number] for number, label in enumerate(task.labels))


def _at_one_target(task: TaskConfig, target: float) -> tuple[float, ...]:
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


def unreached(tasks: Mapping[str, TaskConfig], targets: Mapping[str, Target]) -> Iterator[str]:
    """Yield a sentence for each task, or label with a target, whose validation texts allow no threshold for it."""
    for name, target in targets.items():
        if isinstance(target, dict):
            never = [
                f"{label} ({_percent(target[label])})"
                for label, threshold in zip(tasks[name].labels, _thresholds(tasks[name], target), strict=True)
                if math.isinf(threshold)
            ]
            if never:
                yield f"no threshold of {name} reaches the target of {', '.join(never)}: such answers go to review"
            continue
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
