"""The formats of tables, how a table is read and written, and what one to be written looks like.

A format is declared once, in its own module; whatever depends on formats asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tawasul_nlp.errors import at_least_one
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, added_schema
from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.dates import DateOrder
from tawasul_nlp.tables.io.text_file import named_encoding

if TYPE_CHECKING:
    import pyarrow as pa

    from tawasul_nlp.domain import Domain
    from tawasul_nlp.tables.io.chunk import Chunk, Content, Reader, Written


@dataclass(frozen=True, slots=True)
class Layout:
    """What a table to be written looks like."""

    format: TableFormat
    columns: tuple[str, ...]  # the table's own
    schema: Callable[[], pa.Schema]  # gives theirs, for Parquet
    added: tuple[str, ...]  # names of the added columns
    types: Mapping[str, str] = field(default_factory=lambda: ADDED_COLUMNS)  # their plain names with their types
    # For CSV: see WriteOptions.
    delimiter: str = ","
    bom: bool = False
    # For workbooks: whether people are shown Arabic columns, and whose names they have; None is Bahrain's.
    arabic: bool = False
    domain: Domain | None = None

    def whole_schema(self) -> pa.Schema:
        """Return the Arrow schema of the table's own and the added columns."""
        import pyarrow as pa

        schema = self.schema()
        return pa.schema([*schema, *added_schema(self.added, self.types)], metadata=schema.metadata)


