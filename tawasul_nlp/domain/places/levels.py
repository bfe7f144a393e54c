"""Levels of places, from the widest to the narrowest: two that have names, then those that are counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tawasul_nlp import _yaml
from tawasul_nlp.domain.words import fold_phrase

COUNTRY: Final = "country"
"""Where the numbers of a level are unique that name one place by themselves."""
_NAMED: Final = 2
_MOST: Final = 99_999
_TAKEN: Final = ("landmark", "street")


@dataclass(frozen=True, slots=True)
class Named:
    """What has an id and a name."""

    id: str
    name_ar: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Level(Named):
    """A level of places, such as governorate, area, block or road."""

    column: str  # of a classified table
    # The level within which a number names one place, ``country`` if everywhere; None if it names none (houses).
    unique_in: str | None = None
    first: int = 0  # the numbers that exist
    last: int = _MOST

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    @property
    def digits(self) -> range:
        """How many digits its numbers have."""
        return range(len(str(self.first)), len(str(self.last)) + 1)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a country."""

    region: Level  # what cases are routed by
    area: Level  # towns and quarters
    numbered: tuple[Level, ...]  # the others, widest first
    places: tuple[Level, ...]  # those of ``numbered`` whose numbers name places
    # The level or numbered landmark that a folded word introduces, and whether the word is only an abbreviation, which
    # needs another sign of an address.
    by_word: Mapping[str, tuple[Level, bool]] = field(repr=False)
    ids: tuple[str, ...]  # of all levels, widest first
    landmarks: frozenset[str]  # ids of numbered landmarks

    @property
    def block(self) -> Level | None:
        """The widest level whose numbers name places; None in a country without one."""
        return self.places[0] if self.places else None

    @property
    def road(self) -> Level | None:
        """The level below the blocks whose numbers name places; None in a country without one."""
        return self.places[1] if len(self.places) > 1 else None

    @property
    def blocks_within_towns(self) -> bool:
        """Whether a block's number is unique in its town only, so that both together name it."""
        return self.block is not None and self.block.unique_in != COUNTRY

    def columns(self) -> dict[str, Level]:
        """Return the columns of a classified table for places: of the region, the block and the area.

        Examples
        --------
        >>> from tawasul_nlp.domain import Domain
        >>> list(Domain.bundled().gazetteer.levels.columns())
        ['governorate', 'block', 'town']
        """
        blocks = () if self.block is None else (self.block,)
        return {level.column: level for level in (self.region, *blocks, self.area)}


def read_levels(levels: tuple[_yaml.Record, ...], landmarks: tuple[_yaml.Record, ...], whole: _yaml.Record) -> Levels:
    """Check levels and numbered landmarks; DataError says which contradict each other."""
    if len(levels) < _NAMED:
        raise whole.error(f"got {len(levels)} level(s), expected two with names at least, such as governorate and area")
    for entry in _yaml.unique((*levels, *landmarks), "level").values():
        if entry["id"] in _TAKEN:
            raise entry.error(f"a level cannot be called {entry['id']!r}, which is a kind of named places")
    for entry in levels[:_NAMED]:
        if entry["words"] or entry["abbreviations"] or entry["unique_in"]:
            raise entry.error(f"level {entry['id']!r} is one of the first two, which have names and not numbers")
    wider = {COUNTRY}
    for entry in levels:
        within = entry["unique_in"]
        if within is not None and within not in wider:
            raise entry.error(
                f"level {entry['id']!r} is unique in {within!r}, expected 'country' or a wider level: "
                f"{', '.join(sorted(wider - {COUNTRY}))}"
            )
        wider.add(entry["id"])
    by_word: dict[str, tuple[Level, bool]] = {}
    by_id = {
        entry["id"]: entry.into(Level, column=entry.values.get("column") or entry["id"])
        for entry in (*levels, *landmarks)
    }
    for entry in (*levels[_NAMED:], *landmarks):
        level = by_id[entry["id"]]
        if not entry["words"]:
            raise entry.error(f"level {level.id!r} has no words that introduce its numbers")
        if level.first > level.last:
            raise entry.error(f"the numbers {level.first} to {level.last} are none; the first comes first")
        for words, doubtful in ((entry["words"], False), (entry.values.get("abbreviations", ()), True)):
            for word in folded(words):
                if by_word.setdefault(word, (level, doubtful))[0] != level:
                    raise entry.error(f"{word!r} already introduces the numbers of {by_word[word][0].id!r}")
    ids = tuple(entry["id"] for entry in levels)
    region, area, *numbered = (by_id[name] for name in ids)
    return Levels(
        region=region,
        area=area,
        numbered=tuple(numbered),
        places=tuple(level for level in numbered if level.unique_in is not None),
        by_word=by_word,
        ids=ids,
        landmarks=frozenset(entry["id"] for entry in landmarks),
    )


def folded(words: Iterable[str]) -> frozenset[str]:
    """Return phrases as they stand in folded texts."""
    return frozenset(" ".join(fold_phrase(word)) for word in words)
