"""Weigh the scorers, fit each task's temperature, and choose thresholds, all on validation data.

Of a multi-label task all labels share the scorers' scales and one threshold; each has an offset of its own, shrunk
towards the common one. On labels of one kind this is as good as a common offset, on labels of several kinds (of very
different shares) better; thresholds of single labels, each chosen for its own F1, gain nothing where a label has 40
texts, and lose where it has five (``eval/results/archive/label_sets.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit
from scipy.stats import beta

from tawasul_nlp._system import logger
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import set_probability
from tawasul_nlp.model.thresholds import decide, error_curve, threshold_at

# The scores (n_texts, labels) of each scorer for each task.
ScorerScores = Mapping[str, Mapping[str, np.ndarray]]

TARGET_ERRORS = (0.05, 0.02)
# With which a label that must not be missed is found as often as asked.
CONFIDENCE = 0.9
# A scorer that counts for next to nothing at a start: a scale of e^-4 beside the other's.
_SILENT = 4.0
# Scores that say nothing of the labels fit best with a power of nearly 0, at any temperature. The bounds, logarithms of
# the scale of scores of standard deviation 1 and of the power, keep the search among numbers that can be multiplied.
_LARGEST_SCALE = 12.0
_LARGEST_POWER = 4.0
# Of a label that no calibration text resembles: a share of 0 could not be divided by.
_LEAST_SHARE = 1e-6
# How strongly the offset of a multi-label task's label is shrunk towards the common one, in texts.
_OFFSET_RIDGE = 4.0
_LARGEST_OFFSET = 50.0


def fit_task(
    name: str, tasks: Mapping[str, TaskConfig], scorers: ScorerScores, truth: np.ndarray, prior: float = 0.0
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
        Label indices: -1 where the task is not defined, beyond the labels where the model lacks the label.
    prior : float
        So many texts whose label nobody knows are thought to be among the others, and scales and power to lie near 1
        (their logarithms are normally distributed with the variance ``1 / prior``). Where all texts are answered
        rightly, as they may be where they are few, the likelihood alone would make every answer certain, or all
        answers equally so.
    """
    task = tasks[name]
    names = list(task.weights)

    def combined(task: TaskConfig) -> np.ndarray:
        return combine({**tasks, name: task}, scorers)[name]

    rows = np.flatnonzero((truth >= 0) & (truth < len(task.labels)))

    def weighed(logarithms: np.ndarray) -> TaskConfig:
        *scales, power = np.exp(logarithms)
        scale = np.array(scales)
        weights = {scorer: float(share) for scorer, share in zip(names, scale / scale.sum(), strict=True)}
        return replace(task, weights=weights, temperature=float(1.0 / scale.sum()), power=float(power))

    def loss(logarithms: np.ndarray) -> float:
        scores = combined(weighed(logarithms))
        likelihood = float(scores[rows, truth[rows]].mean())
        if prior:
            likelihood = (len(rows) * likelihood + prior * float(scores[rows].mean())) / (len(rows) + prior)
            likelihood -= prior * float((logarithms**2).sum()) / (2 * len(rows))
        return -likelihood

    even = _even_scales(task, combined)
    width = np.append(np.full(len(names), _LARGEST_SCALE), _LARGEST_POWER)
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
    return matched_in_the_large(weighed(best.x), combined, truth, prior)


def _even_scales(task: TaskConfig, combined: Callable[[TaskConfig], np.ndarray]) -> np.ndarray:
    """Return logarithms of the scales that give each scorer a standard deviation of 1, and of the power 1."""
    alone = [replace(task, weights={scorer: 1.0}, temperature=1.0, power=1.0) for scorer in task.weights]
    spreads = [combined(one).std(axis=1).mean() for one in alone]
    return np.append(-np.log(np.maximum(spreads, 1e-6)), 0.0)


def fitted_task(
    name: str,
    tasks: Mapping[str, TaskConfig],
    scorers: ScorerScores,
    truth: np.ndarray,
    prior: float,
    to_find: Mapping[str, int],
    incomplete: np.ndarray | None = None,
) -> TaskConfig:
    """Fit a task of one label or of several, and store its thresholds.

    Parameters
    ----------
    name, tasks, scorers, truth, prior
        As for :func:`fit_task` or :func:`fit_label_scores`.
    to_find : mapping of str to int
        Labels of the task that must not be missed, and how many of these texts of each are to be found.
    incomplete : ndarray of bool, shape (n_texts,), or None
        As for :func:`with_label_threshold`.
    """
    fit = fit_label_scores if tasks[name].multi_label else fit_task
    task = fit(name, tasks, scorers, truth, prior)
    log_probabilities = combine({**tasks, name: task}, scorers)[name]
    if task.multi_label:
        return with_label_threshold(task, log_probabilities, truth, incomplete)
    task = _with_preferred(task, log_probabilities, truth, to_find)
    return _with_thresholds(task, log_probabilities, truth)


