"""Read a labelled table as a ``datasets.Dataset``, and descriptions of its labels, which a training learns from too.

Any CSV, JSONL, Parquet or Excel with a text and some label columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from datasets import Dataset, Features, Value
from datasets.fingerprint import generate_random_fingerprint

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError
from tawasul_nlp.model.folder import RESERVED_NAMES, check_multi_label_name
from tawasul_nlp.model.label_sets import sorted_cell, split_labels
from tawasul_nlp.tables.labelled import open_labelled

# Those of every model, and what the network uses for something else in training.
_TAKEN = RESERVED_NAMES | {"mlm_labels", "loss", "training", "type", "accuracy", "macro_f1"}
# The column of marked clauses (:mod:`tawasul_nlp.training.marks`).
CLAUSES = "clauses"
_PART = 10_000
_TASK_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are read."""

    text: str
    # For each task of the model, the column that holds its label.
    labels: dict[str, str]
    # Rows with the same value belong together and stay on one side of a split.
    group: str | None = None
    # Rows with the same value describe the same incident: they too stay together, and incident vectors and a pair
    # scorer are learned from them.
    incident: str | None = None
    # The model is measured on the rows of each value.
    slice: str | None = None
    # Values of the label columns that stand for no label.
    missing: tuple[str, ...] = ()
    # The tasks whose cells hold several labels, separated by ``|``.
    multi_label: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        text: str,
        labels: str | Sequence[str] | Mapping[str, str],
        group: str | None = None,
        incident: str | None = None,
        slice: str | None = None,
        missing: Sequence[str] = (),
        multi_label: str | Sequence[str] | Mapping[str, str] = (),
    ) -> Columns:
        """Name the tasks: ``dept,subject`` or a list after their columns, ``task=column`` or a mapping otherwise.

        Those of ``multi_label`` are further tasks.

        Raises
        ------
        ValueError
            If a task is named twice or has a name that cannot be one, or ``missing`` is one string.

        Examples
        --------
        >>> Columns.parse("text", "dept,intent=label_en").labels
        {'dept': 'dept', 'intent': 'label_en'}
        >>> Columns.parse("text", "dept", multi_label="tags").multi_label
        ('tags',)
        """
        if isinstance(missing, str):
            raise ValueError(f"missing_labels is {missing!r}, expected a list of values; write [{missing!r}]")
        columns: dict[str, str] = {}
        several: list[str] = []
        for task, column, is_multi_label in [
            *((*named, False) for named in _named_columns(labels)),
            *((*named, True) for named in _named_columns(multi_label)),
        ]:
            if not _TASK_NAME.fullmatch(task) or task.casefold() in _TAKEN or task.startswith("_"):
                raise ValueError(
                    f"a task cannot be called {task!r}: expected letters, digits and _, and none of "
                    f"{', '.join(sorted(_TAKEN))}; name it otherwise, as in task={column}"
                )
            if task in columns:
                raise ValueError(f"the label columns name {task!r} twice")
            if is_multi_label:
                check_multi_label_name(task)
                several.append(task)
            columns[task] = column
        if not columns:
            raise ValueError("there is no label column; name the columns that hold the labels")
        return cls(text, columns, group, incident, slice, tuple(missing), tuple(several))

    @property
    def features(self) -> Features:
        """The columns of the data set that :func:`read_table` returns."""
        names = ["file", "text", "group", "incident", "slice", "problem", *(label_column(task) for task in self.labels)]
        return Features({"row": Value("int64"), **{name: Value("string") for name in names}})


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


def second_column(task: str) -> str:
    """Return the name of the column of second labels, for a task that has them."""
    return f"second.{task}"


def read_rows(source: Any, columns: Columns, name: str) -> Iterator[dict[str, Any]]:
    """Yield every row of a table; one that cannot be used has its ``problem``.

    Numbers are those of the table's rows from 1, without the header. Labels and groups are stripped of blanks. A cell
    of a multi-label task has each label once and in sorted order, so that equal sets are equal.
    """
    for row in open_labelled(source, columns.text).rows():
        cells = {label_column(task): row.label(column) for task, column in columns.labels.items()}
        labels = {name: "" if value in columns.missing else value for name, value in cells.items()}
        for column in map(label_column, columns.multi_label):
            labels[column] = sorted_cell(labels[column])
        problem = row.problem
        if not problem and not any(char.isalnum() for char in row.text):
            problem = "the text has no letters or digits"
        if not problem and not any(labels.values()):
            problem = "every label is missing"
        values = {"file": name, "row": row.number, "text": row.text, "problem": problem}
        others = {"group": columns.group, "incident": columns.incident, "slice": columns.slice}
        yield values | {key: row.label(column) if column else "" for key, column in others.items()} | labels


