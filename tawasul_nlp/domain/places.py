"""Find the places that a text names, and their governorate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tawasul_nlp.domain._folding import Words, latin_readings, particle_length, readings, skeleton, sound, split_words
from tawasul_nlp.domain.gazetteer import Gazetteer, Phrases, Strength
from tawasul_nlp.errors import checked_text

_AREA_KINDS = frozenset({"city", "town", "village", "area", "quarter", "housing_project", "development", "island"})


@dataclass(frozen=True, slots=True)
class Place:
    """One mention of a place.

    Attributes
    ----------
    kind
        ``block``, ``road``, ``house``, ``flat``, ``roundabout``, ``area``, ``landmark``, ``street`` or ``governorate``.
    id
        Id of the gazetteer's entry; None for numbered parts of an address.
    name
        Arabic name of the entry, or the part as written.
    number
        The number of a block, road, house, flat or roundabout.
    start, end
        The mention's slice of the original text, in characters.
    governorate
        Id of the governorate that this mention points to, if any.
    strength
        ``strong``, ``weak`` (an unconfirmed block range, a nationwide institution) or ``none``.
    evidence
        One sentence that says why.
    """

    kind: str
    id: str | None
    name: str
    number: int | None
    start: int
    end: int
    governorate: str | None
    strength: Strength
    evidence: str


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one text.

    Attributes
    ----------
    mentions
        In the order of the text.
    governorate
        Id of the governorate that the text points to; None without strong evidence, or with equal evidence for two.
    evidence
        Sentences of evidence for the governorate and against it.
    block
        Number of the first block, preferably in that governorate.
    area
        Id of the first town, village or quarter, preferably in that governorate.
    """

    mentions: tuple[Place, ...] = ()
    governorate: str | None = None
    evidence: tuple[str, ...] = ()
    block: int | None = None
    area: str | None = None

    def __bool__(self) -> bool:
        return bool(self.mentions)