def _starts(even: np.ndarray) -> list[np.ndarray]:
    """Return where to begin: all scales and the power at 1, and each scorer nearly alone at its even scale."""
    n_scorers = len(even) - 1
    alone = [even - _SILENT * np.append(np.arange(n_scorers) != loud, False) for loud in range(n_scorers)]
    return [np.zeros(len(even)), *alone]


def matched_in_the_large(
    task: TaskConfig, combined: Callable[[TaskConfig], np.ndarray], truth: np.ndarray, prior: float
) -> TaskConfig:
    """Move the temperature until the mean confidence equals the accuracy, which the likelihood alone does not give."""
    labelled = truth >= 0

    def excess(factor: float) -> float:
        probabilities = np.exp(combined(replace(task, temperature=task.temperature * factor))[labelled])
        accuracy = (probabilities.argmax(1) == truth[labelled]).mean()
        if prior:
            accuracy = (labelled.sum() * accuracy + prior / len(task.labels)) / (labelled.sum() + prior)
        return float(probabilities.max(1).mean() - accuracy)

    if not excess(0.5) * excess(2.0) < 0:  # the same sign, or scores so wild that there is none
        return task
    return replace(task, temperature=task.temperature * float(brentq(excess, 0.5, 2.0, xtol=1e-3)))


def _with_preferred(
    task: TaskConfig, log_probabilities: np.ndarray, truth: np.ndarray, to_find: Mapping[str, int]
) -> TaskConfig:
    """Prefer labels that must not be missed, each from the highest probability on that finds enough of its texts.

    A preferred label that is not among those ``to_find`` stays as it is.
    """
    preferred = dict(task.preferred)
    for label, count in to_find.items():
        index = task.labels.index(label)
        falling = np.sort(np.exp(log_probabilities[truth == index, index]))[::-1]
        # Rounded down, so that the text at the threshold is found however its probability is rounded.
        least = np.floor(falling[max(count, 1) - 1] * 1e4) / 1e4
        preferred[label] = max(float(least), 1e-4)
    return replace(task, preferred=preferred)


def texts_to_find(task: TaskConfig, truth: np.ndarray, least_recall: Mapping[str, float]) -> dict[str, int]:
    """Return how many texts of each label must be found, so that its share of all such texts is found.

    That holds with a confidence of 90%, by the exact binomial bound (Clopper and Pearson, 1934): of 100 emergencies 86
    are to be found here, for 80 in a hundred of those to come. Where so many texts do not suffice for that, all are to
    be found, and a warning says what that promises. Labels that the task does not have, or that no text has, are left
    out.

    Examples
    --------
    >>> task = TaskConfig(("emergency", "normal"), {"encoder": 1.0})
    >>> texts_to_find(task, np.repeat([0, 1], 100), {"emergency": 0.8})
    {'emergency': 86}
    """
    to_find = {}
    for label, share in least_recall.items():
        texts = int((truth == task.labels.index(label)).sum()) if label in task.labels else 0
        counts = np.arange(1, texts + 1)
        bounds = beta.ppf(1 - CONFIDENCE, counts, texts - counts + 1)
        enough = counts[bounds >= share]
        if len(enough):
            to_find[label] = int(enough[0])
        elif texts:
            to_find[label] = texts
            logger.warning(
                "%d texts of %r are too few to promise that %g of such texts are found: with all of these found, it is "
                "%.2f with a confidence of %.0f%%",
                *(texts, label, share, bounds[-1], 100 * CONFIDENCE),
            )
    return to_find


def _with_thresholds(task: TaskConfig, log_probabilities: np.ndarray, truth: np.ndarray) -> TaskConfig:
    """Store the errors from which a threshold for any target follows, those of the usual targets, and the prior."""
    labelled = truth >= 0
    probabilities = np.exp(log_probabilities[labelled])
    answers, confidence = decide(task, probabilities)
    curve = error_curve(confidence, answers == truth[labelled])
    # JSON has no infinity: at 1 only certainty is accepted.
    thresholds = {str(target): min(threshold_at(curve, target), 1.0) for target in TARGET_ERRORS}
    return with_prior(replace(task, thresholds=thresholds, curve=curve), probabilities)


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


