"""Open a table for reading, whatever its format."""

from __future__ import annotations

from pathlib import Path

from tawasul_nlp.tables.errors import TableError, reason_of
from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.formats import known_format, sniff_format
from tawasul_nlp.tables.io.options import ReadOptions


def open_reader(path: str | Path, options: ReadOptions = ReadOptions(), *, text_column: str | None = None) -> Reader:
    """Open a table for reading; the name of a column that it should have helps to find the delimiter.

    Raises
    ------
    TableError
        If the file is missing, empty, or no table of the format; its subclass :class:`OversizedTableError` if a small
        file would take very long or fill a disk.
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
