"""Read CSV, JSONL and Parquet a chunk at a time; what cannot be read comes out as rejects."""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.delimited import read_records, sniff_delimiter
from tawasul_nlp.batch.errors import TableError
from tawasul_nlp.batch.rows import CHUNK_CHARS, CHUNK_ROWS, Chunk, Reader, Reject, is_text
from tawasul_nlp.batch.sniff import Encoding, Format, named_encoding, sniff_encoding, sniff_format

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE_LINES = 200
_LINE_LIMIT = 1 << 26  # memory is bounded even for a file that has no line ends
_BROKEN_BYTES = "holds bytes that are not valid in the file's encoding"


def open_reader(
    path: str | Path,
    *,
    format: Format | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    text_column: str | None = None,
) -> Reader:
    """Open a table for reading.

    Parameters
    ----------
    path : str or Path
        The file.
    format : {"csv", "jsonl", "parquet"}, optional
        What the file is; told from its name and first bytes if None.
    encoding : str, optional
        Encoding of a CSV or JSONL file; sniffed if None (UTF-8, UTF-8 with mark, windows-1256, UTF-16 with mark).
    delimiter : str, optional
        One character, for CSV; sniffed if None (comma, semicolon, tab, bar).
    text_column : str, optional
        A column that the table should have; it helps to sniff the delimiter and is not checked here.

    Returns
    -------
    Reader

    Raises
    ------
    TableError
        If the file is missing, empty, or no table of the format.
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
        if chosen == "parquet":
            return ParquetReader(path)
        if path.stat().st_size == 0:
            raise TableError(f"{path} is empty")
        if encoding is not None:
            decoding = named_encoding(encoding)
        else:
            with path.open("rb") as file:
                decoding = sniff_encoding(file)
        if chosen == "jsonl":
            return JsonlReader(path, decoding)
        return CsvReader(path, decoding, delimiter, text_column)
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


class _TextFile:
    """The lines of a text file, with how far the reading has come."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self.path = path
        self.encoding = encoding
        self.size = path.stat().st_size
        self._raw: io.FileIO | None = None

    def lines(self) -> Generator[str, None, None]:
        """Yield the lines from the file's start, each with its end as it stands there."""
        with io.FileIO(self.path) as self._raw, io.BufferedReader(self._raw) as buffered:
            text = io.TextIOWrapper(buffered, self.encoding.codec, self.encoding.errors, newline="")
            try:
                while line := text.readline(_LINE_LIMIT):
                    if len(line) == _LINE_LIMIT:
                        raise TableError(
                            f"{self.path} has a line of more than {_LINE_LIMIT:,} characters, so it is no table"
                        )
                    yield line
            except UnicodeError as error:
                raise TableError(f"{self.path} is not valid {self.encoding.codec}; name another --encoding") from error

    def fraction_read(self) -> float:
        """Return the share of the file's bytes that were read."""
        if self._raw is None or self.size == 0:
            return 0.0
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self.size)

    def shown(self, raw: str) -> str:
        r"""Return raw text with the bytes that could not be decoded as ``\xNN``."""
        if is_text(raw):
            return raw
        codec = self.encoding.codec
        return raw.encode(codec, "surrogateescape").decode(codec, "backslashreplace")


