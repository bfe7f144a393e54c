"""Read the numbered parts of an address: "مجمع 714", "طريق رقم 1425", "البسيتين 227"."""

from __future__ import annotations

from tawasul_nlp.domain.places.context import Context
from tawasul_nlp.domain.places.gazetteer import Strength
from tawasul_nlp.domain.places.levels import COUNTRY, Level
from tawasul_nlp.domain.places.mention import Place


def read_numbered(context: Context, index: int, found: list[Place]) -> int:
    """Read a numbered part of an address at ``index``; return the number of words used."""
    word = context.folded[index]
    if word.isdigit():
        return _bare_block(context, index, found)
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
    if doubtful and not _continues(context, level, index, number_at, found):
        return 0
    if level.id in context.levels.landmarks:
        if number in level:
            _add(context, found, level, index, number_at, number)
        return number_at - index + 1
    if number not in level:
        return 0
    _add(context, found, level, index, number_at, number)
    if level == context.levels.block:
        return _further_blocks(context, level, number_at, found) - index
    return number_at - index + 1


def _continues(context: Context, level: Level, index: int, number_at: int, found: list[Place]) -> bool:
    """Return whether an abbreviation introduces a number, as in "ط 1410 م 714" and "عالي م 732"; not "3 م 250".

    A block stands beside another part of an address or an area, or is a known one.
    """
    if context.touches(index, found):
        others = {other.id for other in context.levels.numbered if other != level}
        if found[-1].kind == context.levels.area.id or found[-1].kind in others:
            return True
    if context.neighbour(index, -1).isdigit():
        return False
    known = context.gazetteer.block_governorate(int(context.folded[number_at]))[1] != "none"
    if known and level == context.levels.block:
        return True
    following = context.neighbour(number_at, 1)
    opens = context.level(following) is not None and context.is_number(number_at + 2, number_at + 1)
    return opens or (bool(following) and context.is_area(number_at + 1, found))


def _further_blocks(context: Context, level: Level, number_at: int, found: list[Place]) -> int:
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
        _add(context, found, level, start, start, number)
        position = start + 1
    return position


def _bare_block(context: Context, index: int, found: list[Place]) -> int:
    """Read a number right after an area as its block, if the block fits that area ("عراد 243")."""
    word = context.folded[index]
    level = context.levels.block
    if level is None or not found or len(word) not in level.digits or not context.is_number(index, index):
        return 0
    area = found[-1]
    if area.kind != context.levels.area.id or not context.touches(index, found) or area.id is None:
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
    _add(context, found, level, index, index, number)
    return 1


def _add(context: Context, found: list[Place], level: Level, first: int, last: int, number: int) -> None:
    start, end = context.words.starts[first], context.words.ends[last]
    written = context.words.text[start:end]
    governorate: str | None = None
    strength: Strength = "none"
    evidence = f"{level.id} {number}"
    if level == context.levels.block and level.unique_in == COUNTRY:
        gazetteer = context.gazetteer
        governorate, strength = gazetteer.block_governorate(number)
        name = gazetteer.governorates[governorate].name_en if governorate else f"no known {context.levels.region.id}"
        evidence = {
            "strong": f"{level.id} {number} was seen in sources of {name}",
            "weak": f"{level.id} {number} is recollected as one of {name}",
            "none": f"{level.id} {number} is of {name}",
        }[strength]
    found.append(Place(level.id, None, written, number, start, end, governorate, strength, evidence))
