"""A labelled table as it is trained on, read as a ``datasets.Dataset``, and descriptions of its labels.

Any CSV, JSONL, Parquet or Excel with a text and some label columns.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import yaml
from datasets import Dataset
from datasets.fingerprint import generate_random_fingerprint

from tawasul_nlp import _yaml
from tawasul_nlp.model.folder import RESERVED_NAMES, check_multi_label_name
from tawasul_nlp.model.label_sets import sorted_cell, split_labels
from tawasul_nlp.tables.labelled import open_labelled

# Those of every model, and what the network uses for something else in training.
_TAKEN = RESERVED_NAMES | {"mlm_labels", "loss", "training", "type", "accuracy", "macro_f1"}
_PART = 10_000
_SHOWN = 12
Method = Literal["incidents", "identical"]
_TASK_NAME = re.compile(r"[^\W\d]\w*")


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


@dataclass(frozen=True, slots=True)
class LabelledData:
    """A labelled table as it is trained on: rows, which columns are read, and what keeps rows together.

    Examples
    --------
    >>> LabelledData("cases.csv", label_columns=["dept"], multi_label_columns={"tags": "topics"}).tasks
    {'dept': 'dept', 'tags': 'topics'}
    """

    # CSV, JSONL, Parquet or Excel with a header, or a table of pandas, Polars, Arrow or datasets.
    source: Any = field(repr=False)
    text_column: str = "text"
    # Each becomes a task of its name; a mapping names the task of each column.
    label_columns: str | Sequence[str] | Mapping[str, str] = ()
    # Columns of which a cell holds several labels, separated by ``|``, or a list of them. An empty cell says that the
    # labels are unknown; a lone ``|``, or an empty list, that the text has none.
    multi_label_columns: str | Sequence[str] | Mapping[str, str] = ()
    # Rows to validate on, like ``source``; None for a part of it, by whole groups of duplicates.
    validation: Any = field(default=None, repr=False)
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

    def __post_init__(self) -> None:
        if isinstance(self.missing_labels, str):
            value = self.missing_labels
            raise ValueError(f"missing_labels is {value!r}, expected a list of values; write [{value!r}]")

    @property
    def tasks(self) -> dict[str, str]:
        """The column of each task, named by ``dept,subject`` or a list, or as ``task=column`` or by a mapping.

        Raises
        ------
        ValueError
            If there is no task, or one is named twice or has a name that cannot be one.
        """
        named = [*_named_columns(self.label_columns), *_named_columns(self.multi_label_columns)]
        for task, column in named:
            if not _TASK_NAME.fullmatch(task) or task.casefold() in _TAKEN or task.startswith("_"):
                raise ValueError(
                    f"a task cannot be called {task!r}: expected letters, digits and _, and none of "
                    f"{', '.join(sorted(_TAKEN))}; name it otherwise, as in task={column}"
                )
            if sum(task == other for other, _ in named) > 1:
                raise ValueError(f"the label columns name {task!r} twice")
        for task in self.multi_label:
            check_multi_label_name(task)
        if not named:
            raise ValueError("there is no label column; name the columns that hold the labels")
        return dict(named)

    @property
    def multi_label(self) -> tuple[str, ...]:
        """The tasks whose cells hold several labels."""
        return tuple(task for task, _ in _named_columns(self.multi_label_columns))

    @property
    def reading(self) -> dict[str, Any]:
        """How the table is read, as plain data."""
        columns = {
            "text": self.text_column,
            "labels": self.tasks,
            "group": self.group_column,
            "slice": self.slice_column,
            "missing": tuple(self.missing_labels),
            "multi_label": self.multi_label,
        }
        return {"columns": columns, "duplicates": self.duplicates}

    @property
    def name(self) -> str:
        """The file's name, or the kind of table."""
        return Path(self.source).name if isinstance(self.source, str | Path) else type(self.source).__name__