def find_places(text: str, gazetteer: Gazetteer | None = None) -> Places:
    """Find blocks, roads, houses, areas, streets and landmarks in a text, and its governorate.

    Parameters
    ----------
    text
        The original text; spans refer to it.
    gazetteer
        The places to search for; None is the bundled gazetteer of Bahrain.

    Returns
    -------
    Places
        Time and memory are linear in the length of the text.

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
    text = checked_text(text)
    gazetteer = gazetteer or Gazetteer.load()
    scan = _Scan(split_words(text), gazetteer)
    return _summarise(scan.mentions(), gazetteer, scan.elsewhere)


class _Scan:
    """One pass over the words of a text."""

    def __init__(self, words: Words, gazetteer: Gazetteer) -> None:
        self.words = words
        self.folded = words.folded
        self.gazetteer = gazetteer
        self.address = gazetteer.address
        # Starts of the mentions that may not be the place of the case: they name a municipality ("بلدية المحرق") or a
        # place that somebody left ("انتقلت من المحرق إلى سترة").
        self.elsewhere: set[int] = set()

    @cached_property
    def sounds(self) -> list[str]:
        """The words, Latin ones by their sound."""
        return [sound(word) if word.isascii() else word for word in self.folded]

    @cached_property
    def skeletons(self) -> list[str]:
        """The words, Latin ones by the consonants of their sound."""
        return [skeleton(word) if word.isascii() else word for word in self.folded]

    def mentions(self) -> tuple[Place, ...]:
        found: list[Place] = []
        openers = self.gazetteer.openers
        unread = 0
        for index, word in enumerate(self.folded):
            names, numbered = openers[word]
            if (names or numbered) and index >= unread:
                step = (names and self._named(index, found)) or (numbered and self._numbered(index, found))
                unread = index + step
        return tuple(found)

    # -- numbered parts of an address ------------------------------------------------------------------------------

    def _numbered(self, index: int, found: list[Place]) -> int:
        """Read "مجمع 714", "طريق رقم 1425", "البسيتين 227"; return the number of words used."""
        word = self.folded[index]
        if word.isdigit():
            return self._bare_block(index, found)
        part = self._part(word)
        number_at = index + 1
        if part is None:
            if word not in self.address.block_abbreviations:
                return 0
            part = "block?"
        elif number_at < len(self.folded) and self.folded[number_at] in self.address.number_words:
            number_at += 1
        if not self._is_number(number_at, index):
            return 0
        number = int(self.folded[number_at])
        if part in ("block", "block?"):
            governorate, strength = self.gazetteer.block_governorate(number)
            if not 100 <= number <= 1299 or (
                part == "block?" and not self._is_block(index, number_at, strength, found)
            ):
                return 0
            self._add_block(found, index, number_at, number)
            return self._further_blocks(number_at, found) - index
        if part == "roundabout":
            self._add_roundabout(found, index, number_at, number)
        else:
            self._add(found, part, index, number_at, number)
        return number_at - index + 1

    def _is_block(self, index: int, number_at: int, strength: Strength, found: list[Place]) -> bool:
        """Return whether م is a block, as in "ط 1410 م 714" and "عالي م 732", not metres, as in "3 م 250".

        A block stands beside another part of an address or an area, or is a known one.
        """
        goes_on = bool(found) and index > 0 and found[-1].end == self.words.ends[index - 1]
        if goes_on and found[-1].kind in ("road", "house", "flat", "area"):
            return True
        if self._neighbour(index, -1).isdigit():
            return False
        following = self._neighbour(number_at, 1)
        opens = self._part(following) is not None and self._is_number(number_at + 2, number_at + 1)
        return strength != "none" or opens or (bool(following) and self._is_area(number_at + 1, found))

    def _is_area(self, index: int, found: list[Place]) -> bool:
        """Return whether the word at ``index`` begins an area's name: "م 743 سند"."""
        for reading, particle in readings(self.folded[index]):
            match = self.gazetteer.names.longest(reading, self.folded, index)
            if match is not None and self._joined(index, match[0]):
                place = self.gazetteer.places.get(match[1])
                if place is not None and place.kind in _AREA_KINDS:
                    return match[0] > 1 or self._is_place(reading, particle, index, found)
        return False

    def _part(self, word: str) -> str | None:
        for reading, _ in readings(word):
            part = self.address.parts.get(reading)
            if part is not None:
                return part
        return None

    def _is_number(self, position: int, opener: int) -> bool:
        if position >= len(self.folded):
            return False
        word = self.folded[position]
        if not word.isdigit() or len(word) > 5:
            return False
        if self.words.starts[position] - self.words.ends[opener] > 12:
            return False
        following = self.folded[position + 1] if position + 1 < len(self.folded) else ""
        return following not in self.address.counted_words

    def _further_blocks(self, number_at: int, found: list[Place]) -> int:
        """Read the rest of "بين مجمعي 224 و226" and "مجمع 701/703"; return the first unread index.

        A block is a known one, or one in the same hundred as the one before.
        """
        position = number_at + 1
        while position < len(self.folded):
            start = position + (self.folded[position] in ("و", "and", "w"))
            between = self.words.text[self.words.ends[position - 1] : self.words.starts[position]].strip()
            joined = start > position or between in ("/", "-", "–")
            if not joined or not self._is_number(start, start) or len(self.folded[start]) > 4:
                break
            number, before = int(self.folded[start]), int(self.folded[position - 1])
            if self.gazetteer.block_governorate(number)[1] == "none" and number // 100 != before // 100:
                break
            self._add_block(found, start, start, number)
            position = start + 1
        return position

    def _bare_block(self, index: int, found: list[Place]) -> int:
        """Read a number right after an area as its block, if the block fits that area ("عراد 243")."""
        word = self.folded[index]
        if not found or len(word) not in (3, 4) or not self._is_number(index, index):
            return 0
        area = found[-1]
        if area.kind != "area" or index == 0 or area.end != self.words.ends[index - 1] or area.id is None:
            return 0
        place = self.gazetteer.places.get(area.id)
        number = int(word)
        governorate, strength = self.gazetteer.block_governorate(number)
        fits = place is not None and (
            number in place.blocks_seen or number in place.blocks_recollected or governorate == place.governorate
        )
        if not fits or strength == "none":
            return 0
        self._add_block(found, index, index, number)
        return 1

    def _add_block(self, found: list[Place], first: int, last: int, number: int) -> None:
        governorate, strength = self.gazetteer.block_governorate(number)
        name = self.gazetteer.governorates[governorate].name_en if governorate else "no known governorate"
        how = {
            "strong": f"block {number} was seen in sources of {name}",
            "weak": f"block {number} lies in a recollected range of {name}",
            "none": f"block {number} is of {name}",
        }[strength]
        self._add(found, "block", first, last, number, governorate=governorate, strength=strength, evidence=how)

    def _add_roundabout(self, found: list[Place], first: int, last: int, number: int) -> None:
        """Read a roundabout of Hamad Town, whose numbers are part of its addresses."""
        if 1 <= number <= 22:
            self._add(found, "roundabout", first, last, number)

    def _add(
        self,
        found: list[Place],
        kind: str,
        first: int,
        last: int,
        number: int,
        *,
        governorate: str | None = None,
        strength: Strength = "none",
        evidence: str = "",
    ) -> None:
        start, end = self.words.starts[first], self.words.ends[last]
        written = self.words.text[start:end]
        found.append(
            Place(kind, None, written, number, start, end, governorate, strength, evidence or f"{kind} {number}")
        )

    # -- names ------------------------------------------------------------------------------------------------------

    def _named(self, index: int, found: list[Place]) -> int:
        """Match the gazetteer's names at ``index``; return the number of words used."""
        word = self.folded[index]
        if word.isascii():
            match = self._latin(index, found)
            if match is None:
                return 0
            length, identifier = match
            particle, cut = "", 0
        else:
            for reading, particle in readings(word):
                match = self.gazetteer.names.longest(reading, self.folded, index)
                if match is not None and self._joined(index, match[0]):
                    length, identifier = match
                    if length > 1 or self._is_place(reading, particle, index, found):
                        cut = particle_length(word, reading)
                        break
            else:
                return 0
        self._add_name(found, index, index + length - 1, identifier, cut)
        return length

    def _latin(self, index: int, found: list[Place]) -> tuple[int, str] | None:
        word = self.folded[index]
        spellings: tuple[tuple[Phrases, list[str], Callable[[str], str], bool], ...] = (
            (self.gazetteer.names, self.folded, str, True),
            (self.gazetteer.sounds, self.sounds, sound, self._is_arabizi(index)),
            (self.gazetteer.skeletons, self.skeletons, skeleton, True),
        )
        for phrases, row, spelled, applies in spellings:
            if not applies:
                continue
            for reading in latin_readings(word):
                match = phrases.longest(spelled(reading), row, index)
                if match is None or not self._joined(index, match[0]):
                    continue
                if match[0] > 1 or self._is_place(reading, "", index, found):
                    return match
        return None

    def _is_arabizi(self, index: int) -> bool:
        """Return whether this word or the next is written with digits for letters."""
        return any(
            not word.isdigit() and any(letter.isdigit() for letter in word) for word in self.folded[index : index + 2]
        )

    def _joined(self, index: int, length: int) -> bool:
        return not any(self.words.separated(position) for position in range(index, index + length - 1))

    def _is_place(self, reading: str, particle: str, index: int, found: list[Place]) -> bool:
        """Return whether a name that is also a common word is the place here."""
        if self.folded[index] in self.address.never:
            return False
        homograph = self.gazetteer.homographs.get(reading)
        if homograph is None:
            return True
        before = self._neighbour(index, -1)
        after = self._neighbour(index, 1)
        if after.isdigit() and len(after) < 3:  # الدور 17: a floor, not the village
            return False
        if after in homograph.not_before or (self._any_reading(before, homograph.not_after) and particle != "و"):
            return False
        if before and f"{self._neighbour(index - 1, -1)} {before}" in homograph.not_after:
            return False
        if self._opens_address(index + 1) or self._goes_on(after, reading):
            return True
        if found and index and found[-1].end == self.words.ends[index - 1]:
            return True
        if self._any_reading(before, self.address.place_words) or homograph.needs == "unless_blocked":
            return True
        if homograph.needs == "place_word":
            return False
        alone = not before and not after
        return alone or particle in ("ب", "ف", "ل") or self._any_reading(before, self.address.in_words)

    def _neighbour(self, index: int, step: int) -> str:
        """Return the word before or after ``index`` in the same phrase, or an empty string."""
        other = index + step
        if not 0 <= other < len(self.folded) or self.words.separated(min(index, other)):
            return ""
        return self.folded[other]

    def _opens_address(self, index: int) -> bool:
        """Return whether an address continues at ``index``: "سار مجمع 525", "عالي م 732", "الحد 109"."""
        if index >= len(self.folded):
            return False
        word = self.folded[index]
        if word.isdigit():
            return len(word) in (3, 4) and self.gazetteer.block_governorate(int(word))[1] != "none"
        opens = self._part(word) is not None or word in self.address.block_abbreviations
        return opens and index + 1 < len(self.folded) and self.folded[index + 1].isdigit()

    def _goes_on(self, word: str, name: str) -> bool:
        """Return whether the next word is another place ("جو وعسكر"), or one around it ("الخارجية بسترة").

        After a particle it must lie in the same governorate: "بوري بالرفاع" is a pipe there, not Buri.
        """
        for reading, particle in readings(word):
            other = self.gazetteer.names.longest(reading, [], 0)
            if reading != name and other is not None:
                own = self.gazetteer.names.longest(name, [], 0)
                return particle in ("", "و") or (own is not None and self._lies_in(own[1]) == self._lies_in(other[1]))
        return False

    def _lies_in(self, identifier: str) -> str | None:
        place = self.gazetteer.places.get(identifier)
        return identifier if place is None else place.governorate

    @staticmethod
    def _any_reading(word: str, wanted: frozenset[str]) -> bool:
        return any(reading in wanted for reading, _ in readings(word))

    def _add_name(self, found: list[Place], first: int, last: int, identifier: str, cut: int) -> None:
        place = self.gazetteer.places.get(identifier)
        start = self.words.after_prefix(first, cut) if cut else self.words.starts[first]
        end = self.words.ends[last]
        if self._names_municipality(first, last) or self._is_left(first):
            self.elsewhere.add(start)
        if place is None:
            governorate = self.gazetteer.governorates[identifier]
            evidence = f"the text names {governorate.name_en} ({governorate.name_ar})"
            found.append(
                Place("governorate", identifier, governorate.name_ar, None, start, end, identifier, "strong", evidence)
            )
            return
        kind = "area" if place.kind in _AREA_KINDS else place.kind
        where = self.gazetteer.governorates[place.governorate].name_en if place.governorate else None
        evidence = f"{place.name_en} ({place.name_ar}) " + (f"lies in {where}" if where else "spans governorates")
        strength: Strength = "strong" if place.governorate else "none"
        if place.institution:
            before = self._neighbour(first, -1)
            if not self._any_reading(before, self.address.near_words | self.address.place_words):
                strength = "weak"
                evidence += ", but serves the whole country: naming it does not say where the case happened"
        found.append(Place(kind, identifier, place.name_ar, None, start, end, place.governorate, strength, evidence))

    def _is_left(self, first: int) -> bool:
        """Return whether somebody moved from the place: "انتقلنا من المحرق", "moved last year from Juffair"."""
        if self._neighbour(first, -1) not in ("من", "from", "mn", "min"):
            return False
        before = self.folded[max(0, first - 5) : first - 1]
        return any(self._any_reading(word, self.address.moved_words) for word in before)

    def _names_municipality(self, first: int, last: int) -> bool:
        """Return whether it is a municipality's name: "بلدية المحرق", "baladiyat el m7arraq", "Saar Municipality"."""
        words = self.address.municipality_words
        before = self._neighbour(first, -1)
        if before in ("el", "il", "al", "of"):
            before = self._neighbour(first - 1, -1)
        if self._any_reading(before, words) or self._any_reading(self.folded[first], words):
            return True
        return self.folded[last].isascii() and self._neighbour(last, 1) in words


