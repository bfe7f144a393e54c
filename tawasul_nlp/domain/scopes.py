"""Numbers that name a place only within another one: block 3 of Salmiya is not block 3 of Hawalli."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from tawasul_nlp.domain.places.gazetteer import Gazetteer
from tawasul_nlp.domain.places.levels import COUNTRY
from tawasul_nlp.domain.places.mention import Place


def with_scopes(mentions: tuple[Place, ...], gazetteer: Gazetteer) -> tuple[Place, ...]:
    """Return the mentions, and of numbers that are unique in a wider place only, that place.

    It is the nearest place of that level in the text, so "السالمية قطعة 3 ثم حولي قطعة 5" has block 3 of one area and
    block 5 of the other. A number without one names no place.
    """
    found = list(mentions)
    for level in gazetteer.levels.places:
        if level.unique_in == COUNTRY:
            continue
        holders = [mention for mention in found if mention.kind == level.unique_in and _key(mention, gazetteer)]
        starts = [holder.start for holder in holders]
        for at, mention in enumerate(found):
            if holders and mention.kind == level.id:
                holder = _nearest(holders, starts, mention)
                found[at] = replace(mention, within=_key(holder, gazetteer), governorate=holder.governorate)
    return tuple(found)


def _nearest(holders: Sequence[Place], starts: list[int], mention: Place) -> Place:
    position = bisect_left(starts, mention.start)
    around = holders[max(0, position - 1) : position + 1]
    return min(around, key=lambda holder: max(mention.start - holder.end, holder.start - mention.end))


def _key(mention: Place, gazetteer: Gazetteer) -> str | None:
    """Return what tells a place from all others; None for a number that names none."""
    if mention.id is not None:
        return gazetteer.whole_of(mention.id)
    level = next((level for level in gazetteer.levels.places if level.id == mention.kind), None)
    if level is None or (level.unique_in != COUNTRY and mention.within is None):
        return None
    return "/".join(filter(None, (mention.within, str(mention.number))))