def _named_columns(columns: str | Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return task and column of each name."""
    if isinstance(columns, Mapping):
        return [(task.strip(), column.strip()) for task, column in columns.items()]
    parts = (columns.split(",") if columns else []) if isinstance(columns, str) else columns
    named = [part.partition("=")[::2] for part in parts]
    return [(task.strip(), (column or task).strip()) for task, column in named]


def label_column(task: str) -> str:
    """Return the name of a task's column in the data set."""
    return f"label.{task}"


def read_table(source: Any, data: LabelledData, name: str) -> Dataset:
    """Read a whole table, called ``name``, with the columns of ``data``; TableError if it is none or lacks a column.

    The data set has the columns ``row`` (from 1, without the header), ``file``, ``text``, ``group``, ``slice``,
    ``problem`` (why the row cannot be used, or nothing) and ``label.TASK`` for each task, in the order of the table.
    Labels and groups are stripped of blanks. A cell of a multi-label task has each label once and in sorted order, so
    that equal sets are equal.
    """
    table, tasks, multi_label = open_labelled(source, data.text_column), data.tasks, data.multi_label
    others = {"group": data.group_column, "slice": data.slice_column}
    table.check_columns(list(tasks.values()))
    for option, column in others.items():
        if column is not None:
            table.check_columns([column], f"--{option}-column")

    def rows() -> Iterator[dict[str, Any]]:
        for row in table.rows():
            cells = {task: row.label(column) for task, column in tasks.items()}
            cells = {task: "" if cell in data.missing_labels else cell for task, cell in cells.items()}
            labels = {
                label_column(task): sorted_cell(cell) if task in multi_label else cell for task, cell in cells.items()
            }
            problem = row.problem
            if not problem and not any(char.isalnum() for char in row.text):
                problem = "the text has no letters or digits"
            if not problem and not any(labels.values()):
                problem = "every label is missing"
            values = {"row": row.number, "file": name, "text": row.text, "problem": problem}
            yield values | {key: row.label(column) if column else "" for key, column in others.items()} | labels

    return _dataset(rows(), tasks)


def _dataset(rows: Iterator[dict[str, Any]], tasks: Iterable[str]) -> Dataset:
    names = ["file", "text", "group", "slice", "problem", *map(label_column, tasks)]
    schema = pa.schema([("row", pa.int64()), *((name, pa.string()) for name in names)])
    # Part by part, as a row of Python's takes many times the memory of one of Arrow's.
    parts = iter(lambda: list(islice(rows, _PART)), [])
    table = pa.Table.from_batches([pa.RecordBatch.from_pylist(part, schema) for part in parts], schema)
    # Else the whole table is pickled for a fingerprint, by which nothing in memory is cached.
    return Dataset(table, fingerprint=generate_random_fingerprint())


def label_names(cells: Iterable[str], *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the distinct labels of a column's cells in sorted order, without the missing."""
    return tuple(sorted({label for cell in set(cells) for label in labels_of(cell, multi_label=multi_label)}))


def labels_of(cell: str, *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the labels of a cell: of a multi-label task all that it names."""
    return split_labels(cell) if multi_label else (cell,) if cell else ()


_TASK, _LABEL, _TEXT = "task", "label", "description"


def read_descriptions(data: LabelledData) -> Dataset:
    """Read the descriptions of labels as rows of a data set, each with its one label.

    They are a table with the columns ``label`` and ``description``, and ``task`` if there are several tasks. Or a
    mapping (in a file: YAML) from each label to its description or a list of them; of several tasks, from each task to
    such a mapping.

    Raises
    ------
    DataError
        If a YAML file holds something else; with file and line.
    ValueError
        If there is no description, a task is not among the label columns, or a label or its description is missing.

    Examples
    --------
    >>> data = LabelledData("cases.csv", label_columns="dept", descriptions={"water": "انقطاع الماء أو ضعفه"})
    >>> rows = read_descriptions(data)
    >>> rows["label.dept"][0], rows["text"][0]
    ('water', 'انقطاع الماء أو ضعفه')
    """
    tasks = data.tasks
    name = str(data.descriptions) if isinstance(data.descriptions, str | Path) else "descriptions"
    rows = []
    for number, (task, label, text) in enumerate(_described(data.descriptions, name, list(tasks)), start=1):
        if task not in tasks:
            raise ValueError(f"{name} describes {task!r}, expected one of the tasks {', '.join(tasks)}")
        if not label or not any(char.isalnum() for char in text):
            raise ValueError(
                f"{name}: description {number} has no {'letters or digits' if label else 'label'}; complete it"
            )
        empty = dict.fromkeys(("group", "slice", "problem", *map(label_column, tasks)), "")
        rows.append({**empty, "file": name, "row": number, "text": text, label_column(task): label})
    if not rows:
        raise ValueError(f"{name} has no description; give one for each label, or leave the descriptions out")
    return _dataset(iter(rows), tasks)


def described_only(descriptions: Dataset, labels: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return for each task the labels that have a description and are not among ``labels``."""
    return {
        task: tuple(sorted(set(descriptions[label_column(task)]) - set(names) - {""})) for task, names in labels.items()
    }


def _described(source: Any, name: str, tasks: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield task, label and text of each description."""
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        if not Path(source).is_file():
            raise ValueError(f"there is no file {name}; write one, or name a table with {_LABEL} and {_TEXT}")
        source = _yaml.read(Path(source), _labels_or_tasks)
    if isinstance(source, Mapping):
        nested = any(isinstance(value, Mapping) for value in source.values())
        for task, labels in (source if nested else {_only(tasks, name): source}).items():
            if not isinstance(labels, Mapping):
                raise ValueError(f"{name} has {task!r} beside tasks, expected tasks only or labels only")
            for label, texts in labels.items():
                for text in [texts] if isinstance(texts, str) else texts:
                    yield task, label, text
        return
    table = open_labelled(source, _TEXT)
    table.check_columns([_LABEL], "--descriptions")
    several = _TASK in table.columns
    for row in table.rows():
        if row.problem:
            raise ValueError(f"{name}, row {row.number}: {row.problem}; complete it")
        yield row.label(_TASK) if several else _only(tasks, name), row.label(_LABEL), row.text


def _only(tasks: list[str], name: str) -> str:
    if len(tasks) > 1:
        raise ValueError(f"{name} names no task, expected the task of each label: there are {', '.join(tasks)}")
    return tasks[0]


def _labels_or_tasks(node: yaml.Node, source: str) -> dict[str, Any]:
    """Accept texts by label, or by task and label."""
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected 'label: description' lines, got a {node.id}")
    descriptions: dict[str, Any] = {}
    kinds = {yaml.MappingNode: _labels_or_tasks, yaml.SequenceNode: _yaml.list_of(_yaml.text)}
    for key, value in node.value:
        label = _yaml.text(key, source)
        if label in descriptions:
            raise _yaml.error_at(key, source, f"expected each label once, got {label!r} twice")
        descriptions[label] = kinds.get(type(value), _yaml.text)(value, source)
    return descriptions
