"""Read the names of places: in Arabic letters, in Latin ones, and by their sound."""

from __future__ import annotations

from collections.abc import Callable

from tawasul_nlp.domain.places.context import Context
from tawasul_nlp.domain.places.gazetteer import Strength
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.places.mention import Place
from tawasul_nlp.domain.words import latin_readings, particle_length, skeleton, sound


def read_named(context: Context, index: int, found: list[Place]) -> int:
    """Match the gazetteer's names at ``index``; return the number of words used."""
    word = context.folded[index]
    if word.isascii():
        match = _latin(context, index, found)
        if match is None:
            return 0
        length, identifier = match
        cut = 0
    else:
        written = context.gazetteer.names.written
        for reading, particle in written.openings[word]:
            match = written.longest(reading, context.folded, index)
            if match is not None and context.joined(index, match[0]):
                length, identifier = match
                if length > 1 or context.is_place(reading, particle, index, found):
                    cut = particle_length(word, reading)
                    break
        else:
            return 0
    _add(context, found, index, index + length - 1, identifier, cut)
    return length


def _latin(context: Context, index: int, found: list[Place]) -> tuple[int, str] | None:
    word = context.folded[index]
    names = context.gazetteer.names
    spellings: tuple[tuple[Phrases, list[str], Callable[[str], str], bool], ...] = (
        (names.written, context.folded, str, True),
        (names.sounds, context.sounds, sound, _is_arabizi(context, index)),
        (names.skeletons, context.skeletons, skeleton, True),
    )
    for phrases, row, spelled, applies in spellings:
        if not applies:
            continue
        for reading in latin_readings(word):
            match = phrases.longest(spelled(reading), row, index)
            if match is None or not context.joined(index, match[0]):
                continue
            if match[0] > 1 or context.is_place(reading, "", index, found):
                return match
    return None


def _is_arabizi(context: Context, index: int) -> bool:
    """Return whether this word or the next is written with digits for letters."""
    return any(
        not word.isdigit() and any(letter.isdigit() for letter in word) for word in context.folded[index : index + 2]
    )


def _add(context: Context, found: list[Place], first: int, last: int, identifier: str, cut: int) -> None:
    gazetteer = context.gazetteer
    place = gazetteer.places.get(identifier)
    start = context.words.after_prefix(first, cut) if cut else context.words.starts[first]
    end = context.words.ends[last]
    if context.names_municipality(first, last) or context.is_left(first):
        context.elsewhere.add(start)
    if place is None:
        region = gazetteer.governorates[identifier]
        evidence = f"the text names {region.name_en} ({region.name_ar})"
        kind = context.levels.region.id
        found.append(Place(kind, identifier, region.name_ar, None, start, end, identifier, "strong", evidence))
        return
    kind = context.levels.area.id if place.is_area else place.kind
    where = gazetteer.governorates[place.governorate].name_en if place.governorate else None
    spans = f"spans {context.levels.region.id}s"
    evidence = f"{place.name_en} ({place.name_ar}) " + (f"lies in {where}" if where else spans)
    strength: Strength = "strong" if place.governorate else "none"
    if place.institution:
        before = context.neighbour(first, -1)
        if not context.any_reading(before, context.address.near_words | context.address.place_words):
            strength = "weak"
            evidence += ", but serves the whole country: naming it does not say where the case happened"
    found.append(Place(kind, identifier, place.name_ar, None, start, end, place.governorate, strength, evidence))
