"""What travels between readers, the classifier and writers: chunks of rows that keep their row numbers."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io.cells import is_text, to_json

if TYPE_CHECKING:
    import pyarrow as pa

# A chunk ends at whichever comes first, so that memory stays bounded when rows are few but huge.
CHUNK_ROWS = 1024  # the classifier sorts a chunk by length: the larger it is, the less of each batch is padding
CHUNK_CHARS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read."""

    row: int  # its ordinal among the rows of the input, from 1; a header is not counted
    line: int | None  # on which it begins, from 1; None where the format has no lines
    reason: str  # what is wrong, in one sentence
    # As it is in the file, or as JSON if it was read but cannot be used; bytes that are not text appear as ``\xNN``.
    # None where it is too large to be kept.
    raw: str | None = field(repr=False)

    def to_json(self) -> str:
        r"""Return the reject as one line of JSON, Arabic unescaped.

        >>> Reject(7, 8, "3 fields where the header has 2", "أ,ب,ج\n").to_json()
        '{"row": 7, "line": 8, "reason": "3 fields where the header has 2", "raw": "أ,ب,ج\\n"}'
        """
        fields = {"row": self.row, "line": self.line, "reason": self.reason, "raw": self.raw}
        text = json.dumps(fields, ensure_ascii=False)
        return text if is_text(text) else json.dumps(fields)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a table, and the rejects met among them."""

    numbers: Sequence[int]  # of the readable rows, rising
    # Typed sources keep their batch, so that a typed output loses nothing.
    rows: list[dict[str, Any]] | pa.RecordBatch = field(repr=False)
    rejects: Sequence[Reject]
    lines: Sequence[int] | None = None  # on which each readable row begins; None where the format has no lines

    def records(self) -> list[dict[str, Any]]:
        r"""Return the rows as dictionaries of Python values.

        A value that Python lacks becomes a text: bytes of a string that are not UTF-8 appear as ``\xNN``, a time beyond
        the years 1 to 9999 as its number with its unit.
        """
        if isinstance(self.rows, list):
            return self.rows
        try:
            return self.rows.to_pylist()
        except _NO_PYTHON_VALUE:
            names = self.rows.schema.names
            return [dict(zip(names, row, strict=True)) for row in zip(*map(_values, self.rows.columns), strict=True)]

    def column(self, name: str) -> list[Any]:
        """Return one column's values, as in :meth:`records`; None where a row has none."""
        if isinstance(self.rows, list):
            return [row.get(name) for row in self.rows]
        return _values(self.rows.column(name))

    def with_column(self, name: str, values: Sequence[Any]) -> Chunk:
        """Return the chunk with other values in a column; a row that lacks it gets one that is not None."""
        if isinstance(self.rows, list):
            pairs = zip(self.rows, values, strict=True)
            rows = [row | {name: value} if name in row or value is not None else row for row, value in pairs]
            return replace(self, rows=rows)
        import pyarrow as pa

        position = self.rows.schema.get_field_index(name)
        field = self.rows.schema.field(position)
        return replace(self, rows=self.rows.set_column(position, field, pa.array(values, field.type)))

    def keep(self, positions: Sequence[int], rejects: Sequence[Reject]) -> Chunk:
        """Return the chunk with only the rows at `positions`, and `rejects` added to its own."""
        rows: list[dict[str, Any]] | pa.RecordBatch
        if isinstance(self.rows, list):
            rows = [self.rows[i] for i in positions]
        else:
            import pyarrow as pa

            rows = self.rows.take(pa.array(positions, pa.int64()))  # a copy: a row that is left out may be very large
        numbers = [self.numbers[i] for i in positions]
        lines = None if self.lines is None else [self.lines[i] for i in positions]
        return Chunk(numbers, rows, [*self.rejects, *rejects], lines)

    def rejecting(self, problems: Mapping[int, str]) -> Chunk:
        """Return the chunk with rejects for the rows at some positions: what is wrong with each."""
        if not problems:
            return self
        lines: Sequence[int | None] = self.lines or [None] * len(self.numbers)
        records = self.keep(list(problems), ()).records()
        rejects = [
            Reject(self.numbers[row], lines[row], problem, to_json(record))
            for (row, problem), record in zip(problems.items(), records, strict=True)
        ]
        return self.keep([row for row in range(len(self.numbers)) if row not in problems], rejects)


# What Arrow raises for a value that Python lacks; a zone that is not known is a LookupError where pytz is installed.
_NO_PYTHON_VALUE = (ValueError, OverflowError, LookupError)


