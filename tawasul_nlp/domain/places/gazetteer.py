"""The gazetteer of a country: its levels, regions, named places and numbered blocks."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal

from tawasul_nlp import _yaml
from tawasul_nlp.domain.places.levels import COUNTRY, Levels, Named, read_levels
from tawasul_nlp.domain.places.lexicon import (
    AddressWords,
    Homograph,
    Names,
    address_words,
    read_homographs,
    read_letters,
)

Strength = Literal["strong", "weak", "none"]
_PART_KINDS: Final = frozenset({"quarter", "housing_project", "development"})
AREA_KINDS: Final = frozenset({"city", "town", "village", "area", "island"}) | _PART_KINDS
_OTHER_KINDS: Final = ("landmark", "street")


@dataclass(frozen=True, slots=True)
class Governorate(Named):
    """A region, the widest level of places: one of the four governorates of Bahrain, or a city elsewhere.

    Examples
    --------
    >>> from tawasul_nlp.domain import Domain
    >>> Domain.bundled().taxonomy.governorate("muharraq").name_ar
    'محافظة المحرق'
    """

    municipality: str | None = None


@dataclass(frozen=True, slots=True)
class NamedPlace(Named):
    """An entry of the gazetteer."""

    kind: str
    governorate: str | None  # its region; None where the place spans several or could not be confirmed
    # People from everywhere visit it (a hospital, the airport, the capital's centre): any other area outweighs it.
    light: bool = False
    institution: bool = False  # it serves the whole country: its name alone does not say where a case happened
    blocks_seen: tuple[int, ...] = ()
    blocks_recollected: tuple[int, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    part_of: str | None = None  # id of the town that people may name instead

    @property
    def is_area(self) -> bool:
        """Whether people live in it: a town or a part of one, not a landmark or a street."""
        return self.kind in AREA_KINDS

    @property
    def is_quarter(self) -> bool:
        """Whether it is smaller than a town."""
        return self.kind in _PART_KINDS


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The checked gazetteer with its look-up tables; ``digest`` is a hash of its file."""

    digest: str
    levels: Levels = field(repr=False)
    governorates: Mapping[str, Governorate] = field(repr=False)
    places: Mapping[str, NamedPlace] = field(repr=False)
    homographs: Mapping[str, Homograph] = field(repr=False)
    address: AddressWords = field(repr=False)
    names: Names = field(repr=False)
    blocks_seen: Mapping[int, str] = field(repr=False)
    blocks_recollected: Mapping[int, str] = field(repr=False)
    block_ranges: tuple[tuple[int, int, str], ...] = field(repr=False)

    def block_governorate(self, block: int) -> tuple[str | None, Strength]:
        """Return the region of a block and the strength of the evidence.

        Examples
        --------
        >>> from tawasul_nlp.domain import Domain
        >>> [Domain.bundled().gazetteer.block_governorate(block) for block in (226, 299, 732, 1150)]
        [('muharraq', 'strong'), ('muharraq', 'weak'), ('northern', 'weak'), (None, 'none')]
        """
        if block in self.blocks_seen:
            return self.blocks_seen[block], "strong"
        if block in self.blocks_recollected:
            return self.blocks_recollected[block], "weak"
        position = bisect_right(self.block_ranges, (block, 10**9, "")) - 1
        first, last, governorate = self.block_ranges[position] if position >= 0 else (0, -1, None)
        return (governorate, "weak") if first <= block <= last else (None, "none")

    def whole_of(self, area: str) -> str:
        """Return the town that an area is part of, or the area itself."""
        place = self.places.get(area)
        return area if place is None or place.part_of is None else place.part_of


@lru_cache(maxsize=8)
def read_gazetteer(file: _yaml.File) -> Gazetteer:
    """Check a gazetteer file; DataError names the line that is wrong."""
    data = _yaml.read(file, _yaml.schema_of("gazetteer"))
    levels = read_levels(data["levels"], data["numbered_landmarks"], data)
    regions = {key: entry.into(Governorate) for key, entry in _yaml.unique(data["regions"], levels.region.id).items()}
    _check_places(data, regions, levels)
    return Gazetteer(
        digest=hashlib.sha256(file.content).hexdigest()[:12],
        levels=levels,
        governorates=regions,
        places={entry["id"]: _place(entry) for entry in data["places"]},
        homographs=read_homographs(data["homographs"]),
        address=address_words({} if data["address"] is None else data["address"].values),
        names=Names.of((*data["places"], *data["regions"]), read_letters(data["letters"])),
        blocks_seen=_blocks_seen(data, levels),
        blocks_recollected=_blocks_recollected(data["places"]),
        block_ranges=_ranges(data["block_ranges"]),
    )


def _check_places(data: _yaml.Record, regions: Mapping[str, Governorate], levels: Levels) -> None:
    region = levels.region.id
    for section in ("block_sets", "block_ranges", "places"):
        for entry in data[section]:
            if entry["region"] is not None and entry["region"] not in regions:
                raise entry.error(f"unknown {region} {entry['region']!r}; known: {', '.join(regions)}")
    places = _yaml.unique(data["places"], "place")
    for key, entry in places.items():
        if key in regions:
            raise entry.error(f"place id {key!r} is already a {region}'s; choose another")
        whole = entry["part_of"]
        if whole is not None and (whole not in places or places[whole]["part_of"] is not None):
            raise entry.error(f"place {key!r} is part of {whole!r}, which must be a place that is not part of another")


def _blocks_seen(data: _yaml.Record, levels: Levels) -> dict[int, str]:
    seen: dict[int, str] = {}
    for entry in (*data["block_sets"], *data["places"]):
        for block in entry.values.get("blocks", entry.values.get("blocks_seen", ())):
            if levels.block is None or levels.block.unique_in != COUNTRY:
                raise entry.error("only blocks that are unique in the country say where they lie; remove the list")
            if seen.setdefault(block, entry["region"]) != entry["region"]:
                raise entry.error(f"block {block} is already in {seen[block]!r}; a block has one {levels.region.id}")
    return seen


def _blocks_recollected(places: Iterable[_yaml.Record]) -> dict[int, str]:
    regions: dict[int, set[str | None]] = {}
    for entry in places:
        for block in entry["blocks_recollected"]:
            regions.setdefault(block, set()).add(entry["region"])
    return {block: region for block, (region, *others) in regions.items() if region is not None and not others}


def _ranges(entries: Iterable[_yaml.Record]) -> tuple[tuple[int, int, str], ...]:
    """Sort the ranges of blocks by their first block; each block is in at most one range."""
    ordered = sorted(entries, key=lambda entry: entry["first"])
    for entry in ordered:
        if entry["first"] > entry["last"]:
            raise entry.error(f"the range {entry['first']} to {entry['last']} is empty; the first block comes first")
    for before, entry in pairwise(ordered):
        if entry["first"] <= before["last"]:
            raise entry.error(
                f"the range from {entry['first']} overlaps the one from {before['first']} to {before['last']} on line "
                f"{before.line}"
            )
    return tuple((entry["first"], entry["last"], entry["region"]) for entry in ordered)


def _place(entry: _yaml.Record) -> NamedPlace:
    return entry.into(
        NamedPlace,
        governorate=entry["region"],
        light=entry["weight"] == "light" or entry["kind"] in _OTHER_KINDS,
        institution=entry["weight"] == "institution",
        latitude=entry["lat"],
        longitude=entry["lon"],
    )
