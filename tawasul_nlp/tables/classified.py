"""One reader of classified tables: which columns have what, and what a cell of theirs says."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.routing import agency_named
from tawasul_nlp.domain.words import fold_phrase
from tawasul_nlp.model.label_sets import NONE, SEPARATOR, join_labels, sorted_cell
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, FALLBACK_PREFIX, GROUP_COLUMNS
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_cell, to_name
from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.dates import read_date
from tawasul_nlp.tables.io.fields import (
    check_columns,
    checked_columns,
    field,
    open_source,
    with_texts,
    wordiest,
)
from tawasul_nlp.tables.io.files import InputFile, check_apart
from tawasul_nlp.tables.io.formats import ReadOptions, open_reader
from tawasul_nlp.tables.io.headings import chosen, recognised

# A town is read from the first of these that a row has: the added column, then the table's own columns.
TOWN_COLUMNS = ("town", "quarter", "place")
# What each task adds, after its name.
_ENDINGS = ("", "_name_ar", "_probability", "_probabilities", "_alternatives")
_YES = ("true", "1", "1.0")
# A column of dates holds a date in at least this share of its non-empty cells.
_DATES_SHARE = 0.9
# Days outside are placeholders: systems write 0001-01-01, 1900-01-01, 1970-01-01 or 9999-12-31 for an empty date.
_EARLIEST = date(1990, 1, 1)
_MOST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class ClassifiedCase:
    """One row of a classified table."""

    # From 1; a header is not counted.
    row: int
    text: str = dataclass_field(repr=False)
    id: str | None
    # The model's answer for each task; of a multi-label task, the sorted cell.
    labels: Mapping[str, str]
    # Of these answers; of several labels, that of the least sure one.
    probabilities: Mapping[str, float]
    needs_review: bool
    reasons: tuple[str, ...]
    # Of a grouped table.
    incident: str | None
    # The whole row.
    record: Mapping[str, Any] = dataclass_field(repr=False)

    @property
    def key(self) -> str:
        """What names this row of this table: its number, and eight digits of its text's hash."""
        return f"r{self.row}-{hashlib.sha256(self.text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class ClassifiedTable:
    """An opened table that classification, and perhaps grouping, added columns to; see :func:`open_classified`."""

    path: Path
    file: InputFile
    reader: Reader
    # The country whose labels and places it has.
    domain: Domain
    # The columns of the texts, which are joined.
    text: tuple[str, ...]
    # None where the table has none.
    id: str | None
    date: str | None
    read: ReadOptions
    # The table's own column of the agency that each case was sent to.
    routed: str | None
    # What that column has for agencies, beside the names that the domain knows: folded words to ids.
    agency_names: Mapping[tuple[str, ...], str]
    # All tasks, and those of which a case may have several labels.
    tasks: tuple[str, ...]
    multi_label: tuple[str, ...]
    # Before the names of the columns that classification added.
    prefix: str
    # The standard name of an added column (agency, incident_id, ...) to its name in this table, if present. Whatever a
    # country calls its levels of places, they are governorate, block and town here.
    added: Mapping[str, str]

    @property
    def grouped(self) -> bool:
        """Whether the table has the columns of grouping."""
        return {"incident_id", "incident_size"} <= set(self.added)

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
            If the file is damaged midway; its subclass :class:`~tawasul_nlp.tables.errors.InputChangedError` if it was
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
        incident = to_name(record.get(self.added["incident_id"])) if self.grouped else ""
        return ClassifiedCase(
            row=row,
            text=text,
            id=None if self.id is None else to_cell(field(record, self.id)).strip() or None,
            labels={task: self._label(task, record) for task in self.tasks},
            probabilities={task: self._probability(task, record) for task in self.tasks},
            needs_review=is_true(record.get(self.column("needs_review"))),
            reasons=listed(record.get(self.column("review_reasons"))),
            incident=incident or None,
            record=record,
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
    date_column: str | None = None,
    routed_column: str | None = None,
    agency_map: str | Path | None = None,
    prefix: str | None = None,
    domain: Domain | None = None,
    read: ReadOptions = ReadOptions(),
) -> ClassifiedTable:
    """Open a table that ``tawasul classify`` wrote, whichever model's tasks it has.

    Parameters
    ----------
    source : str or Path
    text_column : str, sequence of str or None
        A column, a field of the objects in one (``complaint.body``), or several; None takes the one with a usual
        heading, or else with most words.
    id_column, date_column, routed_column : str or None
        Of ids, dates, and the agency that each case was sent to, by its id or a name. None takes the one with a usual
        heading, for dates or else the first that holds some; an empty name none.
    agency_map : str or Path or None
        A table of further names that ``routed_column`` has for agencies: ``name`` and ``agency``.
    prefix : str or None
        Of the added columns; None tries ``tawasul_`` and none.
    domain : Domain or None
        The pack with labels, places and routing; None is Bahrain's.
    read : ReadOptions

    Raises
    ------
    TableError
        If it is not a classified table, or lacks a named column.
    """
    file, reader = open_source(source, text_column, read)
    for name, option in ((id_column, "id"), (date_column, "date"), (routed_column, "routed")):
        check_columns(reader, [name or None], f"--{option}-column")
    domain = domain or Domain.bundled()
    prefix = _checked_prefix(reader.columns, prefix)
    tasks = answered_tasks(reader.columns, prefix, "probability", "probabilities")
    added = _added(reader.columns, prefix, tasks, domain)
    first = next(iter(reader.chunks()), None)
    routed = chosen("routed", routed_column, (name for name in reader.columns if name not in added.values()))
    others = [name for name in reader.columns if name not in {*added.values(), routed}]
    cells = {name: () if first is None else first.column(name) for name in others}  # by which columns are recognised
    text_column = text_column or recognised("text", others) or wordiest(cells)
    if text_column is None:
        raise TableError("no column of the table reads like text; name it with --text-column")
    text = checked_columns(reader, text_column)
    others = [name for name in cells if name not in text]
    id_column = chosen("id", id_column, others)
    if date_column is None:
        days = (name for name in others if name != id_column and are_dates(cells[name]))
        date_column = recognised("date", others) or next(days, None)
    return ClassifiedTable(
        path=Path(source),
        file=file,
        reader=reader,
        domain=domain,
        text=text,
        id=id_column,
        date=date_column or None,
        read=read,
        routed=routed,
        agency_names={} if agency_map is None else _agency_names(Path(agency_map), domain),
        tasks=tasks,
        multi_label=answered_tasks(reader.columns, prefix, "probabilities"),
        prefix=prefix,
        added=added,
    )


