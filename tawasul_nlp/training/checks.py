"""Check a labelled table before anything is trained on it; every finding names its rows."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

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
# File and number of each row.
Places = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or worth knowing."""

    kind: str
    # Whether training must not start before the rows are mended, or left out on request.
    fatal: bool
    message: str
    # File and number of each row, from 1 without the header.
    rows: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        by_file: dict[str, list[int]] = defaultdict(list)
        for file, row in self.rows[:_SHOWN]:
            by_file[file].append(row)
        listed = "; ".join(f"{file} row {', '.join(map(str, rows))}" for file, rows in by_file.items())
        more = f" and {len(self.rows) - _SHOWN} more" if len(self.rows) > _SHOWN else ""
        return f"{'error' if self.fatal else 'warning'}: {self.message}" + (f": {listed}{more}" if listed else "")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The usable rows of both sides, for checks that compare them."""

    # File and number of each row.
    places: list[tuple[str, int]]
    texts: list[str]
    labels: dict[str, list[str]]
    # (n,), bool.
    validates: np.ndarray
    # Duplicates have one number: (n,), int.
    alike: np.ndarray
    # What belongs together has one number: duplicates, and rows with one value in the group column: (n,), int.
    groups: np.ndarray
    # The tasks whose cells hold several labels.
    multi_label: Collection[str] = ()


def unusable(file: str, rows: Dataset) -> list[Finding]:
    """Find rows that cannot be read, or have no text or no label."""
    by_problem: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for row, problem in zip(rows["row"], rows["problem"], strict=True):
        if problem:
            by_problem[problem].append((file, row))
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
        trained = set(names)
        by_label: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for row, cell in zip(rows["row"], rows[label_column(task)], strict=True):
            for label in labels_of(cell, multi_label=task in multi_label):
                if label not in trained:
                    by_label[label].append((file, row))
        for label, label_rows in sorted(by_label.items()):
            message = f"{task} {label!r} is in {_rows(len(label_rows))} of validation and in none of training"
            findings.append(Finding("unknown label", True, message, tuple(label_rows)))
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
    trained = np.flatnonzero(~rows.validates).tolist()
    findings = []
    for task, values in rows.labels.items():
        labelled = sum(bool(values[index]) for index in trained) if task in rows.multi_label else None
        findings += _class_sizes(task, _places_of_labels(rows, task, trained), labelled)
        absent = tuple(rows.places[index] for index, value in enumerate(values) if not value)
        if absent:
            message = f"{_rows(len(absent))} without {task}, left out of this task"
            findings.append(Finding("missing label", False, message, absent))
    for task, values in rows.labels.items():
        findings += _doubtful_labels(task, _places_of_labels(rows, task, range(len(values))), task in rows.multi_label)
    return [*findings, *_across(rows), *_near(rows)]


def _class_sizes(task: str, places: Mapping[str, Places], labelled: int | None) -> list[Finding]:
    """Find a task with one label, and labels with few training rows.

    Of a multi-label task, ``labelled`` is the number of rows whose labels are known; there one label is enough, but one
    that all rows have is not learned, and some row should have two.
    """
    findings = []
    counts = {label: len(of_label) for label, of_label in sorted(places.items())}
    least = 2 if labelled is None else 1
    if len(counts) < least:
        message = f"{task} has {len(counts)} label in training, expected at least {least}"
        findings.append(Finding("one label", True, message))
    if labelled is not None:
        everywhere = [label for label, count in counts.items() if count == labelled]
        if everywhere:
            message = f"{task} has {_named(everywhere)} in every row of training, so nothing tells when it is not there"
            findings.append(Finding("label of every row", False, message))
        if len(counts) > 1 and sum(counts.values()) <= labelled:
            message = (
                f"{task} is multi-label, but its {_rows(labelled)} of training have {sum(counts.values())} labels; if "
                "no text has two, name it among the label columns (--label-columns)"
            )
            findings.append(Finding("few labels a row", False, message))
    for label, count in counts.items():
        if count < TINY:
            message = f"{task} {label!r} has {_rows(count)} of training"
            findings.append(Finding("tiny class", False, message, tuple(places[label])))
    return findings


def _doubtful_labels(task: str, places: Mapping[str, Places], multi_label: bool) -> list[Finding]:
    """Find labels that may be no label at all, several in one, or numbers that a program wrote otherwise."""
    counts = {label: len(of_label) for label, of_label in places.items()}

    def finding(kind: str, labels: Sequence[str], message: str) -> Finding:
        return Finding(kind, False, message, tuple(place for label in labels for place in places[label]))

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


def _places_of_labels(rows: Rows, task: str, indices: Iterable[int]) -> dict[str, list[tuple[str, int]]]:
    """Return for each label the places of the rows that have it."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for index in indices:
        for label in labels_of(rows.labels[task][index], multi_label=task in rows.multi_label):
            places[label].append(rows.places[index])
    return places


def _across(rows: Rows) -> Iterator[Finding]:
    shared = set(rows.groups[rows.validates].tolist()) & set(rows.groups[~rows.validates].tolist())
    indices = [index for index in np.flatnonzero(rows.validates).tolist() if rows.groups[index] in shared]
    if indices:
        message = f"{_rows(len(indices))} of validation may tell of the same thing as a row of training"
        yield Finding("duplicates across splits", False, message, tuple(rows.places[index] for index in indices))


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
