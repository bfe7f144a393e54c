"""What a model is trained on: a table that was read, checked, and split by duplicate group, or any other data set."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset, concatenate_datasets

from tawasul_nlp._system import atomic_write
from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.training.checks import (
    Finding,
    Rows,
    class_sizes,
    compare,
    doubtful_labels,
    incident_findings,
    unknown_labels,
    unusable,
    unusable_rows,
)
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.incident_groups import Incidents, incidents_of
from tawasul_nlp.training.splitting import Method, by_value, duplicate_groups, folded, joined, split
from tawasul_nlp.training.tables import (
    Columns,
    label_column,
    label_names,
    read_table,
    second_column,
    stream_table,
    table_rows,
)


@dataclass(frozen=True, slots=True)
class Parent:
    """A task that decides another: each of its labels belongs to one label of the child.

    Attributes
    ----------
    task : str
    label_of : dict of str to str
        For each label of the parent, the child's.
    """

    task: str
    label_of: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What a model is trained on, and what the checks found.

    Attributes
    ----------
    train, validation : Dataset
        Usable rows (:func:`~tawasul_nlp.training.tables.read_table`), perhaps with second labels in ``second.TASK``;
        ``train`` is an IterableDataset if streamed.
    labels : dict of str to tuple of str
        The names of each task's labels; a parent comes before its child.
    counts : dict of str to ndarray of int, shape (labels,)
        Training rows of each label.
    rows : int
        Training rows.
    groups : ndarray of int, shape (n_train,)
        Duplicates among the training rows have one number.
    leaked : ndarray of bool, shape (n_validation,)
        Validation rows that may be duplicates of a training row.
    files : dict of str to str
        SHA-256 of each file that was read.
    reading : dict of str to Any
        How they were read, as plain data: the ``columns``, and which rows count as ``duplicates``.
    findings : tuple of Finding
    parents : dict of str to Parent
        Of tasks that another one decides.
    related : dict of str to dict of str to tuple of str
        For some tasks, the labels that each label is easily taken for.
    incidents : Incidents or None
    descriptions : Dataset or None
        Further texts that only the n-gram scorer learns from, with the columns of the labels.
    """

    train: Dataset | IterableDataset
    validation: Dataset
    labels: dict[str, tuple[str, ...]]
    counts: dict[str, np.ndarray]
    rows: int
    groups: np.ndarray
    leaked: np.ndarray
    files: dict[str, str]
    reading: dict[str, Any]
    findings: tuple[Finding, ...]
    parents: dict[str, Parent] = field(default_factory=dict)
    related: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    incidents: Incidents | None = None
    descriptions: Dataset | None = None

    @property
    def streamed(self) -> bool:
        """Whether the training rows are never held in memory."""
        return not isinstance(self.train, Dataset)

    @property
    def has_second_labels(self) -> bool:
        """Whether rows may have a second label of a task."""
        return not self.streamed and any(second_column(task) in self.train.column_names for task in self.labels)

    @property
    def left_out(self) -> int:
        """Rows that were read and are not used."""
        return len({place for finding in self.findings if finding.fatal for place in finding.rows})


