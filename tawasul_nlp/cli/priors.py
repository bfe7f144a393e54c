"""The option ``--priors``: how often labels occur where the cases come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tawasul_nlp import ComplaintClassifier

Frequencies = Mapping[str | None, Mapping[str, float]]
"""By task, None for the topic, or the first task of a model without topics."""

_OPTION = "--priors"
Priors = Annotated[
    list[str] | None,
    typer.Option(
        _OPTION,
        metavar="[TASK=]FILE",
        help="How often labels occur here: a table with the columns label and count, or JSON {label: count}; of topics "
        "or of TASK; may be repeated.",
    ),
]


def frequencies(given: Sequence[str] | None) -> dict[str | None, Mapping[str, float]]:
    """Read the files that the options name.

    Raises
    ------
    typer.BadParameter
        If a file is missing or does not hold frequencies, or a task is named twice.
    """
    by_task: dict[str | None, Mapping[str, float]] = {}
    for item in given or ():
        name, equals, path = item.partition("=")
        task, file = (None, item) if Path(item).is_file() or not equals else (name.strip(), path)
        if task in by_task:
            raise typer.BadParameter(f"names {task or 'the topic'} twice: {item}", param_hint=_OPTION)
        by_task[task] = _read(Path(file))
    return by_task


def _read(path: Path) -> Mapping[str, float]:
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint=_OPTION)
    if path.suffix.lower() == ".json":
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise typer.BadParameter(f"{path} is not JSON ({error!r:.120})", param_hint=_OPTION) from None
        if not isinstance(content, dict):
            raise typer.BadParameter(f"{path} holds no object, expected {{label: count}}", param_hint=_OPTION)
        return content
    from tawasul_nlp.tables import MissingColumnError, open_labelled

    try:
        source = open_labelled(path, "label")
        source.check_columns(["count"], _OPTION)
    except MissingColumnError as error:
        raise typer.BadParameter(
            f"{path} has the columns {', '.join(error.columns)}, expected label and count", param_hint=_OPTION
        ) from None
    table = source.read(["count"])
    labels = [label.strip() for label in table.texts]
    if len(set(labels)) < len(labels):
        raise typer.BadParameter(f"{path} has a label twice; add its counts up", param_hint=_OPTION)
    return {label: _number(path, label, count) for label, count in zip(labels, table.columns["count"], strict=True)}


def _number(path: Path, label: str, count: str) -> float:
    try:
        return float(count)
    except ValueError:
        raise typer.BadParameter(
            f"{path} has the count {count!r:.40} for {label}, expected a number", param_hint=_OPTION
        ) from None


def classifier_with(priors: Frequencies, /, *arguments: Any, **options: Any) -> ComplaintClassifier:
    """Load a classifier with frequencies; what workers call, with the arguments of ``from_pretrained``."""
    from tawasul_nlp import ComplaintClassifier

    return weighted(ComplaintClassifier.from_pretrained(*arguments, **options), priors)


def weighted(classifier: ComplaintClassifier, priors: Frequencies) -> ComplaintClassifier:
    """Return a classifier with frequencies; it shares the other's weights."""
    for task, counts in priors.items():
        classifier = classifier.with_priors(counts, task)
    return classifier
