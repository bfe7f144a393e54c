"""How scores become the calibrated probabilities of each task, perhaps under other class frequencies.

By Bayes' rule a label's probability is multiplied by the ratio of its new prior to that of the texts of the
calibration, and all are normalised again: Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to
New a Priori Probabilities" (Neural Computation 14, 2002). It is right where only the frequencies differ, and not the
texts of each label.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from difflib import get_close_matches

import numpy as np

from tawasul_nlp.domain.taxonomy import UnknownIdError
from tawasul_nlp.model.folder import TaskConfig

_LEAST = 2


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return the logarithm of the softmax over the last axis, as float64."""
    shifted = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def parent_scores(parent_log_probabilities: np.ndarray, parent_labels: tuple[int, ...], n_labels: int) -> np.ndarray:
    """Sum a parent task's probabilities over the labels that belong together: (texts, labels), logarithms."""
    summed = np.zeros((len(parent_log_probabilities), n_labels))
    np.add.at(summed.T, np.asarray(parent_labels), np.exp(parent_log_probabilities).T)
    return np.log(summed + 1e-12)


def log_sigmoid(scores: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sigmoid, as float64."""
    result: np.ndarray = -np.logaddexp(0.0, -scores.astype(np.float64))
    return result


def combine(tasks: Mapping[str, TaskConfig], scorers: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Weigh the scorers' scores of each task, apply its temperature and power, and normalise.

    Tasks are given parents first; the scorers ``encoder`` and ``ngram`` with their scores (texts, labels) of each task.
    Returns log-probabilities (texts, labels) of each, float64. The labels of a multi-label task are not normalised:
    each has the sigmoid of its score.
    """
    results: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        total = np.zeros(())
        for scorer, weight in task.weights.items():
            if scorer == "parent" and task.parent is not None:
                scores = parent_scores(results[task.parent], task.parent_labels, len(task.labels))
            else:
                scores = scorers[scorer][name].astype(np.float64)
            total = total + weight * scores
        if task.multi_label:
            results[name] = log_sigmoid(total / task.temperature + np.asarray(task.offsets))
            continue
        log_probabilities = log_softmax(total / task.temperature)
        if task.power != 1.0:
            log_probabilities = log_softmax(-np.power(-log_probabilities, task.power))
        results[name] = log_probabilities
    return results


def log_ratios(name: str, task: TaskConfig, frequencies: Mapping[str, float]) -> np.ndarray:
    """Return the logarithm of each label's new prior over its old one: (n_labels,).

    Labels that are not named keep their old priors, and the named ones share theirs by the frequencies.
    Raises ValueError, or for an unknown label UnknownIdError, if they cannot be used.
    """
    if task.multi_label:
        raise ValueError(f"priors are given for {name}, of which a text may have several labels; expected another task")
    if not task.prior:
        raise ValueError(
            f"the model does not hold the label frequencies of {name} that its probabilities stand for; calibrate it "
            "on labelled cases, which stores them (tawasul calibrate)"
        )
    if len(frequencies) < _LEAST:
        raise ValueError(
            f"priors of {name} name {len(frequencies)} label(s), expected at least {_LEAST}: a count says nothing "
            "unless there is another one to compare it with"
        )
    for label, count in frequencies.items():
        if label not in task.labels:
            close = get_close_matches(str(label), task.labels, n=3, cutoff=0.5) or task.labels[:3]
            raise UnknownIdError(
                f"priors name {label!r}, which is no label of {name}; did you mean {' or '.join(map(repr, close))}?"
            )
        if isinstance(count, bool) or not isinstance(count, numbers.Real) or not 0 < float(count) < math.inf:
            raise ValueError(
                f"the prior of {name} {label!r} is {count!r}, expected a number above 0: at 0 no text could get the "
                "label, whatever it says; give a small number, or leave the label out, so that it keeps its share"
            )
    old = np.array(task.prior)
    new = old.copy()
    named = [task.labels.index(label) for label in frequencies]
    counts = np.array(list(map(float, frequencies.values())))
    new[named] = old[named].sum() * counts / counts.sum()
    ratios: np.ndarray = np.log(new) - np.log(old)
    return ratios


def deciding_task(tasks: Mapping[str, TaskConfig], name: str) -> str:
    """Return the task that decides a task: its parent's parent and so on, or itself."""
    parent = tasks[name].parent
    return name if parent is None or "parent" not in tasks[name].weights else deciding_task(tasks, parent)


def deciding_ratios(tasks: Mapping[str, TaskConfig], name: str, ratios: np.ndarray) -> np.ndarray:
    """Return the ratios of the deciding task's labels by which the labels of a task get theirs."""
    parent = tasks[name].parent
    if parent is None or deciding_task(tasks, name) == name:
        return ratios
    return deciding_ratios(tasks, parent, ratios[list(tasks[name].parent_labels)])


def with_ratios(
    tasks: Mapping[str, TaskConfig], log_probabilities: Mapping[str, np.ndarray], ratios: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return log-probabilities under new priors.

    ``ratios`` are logarithms of new over old priors of tasks that no other decides. A task that another decides follows
    it: a label is as much likelier as the labels of the parent that belong to it are together, by what each text says
    of them.
    """
    weighted = dict(log_probabilities)
    for name, task in tasks.items():
        if name in ratios:
            weighted[name] = log_softmax(weighted[name] + ratios[name])
        elif task.parent is not None and "parent" in task.weights:
            before, after = (
                parent_scores(table[task.parent], task.parent_labels, len(task.labels))
                for table in (log_probabilities, weighted)
            )
            weighted[name] = log_softmax(weighted[name] + after - before)
    return weighted
