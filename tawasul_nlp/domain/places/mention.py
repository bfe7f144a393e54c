"""What a search for places finds: the mentions, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass

from tawasul_nlp.domain.places.gazetteer import Strength


@dataclass(frozen=True, slots=True)
class Place:
    """One mention of a place.

    Attributes
    ----------
    kind
        Id of its level (in Bahrain ``governorate``, ``area``, ``block``, ``road``, ``house`` or ``flat``), of a
        numbered landmark (``roundabout``), ``landmark`` or ``street``.
    id
        Id of the gazetteer's entry; None for numbered parts of an address.
    name
        Arabic name of the entry, or the part as written.
    number
        The number of a block, road, house, flat or roundabout.
    start, end
        The mention's slice of the original text, in characters.
    governorate
        Id of the region that this mention points to, if any.
    strength
        ``strong``, ``weak`` (an unconfirmed block range, a nationwide institution) or ``none``.
    evidence
        One sentence that says why.
    within
        Of a number that names a place only within another one: that place's id; None if the text does not name it, and
        for every other mention.
    """

    kind: str
    id: str | None
    name: str
    number: int | None
    start: int
    end: int
    governorate: str | None
    strength: Strength
    evidence: str
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one text.

    Attributes
    ----------
    mentions
        In the order of the text.
    governorate
        Id of the region (a governorate in Bahrain) that the text points to; None without strong evidence, or with equal
        evidence for two.
    evidence
        Sentences of evidence for the region and against it.
    block
        Number of the first block (of the widest level whose numbers name places), preferably in that region.
    area
        Id of the first town, village or quarter, preferably in that region.
    levels
        Ids of the country's levels, widest first.
    quarter
        Id of the first quarter, development or housing project, preferably in that region; it may be ``area`` itself.
    """

    mentions: tuple[Place, ...] = ()
    governorate: str | None = None
    evidence: tuple[str, ...] = ()
    block: int | None = None
    area: str | None = None
    levels: tuple[str, ...] = ()
    quarter: str | None = None

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
