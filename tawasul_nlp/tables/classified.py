"""A classified table, row by row: what the model answered, how sure it was, and which incident a case is in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tawasul_nlp.model.label_sets import NONE, SEPARATOR, join_labels, sorted_cell
from tawasul_nlp.tables.added_columns import FALLBACK_PREFIX, GROUP_COLUMNS, classification_columns
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_cell, to_name
from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.fields import (
    check_columns,
    checked_columns,
    field,
    named,
    open_source,
    with_texts,
    wordiest,
)
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import ReadOptions
from tawasul_nlp.tables.run.case_rows import likely_id

_YES = ("true", "1", "1.0")
_NEEDED = ("needs_review", "review_reasons")


@dataclass(frozen=True, slots=True)
class ClassifiedCase:
    """One row of a classified table.

    Attributes
    ----------
    row : int
        From 1; a header is not counted.
    text : str
    id : str or None
    labels : mapping of str to str
        The model's answer for each task; of a multi-label task, the sorted cell.
    probabilities : mapping of str to float
        Of these answers; of several labels, that of the least sure one.
    needs_review : bool
    reasons : tuple of str
    incident : str or None
        Of a grouped table.
    record : mapping
        The whole row.
    """

    row: int
    text: str
    id: str | None
    labels: Mapping[str, str]
    probabilities: Mapping[str, float]
    needs_review: bool
    reasons: tuple[str, ...]
    incident: str | None
    record: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What names this row of this table: its number, and eight digits of its text's hash."""
        return f"r{self.row}-{hashlib.sha256(self.text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class ClassifiedTable:
    """An opened table that classification, and perhaps grouping, added columns to.

    Attributes
    ----------
    path : Path
    file : InputFile
    reader : Reader
    text : tuple of str
        The columns of the texts.
    id : str or None
    tasks, multi_label : tuple of str
        All tasks, and those of which a case may have several labels.
    prefix, group_prefix : str
        Before the names of the added columns.
    grouped : bool
    """

    path: Path
    file: InputFile
    reader: Reader
    text: tuple[str, ...]
    id: str | None
    tasks: tuple[str, ...]
    multi_label: tuple[str, ...]
    prefix: str
    group_prefix: str
    grouped: bool

    def column(self, name: str) -> str:
        """Return the name in this table of a column that classification adds."""
        return self.prefix + name

    def has(self, name: str) -> bool:
        """Whether the table has a column that classification adds."""
        return self.prefix + name in self.reader.columns

    def cases(self, on_progress: Callable[[float], None] | None = None) -> Iterator[ClassifiedCase]:
        """Yield the rows in order, those with an empty text too; no more than a chunk is held in memory.

        Raises
        ------
        TableError
            If the file is damaged midway; its subclass :class:`~tawasul_nlp.tables.InputChangedError` if it was
            changed since it was opened.
        """
        for chunk in self.reader.chunks():
            whole, texts = with_texts(chunk, self.text)
            for number, text, record in zip(whole.numbers, texts, whole.records(), strict=True):
                yield self._case(number, text, record)
            if on_progress is not None:
                on_progress(self.reader.fraction_read())
        self.file.check()

    def _case(self, row: int, text: str, record: Mapping[str, Any]) -> ClassifiedCase:
        incident = to_name(record.get(self.group_prefix + "group_id")) if self.grouped else ""
        return ClassifiedCase(
            row,
            text,
            None if self.id is None else to_cell(field(record, self.id)).strip() or None,
            {task: self._label(task, record) for task in self.tasks},
            {task: self._probability(task, record) for task in self.tasks},
            is_true(record.get(self.column("needs_review"))),
            listed(record.get(self.column("review_reasons"))),
            incident or None,
            record,
        )

    def _label(self, task: str, record: Mapping[str, Any]) -> str:
        value = record.get(self.column(task))
        if isinstance(value, list | tuple):
            value = join_labels(map(to_name, value))
        return sorted_cell(to_name(value)) or NONE if task in self.multi_label else to_name(value)

    def _probability(self, task: str, record: Mapping[str, Any]) -> float:
        if task not in self.multi_label:
            return number_of(record.get(self.column(f"{task}_probability"))) or 0.0
        value = record.get(self.column(f"{task}_probabilities"))
        parts = to_cell(value).split(SEPARATOR) if not isinstance(value, list | tuple) else value
        return min((number_of(part) or 0.0 for part in parts), default=0.0)


