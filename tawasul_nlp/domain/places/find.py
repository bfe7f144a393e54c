"""Find the places that a text names, in Arabic letters, in Latin ones or by number, and their region."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from tawasul_nlp.domain.pack import Domain
from tawasul_nlp.domain.places.gazetteer import Gazetteer, NamedPlace, Strength
from tawasul_nlp.domain.places.levels import COUNTRY, Level
from tawasul_nlp.domain.places.lexicon import Phrases
from tawasul_nlp.domain.places.mentions import Place, Places, summarise
from tawasul_nlp.domain.words import latin_readings, particle_length, readings, skeleton, sound, split_words
from tawasul_nlp.errors import checked_text

_LONGEST_NUMBER = 5
_WIDEST_GAP = 12
# A number with fewer digits after a homograph is a floor or a count ("الدور 17"), unless blocks have so few.
_COUNT_DIGITS = 3


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
    gazetteer = (domain or Domain.bundled()).gazetteer
    search = _Search(checked_text(text), gazetteer)
    unread = 0
    for index in range(len(search.folded)):
        if index >= unread:
            unread = index + (search.read_named(index) or search.read_numbered(index))
    return summarise(search.mentions, gazetteer)


def _any_reading(word: str, words: frozenset[str]) -> bool:
    """Return whether a word, or what remains of it without a particle, is among others."""
    return any(reading in words for reading, _ in readings(word))


class _Search:
    """The folded words of a text, what is around each of them, and the places found so far."""

    def __init__(self, text: str, gazetteer: Gazetteer) -> None:
        self.words = split_words(text)
        self.folded = self.words.folded
        self.gazetteer = gazetteer
        self.levels = gazetteer.levels
        self.address = gazetteer.address
        self.mentions: list[Place] = []
        block = gazetteer.levels.block
        self._block_digits = range(0) if block is None else block.digits

    @cached_property
    def _sounds(self) -> list[str]:
        return [sound(word) if word.isascii() else word for word in self.folded]

    @cached_property
    def _skeletons(self) -> list[str]:
        return [skeleton(word) if word.isascii() else word for word in self.folded]

    def read_named(self, index: int) -> int:
        """Match the gazetteer's names at ``index``; return the number of words used."""
        word = self.folded[index]
        match, cut = self._latin_name(index) if word.isascii() else None, 0
        if not word.isascii():
            written = self.gazetteer.names.written
            for reading, particle in written.openings(word):
                longest = written.longest(reading, self.folded, index)
                if self._means_place(longest, reading, particle, index):
                    match, cut = longest, particle_length(word, reading)
                    break
        if match is None:
            return 0
        length, identifier = match
        self._add_named(index, index + length - 1, identifier, cut)
        return length

    def _latin_name(self, index: int) -> tuple[int, str] | None:
        names = self.gazetteer.names
        # Sounds only where this word or the next is written with digits for letters.
        is_arabizi = any(
            not word.isdigit() and any(letter.isdigit() for letter in word) for word in self.folded[index : index + 2]
        )
        spellings: list[tuple[Phrases, list[str], Callable[[str], str]]] = [(names.written, self.folded, str)]
        spellings += [(names.sounds, self._sounds, sound)] if is_arabizi else []
        spellings += [(names.skeletons, self._skeletons, skeleton)]
        for phrases, row, spelled in spellings:
            for reading in latin_readings(self.folded[index]):
                match = phrases.longest(spelled(reading), row, index)
                if self._means_place(match, reading, "", index):
                    return match
        return None

    def _means_place(self, match: tuple[int, str] | None, reading: str, particle: str, index: int) -> bool:
        if match is None or not self._joined(index, match[0]):
            return False
        return match[0] > 1 or self._is_place(reading, particle, index)

    def _add_named(self, first: int, last: int, identifier: str, cut: int) -> None:
        gazetteer, levels = self.gazetteer, self.levels
        start = self.words.after_prefix(first, cut) if cut else self.words.starts[first]
        place = gazetteer.places.get(identifier)
        strength: Strength = "strong"
        governorate: str | None = identifier
        if place is None:
            region = gazetteer.governorates[identifier]
            kind, name = levels.region.id, region.name_ar
            evidence = f"the text names {region.name_en} ({region.name_ar})"
        else:
            kind, name, governorate = levels.area.id if place.is_area else place.kind, place.name_ar, place.governorate
            strength, evidence = self._evidence(place, first)
        self.mentions.append(
            Place(
                kind=kind,
                id=identifier,
                name=name,
                start=start,
                end=self.words.ends[last],
                governorate=governorate,
                strength=strength,
                evidence=evidence,
                elsewhere=self._names_municipality(first, last) or self._is_left(first),
            )
        )

    def _evidence(self, place: NamedPlace, first: int) -> tuple[Strength, str]:
        """Return how strongly a place named at word ``first`` says where the case happened, and why."""
        names = f"{place.name_en} ({place.name_ar})"
        region = self.gazetteer.governorates.get(place.governorate or "")
        evidence = f"{names} spans {self.levels.region.id}s" if region is None else f"{names} lies in {region.name_en}"
        if place.institution and not _any_reading(
            self._neighbour(first, -1), self.address.near_words | self.address.place_words
        ):
            return "weak", (f"{evidence}, but serves the whole country: naming it does not say where the case happened")
        return "strong" if place.governorate else "none", evidence

    def read_numbered(self, index: int) -> int:
        """Read a numbered part of an address at ``index``; return the number of words used."""
        word = self.folded[index]
        if word.isdigit():
            return self._bare_block(index)
        level, number_at = self._level(word), index + 1
        doubtful = level is None
        if level is None:
            level, _ = self.levels.by_word.get(word, (None, True))
            if level is None:
                return 0
        elif number_at < len(self.folded) and self.folded[number_at] in self.address.number_words:
            number_at += 1
        if not self._is_number(number_at, index):
            return 0
        number = int(self.folded[number_at])
        if doubtful and not self._continues_address(level, index, number_at):
            return 0
        if number in level:
            self._add_number(level, index, number_at, number)
            if level == self.levels.block:
                return self._further_blocks(level, number_at) - index
        elif level.id not in self.levels.landmarks:
            return 0
        return number_at - index + 1

    def _continues_address(self, level: Level, index: int, number_at: int) -> bool:
        """Return whether an abbreviation introduces a number, as in "ط 1410 م 714" and "عالي م 732"; not "3 م 250".

        A block stands beside another part of an address or an area, or is a known one.
        """
        if self._touches(index):
            others = {self.levels.area.id, *(other.id for other in self.levels.numbered if other != level)}
            if self.mentions[-1].kind in others:
                return True
        if self._neighbour(index, -1).isdigit():
            return False
        _, strength = self.gazetteer.block_governorate(int(self.folded[number_at]))
        if strength != "none" and level == self.levels.block:
            return True
        following = self._neighbour(number_at, 1)
        opens = self._level(following) is not None and self._is_number(number_at + 2, number_at + 1)
        return opens or (bool(following) and self._is_area(number_at + 1))

    def _further_blocks(self, level: Level, number_at: int) -> int:
        """Read the rest of "بين مجمعي 224 و226" and "مجمع 701/703"; return the first unread index.

        A block is a known one, or one in the same hundred as the one before.
        """
        words, position = self.words, number_at + 1
        while position < len(self.folded):
            start = position + (self.folded[position] in ("و", "and", "w"))
            between = words.text[words.ends[position - 1] : words.starts[position]].strip()
            joined = start > position or between in ("/", "-", "–")
            if not joined or not self._is_number(start, start) or len(self.folded[start]) >= level.digits.stop:
                break
            number, before = int(self.folded[start]), int(self.folded[position - 1])
            if self.gazetteer.block_governorate(number)[1] == "none" and number // 100 != before // 100:
                break
            self._add_number(level, start, start, number)
            position = start + 1
        return position

    def _bare_block(self, index: int) -> int:
        """Read a number right after an area as its block, if the block fits that area ("عراد 243")."""
        level = self.levels.block
        if level is None or len(self.folded[index]) not in level.digits or not self._is_number(index, index):
            return 0
        area = self.mentions[-1] if self._touches(index) else None
        if area is None or area.kind != self.levels.area.id:
            return 0
        place = self.gazetteer.places.get(area.id or "")
        number = int(self.folded[index])
        governorate, _ = self.gazetteer.block_governorate(number)
        if place is None or not (
            number in (*place.blocks_seen, *place.blocks_recollected)
            or (governorate is not None and governorate == place.governorate)
        ):
            return 0
        self._add_number(level, index, index, number)
        return 1

    def _add_number(self, level: Level, first: int, last: int, number: int) -> None:
        start, end = self.words.starts[first], self.words.ends[last]
        governorate: str | None = None
        strength: Strength = "none"
        evidence = f"{level.id} {number}"
        if level == self.levels.block and level.unique_in == COUNTRY:
            governorate, strength = self.gazetteer.block_governorate(number)
            region = f"no known {self.levels.region.id}"
            if governorate:
                region = self.gazetteer.governorates[governorate].name_en
            reasons = {"strong": "was seen in sources of", "weak": "is recollected as one of", "none": "is of"}
            evidence += f" {reasons[strength]} {region}"
        self.mentions.append(
            Place(
                kind=level.id,
                name=self.words.text[start:end],
                number=number,
                start=start,
                end=end,
                governorate=governorate,
                strength=strength,
                evidence=evidence,
            )
        )

    def _neighbour(self, index: int, step: int) -> str:
        other = index + step
        if not 0 <= other < len(self.folded) or self.words.separated(min(index, other)):
            return ""
        return self.folded[other]

    def _joined(self, index: int, length: int) -> bool:
        return not any(self.words.separated(position) for position in range(index, index + length - 1))

    def _touches(self, index: int) -> bool:
        """Return whether the last place found ends with the word before ``index``."""
        return bool(self.mentions) and index > 0 and self.mentions[-1].end == self.words.ends[index - 1]

    def _level(self, word: str) -> Level | None:
        """Return the level whose numbers a word introduces; abbreviations do not count."""
        for reading, _ in readings(word):
            level, doubtful = self.levels.by_word.get(reading, (None, True))
            if not doubtful:
                return level
        return None

    def _is_number(self, position: int, opener: int) -> bool:
        if position >= len(self.folded):
            return False
        word = self.folded[position]
        if not word.isdigit() or len(word) > _LONGEST_NUMBER:
            return False
        near = self.words.starts[position] - self.words.ends[opener] <= _WIDEST_GAP
        return near and "".join(self.folded[position + 1 : position + 2]) not in self.address.counted_words

    def _is_area(self, index: int) -> bool:
        """Return whether the word at ``index`` begins an area's name: "م 743 سند"."""
        names = self.gazetteer.names.written
        for reading, particle in names.openings(self.folded[index]):
            match = names.longest(reading, self.folded, index)
            place = None if match is None else self.gazetteer.places.get(match[1])
            if match is not None and self._joined(index, match[0]) and place is not None and place.is_area:
                return self._means_place(match, reading, particle, index)
        return False

    def _is_place(self, reading: str, particle: str, index: int) -> bool:
        if self.folded[index] in self.address.never:
            return False
        homograph = self.gazetteer.homographs.get(reading)
        if homograph is None:
            return True
        before, after = self._neighbour(index, -1), self._neighbour(index, 1)
        if after.isdigit() and len(after) < min(_COUNT_DIGITS, self._block_digits.start or _COUNT_DIGITS):
            return False
        if after in homograph.not_before or (_any_reading(before, homograph.not_after) and particle != "و"):
            return False
        if before and f"{self._neighbour(index - 1, -1)} {before}" in homograph.not_after:
            return False
        if (
            self._opens_address(index + 1)
            or self._goes_on(after, reading)
            # "السالمية شارع عمان": an address begins
            or (not before and self._level(after) in self.levels.places[1:])
            or self._touches(index)
            or _any_reading(before, self.address.place_words)
            or homograph.needs == "unless_blocked"
        ):
            return True
        if homograph.needs == "place_word":
            return False
        alone = not before and not after
        return alone or particle in ("ب", "ف", "ل") or _any_reading(before, self.address.in_words)

    def _opens_address(self, index: int) -> bool:
        """Return whether an address continues at ``index``: "سار مجمع 525", "عالي م 732", "الحد 109"."""
        if index >= len(self.folded):
            return False
        word = self.folded[index]
        if word.isdigit():
            return len(word) in self._block_digits and self.gazetteer.block_governorate(int(word))[1] != "none"
        opens = self._level(word) is not None or word in self.levels.by_word
        return opens and index + 1 < len(self.folded) and self.folded[index + 1].isdigit()

    def _goes_on(self, word: str, name: str) -> bool:
        """Return whether the next word is another place ("جو وعسكر"), or one around it ("الخارجية بسترة").

        After a particle it must lie in the same region: "بوري بالرفاع" is a pipe there, not Buri.
        """
        names = self.gazetteer.names.written
        for reading, particle in names.openings(word):
            other = names.longest(reading, [], 0)
            if reading != name and other is not None:
                this = names.longest(name, [], 0)
                return particle in ("", "و") or (this is not None and self._region(this[1]) == self._region(other[1]))
        return False

    def _region(self, identifier: str) -> str | None:
        place = self.gazetteer.places.get(identifier)
        return identifier if place is None else place.governorate

    def _is_left(self, first: int) -> bool:
        """Return whether somebody moved from the place: "انتقلنا من المحرق", "moved last year from Juffair"."""
        if self._neighbour(first, -1) not in ("من", "from", "mn", "min"):
            return False
        return any(_any_reading(word, self.address.moved_words) for word in self.folded[max(0, first - 5) : first - 1])

    def _names_municipality(self, first: int, last: int) -> bool:
        """Return whether it is a municipality's name: "بلدية المحرق", "baladiyat el m7arraq", "Saar Municipality"."""
        words = self.address.municipality_words
        before = self._neighbour(first, -1)
        if before in ("el", "il", "al", "of"):
            before = self._neighbour(first - 1, -1)
        if _any_reading(before, words) or _any_reading(self.folded[first], words):
            return True
        return self.folded[last].isascii() and self._neighbour(last, 1) in words
