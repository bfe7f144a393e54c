"""Small classified tables, as classification and grouping write them."""

from __future__ import annotations

from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, GROUP_COLUMNS
from tawasul_nlp.tables.io.write import write_records

ARROW = {"text": "string", "number": "double", "boolean": "bool", "integer": "int64"}
TAXONOMY = Domain.bundled().taxonomy


def case(text, topic="sewage_overflow", agency=None, probability=0.95, *, unsure=False, kind="complaint", **more):
    """Return a row; what is not named is as the model writes it."""
    agency = agency or TAXONOMY.agency_group(topic)
    return {
        "text": text,
        "kind": kind,
        "kind_probability": 0.99,
        "topic": topic,
        "topic_name_ar": TAXONOMY.topic(topic).name_ar,
        "topic_probability": probability,
        "topic_alternatives": "road_damage=0.02",
        "agency": agency,
        "agency_name_ar": TAXONOMY.agency(agency).name_ar,
        "agency_probability": probability,
        "needs_review": unsure,
        "review_reasons": "low_topic_confidence" if unsure else "",
        **more,
    }


def write(path, rows):
    """Write rows as a table whose columns are those of the first."""
    kinds = {**ADDED_COLUMNS, **GROUP_COLUMNS, "days": "number"}
    write_records(path, {name: ARROW.get(kinds.get(name, "text"), "string") for name in rows[0]}, rows)
    return path