def _agency_names(path: Path, domain: Domain) -> dict[tuple[str, ...], str]:
    reader, names = open_reader(path), dict[tuple[str, ...], str]()
    check_columns(reader, ["name", "agency"], "--map")
    for name, agency in (
        map(to_name, (row["name"], row["agency"])) for part in reader.chunks() for row in part.records()
    ):
        id = agency_named(agency, domain)
        if id is None:
            raise TableError(f"{path} has {agency!r:.40} for the agency of {name!r:.40}; write the id or a name of one")
        names[fold_phrase(name)] = id
    return names


def as_classified(source: str | Path | ClassifiedTable, **outputs: Path) -> ClassifiedTable:
    """Return a table that is opened already, or open it, with its columns as they are found.

    Raises :class:`TableError` if it cannot be opened, or is one of the ``outputs``, which are named as in the message.
    """
    path = source.path if isinstance(source, ClassifiedTable) else Path(source)
    check_apart([path], outputs)
    return source if isinstance(source, ClassifiedTable) else open_classified(path)


def added_prefix(columns: Sequence[str], prefix: str | None = None) -> str | None:
    """Return the prefix of the columns that classification added; None if the table is not classified.

    Examples
    --------
    >>> added_prefix(["text", "topic", "topic_probability", "needs_review"]), added_prefix(["text", "topic"])
    ('', None)
    """
    # The prefixed columns first: if both exist, the plain ones are the table's own.
    candidates = (FALLBACK_PREFIX, "") if prefix is None else (prefix,)
    answers = "probability", "probabilities"
    return next((p for p in candidates if f"{p}needs_review" in columns and answered_tasks(columns, p, *answers)), None)