def fit_label_scores(
    name: str, tasks: Mapping[str, TaskConfig], scorers: ScorerScores, truth: np.ndarray, prior: float = 0.0
) -> TaskConfig:
    """Fit a multi-label task's scorer weights, temperature and offsets by least binary cross-entropy.

    This is a logistic regression on the scorers' scores, so there is one valley.

    Parameters
    ----------
    name : str
    tasks : mapping of str to TaskConfig
        With this task, whose scorers are named in ``weights``.
    scorers : mapping
        Scores of each scorer on the validation texts.
    truth : ndarray of int, shape (n_texts, labels)
        1 where a text has a label, else 0; all -1 where its labels are unknown.
    prior : float
        So many texts are thought to be among the others that have each label with its usual probability, whatever their
        scores are. Where all texts are answered rightly, the likelihood alone would make every answer certain.
    """
    task = tasks[name]
    labelled = truth[:, 0] >= 0
    target = (truth[labelled] == 1).astype(float)
    texts, labels = target.shape
    shares = (target.sum(0) + 0.5) / (texts + 1.0)
    scores = [scorers[scorer][name][labelled].astype(float) for scorer in task.weights]
    spreads = [max(float(table.std()), 1e-6) for table in scores]
    even = [table / spread for table, spread in zip(scores, spreads, strict=True)]
    # The unknown texts have the scores of the others, and their labels are the labels' shares.
    expected = (target + shares * prior / texts) / (1 + prior / texts)
    weight = (1 + prior / texts) / labels

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scales, common, offsets = values[: len(even)], values[len(even)], values[len(even) + 1 :]
        logits = sum(scale * table for scale, table in zip(scales, even, strict=True)) + common + offsets
        entropy = np.logaddexp(0.0, logits) - expected * logits
        slope = (expit(logits) - expected) * weight / texts
        value = weight * entropy.sum() / texts + _OFFSET_RIDGE * float(offsets @ offsets) / (2 * texts * labels)
        of_offsets = slope.sum(0) + _OFFSET_RIDGE * offsets / (texts * labels)
        return value, np.array([*((slope * table).sum() for table in even), slope.sum(), *of_offsets])

    start = np.array([*([1.0] * len(even)), 0.0, *([0.0] * labels)])
    largest = float(np.exp(_LARGEST_SCALE))
    bounds = [(1 / largest, largest)] * len(even) + [(-_LARGEST_OFFSET, _LARGEST_OFFSET)] * (labels + 1)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000}).x
    scales = best[: len(even)] / spreads
    return replace(
        task,
        weights={scorer: float(share) for scorer, share in zip(task.weights, scales / scales.sum(), strict=True)},
        temperature=float(1.0 / scales.sum()),
        offsets=tuple((best[len(even)] + best[len(even) + 1 :]).tolist()),
    )


def with_label_threshold(
    task: TaskConfig, log_probabilities: np.ndarray, truth: np.ndarray, incomplete: np.ndarray | None = None
) -> TaskConfig:
    """Store the threshold of the labels that gives the highest micro F1, and the errors of the sets that follow.

    Parameters
    ----------
    task : TaskConfig
    log_probabilities : ndarray of float, shape (n_texts, labels)
    truth : ndarray of int, shape (n_texts, labels)
        As for :func:`fit_label_scores`.
    incomplete : ndarray of bool, shape (n_texts,), or None
        Texts that also have a label which the model lacks, so that every answer is wrong.
    """
    labelled = truth[:, 0] >= 0
    probabilities, target = np.exp(log_probabilities[labelled]), truth[labelled] == 1
    threshold, _ = best_threshold(probabilities.ravel(), target.ravel())
    answered = probabilities >= threshold
    correct = (answered == target).all(axis=1)
    if incomplete is not None:
        correct &= ~incomplete[labelled]
    curve = error_curve(set_probability(probabilities, answered), correct)
    thresholds = {str(error): min(threshold_at(curve, error), 1.0) for error in TARGET_ERRORS}
    return replace(task, label_threshold=threshold, thresholds=thresholds, curve=curve)


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the highest F1, halfway between two scores, and this F1.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Of probabilities the threshold is above 0.
    truth : ndarray of bool, shape (n,)

    Examples
    --------
    >>> best_threshold(np.array([0.9, 0.75, 0.25, 0.1]), np.array([True, True, False, False]))
    (0.5, 1.0)
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order].astype(float)
    # A threshold cannot tell equals apart, so it cuts behind the last of them.
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    f1 = 2.0 * np.cumsum(truth[order])[last] / (last + 1 + max(1, int(truth.sum())))
    best = int(f1.argmax())
    lower = falling[last[best] + 1] if last[best] + 1 < len(falling) else min(0.0, falling[last[best]])
    # Of two neighbouring numbers, half their sum may be the lower one, which is not to be accepted.
    return max(float(falling[last[best]] + lower) / 2, float(np.nextafter(lower, np.inf))), float(f1[best])
