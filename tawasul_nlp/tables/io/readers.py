"""Open a table for reading, and read CSV and JSONL a chunk at a time; what cannot be read comes out as rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reader, Reject, is_text, json_name
from tawasul_nlp.tables.io.chunking import (
    CELLS,
    CELLS_PER_BYTE,
    TITLE_ROWS,
    Parsed,
    check_width,
    distinct_names,
    gather,
    title_hint,
)
from tawasul_nlp.tables.io.delimited import DELIMITERS, read_records, sniff_delimiter
from tawasul_nlp.tables.io.parquet_reader import ParquetReader
from tawasul_nlp.tables.io.sniff import Encoding, Format, named_encoding, sniff_encoding, sniff_format
from tawasul_nlp.tables.io.text_file import TextFile

if TYPE_CHECKING:
    import pyarrow as pa

_BROKEN_BYTES = "holds bytes that are not valid in the file's encoding"


def open_reader(
    path: str | Path,
    *,
    format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    text_column: str | None = None,
    sheet: str | None = None,
    header_row: int | None = None,
    any_size: bool = False,
) -> Reader:
    """Open a table for reading.

    Parameters
    ----------
    path : str or Path
        The file.
    format : {"csv", "jsonl", "parquet", "xlsx"}, optional
        What the file is; told from its name and first bytes if None.
    encoding : str, optional
        Encoding of a CSV or JSONL file; sniffed if None (UTF-8, UTF-8 with mark, windows-1256, UTF-16 with mark).
    delimiter : str, optional
        One character, for CSV; sniffed if None (comma, semicolon, tab, bar).
    text_column : str, optional
        A column that the table should have; it helps to sniff the delimiter and is not checked here.
    sheet : str, optional
        Which sheet of an Excel workbook; the first if None.
    header_row : int, optional
        The row of the header in a workbook or CSV, from 1; what is above it, such as a title, is left out. The first
        that is not empty if None.
    any_size : bool
        Whether to read a file that holds far more than its size lets one think: rows and cells without end, or a text
        that stands once for many rows.

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
    if delimiter is not None and len(delimiter) != 1:
        raise TableError(f"the delimiter must be one character; got {delimiter!r}")
    try:
        chosen = format or sniff_format(path)
        if sheet is not None and chosen != "xlsx":
            raise TableError(f"{path} is no Excel workbook, so it has no sheet {sheet!r}")
        if header_row is not None and header_row < 1:
            raise TableError(f"the header's row is counted from 1; got {header_row}")
        if header_row is not None and chosen not in ("csv", "xlsx"):
            raise TableError(f"{path} is {chosen.upper()}, which has no header row; leave --header-row out")
        if chosen == "xlsx":
            from tawasul_nlp.tables.io.excel_reader import ExcelReader

            return ExcelReader(path, sheet, header_row, any_size=any_size)
        if chosen == "parquet":
            return ParquetReader(path, any_size=any_size)
        if path.stat().st_size == 0:
            raise TableError(f"{path} is empty")
        if encoding is not None:
            decoding = named_encoding(encoding)
        else:
            with path.open("rb") as file:
                decoding = sniff_encoding(file)
        if chosen == "jsonl":
            return JsonlReader(path, decoding, any_size=any_size)
        return CsvReader(path, decoding, delimiter, text_column, header_row or 1)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


