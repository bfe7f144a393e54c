"""Name a column of a table, or a field of the objects that a column holds: ``complaint.body``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tawasul_nlp.tables.errors import MissingColumnError
from tawasul_nlp.tables.io.chunk import Chunk, Reader

_MOST = 100  # fields that a message lists
_DEEPEST = 4


def column_of(name: str, columns: Sequence[str]) -> str | None:
    """Return the column that is named, or that holds the field which is; None if the table has none.

    A column goes before a field, and a shorter column's name before a longer one.

    >>> column_of("complaint.body", ["id", "complaint"]), column_of("text", ["id"])
    ('complaint', None)
    """
    if name in columns:
        return name
    return next((head for head, _ in _splits(name) if head in columns), None)


def field(record: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """Return the value of a column, or of a field of the objects in one.

    >>> field({"id": 7, "complaint": {"body": "الماي مقطوع"}}, "complaint.body")
    'الماي مقطوع'
    """
    if name in record:
        return record[name]
    for head, rest in _splits(name):
        inner = record.get(head)
        if isinstance(inner, Mapping):
            return field(inner, rest, default)
    return default


def has_field(reader: Reader, name: str) -> bool:
    """Whether a table has the column, or a row with the field; rows are read up to the first that has it."""
    if name in reader.columns:
        return True
    absent = object()
    return column_of(name, reader.columns) is not None and any(
        field(record, name, absent) is not absent for chunk in reader.chunks() for record in chunk.records()
    )


def check_columns(reader: Reader, names: Iterable[str | None], option: str) -> None:
    """Raise :class:`MissingColumnError` if a table that has columns lacks one, or a field, that an option names."""
    for name in names:
        if name is not None and reader.columns and not has_field(reader, name):
            raise MissingColumnError(name, reader.columns, option=option, hint=reader.hint(name))


def fields(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """Return the columns, each that holds objects followed by the names of their fields, of which there may be many.

    >>> fields([{"id": 7, "complaint": {"body": "الماي مقطوع"}}], ["id", "complaint"])
    ['id', 'complaint', 'complaint.body']
    """
    return [
        name
        for column in columns
        for name in (
            column,
            *islice(
                dict.fromkeys(inner for record in records for inner in _inner(column, record.get(column), _DEEPEST)),
                _MOST,
            ),
        )
    ]


def values_of(chunk: Chunk, column: str) -> list[Any]:
    """Return a column's or a field's values; a string that Arrow holds but UTF-8 does not allow comes out as bytes."""
    if isinstance(chunk.rows, list):
        return [field(row, column) for row in chunk.rows]
    if (holder := column_of(column, chunk.rows.schema.names)) is not None and holder != column:
        return [field({holder: value}, column) for value in chunk.column(holder)]
    strings = chunk.rows.column(column)
    try:
        return strings.to_pylist()
    except UnicodeDecodeError:
        import pyarrow as pa

        if pa.types.is_nested(strings.type):
            return chunk.column(column)
        whole = strings.cast(pa.string()).cast(pa.binary()).to_pylist()
        return [None if value is None else _decoded(value) for value in whole]
    except (ValueError, OverflowError):  # a time that is not one of Python's
        return chunk.column(column)


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _inner(above: str, value: Any, deepest: int) -> Iterator[str]:
    if isinstance(value, Mapping) and deepest:
        for key, item in value.items():
            yield f"{above}.{key}"
            yield from _inner(f"{above}.{key}", item, deepest - 1)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    parts = name.split(".")
    for at in range(1, len(parts)):
        yield ".".join(parts[:at]), ".".join(parts[at:])
