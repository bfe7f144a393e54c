"""The words around a place in one text, and whether a name that is also a common word is the place there."""

from __future__ import annotations

from functools import cached_property

from tawasul_nlp.domain.places.gazetteer import Gazetteer, Place
from tawasul_nlp.domain.places.levels import Level
from tawasul_nlp.domain.words import Words, readings, skeleton, sound

_LONGEST_NUMBER = 5
_WIDEST_GAP = 12
# A number with fewer digits after a homograph is a floor or a count ("الدور 17"), unless blocks have so few.
_COUNT_DIGITS = 3


class Context:
    """The folded words of a text, what is around each of them, and the places found so far."""

    def __init__(self, words: Words, gazetteer: Gazetteer) -> None:
        self.words = words
        self.folded = words.folded
        self.gazetteer = gazetteer
        self.levels = gazetteer.levels
        self.address = gazetteer.address
        self.mentions: list[Place] = []
        # Starts of the mentions that may not be the place of the case: they name a municipality ("بلدية المحرق") or a
        # place that somebody left ("انتقلت من المحرق إلى سترة").
        self.elsewhere: set[int] = set()
        block = gazetteer.levels.block
        self._block_digits = range(0) if block is None else block.digits

    @cached_property
    def sounds(self) -> list[str]:
        """The words, Latin ones by their sound."""
        return [sound(word) if word.isascii() else word for word in self.folded]

    @cached_property
    def skeletons(self) -> list[str]:
        """The words, Latin ones by the consonants of their sound."""
        return [skeleton(word) if word.isascii() else word for word in self.folded]

    def neighbour(self, index: int, step: int) -> str:
        """Return the word before or after ``index`` in the same phrase, or an empty string."""
        other = index + step
        if not 0 <= other < len(self.folded) or self.words.separated(min(index, other)):
            return ""
        return self.folded[other]

    def joined(self, index: int, length: int) -> bool:
        """Return whether no sign separates ``length`` words."""
        return not any(self.words.separated(position) for position in range(index, index + length - 1))

    def touches(self, index: int) -> bool:
        """Return whether the last place found ends with the word before ``index``."""
        return bool(self.mentions) and index > 0 and self.mentions[-1].end == self.words.ends[index - 1]

    def level(self, word: str) -> Level | None:
        """Return the level whose numbers a word introduces; abbreviations do not count."""
        for reading, _ in readings(word):
            level, doubtful = self.levels.by_word.get(reading, (None, True))
            if not doubtful:
                return level
        return None

    def is_number(self, position: int, opener: int) -> bool:
        """Return whether the word at ``position`` is a number that word ``opener`` may introduce."""
        if position >= len(self.folded):
            return False
        word = self.folded[position]
        if not word.isdigit() or len(word) > _LONGEST_NUMBER:
            return False
        if self.words.starts[position] - self.words.ends[opener] > _WIDEST_GAP:
            return False
        following = self.folded[position + 1] if position + 1 < len(self.folded) else ""
        return following not in self.address.counted_words

    def is_known_block(self, word: str) -> bool:
        """Return whether a number is a block whose region is known."""
        return len(word) in self._block_digits and self.gazetteer.block_governorate(int(word))[1] != "none"

    def is_area(self, index: int) -> bool:
        """Return whether the word at ``index`` begins an area's name: "م 743 سند"."""
        names = self.gazetteer.names.written
        for reading, particle in names.openings[self.folded[index]]:
            match = names.longest(reading, self.folded, index)
            if match is not None and self.joined(index, match[0]):
                place = self.gazetteer.places.get(match[1])
                if place is not None and place.is_area:
                    return match[0] > 1 or self.is_place(reading, particle, index)
        return False

    def is_place(self, reading: str, particle: str, index: int) -> bool:
        """Return whether a name that is also a common word is the place here."""
        if self.folded[index] in self.address.never:
            return False
        homograph = self.gazetteer.homographs.get(reading)
        if homograph is None:
            return True
        before = self.neighbour(index, -1)
        after = self.neighbour(index, 1)
        if after.isdigit() and len(after) < min(_COUNT_DIGITS, self._block_digits.start or _COUNT_DIGITS):
            return False
        if after in homograph.not_before or (self.any_reading(before, homograph.not_after) and particle != "و"):
            return False
        if before and f"{self.neighbour(index - 1, -1)} {before}" in homograph.not_after:
            return False
        if self._opens_address(index + 1) or self._goes_on(after, reading):
            return True
        if not before and self.level(after) in self.levels.places[1:]:  # "السالمية شارع عمان": an address begins
            return True
        if self.touches(index):
            return True
        if self.any_reading(before, self.address.place_words) or homograph.needs == "unless_blocked":
            return True
        if homograph.needs == "place_word":
            return False
        alone = not before and not after
        return alone or particle in ("ب", "ف", "ل") or self.any_reading(before, self.address.in_words)

    def _opens_address(self, index: int) -> bool:
        """Return whether an address continues at ``index``: "سار مجمع 525", "عالي م 732", "الحد 109"."""
        if index >= len(self.folded):
            return False
        word = self.folded[index]
        if word.isdigit():
            return self.is_known_block(word)
        opens = self.level(word) is not None or word in self.levels.by_word
        return opens and index + 1 < len(self.folded) and self.folded[index + 1].isdigit()

    def _goes_on(self, word: str, name: str) -> bool:
        """Return whether the next word is another place ("جو وعسكر"), or one around it ("الخارجية بسترة").

        After a particle it must lie in the same region: "بوري بالرفاع" is a pipe there, not Buri.
        """
        names = self.gazetteer.names.written
        for reading, particle in names.openings[word]:
            other = names.longest(reading, [], 0)
            if reading != name and other is not None:
                this = names.longest(name, [], 0)
                return particle in ("", "و") or (this is not None and self._lies_in(this[1]) == self._lies_in(other[1]))
        return False

    def _lies_in(self, identifier: str) -> str | None:
        place = self.gazetteer.places.get(identifier)
        return identifier if place is None else place.governorate

    @staticmethod
    def any_reading(word: str, words: frozenset[str]) -> bool:
        """Return whether a word, or what remains of it without a particle, is among others."""
        return any(reading in words for reading, _ in readings(word))

    def is_left(self, first: int) -> bool:
        """Return whether somebody moved from the place: "انتقلنا من المحرق", "moved last year from Juffair"."""
        if self.neighbour(first, -1) not in ("من", "from", "mn", "min"):
            return False
        before = self.folded[max(0, first - 5) : first - 1]
        return any(self.any_reading(word, self.address.moved_words) for word in before)

    def names_municipality(self, first: int, last: int) -> bool:
        """Return whether it is a municipality's name: "بلدية المحرق", "baladiyat el m7arraq", "Saar Municipality"."""
        words = self.address.municipality_words
        before = self.neighbour(first, -1)
        if before in ("el", "il", "al", "of"):
            before = self.neighbour(first - 1, -1)
        if self.any_reading(before, words) or self.any_reading(self.folded[first], words):
            return True
        return self.folded[last].isascii() and self.neighbour(last, 1) in words
