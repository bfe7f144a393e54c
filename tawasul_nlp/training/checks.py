"""Check a labelled table before anything is trained on it; every finding names its rows."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from datasets import Dataset

from tawasul_nlp.domain import Domain
from tawasul_nlp.training.splitting import WholeTable, near_identical
from tawasul_nlp.training.tables import Finding, label_column, labels_of

TINY = 5
# What tables and programs write where there is no value.
_NO_VALUE = frozenset(("nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "nil", "-", "--", "?", "غير محدد"))
_DECIMAL = re.compile(r"-?\d+\.0+")
# File and number of a row.
Place = tuple[str, int]


def unusable(file: str, rows: Dataset) -> list[Finding]:
    """Find rows that cannot be read, or have no text or no label."""
    problems = zip(rows["row"], map(labels_of, rows["problem"]), strict=True)
    by_problem = _places_of_labels(((file, row), problem) for row, problem in problems)
    return [
        Finding("unusable", True, f"{_rows(len(places))} cannot be used ({problem})", tuple(places))
        for problem, places in by_problem.items()
    ]


def unknown_labels(
    file: str, rows: Dataset, labels: Mapping[str, Sequence[str]], multi_label: Collection[str] = ()
) -> list[Finding]:
    """Find validation rows with a label that no training row has."""
    findings = []
    for task, names in labels.items():
        cells = zip(rows["row"], rows[label_column(task)], strict=True)
        places = _places_of_labels(
            ((file, row), labels_of(cell, multi_label=task in multi_label)) for row, cell in cells
        )
        for label in sorted(places.keys() - set(names)):
            message = f"{task} {label!r} is in {_rows(len(places[label]))} of validation and in none of training"
            findings.append(Finding("unknown label", True, message, tuple(places[label])))
    return findings


def refuse_branches(labels: Mapping[str, Sequence[str]], domain: Domain) -> None:
    """Raise ValueError if the task agency has branches of a group: the place decides between them, and no word."""
    taxonomy = domain.taxonomy
    group_of = {branch: group.id for group in taxonomy.agencies.values() for branch in group.members.values()}
    owners = taxonomy.agency_groups()
    branches = [label for label in labels.get("agency", ()) if label in group_of and label not in owners]
    if branches:
        group = group_of[branches[0]]
        raise ValueError(
            f"the labels of agency have {len(branches)} branches, such as {branches[0]!r} of {group!r}; the place of a "
            f"case decides between branches, so write {group!r} for them, or name the task otherwise: dept=agency"
        )


def compare(table: WholeTable, validates: np.ndarray) -> list[Finding]:
    """Find tiny classes, duplicates across the sides, and near-identical texts with different labels.

    ``validates`` (n_rows,), bool, are the rows of validation; all others are of training.
    """
    trained = np.flatnonzero(~validates).tolist()
    places = list(zip(table.rows["file"], table.rows["row"], strict=True))
    findings: list[Finding] = []
    for task, sets in table.label_sets.items():
        cells = table.labels[task]
        of_label = _places_of_labels((places[row], sets[row]) for row in trained)
        labelled = sum(bool(cells[row]) for row in trained)
        findings += _label_findings(task, of_label, labelled, task in table.data.multi_label)
        absent = tuple(place for place, cell in zip(places, cells, strict=True) if not cell)
        if absent:
            message = f"{_rows(len(absent))} without {task}, left out of this task"
            findings.append(Finding("missing label", False, message, absent))
    return [*findings, *_across(table, validates, places), *_near(table, validates, places)]


def _label_findings(
    task: str, places: Mapping[str, Sequence[Place]], labelled: int, multi_label: bool
) -> Iterator[Finding]:
    """Find too few labels, rare ones, and those that may be none, several in one, or numbers written otherwise.

    ``places`` are the training rows with each label, of which ``labelled`` rows have some. Of a multi-label task one
    label is enough, but one that all rows have is not learned, and some row should have two.
    """
    labels, least, total = sorted(places), 1 if multi_label else 2, sum(map(len, places.values()))
    if len(labels) < least:
        yield Finding("one label", True, f"{task} has {len(labels)} label in training, expected at least {least}")
    if multi_label and len(labels) > 1 and total <= labelled:
        message = (
            f"{task} is multi-label, but its {_rows(labelled)} of training have {total} labels; if no text has two, "
            "name it among the label columns (--label-columns)"
        )
        yield Finding("few labels a row", False, message)
    empty = [label for label in labels if label.casefold() in _NO_VALUE]
    missing = " ".join(f"--missing-label {shlex.quote(label)}" for label in empty)
    none = ", and if for a text without any of the labels, write |" if multi_label else ""
    doubts = (
        (
            "label of every row",
            [label for label in labels if multi_label and len(places[label]) == labelled],
            "which is every row, so nothing tells when it is not there",
        ),
        ("tiny class", [label for label in labels if len(places[label]) < TINY], f"fewer than {TINY} for each label"),
        ("no label?", empty, f"learned as a label; if that stands for a missing one, say so ({missing}){none}"),
        (
            "several labels?",
            [label for label in labels if "|" in label],
            "learned as one label with its |, since a text has one label of each task; if these are several, name the "
            f"column as multi-label (--multi-label-columns {task})",
        ),
        (
            "decimal labels",
            [label for label in labels if _DECIMAL.fullmatch(label)],
            "as a program writes whole numbers of a column with missing values; the model will answer with them as "
            "they are written",
        ),
    )
    for kind, doubtful, advice in doubts:
        if doubtful:
            rows = tuple(place for label in doubtful for place in places[label])
            message = f"{task} has {_named(doubtful)} in {_rows(len(rows))} of training, {advice}"
            yield Finding(kind, False, message, rows)


def description_findings(unseen: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Name the labels that only a description is known of: meant so, or misspelt."""
    return [
        Finding(
            "label without rows",
            False,
            f"{task} has {len(names)} labels that are described and have no training row "
            f"({', '.join(map(repr, names[:5]))}{', ...' * (len(names) > 5)}): they are learned from the "
            "description alone",
        )
        for task, names in unseen.items()
        if names
    ]


