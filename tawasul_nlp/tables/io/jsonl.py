"""JSONL: an object a line, with rejects for what cannot be read."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import is_text, json_name, to_json
from tawasul_nlp.tables.io.chunk import Content, Parsed, Reject, Room, Written, check_width
from tawasul_nlp.tables.io.formats import Layout, ReadOptions, TableFormat
from tawasul_nlp.tables.io.text_file import BROKEN_BYTES, TextReader

if TYPE_CHECKING:
    import pyarrow as pa


class JsonlReader(TextReader):
    """Read a file with one JSON object a line.

    The file is read once when it is opened, to learn its columns and their types, and again for its rows.
    """

    def __init__(self, path: Path, options: ReadOptions, _text_column: str | None = None) -> None:
        super().__init__(path, options.encoding)
        if path.suffix.lower() == ".json" and "".join(self.sample()[:1]).lstrip().startswith("["):
            raise TableError(
                f"{path} is one JSON array; write one JSON object a line instead (jq -c '.[]' {path.name})"
            )
        kinds: dict[str, set[str]] = {}
        rows = 0
        for _, _, item, _ in self._parsed():
            if isinstance(item, dict):
                rows += 1
                for name, value in item.items():
                    kinds.setdefault(name, set()).add(_kind(value))
                check_width(path, len(kinds))
        Room(path).check(rows * len(kinds), "cells")
        self._kinds = kinds
        self.columns = tuple(kinds)

    def _parsed(self) -> Iterator[Parsed]:
        row = 0
        for number, line in enumerate(self.lines(), 1):
            if not line.strip():
                continue
            row += 1
            value, problem = _json_object(line)
            item = value if problem is None else Reject(row, number, problem, self.shown(line))
            yield row, number, item, len(line)

    def schema(self) -> pa.Schema:
        """Return the schema: the type that holds all of a column's values without loss, else their JSON as text."""
        import pyarrow as pa

        holds = (
            (pa.null(), {"null"}),
            (pa.bool_(), {"null", "bool"}),
            (pa.int64(), {"null", "int", "long"}),
            (pa.float64(), {"null", "int", "float"}),
        )

        def type_of(kinds: set[str]) -> pa.DataType:
            return next((type for type, all_of in holds if kinds <= all_of), pa.string())

        return pa.schema([(name, type_of(kinds)) for name, kinds in self._kinds.items()])


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
        return {}, "holds half of a surrogate pair, which is not a character"
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        left = iter(value)  # the names in the order of their first places: the lists part where one comes again
        twice = next(number for number, (name, _) in enumerate(pairs, 1) if name != next(left, None))
        raise ValueError(f"key {twice} of an object is there already")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def write_jsonl(path: Path, layout: Layout, content: Content) -> Written:
    """Write one JSON object a line, Arabic unescaped; a key that a row lacks stays absent."""
    rows = 0
    with path.open("wb") as file:
        for chunk, added in content:
            for record, values in zip(chunk.records(), added, strict=True):
                file.write(to_json(record | dict(zip(layout.added, values, strict=True))).encode() + b"\n")
                rows += 1
    return Written(rows)


JSONL = TableFormat(
    name="jsonl",
    title="a JSONL file",
    suffixes=(".json", ".jsonl", ".ndjson"),
    open=JsonlReader,
    write=write_jsonl,
    recognises=lambda _path, start: start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{",
)
