"""How a table is read and how it is written, beyond the names of the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tawasul_nlp.inputs import at_least_one
from tawasul_nlp.tables.io.encodings import named_encoding
from tawasul_nlp.tables.io.formats import known_format


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a table is read; what is None is detected.

    Parameters
    ----------
    format : str, optional
        ``csv``, ``jsonl``, ``parquet`` or ``xlsx``; by the file's name and first bytes if None.
    encoding : str, optional
        Of a CSV or JSONL file; sniffed if None (UTF-8, UTF-8 with mark, windows-1256, UTF-16 with mark).
    delimiter : str, optional
        One character, for CSV; sniffed if None (comma, semicolon, tab, bar).
    sheet : str, optional
        Of an Excel workbook; the first if None.
    header_row : int, optional
        The row of the header in a workbook or CSV, from 1; what is above it, such as a title, is left out. The first
        that is not empty if None.
    any_size : bool
        Whether to read a file that unpacks to far more than its size: compressed, with millions of empty cells, or with
        one text that many rows share.

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
    any_size: bool = False

    def __post_init__(self) -> None:
        if self.format is not None:
            known_format(self.format)
        if self.encoding is not None:
            named_encoding(self.encoding)
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ValueError(f"delimiter is {self.delimiter!r}, expected one character")
        if self.header_row is not None:
            at_least_one("header_row", self.header_row)


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
    raw_cells : bool
        Whether a CSV keeps cells that a spreadsheet would run as formulas; else they are escaped with an apostrophe.
    bom : bool
        Whether a CSV begins with a byte-order mark, without which Excel shows Arabic as gibberish.
    overwrite : bool
        Whether to replace any file; else only an output that such a run on this input wrote and that was not changed
        since.
    manifest : bool
        Whether to write ``OUT.manifest.json``.

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
    raw_cells: bool = False
    bom: bool = True
    overwrite: bool = True
    manifest: bool = True

    def __post_init__(self) -> None:
        if self.format is not None:
            known_format(self.format)