def _places_of_labels(rows: Iterable[tuple[Place, Sequence[str]]]) -> dict[str, list[Place]]:
    """Return for each label the places of the rows that have it."""
    places: dict[str, list[Place]] = defaultdict(list)
    for place, labels in rows:
        for label in labels:
            places[label].append(place)
    return places


def _across(table: WholeTable, validates: np.ndarray, places: Sequence[Place]) -> Iterator[Finding]:
    indices = np.flatnonzero(validates & np.isin(table.groups, table.groups[~validates])).tolist()
    if indices:
        message = f"{_rows(len(indices))} of validation may tell of the same thing as a row of training"
        yield Finding("duplicates across splits", False, message, tuple(places[index] for index in indices))


def _near(table: WholeTable, validates: np.ndarray, places: Sequence[Place]) -> Iterator[Finding]:
    copies, pairs = near_identical(list(table.rows["text"]), table.alike)
    sides = ["validation" if validated else "training" for validated in validates.tolist()]
    leaked = [index for index in _differing(sides, copies, pairs) if validates[index]]
    if leaked:
        message = f"{_rows(len(leaked))} of validation nearly identical to a row of training"
        yield Finding("near-identical across splits", False, message, tuple(places[index] for index in leaked))
    for task, values in table.labels.items():
        differing = _differing(values, copies, pairs)
        if differing:
            once = islice(((a, b) for a, b in differing.items() if a < b), 3)
            examples = "; ".join(
                f"{values[a]!r} in row {places[a][1]}, {values[b]!r} in row {places[b][1]}" for a, b in once
            )
            message = f"{_rows(len(differing))} with nearly identical texts have different {task} ({examples})"
            yield Finding("conflicting labels", False, message, tuple(places[index] for index in differing))


def _differing(
    values: Sequence[str], copies: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Return, in order, the rows near-identical to a row with another value, each with one such row.

    Thousands of rows may have one text, so the values of texts are compared and not row with row.
    """
    values_of_text = [{values[index]: index for index in reversed(rows) if values[index]} for rows in copies]
    near = [dict(of_text) for of_text in values_of_text]
    for pair in pairs:
        for text, beside in (pair, pair[::-1]):
            for value, index in values_of_text[beside].items():
                near[text].setdefault(value, index)
    differing = {}
    for rows, around in zip(copies, near, strict=True):
        for index in rows:
            other = next((row for value, row in around.items() if value != values[index]), None)
            if values[index] and other is not None:
                differing[index] = other
    return dict(sorted(differing.items()))


def _named(labels: Sequence[str]) -> str:
    examples = ", ".join(map(repr, labels[:3]))
    return (
        f"the label {examples}"
        if len(labels) == 1
        else f"{len(labels)} labels ({examples}{', ...' * (len(labels) > 3)})"
    )


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
