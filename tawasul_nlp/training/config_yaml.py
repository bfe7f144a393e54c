"""Read settings from YAML nodes rather than from loaded values, so that an error names the file and the line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError
from tawasul_nlp.training.config_values import MAPPINGS, RANGES, check_names, problem_of, setting_names


def settings_schema(kind: type, parts: Mapping[str, type]) -> _yaml.Schema:
    """Return the schema of a mapping from names of settings of ``kind`` to their values.

    ``parts`` are the classes of those that have settings of their own.
    """
    optional = {name: (_setting(name, parts), None) for name in setting_names(kind)}

    def check(node: yaml.Node, source: str) -> _yaml.Record:
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1
            raise DataError(f"{source}:{line}: expected settings as 'name: value' lines, got a {node.id}")
        found: _yaml.Record = _yaml.record({}, optional)(node, source)
        given = {key.value for key, _ in node.value}
        values = {name: value for name, value in found.values.items() if name in given}
        return dataclasses.replace(found, values=values)

    return check


def _setting(name: str, parts: Mapping[str, type]) -> _yaml.Schema:
    """Return the schema of one setting, which also checks its range."""

    def check(node: yaml.Node, source: str) -> Any:
        null = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
        value = None if null else _schema(name, parts)(node, source)
        problem = problem_of(name, value)
        if problem:
            shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else f"a {node.id}"
            raise DataError(f"{source}:{node.start_mark.line + 1}: {name} is {shown}, expected {problem}")
        return value

    return check


def _number(node: yaml.Node, source: str) -> Any:
    """Return a number, or what stands there instead."""
    value = getattr(node, "value", None)
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _flag(node: yaml.Node, source: str) -> Any:
    return {"true": True, "false": False}.get(str(node.value).lower(), node.value)


def _schema(name: str, parts: Mapping[str, type]) -> _yaml.Schema:
    """Return how the value of a setting is read; whether it is sound is for :func:`problem_of`."""
    if name in RANGES:
        return _number
    if name in ("bf16", "keep_torch", "label_issues"):
        return _flag
    if name == "stages":
        return _yaml.list_of(lambda node, source: settings_schema(parts[name], parts)(node, source).values)
    if name == "ngram":
        return lambda node, source: parts[name](**settings_schema(parts[name], parts)(node, source).values)
    if name in ("min_df", "report_to"):
        item = _number if name == "min_df" else lambda node, source: node.value
        return lambda node, source: (
            tuple(item(child, source) for child in node.value) if isinstance(node, yaml.SequenceNode) else node.value
        )
    if name in MAPPINGS:
        return lambda node, source: (
            {key.value: _number(value, source) for key, value in node.value}
            if isinstance(node, yaml.MappingNode)
            else node.value
        )
    return lambda node, source: node.value


def read_weight(value: str) -> Any:
    """Return a number that is given as text."""
    return _scalar(_number, value)


def _scalar(schema: _yaml.Schema, value: str) -> Any:
    try:
        node = yaml.compose(value, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"the value is not YAML ({' '.join(str(error).split())})") from error
    if node is None:
        raise ValueError("the value is missing")
    return schema(node, "")


def read_setting(kind: type, name: str, value: str, parts: Mapping[str, type]) -> Any:
    """Return the value of a setting that is given as text."""
    check_names([name], setting_names(kind))
    if name == "stages":
        raise ValueError("name a setting of one stage, as in stages.2.epochs=1")
    try:
        return _scalar(_setting(name, parts), value)
    except DataError as error:
        raise ValueError(str(error).removeprefix(":1: ")) from error
