"""Measure the pages of a Parquet file before Arrow unpacks them.

A page is unpacked as a whole, to the size that its header states, and a few kilobytes may state gigabytes. Arrow has no
limit for it, so the headers are read here: Thrift structures in the compact protocol (the Parquet and Thrift
specifications), of which only the sizes, the kind of the page and how its values are written matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from tawasul_nlp.batch.errors import TableError

# What may lie unpacked at once: of each column a page and, where it has one, its dictionary. Writers end a page at
# about a megabyte, or with the text that goes beyond it.
MAX_UNPACKED = 1 << 30
_MAX_ITEMS = 10_000  # of a header, which has some twenty
_MAX_DEPTH = 16
_MAX_BYTES = 1 << 31  # a number that is larger states no length of a text
_KIND, _UNPACKED, _PACKED = 1, 2, 3  # fields of a page's header
_DICTIONARY = 2  # a kind of page
_ENCODINGS = {0: (5, 2), 3: (8, 4)}  # where the header of a kind of page has the encoding: a field, and one in that
_DELTA_BYTE_ARRAY = 7  # the encoding that writes what a value shares with the one before it as a length

_Fields: TypeAlias = "dict[int, int | _Fields | None]"


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


def check_pages(path: Path, metadata: Any) -> int:
    """Raise :class:`TableError` if pages of a file would take too much memory when they are unpacked.

    Parameters
    ----------
    path : Path
    metadata : pyarrow.parquet.FileMetaData
        Of the file.

    Returns
    -------
    int
        How many bytes values that many rows may share can add to a row, where no column is of lists.
    """
    left = path.stat().st_size
    shared_most = 0
    with path.open("rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            most = shared = 0
            for column in range(group.num_columns):
                first = second = largest_shared = 0  # two pages: one of them may be the dictionary, which stays
                chunk = group.column(column)
                left -= chunk.total_compressed_size
                if chunk.total_compressed_size < 0 or left < 0:  # or the same pages would be read time and again
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


def pages(file: BinaryIO, column: Any) -> Iterator[Page]:
    """Yield the pages of a column.

    Parameters
    ----------
    file : binary file
    column : pyarrow.parquet.ColumnChunkMetaData
        Of one row group.

    Raises
    ------
    EOFError, ValueError
        If there is no sound header where one should be.
    """
    at = column.data_page_offset
    dictionary = (column.dictionary_page_offset or 0) if column.has_dictionary_page else 0
    if dictionary > 0 and not 0 < at <= dictionary:  # a column without rows has a dictionary alone
        at = dictionary
    end = at + column.total_compressed_size
    while at < end:
        file.seek(at)
        fields = _Header(file).fields()
        at = file.tell() + _number(fields, _PACKED)
        kind = _number(fields, _KIND)
        shared = kind == _DICTIONARY
        if kind in _ENCODINGS:
            inside, encoding = _ENCODINGS[kind]
            of_kind = fields.get(inside)
            shared = _number(of_kind if isinstance(of_kind, dict) else {}, encoding) == _DELTA_BYTE_ARRAY
        yield Page(_number(fields, _UNPACKED), shared)


def _number(fields: _Fields, field: int) -> int:
    value = fields.get(field)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"field {field} of the header is {value!r}, expected a number")
    return value


class _Header:
    """A structure in Thrift's compact protocol, read from where a file stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._items = 0

    def fields(self, depth: int = 0) -> _Fields:
        """Return the structure's fields by their numbers; None for what is no whole number and no structure."""
        found: _Fields = {}
        field = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            field = field + step if step else self._signed()
            found[field] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> int | _Fields | None:
        self._items += 1
        if self._items > _MAX_ITEMS or depth > _MAX_DEPTH:
            raise ValueError("the header is no page's")
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
            self._items_of(head & 15, self._unsigned() if count == 15 else count, depth)
        elif kind == 12:
            return self.fields(depth + 1)
        else:  # maps are in no page's header
            raise ValueError(f"the header holds something of the kind {kind}")
        return None

    def _items_of(self, kind: int, count: int, depth: int) -> None:
        for _ in range(count):
            self._value(3 if kind in (1, 2) else kind, depth + 1)

    def _skip(self, count: int) -> None:
        if count > _MAX_BYTES:
            raise ValueError("a text in the header is longer than the file may be")
        self._file.seek(count, os.SEEK_CUR)

    def _byte(self) -> int:
        read = self._file.read(1)
        if not read:
            raise EOFError("the header goes beyond the end")
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
                raise ValueError("a number in the header does not end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
