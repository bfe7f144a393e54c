"""Find the places that a text names, in Arabic letters, in Latin ones or by number, and their region."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.context import Context
from tawasul_nlp.domain.places.gazetteer import Gazetteer, NamedPlace, Place, Places, Strength
from tawasul_nlp.domain.places.levels import COUNTRY, Level
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.words import latin_readings, particle_length, skeleton, sound, split_words
from tawasul_nlp.errors import checked_text


def find_places(text: str, domain: Domain | None = None) -> Places:
    """Find blocks, roads, houses, areas, streets and landmarks in a text, and its region.

    The pack is Bahrain's if none is given. Time and memory are linear in the length of the text.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.

    Examples
    --------
    >>> places = find_places("الزبالة متراكمة بالمحرق مجمع ٢١٤ من اسبوع")
    >>> places.governorate, places.block, places.area
    ('muharraq', 214, 'muharraq_city')
    >>> find_places("وصلنا إلى الحد الأدنى").mentions
    ()
    """
    return places_in(checked_text(text), (domain or Domain.bundled()).gazetteer)


def places_in(text: str, gazetteer: Gazetteer) -> Places:
    """Find the places of a gazetteer in a text."""
    context = Context(split_words(text), gazetteer)
    openers = gazetteer.openers
    unread = 0
    for index, word in enumerate(context.folded):
        names, numbered = openers[word]
        if (names or numbered) and index >= unread:
            step = (names and _read_named(context, index)) or (numbered and _read_numbered(context, index))
            unread = index + step
    return _summarise(_with_scopes(tuple(context.mentions), gazetteer), gazetteer, context.elsewhere)


def _read_named(context: Context, index: int) -> int:
    """Match the gazetteer's names at ``index``; return the number of words used."""
    word = context.folded[index]
    if word.isascii():
        match = _latin_name(context, index)
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
                if length > 1 or context.is_place(reading, particle, index):
                    cut = particle_length(word, reading)
                    break
        else:
            return 0
    _add_named(context, index, index + length - 1, identifier, cut)
    return length


def _latin_name(context: Context, index: int) -> tuple[int, str] | None:
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
            if match[0] > 1 or context.is_place(reading, "", index):
                return match
    return None


def _is_arabizi(context: Context, index: int) -> bool:
    """Return whether this word or the next is written with digits for letters."""
    return any(
        not word.isdigit() and any(letter.isdigit() for letter in word) for word in context.folded[index : index + 2]
    )


def _add_named(context: Context, first: int, last: int, identifier: str, cut: int) -> None:
    gazetteer, levels = context.gazetteer, context.levels
    start = context.words.after_prefix(first, cut) if cut else context.words.starts[first]
    if context.names_municipality(first, last) or context.is_left(first):
        context.elsewhere.add(start)
    place = gazetteer.places.get(identifier)
    if place is None:
        region = gazetteer.governorates[identifier]
        kind, name = levels.region.id, region.name_ar
        governorate: str | None = region.id
        strength: Strength = "strong"
        evidence = f"the text names {region.name_en} ({region.name_ar})"
    else:
        kind, name, governorate = levels.area.id if place.is_area else place.kind, place.name_ar, place.governorate
        strength, evidence = _evidence(context, place, first)
    context.mentions.append(
        Place(
            kind=kind,
            id=identifier,
            name=name,
            start=start,
            end=context.words.ends[last],
            governorate=governorate,
            strength=strength,
            evidence=evidence,
        )
    )


def _evidence(context: Context, place: NamedPlace, first: int) -> tuple[Strength, str]:
    """Return how strongly a place named at word ``first`` says where the case happened, and why."""
    names = f"{place.name_en} ({place.name_ar})"
    region = context.gazetteer.governorates.get(place.governorate or "")
    evidence = f"{names} spans {context.levels.region.id}s" if region is None else f"{names} lies in {region.name_en}"
    if place.institution:
        before = context.neighbour(first, -1)
        if not context.any_reading(before, context.address.near_words | context.address.place_words):
            evidence += ", but serves the whole country: naming it does not say where the case happened"
            return "weak", evidence
    return "strong" if place.governorate else "none", evidence


def _read_numbered(context: Context, index: int) -> int:
    """Read a numbered part of an address at ``index``; return the number of words used."""
    word = context.folded[index]
    if word.isdigit():
        return _bare_block(context, index)
    level = context.level(word)
    doubtful = level is None
    number_at = index + 1
    if level is None:
        level, _ = context.levels.by_word.get(word, (None, True))
        if level is None:
            return 0
    elif number_at < len(context.folded) and context.folded[number_at] in context.address.number_words:
        number_at += 1
    if not context.is_number(number_at, index):
        return 0
    number = int(context.folded[number_at])
    if doubtful and not _continues_address(context, level, index, number_at):
        return 0
    if level.id in context.levels.landmarks:
        if number in level:
            _add_number(context, level, index, number_at, number)
        return number_at - index + 1
    if number not in level:
        return 0
    _add_number(context, level, index, number_at, number)
    if level == context.levels.block:
        return _further_blocks(context, level, number_at) - index
    return number_at - index + 1