def _summarise(mentions: tuple[Place, ...], gazetteer: Gazetteer, elsewhere: set[int]) -> Places:
    """Weigh the mentions: a block before an area, an area before a place that people from everywhere visit.

    A municipality's name comes last, since a case often describes calls to one that serves another place. So does a
    place that somebody moved from.

    Where mentions of equal weight point to two governorates (a road from Sitra to Khalifa Town), the text is ambiguous:
    the first one named was wrong in 26 of 62 such training cases.
    """
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
    block = _first(mentions, "block", chosen, elsewhere)
    area = _first(mentions, "area", chosen, elsewhere)
    return Places(
        mentions,
        chosen,
        tuple(dict.fromkeys(evidence)),
        block.number if block is not None else None,
        area.id if area is not None else None,
    )


def _first(mentions: tuple[Place, ...], kind: str, governorate: str | None, elsewhere: set[int]) -> Place | None:
    """Return the first mention of a kind, preferably in the chosen governorate."""
    of_kind = [mention for mention in mentions if mention.kind == kind]
    return min(of_kind, key=lambda found: (found.governorate != governorate, found.start in elsewhere), default=None)


def _rank(mention: Place, gazetteer: Gazetteer) -> int:
    if mention.kind == "block":
        return 0
    place = gazetteer.places.get(mention.id or "")
    return 2 if place is not None and place.light else 1