def _checked_prefix(columns: Sequence[str], prefix: str | None) -> str:
    named_prefix, prefix = prefix or "", added_prefix(columns, prefix)
    if prefix is None:
        review = f"{named_prefix}needs_review"
        missing = f"{named_prefix}topic_probability, or of another task" if review in columns else review
        raise TableError(
            f"the table is not classified: it has no column {missing}; run tawasul classify on it first"
            " (name its --prefix here if it had one)"
        )
    return prefix


def answered_tasks(columns: Sequence[str], prefix: str, *endings: str) -> tuple[str, ...]:
    """Return the tasks whose answers have a column of one of these endings beside them.

    >>> answered_tasks(["ai_dept", "ai_dept_probability", "dept"], "ai_", "probability")
    ('dept',)
    """
    names = [name.removeprefix(prefix) for name in columns if name.startswith(prefix)]
    return tuple(name for name in names if any(f"{name}_{ending}" in names for ending in endings))


def _added(columns: Sequence[str], prefix: str, tasks: Sequence[str], domain: Domain) -> dict[str, str]:
    """Return the standard name of each added column with its name in the table."""
    levels = domain.gazetteer.levels
    places = [*levels.columns(), *TOWN_COLUMNS]
    of_tasks = (task + ending for task in tasks for ending in _ENDINGS)
    names = dict.fromkeys((*ADDED_COLUMNS, *of_tasks, *places))
    added = {name: prefix + name for name in names if prefix + name in columns}
    # Grouping may have run before or after, with its own prefix; towns may be the table's own.
    prefixes = dict.fromkeys((*filter(None, [prefix]), FALLBACK_PREFIX, ""))
    grouping = next((p for p in prefixes if f"{p}incident_id" in columns), "")
    added |= {name: grouping + name for name in GROUP_COLUMNS if grouping + name in columns}
    for name in TOWN_COLUMNS:
        column = next((p + name for p in (FALLBACK_PREFIX, "") if p + name in columns), None)
        if name not in added and column is not None:
            added[name] = column
    roles = ("governorate", "town") if levels.block is None else ("governorate", "block", "town")
    standard = dict(zip(levels.columns(), roles, strict=True))
    return {standard.get(name, name): column for name, column in added.items()}


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


def day_of(value: Any, day_first: bool = True) -> tuple[date | None, bool]:
    """Return the day of a case, and whether it has a date that is unreadable or a placeholder.

    >>> day_of("1/3/2026"), day_of("1900-01-01"), day_of("")
    ((datetime.date(2026, 3, 1), False), (None, True), (None, False))
    """
    try:
        time = read_date(value, day_first)
    except ValueError:
        return None, True
    if time is None:
        return None, False
    day = time.date()
    return (day, False) if _EARLIEST <= day <= date.today() + _MOST_AHEAD else (None, True)


def are_dates(cells: Sequence[Any]) -> bool:
    """Whether nearly all cells that are not empty are dates, and some is.

    >>> are_dates(["2026-03-01", "", "1/3/2026"]), are_dates([None, "أمس"])
    (True, False)
    """
    filled = [cell for cell in cells if cell is not None and cell != ""]
    dates = 0
    for cell in filled:
        try:
            dates += read_date(cell) is not None
        except ValueError:
            continue
    return bool(filled) and dates >= _DATES_SHARE * len(filled)
