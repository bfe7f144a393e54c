"""Where a case is, told by columns of its table: that goes before what its text says, and routes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tawasul_nlp.domain import Places, Taxonomy, find_named_agencies, find_places, route
from tawasul_nlp.domain.routing import PLACE
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.prediction import LabelScore, Prediction
from tawasul_nlp.tables.io.chunk import to_name

_BLOCK = re.compile(r"(\d{3,4})(?:\.0)?")  # some programs write a block that is missing elsewhere as a fraction
_PLACE_NEEDED = "place_needed"


def given_places(values: Sequence[Any], taxonomy: Taxonomy) -> Places:
    """Return the places that cells name, each a block, town, governorate or address.

    >>> places = given_places([905, "الرفاع الشرقي", None], Taxonomy.load())
    >>> places.governorate, places.block, places.area
    ('southern', 905, 'east_riffa')
    """
    cells = [to_name(value) for value in values]
    parts = [f"مجمع {block[1]}" if (block := _BLOCK.fullmatch(cell)) else cell for cell in cells if cell]
    return find_places("؛ ".join(parts)[:MAX_CHARS], taxonomy.gazetteer)


def placed(prediction: Prediction, given: Places, taxonomy: Taxonomy) -> Prediction:
    """Return the prediction for a case whose place is given; the very same one if nothing is.

    What the cells do not tell of governorate, block and town is taken from the text, unless that contradicts them.

    Parameters
    ----------
    prediction : Prediction
    given : Places
        Its spans are those of the cells, and so are the returned prediction's.
    taxonomy : Taxonomy
        That of the classifier.
    """
    if not given:
        return prediction
    said = prediction.places
    unsure = not any(mention.strength == "strong" for mention in given.mentions)  # of a block that is not known
    if unsure or (given.governorate is not None and given.governorate == said.governorate):
        given = replace(
            given,
            mentions=(*given.mentions, *(mention for mention in said.mentions if mention.id == said.area)),
            governorate=given.governorate or said.governorate,
            block=given.block if given.block is not None else said.block,
            area=given.area if given.area is not None else said.area,
        )
    routing = prediction.routing
    if routing is None:
        return replace(prediction, places=given)
    topic = _routed_topic(prediction, taxonomy)
    named = find_named_agencies(prediction.text[:MAX_CHARS], taxonomy)
    routing = route(topic, given, named, text=prediction.text[:MAX_CHARS], taxonomy=taxonomy)
    agency = taxonomy.agency(routing.agency_id)
    label = prediction.labels["agency"]
    reasons = [reason for reason in prediction.reasons if reason != _PLACE_NEEDED]
    if PLACE in routing.needs:
        reasons.append(_PLACE_NEEDED)
    return replace(
        prediction,
        labels={
            **prediction.labels,
            "agency": LabelScore(agency.id, agency.name_ar, agency.name_en, label.probability, label.alternatives),
        },
        places=given,
        routing=routing,
        reasons=tuple(reasons),
    )


def _routed_topic(prediction: Prediction, taxonomy: Taxonomy) -> str:
    """Return the likeliest topic of those that the case was routed by; any of them gives the same agency."""
    assert prediction.routing is not None
    group = prediction.routing.group
    topic = prediction.labels["topic"]
    likely = [label.id for label in (topic, *topic.alternatives)]
    return next(id for id in (*likely, *taxonomy.topics) if taxonomy.agency_group(id) == group)
