"""Read a table of texts and labels for the evaluations: CSV, JSONL or Parquet, nothing dropped in silence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp.tables import TableError
from tawasul_nlp.tables.io.chunk import to_name
from tawasul_nlp.tables.io.readers import open_reader


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """The rows of a table that have a text.

    Attributes
    ----------
    path : Path
    texts : list of str
    numbers : list of int
        Row number of each, from 1.
    columns : dict of str to (list of str)
        The columns that were asked for, as text; empty where a row has none.
    skipped : list of (int, str)
        Row number and reason of each row that could not be used.
    """

    path: Path
    texts: list[str]
    numbers: list[int]
    columns: dict[str, list[str]]
    skipped: list[tuple[int, str]]

    def __len__(self) -> int:
        return len(self.texts)

    def counted(self) -> str:
        """Say what became of the rows."""
        read = len(self.texts) + len(self.skipped)
        reasons = "; ".join(f"row {number}: {reason}" for number, reason in self.skipped[:5])
        more = " ..." if len(self.skipped) > 5 else ""
        left = f" ({reasons}{more})" if self.skipped else ""
        return f"{self.path.name}: {read} rows = {len(self.texts)} used + {len(self.skipped)} not usable{left}"

    def groups(self, column: str | None) -> np.ndarray:
        """Number the rows by a column's values, (n,) int; rows without a value, or all without a column, stand alone.

        Rows of one number belong together in a bootstrap.
        """
        if column is None:
            return np.arange(len(self.texts))
        values = [value or f"\0{row}" for row, value in enumerate(self.columns[column])]
        return np.unique(values, return_inverse=True)[1] if values else np.zeros(0, np.int64)


def read_table(path: Path, text_column: str, columns: Sequence[str] = ()) -> TextTable:
    """Read the text column and the named others.

    Raises
    ------
    TableError
        If the file is no table, has no such column, or has no row with a text.
    """
    reader = open_reader(path, text_column=text_column)
    wanted = list(dict.fromkeys([text_column, *columns]))
    seen: set[str] = set(reader.columns)
    texts: list[str] = []
    numbers: list[int] = []
    kept: dict[str, list[str]] = {name: [] for name in wanted}
    skipped: list[tuple[int, str]] = []
    missing = [name for name in wanted if seen and name not in seen]
    if missing:
        raise TableError(f"{path} has no column {missing[0]!r}; its columns are {', '.join(map(repr, reader.columns))}")
    for chunk in reader.chunks():
        skipped += [(reject.row, reject.reason) for reject in chunk.rejects]
        for number, record in zip(chunk.numbers, chunk.records(), strict=True):
            seen.update(record)
            text = record.get(text_column)
            if not isinstance(text, str) or not text.strip():
                skipped.append((number, "no text"))
                continue
            texts.append(text)
            numbers.append(number)
            for name in wanted:
                kept[name].append(to_name(record.get(name)))
    for name in wanted:
        if name not in seen:
            raise TableError(f"{path} has no column {name!r}; its columns are {', '.join(map(repr, sorted(seen)))}")
    if not texts:
        raise TableError(f"{path} has no row with a text in column {text_column!r}")
    return TextTable(Path(path), texts, numbers, kept, sorted(skipped))


def task_columns(given: str | None, tasks: Sequence[str]) -> dict[str, str]:
    """Map each task to its column: ``topic,agency`` or ``topic=category,agency=body``; None for all tasks by name.

    >>> task_columns("topic=category,agency", ["topic", "agency", "kind"])
    {'topic': 'category', 'agency': 'agency'}

    Raises
    ------
    ValueError
        If a named task is none of the model's, or named twice.
    """
    if given is None:
        return {task: task for task in tasks}
    found = {}
    for item in given.split(","):
        task, _, column = item.strip().partition("=")
        if task not in tasks:
            raise ValueError(
                f"label column {item.strip()!r} names no task of the model ({', '.join(tasks)}); "
                f"write TASK=COLUMN, such as {tasks[0]}={item.strip()}"
            )
        if task in found:
            raise ValueError(f"the label columns name the task {task!r} twice")
        found[task] = column or task
    return found


def row_keys(texts: Sequence[str], labels: dict[str, list[str]]) -> list[str]:
    """Return a short hash of each row's text and labels, by which two results are known to be about the same rows."""
    rows = zip(texts, *(labels[task] for task in sorted(labels)), strict=True)
    return [hashlib.sha256(json.dumps(row).encode()).hexdigest()[:12] for row in rows]


def hit_string(hits: np.ndarray, known: np.ndarray) -> str:
    """Write which answers are right as one character a row: ``1``, ``0``, or ``-`` where the row has no label.

    >>> hit_string(np.array([True, False, False]), np.array([True, True, False]))
    '10-'
    """
    return "".join("-" if not labelled else "1" if hit else "0" for hit, labelled in zip(hits, known, strict=True))
