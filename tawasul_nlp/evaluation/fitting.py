"""Weigh the scorers, fit each task's temperature, and choose thresholds, all on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq, minimize

from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.decision import decide
from tawasul_nlp.model.error_curve import error_curve, threshold_at
from tawasul_nlp.model.folder import TaskConfig

TARGET_ERRORS = (0.05, 0.02)
# A scorer that counts for next to nothing at a start: a scale of e^-4 beside the other's.
_SILENT = 4.0
# Scores that say nothing of the labels fit best with a power of nearly 0, at any temperature. The bounds, logarithms of
# the scale of scores of standard deviation 1 and of the power, keep the search among numbers that can be multiplied.
LARGEST_SCALE = 12.0
_LARGEST_POWER = 4.0
# Of a label that no calibration text resembles: a share of 0 could not be divided by.
_LEAST_SHARE = 1e-6


def fit_task(
    name: str,
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: np.ndarray,
    prior: float = 0.0,
) -> TaskConfig:
    """Fit one task's scorer weights, temperature and power by least negative log-likelihood.

    The likelihood has several valleys, and scorers' scores may be a thousand times as large as others' are. So the
    search begins at several points, and the best end is kept.

    Parameters
    ----------
    name : str
    tasks : mapping of str to TaskConfig
        Tasks fitted before (parents), and this one with its scorers named in ``weights``.
    scorers : mapping
        Scores of each scorer on the validation texts.
    truth : ndarray of int, shape (n_texts,)
        Label index of each text; -1 where the task is not defined, beyond the labels where the model lacks the label.
    prior : float
        So many texts whose label nobody knows are thought to be among the others, and scales and power to lie near 1
        (their logarithms are normally distributed with the variance ``1 / prior``). Where all texts are answered
        rightly, as they may be where they are few, the likelihood alone would make every answer certain, or all
        answers equally so.

    Returns
    -------
    TaskConfig
        With weights that sum to 1, and the temperature and power that belong to them.
    """
    task = tasks[name]
    names = list(task.weights)
    rows = np.flatnonzero((truth >= 0) & (truth < len(task.labels)))

    def weighed(logarithms: np.ndarray) -> TaskConfig:
        *scales, power = np.exp(logarithms)
        scale = np.array(scales)
        weights = {scorer: float(share) for scorer, share in zip(names, scale / scale.sum(), strict=True)}
        return replace(task, weights=weights, temperature=float(1.0 / scale.sum()), power=float(power))

    def loss(logarithms: np.ndarray) -> float:
        scores = combine({**tasks, name: weighed(logarithms)}, scorers)[name]
        likelihood = float(scores[rows, truth[rows]].mean())
        if prior:
            likelihood = (len(rows) * likelihood + prior * float(scores[rows].mean())) / (len(rows) + prior)
            likelihood -= prior * float((logarithms**2).sum()) / (2 * len(rows))
        return -likelihood

    even = _even_scales(name, tasks, scorers)
    width = np.append(np.full(len(names), LARGEST_SCALE), _LARGEST_POWER)
    lowest, highest = even - width, even + width
    ends = []
    for start in _starts(even):
        # The first steps are as wide as what is looked for; scipy's own would be too small to see a flat slope.
        start = np.clip(start, lowest, highest - 1.0)
        simplex = np.vstack([start, start + np.eye(len(start))])
        options = {"xatol": 1e-3, "fatol": 1e-6, "initial_simplex": simplex}
        bounds = np.column_stack([lowest, highest])
        ends.append(minimize(loss, start, method="Nelder-Mead", bounds=bounds, options=options))
    best = min(ends, key=lambda end: float(end.fun))
    return _matched_in_the_large(weighed(best.x), name, tasks, scorers, truth, prior)


def _even_scales(
    name: str, tasks: Mapping[str, TaskConfig], scorers: Mapping[str, Mapping[str, np.ndarray]]
) -> np.ndarray:
    """Return logarithms of the scales that give each scorer a standard deviation of 1, and of the power 1."""
    task = tasks[name]
    spreads = []
    for scorer in task.weights:
        alone = replace(task, weights={scorer: 1.0}, temperature=1.0, power=1.0)
        spreads.append(combine({**tasks, name: alone}, scorers)[name].std(axis=1).mean())
    return np.append(-np.log(np.maximum(spreads, 1e-6)), 0.0)


def fit_answers(
    name: str,
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: np.ndarray,
    prior: float,
    least_recall: Mapping[str, float],
    label_texts: int | None,
) -> TaskConfig:
    """Fit a task of one label, choose from when its preferred labels are answered, and store its thresholds and prior.

    See :func:`fit_task`, :func:`with_preferred` and :func:`with_thresholds`.
    """
    task = fit_task(name, tasks, scorers, truth, prior)
    found = combine({**tasks, name: task}, scorers)[name]
    return with_thresholds(with_preferred(task, found, truth, least_recall), found, truth, label_texts)


def _starts(even: np.ndarray) -> list[np.ndarray]:
    """Return where to begin: all scales and the power at 1, and each scorer nearly alone at its even scale."""
    n_scorers = len(even) - 1
    alone = [even - _SILENT * np.append(np.arange(n_scorers) != loud, False) for loud in range(n_scorers)]
    return [np.zeros(len(even)), *alone]


def _matched_in_the_large(
    task: TaskConfig,
    name: str,
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: np.ndarray,
    prior: float,
) -> TaskConfig:
    """Move the temperature until the mean confidence equals the accuracy, which the likelihood alone does not give."""
    known = truth >= 0

    def excess(factor: float) -> float:
        tempered = replace(task, temperature=task.temperature * factor)
        probabilities = np.exp(combine({**tasks, name: tempered}, scorers)[name][known])
        accuracy = (probabilities.argmax(1) == truth[known]).mean()
        if prior:
            accuracy = (known.sum() * accuracy + prior / len(task.labels)) / (known.sum() + prior)
        return float(probabilities.max(1).mean() - accuracy)

    if not excess(0.5) * excess(2.0) < 0:  # the same sign, or scores so wild that there is none
        return task
    return replace(task, temperature=task.temperature * float(brentq(excess, 0.5, 2.0, xtol=1e-3)))


def with_preferred(
    task: TaskConfig, log_probabilities: np.ndarray, truth: np.ndarray, least_recall: Mapping[str, float]
) -> TaskConfig:
    """Prefer labels that must not be missed, each from the highest probability on that finds enough of its texts.

    Parameters
    ----------
    task : TaskConfig
    log_probabilities : ndarray of float, shape (n_texts, labels)
    truth : ndarray of int, shape (n_texts,)
    least_recall : mapping of str to float
        Labels, of which the task need not have all, and the share of their texts to be found. A preferred label that is
        not among them, or has no text here, stays as it is.

    Examples
    --------
    >>> task = TaskConfig(("emergency", "normal"), {"encoder": 1.0})
    >>> probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [0.2, 0.8]])
    >>> with_preferred(task, np.log(probabilities), np.array([0, 0, 0, 1]), {"emergency": 0.6}).preferred
    {'emergency': 0.3}
    """
    preferred = dict(task.preferred)
    for label, share in least_recall.items():
        own = truth == task.labels.index(label) if label in task.labels else np.zeros(len(truth), bool)
        if own.any():
            found = np.sort(np.exp(log_probabilities[own, task.labels.index(label)]))[::-1]
            # Rounded down, so that the text at the threshold is found however its probability is rounded.
            least = np.floor(found[int(np.ceil(share * len(found))) - 1] * 1e4) / 1e4
            preferred[label] = max(float(least), 1e-4)
    return replace(task, preferred=preferred)


def with_thresholds(
    task: TaskConfig, log_probabilities: np.ndarray, truth: np.ndarray, label_texts: int | None = None
) -> TaskConfig:
    """Store the errors from which a threshold for any target follows, those of the usual targets, and the prior.

    Parameters
    ----------
    task : TaskConfig
    log_probabilities : ndarray of float, shape (n_texts, labels)
    truth : ndarray of int, shape (n_texts,)
        Label index of each text; -1 where the task is not defined, and those beyond the labels are of labels that the
        model lacks, so that every answer is wrong.
    label_texts : int or None
        Labels that so many texts are given get a curve of their own; None for none.
    """
    known = truth >= 0
    probabilities = np.exp(log_probabilities[known])
    given, confidence = decide(task, probabilities)
    correct = given == truth[known]
    curve = error_curve(confidence, correct)
    own = {}
    if label_texts is not None:
        for at, label in enumerate(task.labels):
            rows = given == at
            if rows.sum() >= label_texts:
                own[label] = error_curve(confidence[rows], correct[rows])
    # JSON has no infinity: at 1 only certainty is accepted.
    thresholds = {str(target): min(threshold_at(curve, target), 1.0) for target in TARGET_ERRORS}
    return with_prior(replace(task, thresholds=thresholds, curve=curve, label_curves=own), probabilities)


def with_prior(task: TaskConfig, probabilities: np.ndarray) -> TaskConfig:
    """Store the prior: the mean of the probabilities (n_texts, labels).

    Examples
    --------
    >>> task = TaskConfig(("emergency", "normal"), {"encoder": 1.0})
    >>> with_prior(task, np.array([[0.4, 0.6], [0.0, 1.0]])).prior
    (0.2, 0.8)
    """
    prior = np.maximum(probabilities.mean(0), _LEAST_SHARE)
    return replace(task, prior=tuple(np.round(prior / prior.sum(), 7).tolist()))
