"""Which label a task of one label answers."""

from __future__ import annotations

import numpy as np

from tawasul_nlp.model.folder import TaskConfig


def decide(task: TaskConfig, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answer each text with the first preferred label that is likely enough, or else with the likeliest label.

    Parameters
    ----------
    task : TaskConfig
    probabilities : ndarray of float, shape (n_texts, n_labels)

    Returns
    -------
    answers : ndarray of int, shape (n_texts,)
        Indices into ``task.labels``.
    confidence : ndarray of float, shape (n_texts,)
        Their probabilities.

    Examples
    --------
    >>> task = TaskConfig(("emergency", "urgent", "normal"), {"encoder": 1.0}, preferred={"emergency": 0.2})
    >>> answers, confidence = decide(task, np.array([[0.25, 0.05, 0.7], [0.15, 0.05, 0.8]]))
    >>> answers.tolist(), confidence.tolist()
    ([0, 2], [0.25, 0.8])
    """
    answers = probabilities.argmax(axis=1)
    for label, least in reversed(task.preferred.items()):
        column = task.labels.index(label)
        answers[probabilities[:, column] >= least] = column
    return answers, np.take_along_axis(probabilities, answers[:, None], axis=1)[:, 0]
