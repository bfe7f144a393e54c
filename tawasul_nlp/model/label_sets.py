"""The labels of a text for a multi-label task: how a cell of a table holds them, and which ones a model answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

SEPARATOR = "|"
NONE = SEPARATOR
"""A cell that says that a text has none of the labels; an empty one says that its labels are unknown."""


def split_labels(cell: str) -> tuple[str, ...]:
    """Return the labels of a cell, each once and in sorted order."""
    return tuple(sorted({label for part in cell.split(SEPARATOR) if (label := part.strip())}))


def join_labels(labels: Iterable[str]) -> str:
    """Return the cell that holds labels."""
    return SEPARATOR.join(labels) or NONE


def sorted_cell(cell: str) -> str:
    """Return a cell with each label once and in sorted order, so that equal sets are equal."""
    return join_labels(split_labels(cell)) if cell else ""


def label_matrix(cells: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Return which labels each cell has: (n_cells, n_labels), int8; all -1 where the cell is empty."""
    index = {label: column for column, label in enumerate(labels)}
    matrix = np.zeros((len(cells), len(labels)), np.int8)
    for row, cell in enumerate(cells):
        if not cell:
            matrix[row] = -1
        else:
            matrix[row, [index[label] for label in split_labels(cell) if label in index]] = 1
    return matrix


def set_probability(probabilities: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """Return the probability that each text has exactly the answered labels, if labels are independent: (n_texts,)."""
    right: np.ndarray = np.where(answered, probabilities, 1.0 - probabilities).prod(axis=1)
    return right
