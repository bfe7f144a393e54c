"""Descriptions of labels, which a training learns from beside the rows: a label with few or no rows is not unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError
from tawasul_nlp.tables.labelled import open_labelled
from tawasul_nlp.training.checks import Finding
from tawasul_nlp.training.tables import Columns, label_column

_TASK, _LABEL, _TEXT = "task", "label", "description"
_Description = tuple[str, str, str]  # task, label, text
_SHOWN = 5


def read_descriptions(source: Any, columns: Columns) -> Dataset:
    """Read descriptions as rows of a data set, each with its one label.

    Parameters
    ----------
    source : str, Path, mapping, or a table of pandas, Polars or Arrow
        A table with the columns ``label`` and ``description``, and ``task`` if there are several tasks. Or a mapping
        (in a file: YAML) from each label to its description or a list of them; of several tasks, from each task to
        such a mapping. A label may have several descriptions.
    columns : Columns

    Raises
    ------
    DataError
        If a YAML file holds something else; with file and line.
    ValueError
        If there is no description, a task is not among the label columns, or a label or its description is missing.

    Examples
    --------
    >>> found = read_descriptions({"water": "انقطاع الماء أو ضعفه"}, Columns("text", {"dept": "dept"}))
    >>> found["label.dept"][0], found["text"][0]
    ('water', 'انقطاع الماء أو ضعفه')
    """
    name = str(source) if isinstance(source, str | Path) else "descriptions"
    found = list(_given(source, name, list(columns.labels)))
    if not found:
        raise ValueError(f"{name} has no description; give one for each label, or leave the descriptions out")
    for at, (task, label, text) in enumerate(found, start=1):
        if task not in columns.labels:
            raise ValueError(f"{name} describes {task!r}, expected one of the tasks {', '.join(columns.labels)}")
        if not label or not any(char.isalnum() for char in text):
            raise ValueError(
                f"{name}: description {at} has no {'letters or digits' if label else 'label'}; complete it"
            )
    empty = dict.fromkeys(columns.features, "")
    rows = [
        {**empty, "file": name, "row": at, "text": text, label_column(task): label}
        for at, (task, label, text) in enumerate(found, start=1)
    ]
    return Dataset.from_list(rows, features=columns.features)


def described_only(descriptions: Dataset, labels: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return for each task the labels that have a description and are not among ``labels``."""
    return {
        task: tuple(sorted(set(descriptions[label_column(task)]) - set(names) - {""})) for task, names in labels.items()
    }


def description_findings(unseen: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Name the labels that only a description is known of: meant so, or misspelt."""
    return [
        Finding(
            "label without rows",
            False,
            f"{task} has {len(names)} labels that are described and have no training row "
            f"({', '.join(map(repr, names[:_SHOWN]))}{', ...' * (len(names) > _SHOWN)}): they are learned from the "
            "description alone",
        )
        for task, names in unseen.items()
        if names
    ]


def _given(source: Any, name: str, tasks: list[str]) -> Iterator[_Description]:
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        if not Path(source).is_file():
            raise ValueError(f"there is no file {name}; write one, or name a table with {_LABEL} and {_TEXT}")
        source = _yaml.read(Path(source), _described)
    if isinstance(source, Mapping):
        nested = any(isinstance(value, Mapping) for value in source.values())
        for task, labels in (source if nested else {_only(tasks, name): source}).items():
            if not isinstance(labels, Mapping):
                raise ValueError(f"{name} has {task!r} beside tasks, expected tasks only or labels only")
            for label, texts in labels.items():
                for text in [texts] if isinstance(texts, str) else texts:
                    yield task, label, text
        return
    table = open_labelled(source, _TEXT)
    table.check_columns([_LABEL], "--descriptions")
    several = _TASK in table.columns
    for row in table.rows():
        if row.problem:
            raise ValueError(f"{name}, row {row.number}: {row.problem}; complete it")
        yield row.label(_TASK) if several else _only(tasks, name), row.label(_LABEL), row.text


def _only(tasks: list[str], name: str) -> str:
    if len(tasks) > 1:
        raise ValueError(f"{name} names no task, expected the task of each label: there are {', '.join(tasks)}")
    return tasks[0]


def _described(node: yaml.Node, source: str) -> Any:
    """Accept texts by label, or by task and label."""
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{source}:{node.start_mark.line + 1}: expected 'label: description' lines, got a {node.id}")
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in found:
            shown = f"{key.value!r} twice" if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
            raise DataError(f"{source}:{key.start_mark.line + 1}: expected each label once, got {shown}")
        if isinstance(value, yaml.MappingNode):
            found[key.value] = _described(value, source)
        elif isinstance(value, yaml.SequenceNode):
            found[key.value] = _yaml.list_of(_yaml.text)(value, source)
        else:
            found[key.value] = _yaml.text(value, source)
    return found
