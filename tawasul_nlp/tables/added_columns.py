"""The columns that classification and grouping add to a table."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.model.label_sets import SEPARATOR
from tawasul_nlp.tables.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa

    from tawasul_nlp.domain import Places
    from tawasul_nlp.domain.places.levels import Levels
    from tawasul_nlp.prediction import Issue, LabelScore, Prediction

# Name -> type; `alternatives` is a list of {id, probability}.
_TASK_COLUMNS = {
    "kind": {"kind": "text", "kind_probability": "number"},
    "topic": {
        "topic": "text",
        "topic_name_ar": "text",
        "topic_probability": "number",
        "topic_alternatives": "alternatives",
    },
    "agency": {"agency": "text", "agency_name_ar": "text", "agency_probability": "number"},
}
# Those of the default domain, whose gazetteer takes too long to read for a constant.
_PLACE_COLUMNS = ("governorate", "block", "town", "quarter", "road", "landmark")
_REVIEW_COLUMNS = {"needs_review": "boolean", "review_reasons": "texts", "doubts": "texts"}
# Of a model that tells the issues of a case apart; `issues` is a list of {topic, agency, probability, start, end}.
_ISSUE_COLUMNS = {"issues": "issues", "other_topics": "texts", "other_agencies": "texts"}
TASKS = tuple(_TASK_COLUMNS)
OF_LABEL_SETS = ("labels", "numbers")  # the types of a multi-label task's columns, whose values are tuples


def classification_columns(
    tasks: Sequence[str] = TASKS,
    levels: Levels | None = None,
    *,
    multi_label: Sequence[str] = (),
    issues: bool = False,
) -> dict[str, str]:
    """Return the columns that a model with these tasks adds, with their types.

    Kind, topic and agency come first, as the bundled model has them; any other task gives its label, the label's
    probability and the next likeliest labels. A task that is ``multi_label`` gives all its labels and their
    probabilities. A model that finds ``issues`` gives all of a case, and the topics and agencies of those besides the
    main one. Places have a column for each level that cases are placed by: those of ``levels``, or else Bahrain's; then
    come the quarter, the road and the landmark that the text names.

    Raises
    ------
    TableError
        If two tasks would have a column of one name.

    Examples
    --------
    >>> list(classification_columns(["urgency"]))[:4]
    ['urgency', 'urgency_probability', 'urgency_alternatives', 'governorate']
    >>> list(classification_columns(["tags"], multi_label=["tags"]))[:3]
    ['tags', 'tags_probabilities', 'tags_alternatives']
    >>> list(classification_columns(["agency"], issues=True))[3:6]
    ['issues', 'other_topics', 'other_agencies']
    """
    columns: dict[str, str] = {}
    issue_columns = _ISSUE_COLUMNS if issues else {}
    places = dict.fromkeys(_place_columns(levels), "text")
    others = {**issue_columns, **places, **_REVIEW_COLUMNS}
    for task in task_order(tasks):
        of_task = _TASK_COLUMNS.get(task) or {
            task: "text",
            f"{task}_probability": "number",
            f"{task}_alternatives": "alternatives",
        }
        if task in multi_label:
            of_task = {task: "labels", f"{task}_probabilities": "numbers", f"{task}_alternatives": "alternatives"}
        clash = next((name for name in of_task if name in columns or name in others), None)
        if clash is not None:
            raise TableError(f"the model's task {task!r} would add a column {clash!r}, which is there already")
        columns |= of_task
    return columns | others


def _place_columns(levels: Levels | None) -> tuple[str, ...]:
    if levels is None:
        return _PLACE_COLUMNS
    road = () if levels.road is None else (levels.road.column,)
    return tuple(dict.fromkeys((*levels.columns(), "quarter", *road, "landmark")))


def task_order(tasks: Sequence[str]) -> list[str]:
    """Return the tasks in the order of their columns.

    >>> task_order(["topic", "urgency", "kind"])
    ['kind', 'topic', 'urgency']
    """
    return [task for task in TASKS if task in tasks] + [task for task in tasks if task not in TASKS]


ADDED_COLUMNS = classification_columns((*TASKS, "urgency"), issues=True)
GROUP_COLUMNS = {
    "incident_id": "integer",
    "incident_size": "integer",
    "incident_score": "number",
    "is_representative": "boolean",
}

# Enough to distinguish probabilities that a reviewer would treat differently.
_DECIMALS = 4
FALLBACK_PREFIX = "tawasul_"


def added_names(
    columns: Sequence[str], prefix: str | None = None, added: Mapping[str, str] = ADDED_COLUMNS
) -> tuple[str, ...]:
    """Return the names of the added columns for a table that has `columns`.

    The table's own columns are never renamed. When none of ours is taken they keep their plain names; when any is,
    all of them get the prefix ``tawasul_``, so that they stay together.

    Parameters
    ----------
    columns : sequence of str
        The table's own columns.
    prefix : str, optional
        A prefix to use in any case; an empty one asks for the plain names.
    added : mapping of str to str
        The columns to add, with their types: those of classification or of grouping.

    Raises
    ------
    TableError
        If the prefixed names are taken as well.

    Examples
    --------
    >>> added_names(["id", "text"])[:2]
    ('kind', 'kind_probability')
    >>> added_names(["id", "text", "agency"])[:2]
    ('tawasul_kind', 'tawasul_kind_probability')
    """
    taken = set(columns)
    if prefix is None:
        prefix = FALLBACK_PREFIX if taken & added.keys() else ""
    names = tuple(prefix + name for name in added)
    clash = next((name for name in names if name in taken), None)
    if clash is not None:
        raise TableError(f"the table has a column {clash!r} already; choose another --prefix for the added columns")
    return names


def added_values(
    prediction: Prediction, columns: Sequence[str] = tuple(ADDED_COLUMNS), levels: Levels | None = None
) -> list[Any]:
    """Return a prediction's values in the order of the columns; ``levels`` as for :func:`classification_columns`."""
    values: dict[str, Any] = {
        **_issue_values(prediction.issues),
        **_place_values(prediction.places, levels or Domain.bundled().gazetteer.levels),
        "needs_review": bool(prediction.needs_review),
        "review_reasons": list(prediction.reasons),
        "doubts": list(prediction.doubts),
    }
    urgency = {} if prediction.urgency is None else {"urgency": prediction.urgency}
    for task, label in {**prediction.labels, **urgency}.items():
        values[task] = label.id
        values[f"{task}_name_ar"] = label.name_ar
        values[f"{task}_probability"] = round(float(label.probability), _DECIMALS)
        values[f"{task}_alternatives"] = _alternatives(label.alternatives)
    for task, labels in prediction.label_sets.items():
        values[task] = labels.ids
        values[f"{task}_probabilities"] = tuple(round(float(label.probability), _DECIMALS) for label in labels)
        values[f"{task}_alternatives"] = _alternatives(labels.alternatives)
    return [values[name] for name in columns]


