"""Where a case is, told by columns of its table: that goes before what its text says, and routes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tawasul_nlp.domain import Domain, Places, find_named_agencies, find_places, route
from tawasul_nlp.domain.routing import PLACE
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.prediction import LabelScore, Prediction
from tawasul_nlp.tables.io.chunk import to_name

_NUMBER = re.compile(r"(\d{1,5})(?:\.0)?")  # some programs write a block that is missing elsewhere as a fraction
_PLACE_NEEDED = "place_needed"


def given_places(values: Sequence[Any], domain: Domain) -> Places:
    """Return the places that cells name, each a block, town, region or address.

    >>> places = given_places([905, "الرفاع الشرقي", None], Domain.bundled())
    >>> places.governorate, places.block, places.area
    ('southern', 905, 'east_riffa')
    """
    cells = filter(None, map(to_name, values))
    return find_places("؛ ".join(_address(cell, domain) for cell in cells)[:MAX_CHARS], domain)


def _address(cell: str, domain: Domain) -> str:
    """Return a cell as a part of an address: only a number is a block's."""
    level, number = domain.gazetteer.levels.block, _NUMBER.fullmatch(cell)
    return f"{level.name_ar} {number[1]}" if level and number and len(number[1]) in level.digits else cell


def placed(prediction: Prediction, given: Places, domain: Domain) -> Prediction:
    """Return the prediction for a case whose place is given; the very same one if nothing is.

    What the cells do not tell of region, block and town is taken from the text, unless that contradicts them.

    Parameters
    ----------
    prediction : Prediction
    given : Places
        Its spans are those of the cells, and so are the returned prediction's.
    domain : Domain
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
    topic = _routed_topic(prediction, domain)
    named = find_named_agencies(prediction.text[:MAX_CHARS], domain)
    routing = route(topic, given, named, text=prediction.text[:MAX_CHARS], domain=domain)
    agency = domain.taxonomy.agency(routing.agency_id)
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


def _routed_topic(prediction: Prediction, domain: Domain) -> str:
    """Return the likeliest topic of those that the case was routed by; any of them gives the same agency."""
    assert prediction.routing is not None
    taxonomy = domain.taxonomy
    group = prediction.routing.group
    topic = prediction.labels["topic"]
    likely = [label.id for label in (topic, *topic.alternatives)]
    return next(id for id in (*likely, *taxonomy.topics) if taxonomy.agency_group(id) == group)
