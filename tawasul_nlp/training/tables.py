"""Read a labelled table as a ``datasets.Dataset``: any CSV, JSONL or Parquet with a text and some label columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, IterableDataset, Value
from datasets.exceptions import DatasetGenerationError

from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.io.chunk import is_text, to_cell, to_name
from tawasul_nlp.tables.io.readers import open_reader

# Names that the network or the exported graph already use for something else.
_TAKEN = {"embedding", "incident", "input_ids", "attention_mask", "token_type_ids", "mlm_labels", "loss", "training"}
# And keys that a prediction has beside its tasks, and names that a torch module cannot give to a part.
_TAKEN |= {"text", "governorate", "block", "places", "routing", "needs_review", "reasons", "type"}
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
        Rows with the same value tell of the same thing and stay on one side of a split.
    """

    text: str
    labels: dict[str, str]
    group: str | None = None

    @classmethod
    def parse(cls, text: str, labels: str, group: str | None = None) -> Columns:
        """Read the command line's form: ``dept,subject``, or ``task=column`` to name the task otherwise.

        Raises
        ------
        ValueError
            If a task is named twice or has a name that cannot be one.

        Examples
        --------
        >>> Columns.parse("text", "dept,intent=label_en").labels
        {'dept': 'dept', 'intent': 'label_en'}
        """
        found: dict[str, str] = {}
        for part in labels.split(","):
            task, _, column = part.partition("=")
            task, column = task.strip(), (column or task).strip()
            if not _TASK_NAME.fullmatch(task) or task.casefold() in _TAKEN or task.startswith("_"):
                raise ValueError(
                    f"a task cannot be called {task!r}: expected letters, digits and _, and none of "
                    f"{', '.join(sorted(_TAKEN))}; name it with --label-columns task={column}"
                )
            if task in found:
                raise ValueError(f"--label-columns names {task!r} twice")
            found[task] = column
        return cls(text, found, group)

    @property
    def features(self) -> Features:
        """The columns of the data set that :func:`read_table` returns."""
        names = ["file", "text", "group", "problem", *(label_column(task) for task in self.labels)]
        return Features({"row": Value("int64"), **{name: Value("string") for name in names}})


def label_column(task: str) -> str:
    """Return the name of a task's column in the data set."""
    return f"label.{task}"


def read_rows(path: str, columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield every row of a table; an unreadable one with its ``problem`` and nothing else.

    Numbers are those of the table's rows from 1, without the header. Labels and groups are stripped of blanks.
    """
    empty = {**dict.fromkeys(columns.features, ""), "file": path}
    for chunk in open_reader(path, text_column=columns.text).chunks():
        records = zip(chunk.numbers, chunk.records(), strict=True)
        rows = {number: empty | _row(number, record, columns) for number, record in records}
        rows |= {reject.row: {**empty, "row": reject.row, "problem": reject.reason} for reject in chunk.rejects}
        for number in sorted(rows):
            yield rows[number]


def _row(number: int, record: dict[str, Any], columns: Columns) -> dict[str, Any]:
    text = to_cell(record.get(columns.text))
    problem = ""
    if not any(char.isalnum() for char in text):
        problem = "the text is missing" if not text.strip() else "the text has no letters or digits"
    elif not is_text(text):
        problem = "the text holds half of a surrogate pair"
    values = {label_column(task): to_name(record.get(column)) for task, column in columns.labels.items()}
    if not problem and not any(values.values()):
        problem = "every label is missing"
    group = to_name(record.get(columns.group)) if columns.group else ""
    return {"row": number, "text": text, "group": group, "problem": problem, **values}


def check_columns(path: Path, columns: Columns) -> None:
    """Raise ValueError if the table lacks a column that is asked for."""
    has = open_reader(path, text_column=columns.text).columns
    wanted = [columns.text, *columns.labels.values(), *([columns.group] if columns.group else [])]
    missing = [name for name in wanted if name not in has]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(map(repr, missing))}; its columns are {', '.join(has)}")


def read_table(path: Path, columns: Columns, cache: Path) -> Dataset:
    """Read a whole table, memory-mapped from ``cache`` on the second time.

    Returns
    -------
    Dataset
        Columns ``file``, ``row`` (from 1), ``text``, ``group``, ``problem`` (why the row cannot be used, or nothing)
        and ``label.TASK`` for each task, all in the order of the table.

    Raises
    ------
    TableError
        If the file is no table, or is damaged.
    ValueError
        If it lacks a column.
    """
    check_columns(path, columns)
    # Named for the file's content, so that an edited file is read anew.
    name = hashlib.sha256(f"{file_hash(path)} {path} {columns}".encode()).hexdigest()[:16]
    try:
        return Dataset.from_generator(
            read_rows,
            features=columns.features,
            cache_dir=str(cache),
            gen_kwargs={"path": str(path), "columns": columns},
            fingerprint=name,
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, TableError):  # datasets hides behind its own error what the reader said
            raise TableError(str(error.__cause__)) from error
        raise


def stream_table(path: Path, columns: Columns) -> IterableDataset:
    """Return the rows of :func:`read_table` without holding more than one chunk of the table in memory."""
    check_columns(path, columns)
    return IterableDataset.from_generator(
        read_rows, features=columns.features, gen_kwargs={"path": str(path), "columns": columns}
    )


def label_names(values: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct labels among ``values`` in sorted order, without the missing."""
    return tuple(sorted(set(values) - {""}))
