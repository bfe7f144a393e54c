"""The formats of tables. A format is declared once, in its own module; whatever depends on formats asks here."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.packed import unpacked

if TYPE_CHECKING:
    from tawasul_nlp.tables.io.chunk import Chunk, Reader, Writer

_START_BYTES = 512
# The first bytes of files that people take for tables of ours, and what to do with them.
_OTHERS = (
    (0, b"PK\x03\x04", "a zip archive or a damaged Excel workbook; unpack it, or save the sheet as 'CSV UTF-8'"),
    (0, b"\x1f\x8b", "compressed twice; unpack it"),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as 'CSV UTF-8'"),
    (0, b"%PDF", "a PDF; export the table as CSV"),
    (257, b"ustar", "a tar archive; unpack it"),
)


def _any_row(chunk: Chunk, _written: Callable[[Chunk], Chunk]) -> Chunk:
    return chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """How tables of one format are recognised, read and written.

    Attributes
    ----------
    name : str
        As in ``--input-format`` and ``ReadOptions(format=...)``.
    title : str
        As in messages, with an article if it takes one.
    suffixes, read_suffixes : tuple of str
        Endings of its files' names, and of those that are only read.
    open : callable
        ``open(path, options, text_column)`` returns a reader.
    append : callable
        ``append(sink, layout, before)`` returns a writer; ``before`` is the number of rows that the sink has, None if
        it has not even a header.
    build : callable or None
        ``build(rows, table, layout)`` makes the table from what was appended; None if that is the table.
    recognises : callable or None
        ``recognises(path, start)`` returns whether a file is one, by its first bytes; None if they may be anything.
    binary : bool
        Whether every file is recognised, so that one which is not is damaged, whatever its name.
    fitting : callable
        ``fitting(chunk, written)`` returns the chunk with rejects for the rows that the format cannot hold as
        ``written(chunk)`` has them.
    takes : frozenset of str
        Those of the read options ``sheet`` and ``header_row`` that apply.
    piped : str
        The format for standard output when one of these tables was read; its own if empty.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    open: Callable[..., Reader]
    append: Callable[..., Writer]
    build: Callable[..., None] | None = None
    recognises: Callable[[Path, bytes], bool] | None = None
    binary: bool = False
    fitting: Callable[[Chunk, Callable[[Chunk], Chunk]], Chunk] = _any_row
    takes: frozenset[str] = frozenset()
    read_suffixes: tuple[str, ...] = ()
    piped: str = ""


_FORMATS: dict[str, TableFormat] = {}


def register(format: TableFormat) -> None:
    """Make a format known, in place of one of its name."""
    _FORMATS[format.name] = format


def format_names() -> list[str]:
    """Return the names of the known formats.

    >>> format_names()
    ['csv', 'jsonl', 'parquet', 'xlsx']
    """
    return sorted(_FORMATS)


def known_format(name: str) -> TableFormat:
    """Return the format of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in _FORMATS:
        raise ValueError(f"format is {name!r}, expected one of {', '.join(format_names())}")
    return _FORMATS[name]


def sniff_format(path: Path) -> TableFormat:
    """Return the format of an existing file, by its first bytes or its name.

    Raises
    ------
    TableError
        If it is not a table; the message says how to convert it.
    """
    with io.FileIO(path) as raw, unpacked(raw, path) as (file, inner):
        start = file.read(_START_BYTES)
    found = next((format for format in _FORMATS.values() if format.binary and _recognised(format, path, start)), None)
    if found is not None:
        if inner is not None:
            raise TableError(f"{path} is compressed and holds {found.title}; unpack it")
        return found
    for at, magic, advice in _OTHERS:
        if start.startswith(magic, at):
            raise TableError(f"{path} is {advice}")
    named = _of_suffix(Path(inner or path.name).suffix.lower(), reading=True)
    if named is not None and named.binary:
        raise TableError(f"{path} is named as {named.title} but does not begin as one; it may be damaged or cut off")
    recognised = (format for format in _FORMATS.values() if _recognised(format, path, start))
    return named or next(recognised, None) or known_format("csv")


def output_format(path: Path) -> TableFormat:
    """Return the format of an output by its name.

    Raises
    ------
    TableError
        If its ending is not that of a format.

    Examples
    --------
    >>> output_format(Path("classified.parquet")).name
    'parquet'
    """
    format = _of_suffix(path.suffix.lower())
    if format is None:
        known = ", ".join(sorted(suffix for format in _FORMATS.values() for suffix in format.suffixes))
        raise TableError(f"the name {path.name!r} does not tell the output's format; end it in one of {known}")
    return format


def _of_suffix(suffix: str, *, reading: bool = False) -> TableFormat | None:
    for format in _FORMATS.values():
        if suffix in format.suffixes or (reading and suffix in format.read_suffixes):
            return format
    return None


def _recognised(format: TableFormat, path: Path, start: bytes) -> bool:
    return format.recognises is not None and format.recognises(path, start)
