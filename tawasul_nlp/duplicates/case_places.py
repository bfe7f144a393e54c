"""The places of a case as codes, by the roles that places have when cases are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from zlib import crc32

import numpy as np

from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.places.given import given_places, merged
from tawasul_nlp.domain.places.levels import COUNTRY, Level
from tawasul_nlp.domain.places.mentions import Place
from tawasul_nlp.duplicates.terms import LEVELS, STEP

# The places that a text may name: areas and landmarks, then streets and roads. Blocks and roads are the first and the
# second level whose numbers name places.
PLACES = ("blocks", "towns", "quarters", "landmarks", "streets", "roads")
_NUMBERED = ("blocks", "roads")


@dataclass(slots=True)
class CasePlaces:
    """The codes of the places of a case by role, its region's, and the numbers that are parts of its address."""

    codes: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in PLACES})
    region: int = -1
    numbers: list[int] = field(default_factory=list)


def code(name: str) -> int:
    """Return the code of a name: a hash that is the same in every process, never -1."""
    return crc32(name.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF


def case_places(text: str, place: str | None, domain: Domain) -> CasePlaces:
    """Return the places of a case: the finest that its text and its address field agree on."""
    result = CasePlaces()
    levels = domain.gazetteer.levels
    numbered = dict(zip((level.id for level in levels.places), _NUMBERED, strict=False))
    level_of = {level.id: level for level in levels.places}
    places = find_places(text, domain)
    if place is not None:
        places, _ = merged(places, given_places([place], domain), domain)
    for mention in places.mentions:
        role = numbered.get(mention.kind)
        if role is not None:
            number = number_code(mention, level_of[mention.kind])
            if number is not None and mention.number is not None:
                result.codes[role].append(number)
                result.numbers.append(mention.number)
        elif (name := area_name(mention, domain)) is not None:
            if mention.kind == levels.area.id:
                result.codes["quarters" if domain.gazetteer.places[name].is_quarter else "towns"].append(code(name))
                continue
            result.codes["landmarks"].append(code(name))
            if mention.kind == "street":
                result.codes["streets"].append(code(name))
    if places.governorate:
        result.region = code(places.governorate)
    return result


def number_code(mention: Place, level: Level) -> int | None:
    """Return the code of a numbered place; None if its number names one only within a place that is not known.

    A number that is unique in the country is its own code.
    """
    if level.unique_in == COUNTRY:
        return mention.number
    return None if mention.within is None else code(f"{level.id}:{mention.within}:{mention.number}")


def area_name(mention: Place, domain: Domain) -> str | None:
    """Return the name behind an area's or landmark's :func:`code`; None for other places.

    >>> places = find_places("دوار 7 بمدينة حمد مجمع 1203")
    >>> [area_name(mention, Domain.bundled()) for mention in places.mentions]
    ['roundabout:7', 'hamad_town', None]
    """
    levels = domain.gazetteer.levels
    if mention.kind in levels.landmarks:
        return f"{mention.kind}:{mention.number}"
    return mention.id if mention.kind in (levels.area.id, "landmark", "street") else None


def rarity(codes: np.ndarray, domain: Domain) -> np.ndarray:
    """Return the rarity of areas and landmarks by code, float32; 0 for no place (-1).

    It is about the logarithm of (texts / texts that name it).

    Examples
    --------
    >>> manama, block = code("manama"), 714
    >>> (rarity(np.array([manama]), Domain.bundled()) < rarity(np.array([block]), Domain.bundled())).tolist()
    [True]
    """
    levels = _looked_up(codes, *_levels(domain), LEVELS - 1)
    return np.where(codes >= 0, levels * STEP, 0).astype(np.float32)


def wholes(codes: np.ndarray, domain: Domain) -> np.ndarray:
    """Return the code of the town that each area is part of; -1 for none.

    Examples
    --------
    >>> (wholes(np.array([code("west_riffa"), code("sitra")]), Domain.bundled()) == [code("riffa"), -1]).tolist()
    [True, True]
    """
    return _looked_up(codes, *_parts(domain), -1)


def _looked_up(codes: np.ndarray, listed: np.ndarray, values: np.ndarray, otherwise: int) -> np.ndarray:
    """Return the value of each code; ``listed`` ascends and ends with an unused code."""
    positions = np.searchsorted(listed[:-1], codes)
    return np.where(listed[positions] == codes, values[positions], otherwise)


def _table(values: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of places, ascending and followed by an unused code, and the value of each."""
    rows = sorted((code(name), value) for name, value in values.items())
    codes, numbers = np.array([*rows, (-2, -2)], np.int64).T
    return codes, numbers


@lru_cache(maxsize=8)
def _parts(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    places = domain.gazetteer.places.values()
    return _table({place.id: code(place.part_of) for place in places if place.part_of is not None})


@lru_cache(maxsize=8)
def _levels(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    return _table(domain.common_places)