_START_BYTES = 512
# The first bytes of files that people take for tables of ours, and what to do with them.
_OTHERS = (
    (0, b"PK\x03\x04", "a zip archive or a damaged Excel workbook; unpack it, or save the sheet as 'CSV UTF-8'"),
    (0, b"\x1f\x8b", "compressed; unpack it"),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as 'CSV UTF-8'"),
    (0, b"%PDF", "a PDF; export the table as CSV"),
    (257, b"ustar", "a tar archive; unpack it"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """How tables of one format are recognised, read and written."""

    name: str  # as in ``--input-format`` and ``ReadOptions(format=...)``
    title: str  # as in messages, with an article if it takes one
    suffixes: tuple[str, ...]  # endings of its files' names
    open: Callable[..., Reader]  # open(path, options, text_column)
    write: Callable[[Path, Layout, Content], Written]
    # Returns whether a file is one, by its first bytes.
    recognises: Callable[[Path, bytes], bool] = lambda _path, _start: False
    # Whether every file is recognised, so that one which is not is damaged, whatever its name.
    binary: bool = False
    # Raises TableError if no table can have these columns.
    check_columns: Callable[[Sequence[str]], None] = lambda _names: None
    # fitting(chunk, written) returns the chunk with rejects for the rows that the format cannot hold as they are, or as
    # written(chunk) has them.
    fitting: Callable[..., Chunk] = lambda chunk, _written=None: chunk
    takes: frozenset[str] = frozenset()  # those of the read options ``sheet`` and ``header_row`` that apply
    read_suffixes: tuple[str, ...] = ()  # endings of files that are only read


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

    Raises ``ValueError`` if there is none.
    """
    if name not in _FORMATS:
        raise ValueError(f"format is {name!r}, expected one of {', '.join(format_names())}")
    return _FORMATS[name]


def sniff_format(path: Path) -> TableFormat:
    """Return the format of an existing file, by its first bytes or its name.

    Raises :class:`TableError` if it is not a table; the message says how to convert it.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    binary = next((format for format in _FORMATS.values() if format.binary and format.recognises(path, start)), None)
    if binary is not None:
        return binary
    for offset, magic, advice in _OTHERS:
        if start.startswith(magic, offset):
            raise TableError(f"{path} is {advice}")
    named = _of_suffix(path.suffix.lower(), reading=True)
    if named is not None and named.binary:
        raise TableError(f"{path} is named as {named.title} but does not begin as one; it may be damaged or cut off")
    recognised = (format for format in _FORMATS.values() if format.recognises(path, start))
    return named or next(recognised, None) or known_format("csv")


def output_format(path: Path) -> TableFormat:
    """Return the format of an output by its name.

    Raises :class:`TableError` if its ending is not that of a format.

    Examples
    --------
    >>> output_format(Path("classified.parquet")).name
    'parquet'
    """
    format = _of_suffix(path.suffix.lower())
    if format is None:
        suffixes = ", ".join(sorted(suffix for format in _FORMATS.values() for suffix in format.suffixes))
        raise TableError(f"the name {path.name!r} does not tell the output's format; end it in one of {suffixes}")
    return format


def _of_suffix(suffix: str, *, reading: bool = False) -> TableFormat | None:
    for format in _FORMATS.values():
        if suffix in format.suffixes or (reading and suffix in format.read_suffixes):
            return format
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a table is read; what is None is detected.

    Parameters
    ----------
    format : str, optional
        ``csv``, ``jsonl``, ``parquet`` or ``xlsx``; by the file's name and first bytes if None.
    encoding : str, optional
        Of a CSV or JSONL file; if None, each row is read by its own: UTF-8 or one of windows-1256, ISO-8859-6 and
        cp720; or all of it as UTF-16 or UTF-32 by its byte-order mark.
    delimiter : str, optional
        One character, for CSV; sniffed if None (comma, semicolon, tab, bar).
    sheet : str, optional
        Of an Excel workbook; the first if None.
    header_row : int, optional
        The row of the header in a workbook or CSV, from 1; what is above it, such as a title, is left out. The first
        that is not empty if None.
    date_order : {"day-first", "month-first"}, optional
        What comes first in dates such as ``3/5/2026``; if None, the dates of the column tell.
    unread_dates : str or Path, optional
        A table to write: the rows whose date cannot be read, as a spreadsheet numbers them, and what they have for it.

    Raises
    ------
    ValueError
        If a value is invalid. A sheet or a header row that the file does not have is reported when it is opened.

    Examples
    --------
    >>> ReadOptions(encoding="windows-1256", header_row=3).header_row
    3
    >>> ReadOptions(delimiter="::")
    Traceback (most recent call last):
    ...
    ValueError: delimiter is '::', expected one character
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    date_order: DateOrder | None = None
    unread_dates: str | Path | None = None

    def __post_init__(self) -> None:
        if self.format is not None:
            known_format(self.format)
        if self.encoding is not None:
            named_encoding(self.encoding)
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter is {self.delimiter!r}, expected one character")
        if self.header_row is not None:
            at_least_one("header_row", self.header_row)
        if self.date_order not in (None, *get_args(DateOrder)):
            raise ValueError(f"date_order is {self.date_order!r}, expected one of {', '.join(get_args(DateOrder))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How a table is written, with its rejected rows and its manifest beside it.

    Parameters
    ----------
    format : str, optional
        As for reading; by the output's name if None. In a workbook, texts are texts and never formulas, and a row with
        a text that no cell of Excel holds is rejected.
    prefix : str, optional
        Of the added columns; see :func:`~tawasul_nlp.tables.added_names`.
    rejects : str or Path, optional
        Where rejected rows go; the output's name with ``.rejects.jsonl`` if None. When no row is rejected, the file is
        not written and one from an earlier run is removed.
    bom : bool
        Whether a CSV begins with a byte-order mark, without which Excel shows Arabic as gibberish.
    arabic : bool, optional
        Whether a workbook shows people Arabic columns, and hides those that programs read; if None, it does where the
        table's own headings are Arabic.
    overwrite : bool
        Whether an output that is there is replaced; else only what an unfinished run of it has published.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> WriteOptions(format="xls")
    Traceback (most recent call last):
    ...
    ValueError: format is 'xls', expected one of csv, jsonl, parquet, xlsx
    """

    format: str | None = None
    prefix: str | None = None
    rejects: str | Path | None = None
    bom: bool = True
    arabic: bool | None = None
    overwrite: bool = True

    def __post_init__(self) -> None:
        if self.format is not None:
            known_format(self.format)


def open_reader(path: str | Path, options: ReadOptions = ReadOptions(), *, text_column: str | None = None) -> Reader:
    """Open a table for reading; the name of a column that it should have helps to find the delimiter.

    Raises :class:`TableError` if the file is missing, empty, or no table of the format; its subclass
    :class:`OversizedTableError` if a small file would take very long or fill a disk.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"there is no file {path}")
    if not path.is_file():
        raise TableError(f"{path} is not a regular file")
    try:
        format = known_format(options.format) if options.format is not None else sniff_format(path)
        if options.sheet is not None and "sheet" not in format.takes:
            raise TableError(f"{path} is {format.title}, which has no sheet {options.sheet!r}; leave --sheet out")
        if options.header_row is not None and "header_row" not in format.takes:
            raise TableError(f"{path} is {format.title}, which has no header row; leave --header-row out")
        if path.stat().st_size == 0:
            raise TableError(f"{path} is empty")
        return format.open(path, options, text_column)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {reason_of(error)}") from error
