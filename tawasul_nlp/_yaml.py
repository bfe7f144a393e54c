"""Read YAML data and check it against a schema, with errors that name file and line.

A schema is a function from a YAML node to a value; the helpers below build such functions, those of a pack's files
from ``schemas.yaml``. Checking nodes rather than the loaded mapping keeps the line of every entry, and avoids YAML's
implicit types (``no`` stays the string "no").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from tawasul_nlp.errors import TawasulError

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]*")

_Number = TypeVar("_Number", int, float)
_Value = TypeVar("_Value")
Schema = Callable[[yaml.Node, str], Any]


class DataError(TawasulError, ValueError):
    """A data file does not follow its schema; the message starts with ``file:line:``."""


@dataclass(frozen=True, slots=True)
class Record:
    """A checked mapping and its line."""

    values: Mapping[str, Any]
    line: int
    source: str = field(default="", repr=False)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def into(self, kind: type[_Value], /, **others: Any) -> _Value:
        """Build a dataclass from the entries that have its fields' names, and from ``others``."""
        names = (field.name for field in fields(kind))  # type: ignore[arg-type]
        return kind(**{name: self.values[name] for name in names if self.values.get(name) is not None} | others)

    def error(self, message: str) -> DataError:
        """Build an error that points at this record."""
        return DataError(f"{self.source}:{self.line}: {message}")


def error_at(node: yaml.Node, source: str, message: str) -> DataError:
    """Build an error that points at a node."""
    return DataError(f"{source}:{node.start_mark.line + 1}: {message}")


