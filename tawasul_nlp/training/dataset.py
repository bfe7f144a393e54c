"""What a model is trained on: a table that was read, checked, and split by duplicate group, or any other data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from tawasul_nlp._system import atomic_write
from tawasul_nlp.domain import Domain
from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.model.label_sets import NONE, label_matrix
from tawasul_nlp.training.checks import compare, description_findings, unknown_labels, unusable
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.splitting import WholeTable, by_value, duplicate_groups, joined
from tawasul_nlp.training.tables import (
    Finding,
    LabelledData,
    Method,
    described_only,
    label_column,
    label_names,
    read_descriptions,
    read_table,
)


@dataclass(frozen=True, slots=True)
class Parent:
    """A task that decides another: each of its labels belongs to one label of the child."""

    task: str
    # For each label of the parent, the child's.
    label_of: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What a model is trained on, and what the checks found."""

    # Usable rows (:func:`~tawasul_nlp.training.tables.read_table`).
    train: Dataset
    validation: Dataset
    # The names of each task's labels; a parent comes before its child.
    labels: dict[str, tuple[str, ...]]
    # Duplicates among the training rows have one number: (n_train,), int.
    groups: np.ndarray
    # SHA-256 of each file that was read.
    files: dict[str, str]
    # How they were read, as plain data: the ``columns``, and which rows count as ``duplicates``.
    reading: dict[str, Any]
    findings: tuple[Finding, ...]
    # Of tasks that another one decides.
    parents: dict[str, Parent] = field(default_factory=dict)
    # Descriptions of labels, with the columns of the rows: learned from like training rows, but not counted,
    # checked or measured as such. A label may have nothing else.
    descriptions: Dataset | None = None
    # Further texts that only the n-gram scorer learns from, with the columns of the labels.
    ngram_texts: Dataset | None = None
    # The tasks of which a row may have several labels.
    multi_label: tuple[str, ...] = ()
    # The folder of the model that an update goes on from. What the data says nothing about stays as it is there:
    # the heads for clauses, incidents and pairs, and how the scorers are weighed and calibrated, since that model
    # may have learned the rows by heart.
    before: Path | None = None

    @property
    def learned(self) -> Dataset:
        """The training rows, and the descriptions behind them."""
        return self.train if self.descriptions is None else concatenate_datasets([self.train, self.descriptions])

    @property
    def counts(self) -> dict[str, np.ndarray]:
        """Training rows with each label: (labels,), int."""
        truth = truth_of(self.train, self.labels, self.multi_label)
        return {
            task: (of_task == 1).sum(0)
            if of_task.ndim == 2
            else np.bincount(of_task[of_task >= 0], minlength=len(self.labels[task]))
            for task, of_task in truth.items()
        }

    @property
    def labelled(self) -> dict[str, int]:
        """Training rows whose labels are known."""
        return {task: sum(map(bool, self.train[label_column(task)])) for task in self.labels}

    @property
    def left_out(self) -> int:
        """Rows that were read and are not used."""
        return len({place for finding in self.findings if finding.fatal for place in finding.rows})


def read_data(data: LabelledData, config: TrainConfig, cache: Path) -> TrainingData:
    """Read the tables, check them, and split the first one where there is no second.

    Unusable rows, and validation rows with an unknown label, are left out and are among the findings; it is the
    caller's to stop at a finding that is fatal. ``cache`` is a folder for what need not be read twice.

    Raises
    ------
    TableError
        If a file is no table.
    ValueError
        If a table lacks a column, or has nothing to train on.
    """
    whole = read_whole(data, cache)
    return divide(whole, np.ones(len(whole.rows), bool), config)


def divide(whole: WholeTable, among: np.ndarray, config: TrainConfig) -> TrainingData:
    """Return the data of the marked rows, of which those of a second table validate, or else a part is held out."""
    validates = among & whole.second
    if whole.data.validation is None:
        validates = whole.held_out(among, config.validation_share, config.seed)
    return training_data(whole, among & ~validates, validates)


def training_data(whole: WholeTable, trains: np.ndarray, validates: np.ndarray) -> TrainingData:
    """Return the data that trains on some rows and validates on others (n_rows,), and what comparing them finds.

    ValueError if a task has no label in validation.
    """
    data, used, train, held_out = whole.data, trains | validates, whole.take(trains), whole.take(validates)
    findings = [*whole.findings, *compare(whole.take(used), validates[used])]
    for task, cells in held_out.labels.items():
        # Without a label nothing can be chosen or calibrated.
        if not set(cells) - {"", NONE}:
            raise ValueError(f"no row of validation has a {task}; add some, or leave {task} out of the label columns")
    labels = {task: label_names(cells, multi_label=task in data.multi_label) for task, cells in train.labels.items()}
    if whole.descriptions is not None:
        unseen = described_only(whole.descriptions, labels)
        findings += description_findings(unseen)
        labels = {task: label_names([*names, *unseen[task]]) for task, names in labels.items()}
    return TrainingData(
        train=train.rows,
        validation=held_out.rows,
        labels=labels,
        groups=train.groups,
        files=whole.files,
        reading=data.reading,
        findings=tuple(findings),
        descriptions=whole.descriptions,
        multi_label=data.multi_label,
    )


