"""What classifying and grouping a table share: its text column, its rejects, and how the output is laid out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.errors import MissingColumnError, TableError
from tawasul_nlp.tables.io.chunk import Chunk, Reader, Reject, json_name, to_json
from tawasul_nlp.tables.io.excel_reader import ExcelReader
from tawasul_nlp.tables.io.fields import column_of, field, fields, has_field
from tawasul_nlp.tables.io.readers import CsvReader
from tawasul_nlp.tables.io.sniff import SUFFIXES, Format

_GUESS_ROWS = 100
_REJECT_BYTES = 65_536


def output_format_of(path: Path, wanted: Format | None = None) -> Format:
    """Return the format to write: the wanted one, or that which a file's name tells.

    Raises
    ------
    TableError
        If the name's ending tells none.

    Examples
    --------
    >>> output_format_of(Path("classified.parquet"))
    'parquet'
    """
    format = wanted or SUFFIXES.get(path.suffix.lower())
    if format is None or (wanted is None and path.suffix.lower() == ".xlsm"):  # which Excel opens only with macros
        known = ", ".join(sorted(suffix for suffix in SUFFIXES if suffix != ".xlsm"))
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
        return not line or set(json.loads(line)) == {one.name for one in dataclasses.fields(Reject)}
    except (ValueError, TypeError):
        return line.startswith(b'{"row": ')  # a longer line than was read


def named(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that are named, each once, in their order.

    >>> named("text"), named(["subject", "body", "subject"]), named(None)
    (('text',), ('subject', 'body'), ())
    """
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(dict.fromkeys(columns))


def checked_columns(reader: Reader, wanted: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the text columns, if the table has them.

    Raises
    ------
    TableError
        If one cannot hold text (its subclass :class:`MissingColumnError` if there is none of its name).
    """
    names = named(wanted)
    if not reader.columns and names:
        return names
    missing = next((name for name in names if not has_field(reader, name)), None)
    if missing is None and names:
        if not isinstance(reader, CsvReader | ExcelReader):  # these hold no objects
            _check_no_objects(reader, names)
        for name in names:
            if name in reader.columns:
                reader.check_text_column(name)
        return names
    records = _first_records(reader)
    columns = fields(records, reader.columns)
    values = {name: [field(record, name) for record in records] for name in columns}
    raise MissingColumnError(missing, columns, wordiest(values, words_a_row=2), hint=reader.hint(missing))


def _check_no_objects(reader: Reader, names: Sequence[str]) -> None:
    """Raise :class:`TableError` if a text column holds nothing but objects, for then every row would be rejected."""
    records = _first_records(reader)
    for name in names:
        values = [value for record in records if (value := field(record, name)) is not None]
        if values and all(isinstance(value, Mapping) for value in values):
            inner = fields([{name: value} for value in values], [name])[1:]
            texts = {own: [field({name: value}, own) for value in values] for own in inner}
            likely = wordiest(texts) or next(iter(inner), None)
            advice = f"; name one of their fields, as in --text-column {likely!r}" if likely else ""
            raise TableError(f"column {name!r} holds JSON objects, expected text{advice}")


def _first_records(reader: Reader) -> list[dict[str, Any]]:
    first = next(iter(reader.chunks(_GUESS_ROWS)), None)
    return first.records() if first is not None else []


def joined_note(columns: Sequence[str]) -> tuple[str, ...]:
    """Return what the user should know of texts that stand in several columns; nothing of one.

    >>> joined_note(["subject", "body"])
    ("the text of a case is that of the columns 'subject', 'body' together, in this order",)
    """
    if len(columns) < 2:
        return ()
    return (f"the text of a case is that of the columns {', '.join(map(repr, columns))} together, in this order",)


def joined_text(parts: Iterable[str | None]) -> str:
    r"""Return the texts of several columns as one, a line each; empty ones leave no line.

    >>> joined_text(["انقطاع", None, "الماي مقطوع من أمس"])
    'انقطاع\nالماي مقطوع من أمس'
    """
    return "\n".join(part for part in parts if part)


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


def with_texts(chunk: Chunk, columns: str | Sequence[str]) -> tuple[Chunk, list[str]]:
    """Return the chunk without the rows whose text is none, and the texts of the others, of several columns joined."""
    positions = []
    texts = []
    others = {}
    names = named(columns)
    for position, values in enumerate(zip(*(values_of(chunk, name) for name in names), strict=True)):
        odd = next((at for at, value in enumerate(values) if not (value is None or isinstance(value, str))), None)
        if odd is None:
            positions.append(position)
            texts.append(joined_text(values) if len(values) > 1 else values[0] or "")
        else:
            value = values[odd]
            kind = "bytes that are not valid UTF-8" if isinstance(value, bytes) else f"a JSON {json_name(value)}"
            others[position] = f"column {names[odd]!r} holds {kind}, expected text"
    if not others:
        return chunk, texts
    lines: Sequence[int | None] = chunk.lines or [None] * len(chunk.numbers)
    rejects = [
        Reject(chunk.numbers[at], lines[at], problem, to_json(row))
        for (at, problem), row in zip(others.items(), chunk.keep(list(others), ()).records(), strict=True)
    ]
    return chunk.keep(positions, rejects), texts


def values_of(chunk: Chunk, column: str) -> list[Any]:
    """Return a column's or a field's values; a string that Arrow holds but UTF-8 does not allow comes out as bytes."""
    if isinstance(chunk.rows, list):
        return [field(row, column) for row in chunk.rows]
    if (holder := column_of(column, chunk.rows.schema.names)) is not None and holder != column:
        return [field({holder: value}, column) for value in chunk.column(holder)]
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


def csv_dialect(reader: Reader, output: Path, bom: bool) -> dict[str, Any]:
    """Return how a CSV output is written so that the program which made the input reads it, and Excel its Arabic."""
    delimiter = ","
    if output.suffix.lower() == ".tsv":
        delimiter = "\t"
    elif isinstance(reader, CsvReader) and len(reader.columns) > 1:
        delimiter = reader.delimiter
    return {"delimiter": delimiter, "bom": bom}


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
