"""Read a labelled table as a ``datasets.Dataset``: any CSV, JSONL or Parquet with a text and some label columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value
from datasets.exceptions import DatasetGenerationError

from tawasul_nlp.model.folder import RESERVED_NAMES, check_multi_label_name, file_hash
from tawasul_nlp.model.label_sets import sorted_cell, split_labels
from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.labelled import open_labelled

# Those of every model, and what the network uses for something else in training.
_TAKEN = RESERVED_NAMES | {"mlm_labels", "loss", "training", "type", "accuracy", "macro_f1"}
_TASK_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table are read.

    Attributes
    ----------
    text : str
    labels : dict of str to str
        For each task of the model, the column that holds its label.
    group : str or None
        Rows with the same value belong together and stay on one side of a split.
    incident : str or None
        Rows with the same value describe the same incident: they too stay together, and incident vectors and a pair
        scorer are learned from them.
    slice : str or None
        The model is measured on the rows of each value.
    missing : tuple of str
        Values of the label columns that stand for no label.
    multi_label : tuple of str
        The tasks whose cells hold several labels, separated by ``|``.
    """

    text: str
    labels: dict[str, str]
    group: str | None = None
    incident: str | None = None
    slice: str | None = None
    missing: tuple[str, ...] = ()
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
        found: dict[str, str] = {}
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
            if task in found:
                raise ValueError(f"the label columns name {task!r} twice")
            if is_multi_label:
                check_multi_label_name(task)
                several.append(task)
            found[task] = column
        if not found:
            raise ValueError("there is no label column; name the columns that hold the labels")
        return cls(text, found, group, incident, slice, tuple(missing), tuple(several))

    @property
    def features(self) -> Features:
        """The columns of the data set that :func:`read_table` returns."""
        names = ["file", "text", "group", "incident", "slice", "problem", *(label_column(task) for task in self.labels)]
        return Features({"row": Value("int64"), **{name: Value("string") for name in names}})


def _named_columns(given: str | Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Return task and column of each name."""
    if isinstance(given, Mapping):
        return [(task.strip(), column.strip()) for task, column in given.items()]
    parts = (given.split(",") if given else []) if isinstance(given, str) else given
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
        given = {label_column(task): row.label(column) for task, column in columns.labels.items()}
        labels = {name: "" if value in columns.missing else value for name, value in given.items()}
        for column in map(label_column, columns.multi_label):
            labels[column] = sorted_cell(labels[column])
        problem = row.problem
        if not problem and not any(char.isalnum() for char in row.text):
            problem = "the text has no letters or digits"
        if not problem and not any(labels.values()):
            problem = "every label is missing"
        own = {"file": name, "row": row.number, "text": row.text, "problem": problem}
        others = {"group": columns.group, "incident": columns.incident, "slice": columns.slice}
        yield own | {key: row.label(column) if column else "" for key, column in others.items()} | labels


def check_columns(source: Any, columns: Columns) -> None:
    """Raise MissingColumnError if the table lacks a column that is asked for."""
    opened = open_labelled(source, columns.text)
    opened.check_columns(list(columns.labels.values()))
    options = {"group": columns.group, "incident": columns.incident, "slice": columns.slice}
    for option, column in options.items():
        if column is not None:
            opened.check_columns([column], f"--{option}-column")


def table_rows(table: Any, columns: Columns, name: str) -> Dataset:
    """Return the rows of a table in memory as :func:`read_table` does those of a file; ``name`` stands for it."""
    check_columns(table, columns)
    return Dataset.from_list(list(read_rows(table, columns, name)), features=columns.features)


def read_table(path: Path, columns: Columns, cache: Path) -> Dataset:
    """Read a whole table, memory-mapped from ``cache`` on the second time.

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
    check_columns(path, columns)
    # Named for the file's content, so that an edited file is read anew.
    name = hashlib.sha256(f"{file_hash(path)} {path} {columns}".encode()).hexdigest()[:16]
    try:
        return Dataset.from_generator(
            read_rows,
            features=columns.features,
            cache_dir=str(cache),
            gen_kwargs={"source": str(path), "columns": columns, "name": str(path)},
            fingerprint=name,
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, TableError):  # datasets hides behind its own error what the scorer said
            raise TableError(str(error.__cause__)) from error
        raise


def label_names(cells: Iterable[str], *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the distinct labels of a column's cells in sorted order, without the missing."""
    return tuple(sorted({label for cell in set(cells) for label in labels_of(cell, multi_label=multi_label)}))


def labels_of(cell: str, *, multi_label: bool = False) -> tuple[str, ...]:
    """Return the labels of a cell.

    >>> labels_of("roads|lighting", multi_label=True), labels_of("roads"), labels_of("")
    (('lighting', 'roads'), ('roads',), ())
    """
    return split_labels(cell) if multi_label else (cell,) if cell else ()
