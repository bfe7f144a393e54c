"""From a target error to the probability at which an answer is accepted, by what validation texts showed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from tawasul_nlp.model.folder import ErrorCurve, TaskConfig

TargetError = float | Mapping[str, float]
"""One target error for every task, or one for each task that is named."""
DEFAULT_TARGET = 0.05
_STEP = 1e-4


def decide(task: TaskConfig, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answer each text with the first preferred label that is likely enough, or else with the likeliest label.

    Returns the answers, as indices into ``task.labels``, and their probabilities: both (n_texts,).
    """
    answers = probabilities.argmax(axis=1)
    for label, least in reversed(task.preferred.items()):
        column = task.labels.index(label)
        answers[probabilities[:, column] >= least] = column
    return answers, np.take_along_axis(probabilities, answers[:, None], axis=1)[:, 0]


def error_curve(confidence: np.ndarray, correct: np.ndarray) -> ErrorCurve:
    """Return the thresholds that some target error calls for, each with the error that it keeps to.

    A threshold's error is counted with one extra mistake, so that a lucky run at the top does not decide, and rounded
    up to a hundredth of a per cent. Of the thresholds that keep to an error the least stays, since it accepts most.
    So the curve answers for every target as all texts would, and is short. ``confidence`` is the probability of each
    answer; texts of equal confidence are accepted together or not at all.
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    # A threshold cannot tell equals apart, so it cuts behind the last of them.
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(order) else np.zeros(0, np.int64)
    errors = (np.cumsum(~correct[order])[last] + 1) / (last + 1)
    steps = np.minimum(np.ceil(errors / _STEP - 1e-6), round(1 / _STEP)).astype(np.int64)
    points: list[tuple[float, float]] = []
    least = None
    for row in range(len(last) - 1, -1, -1):
        if least is None or steps[row] < least:
            least = steps[row]
            points.append((float(falling[last[row]]), round(float(least) * _STEP, 4)))
    return tuple(reversed(points))


def threshold_at(curve: ErrorCurve, target: float) -> float:
    """Return the least probability from which on the error is at most ``target``; infinity if no threshold does."""
    return next((threshold for threshold, error in reversed(curve) if error <= target + 1e-9), math.inf)


def targets_of(
    tasks: Mapping[str, TaskConfig], target_error: TargetError | None, otherwise: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return each task's target error: what is asked for, or else ``otherwise`` (0.05).

    Raises ValueError if a target is not between 0 and 1, or is for a task that the model does not have. Raises
    TypeError if a target is no number.
    """
    targets = dict(otherwise or dict.fromkeys(tasks, DEFAULT_TARGET))
    if target_error is None:
        return targets
    by_task = target_error if isinstance(target_error, Mapping) else dict.fromkeys(tasks, target_error)
    for task, target in by_task.items():
        if task not in tasks:
            raise ValueError(f"target_error is given for {task!r}, but this model has {', '.join(tasks)}")
        if isinstance(target, bool) or not isinstance(target, int | float | np.floating):
            raise TypeError(f"target_error is a {type(target).__name__}, expected a number, as in 0.05")
        if not 0 < target < 1:
            raise ValueError(f"target_error is {target}, expected above 0 and below 1, as in 0.05")
        targets[task] = float(target)
    return targets


def thresholds_at(tasks: Mapping[str, TaskConfig], targets: Mapping[str, float]) -> dict[str, float]:
    """Return the least probability at which each task's answers are accepted; 0 for a task without an error curve."""
    return {name: threshold_at(task.curve, targets[name]) if task.curve else 0.0 for name, task in tasks.items()}


def unreached(tasks: Mapping[str, TaskConfig], targets: Mapping[str, float]) -> Iterator[str]:
    """Yield a sentence for each task whose validation texts allow no threshold for its target."""
    for name, target in targets.items():
        curve = tasks[name].curve
        if curve and math.isinf(threshold_at(curve, target)):
            yield (
                f"no threshold reaches {100 * target:.4g}% for {name}: its best is {100 * curve[0][1]:.4g}%, so all "
                "its answers go to review"
            )
