"""Measure the pages of a Parquet file before Arrow unpacks them.

A page is unpacked as a whole, to the size that its header states, and a few kilobytes may state gigabytes. Arrow has no
limit for it, so the headers are read here: Thrift structures in the compact protocol (the Parquet and Thrift
specifications), of which only the sizes, the kind of the page and how its values are written matter. Where the pages
are is read from the file's footer, for pyarrow's own answer (``row_group(n).column(m)``) ends the whole process when
the statistics there are damaged.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias, TypeVar

from tawasul_nlp.tables.errors import TableError

# What may lie unpacked at once: of each column a page and, where it has one, its dictionary. Writers end a page at
# about a megabyte, or with the text that goes beyond it.
MAX_UNPACKED = 1 << 30
_MAX_ITEMS = 10_000  # of a page's header, which has some twenty
_MAX_DEPTH = 16
_MAX_BYTES = 1 << 31  # a number that is larger states no length of a text
_KIND, _UNPACKED, _PACKED = 1, 2, 3  # fields of a page's header
_DICTIONARY = 2  # a kind of page
_ENCODINGS = {0: (5, 2), 3: (8, 4)}  # where the header of a kind of page has the encoding: a field, and one in that
_DELTA_BYTE_ARRAY = 7  # the encoding that writes what a value shares with the one before it as a length

_ROW_GROUPS, _COLUMNS, _CHUNK, _TOTAL, _DATA_AT, _DICTIONARY_AT = 4, 1, 3, 7, 9, 11  # fields of the footer

# A structure: the numbers, structures and lists of them that were asked for, by the numbers of their fields.
_Fields: TypeAlias = "dict[int, int | _Fields | list[_Fields]]"
# What is asked for: fields, with what is asked for inside them.
_Wanted: TypeAlias = "Mapping[int, _Wanted]"
_OF_PAGE: _Wanted = {_KIND: {}, _UNPACKED: {}, _PACKED: {}, **{at: {inside: {}} for at, inside in _ENCODINGS.values()}}
_OF_FILE: _Wanted = {_ROW_GROUPS: {_COLUMNS: {_CHUNK: {_TOTAL: {}, _DATA_AT: {}, _DICTIONARY_AT: {}}}}}

_Kind = TypeVar("_Kind", int, dict, list)


class ColumnChunk(NamedTuple):
    """Where the pages of a column are, in one row group: ``size`` bytes from ``start`` on."""

    start: int
    size: int


class Page(NamedTuple):
    """A page of a column.

    Attributes
    ----------
    size : int
        Bytes that it takes when it is unpacked.
    shared : bool
        Whether what stands in it once may be the value of many rows.
    """

    size: int
    shared: bool


def check_pages(path: Path) -> int:
    """Raise :class:`TableError` if pages of a file would take too much memory when they are unpacked.

    Parameters
    ----------
    path : Path
        A file that Arrow can open.

    Returns
    -------
    int
        How many bytes values that many rows may share can add to a row, where no column is of lists.
    """
    left = path.stat().st_size
    shared_most = 0
    with path.open("rb") as file:
        try:
            groups = row_groups(file)
        except (EOFError, ValueError) as error:
            raise TableError(f"{path} is damaged: its footer cannot be read") from error
        for group in groups:
            most = shared = 0
            for chunk in group:
                first = second = largest_shared = 0  # two pages: one of them may be the dictionary, which stays
                left -= chunk.size
                if left < 0:  # or the same pages would be read time and again
                    raise TableError(f"{path} is damaged: its columns are larger than the file")
                try:
                    for page in pages(file, chunk):
                        first, second = max(first, page.size), max(second, min(first, page.size))
                        largest_shared = max(largest_shared, page.size if page.shared else 0)
                except (EOFError, ValueError) as error:
                    raise TableError(f"{path} is damaged: a page's header cannot be read") from error
                most += first + second
                shared += largest_shared
            if most > MAX_UNPACKED:
                raise TableError(
                    f"{path} has pages that unpack to {most:,} bytes at once, and {MAX_UNPACKED:,} may be held in "
                    "memory; if it is yours, write it with smaller pages"
                )
            shared_most = max(shared_most, shared)
    return shared_most


def row_groups(file: BinaryIO) -> list[list[ColumnChunk]]:
    """Return where the columns of each row group are.

    Raises
    ------
    EOFError, ValueError
        If there is no sound footer.
    """
    end = file.seek(0, os.SEEK_END) - 8  # its length and the format's name stand behind it
    file.seek(max(0, end))
    length = int.from_bytes(file.read(4), "little")
    if not 0 < length <= end:
        raise ValueError(f"the footer has {length} bytes")
    file.seek(end - length)
    footer = _Structure(io.BytesIO(file.read(length)), most_items=length).fields(_OF_FILE)
    groups = _expected(footer, _ROW_GROUPS, list)
    return [[_column_chunk(column) for column in _expected(group, _COLUMNS, list)] for group in groups]


def _column_chunk(column: _Fields) -> ColumnChunk:
    facts = _expected(column, _CHUNK, dict)
    at = _number(facts, _DATA_AT)
    dictionary = _expected(facts, _DICTIONARY_AT, int) if _DICTIONARY_AT in facts else 0
    if dictionary > 0 and not 0 < at <= dictionary:  # a column without rows has a dictionary alone
        at = dictionary
    return ColumnChunk(at, _number(facts, _TOTAL))


def pages(file: BinaryIO, column: ColumnChunk) -> Iterator[Page]:
    """Yield the pages of a column.

    Parameters
    ----------
    file : binary file
    column : ColumnChunk
        Of one row group.

    Raises
    ------
    EOFError, ValueError
        If there is no sound header where one should be.
    """
    at, end = column.start, column.start + column.size
    while at < end:
        file.seek(at)
        fields = _Structure(file, most_items=_MAX_ITEMS).fields(_OF_PAGE)
        at = file.tell() + _number(fields, _PACKED)
        kind = _number(fields, _KIND)
        shared = kind == _DICTIONARY
        if kind in _ENCODINGS:
            inside, encoding = _ENCODINGS[kind]
            shared = _number(_expected(fields, inside, dict), encoding) == _DELTA_BYTE_ARRAY
        yield Page(_number(fields, _UNPACKED), shared)


def _expected(fields: _Fields, field: int, kind: type[_Kind]) -> _Kind:
    value = fields.get(field)
    if not isinstance(value, kind):
        raise ValueError(f"field {field} is {value!r}, expected {kind.__name__}")
    return value


def _number(fields: _Fields, field: int) -> int:
    value = _expected(fields, field, int)
    if value < 0:
        raise ValueError(f"field {field} is {value}, expected 0 or more")
    return value


class _Structure:
    """A structure in Thrift's compact protocol, read from where a file stands."""

    def __init__(self, file: BinaryIO, most_items: int) -> None:
        self._file = file
        self._items_left = most_items

    def fields(self, wanted: _Wanted, depth: int = 0) -> _Fields:
        """Return the fields that are wanted and are a whole number, a structure or a list of structures."""
        found: _Fields = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._signed()
            value = self._value(kind, wanted.get(field, {}), depth)
            if value is not None and field in wanted:
                found[field] = value
        return found

    def _value(self, kind: int, wanted: _Wanted, depth: int) -> int | _Fields | list[_Fields] | None:
        self._items_left -= 1
        if self._items_left < 0 or depth > _MAX_DEPTH:
            raise ValueError("a structure has more items than it may, or too many in one another")
        if kind in (1, 2):  # true and false, which a field's head tells already
            return None
        if kind in (4, 5, 6):
            return self._signed()
        if kind in (3, 7):
            self._skip(1 if kind == 3 else 8)
        elif kind == 8:
            self._skip(self._unsigned())
        elif kind in (9, 10):
            head = self._byte()
            count = head >> 4
            return self._items(head & 15, self._unsigned() if count == 15 else count, wanted, depth)
        elif kind == 12:
            return self.fields(wanted, depth + 1)
        else:  # maps are in none of these structures
            raise ValueError(f"something is of the kind {kind}")
        return None

    def _items(self, kind: int, count: int, wanted: _Wanted, depth: int) -> list[_Fields]:
        items = []
        for _ in range(count):
            item = self._value(3 if kind in (1, 2) else kind, wanted, depth + 1)
            if wanted and isinstance(item, dict):
                items.append(item)
        return items

    def _skip(self, count: int) -> None:
        if count > _MAX_BYTES:
            raise ValueError("a text is longer than the file may be")
        self._file.seek(count, os.SEEK_CUR)

    def _byte(self) -> int:
        read = self._file.read(1)
        if not read:
            raise EOFError("a structure goes beyond the end")
        return read[0]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number does not end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
