"""Fit what a multi-label task makes of its scores, and the probability from which a label is answered.

All labels share the scorers' scales and one threshold; each has an offset of its own, shrunk towards the common one.
On labels of one kind this is as good as a common offset, on labels of several kinds (of very different shares) better;
thresholds of single labels, each chosen for its own F1, gain nothing where a label has 40 texts, and lose where it has
five (``python -m eval.quality.label_sets``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from tawasul_nlp.evaluation.fitting import LARGEST_SCALE, TARGET_ERRORS
from tawasul_nlp.model.error_curve import error_curve, threshold_at
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import set_probability

OFFSET_RIDGE = 4.0
"""How strongly a label's offset is shrunk towards the common one, in texts."""
_LARGEST_OFFSET = 50.0


def fit_label_scores(
    name: str,
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: np.ndarray,
    prior: float = 0.0,
    *,
    offset_ridge: float = OFFSET_RIDGE,
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
    offset_ridge : float
    """
    task = tasks[name]
    known = truth[:, 0] >= 0
    target = (truth[known] == 1).astype(float)
    texts, labels = target.shape
    shares = (target.sum(0) + 0.5) / (texts + 1.0)
    scores = [scorers[scorer][name][known].astype(float) for scorer in task.weights]
    spreads = [max(float(table.std()), 1e-6) for table in scores]
    even = [table / spread for table, spread in zip(scores, spreads, strict=True)]
    # The unknown texts have the scores of the others, and their labels are the labels' shares.
    expected = (target + shares * prior / texts) / (1 + prior / texts)
    weight = (1 + prior / texts) / labels

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        scales, common, own = values[: len(even)], values[len(even)], values[len(even) + 1 :]
        logits = sum(scale * table for scale, table in zip(scales, even, strict=True)) + common + own
        entropy = np.logaddexp(0.0, logits) - expected * logits
        slope = (expit(logits) - expected) * weight / texts
        value = weight * entropy.sum() / texts + offset_ridge * float(own @ own) / (2 * texts * labels)
        of_own = slope.sum(0) + offset_ridge * own / (texts * labels)
        return value, np.array([*((slope * table).sum() for table in even), slope.sum(), *of_own])

    start = np.array([*([1.0] * len(even)), 0.0, *([0.0] * labels)])
    largest = float(np.exp(LARGEST_SCALE))
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
    known = truth[:, 0] >= 0
    probabilities, target = np.exp(log_probabilities[known]), truth[known] == 1
    threshold, _ = best_threshold(probabilities.ravel(), target.ravel())
    answered = probabilities >= threshold
    correct = (answered == target).all(axis=1)
    if incomplete is not None:
        correct &= ~incomplete[known]
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
