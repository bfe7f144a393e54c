"""Where a case is, told by columns of its table: that goes before what its text says, and routes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tawasul_nlp.domain import Domain, Place, Places, find_named_agencies, find_places
from tawasul_nlp.domain.routing import PLACE, route_part
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.prediction import Issue, Prediction
from tawasul_nlp.tables.io.cells import to_name

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

    What the cells do not tell of region, block, town and places in it is taken from the text, unless that contradicts
    them. Places have the spans of the cells then.
    """
    if not given:
        return prediction
    said = prediction.places
    unsure = not any(mention.strength == "strong" for mention in given.mentions)  # of a block that is not known
    regions = {said.governorate} if said.governorate else {mention.governorate for mention in said.mentions}
    if unsure or (given.governorate is not None and regions <= {given.governorate, None}):
        given = replace(
            given,
            mentions=(*given.mentions, *_finer(said, given, domain)),
            governorate=given.governorate or said.governorate,
            block=given.block if given.block is not None else said.block,
            area=given.area if given.area is not None else said.area,
            quarter=given.quarter if given.quarter is not None else said.quarter,
        )
    if prediction.routing is None:
        return replace(prediction, places=given)
    return _rerouted(prediction, given, domain)


def _rerouted(prediction: Prediction, given: Places, domain: Domain) -> Prediction:
    """Send every issue of a case to where it is said to be."""
    text = prediction.text[:MAX_CHARS]
    named = find_named_agencies(text, domain)
    several = len(prediction.issues) > 1
    issues = []
    for issue in prediction.issues:
        part = slice(issue.start, issue.end) if several else slice(0, MAX_CHARS)
        routing = route_part(_routed_topic(issue, domain), text, part, given, named, domain)
        agency = domain.taxonomy.agency(routing.agency_id)
        label = replace(issue.agency, id=agency.id, name_ar=agency.name_ar, name_en=agency.name_en)
        issues.append(replace(issue, agency=label, routing=routing))
    reasons = [reason for reason in prediction.reasons if reason != _PLACE_NEEDED]
    if any(issue.routing is not None and PLACE in issue.routing.needs for issue in issues):
        reasons.append(_PLACE_NEEDED)
    main = issues[0]
    return replace(
        prediction,
        labels={**prediction.labels, "agency": main.agency},
        places=given,
        routing=main.routing,
        issues=tuple(issues),
        reasons=tuple(reasons),
    )


def _finer(said: Places, given: Places, domain: Domain) -> list[Place]:
    """Return the areas, roads and landmarks of the text that the cells say nothing of."""
    levels = domain.gazetteer.levels
    kinds = {levels.area.id, "street", "landmark", *levels.landmarks} | ({levels.road.id} if levels.road else set())
    named = {mention.kind for mention in given.mentions} - {levels.area.id}
    return [mention for mention in said.mentions if mention.kind in kinds - named]


def _routed_topic(issue: Issue, domain: Domain) -> str:
    """Return the likeliest topic of those that an issue was routed by; any of them gives the same agency."""
    assert issue.routing is not None
    taxonomy = domain.taxonomy
    likely = [label.id for label in (issue.topic, *issue.topic.alternatives)]
    return next(id for id in (*likely, *taxonomy.topics) if taxonomy.agency_group(id) == issue.routing.group)
