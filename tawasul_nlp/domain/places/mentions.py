"""What a text names of places: its mentions, and the region that they point to together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tawasul_nlp.domain.places.gazetteer import Gazetteer, Strength
from tawasul_nlp.domain.places.levels import COUNTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One mention of a place; ``start:end`` is its slice of the original text, in characters."""

    kind: str  # id of its level, of a numbered landmark (in Bahrain ``roundabout``), ``landmark`` or ``street``
    id: str | None = None  # of the gazetteer's entry; None for numbered parts of an address
    name: str = field(repr=False)  # Arabic name of the entry, or the part as written
    number: int | None = None  # of a block, road, house, flat or roundabout
    start: int
    end: int
    governorate: str | None = None  # id of the region that this mention points to
    strength: Strength = "none"  # ``weak``: an unconfirmed block range, or a nationwide institution
    evidence: str  # one sentence that says why
    # Id of the place within which the number names one; None if it needs none, or the text does not name it.
    within: str | None = None
    # Whether it may not be where the case is: a municipality's name ("بلدية المحرق"), or a place that somebody left.
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one text: its mentions in order, and the first of a kind, preferably in the region it points to."""

    mentions: tuple[Place, ...] = ()
    governorate: str | None = None  # id of the region; None without strong evidence, or with equal evidence for two
    evidence: tuple[str, ...] = ()  # sentences for the region and against it
    block: int | None = None  # number of the first block (of the widest level whose numbers name places)
    area: str | None = None  # id of the first town, village or quarter
    levels: tuple[str, ...] = ()  # ids of the country's levels, widest first
    quarter: str | None = None  # id of the first quarter, development or housing project; it may be ``area`` itself

    def __bool__(self) -> bool:
        return bool(self.mentions)

    def at(self, level: str) -> str | int | None:
        """Return the place at a level: an id, a number, or None.

        Raises
        ------
        ValueError
            If the country has no such level.

        Examples
        --------
        >>> from tawasul_nlp import find_places
        >>> places = find_places("حفرة في طريق 1425 مجمع 714")
        >>> places.at("road"), places.at("block"), places.at("area")
        (1425, 714, None)
        """
        if level not in self.levels:
            raise ValueError(f"got the level {level!r}, expected one of {', '.join(self.levels)}")
        position = self.levels.index(level)
        if position == 0:
            return self.governorate
        if position == 1:
            return self.area
        numbers = [mention.number for mention in self.mentions if mention.kind == level]
        return self.block if self.block in numbers else next(iter(numbers), None)


def _with_scopes(mentions: Sequence[Place], gazetteer: Gazetteer) -> tuple[Place, ...]:
    """Return the mentions, and of numbers that are unique in a wider place only, that place.

    It is the nearest place of that level in the text, so "السالمية قطعة 3 ثم حولي قطعة 5" has block 3 of one area and
    block 5 of the other. A number without one names no place.
    """
    scoped = list(mentions)
    for level in gazetteer.levels.places:
        if level.unique_in == COUNTRY:
            continue
        holders = [mention for mention in scoped if mention.kind == level.unique_in and place_key(mention, gazetteer)]
        starts = [holder.start for holder in holders]
        for position, mention in enumerate(scoped):
            if holders and mention.kind == level.id and mention.within is None:
                holder = _nearest(holders, starts, mention)
                scoped[position] = replace(mention, within=place_key(holder, gazetteer), governorate=holder.governorate)
    return tuple(scoped)


def _nearest(holders: Sequence[Place], starts: list[int], mention: Place) -> Place:
    position = bisect_left(starts, mention.start)
    around = holders[max(0, position - 1) : position + 1]
    return min(around, key=lambda holder: max(mention.start - holder.end, holder.start - mention.end))


def place_key(mention: Place, gazetteer: Gazetteer) -> str | None:
    """Return what tells a place from all others; None for a number that names none."""
    if mention.id is not None:
        return gazetteer.whole_of(mention.id)
    level = next((level for level in gazetteer.levels.places if level.id == mention.kind), None)
    if level is None or (level.unique_in != COUNTRY and mention.within is None):
        return None
    return "/".join(filter(None, (mention.within, str(mention.number))))


def summarise(named: Sequence[Place], gazetteer: Gazetteer) -> Places:
    """Weigh the mentions: a block before an area, an area before a place that people from everywhere visit.

    A municipality's name comes last, since a case often describes calls to one that serves another place. So does a
    place that somebody moved from.

    Where mentions of equal weight point to two governorates (a road from Sitra to Khalifa Town), the text is ambiguous:
    the first one named was wrong in 26 of 62 such training cases.
    """
    levels, mentions = gazetteer.levels, _with_scopes(named, gazetteer)
    if not mentions:
        return Places(levels=levels.ids)
    strong = [mention for mention in mentions if mention.strength == "strong"]
    ranks = [3 if mention.elsewhere else _rank(mention, gazetteer) for mention in strong]
    first = min(ranks, default=0)
    best = [mention for mention, rank in zip(strong, ranks, strict=True) if rank == first]
    torn = len({mention.governorate for mention in best}) > 1
    chosen = None if torn or not best else best[0].governorate
    if torn:
        evidence = [f"either {mention.evidence}" for mention in best]
    elif chosen is None:
        evidence = [mention.evidence for mention in mentions if mention.strength == "weak"]
    else:
        evidence = [mention.evidence for mention in strong if mention.governorate == chosen]
        evidence += [f"but {mention.evidence}" for mention in strong if mention.governorate != chosen]

    def preferred(kind: str, fits: Callable[[Place], bool] = lambda mention: True) -> Place | None:
        """Return the first mention of a kind, preferably in the chosen region."""
        of_kind = [mention for mention in mentions if mention.kind == kind and fits(mention)]
        return min(of_kind, key=lambda mention: (mention.governorate != chosen, mention.elsewhere), default=None)

    block = None if levels.block is None else preferred(levels.block.id)
    area = preferred(levels.area.id)
    if block is not None and block.within is not None:  # the area is that of the block
        area = preferred(levels.area.id, lambda mention: gazetteer.whole_of(mention.id or "") == block.within) or area
    quarter = preferred(levels.area.id, lambda mention: gazetteer.places[mention.id or ""].is_quarter)
    return Places(
        mentions=mentions,
        governorate=chosen,
        evidence=tuple(dict.fromkeys(evidence)),
        block=None if block is None else block.number,
        area=None if area is None else area.id,
        levels=levels.ids,
        quarter=None if quarter is None else quarter.id,
    )


def _rank(mention: Place, gazetteer: Gazetteer) -> int:
    block = gazetteer.levels.block
    if block is not None and block.unique_in == COUNTRY and mention.kind == block.id:
        return 0
    place = gazetteer.places.get(mention.id or "")
    return 2 if place is not None and place.light else 1
