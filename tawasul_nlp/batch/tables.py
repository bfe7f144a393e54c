"""What classifying and grouping a table share: its text column, its rejects, and how the output is laid out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tawasul_nlp.batch.errors import MissingColumnError, TableError
from tawasul_nlp.batch.excel import ExcelReader
from tawasul_nlp.batch.readers import CsvReader, JsonlReader
from tawasul_nlp.batch.rows import Chunk, Reader, Reject, json_name, to_json
from tawasul_nlp.batch.sniff import SUFFIXES, Format

_GUESS_ROWS = 100
_REJECT_BYTES = 65_536


def output_format_of(path: Path, wanted: Format | None = None) -> Format:
    """Return the format to write: the wanted one, or that which a file's name tells.

    Raises
    ------
    TableError
        If the name's ending tells none, or it is a workbook: a sheet would cut texts and rows at its limits.

    Examples
    --------
    >>> output_format_of(Path("classified.parquet"))
    'parquet'
    """
    format = wanted or SUFFIXES.get(path.suffix.lower())
    if format == "xlsx":
        raise TableError(f"Excel workbooks are read but not written; write {path.stem}.csv, which Excel opens")
    if format is None:
        known = ", ".join(sorted(suffix for suffix, found in SUFFIXES.items() if found != "xlsx"))
        raise TableError(f"the name {path.name!r} does not tell the output's format; end it in one of {known}")
    return format


def rejects_path_of(output: Path, wanted: str | Path | None) -> Path:
    """Return where rejects go: where they are wanted, or beside the output."""
    return Path(wanted) if wanted is not None else output.with_name(output.name + ".rejects.jsonl")


def check_rejects(path: Path) -> None:
    """Raise :class:`TableError` if a file that is none of ours would be replaced, or removed if nothing is rejected."""
    if path.is_file() and not _holds_rejects(path):
        raise TableError(
            f"the file {path} is there and holds no rejects of an earlier run; name another with --rejects or remove it"
        )


def _holds_rejects(path: Path) -> bool:
    """Whether a file is empty or begins with a reject."""
    try:
        with path.open("rb") as file:
            line = file.readline(_REJECT_BYTES)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return not line or set(json.loads(line)) == {field.name for field in fields(Reject)}
    except (ValueError, TypeError):
        return line.startswith(b'{"row": ')  # a longer line than was read


def checked_column(reader: Reader, wanted: str | None) -> str:
    """Return the name of the text column, if the table has it.

    Raises
    ------
    TableError
        If it cannot hold text (its subclass :class:`MissingColumnError` if there is none of this name).
    """
    if wanted is not None and (wanted in reader.columns or not reader.columns):
        if reader.columns:
            reader.check_text_column(wanted)
        return wanted
    first = next(iter(reader.chunks(_GUESS_ROWS)), None)
    columns = {name: first.column(name) for name in reader.columns} if first is not None else {}
    raise MissingColumnError(wanted, reader.columns, wordiest(columns, words_a_row=2))


def wordiest(columns: Mapping[str, Sequence[object]], words_a_row: float = 0) -> str | None:
    """Return the column with the most words in it, if it has more than so many a row.

    Examples
    --------
    >>> wordiest({"id": ["A1", "A2"], "text": ["حفرة في الشارع", "شكرا"]})
    'text'
    """
    words = {name: sum(len(v.split()) for v in values if isinstance(v, str)) for name, values in columns.items()}
    best = max(words, key=lambda name: words[name], default=None)
    return best if best is not None and words[best] > words_a_row * len(columns[best]) else None


def with_texts(chunk: Chunk, column: str) -> tuple[Chunk, list[str]]:
    """Return the chunk without the rows whose text is none, and the texts of the others."""
    positions = []
    texts = []
    others = {}
    for position, value in enumerate(values_of(chunk, column)):
        if value is None or isinstance(value, str):
            positions.append(position)
            texts.append(value or "")
        else:
            others[position] = (
                "bytes that are not valid UTF-8" if isinstance(value, bytes) else f"a JSON {json_name(value)}"
            )
    if not others:
        return chunk, texts
    lines: Sequence[int | None] = chunk.lines or [None] * len(chunk.numbers)
    rejects = [
        Reject(chunk.numbers[at], lines[at], f"column {column!r} holds {kind}, expected text", to_json(row))
        for (at, kind), row in zip(others.items(), chunk.keep(list(others), ()).records(), strict=True)
    ]
    return chunk.keep(positions, rejects), texts


def values_of(chunk: Chunk, column: str) -> list[Any]:
    """Return a column's values; a string that Arrow holds but UTF-8 does not allow comes out as bytes."""
    if isinstance(chunk.rows, list):
        return chunk.column(column)
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


def reject_lines(rejects: Sequence[Reject]) -> str:
    """Return rejects in the order of their rows, one line of JSON each."""
    return "".join(reject.to_json() + "\n" for reject in sorted(rejects, key=lambda reject: reject.row))


def csv_dialect(reader: Reader, output: Path) -> dict[str, Any]:
    """Return how a CSV output is written so that the program which made the input reads it."""
    delimiter = ","
    if output.suffix.lower() == ".tsv":
        delimiter = "\t"
    elif isinstance(reader, CsvReader) and len(reader.columns) > 1:
        delimiter = reader.delimiter
    from_excel = isinstance(reader, ExcelReader) or (
        isinstance(reader, CsvReader | JsonlReader) and reader.encoding.from_excel
    )
    return {"delimiter": delimiter, "mark": from_excel}


def guarded_note(cells: int) -> tuple[str, ...]:
    """Return what the user should know of cells that were made safe for spreadsheets; nothing if none was."""
    if not cells:
        return ()
    how = (
        "1 cell that a spreadsheet would run as a formula has"
        if cells == 1
        else (f"{cells:,} cells that a spreadsheet would run as formulas have")
    )
    return (f"{how} an apostrophe before the sign (--raw-cells leaves them as they are)",)
