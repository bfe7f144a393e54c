"""Check a labelled table before anything is trained on it; every finding names its rows."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from datasets import Dataset

from tawasul_nlp.domain import Domain
from tawasul_nlp.training.incident_groups import LEAST_INCIDENTS, SCORER_SHARE, Incidents
from tawasul_nlp.training.splitting import near_identical
from tawasul_nlp.training.tables import label_column, labels_of

TINY = 5
_SHOWN = 12
# What tables and programs write where there is no value.
_NO_VALUE = frozenset(("nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "nil", "-", "--", "?", "غير محدد"))
_DECIMAL = re.compile(r"-?\d+\.0+")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes
    ----------
    kind : str
    fatal : bool
        Whether training must not start before the rows are mended, or left out on request.
    message : str
    rows : tuple of (str, int)
        File and number of each row, from 1 without the header.
    """

    kind: str
    fatal: bool
    message: str
    rows: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        by_file: dict[str, list[int]] = defaultdict(list)
        for file, row in self.rows[:_SHOWN]:
            by_file[file].append(row)
        shown = "; ".join(f"{file} row {', '.join(map(str, rows))}" for file, rows in by_file.items())
        more = f" and {len(self.rows) - _SHOWN} more" if len(self.rows) > _SHOWN else ""
        return f"{'error' if self.fatal else 'warning'}: {self.message}" + (f": {shown}{more}" if shown else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data with every row."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The usable rows of both sides, for checks that compare them.

    Attributes
    ----------
    places : list of (str, int)
        File and number of each row.
    texts : list of str
    labels : dict of str to list of str
    validates : ndarray of bool, shape (n,)
    alike : ndarray of int, shape (n,)
        Duplicates have one number.
    groups : ndarray of int, shape (n,)
        What belongs together has one number: duplicates, and rows with one value in the group column.
    multi_label : collection of str
        The tasks whose cells hold several labels.
    """

    places: list[tuple[str, int]]
    texts: list[str]
    labels: dict[str, list[str]]
    validates: np.ndarray
    alike: np.ndarray
    groups: np.ndarray
    multi_label: Collection[str] = ()


def unusable(file: str, rows: Dataset) -> list[Finding]:
    """Find rows that cannot be read, or have no text or no label."""
    by_problem: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row, problem in zip(rows["row"], rows["problem"], strict=True):
        if problem:
            by_problem[problem].append((file, row))
    return unusable_rows(by_problem)


def unusable_rows(by_problem: Mapping[str, Sequence[tuple[str, int]]]) -> list[Finding]:
    """Return one finding for each problem that rows have."""
    return [
        Finding("unusable", True, f"{_rows(len(found))} cannot be used ({problem})", tuple(found))
        for problem, found in by_problem.items()
    ]


def unknown_labels(
    file: str, rows: Dataset, labels: Mapping[str, Sequence[str]], multi_label: Collection[str] = ()
) -> list[Finding]:
    """Find validation rows with a label that no training row has."""
    findings = []
    for task, names in labels.items():
        known = set(names)
        by_label: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for row, cell in zip(rows["row"], rows[label_column(task)], strict=True):
            for label in labels_of(cell, multi_label=task in multi_label):
                if label not in known:
                    by_label[label].append((file, row))
        for label, found in sorted(by_label.items()):
            message = f"{task} {label!r} is in {_rows(len(found))} of validation and in none of training"
            findings.append(Finding("unknown label", True, message, tuple(found)))
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


def compare(rows: Rows) -> list[Finding]:
    """Find tiny classes, duplicates across the sides, and near-identical texts with different labels."""
    return [*_classes(rows), *_doubtful(rows), *_across(rows), *_near(rows)]


def class_sizes(
    task: str,
    counts: Mapping[str, int],
    places: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    *,
    labelled: int | None = None,
) -> list[Finding]:
    """Find a task with one label, and labels with few training rows.

    Of a multi-label task, ``labelled`` is the number of rows whose labels are known; there one label is enough, but one
    that all rows have is not learned, and some row should have two.
    """
    findings = []
    if len(counts) < (1 if labelled is not None else 2):
        message = f"{task} has {len(counts)} label in training, expected at least {1 if labelled is not None else 2}"
        findings.append(Finding("one label", True, message))
    if labelled is not None:
        everywhere = [label for label in sorted(counts) if counts[label] == labelled]
        if everywhere:
            message = f"{task} has {_named(everywhere)} in every row of training, so nothing tells when it is not there"
            findings.append(Finding("label of every row", False, message))
        if len(counts) > 1 and sum(counts.values()) <= labelled:
            message = (
                f"{task} is multi-label, but its {_rows(labelled)} of training have {sum(counts.values())} labels; if "
                "no text has two, name it among the label columns (--label-columns)"
            )
            findings.append(Finding("few labels a row", False, message))
    for label, count in sorted(counts.items()):
        if count < TINY:
            found = () if places is None else tuple(places[label])
            findings.append(Finding("tiny class", False, f"{task} {label!r} has {_rows(count)} of training", found))
    return findings


def doubtful_labels(
    task: str,
    counts: Mapping[str, int],
    places: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    *,
    multi_label: bool = False,
) -> list[Finding]:
    """Find labels that may be no label at all, several in one, or numbers that a program wrote otherwise.

    Examples
    --------
    >>> [finding.kind for finding in doubtful_labels("dept", {"nan": 3, "water|roads": 2, "water": 9})]
    ['no label?', 'several labels?']
    """

    def finding(kind: str, labels: Sequence[str], message: str) -> Finding:
        rows = () if places is None else tuple(place for label in labels for place in places[label])
        return Finding(kind, False, message, rows)

    findings = []
    for label in sorted(counts):
        if label.casefold() in _NO_VALUE:
            message = (
                f"{task} is {label!r} in {_rows(counts[label])}, which is learned as a label; if it stands for a "
                f"missing one, say so (--missing-label {shlex.quote(label)})"
                f"{', and if for a text without any of the labels, write |' if multi_label else ''}"
            )
            findings.append(finding("no label?", [label], message))
    several = [label for label in sorted(counts) if "|" in label]
    if several:
        message = (
            f"{task} has {_named(several)} with | in {_rows(sum(counts[label] for label in several))}; a text has one "
            "label of each task, so each of these is learned as a label of its own, unless the column is named as "
            f"multi-label (--multi-label-columns {task})"
        )
        findings.append(finding("several labels?", several, message))
    decimal = [label for label in sorted(counts) if _DECIMAL.fullmatch(label)]
    if decimal:
        message = (
            f"{task} has {_named(decimal)} in {_rows(sum(counts[label] for label in decimal))}, as a program writes "
            "whole numbers of a column with missing values; the model will answer with them as they are written"
        )
        findings.append(finding("decimal labels", decimal, message))
    return findings


def incident_findings(column: str, incidents: Incidents | None) -> list[Finding]:
    """Say where there are no incidents to learn from, or too few for a pair scorer."""
    if incidents is None:
        message = f"no two training rows have one value in {column}, so incidents cannot be learned"
        return [Finding("no incidents", True, message)]
    if incidents.collections is None:
        needed = round(LEAST_INCIDENTS / SCORER_SHARE)
        message = (
            f"too few incidents with two reports to fit a pair scorer, expected {needed} in training and "
            f"{LEAST_INCIDENTS} in validation: the model gets incident vectors, but does not group duplicates"
        )
        return [Finding("few incidents", False, message)]
    return []


def _classes(rows: Rows) -> Iterator[Finding]:
    trained = np.flatnonzero(~rows.validates).tolist()
    for task, values in rows.labels.items():
        multi_label = task in rows.multi_label
        places: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for index in trained:
            for label in labels_of(values[index], multi_label=multi_label):
                places[label].append(rows.places[index])
        labelled = sum(bool(values[index]) for index in trained) if multi_label else None
        yield from class_sizes(task, {label: len(found) for label, found in places.items()}, places, labelled=labelled)
        absent = tuple(rows.places[index] for index, value in enumerate(values) if not value)
        if absent:
            yield Finding("missing label", False, f"{_rows(len(absent))} without {task}, left out of this task", absent)


def _doubtful(rows: Rows) -> Iterator[Finding]:
    for task, values in rows.labels.items():
        multi_label = task in rows.multi_label
        places: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for value, place in zip(values, rows.places, strict=True):
            for label in labels_of(value, multi_label=multi_label):
                places[label].append(place)
        counts = {label: len(found) for label, found in places.items()}
        yield from doubtful_labels(task, counts, places, multi_label=multi_label)


def _across(rows: Rows) -> Iterator[Finding]:
    shared = set(rows.groups[rows.validates].tolist()) & set(rows.groups[~rows.validates].tolist())
    found = [index for index in np.flatnonzero(rows.validates).tolist() if rows.groups[index] in shared]
    if found:
        message = f"{_rows(len(found))} of validation may tell of the same thing as a row of training"
        yield Finding("duplicates across splits", False, message, tuple(rows.places[index] for index in found))


def _near(rows: Rows) -> Iterator[Finding]:
    copies, pairs = near_identical(rows.texts, rows.alike)
    sides = ["validation" if validates else "training" for validates in rows.validates.tolist()]
    leaked = [index for index in _differing(sides, copies, pairs) if rows.validates[index]]
    if leaked:
        message = f"{_rows(len(leaked))} of validation nearly identical to a row of training"
        yield Finding("near-identical across splits", False, message, tuple(rows.places[index] for index in leaked))
    for task, values in rows.labels.items():
        differing = _differing(values, copies, pairs)
        if differing:
            once = islice(((a, b) for a, b in differing.items() if a < b), 3)
            examples = "; ".join(
                f"{values[a]!r} in row {rows.places[a][1]}, {values[b]!r} in row {rows.places[b][1]}" for a, b in once
            )
            message = f"{_rows(len(differing))} with nearly identical texts have different {task} ({examples})"
            yield Finding("conflicting labels", False, message, tuple(rows.places[index] for index in differing))


def _differing(
    values: Sequence[str], copies: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Return, in order, the rows near-identical to a row with another value, each with one such row.

    Thousands of rows may have one text, so the values of texts are compared and not row with row.
    """
    own = [{values[index]: index for index in reversed(rows) if values[index]} for rows in copies]
    near = [dict(found) for found in own]
    for pair in pairs:
        for text, beside in (pair, pair[::-1]):
            for value, index in own[beside].items():
                near[text].setdefault(value, index)
    found = {}
    for rows, around in zip(copies, near, strict=True):
        for index in rows:
            other = next((row for value, row in around.items() if value != values[index]), None)
            if values[index] and other is not None:
                found[index] = other
    return dict(sorted(found.items()))


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(map(repr, labels[:3]))
    return f"the label {shown}" if len(labels) == 1 else f"{len(labels)} labels ({shown}{', ...' * (len(labels) > 3)})"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