def _continues_address(context: Context, level: Level, index: int, number_at: int) -> bool:
    """Return whether an abbreviation introduces a number, as in "ط 1410 م 714" and "عالي م 732"; not "3 م 250".

    A block stands beside another part of an address or an area, or is a known one.
    """
    if context.touches(index):
        others = {other.id for other in context.levels.numbered if other != level}
        if context.mentions[-1].kind == context.levels.area.id or context.mentions[-1].kind in others:
            return True
    if context.neighbour(index, -1).isdigit():
        return False
    _, strength = context.gazetteer.block_governorate(int(context.folded[number_at]))
    if strength != "none" and level == context.levels.block:
        return True
    following = context.neighbour(number_at, 1)
    opens = context.level(following) is not None and context.is_number(number_at + 2, number_at + 1)
    return opens or (bool(following) and context.is_area(number_at + 1))


def _further_blocks(context: Context, level: Level, number_at: int) -> int:
    """Read the rest of "بين مجمعي 224 و226" and "مجمع 701/703"; return the first unread index.

    A block is a known one, or one in the same hundred as the one before.
    """
    words = context.words
    position = number_at + 1
    while position < len(context.folded):
        start = position + (context.folded[position] in ("و", "and", "w"))
        between = words.text[words.ends[position - 1] : words.starts[position]].strip()
        joined = start > position or between in ("/", "-", "–")
        if not joined or not context.is_number(start, start) or len(context.folded[start]) >= level.digits.stop:
            break
        number, before = int(context.folded[start]), int(context.folded[position - 1])
        if context.gazetteer.block_governorate(number)[1] == "none" and number // 100 != before // 100:
            break
        _add_number(context, level, start, start, number)
        position = start + 1
    return position


def _bare_block(context: Context, index: int) -> int:
    """Read a number right after an area as its block, if the block fits that area ("عراد 243")."""
    word = context.folded[index]
    level = context.levels.block
    if level is None or not context.mentions or len(word) not in level.digits or not context.is_number(index, index):
        return 0
    area = context.mentions[-1]
    if area.kind != context.levels.area.id or not context.touches(index) or area.id is None:
        return 0
    place = context.gazetteer.places.get(area.id)
    number = int(word)
    governorate, _ = context.gazetteer.block_governorate(number)
    if place is None or not (
        number in place.blocks_seen
        or number in place.blocks_recollected
        or (governorate is not None and governorate == place.governorate)
    ):
        return 0
    _add_number(context, level, index, index, number)
    return 1


def _add_number(context: Context, level: Level, first: int, last: int, number: int) -> None:
    start, end = context.words.starts[first], context.words.ends[last]
    governorate: str | None = None
    strength: Strength = "none"
    evidence = f"{level.id} {number}"
    if level == context.levels.block and level.unique_in == COUNTRY:
        gazetteer = context.gazetteer
        governorate, strength = gazetteer.block_governorate(number)
        region = gazetteer.governorates[governorate].name_en if governorate else f"no known {context.levels.region.id}"
        reasons = {"strong": "was seen in sources of", "weak": "is recollected as one of", "none": "is of"}
        evidence += f" {reasons[strength]} {region}"
    context.mentions.append(
        Place(
            kind=level.id,
            name=context.words.text[start:end],
            number=number,
            start=start,
            end=end,
            governorate=governorate,
            strength=strength,
            evidence=evidence,
        )
    )


def _with_scopes(mentions: tuple[Place, ...], gazetteer: Gazetteer) -> tuple[Place, ...]:
    """Return the mentions, and of numbers that are unique in a wider place only, that place.

    It is the nearest place of that level in the text, so "السالمية قطعة 3 ثم حولي قطعة 5" has block 3 of one area and
    block 5 of the other. A number without one names no place.
    """
    scoped = list(mentions)
    for level in gazetteer.levels.places:
        if level.unique_in == COUNTRY:
            continue
        holders = [mention for mention in scoped if mention.kind == level.unique_in and _place_key(mention, gazetteer)]
        starts = [holder.start for holder in holders]
        for position, mention in enumerate(scoped):
            if holders and mention.kind == level.id:
                holder = _nearest(holders, starts, mention)
                scoped[position] = replace(
                    mention, within=_place_key(holder, gazetteer), governorate=holder.governorate
                )
    return tuple(scoped)


def _nearest(holders: Sequence[Place], starts: list[int], mention: Place) -> Place:
    position = bisect_left(starts, mention.start)
    around = holders[max(0, position - 1) : position + 1]
    return min(around, key=lambda holder: max(mention.start - holder.end, holder.start - mention.end))


def _place_key(mention: Place, gazetteer: Gazetteer) -> str | None:
    """Return what tells a place from all others; None for a number that names none."""
    if mention.id is not None:
        return gazetteer.whole_of(mention.id)
    level = next((level for level in gazetteer.levels.places if level.id == mention.kind), None)
    if level is None or (level.unique_in != COUNTRY and mention.within is None):
        return None
    return "/".join(filter(None, (mention.within, str(mention.number))))


def _summarise(mentions: tuple[Place, ...], gazetteer: Gazetteer, elsewhere: set[int]) -> Places:
    """Weigh the mentions: a block before an area, an area before a place that people from everywhere visit.

    A municipality's name comes last, since a case often describes calls to one that serves another place. So does a
    place that somebody moved from.

    Where mentions of equal weight point to two governorates (a road from Sitra to Khalifa Town), the text is ambiguous:
    the first one named was wrong in 26 of 62 such training cases.
    """
    levels = gazetteer.levels
    if not mentions:
        return Places(levels=levels.ids)
    strong = [mention for mention in mentions if mention.strength == "strong"]
    ranks = [3 if mention.start in elsewhere else _rank(mention, gazetteer) for mention in strong]
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
        return min(
            of_kind, key=lambda mention: (mention.governorate != chosen, mention.start in elsewhere), default=None
        )

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