class CsvReader:
    """Read a delimited file whose first row is a header.

    Columns without a name, and columns whose name occurred before, get a name of their own (``column_3``, ``id_2``), so
    that no value is lost; ``notes`` says so. A line with nothing in it is a row only where there is one column.
    """

    def __init__(
        self, path: Path, encoding: Encoding, delimiter: str | None, text_column: str | None, header_row: int = 1
    ) -> None:
        self._file = TextFile(path, encoding)
        self._top = header_row - 1
        self._given_delimiter = delimiter
        sample = self._file.sample()[self._top :]
        self._sample = sample[: TITLE_ROWS + 1]
        self.delimiter = delimiter or sniff_delimiter(sample, text_column)
        header = next(read_records(sample, self.delimiter), None)
        if header is None:
            below = f" in its first lines from line {header_row} on" if header_row > 1 else ""
            raise TableError(f"{path} has no header line{below}")
        if header.fields is None:
            raise TableError(f"the header of {path} cannot be read: {header.problem}")
        if not is_text(header.raw):
            raise TableError(f"the header of {path} {_BROKEN_BYTES}; name it with --encoding")
        check_width(path, len(header.fields))
        self._header = header
        self.columns, self.notes = distinct_names(header.fields)
        self.encoding = encoding

    def chunks(
        self, max_rows: int = CHUNK_ROWS, start: Position = START, first_rows: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        width = len(self.columns)
        begin = start == START
        lines = self._file.lines(start)
        if begin:
            above = list(islice(lines, self._top))
            start = Position(0, len(above), sum(map(self._file.size, above)))
        records = read_records(lines, self.delimiter, self._file.size, blank_is_record=width == 1)
        if begin:
            next(record for record in records if record.raw.strip("\r\n"))  # the header

        def parsed() -> Iterator[Parsed]:
            for row, record in enumerate(records, start.row + 1):
                end = Position(row, start.line + record.lines, start.byte + record.size)
                problem = record.problem
                if not is_text(record.raw):
                    problem = _BROKEN_BYTES
                elif record.fields is not None and len(record.fields) != width:
                    problem = f"has {_fields(len(record.fields))} where the header has {width}"
                line = start.line + record.line
                item: dict[str, Any] | Reject
                if problem is None and record.fields is not None:
                    item = dict(zip(self.columns, record.fields, strict=True))
                else:
                    item = Reject(row, line, problem or "cannot be read", self._file.shown(record.raw))
                yield item, line, len(record.raw), end

        return gather(parsed(), max_rows, start, first_rows)

    def fraction_read(self) -> float:
        """Return the share of the file that was read."""
        return self._file.fraction_read()

    def schema(self) -> pa.Schema:
        """Return the schema: every column is text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Accept any column: all hold text."""

    def hint(self, wanted: str | None) -> str:
        """Say which row is the header, if the one that was taken for it looks like a title."""
        below = self._sample[self._header.lines :]
        for delimiter in [self._given_delimiter] if self._given_delimiter is not None else DELIMITERS:
            records = read_records(below, delimiter)
            rows = ((self._top + self._header.lines + record.line, record.fields or []) for record in records)
            if hint := title_hint(rows, self._header.fields or [], wanted):
                return hint
        return ""


class JsonlReader:
    """Read a file with one JSON object a line.

    The file is read once when it is opened, to learn its columns and their types, and again for its rows.
    """

    def __init__(self, path: Path, encoding: Encoding, *, any_size: bool = False) -> None:
        self._file = TextFile(path, encoding)
        self.notes: tuple[str, ...] = ()
        self.encoding = encoding
        kinds: dict[str, set[str]] = {}
        rows = 0
        for item, *_ in self._parsed(START):
            if isinstance(item, dict):
                rows += 1
                for name, value in item.items():
                    kinds.setdefault(name, set()).add(_kind(value))
                check_width(path, len(kinds))
        size = path.stat().st_size
        most = CELLS + CELLS_PER_BYTE * size
        if rows * len(kinds) > most and not any_size:
            holds = f"{rows:,} rows of {len(kinds):,} columns, more than the {most:,} cells of such a file"
            raise OversizedTableError(path, size, holds)
        self._kinds = kinds
        self.columns = tuple(kinds)

    def chunks(
        self, max_rows: int = CHUNK_ROWS, start: Position = START, first_rows: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.tables.io.chunk.Reader`."""
        return gather(self._parsed(start), max_rows, start, first_rows)

    def _parsed(self, start: Position) -> Iterator[Parsed]:
        row, done = start.row, start.byte
        for number, line in enumerate(self._file.lines(start), start.line + 1):
            done += self._file.size(line)
            if not line.strip():
                continue
            row += 1
            value, problem = _json_object(line)
            item = value if problem is None else Reject(row, number, problem, self._file.shown(line))
            yield item, number, len(line), Position(row, number, done)

    def fraction_read(self) -> float:
        """Return the share of the file that was read."""
        return self._file.fraction_read()

    def schema(self) -> pa.Schema:
        """Return the schema: the type that holds all of a column's values without loss, else their JSON as text."""
        import pyarrow as pa

        types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "null": pa.null()}
        return pa.schema([(name, types.get(_common(kinds), pa.string())) for name, kinds in self._kinds.items()])

    def check_text_column(self, name: str) -> None:
        """Accept any column: a row whose text is no text is rejected alone."""

    def hint(self, wanted: str | None) -> str:
        """Return nothing: names of columns are known for sure."""
        return ""


def _json_object(line: str) -> tuple[dict[str, Any], str | None]:
    """Return the object that a line holds, and what is wrong with it, if anything."""
    if not is_text(line):
        return {}, _BROKEN_BYTES
    try:
        value = json.loads(line, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        return {}, "is nested too deeply"
    except ValueError as error:
        return {}, f"is not JSON: {error}"
    if not isinstance(value, dict):
        return {}, f"is a JSON {json_name(value)}, expected an object"
    if "\\ud" in line.lower() and not is_text(json.dumps(value, ensure_ascii=False)):
        return {}, "holds half of a surrogate pair, which is no character"
    return value, None


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"


# Integers beyond these are not kept exactly by an Arrow int64, or by a float64 where a column mixes both.
_INT64 = 2**63
_FLOAT_EXACT = 2**53


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= _FLOAT_EXACT else "long" if abs(value) < _INT64 else "json"
    if isinstance(value, float):
        return "float"
    return "str" if isinstance(value, str) else "json"


def _common(kinds: set[str]) -> str:
    kinds = kinds - {"null"}
    if not kinds:
        return "null"
    if kinds <= {"int", "long"}:
        return "int"
    if kinds <= {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "json"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        left = iter(value)  # the names in the order of their first places: the lists part where one comes again
        twice = next(at for at, (name, _) in enumerate(pairs, 1) if name != next(left, None))
        raise ValueError(f"key {twice} of an object is there already")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
