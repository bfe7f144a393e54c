"""What a search for places finds: the mentions, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass

from tawasul_nlp.domain.places.gazetteer import Strength


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One mention of a place; ``start:end`` is its slice of the original text, in characters."""

    kind: str  # id of its level, of a numbered landmark (in Bahrain ``roundabout``), ``landmark`` or ``street``
    id: str | None = None  # of the gazetteer's entry; None for numbered parts of an address
    name: str  # Arabic name of the entry, or the part as written
    number: int | None = None  # of a block, road, house, flat or roundabout
    start: int
    end: int
    governorate: str | None = None  # id of the region that this mention points to
    strength: Strength = "none"  # ``weak``: an unconfirmed block range, or a nationwide institution
    evidence: str  # one sentence that says why
    # Id of the place within which the number names one; None if it needs none, or the text does not name it.
    within: str | None = None


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
