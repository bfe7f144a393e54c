"""How scores become the calibrated probabilities of each task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tawasul_nlp.model.folder import TaskConfig


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

    The labels of a multi-label task are not normalised: each has the sigmoid of its score.

    Parameters
    ----------
    tasks : mapping of str to TaskConfig
        Parents before children.
    scorers : mapping of str to (mapping of str to ndarray)
        For ``encoder`` and ``ngram``, the scores (texts, labels) of each task that they read.

    Returns
    -------
    dict of str to ndarray
        Log-probabilities (texts, labels) of each task, float64.
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
