"""The columns that classification and grouping add to a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tawasul_nlp.batch.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa

    from tawasul_nlp.prediction import Prediction

# Name -> type; `alternatives` is a list of {id, probability}.
ADDED_COLUMNS = {
    "kind": "text",
    "kind_probability": "number",
    "topic": "text",
    "topic_name_ar": "text",
    "topic_probability": "number",
    "topic_alternatives": "alternatives",
    "agency": "text",
    "agency_name_ar": "text",
    "agency_probability": "number",
    "governorate": "text",
    "block": "text",
    "needs_review": "boolean",
    "review_reasons": "texts",
}
GROUP_COLUMNS = {
    "group_id": "integer",
    "group_size": "integer",
    "group_score": "number",
    "is_representative": "boolean",
}

# Enough to tell any two probabilities that a reviewer would treat differently.
_DECIMALS = 4
FALLBACK_PREFIX = "tawasul_"


def added_names(
    columns: Sequence[str], prefix: str | None = None, added: Mapping[str, str] = ADDED_COLUMNS
) -> tuple[str, ...]:
    """Return the names of the added columns for a table that has `columns`.

    The table's own columns are never renamed. When none of ours is taken they keep their plain names; when any is,
    all of them get the prefix ``tawasul_``, so that they stay together and tell whose they are.

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


def added_values(prediction: Prediction) -> list[Any]:
    """Return a prediction's values in the order of `ADDED_COLUMNS`."""
    kind, topic, agency = prediction.kind, prediction.topic, prediction.agency
    block = prediction.places.block
    return [
        kind.id,
        round(float(kind.probability), _DECIMALS),
        topic.id,
        topic.name_ar,
        round(float(topic.probability), _DECIMALS),
        [{"id": other.id, "probability": round(float(other.probability), _DECIMALS)} for other in topic.alternatives],
        agency.id,
        agency.name_ar,
        round(float(agency.probability), _DECIMALS),
        prediction.places.governorate,
        None if block is None else str(block),
        bool(prediction.needs_review),
        list(prediction.reasons),
    ]


def added_cell(value: Any) -> Any:
    """Return the flat form of an added value, for CSV: lists become text that a spreadsheet's user can read.

    >>> added_cell([{"id": "road_damage", "probability": 0.12}, {"id": "paving_sidewalks", "probability": 0.05}])
    'road_damage=0.12; paving_sidewalks=0.05'
    >>> added_cell(["low_confidence", "place_needed"])
    'low_confidence; place_needed'
    """
    if not isinstance(value, list):
        return value
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
        "alternatives": pa.list_(pa.struct([("id", pa.string()), ("probability", pa.float64())])),
    }
    return pa.schema([(name, types[kind]) for name, kind in zip(names, added.values(), strict=True)])
