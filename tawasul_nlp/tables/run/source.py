"""Open the table that a run reads, which must not change meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tawasul_nlp.tables.io.chunk import Reader
from tawasul_nlp.tables.io.input_file import InputFile
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.readers import open_reader
from tawasul_nlp.tables.run.text_columns import named


def open_source(
    source: str | Path, text_column: str | Sequence[str] | None, options: ReadOptions
) -> tuple[InputFile, Reader]:
    """Return the file as it is when the run begins, and a reader of it.

    Raises
    ------
    TableError
        If it cannot be read as a table.
    """
    file = InputFile(source)
    return file, open_reader(file.path, options, text_column=next(iter(named(text_column)), None))