def read_whole(data: LabelledData, cache: Path, corrections: Any = None) -> WholeTable:
    """Read a table, and another one to validate on or with corrections, and find what belongs together.

    Corrections may have labels that the first table has not.
    """
    need_two_tables(data.source, data.validation)
    tables = {"data": data.source, "validation": data.validation, "corrections": corrections}
    tables = {side: table for side, table in tables.items() if table is not None}
    names = {side: str(table) if isinstance(table, str | Path) else side for side, table in tables.items()}
    read = {side: read_table(table, data, names[side]) for side, table in tables.items()}
    findings = [finding for side, rows in read.items() for finding in unusable(names[side], rows)]
    usable = {side: chosen(rows, [not problem for problem in rows["problem"]]) for side, rows in read.items()}
    for side, rows in usable.items():
        if not len(rows):
            raise ValueError(f"{names[side]} has no usable row; {findings[0] if findings else 'it has no rows'}")
    files = {names[side]: _hash(table, read[side]) for side, table in tables.items()}
    descriptions = None
    if data.descriptions is not None:
        descriptions = read_descriptions(data)
        files[descriptions["file"][0]] = _hash(data.descriptions, descriptions)
    if "validation" in usable:
        several = data.multi_label
        trained = {
            task: label_names(usable["data"][label_column(task)], multi_label=task in several) for task in data.tasks
        }
        if descriptions is not None:
            trained = {
                task: (*labels, *described_only(descriptions, trained)[task]) for task, labels in trained.items()
            }
        unknown = unknown_labels(names["validation"], usable["validation"], trained, several)
        strange = {row for finding in unknown for _, row in finding.rows}
        usable["validation"] = chosen(usable["validation"], [row not in strange for row in usable["validation"]["row"]])
        findings += unknown
        if not len(usable["validation"]):
            raise ValueError(f"{names['validation']} has no row whose labels are among those of {names['data']}")
    rows = concatenate_datasets(list(usable.values()))
    alike = _groups(list(rows["text"]), data.duplicates, cache)
    return WholeTable(
        data=data,
        rows=rows,
        alike=alike,
        groups=joined(alike, by_value(list(rows["group"]))),
        second=np.arange(len(rows)) >= len(usable["data"]),
        findings=tuple(findings),
        files=files,
        descriptions=descriptions,
    )


def _hash(table: Any, rows: Dataset) -> str:
    if isinstance(table, str | Path):
        return file_hash(Path(table))
    return hashlib.sha256(json.dumps(rows.to_list(), ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def need_two_tables(data: Any, validation: Any) -> None:
    """Raise ValueError if one table would be learned from and chosen on."""
    paths = isinstance(data, str | Path) and isinstance(validation, str | Path)
    if validation is not None and (
        data is validation or (paths and Path(data).resolve() == Path(validation).resolve())
    ):
        name = str(validation) if paths else "the table"
        raise ValueError(f"{name} both trains and validates; name other validation data, or none to split the table")


def _groups(texts: list[str], method: Method, cache: Path) -> np.ndarray:
    """Group duplicates, or read what an earlier call with these texts found: the model reads every text for it."""
    name = hashlib.sha256("\0".join([method, *texts]).encode("utf-8")).hexdigest()[:16]
    path = cache / f"groups-{name}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, duplicate_groups(texts, method))
    groups: np.ndarray = np.load(path, allow_pickle=False)
    return groups


def truth_of(
    rows: Dataset, labels: Mapping[str, Sequence[str]], multi_label: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Return the label index of each row for each task; -1 where it has none: int arrays (n_rows,).

    Of a multi-label task, which labels each row has: (n_rows, n_labels), all -1 where they are unknown.
    """
    truth = {}
    for task, names in labels.items():
        cells = list(rows[label_column(task)])
        if task in multi_label:
            truth[task] = label_matrix(cells, names)
        else:
            index = {name: number for number, name in enumerate(names)}
            truth[task] = np.array([index.get(label, -1) for label in cells], np.int64)
    return truth


def is_labelled(truth: np.ndarray) -> np.ndarray:
    """Return which rows have labels, of what :func:`truth_of` returned for a task: (n_rows,), bool."""
    labelled: np.ndarray = truth.reshape(len(truth), -1).min(axis=1) >= 0
    return labelled


def chosen(rows: Dataset, keep_row: list[bool]) -> Dataset:
    """Return the rows that are wanted."""
    return rows if all(keep_row) else rows.select([index for index, keep in enumerate(keep_row) if keep])


def made_of(
    config: TrainConfig, files: Mapping[str, str], reading: Mapping[str, Any], domain: Domain | None, **more: Any
) -> dict[str, Any]:
    """Return what a run is made of, by which it is known again."""
    pack = {} if domain is None else {"domain": domain.fingerprint}
    return {"config": config.to_dict(), "files": files, **reading, **pack, **more}


def digest(rows: Dataset, tasks: Iterable[str]) -> str:
    """Return the SHA-256 of the texts and labels in their order."""
    sha256 = hashlib.sha256()
    for column in ("text", *(label_column(task) for task in tasks)):
        sha256.update(json.dumps(list(rows[column])).encode())
    return sha256.hexdigest()