class Shown(str):
    """What a cell of a workbook shows, and the number, date or boolean that it holds."""

    held: float | dt.date

    def __new__(cls, text: str, held: float | dt.date) -> Shown:
        """Return the text with what is held."""
        shown = super().__new__(cls, text)
        shown.held = held
        return shown


class Undecodable(str):
    r"""What a string holds whose bytes are not UTF-8, those that are not as ``\xNN``."""

    __slots__ = ()


def _values(array: pa.Array) -> list[Any]:
    try:
        return array.to_pylist()
    except _NO_PYTHON_VALUE:
        return [_value(scalar) for scalar in array]


def _value(scalar: pa.Scalar) -> Any:
    """Return a value that Arrow cannot, for a string in it is not UTF-8, or a time in it is not one of Python's."""
    import pyarrow as pa

    try:
        return scalar.as_py()
    except _NO_PYTHON_VALUE:
        if isinstance(scalar, pa.ExtensionScalar | pa.DictionaryScalar):
            return _value(scalar.value)
        if isinstance(scalar, pa.StructScalar):
            return {name: _value(item) for name, item in scalar.items()}
        if isinstance(scalar, pa.MapScalar):
            return [tuple(_value(item).values()) for item in scalar.values]
        if isinstance(scalar, pa.ListScalar):
            return [_value(item) for item in scalar.values]
        if pa.types.is_temporal(scalar.type):
            return _time(scalar)
        return Undecodable(scalar.as_buffer().to_pybytes().decode("utf-8", "backslashreplace"))


def _time(scalar: pa.Scalar) -> Any:
    import pyarrow as pa

    kind = scalar.type
    if pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC"):  # the zone may be one that is not known here
        return _value(scalar.cast(pa.timestamp(kind.unit, "UTC")))
    unit = "days" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
    return f"{scalar.value} {unit}"


class Reader:
    """A table that can be read from its start as often as needed, a chunk at a time."""

    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what the user should know of the table
    # What a file turned out to have; None where its format has none.
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    nested: bool = True  # whether a cell may hold an object
    hint: str = ""  # why the table may lack a column, and what to do; empty if there is no guess

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the table's rows in order, with their numbers, in the same chunks in every reading."""
        return gather(self._parsed(), max_rows)

    def _parsed(self) -> Iterator[Parsed]:
        """Yield the rows one by one, if the format is read so."""
        raise NotImplementedError

    def rows_shown(self, chunk: Chunk) -> Sequence[int]:
        """Return the numbers of a chunk's rows as a spreadsheet shows them: a header is counted."""
        if self.sheet is not None and chunk.lines is not None:
            return chunk.lines
        return [number + (not self.nested) for number in chunk.numbers]

    def fraction_read(self) -> float:
        """Return how much of the table the latest :meth:`chunks` has read, from 0 to 1."""
        raise NotImplementedError

    def schema(self) -> pa.Schema:
        """Return the Arrow schema that a typed output should use for the table's own columns: here, all text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Raise :class:`TableError` if the column's type cannot hold text; without types, a row is rejected alone."""


def check_text_type(name: str, kind: pa.DataType) -> None:
    """Raise :class:`TableError` if a column of this type does not hold strings."""
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    allowed = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(test(value) for test in allowed):
        raise TableError(f"column {name!r} holds {kind}, expected text (string); name another")


class TypedReader(Reader):
    """A table whose columns have Arrow types."""

    def __init__(self, table: str | Path, schema: pa.Schema) -> None:
        self._schema = schema
        self.columns = tuple(map(str, schema.names))
        repeated = [name for name, count in Counter(self.columns).items() if count > 1]
        if repeated:
            raise TableError(f"{table} has several columns named {min(repeated)!r}; rename them")

    def schema(self) -> pa.Schema:
        """Return the table's own schema."""
        return self._schema

    def check_text_column(self, name: str) -> None:
        """Raise :class:`TableError` if the column does not hold strings."""
        check_text_type(name, self._schema.field(name).type)


# The rows to write, a chunk at a time, with the values added to each row.
Content = Iterable[tuple[Chunk, Sequence[list[Any]]]]


class Written(NamedTuple):
    """How many rows a table was written with, and how many of its cells were escaped."""

    rows: int
    escaped: int = 0


CELL_CHARS = 16  # what a cell takes of memory beside its text, in characters: a chunk of a wide table has fewer rows
MAX_COLUMNS = 16_384  # as many as a sheet of Excel has; a file with more is not a table of cases

