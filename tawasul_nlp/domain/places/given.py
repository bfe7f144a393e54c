"""The place of a case that has an address field: the finest of what its text and the field say, if they agree."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.find import find_places
from tawasul_nlp.domain.places.gazetteer import Gazetteer
from tawasul_nlp.domain.places.mentions import Place, Places, place_key, summarise

_NUMBER = re.compile(r"(\d{1,5})(?:\.0)?")  # some programs write a block that is missing elsewhere as a fraction
_MOST = 10_000


def given_places(cells: Iterable[str], domain: Domain) -> Places:
    """Return the places that cells name, each a block, town, region or address.

    Examples
    --------
    >>> places = given_places(["905", "الرفاع الشرقي"], Domain.bundled())
    >>> places.governorate, places.block, places.area
    ('southern', 905, 'east_riffa')
    """
    return find_places("؛ ".join(_address(cell.strip(), domain) for cell in cells)[:_MOST], domain)


def _address(cell: str, domain: Domain) -> str:
    """Return a cell as a part of an address: only a number is a block's."""
    level, number = domain.gazetteer.levels.block, _NUMBER.fullmatch(cell)
    return f"{level.name_ar} {number[1]}" if level and number and len(number[1]) in level.digits else cell


def merged(said: Places, given: Places, domain: Domain) -> tuple[Places, bool]:
    """Return the place of a case from what its text and its address field say, and whether these contradict each other.

    A block goes before a town, and a town before a region; what is as fine in both is the text's. The other adds what
    the finer does not tell. If they contradict each other, it adds nothing.

    Examples
    --------
    >>> def place(text, field):
    ...     places, conflict = merged(find_places(text), find_places(field), Domain.bundled())
    ...     return places.block, places.area, conflict
    >>> place("الدير مجمع 231", "المحرق"), place("الزبالة في سترة", "مجمع 604"), place("الدير مجمع 231", "سترة")
    ((231, 'dair', False), (604, 'sitra', False), (231, 'dair', True))
    """
    if not said or not given:
        return said or given, False
    finer, other = (given, said) if _fineness(given) > _fineness(said) else (said, given)
    if _contradict(said, given, domain.gazetteer):
        return finer, True
    told = {mention.kind for mention in finer.mentions}
    added = [mention for mention in other.mentions if mention.kind not in told]
    return summarise((*finer.mentions, *added), domain.gazetteer), False


def _fineness(places: Places) -> int:
    """Return 3 for a block, 2 for a town, 1 for a region; 0 for several regions, or none."""
    if places.governorate is None and len(_regions(places)) > 1:
        return 0
    return 3 if places.block is not None else 2 if places.area is not None else int(places.governorate is not None)


def _contradict(one: Places, other: Places, gazetteer: Gazetteer) -> bool:
    """Return whether two texts name different regions, blocks, or towns."""
    if _apart(_regions(one), _regions(other)):
        return True
    blocks = [_blocks(places, gazetteer) for places in (one, other)]
    if all(blocks):
        return _apart(*blocks)
    return _apart(*(_towns(places, gazetteer) for places in (one, other)))


def _apart(these: set[str], those: set[str]) -> bool:
    return bool(these and those) and not these & those


def _regions(places: Places) -> set[str]:
    if places.governorate is not None:
        return {places.governorate}
    return {mention.governorate for mention in _certain(places) if mention.governorate is not None}


def _blocks(places: Places, gazetteer: Gazetteer) -> set[str]:
    level = gazetteer.levels.block
    keys = (place_key(mention, gazetteer) for mention in places.mentions if level and mention.kind == level.id)
    return {key for key in keys if key is not None}


def _towns(places: Places, gazetteer: Gazetteer) -> set[str]:
    """Return the towns that are named; one that has its region's name may be the region."""
    areas = (mention.id for mention in _certain(places) if mention.kind == gazetteer.levels.area.id and mention.id)
    towns = {gazetteer.whole_of(area) for area in areas}
    return {town for town in towns if not _named_like_its_region(town, gazetteer)}


def _named_like_its_region(town: str, gazetteer: Gazetteer) -> bool:
    place = gazetteer.places[town]
    region = gazetteer.governorates.get(place.governorate or "")
    return region is not None and place.name_ar in region.name_ar.split(maxsplit=1)


def _certain(places: Places) -> list[Place]:
    """Return the mentions that say where the case is."""
    return [mention for mention in places.mentions if mention.strength == "strong" and not mention.elsewhere]