def _issue_values(issues: Sequence[Issue]) -> dict[str, list[Any]]:
    """Return the issues as plain data, and the topics and agencies that the columns of the main issue do not have."""
    others = issues[1:]
    agencies = dict.fromkeys(issue.agency.id for issue in others if issue.agency.id != issues[0].agency.id)
    return {
        "issues": [
            {
                "topic": issue.topic.id,
                "agency": issue.agency.id,
                "probability": round(float(issue.probability), _DECIMALS),
                "start": issue.start,
                "end": issue.end,
            }
            for issue in issues
        ],
        "other_topics": [issue.topic.id for issue in others],
        "other_agencies": list(agencies),
    }


def _place_values(places: Places, levels: Levels) -> dict[str, str | None]:
    """Return the names and numbers of a case's places by column, as people read them."""
    block = None if places.block is None else str(places.block)
    blocks = () if levels.block is None else (block,)
    widest = zip(levels.columns(), (places.governorate, *blocks, _name(places, places.area)), strict=True)
    return {
        "quarter": _name(places, places.quarter),
        **({} if levels.road is None else {levels.road.column: _road(places, levels.road.id)}),
        "landmark": _landmark(places, {"landmark", *levels.landmarks}),
        **dict(widest),  # a country's areas may be called quarters
    }


def _alternatives(labels: Sequence[LabelScore]) -> list[dict[str, Any]]:
    return [{"id": label.id, "probability": round(float(label.probability), _DECIMALS)} for label in labels]


def _name(places: Places, id: str | None) -> str | None:
    """Return the Arabic name of a place by its id."""
    return next((place.name for place in places.mentions if id is not None and place.id == id), None)


def _road(places: Places, level: str) -> str | None:
    """Return the number of the first road, or the name of the first street without one."""
    numbers = [str(place.number) for place in places.mentions if place.kind == level]
    names = [place.name for place in places.mentions if place.kind == "street"]
    return next(iter([*numbers, *names]), None)


def _landmark(places: Places, kinds: Collection[str]) -> str | None:
    """Return the first landmark; a body of the whole country, which is weak evidence, is none."""
    names = (place.name for place in places.mentions if place.kind in kinds and place.strength != "weak")
    return next(names, None)


def added_cell(value: Any) -> Any:
    """Return the flat form of an added value, for CSV: lists become text that a spreadsheet's user can read.

    A tuple, the labels of a multi-label task, becomes a cell that training reads, and the issues become JSON.

    >>> added_cell([{"id": "road_damage", "probability": 0.12}, {"id": "paving_sidewalks", "probability": 0.05}])
    'road_damage=0.12; paving_sidewalks=0.05'
    >>> added_cell(["low_confidence", "place_needed"])
    'low_confidence; place_needed'
    >>> added_cell(("roads", "lighting")), added_cell((0.93, 0.6)), added_cell(())
    ('roads|lighting', '0.93|0.6', '')
    >>> added_cell([{"topic": "road_damage", "start": 0, "end": 9}])
    '[{"topic": "road_damage", "start": 0, "end": 9}]'
    """
    if isinstance(value, tuple):
        return SEPARATOR.join(item if isinstance(item, str) else f"{item:g}" for item in value)
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], dict) and "topic" in value[0]:
        return json.dumps(value, ensure_ascii=False)
    return "; ".join(f"{item['id']}={item['probability']:g}" if isinstance(item, dict) else item for item in value)


def added_schema(names: Sequence[str], added: Mapping[str, str] = ADDED_COLUMNS) -> pa.Schema:
    """Return the Arrow schema of the added columns under the given names."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "labels": pa.list_(pa.string()),
        "numbers": pa.list_(pa.float64()),
        "alternatives": pa.list_(pa.struct([("id", pa.string()), ("probability", pa.float64())])),
        "issues": pa.list_(
            pa.struct(
                [
                    ("topic", pa.string()),
                    ("agency", pa.string()),
                    ("probability", pa.float64()),
                    ("start", pa.int64()),
                    ("end", pa.int64()),
                ]
            )
        ),
    }
    return pa.schema([(name, types[kind]) for name, kind in zip(names, added.values(), strict=True)])