# What a table may unpack to, and that for each byte of its file more. A row has a cell in each column, and one of a
# sheet those before its last too; reading five million takes a second.
ROOM = {"bytes": (1 << 28, 200), "characters": (1 << 28, 200), "cells": (10_000_000, 50)}


class Room:
    """How much may be in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size

    def most(self, unit: str) -> int:
        """Return how many bytes, characters or cells may be in it."""
        base, per_byte = ROOM[unit]
        return base + per_byte * self._size

    def check(self, used: int, unit: str) -> None:
        """Raise :class:`OversizedTableError` if there is more in it."""
        if used > self.most(unit):
            raise OversizedTableError(
                f"{self._path} has {self._size:,} bytes and unpacks to more than {self.most(unit):,} {unit}, the most "
                "for such a file, so it was not read; if it is yours, save it as CSV, which may be of any size"
            )


@dataclass(frozen=True, slots=True)
class Record:
    """One row of cells that are text, as it is in a file."""

    line: int  # number of its first line, from 1
    raw: str | None = field(repr=False)  # None in a format that has no text of it
    fields: list[str] | None = field(repr=False)  # None when the record cannot be read
    problem: str | None = None  # why not

    def size(self) -> int:
        """Return how many characters it has."""
        return len(self.raw) if self.raw is not None else sum(map(len, self.fields or ()))


class HeaderReader(Reader):
    """A table of text cells below a header; each column gets a name of its own."""

    nested = False

    def _name_columns(self, path: Path, header: list[str]) -> None:
        check_width(path, len(header))
        self.columns, self.notes = distinct_names(header)
        if sum(map(bool, header)) == 1:
            self.hint = "if this is a title above the header, name the header's row: --header-row N"

    def _records(self) -> Iterator[Record]:
        """Yield the rows below the header."""
        raise NotImplementedError

    def _as_written(self, record: Record) -> str | None:
        """Return a row that is rejected."""
        raise NotImplementedError

    def _parsed(self) -> Iterator[Parsed]:
        width = len(self.columns)
        for row, record in enumerate(self._records(), 1):
            problem, count = record.problem, len(record.fields or ())
            if problem is None and count != width:
                problem = f"has {count} field{'' if count == 1 else 's'} where the header has {width}"
            item: dict[str, Any] | Reject
            if problem is None:
                item = dict(zip(self.columns, record.fields or (), strict=True))
            else:
                item = Reject(row, record.line, problem, self._as_written(record))
            yield row, record.line, item, record.size()


# Its number, the line on which it begins, the row or what is wrong with it, and its size in characters.
Parsed = tuple[int, int, dict[str, Any] | Reject, int]


def gather(parsed: Iterable[Parsed], max_rows: int) -> Iterator[Chunk]:
    """Bundle parsed rows into chunks."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    lines: list[int] = []
    rejects: list[Reject] = []
    chars = 0
    for number, line, row, size in parsed:
        chars += size
        if isinstance(row, Reject):
            rejects.append(row)
        else:
            rows.append(row)
            numbers.append(number)
            lines.append(line)
            chars += CELL_CHARS * len(row)
        if len(rows) + len(rejects) >= max_rows or chars >= CHUNK_CHARS:
            yield Chunk(numbers, rows, rejects, lines)
            rows, numbers, lines, rejects, chars = [], [], [], [], 0
    if rows or rejects:
        yield Chunk(numbers, rows, rejects, lines)


def check_width(path: Path, columns: int) -> None:
    """Raise :class:`TableError` if a table has too many columns to be one."""
    if columns > MAX_COLUMNS:
        raise TableError(f"{path} has {columns:,} columns, and a table may have {MAX_COLUMNS:,}; is it the right file?")


def distinct_names(names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return unique names of the columns, and notes on which were changed."""
    taken = set(names)
    counts: dict[str, Iterator[int]] = {}
    result: dict[str, None] = {}
    notes = []
    for position, name in enumerate(names, 1):
        fresh = name
        if not name or name in result:
            numbers = counts.setdefault(name, itertools.count(2)) if name else itertools.count(position)
            fresh = next(one for number in numbers if (one := f"{name or 'column'}_{number}") not in taken)
            reason = "taken" if name else "empty"
            notes.append(f"column {position} is named {fresh!r}: its own name {name!r} is {reason}")
            taken.add(fresh)
        result[fresh] = None
    return tuple(result), tuple(notes)
