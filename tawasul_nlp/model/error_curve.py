"""How the error among accepted answers grows as the threshold falls: what a target error is answered from."""

from __future__ import annotations

import math

import numpy as np

ErrorCurve = tuple[tuple[float, float], ...]
"""Pairs of a threshold and the error among the answers that it accepts: thresholds fall, errors rise."""
_STEP = 1e-4


def error_curve(confidence: np.ndarray, correct: np.ndarray) -> ErrorCurve:
    """Return the thresholds that some target error calls for, each with the error that it keeps to.

    A threshold's error is counted with one extra mistake, so that a lucky run at the top does not decide, and rounded
    up to a hundredth of a per cent. Of the thresholds that keep to an error the least is kept, since it accepts most.
    So the curve answers for every target as all texts would, and is short.

    Parameters
    ----------
    confidence : ndarray of float, shape (n_texts,)
        Probability of each answer. Texts of equal confidence are accepted together or not at all.
    correct : ndarray of bool, shape (n_texts,)

    Examples
    --------
    >>> error_curve(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, False]))
    ((0.8, 0.5), (0.7, 0.6667), (0.6, 0.75))
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]
    # A threshold cannot tell equals apart, so it cuts behind the last of them.
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(order) else np.zeros(0, np.int64)
    errors = (np.cumsum(~correct[order])[last] + 1) / (last + 1)
    steps = np.minimum(np.ceil(errors / _STEP - 1e-6), round(1 / _STEP)).astype(np.int64)
    points: list[tuple[float, float]] = []
    least = None
    for at in range(len(last) - 1, -1, -1):
        if least is None or steps[at] < least:
            least = steps[at]
            points.append((float(falling[last[at]]), round(float(least) * _STEP, 4)))
    return tuple(reversed(points))


def threshold_at(curve: ErrorCurve, target: float) -> float:
    """Return the least probability from which on the error is at most ``target``; infinity if no threshold does.

    Examples
    --------
    >>> threshold_at(((0.9, 0.01), (0.5, 0.04)), 0.05), threshold_at(((0.9, 0.01), (0.5, 0.04)), 0.03)
    (0.5, 0.9)
    >>> threshold_at(((0.9, 0.01), (0.5, 0.04)), 0.005)
    inf
    """
    return next((threshold for threshold, error in reversed(curve) if error <= target + 1e-9), math.inf)


def check_curve(curve: ErrorCurve) -> None:
    """Raise ValueError if these are not falling thresholds with rising errors."""
    for (high, less), (low, more) in zip(((math.inf, -1.0), *curve), curve, strict=False):
        if not (0 <= low <= 1 and low < high and 0 <= more <= 1 and less < more):
            raise ValueError(
                f"a curve goes from {(high, less)} to {(low, more)}, expected less and more, within 0 to 1"
            )