def check_columns(source: Any, columns: Columns) -> None:
    """Raise MissingColumnError if the table lacks a column that is asked for."""
    opened = open_labelled(source, columns.text)
    opened.check_columns(list(columns.labels.values()))
    options = {"group": columns.group, "incident": columns.incident, "slice": columns.slice}
    for option, column in options.items():
        if column is not None:
            opened.check_columns([column], f"--{option}-column")


def read_table(source: Any, columns: Columns, name: str) -> Dataset:
    """Read a whole table, a file or one in memory, which is called ``name``.

    Returns
    -------
    Dataset
        Columns ``file``, ``row`` (from 1), ``text``, ``group``, ``incident``, ``slice``, ``problem`` (why the row
        cannot be used, or nothing) and ``label.TASK`` for each task, all in the order of the table.

    Raises
    ------
    TableError
        If the file is not a table, is damaged, or lacks a column.
    """
    check_columns(source, columns)
    schema, rows = columns.features.arrow_schema, read_rows(source, columns, name)
    # Part by part, as a row of Python's takes many times the memory of one of Arrow's.
    parts = iter(lambda: list(islice(rows, _PART)), [])
    table = pa.Table.from_batches([pa.RecordBatch.from_pylist(part, schema) for part in parts], schema)
    # Else the whole table is pickled for a fingerprint, by which nothing in memory is cached.
    return Dataset(table, fingerprint=generate_random_fingerprint())


def label_names(cells: Iterable[str], *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the distinct labels of a column's cells in sorted order, without the missing."""
    return tuple(sorted({label for cell in set(cells) for label in labels_of(cell, multi_label=multi_label)}))


def labels_of(cell: str, *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the labels of a cell.

    >>> labels_of("roads|lighting", multi_label=True), labels_of("roads"), labels_of("")
    (('lighting', 'roads'), ('roads',), ())
    """
    return split_labels(cell) if multi_label else (cell,) if cell else ()


_TASK, _LABEL, _TEXT = "task", "label", "description"
_Description = tuple[str, str, str]  # task, label, text


def read_descriptions(source: Any, columns: Columns) -> Dataset:
    """Read descriptions as rows of a data set, each with its one label.

    Parameters
    ----------
    source : str, Path, mapping, or a table of pandas, Polars or Arrow
        A table with the columns ``label`` and ``description``, and ``task`` if there are several tasks. Or a mapping
        (in a file: YAML) from each label to its description or a list of them; of several tasks, from each task to
        such a mapping. A label may have several descriptions.

    Raises
    ------
    DataError
        If a YAML file holds something else; with file and line.
    ValueError
        If there is no description, a task is not among the label columns, or a label or its description is missing.

    Examples
    --------
    >>> found = read_descriptions({"water": "انقطاع الماء أو ضعفه"}, Columns("text", {"dept": "dept"}))
    >>> found["label.dept"][0], found["text"][0]
    ('water', 'انقطاع الماء أو ضعفه')
    """
    name = str(source) if isinstance(source, str | Path) else "descriptions"
    descriptions = list(_given(source, name, list(columns.labels)))
    if not descriptions:
        raise ValueError(f"{name} has no description; give one for each label, or leave the descriptions out")
    for number, (task, label, text) in enumerate(descriptions, start=1):
        if task not in columns.labels:
            raise ValueError(f"{name} describes {task!r}, expected one of the tasks {', '.join(columns.labels)}")
        if not label or not any(char.isalnum() for char in text):
            raise ValueError(
                f"{name}: description {number} has no {'letters or digits' if label else 'label'}; complete it"
            )
    empty = dict.fromkeys(columns.features, "")
    rows = [
        {**empty, "file": name, "row": number, "text": text, label_column(task): label}
        for number, (task, label, text) in enumerate(descriptions, start=1)
    ]
    return Dataset.from_list(rows, features=columns.features)


def described_only(descriptions: Dataset, labels: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return for each task the labels that have a description and are not among ``labels``."""
    return {
        task: tuple(sorted(set(descriptions[label_column(task)]) - set(names) - {""})) for task, names in labels.items()
    }


def _given(source: Any, name: str, tasks: list[str]) -> Iterator[_Description]:
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        if not Path(source).is_file():
            raise ValueError(f"there is no file {name}; write one, or name a table with {_LABEL} and {_TEXT}")
        source = _yaml.read(Path(source), _described)
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


def _described(node: yaml.Node, source: str) -> Any:
    """Accept texts by label, or by task and label."""
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{source}:{node.start_mark.line + 1}: expected 'label: description' lines, got a {node.id}")
    descriptions: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in descriptions:
            written = f"{key.value!r} twice" if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
            raise DataError(f"{source}:{key.start_mark.line + 1}: expected each label once, got {written}")
        if isinstance(value, yaml.MappingNode):
            descriptions[key.value] = _described(value, source)
        elif isinstance(value, yaml.SequenceNode):
            descriptions[key.value] = _yaml.list_of(_yaml.text)(value, source)
        else:
            descriptions[key.value] = _yaml.text(value, source)
    return descriptions
