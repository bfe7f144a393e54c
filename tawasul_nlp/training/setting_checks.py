"""Refuse settings that would do nothing with the data of a training."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.marks import CLAUSES

_SHOWN = 20
_INCIDENTS = "incidents; name the column of their ids"


def check_task_weights(config: TrainConfig, tasks: Collection[str]) -> None:
    """Raise ValueError if a weight is given to something that is not a task."""
    for stage in (config, *config.stages):
        _check_names("task_weights", stage.task_weights, tasks, "the tasks")


def check_settings(config: TrainConfig, data: TrainingData) -> None:
    """Raise ValueError if a setting would do nothing with this data."""
    check_task_weights(config, data.labels)
    stages = config.passes()
    labels = sorted({label for names in data.labels.values() for label in names})
    oversampled = [*data.labels, *([CLAUSES] if data.clauses is not None else [])]
    for stage in (config, *config.stages):
        if isinstance(stage.class_weights, dict):
            _check_names("class_weights", stage.class_weights, labels, "the labels")
        _check_names("oversample", stage.oversample, oversampled, "these")
    alone = [label for task, names in data.labels.items() if task not in data.multi_label for label in names]
    _check_names("least_recall", config.least_recall, alone, "the labels of tasks of one label")
    needs = (
        ("secondary_share", data.has_second_labels, "second labels"),
        ("confusable_share", bool(data.related), "related labels"),
        ("incident_groups", data.incidents is not None, _INCIDENTS),
        ("pairs", data.incidents is not None, _INCIDENTS),
    )
    for name, there, needed in needs:
        value = max(getattr(stage, name) for stage in stages)
        if value and not there:
            raise ValueError(f"{name} is {value}, but the data has no {needed}")
    if data.before is not None and config.least_recall:
        raise ValueError(
            "least_recall is of a calibration, and an update keeps that of the model before; leave it out, "
            "and calibrate the updated model on rows that it has not learned (tawasul calibrate)"
        )
    for stage in stages[1:]:
        if stage.head_start != "random":
            raise ValueError(f"head_start is {stage.head_start!r} in a later stage, whose heads the one before trained")


def _check_names(setting: str, names: Iterable[str], known: Collection[str], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        shown = ", ".join([*list(known)[:_SHOWN], *(["..."] if len(known) > _SHOWN else [])])
        raise ValueError(f"{setting} has {', '.join(map(repr, unknown))}, expected some of {what}: {shown}")
