"""Which texts of a table are duplicates, and a split that keeps them on one side."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from datasets import Dataset

from tawasul_nlp.text import Normalizer
from tawasul_nlp.training.tables import Finding, LabelledData, Method, label_column, labels_of

SHINGLE = 3
# Share of common shingles (Jaccard) from which two texts of one group count as near-identical: a few letters or a word
# of a sentence differ.
NEAR = 0.6
# A group may hold thousands of texts that differ in a number; to compare all of them with each other takes hours.
WINDOW = 100
# So many rows that are each a group of their own are placed without regard to the others.
MANY = 20_000


def folded(texts: Sequence[str]) -> list[str]:
    """Return what is left of texts without marks, variants of letters, blanks and punctuation."""
    normalizer = Normalizer("matching")
    return ["".join(char for char in normalizer(text) if char.isalnum()) for text in texts]


def duplicate_groups(texts: Sequence[str], method: Method = "incidents") -> np.ndarray:
    """Return the number of each text's group: (n_texts,), int64.

    ``incidents`` groups texts that tell of one event, by :class:`tawasul_nlp.DuplicateGrouper` (which reads every text
    with the bundled model); ``identical`` those that are equal after folding, in next to no time.
    """
    equal = _numbers(folded(texts))
    if method == "identical" or len(texts) < 2:
        return equal
    from tawasul_nlp.duplicates import DuplicateGrouper

    return joined(equal, DuplicateGrouper.from_pretrained().group(texts).labels)


def joined(*groupings: np.ndarray) -> np.ndarray:
    """Join groupings: texts that are together in any of them are together, and chains are followed.

    >>> joined(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(groupings[0])
    rows, columns, offset = [], [], count
    for groups in groupings:
        rows.append(np.arange(count))
        columns.append(groups + offset)
        offset += int(groups.max(initial=-1)) + 1
    ends = np.concatenate(rows), np.concatenate(columns)
    links = coo_matrix((np.ones(len(ends[0]), bool), ends), shape=(offset, offset))
    return _numbers(connected_components(links, directed=False)[1][:count].tolist())


def by_value(values: Sequence[str]) -> np.ndarray:
    """Return one number for each distinct value; every empty value stands alone."""
    return _numbers([value or index for index, value in enumerate(values)])


def near_identical(texts: Sequence[str], groups: np.ndarray) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Find texts of one group that share at least :data:`NEAR` of their shingles.

    Returns the rows of each text that is not alone in its group (texts that are equal after folding count as one), and
    pairs of indices into these of two near-identical texts. In a group of more than :data:`WINDOW` texts, each is only
    compared with so many after it in the order of the alphabet.

    >>> near_identical(["حفرة كبيرة", "حفره كبيره!", "حفرة كبيرة جدا", "انقطاع"], np.array([0, 0, 0, 0]))
    ([[3], [0, 1], [2]], [(1, 2)])
    """
    together = np.flatnonzero(np.bincount(groups)[groups] > 1).tolist()
    rows: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, text in zip(together, folded([texts[row] for row in together]), strict=True):
        rows[int(groups[row]), text].append(row)
    ordered = sorted(rows)
    pairs = []
    for _, numbers in groupby(range(len(ordered)), key=lambda number: ordered[number][0]):
        recent: deque[tuple[int, set[str]]] = deque(maxlen=WINDOW)
        for number in numbers:
            shingles = _shingles(ordered[number][1])
            for other, theirs in recent:
                common = len(shingles & theirs)
                if common >= NEAR * (len(shingles) + len(theirs) - common):
                    pairs.append((other, number))
            recent.append((number, shingles))
    return [rows[text] for text in ordered], pairs


@dataclass(frozen=True, slots=True, eq=False)
class WholeTable:
    """Usable rows that are not yet divided into training and validation, and what belongs together among them."""

    data: LabelledData
    rows: Dataset
    # Duplicates have one number: (n_rows,), int.
    alike: np.ndarray
    # What belongs together has one number: duplicates, and rows with one value in the group column: (n_rows,), int.
    groups: np.ndarray
    # Rows of validation data, or of corrections; none if there was one table only: (n_rows,), bool.
    second: np.ndarray
    # About rows that cannot be used.
    findings: tuple[Finding, ...] = ()
    # SHA-256 of each file that was read.
    files: dict[str, str] = field(default_factory=dict)
    descriptions: Dataset | None = None

    @property
    def labels(self) -> dict[str, list[str]]:
        """The cell of each row for each task; empty where it has no label."""
        return {task: list(self.rows[label_column(task)]) for task in self.data.tasks}

    @property
    def label_sets(self) -> dict[str, list[tuple[str, ...]]]:
        """The labels of each row for each task."""
        several = self.data.multi_label
        return {
            task: [labels_of(cell, multi_label=task in several) for cell in cells]
            for task, cells in self.labels.items()
        }

    def take(self, rows: np.ndarray) -> WholeTable:
        """Return the table with the marked rows alone."""
        return replace(
            self,
            rows=self.rows.select(np.flatnonzero(rows)),
            alike=self.alike[rows],
            groups=self.groups[rows],
            second=self.second[rows],
        )

    def held_out(self, among: np.ndarray, share: float, seed: int) -> np.ndarray:
        """Choose a share of the rows that are marked, by whole groups: (n_rows,), bool."""
        chosen = np.zeros(len(among), bool)
        chosen[among] = split(self.take(among), share, seed)
        return chosen


def split(table: WholeTable, share: float, seed: int) -> np.ndarray:
    """Choose validation rows by whole groups, with the labels' shares kept as well as groups allow: (n_rows,), bool.

    The first task's shares are kept where a label has enough rows for it; of several labels of a row, the rarest's. No
    label is left without a training row. ValueError if there are too few groups.
    """
    folds, groups = max(2, round(1 / share)), len(np.unique(table.groups))
    if groups < folds:
        raise ValueError(
            f"{groups} groups of rows are too few to hold {share:.0%} of them out; "
            "name a --validation file or raise validation_share"
        )
    for held_out in _folds(table, folds, seed):
        give_back(held_out, table)
        if held_out.any():
            return held_out
    raise ValueError(
        "no row can be held out, because some label would be left without a row to train on; name a --validation file"
    )


def _folds(table: WholeTable, folds: int, seed: int) -> list[np.ndarray]:
    """Return the rows of each fold, as bool (n_rows,).

    scikit-learn takes minutes to place tens of thousands of groups, one after the other; of those with a single row,
    where they are so many, each may go anywhere.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    strata = _strata(table)
    _, group, sizes = np.unique(table.groups, return_inverse=True, return_counts=True)
    alone = sizes[group] == 1
    if alone.sum() < MANY:
        alone[:] = False
    placed = np.zeros((folds, len(group)), bool)
    for part, kind in ((alone, StratifiedKFold), (~alone, StratifiedGroupKFold)):
        rows = np.flatnonzero(part)
        if len(np.unique(group[rows])) < folds:
            continue
        classes = strata[rows]
        if np.max(np.bincount(classes)) < folds:
            # Nothing can be spread, which scikit-learn refuses; as one class, rows are held out at random.
            classes = np.zeros(len(rows), np.int64)
        # It warns of each label with fewer groups than folds, which cannot be spread: callers see to them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            splits = kind(folds, shuffle=True, random_state=seed).split(rows, classes, group[rows])
            for fold, (_, held_out) in enumerate(splits):
                placed[fold, rows[held_out]] = True
    return list(placed)


def fold_numbers(table: WholeTable, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row from 0, by whole groups, with the shares of the first task's labels kept: (n_rows,).

    ValueError if there are fewer groups than folds, or fewer than 2 folds.
    """
    groups = len(np.unique(table.groups))
    if not 2 <= folds <= groups:
        raise ValueError(f"folds is {folds}, expected a number from 2 to {groups}, the groups of rows")
    number = np.zeros(len(table.groups), np.int64)
    for fold, rows in enumerate(_folds(table, folds, seed)):
        number[rows] = fold
    return number


def give_back(held_out: np.ndarray, table: WholeTable) -> None:
    """Return to training, in place, the groups of each label of which nothing else is left there."""
    for labels_of_rows in table.label_sets.values():
        of_label: dict[str, list[int]] = defaultdict(list)
        for row, labels in enumerate(labels_of_rows):
            for label in labels:
                of_label[label].append(row)
        for rows in of_label.values():
            if held_out[rows].all():
                held_out[np.isin(table.groups, table.groups[rows])] = False


def _strata(table: WholeTable) -> np.ndarray:
    """Number the rows by the first task's label, or by the rarest of its labels."""
    sets = next(iter(table.label_sets.values()))
    counts = Counter(label for labels in sets for label in labels)
    return _numbers([min(labels, key=lambda label: (counts[label], label), default="") for labels in sets])


def _numbers(values: Sequence[object]) -> np.ndarray:
    number: dict[object, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], np.int64)


def _shingles(text: str) -> set[str]:
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}
