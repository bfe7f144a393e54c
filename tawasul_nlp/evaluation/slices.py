"""Accuracy by slices of the rows, and by whether a stored threshold accepts their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tawasul_nlp.evaluation.intervals import bootstrap, interval_of_alike
from tawasul_nlp.evaluation.metrics import slice_accuracy
from tawasul_nlp.evaluation.task_result import ReviewRate, SliceAccuracy

LENGTHS = ((0, "1-50"), (51, "51-100"), (101, "101-200"), (201, "201-400"), (401, "above 400"))
MOST_SLICES = 20


def length_bucket(text: str) -> str:
    """Return the bucket of a text's length in characters.

    >>> length_bucket("المجاري طافحة"), length_bucket("ا" * 101)
    ('1-50', '101-200')
    """
    return [name for least, name in LENGTHS if len(text) >= least][-1]


def review_rates(confidence: np.ndarray, hits: np.ndarray, thresholds: Mapping[str, float]) -> dict[str, ReviewRate]:
    """Return, for each target error of the model's stored thresholds, what they do on these rows."""
    shown = {}
    for target, threshold in thresholds.items():
        accepted = confidence >= threshold
        error = round(float((~hits[accepted]).mean()), 4) if accepted.any() else None
        shown[target] = ReviewRate(round(float(threshold), 4), round(float(accepted.mean()), 4), error)
    return shown


def slice_accuracies(
    hits: np.ndarray, values: Sequence[str], groups: np.ndarray, resamples: int
) -> dict[str, SliceAccuracy]:
    """Return rows and accuracy, with its interval, of each value; the rarest values are one slice."""
    counts = Counter(values)
    order = [name for _, name in LENGTHS]
    kept = [name for name, _ in counts.most_common(MOST_SLICES)]
    if set(counts) <= set(order):
        kept = [name for name in order if name in counts]
    names = kept + (["(other)"] if len(counts) > len(kept) else [])
    code = {name: index for index, name in enumerate(names)}
    codes = np.array([code.get(value, len(names) - 1) for value in values])
    intervals = bootstrap(slice_accuracy(hits, codes, names), groups, resamples)
    sizes, right = np.bincount(codes, minlength=len(names)), np.bincount(codes, hits, len(names)).astype(int)
    shown = {}
    for name, n, correct in zip(names, sizes.tolist(), right.tolist(), strict=True):
        alike = correct in (0, n)
        accuracy = interval_of_alike(correct == n, groups[codes == code[name]]) if alike else intervals[name]
        shown[name] = SliceAccuracy(n, accuracy)
    return shown
