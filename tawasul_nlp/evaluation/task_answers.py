"""What a system answers for one task, of one label or of several, and the figures of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tawasul_nlp.evaluation.metrics import Estimate, bootstrap, confidence_summariser, interval_of_alike, share
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import label_matrix, set_probability, split_labels
from tawasul_nlp.model.thresholds import decide


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """How many rows of one label were given another."""

    true: str
    predicted: str
    n: int


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Precision, recall and F1 of one label, and how many rows have it."""

    label: str
    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a system answered for one task."""

    # The system's labels; then those that only the data have, which the system can never answer.
    labels: tuple[str, ...]
    # Which labels (n, labels) each row has, and which were answered; one each unless the task is multi-label.
    truth: np.ndarray
    answered: np.ndarray
    # How many of the labels are the system's own.
    n_own_labels: int
    # Probability (n,) that the answer is right; None for a system without probabilities.
    confidence: np.ndarray | None = None
    # Whether (n,) the truth is among the three likeliest labels; None for a multi-label task.
    top3: np.ndarray | None = None

    @property
    def hits(self) -> np.ndarray:
        """Which answers are right, of sets those that are exactly so: (n,), bool."""
        right: np.ndarray = (self.truth == self.answered).all(axis=1)
        return right


def answers(
    labels: tuple[str, ...],
    truth: Sequence[str],
    scores: np.ndarray,
    probabilities: bool = True,
    predicted: np.ndarray | None = None,
) -> Answers:
    """Compare scores (n, labels) with the true labels; labels that the system lacks count as missed.

    ``predicted`` are the answers (n,) of a system that does not always answer the label with the highest score.

    >>> system = answers(("a", "b"), ["a", "b", "c"], np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]))
    >>> system.labels, system.hits.tolist()
    (('a', 'b', 'c'), [True, False, False])
    """
    every = labels + tuple(sorted(set(truth) - set(labels)))
    position = {label: index for index, label in enumerate(every)}
    target = np.array([position[label] for label in truth], dtype=np.int64)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    answered = best[:, 0] if predicted is None else predicted
    columns = np.arange(len(every))
    return Answers(
        labels=every,
        truth=target[:, None] == columns,
        answered=answered[:, None] == columns,
        n_own_labels=len(labels),
        confidence=np.take_along_axis(scores, answered[:, None], axis=1)[:, 0] if probabilities else None,
        top3=(best == target[:, None]).any(1),
    )


def label_set_answers(
    labels: tuple[str, ...], cells: Sequence[str], answered: np.ndarray, confidence: np.ndarray | None = None
) -> Answers:
    """Compare the answered labels (n, labels) with the true ones of each cell; labels that the system lacks are missed.

    >>> system = label_set_answers(("a", "b"), ["a|c", "b"], np.array([[True, False], [False, True]]))
    >>> system.labels, system.hits.tolist()
    (('a', 'b', 'c'), [False, True])
    """
    every = labels + tuple(sorted({label for cell in set(cells) for label in split_labels(cell)} - set(labels)))
    more = np.zeros((len(cells), len(every) - len(labels)), bool)
    truth = label_matrix(cells, every) == 1
    return Answers(every, truth, np.hstack([answered, more]), len(labels), confidence)


def task_answers(task: TaskConfig, truth: Sequence[str], probabilities: np.ndarray) -> Answers:
    """Return what a model's task answers to rows with these cells, by its probabilities (n, labels)."""
    if task.multi_label:
        chosen = probabilities >= task.label_threshold
        return label_set_answers(task.labels, truth, chosen, set_probability(probabilities, chosen))
    return answers(task.labels, truth, probabilities, predicted=decide(task, probabilities)[0])


def summariser(system: Answers) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from row weights (n,) to every figure by name, the share of right answers first.

    scikit-learn's figures would count a label of weight 0, which a resample does not have, and take far longer;
    for weights of 1 these are the same, over the labels that occur among truths and answers. ``top3`` is the share of
    rows whose label is among the three likeliest; the others are those of :func:`confidence_summariser`.
    """
    from scipy.sparse import csr_array

    hits, top3 = system.hits, system.top3
    parts = np.hstack([system.truth & system.answered, system.answered, system.truth])
    by_label = csr_array(parts.T).astype(float)
    of_confidence = None if system.confidence is None else confidence_summariser(system.confidence, hits)

    def figures(weights: np.ndarray) -> dict[str, float]:
        total = weights.sum()
        right, said, true = (by_label @ weights).reshape(3, -1)
        present = said + true > 0
        f1 = 2 * right[present] / (said + true)[present]
        share_right, macro_f1 = float(weights[hits].sum() / total), float(f1.mean()) if present.any() else 0.0
        if top3 is not None:
            values = {
                "accuracy": share_right,
                "macro_f1": macro_f1,
                "weighted_f1": float(f1 @ true[present] / total),
                "top3": float(weights[top3].sum() / total),
            }
        else:
            values = {
                "exact_match": share_right,
                "micro_precision": share(right.sum(), said.sum()),
                "micro_recall": share(right.sum(), true.sum()),
                "micro_f1": share(2 * right.sum(), said.sum() + true.sum()),
                "macro_f1": macro_f1,
            }
        return values | (of_confidence(weights) if of_confidence is not None else {})

    return figures


def metrics_of(system: Answers, groups: np.ndarray, resamples: int) -> dict[str, Estimate]:
    """Return every figure with its 95% interval; rows with one number in ``groups`` are drawn together."""
    figures = bootstrap(summariser(system), groups, resamples)
    for name, right in ((next(iter(figures)), system.hits), ("top3", system.top3)):
        if right is not None and (right.all() or not right.any()):
            figures[name] = interval_of_alike(bool(right[0]), groups)
    return figures


def most_confused(system: Answers, limit: int = 15) -> tuple[ConfusedPair, ...]:
    """Return the most frequent pairs of a true label and the other that was answered instead."""
    wrong, size = ~system.hits, len(system.labels)
    truth, answered = (part[wrong].argmax(axis=1) for part in (system.truth, system.answered))
    codes, counts = np.unique(truth * size + answered, return_counts=True)
    top = np.argsort(-counts, kind="stable")[:limit]
    return tuple(
        ConfusedPair(system.labels[codes[i] // size], system.labels[codes[i] % size], int(counts[i])) for i in top
    )


def scores_by_label(system: Answers) -> tuple[LabelScores, ...]:
    """Return the scores of each label that has rows, the least F1 first."""
    from sklearn.metrics import precision_recall_fscore_support

    *shares, n = precision_recall_fscore_support(system.truth, system.answered, average=None, zero_division=0)
    rows = zip(system.labels, n.tolist(), *(share.round(4).tolist() for share in shares), strict=True)
    return tuple(sorted((LabelScores(*row) for row in rows if row[1]), key=lambda each: (each.f1, each.label)))
