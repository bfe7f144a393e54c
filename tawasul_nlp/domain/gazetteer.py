"""Places of Bahrain: governorates, blocks, areas, streets and landmarks, and the lexicon of their names."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from tawasul_nlp import _yaml
from tawasul_nlp.domain._folding import REMEMBERED, fold_phrase, latin_readings, readings, skeleton, sound

DATA: Final = Path(__file__).parent / "packs" / "bahrain"
Strength = Literal["strong", "weak", "none"]
MIN_SKELETON: Final = 4
"""Shorter consonant skeletons of names collide with English words."""
MIN_SKELETON_WORD: Final = 2
_KUNYA: Final = {"ابو": "بو", "بو": "ابو"}


@dataclass(frozen=True, slots=True)
class Governorate:
    """One of the four governorates.

    Examples
    --------
    >>> from tawasul_nlp.domain import Taxonomy
    >>> Taxonomy.load().governorate("muharraq").name_ar
    'محافظة المحرق'
    """

    id: str
    name_ar: str
    name_en: str
    municipality: str


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """An entry of the gazetteer.

    ``governorate`` is None where the place spans several or could not be confirmed. A ``light`` place is one that
    people from everywhere visit (a hospital, the airport, the capital's centre): any other area outweighs it. An
    ``institution`` serves the whole country, so its name alone does not say where a case happened. ``part_of`` is the
    id of the town that people may name instead.
    """

    id: str
    name_ar: str
    name_en: str
    kind: str
    governorate: str | None
    light: bool = False
    institution: bool = False
    blocks_seen: tuple[int, ...] = ()
    blocks_recollected: tuple[int, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    part_of: str | None = None


@dataclass(frozen=True, slots=True)
class Homograph:
    """A place name that is also a common word, and the contexts in which it is the place."""

    needs: str
    not_after: frozenset[str]
    not_before: frozenset[str]


@dataclass(frozen=True, slots=True)
class AddressWords:
    """Folded words that introduce the parts of an address."""

    parts: Mapping[str, str]
    block_abbreviations: frozenset[str]
    number_words: frozenset[str]
    counted_words: frozenset[str]
    in_words: frozenset[str]
    place_words: frozenset[str]
    near_words: frozenset[str]
    municipality_words: frozenset[str]
    moved_words: frozenset[str]
    never: frozenset[str]


class Phrases:
    """Phrases of folded words with their ids; look-up costs the length of the longest match."""

    __slots__ = ("_by_head",)

    def __init__(self, phrases: Iterable[tuple[tuple[str, ...], str]]) -> None:
        by_head: dict[str, dict[tuple[str, ...], str]] = {}
        for words, identifier in phrases:
            if words:
                by_head.setdefault(words[0], {}).setdefault(words[1:], identifier)
        self._by_head = {
            head: sorted(tails.items(), key=lambda entry: -len(entry[0])) for head, tails in by_head.items()
        }

    def __contains__(self, head: str) -> bool:
        """Return whether a phrase begins with a word."""
        return head in self._by_head

    def longest(self, head: str, words: list[str], index: int) -> tuple[int, str] | None:
        """Return the length in words and the id of the longest phrase at ``index``, its first word read as ``head``."""
        for tail, identifier in self._by_head.get(head, ()):
            if not tail or tuple(words[index + 1 : index + 1 + len(tail)]) == tail:
                return 1 + len(tail), identifier
        return None


class Openers(dict[str, tuple[bool, bool]]):
    """Return whether a name, and whether a numbered part of an address, can begin with a folded word.

    Called for every word of a text, so it is cached.
    """

    def __init__(self, address: AddressWords, names: Phrases, sounds: Phrases, skeletons: Phrases) -> None:
        super().__init__()
        self._numbered = address.parts.keys() | address.block_abbreviations
        self._names, self._sounds, self._skeletons = names, sounds, skeletons

    def __missing__(self, word: str) -> tuple[bool, bool]:
        if word.isascii():
            names = any(
                reading in self._names or sound(reading) in self._sounds or skeleton(reading) in self._skeletons
                for reading in latin_readings(word)
            )
        else:
            names = any(reading in self._names for reading, _ in readings(word))
        opens = names, word.isdigit() or any(reading in self._numbered for reading, _ in readings(word))
        if len(self) < REMEMBERED:
            self[word] = opens
        return opens


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The checked gazetteer with its look-up tables; ``digest`` is a hash of its file."""

    digest: str
    governorates: Mapping[str, Governorate] = field(repr=False)
    places: Mapping[str, NamedPlace] = field(repr=False)
    homographs: Mapping[str, Homograph] = field(repr=False)
    address: AddressWords = field(repr=False)
    openers: Openers = field(repr=False)
    names: Phrases = field(repr=False)
    sounds: Phrases = field(repr=False)
    skeletons: Phrases = field(repr=False)
    blocks_seen: Mapping[int, str] = field(repr=False)
    block_ranges: tuple[tuple[int, int, str], ...] = field(repr=False)

    @staticmethod
    def load(path: str | Path | None = None) -> Gazetteer:
        """Load and check a gazetteer file (None: the bundled one); a file is read again only if it changed.

        Raises
        ------
        DataError
            If the file does not follow the schema; the message names file and line.
        """
        return _bundled() if path is None else _load(_yaml.Version.of(Path(path)))

    def block_governorate(self, block: int) -> tuple[str | None, Strength]:
        """Return the governorate of a block and the strength of the evidence.

        Examples
        --------
        >>> Gazetteer.load().block_governorate(226), Gazetteer.load().block_governorate(299)
        (('muharraq', 'strong'), ('muharraq', 'weak'))
        """
        seen = self.blocks_seen.get(block)
        if seen is not None:
            return seen, "strong"
        position = bisect_right(self.block_ranges, (block, 10**9, "")) - 1
        if position >= 0:
            first, last, governorate = self.block_ranges[position]
            if first <= block <= last:
                return governorate, "weak"
        return None, "none"


_PLACE_KINDS: Final = (
    "city",
    "town",
    "village",
    "area",
    "quarter",
    "housing_project",
    "development",
    "island",
    "landmark",
    "street",
)
_TEXTS: Final = (_yaml.list_of(_yaml.text), ())
_BLOCKS: Final = (_yaml.list_of(_yaml.integer), ())
_SCHEMA: Final = _yaml.record(
    {
        "version": _yaml.text,
        "governorates": _yaml.list_of(
            _yaml.record(
                {
                    "id": _yaml.identifier,
                    "name_ar": _yaml.text,
                    "name_en": _yaml.text,
                    "municipality": _yaml.identifier,
                },
                {"variants_ar": _TEXTS, "variants_en": _TEXTS},
            )
        ),
        "block_sets": _yaml.list_of(
            _yaml.record(
                {
                    "name": _yaml.text,
                    "governorate": _yaml.identifier,
                    "areas": _yaml.text,
                    "blocks": _yaml.list_of(_yaml.integer),
                }
            )
        ),
        "block_ranges": _yaml.list_of(
            _yaml.record({"first": _yaml.integer, "last": _yaml.integer, "governorate": _yaml.identifier})
        ),
        "homographs": _yaml.list_of(
            _yaml.record(
                {"form": _yaml.text, "needs": _yaml.one_of("context", "place_word", "unless_blocked")},
                {"not_after": _TEXTS, "not_before": _TEXTS},
            )
        ),
        "places": _yaml.list_of(
            _yaml.record(
                {
                    "id": _yaml.identifier,
                    "name_ar": _yaml.text,
                    "name_en": _yaml.text,
                    "kind": _yaml.one_of(*_PLACE_KINDS),
                },
                {
                    "governorate": (_yaml.identifier, None),
                    "variants_ar": _TEXTS,
                    "variants_en": _TEXTS,
                    "part_of": (_yaml.identifier, None),
                    "weight": (_yaml.one_of("light", "institution"), None),
                    "blocks_seen": _BLOCKS,
                    "blocks_recollected": _BLOCKS,
                    "lat": (_yaml.number, None),
                    "lon": (_yaml.number, None),
                    "note": (_yaml.text, None),
                },
            )
        ),
        "address": _yaml.record(
            {
                key: _yaml.list_of(_yaml.text)
                for key in (
                    "block",
                    "block_abbreviations",
                    "road",
                    "house",
                    "flat",
                    "roundabout",
                    "number_words",
                    "counted_words",
                    "in_words",
                    "place_words",
                    "near_words",
                    "never",
                )
            },
            {"municipality_words": _TEXTS, "moved_words": _TEXTS},
        ),
    }
)


def _spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield a name and its variants with the first word abbreviated or joined (أبو عشيرة، بوعشيرة؛ ش. الملك فيصل)."""
    yield words
    first, *rest = words
    if first in ("شارع", "جسر") and rest:
        yield ("ش", *rest) if first == "شارع" else ("كوبري", *rest)
    if first in _KUNYA and rest:
        yield (_KUNYA[first], *rest)
        for start in _KUNYA:
            yield (start + rest[0], *rest[1:])
    if first in ("ام", "جد", "بني", "دار", "راس") and rest:
        yield (first + rest[0], *rest[1:])


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(" ".join(fold_phrase(word)) for word in words)


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
    return tuple((entry["first"], entry["last"], entry["governorate"]) for entry in ordered)


def _homographs(entries: Iterable[_yaml.Record]) -> dict[str, Homograph]:
    homographs: dict[str, Homograph] = {}
    for entry in entries:
        form = " ".join(fold_phrase(entry["form"]))
        if form in homographs:
            raise entry.error(f"form {entry['form']!r} appears twice (folded: {form!r}); write one entry for it")
        homographs[form] = Homograph(entry["needs"], _folded(entry["not_after"]), _folded(entry["not_before"]))
    return homographs


@lru_cache(maxsize=1)
def _bundled() -> Gazetteer:
    return _load(_yaml.Version.of(DATA / "gazetteer.yaml"))


@lru_cache(maxsize=8)
def _load(file: _yaml.Version) -> Gazetteer:
    data = _yaml.read(file.path, _SCHEMA)
    governorates = {
        key: Governorate(key, entry["name_ar"], entry["name_en"], entry["municipality"])
        for key, entry in _yaml.unique(data["governorates"], "governorate").items()
    }
    for section in ("block_sets", "block_ranges", "places"):
        for entry in data[section]:
            if entry["governorate"] is not None and entry["governorate"] not in governorates:
                raise entry.error(f"unknown governorate {entry['governorate']!r}; known: {', '.join(governorates)}")

    places = _yaml.unique(data["places"], "place")
    blocks_seen: dict[int, str] = {}
    for entry in (*data["block_sets"], *data["places"]):
        for block in entry.values.get("blocks", entry.values.get("blocks_seen", ())):
            if blocks_seen.setdefault(block, entry["governorate"]) != entry["governorate"]:
                raise entry.error(f"block {block} is already in {blocks_seen[block]!r}; a block has one governorate")
    for key, entry in places.items():
        if key in governorates:
            raise entry.error(f"place id {key!r} is already a governorate's; choose another")
        whole = entry["part_of"]
        if whole is not None and (whole not in places or places[whole]["part_of"] is not None):
            raise entry.error(f"place {key!r} is part of {whole!r}, which must be a place that is not part of another")

    ranges = _ranges(data["block_ranges"])

    names: list[tuple[tuple[str, ...], str]] = []
    latin: list[tuple[tuple[str, ...], str]] = []
    for entry in (*data["places"], *data["governorates"]):
        for name in (entry["name_ar"], *entry["variants_ar"]):
            names += [(spelling, entry["id"]) for spelling in _spellings(fold_phrase(name))]
        for name in (entry["name_en"], *entry["variants_en"]):
            words = fold_phrase(name)
            latin.append((words[1:] if len(words) > 1 and words[0] in ("al", "el") else words, entry["id"]))
    sounds = [(tuple(map(sound, words)), identifier) for words, identifier in latin]
    skeletons = [(tuple(map(skeleton, words)), identifier) for words, identifier in latin]
    address = data["address"]
    lexicon = AddressWords(
        parts={
            word: part for part in ("block", "road", "house", "flat", "roundabout") for word in _folded(address[part])
        },
        block_abbreviations=_folded(address["block_abbreviations"]),
        number_words=_folded(address["number_words"]),
        counted_words=_folded(address["counted_words"]),
        in_words=_folded(address["in_words"]),
        place_words=_folded(address["place_words"]),
        near_words=_folded(address["near_words"]),
        municipality_words=_folded(address["municipality_words"]),
        moved_words=_folded(address["moved_words"]),
        never=_folded(address["never"]),
    )
    named = Phrases([*names, *latin])
    by_sound = Phrases(sounds)
    by_skeleton = Phrases(
        entry
        for entry in skeletons
        if sum(map(len, entry[0])) >= MIN_SKELETON and min(map(len, entry[0])) >= MIN_SKELETON_WORD
    )
    return Gazetteer(
        digest=hashlib.sha256(file.path.read_bytes()).hexdigest()[:12],
        governorates=governorates,
        places={
            key: NamedPlace(
                key,
                entry["name_ar"],
                entry["name_en"],
                entry["kind"],
                entry["governorate"],
                entry["weight"] == "light" or entry["kind"] in ("landmark", "street"),
                entry["weight"] == "institution",
                entry["blocks_seen"],
                entry["blocks_recollected"],
                entry["lat"],
                entry["lon"],
                entry["part_of"],
            )
            for key, entry in places.items()
        },
        homographs=_homographs(data["homographs"]),
        address=lexicon,
        openers=Openers(lexicon, named, by_sound, by_skeleton),
        names=named,
        sounds=by_sound,
        skeletons=by_skeleton,
        blocks_seen=blocks_seen,
        block_ranges=ranges,
    )
