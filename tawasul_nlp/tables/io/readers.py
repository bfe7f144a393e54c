"""Open a table for reading, whatever its format."""

from __future__ import annotations

from pathlib import Path

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.csv_format import CsvReader
from tawasul_nlp.tables.io.encodings import sniff_format
from tawasul_nlp.tables.io.excel_reader import ExcelReader
from tawasul_nlp.tables.io.jsonl_format import JsonlReader
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.parquet_reader import ParquetReader


def open_reader(path: str | Path, options: ReadOptions = ReadOptions(), *, text_column: str | None = None) -> Reader:
    """Open a table for reading.

    Parameters
    ----------
    path : str or Path
        The file.
    options : ReadOptions
    text_column : str, optional
        A column that the table should have; it helps to sniff the delimiter and is not checked here.

    Returns
    -------
    Reader

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
        format = options.format or sniff_format(path)
        if options.sheet is not None and format != "xlsx":
            raise TableError(f"{path} is no Excel workbook, so it has no sheet {options.sheet!r}")
        if options.header_row is not None and format not in ("csv", "xlsx"):
            raise TableError(f"{path} is {format.upper()}, which has no header row; leave --header-row out")
        if format == "xlsx":
            return ExcelReader(path, options)
        if format == "parquet":
            return ParquetReader(path, options)
        if path.stat().st_size == 0:
            raise TableError(f"{path} is empty")
        return JsonlReader(path, options) if format == "jsonl" else CsvReader(path, options, text_column)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