def read_data(
    data: Any,
    columns: Columns,
    config: TrainConfig,
    cache: Path,
    *,
    validation: Any = None,
    duplicates: Method = "incidents",
) -> TrainingData:
    """Read the tables, check them, and split the first one where there is no second.

    Unusable rows, and validation rows with an unknown label, are left out and are among the findings; it is the
    caller's to stop at a finding that is fatal.

    Parameters
    ----------
    data, validation : str or Path, datasets.Dataset, or a table that Arrow reads
        CSV, JSONL, Parquet or Excel, or rows in memory.
    columns : Columns
    config : TrainConfig
    cache : Path
        Folder for what need not be read twice.
    duplicates : {"incidents", "identical"}
        See :func:`~tawasul_nlp.training.splitting.duplicate_groups`.

    Raises
    ------
    TableError
        If a file is no table.
    ValueError
        If a table lacks a column, or has nothing to train on.
    """
    _needs_two_tables(data, validation)
    named = {"data": data} if validation is None else {"data": data, "validation": validation}
    read = {side: _read(table, columns, cache, side) for side, table in named.items()}
    sources = {side: str(table) if isinstance(table, str | Path) else side for side, table in named.items()}
    findings = [finding for side, rows in read.items() for finding in unusable(sources[side], rows)]
    usable = {side: _chosen(rows, [not problem for problem in rows["problem"]]) for side, rows in read.items()}
    for side, rows in usable.items():
        if not len(rows):
            raise ValueError(f"{sources[side]} has no usable row; {findings[0] if findings else 'it has no rows'}")
    labels = {task: label_names(usable["data"][label_column(task)]) for task in columns.labels}
    if validation is not None:
        unknown = unknown_labels(sources["validation"], usable["validation"], labels)
        strange = {row for finding in unknown for _, row in finding.rows}
        usable["validation"] = _chosen(
            usable["validation"], [row not in strange for row in usable["validation"]["row"]]
        )
        findings += unknown
        if not len(usable["validation"]):
            raise ValueError(f"{sources['validation']} has no row whose labels are among those of {sources['data']}")
    rows = concatenate_datasets(list(usable.values()))
    places = list(zip(rows["file"], rows["row"], strict=True))
    texts = list(rows["text"])
    given = {task: list(rows[label_column(task)]) for task in columns.labels}
    alike = _groups(texts, duplicates, cache)
    groups = joined(alike, *(by_value(list(rows[name])) for name in ("group", "incident") if any(rows[name])))
    if validation is not None:
        validates = np.arange(len(rows)) >= len(usable["data"])
    else:
        validates = split(given, groups, config.validation_share, config.seed)
    findings += compare(Rows(places, texts, given, validates, alike, groups))
    _needs_labels({task: [values[at] for at in np.flatnonzero(validates).tolist()] for task, values in given.items()})
    shared = np.isin(groups, groups[~validates])
    train, held_out = _chosen(rows, (~validates).tolist()), _chosen(rows, validates.tolist())
    incidents = None
    if columns.incident is not None:
        first = label_column(next(iter(labels)))
        incidents = incidents_of(train.to_list(), held_out.to_list(), first, config.seed)
        findings += incident_findings(columns.incident, incidents)
    return TrainingData(
        train,
        held_out,
        labels,
        {task: counted(Counter(train[label_column(task)]), names) for task, names in labels.items()},
        len(train),
        groups[~validates],
        shared[validates],
        {sources[side]: _hash(table, read[side]) for side, table in named.items()},
        {"columns": asdict(columns), "duplicates": duplicates},
        tuple(findings),
        incidents=incidents,
    )


def _read(table: Any, columns: Columns, cache: Path, name: str) -> Dataset:
    return (
        read_table(Path(table), columns, cache) if isinstance(table, str | Path) else table_rows(table, columns, name)
    )


