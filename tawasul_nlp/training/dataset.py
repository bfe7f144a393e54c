"""What a model is trained on: a table that was read, checked, and split by duplicate group, or any other data set."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from tawasul_nlp._system import atomic_write
from tawasul_nlp.domain import Domain
from tawasul_nlp.model.folder import file_hash, read_config
from tawasul_nlp.model.label_sets import NONE, label_matrix
from tawasul_nlp.training.checks import (
    Finding,
    Rows,
    compare,
    description_findings,
    incident_findings,
    unknown_labels,
    unusable,
)
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.incident_groups import Incidents, incidents_of
from tawasul_nlp.training.splitting import Method, by_value, duplicate_groups, joined, split
from tawasul_nlp.training.tables import (
    Columns,
    described_only,
    label_column,
    label_names,
    labels_of,
    read_descriptions,
    read_table,
    second_column,
)


@dataclass(frozen=True, slots=True)
class LabelledData:
    """A labelled table as it is trained on: rows, which columns are read, and what keeps rows together.

    Examples
    --------
    >>> LabelledData("cases.csv", label_columns=["dept"], multi_label_columns={"tags": "topics"}).columns.labels
    {'dept': 'dept', 'tags': 'topics'}
    """

    # CSV, JSONL, Parquet or Excel with a header, or a table of pandas, Polars, Arrow or datasets.
    source: Any
    text_column: str = "text"
    # Each becomes a task of its name; a mapping names the task of each column.
    label_columns: str | Sequence[str] | Mapping[str, str] = ()
    # Columns of which a cell holds several labels, separated by ``|``, or a list of them. An empty cell says that the
    # labels are unknown; a lone ``|``, or an empty list, that the text has none.
    multi_label_columns: str | Sequence[str] | Mapping[str, str] = ()
    # Rows to validate on, like ``source``; None for a part of it, by whole groups of duplicates.
    validation: Any = None
    # Rows with the same value describe the same incident: the model gets incident vectors and a pair scorer, so that it
    # groups duplicates.
    incident_column: str | None = None
    # Rows with the same value stay on one side of the split.
    group_column: str | None = None
    # The card tells how the model fares on the validation rows of each value, such as dialects or channels.
    slice_column: str | None = None
    # What each label means, in a sentence of the texts' language: ``{label: description}``, by task if there are
    # several, or a file (:func:`~tawasul_nlp.training.tables.read_descriptions`).
    descriptions: Any = None
    # Duplicates are texts that describe one event (reads every text with the bundled model), or only those that are
    # identical after folding (for large tables).
    duplicates: Method = "incidents"
    # Values of the label columns that stand for no label, such as ``nan``.
    missing_labels: Sequence[str] = ()
    # Whether to train without the rows that have errors, instead of raising an error.
    leave_out: bool = False

    @property
    def columns(self) -> Columns:
        """The columns that are read, by task; ValueError if a task has a name that cannot be one."""
        return Columns.parse(
            self.text_column,
            self.label_columns,
            self.group_column,
            self.incident_column,
            slice=self.slice_column,
            missing=self.missing_labels,
            multi_label=self.multi_label_columns,
        )

    @property
    def name(self) -> str:
        """The file's name, or the kind of table."""
        return Path(self.source).name if isinstance(self.source, str | Path) else type(self.source).__name__

    def read(self, cache: Path, corrections: Any = None) -> WholeTable:
        """Read and check the table; see :func:`read_whole`."""
        return read_whole(
            self.source,
            self.columns,
            cache,
            validation=self.validation,
            corrections=corrections,
            duplicates=self.duplicates,
            descriptions=self.descriptions,
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

    # Usable rows (:func:`~tawasul_nlp.training.tables.read_table`), perhaps with second labels in
    # ``second.TASK``.
    train: Dataset
    validation: Dataset
    # The names of each task's labels; a parent comes before its child.
    labels: dict[str, tuple[str, ...]]
    # Training rows with each label: (labels,), int.
    counts: dict[str, np.ndarray]
    # Training rows.
    rows: int
    # Duplicates among the training rows have one number: (n_train,), int.
    groups: np.ndarray
    # Validation rows that may be duplicates of a training row: (n_validation,), bool.
    leaked: np.ndarray
    # SHA-256 of each file that was read.
    files: dict[str, str]
    # How they were read, as plain data: the ``columns``, and which rows count as ``duplicates``.
    reading: dict[str, Any]
    findings: tuple[Finding, ...]
    # Of tasks that another one decides.
    parents: dict[str, Parent] = field(default_factory=dict)
    # For some tasks, the labels that each label is easily taken for.
    related: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    incidents: Incidents | None = None
    # Descriptions of labels, with the columns of the rows: learned from like training rows, but not counted,
    # checked or measured as such. A label may have nothing else.
    descriptions: Dataset | None = None
    # Further texts that only the n-gram scorer learns from, with the columns of the labels.
    ngram_texts: Dataset | None = None
    # The tasks of which a row may have several labels, each with the training rows whose labels are known.
    multi_label: dict[str, int] = field(default_factory=dict)
    # The task whose labels the marked clauses of some rows have (:mod:`tawasul_nlp.training.marks`).
    clauses: str | None = None
    # Marked rows by which it is chosen what counts as an issue of its own.
    marked_validation: Dataset | None = None
    # The folder of the model that an update goes on from. What the data says nothing about stays as it is there:
    # the heads for clauses, incidents and pairs, and how the scorers are weighed and calibrated, since that model
    # may have learned the rows by heart.
    before: Path | None = None

    @property
    def learned(self) -> Dataset:
        """The training rows, and the descriptions behind them."""
        return self.train if self.descriptions is None else concatenate_datasets([self.train, self.descriptions])

    @property
    def has_second_labels(self) -> bool:
        """Whether rows may have a second label of a task."""
        return any(second_column(task) in self.train.column_names for task in self.labels)

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
    whole = data.read(cache)
    if data.validation is not None:
        return whole.divided(~whole.second, whole.second, config.seed)
    validates = whole.held_out(np.ones(len(whole.rows), bool), config.validation_share, config.seed)
    return whole.divided(~validates, validates, config.seed)


@dataclass(frozen=True, slots=True, eq=False)
class WholeTable:
    """Usable rows that are not yet divided into training and validation, and what belongs together among them."""

    rows: Dataset
    # The cell of each row for each task; empty where it has no label.
    labels: dict[str, list[str]]
    # See :class:`~tawasul_nlp.training.checks.Rows`: (n_rows,), int.
    alike: np.ndarray
    groups: np.ndarray
    # Rows of validation data, or of corrections; none if there was one table only: (n_rows,), bool.
    second: np.ndarray
    columns: Columns
    # About rows that cannot be used.
    findings: tuple[Finding, ...]
    # See :class:`TrainingData`.
    files: dict[str, str]
    reading: dict[str, Any]
    descriptions: Dataset | None = None

    def labels_at(self, rows: np.ndarray) -> dict[str, list[str]]:
        """Return the cells of some rows, by their numbers, for each task."""
        return {task: [values[row] for row in rows.tolist()] for task, values in self.labels.items()}

    def held_out(self, among: np.ndarray, share: float, seed: int) -> np.ndarray:
        """Choose a share of the rows that are marked, by whole groups: (n_rows,), bool."""
        rows = np.flatnonzero(among)
        chosen = np.zeros(len(among), bool)
        chosen[rows] = split(self.labels_at(rows), self.groups[rows], share, seed, self.columns.multi_label)
        return chosen

    def divided(self, trains: np.ndarray, validates: np.ndarray, seed: int) -> TrainingData:
        """Return the data that trains on some rows and validates on others, and what comparing them finds.

        Parameters
        ----------
        trains, validates : ndarray of bool, shape (n_rows,)

        Raises
        ------
        ValueError
            If a task has no label in validation.
        """
        used = np.flatnonzero(trains | validates)
        places = list(zip(self.rows["file"], self.rows["row"], strict=True))
        texts = list(self.rows["text"])
        findings = [
            *self.findings,
            *compare(
                Rows(
                    [places[row] for row in used.tolist()],
                    [texts[row] for row in used.tolist()],
                    self.labels_at(used),
                    validates[used],
                    self.alike[used],
                    self.groups[used],
                    self.columns.multi_label,
                )
            ),
        ]
        need_labels(self.labels_at(np.flatnonzero(validates)))
        shared = np.isin(self.groups, self.groups[trains])
        train, held_out = chosen(self.rows, trains.tolist()), chosen(self.rows, validates.tolist())
        several = self.columns.multi_label
        cells = {task: list(train[label_column(task)]) for task in self.labels}
        counters = {task: count_labels(values, task in several) for task, values in cells.items()}
        labels = {task: label_names(counter) for task, counter in counters.items()}
        if self.descriptions is not None:
            unseen = described_only(self.descriptions, labels)
            findings += description_findings(unseen)
            labels = {task: label_names([*names, *unseen[task]]) for task, names in labels.items()}
        incidents = None
        if self.columns.incident is not None:
            first = label_column(next(iter(labels)))
            incidents = incidents_of(train.to_list(), held_out.to_list(), first, seed)
            findings += incident_findings(self.columns.incident, incidents)
        return TrainingData(
            train,
            held_out,
            labels,
            {task: counted(counters[task], names) for task, names in labels.items()},
            len(train),
            self.groups[trains],
            shared[validates],
            self.files,
            self.reading,
            tuple(findings),
            incidents=incidents,
            descriptions=self.descriptions,
            multi_label={task: sum(map(bool, cells[task])) for task in several},
        )


def read_whole(
    data: Any,
    columns: Columns,
    cache: Path,
    *,
    validation: Any = None,
    corrections: Any = None,
    duplicates: Method = "incidents",
    descriptions: Any = None,
) -> WholeTable:
    """Read a table, and another one to validate on or with corrections, and find what belongs together.

    Corrections may have labels that the first table has not.
    """
    need_two_tables(data, validation)
    named = {"data": data, "validation": validation, "corrections": corrections}
    named = {side: table for side, table in named.items() if table is not None}
    sources = {side: str(table) if isinstance(table, str | Path) else side for side, table in named.items()}
    read = {side: read_table(table, columns, sources[side]) for side, table in named.items()}
    findings = [finding for side, rows in read.items() for finding in unusable(sources[side], rows)]
    usable = {side: chosen(rows, [not problem for problem in rows["problem"]]) for side, rows in read.items()}
    for side, rows in usable.items():
        if not len(rows):
            raise ValueError(f"{sources[side]} has no usable row; {findings[0] if findings else 'it has no rows'}")
    labels = {
        task: label_names(usable["data"][label_column(task)], multi_label=task in columns.multi_label)
        for task in columns.labels
    }
    described = None if descriptions is None else read_descriptions(descriptions, columns)
    if described is not None:
        labels = {task: (*names, *described_only(described, labels)[task]) for task, names in labels.items()}
    if validation is not None:
        unknown = unknown_labels(sources["validation"], usable["validation"], labels, columns.multi_label)
        strange = {row for finding in unknown for _, row in finding.rows}
        usable["validation"] = chosen(usable["validation"], [row not in strange for row in usable["validation"]["row"]])
        findings += unknown
        if not len(usable["validation"]):
            raise ValueError(f"{sources['validation']} has no row whose labels are among those of {sources['data']}")
    rows = concatenate_datasets(list(usable.values()))
    alike = _groups(list(rows["text"]), duplicates, cache)
    files = {sources[side]: _hash(table, read[side]) for side, table in named.items()}
    if described is not None:
        files[described["file"][0]] = _hash(descriptions, described)
    groups = joined(alike, *(by_value(list(rows[name])) for name in ("group", "incident") if any(rows[name])))
    return WholeTable(
        rows,
        {task: list(rows[label_column(task)]) for task in columns.labels},
        alike,
        groups,
        np.arange(len(rows)) >= len(usable["data"]),
        columns,
        tuple(findings),
        files,
        {"columns": asdict(columns), "duplicates": duplicates},
        described,
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


def need_labels(held_out: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError if a task has no label in validation, without which nothing can be chosen or calibrated."""
    for task, values in held_out.items():
        if not set(values) - {"", NONE}:
            raise ValueError(f"no row of validation has a {task}; add some, or leave {task} out of the label columns")


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


def count_labels(cells: Iterable[str], multi_label: bool = False) -> Counter[str]:
    """Return how many cells have each label."""
    return Counter(label for cell in cells for label in labels_of(cell, multi_label=multi_label))


def counted(counter: Counter[str], names: tuple[str, ...]) -> np.ndarray:
    """Return how often each name occurs: (names,), int64."""
    return np.array([counter[name] for name in names], np.int64)


def chosen(rows: Dataset, keep_row: list[bool]) -> Dataset:
    """Return the rows that are wanted."""
    return rows if all(keep_row) else rows.select([index for index, keep in enumerate(keep_row) if keep])


def made_of(config: TrainConfig, data: TrainingData, domain: Domain | None) -> dict[str, Any]:
    """Return what a run is made of, by which it is known again."""
    sides = {"train": data.train, "validation": data.validation}
    if data.descriptions is not None:
        sides["descriptions"] = data.descriptions
    return {
        "config": config.to_dict(),
        "files": data.files,
        **data.reading,
        "labels": {task: list(names) for task, names in data.labels.items()},
        "train": data.rows,
        "validation": len(data.validation),
        "texts": {side: digest(rows, data.labels) for side, rows in sides.items()},
        "incidents": None if data.incidents is None else _incident_digest(data),
        "before": None if data.before is None else read_config(data.before).model_hash,
        **({} if domain is None else {"domain": domain.fingerprint}),
    }


def made_of_table(whole: WholeTable, config: TrainConfig, domain: Domain | None, **more: Any) -> dict[str, Any]:
    """Return what a search or a cross-validation is made of, with ``more`` of its own."""
    return {
        "config": config.to_dict(),
        "files": whole.files,
        **whole.reading,
        **more,
        "texts": digest(whole.rows, whole.columns.labels),
        **({} if domain is None else {"domain": domain.fingerprint}),
    }


def digest(rows: Dataset, tasks: Iterable[str]) -> str:
    """Return the SHA-256 of the texts and labels in their order."""
    sha256 = hashlib.sha256()
    for column in ("text", *(label_column(task) for task in tasks)):
        sha256.update(json.dumps(list(rows[column])).encode())
    return sha256.hexdigest()


def _incident_digest(data: TrainingData) -> str:
    assert data.incidents is not None
    groups = [*data.incidents.learned, *data.incidents.paraphrases]
    content = [(group.id, [row["text"] for row in (*group.reports, *group.hard_negatives)]) for group in groups]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
