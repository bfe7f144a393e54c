"""The words of a gazetteer: names as phrases, the words around them, and which words may begin a place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tawasul_nlp import _yaml
from tawasul_nlp.domain.places.levels import folded
from tawasul_nlp.domain.words import fold_phrase, fold_word, readings, skeleton, sound

MIN_SKELETON: Final = 4
"""Shorter consonant skeletons of names collide with English words."""
MIN_SKELETON_WORD: Final = 2
_KUNYA: Final = {"ابو": "بو", "بو": "ابو"}


class Phrases:
    """Phrases of folded words with their ids; look-up costs the length of the longest match."""

    def __init__(self, phrases: Iterable[tuple[tuple[str, ...], str]]) -> None:
        by_head: dict[str, dict[tuple[str, ...], str]] = {}
        for words, identifier in phrases:
            if words:
                by_head.setdefault(words[0], {}).setdefault(words[1:], identifier)
        self._by_head = {
            head: sorted(tails.items(), key=lambda entry: -len(entry[0])) for head, tails in by_head.items()
        }

    def openings(self, word: str) -> list[tuple[str, str]]:
        """Return the readings of a folded word with which a phrase begins."""
        return [reading for reading in readings(word) if reading[0] in self._by_head]

    def longest(self, head: str, words: list[str], index: int) -> tuple[int, str] | None:
        """Return the length in words and the id of the longest phrase at ``index``, its first word read as ``head``."""
        for tail, identifier in self._by_head.get(head, ()):
            if not tail or tuple(words[index + 1 : index + 1 + len(tail)]) == tail:
                return 1 + len(tail), identifier
        return None


@dataclass(frozen=True, slots=True)
class AddressWords:
    """Folded words around places; what each set is for, ``address_words.yaml`` says."""

    number_words: frozenset[str]
    counted_words: frozenset[str]
    in_words: frozenset[str]
    place_words: frozenset[str]
    near_words: frozenset[str]
    municipality_words: frozenset[str]
    moved_words: frozenset[str]
    never: frozenset[str]


@lru_cache(maxsize=1)
def _common_words() -> _yaml.Record:
    return _yaml.read(Path(__file__).parents[1] / "address_words.yaml", _yaml.schema_of("address_words"))


def address_words(additions: Mapping[str, Any]) -> AddressWords:
    """Join the words of all countries with those that a gazetteer adds."""
    common = _common_words()
    names = [field.name for field in fields(AddressWords)]
    return AddressWords(**{name: folded((*common[name], *additions.get(name, ()))) for name in names})


@dataclass(frozen=True, slots=True)
class Homograph:
    """A place name that is also a common word, and the contexts in which it is the place."""

    needs: str
    not_after: frozenset[str]
    not_before: frozenset[str]


def read_homographs(entries: Iterable[_yaml.Record]) -> dict[str, Homograph]:
    """Return homographs by their folded form; a repeated one raises DataError."""
    homographs: dict[str, Homograph] = {}
    for entry in entries:
        form = " ".join(fold_phrase(entry["form"]))
        if form in homographs:
            raise entry.error(f"form {entry['form']!r} appears twice (folded: {form!r}); write one entry for it")
        around = {name: folded(entry[name]) for name in ("not_after", "not_before")}
        homographs[form] = entry.into(Homograph, **around)
    return homographs


def read_letters(entries: Iterable[_yaml.Record]) -> list[tuple[str, str]]:
    """Return pairs of folded letters; DataError says which are none."""
    pairs = []
    for entry in entries:
        pair = fold_word(entry["letter"]), fold_word(entry["also"])
        if not all(len(letter) == 1 and letter.isalpha() for letter in pair) or pair[0] == pair[1]:
            raise entry.error(
                f"got {entry['letter']!r} and {entry['also']!r}, expected two letters that differ when folded"
            )
        pairs.append(pair)
    return pairs


@dataclass(frozen=True, slots=True)
class Names:
    """The names of places: as written, and those in Latin letters by their sound and by its consonants."""

    written: Phrases
    sounds: Phrases
    skeletons: Phrases

    @classmethod
    def of(cls, entries: Iterable[_yaml.Record], letters: Sequence[tuple[str, str]] = ()) -> Names:
        """Collect the names and variants of entries; of two with one name the first has it.

        ``letters`` are pairs of a letter and another that people write for it, as ي for ج; a name spelled so gives way
        to a name that is written like that.
        """
        arabic: list[tuple[tuple[str, ...], str]] = []
        latin: list[tuple[tuple[str, ...], str]] = []
        for entry in entries:
            for name in (entry["name_ar"], *entry["variants_ar"]):
                arabic += [(spelling, entry["id"]) for spelling in spellings(fold_phrase(name))]
            for name in (entry["name_en"], *entry["variants_en"]):
                words = fold_phrase(name)
                latin.append((words[1:] if len(words) > 1 and words[0] in ("al", "el") else words, entry["id"]))
        dialect = [
            (tuple(word.replace(letter, also) for word in words), identifier)
            for letter, also in letters
            for words, identifier in arabic
            if any(letter in word for word in words)
        ]
        skeletons = [(tuple(map(skeleton, words)), identifier) for words, identifier in latin]
        return cls(
            Phrases([*arabic, *latin, *dialect]),
            Phrases((tuple(map(sound, words)), identifier) for words, identifier in latin),
            Phrases(
                entry
                for entry in skeletons
                if sum(map(len, entry[0])) >= MIN_SKELETON and min(map(len, entry[0])) >= MIN_SKELETON_WORD
            ),
        )


def spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
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