def _scalar(node: yaml.Node, source: str, expected: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise error_at(node, source, f"expected {expected}, got a {node.id}")
    return str(node.value).strip()


def text(node: yaml.Node, source: str) -> str:
    """Accept a non-empty string."""
    value = _scalar(node, source, "a text")
    if not value:
        raise error_at(node, source, "expected a string, got nothing; write a string or remove the key")
    return value


def identifier(node: yaml.Node, source: str) -> str:
    """Accept an id: lower-case ASCII letters, digits and underscores."""
    value = _scalar(node, source, "an id")
    if not _IDENTIFIER.fullmatch(value):
        raise error_at(node, source, f"id {value!r} must be lower-case ASCII letters, digits and underscores")
    return value


def _number(kind: type[_Number], expected: str) -> Callable[[yaml.Node, str], _Number]:
    def check(node: yaml.Node, source: str) -> _Number:
        value = _scalar(node, source, expected)
        try:
            return kind(value)
        except ValueError:
            raise error_at(node, source, f"expected {expected}, got {value!r}") from None

    return check


integer: Final = _number(int, "a whole number")
number: Final = _number(float, "a number")


def one_of(*allowed: str) -> Schema:
    """Accept one of the allowed words."""

    def check(node: yaml.Node, source: str) -> str:
        value = _scalar(node, source, f"one of {', '.join(allowed)}")
        if value not in allowed:
            raise error_at(node, source, f"expected one of {', '.join(allowed)}, got {value!r}")
        return value

    return check


def list_of(item: Schema) -> Schema:
    """Accept a list whose entries follow ``item``; the value is a tuple."""

    def check(node: yaml.Node, source: str) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise error_at(node, source, f"expected a list, got a {node.id}")
        return tuple(item(child, source) for child in node.value)

    return check


def record(required: Mapping[str, Schema], optional: Mapping[str, tuple[Schema, Any]] | None = None) -> Schema:
    """Accept a mapping with exactly these keys; ``optional`` maps a key to its schema and default."""
    spare = optional or {}

    def check(node: yaml.Node, source: str) -> Record:
        if not isinstance(node, yaml.MappingNode):
            raise error_at(node, source, f"expected a mapping with {', '.join(required)}, got a {node.id}")
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise error_at(key_node, source, f"a key must be a word, got a {key_node.id}")
            key = key_node.value
            schema = required.get(key) or (spare[key][0] if key in spare else None)
            if schema is None:
                near = get_close_matches(key, [*required, *spare], n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                allowed = ", ".join([*required, *spare])
                raise error_at(key_node, source, f"unknown key {key!r}; {hint}known keys: {allowed}")
            if key in values:
                raise error_at(key_node, source, f"key {key!r} appears twice")
            values[key] = schema(value_node, source)
        missing = [key for key in required if key not in values]
        if missing:
            raise error_at(node, source, f"missing key(s) {', '.join(missing)}")
        for key, (_, default) in spare.items():
            values.setdefault(key, default)
        return Record(values, node.start_mark.line + 1, source)

    return check


def mapping_of(value: Schema) -> Schema:
    """Accept a mapping from ids to values that follow ``value``."""

    def check(node: yaml.Node, source: str) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise error_at(node, source, f"expected a mapping, got a {node.id}")
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            key = identifier(key_node, source)
            if key in values:
                raise error_at(key_node, source, f"key {key!r} appears twice")
            values[key] = value(child, source)
        return values

    return check


_TYPES: Final[Mapping[str, Schema]] = {
    "text": text,
    "id": identifier,
    "integer": integer,
    "number": number,
    "ids by id": mapping_of(identifier),
}


@lru_cache(maxsize=1)
def _described() -> Any:
    return yaml.load(Path(__file__).with_name("schemas.yaml").read_text("utf-8"), Loader=_LOADER)


def schema_of(name: str, **types: Schema) -> Schema:
    """Return the schema that ``schemas.yaml`` describes under a name, with further types."""
    return _built(_described()[name], {**_TYPES, **types})


def _built(described: Any, types: Mapping[str, Schema]) -> Schema:
    if isinstance(described, list):
        return list_of(_built(described[0], types))
    if isinstance(described, dict):
        keys = {
            key: (_built(entry, types), () if isinstance(entry, list) else None) for key, entry in described.items()
        }
        return record(
            {key: schema for key, (schema, _) in keys.items() if not key.endswith("?")},
            {key[:-1]: optional for key, optional in keys.items() if key.endswith("?")},
        )
    return types[described] if described in types else one_of(*described.split(" | "))


def unique(records: tuple[Record, ...], what: str) -> dict[str, Record]:
    """Index records by their ``id``; a repeated one is an error."""
    by_id: dict[str, Record] = {}
    for entry in records:
        if entry["id"] in by_id:
            raise entry.error(f"{what} id {entry['id']!r} was already used on line {by_id[entry['id']].line}")
        by_id[entry["id"]] = entry
    return by_id


@dataclass(frozen=True, slots=True)
class File:
    """A file's path and content: what is derived from it may be cached by both."""

    path: str
    content: bytes = field(repr=False)

    @classmethod
    def of(cls, path: str | Path) -> File:
        """Read a file; a missing one raises FileNotFoundError."""
        return cls(str(path), Path(path).read_bytes())


def _refuse_aliases(root: yaml.Node, source: str) -> None:
    """Raise DataError where a part of a file stands for another one: by that a small file becomes a large one."""
    seen: set[int] = set()
    left = [root]
    while left:
        node = left.pop()
        if id(node) in seen:
            raise error_at(node, source, "an alias (*name) refers to this; write it out wherever it is meant")
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            left += (part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            left += node.value


def read(source: Path | File, schema: Schema) -> Record:
    """Check one YAML file, which is read unless its content is given.

    Raises DataError if the file is not UTF-8 or not YAML, is empty, or does not follow the schema. Raises
    FileNotFoundError if there is no such file.
    """
    file = source if isinstance(source, File) else File.of(source)
    path = file.path
    try:
        node = yaml.compose(file.content.decode("utf-8-sig"), Loader=_LOADER)
    except UnicodeDecodeError as failure:
        raise DataError(f"{path}: not UTF-8 ({failure.reason} at byte {failure.start}); save it as UTF-8") from failure
    except RecursionError as failure:
        raise DataError(f"{path}: nested too deeply for data of this kind") from failure
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise DataError(f"{path}:{line}: not valid YAML: {getattr(failure, 'problem', failure)}") from failure
    if node is None:
        raise DataError(f"{path}:1: the file is empty")
    if b"*" in file.content:
        _refuse_aliases(node, path)
    value: Record = schema(node, path)
    return value