def _hash(table: Any, rows: Dataset) -> str:
    if isinstance(table, str | Path):
        return file_hash(Path(table))
    return hashlib.sha256(json.dumps(rows.to_list(), ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def stream_data(data: Path, columns: Columns, cache: Path, validation: Path) -> TrainingData:
    """Read a table that memory cannot hold once through, check what can be checked so, and return it as a stream.

    Duplicates are only found where a validation text equals a training text after folding; texts of training are not
    compared with each other.
    """
    _needs_two_tables(data, validation)
    if columns.incident is not None:
        raise ValueError("a stream cannot learn incidents, whose reports must be held together; read the whole table")
    held_out = read_table(validation, columns, cache)
    findings = unusable(str(validation), held_out)
    held_out = _chosen(held_out, [not problem for problem in held_out["problem"]])
    stream = stream_table(data, columns)
    passed = _first_pass(str(data), stream, columns, folded(list(held_out["text"])))
    findings += unusable_rows(passed.problems)
    labels = {task: label_names(list(counter)) for task, counter in passed.counts.items()}
    counts = {task: counted(passed.counts[task], names) for task, names in labels.items()}
    unknown = unknown_labels(str(validation), held_out, labels)
    strange = {row for finding in unknown for _, row in finding.rows}
    known = np.array([row not in strange for row in held_out["row"]], bool)
    if not known.any() or not passed.total:
        raise ValueError(f"{validation} and {data} have no usable rows with labels in common")
    held_out, leaked = _chosen(held_out, known.tolist()), passed.leaked[known]
    _needs_labels({task: held_out[label_column(task)] for task in labels})
    findings += unknown
    for task, names in labels.items():
        found = dict(zip(names, counts[task].tolist(), strict=True))
        findings += [*class_sizes(task, found), *doubtful_labels(task, found)]
    if leaked.any():
        places = tuple((str(validation), row) for row, hit in zip(held_out["row"], leaked, strict=True) if hit)
        message = "rows of validation are identical to a row of training"
        findings.append(Finding("identical across splits", False, message, places))
    return TrainingData(
        stream.filter(_is_usable, input_columns="problem"),
        held_out,
        labels,
        counts,
        passed.total,
        np.zeros(0, np.int64),
        leaked,
        {str(path): file_hash(path) for path in (data, validation)},
        {"columns": asdict(columns)},
        tuple(findings),
    )


def _needs_two_tables(data: Any, validation: Any) -> None:
    """Raise ValueError if one table would be learned from and chosen on."""
    paths = isinstance(data, str | Path) and isinstance(validation, str | Path)
    if validation is not None and (
        data is validation or (paths and Path(data).resolve() == Path(validation).resolve())
    ):
        name = str(validation) if paths else "the table"
        raise ValueError(f"{name} both trains and validates; name other validation data, or none to split the table")


def _needs_labels(held_out: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError if a task has no label in validation, without which nothing can be chosen or calibrated."""
    for task, values in held_out.items():
        if not any(values):
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


@dataclass(frozen=True, slots=True, eq=False)
class _Passed:
    """What one pass over a stream finds: usable rows, rows of each label, problems, and which texts occur in it."""

    total: int
    counts: dict[str, Counter[str]]
    problems: dict[str, list[tuple[str, int]]]
    leaked: np.ndarray


def _first_pass(file: str, stream: IterableDataset, columns: Columns, held_out: list[str]) -> _Passed:
    position: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(held_out):
        position[text].append(at)
    leaked = np.zeros(len(held_out), bool)
    counts: dict[str, Counter[str]] = {task: Counter() for task in columns.labels}
    problems: dict[str, list[tuple[str, int]]] = defaultdict(list)
    total = 0
    for batch in stream.iter(1000):
        good = [at for at, problem in enumerate(batch["problem"]) if not problem]
        total += len(good)
        for row, problem in zip(batch["row"], batch["problem"], strict=True):
            if problem:
                problems[problem].append((file, row))
        for task, counter in counts.items():
            counter.update(batch[label_column(task)][at] for at in good)
        for text in folded([batch["text"][at] for at in good]):
            leaked[position.get(text, [])] = True
    return _Passed(total, counts, problems, leaked)


def _is_usable(problem: str) -> bool:
    return not problem


def truth_of(rows: Dataset, labels: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Return the label index of each row for each task; -1 where it has none: int arrays (n_rows,)."""
    index = {task: {name: at for at, name in enumerate(names)} for task, names in labels.items()}
    return {
        task: np.array([numbers.get(label, -1) for label in rows[label_column(task)]], np.int64)
        for task, numbers in index.items()
    }


def counted(counter: Counter[str], names: tuple[str, ...]) -> np.ndarray:
    """Return how often each name occurs: (names,), int64."""
    return np.array([counter[name] for name in names], np.int64)


def _chosen(rows: Dataset, wanted: list[bool]) -> Dataset:
    return rows if all(wanted) else rows.select([index for index, keep in enumerate(wanted) if keep])