class CsvReader:
    """Read a delimited file whose first row is a header.

    Columns without a name, and columns whose name occurred before, get a name of their own (``column_3``, ``id_2``), so
    that no value is lost; ``notes`` says so.
    """

    def __init__(self, path: Path, encoding: Encoding, delimiter: str | None, text_column: str | None) -> None:
        self._file = _TextFile(path, encoding)
        with closing(self._file.lines()) as lines:
            sample = list(islice(lines, _SAMPLE_LINES))
        self.delimiter = delimiter or sniff_delimiter(sample, text_column)
        header = next(read_records(sample, self.delimiter), None)
        if header is None:
            raise TableError(f"{path} has no header line")
        if header.fields is None:
            raise TableError(f"the header of {path} cannot be read: {header.problem}")
        if not is_text(header.raw):
            raise TableError(f"the header of {path} {_BROKEN_BYTES}; name it with --encoding")
        self.columns, self.notes = _distinct(header.fields)
        self.encoding = encoding

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        records = read_records(self._file.lines(), self.delimiter)
        next(records)
        width = len(self.columns)

        def parsed() -> Iterator[tuple[dict[str, Any] | Reject, int]]:
            for row, record in enumerate(records, 1):
                problem = record.problem
                if not is_text(record.raw):
                    problem = _BROKEN_BYTES
                elif record.fields is not None and len(record.fields) != width:
                    problem = f"has {_fields(len(record.fields))} where the header has {width}"
                if problem is None and record.fields is not None:
                    yield dict(zip(self.columns, record.fields, strict=True)), len(record.raw)
                else:
                    yield Reject(row, record.line, problem or "cannot be read", self._file.shown(record.raw)), 0

        return _gather(parsed(), max_rows)

    def fraction_read(self) -> float:
        """Return the share of the file that was read."""
        return self._file.fraction_read()

    def schema(self) -> pa.Schema:
        """Return the schema: every column is text."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])

    def check_text_column(self, name: str) -> None:
        """Accept any column: all hold text."""


class JsonlReader:
    """Read a file with one JSON object a line.

    The file is read once when it is opened, to learn its columns and their types, and again for its rows.
    """

    def __init__(self, path: Path, encoding: Encoding) -> None:
        self._file = _TextFile(path, encoding)
        self.notes: tuple[str, ...] = ()
        self.encoding = encoding
        kinds: dict[str, set[str]] = {}
        for parsed in self._parsed():
            if isinstance(parsed[0], dict):
                for name, value in parsed[0].items():
                    kinds.setdefault(name, set()).add(_kind(value))
        self._kinds = kinds
        self.columns = tuple(kinds)

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        return _gather(self._parsed(), max_rows)

    def _parsed(self) -> Iterator[tuple[dict[str, Any] | Reject, int]]:
        row = 0
        for number, line in enumerate(self._file.lines(), 1):
            if not line.strip():
                continue
            row += 1
            problem = None if is_text(line) else _BROKEN_BYTES
            if problem is None:
                try:
                    value = json.loads(line, object_pairs_hook=_object, parse_constant=_no_constant)
                except RecursionError:
                    problem = "is nested too deeply"
                except ValueError as error:
                    problem = f"is not JSON: {error}"
                else:
                    if not isinstance(value, dict):
                        problem = f"is a JSON {_JSON_NAMES[type(value)]}, expected an object"
                    elif "\\ud" in line.lower() and not is_text(json.dumps(value, ensure_ascii=False)):
                        problem = "holds half of a surrogate pair, which is no character"
                    else:
                        yield value, len(line)
                        continue
            yield Reject(row, number, problem, self._file.shown(line)), 0

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


class ParquetReader:
    """Read a Parquet file in record batches, which keep their types."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self._schema = file.schema_arrow
                self._rows = file.metadata.num_rows
        except pa.ArrowException as error:
            raise TableError(f"{path} is not a Parquet file that can be read: {_first_line(error)}") from error
        self.columns = tuple(self._schema.names)
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise TableError(f"{path} has several columns named {sorted(repeated)[0]!r}; rename them")
        self.notes: tuple[str, ...] = ()
        self._done = 0

    def chunks(self, max_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows in order; see :class:`~tawasul_nlp.batch.rows.Reader`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._done = 0
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(batch_size=max_rows):
                    first = self._done + 1
                    self._done += batch.num_rows
                    yield Chunk(range(first, self._done + 1), batch, ())
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self._path} is damaged after row {self._done}: {_first_line(error)}") from error
        if self._done != self._rows:
            raise TableError(f"{self._path} says it has {self._rows} rows but gave {self._done}")

    def fraction_read(self) -> float:
        """Return the share of the rows that were read."""
        return self._done / self._rows if self._rows else 1.0

    def schema(self) -> pa.Schema:
        """Return the file's own schema."""
        return self._schema

    def check_text_column(self, name: str) -> None:
        """Raise :class:`TableError` if the column does not hold strings."""
        import pyarrow as pa

        kind = self._schema.field(name).type
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        allowed = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
        if not any(test(value) for test in allowed):
            raise TableError(f"column {name!r} holds {kind}, expected text (string)")


def _gather(parsed: Iterable[tuple[dict[str, Any] | Reject, int]], max_rows: int) -> Iterator[Chunk]:
    """Bundle parsed rows, each with its size in characters, into chunks."""
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    chars = 0
    for number, (item, size) in enumerate(parsed, 1):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            rows.append(item)
            numbers.append(number)
        chars += size
        if len(rows) + len(rejects) >= max_rows or chars >= CHUNK_CHARS:
            yield Chunk(numbers, rows, rejects)
            rows, numbers, rejects, chars = [], [], [], 0
    if rows or rejects:
        yield Chunk(numbers, rows, rejects)


def _distinct(names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    taken = set(names)
    seen: set[str] = set()
    result = []
    notes = []
    for position, name in enumerate(names, 1):
        fresh = name
        if not name or name in seen:
            base = name or "column"
            count = 2 if name else position
            while (fresh := f"{base}_{count}") in taken:
                count += 1
            notes.append(
                f"column {position} is named {fresh!r}: its own name {name!r} is {'taken' if name else 'empty'}"
            )
            taken.add(fresh)
        seen.add(fresh)
        result.append(fresh)
    return tuple(result), tuple(notes)


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"


_JSON_NAMES = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}

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
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