def open_classified(
    source: str | Path,
    *,
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    prefix: str | None = None,
    read: ReadOptions = ReadOptions(),
) -> ClassifiedTable:
    """Open a table that ``tawasul classify`` wrote, whichever model's tasks it has.

    Parameters
    ----------
    source : str or Path
    text_column : str, sequence of str or None
        None takes the column with the most words.
    id_column : str or None
        None takes one that is named like an id.
    prefix : str or None
        Of the added columns; None tries ``tawasul_`` and none.
    read : ReadOptions

    Raises
    ------
    TableError
        If it is not a classified table, or lacks a named column.
    """
    file, reader = open_source(source, text_column, read)
    check_columns(reader, [id_column], "--id-column")
    prefix = _prefix(reader, prefix)
    several = answered_tasks(reader.columns, prefix, "probabilities")
    tasks = answered_tasks(reader.columns, prefix, "probability", "probabilities")
    group_prefix = next((p for p in (FALLBACK_PREFIX, "") if f"{p}group_id" in reader.columns), None)
    added = {prefix + name for name in classification_columns(tasks, multi_label=several, issues=True)}
    added |= {(group_prefix or "") + name for name in GROUP_COLUMNS}
    own = [name for name in reader.columns if name not in added]
    text = named(text_column) or named(_wordiest(reader, own))
    return ClassifiedTable(
        Path(source),
        file,
        reader,
        checked_columns(reader, text),
        id_column or likely_id([name for name in own if name not in text]),
        tasks,
        several,
        prefix,
        group_prefix or "",
        group_prefix is not None,
    )


def number_of(value: Any) -> float | None:
    """Return a cell as a finite number; None if it is none.

    >>> number_of("0.87"), number_of(12), number_of("أسبوع"), number_of(None)
    (0.87, 12.0, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_true(value: Any) -> bool:
    """Whether a cell says yes: a boolean as our formats, pandas or a spreadsheet write it.

    >>> is_true(True), is_true("TRUE"), is_true("false"), is_true(None)
    (True, True, False, False)
    """
    return to_cell(value).casefold() in _YES


def listed(value: Any) -> tuple[str, ...]:
    """Return the names in a cell, which is a list or, in CSV and Excel, a text.

    >>> listed("low_confidence; place_needed"), listed(["emergency"]), listed(None)
    (('low_confidence', 'place_needed'), ('emergency',), ())
    """
    if isinstance(value, list | tuple):
        return tuple(map(str, value))
    return tuple(part.strip() for part in to_cell(value).split(";") if part.strip())


def added_prefix(columns: Sequence[str], given: str | None = None) -> str | None:
    """Return the prefix of the columns that classification added; None if the table is not classified.

    Parameters
    ----------
    columns : sequence of str
    given : str or None
        None tries ``tawasul_`` and none.

    Examples
    --------
    >>> added_prefix(["text", "needs_review", "review_reasons"]), added_prefix(["text"])
    ('', None)
    """
    # The prefixed columns first: if both exist, the plain ones are the table's own.
    tried = (FALLBACK_PREFIX, "") if given is None else (given,)
    return next((prefix for prefix in tried if all(prefix + name in columns for name in _NEEDED)), None)


def answered_tasks(columns: Sequence[str], prefix: str, *endings: str) -> tuple[str, ...]:
    """Return the tasks whose answers have a column of one of these endings beside them.

    >>> answered_tasks(["ai_dept", "ai_dept_probability", "dept"], "ai_", "probability")
    ('dept',)
    """
    names = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    return tuple(name for name in names if any(f"{name}_{ending}" in names for ending in endings))


def _prefix(reader: Reader, given: str | None) -> str:
    prefix = added_prefix(reader.columns, given)
    if prefix is None:
        raise TableError(
            f"the table is not classified: it has no column {(given or '') + _NEEDED[0]}; run tawasul classify on it"
            " first (name its --prefix here if it had one)"
        )
    return prefix


def _wordiest(reader: Reader, columns: Sequence[str]) -> str | None:
    first = next(iter(reader.chunks()), None)
    return None if first is None else wordiest({name: first.column(name) for name in columns})
