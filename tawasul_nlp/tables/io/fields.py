"""Name a column of a table, or a field of the objects that a column holds: ``complaint.body``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.io.cells import json_name
from tawasul_nlp.tables.io.chunk import Chunk, Reader, Undecodable
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import ReadOptions, open_reader
from tawasul_nlp.tables.io.headings import recognised


def column_of(name: str, columns: Sequence[str]) -> str | None:
    """Return the column that is named, or that holds the field which is; None if the table has none.

    A column goes before a field, and a shorter column's name before a longer one. Headings of workbooks often have
    blanks around them that nobody sees, so these do not count.

    >>> column_of("complaint.body", ["id", "complaint"]), column_of("text", ["id"]), column_of("town", ["id", "town "])
    ('complaint', None, 'town ')
    """
    whole = _whole(name, columns)
    if whole is not None:
        return whole
    return next((head for head, _ in _splits(name) if head in columns), None)


def _whole(name: str, columns: Iterable[str]) -> str | None:
    """Return the column that is named."""
    if name in columns:
        return name
    return next((column for column in columns if column.strip() == name.strip()), None)


def field(record: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """Return the value of a column, or of a field of the objects in one.

    >>> field({"id": 7, "complaint": {"body": "الماي مقطوع"}}, "complaint.body")
    'الماي مقطوع'
    """
    whole = _whole(name, record)
    if whole is not None:
        return record[whole]
    for head, rest in _splits(name):
        inner = record.get(head)
        if isinstance(inner, Mapping):
            return field(inner, rest, default)
    return default


def has_field(reader: Reader, name: str) -> bool:
    """Whether a table has the column, or a row with the field; rows are read up to the first that has it."""
    if _whole(name, reader.columns) is not None:
        return True
    absent = object()
    return column_of(name, reader.columns) is not None and any(
        field(record, name, absent) is not absent for chunk in reader.chunks() for record in chunk.records()
    )


def check_columns(reader: Reader, names: Iterable[str | None], option: str) -> None:
    """Raise :class:`MissingColumnError` if a table that has columns lacks one, or a field, that an option names."""
    for name in names:
        if name is not None and reader.columns and not has_field(reader, name):
            raise MissingColumnError(name, reader.columns, option=option, hint=reader.hint)


def values_of(chunk: Chunk, column: str | None) -> list[Any]:
    """Return a column's or a field's values, as in ``chunk.records()``; None for each row if no column is named."""
    if column is None:
        return [None] * len(chunk.numbers)
    if isinstance(chunk.rows, list):
        return [field(row, column) for row in chunk.rows]
    whole = _whole(column, chunk.rows.schema.names)
    if whole is not None:
        return chunk.column(whole)
    holder = column_of(column, chunk.rows.schema.names) or column
    return [field({holder: value}, column) for value in chunk.column(holder)]


def _splits(name: str) -> Iterator[tuple[str, str]]:
    parts = name.split(".")
    for split in range(1, len(parts)):
        yield ".".join(parts[:split]), ".".join(parts[split:])


_GUESS_ROWS = 100


def named(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that are named, each once, in their order.

    >>> named("text"), named(["subject", "body", "subject"]), named(None)
    (('text',), ('subject', 'body'), ())
    """
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(dict.fromkeys(columns))


def open_source(
    source: str | Path, text_column: str | Sequence[str] | None, options: ReadOptions
) -> tuple[InputFile, Reader]:
    """Return the table of a run as it is when the run begins, and a reader of it."""
    file = InputFile(source)
    return file, open_reader(file.path, options, text_column=next(iter(named(text_column)), None))


def checked_columns(reader: Reader, wanted: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the text columns, if the table has them; None is the one with a usual heading.

    Raises :class:`TableError` if one cannot hold text (its subclass :class:`MissingColumnError` if there is none of its
    name).
    """
    names = named(recognised("text", reader.columns) if wanted is None else wanted)
    if not reader.columns and names:
        return names
    missing = next((name for name in names if not has_field(reader, name)), None)
    if missing is None and names:
        for name in names:
            if (column := _whole(name, reader.columns)) is not None:
                reader.check_text_column(column)
        return names
    first = next(iter(reader.chunks(_GUESS_ROWS)), None)
    values = {name: first.column(name) for name in reader.columns} if first is not None else {}
    raise MissingColumnError(missing, reader.columns, wordiest(values, words_a_row=2), hint=reader.hint)


def joined_note(columns: Sequence[str]) -> tuple[str, ...]:
    """Return what the user should know of texts in several columns; nothing of one.

    >>> joined_note(["subject", "body"])
    ("the text of a case is that of the columns 'subject', 'body' together, in this order",)
    """
    if len(columns) < 2:
        return ()
    return (f"the text of a case is that of the columns {', '.join(map(repr, columns))} together, in this order",)


def joined_text(parts: Iterable[str | None]) -> str:
    r"""Return the texts of several columns as one, a line each; empty ones leave no line.

    >>> joined_text(["انقطاع", None, "الماي مقطوع من أمس"])
    'انقطاع\nالماي مقطوع من أمس'
    """
    return "\n".join(part for part in parts if part)


def wordiest(columns: Mapping[str, Sequence[object]], words_a_row: float = 0) -> str | None:
    """Return the column with the most words in it, if it has more than so many a row.

    Examples
    --------
    >>> wordiest({"id": ["A1", "A2"], "text": ["حفرة في الشارع", "شكرا"]})
    'text'
    """
    words = {name: sum(len(v.split()) for v in values if isinstance(v, str)) for name, values in columns.items()}
    best = max(words, key=lambda name: words[name], default=None)
    return best if best is not None and words[best] > words_a_row * len(columns[best]) else None


def with_texts(chunk: Chunk, columns: str | Sequence[str]) -> tuple[Chunk, list[str]]:
    """Return the chunk with rejects for the rows whose text is not a string, and the texts of the others, joined."""
    texts = []
    problems = {}
    names = named(columns)
    for position, values in enumerate(zip(*(values_of(chunk, name) for name in names), strict=True)):
        odd = next((column for column, value in enumerate(values) if not _is_text(value)), None)
        if odd is None:
            texts.append(joined_text(values) if len(values) > 1 else values[0] or "")
        else:
            value = values[odd]
            undecodable = isinstance(value, Undecodable)
            kind = "bytes that are not valid UTF-8" if undecodable else f"a JSON {json_name(value)}"
            problems[position] = f"column {names[odd]!r} holds {kind}, expected text"
    return chunk.rejecting(problems), texts


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not isinstance(value, Undecodable))
