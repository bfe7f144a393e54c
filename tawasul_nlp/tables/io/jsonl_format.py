"""Read JSONL a chunk at a time, from any row on; what cannot be read comes out as rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import OversizedTableError
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, START, Chunk, Position, Reject, is_text, json_name
from tawasul_nlp.tables.io.chunking import CELLS, CELLS_PER_BYTE, Parsed, check_width, gather
from tawasul_nlp.tables.io.options import ReadOptions
from tawasul_nlp.tables.io.text_file import BROKEN_BYTES, TextFile, encoding_of

if TYPE_CHECKING:
    import pyarrow as pa


class JsonlReader:
    """Read a file with one JSON object a line.

    The file is read once when it is opened, to learn its columns and their types, and again for its rows.
    """

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.encoding = encoding_of(path, options.encoding)
        self._file = TextFile(path, self.encoding)
        self.notes: tuple[str, ...] = ()
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
        if rows * len(kinds) > most and not options.any_size:
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
        return {}, BROKEN_BYTES
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
