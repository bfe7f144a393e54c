"""Words of a text, folded for lexicon look-up, with offsets into the original.

The fold is aggressive on purpose (alef, hamza, ya, ta marbuta and dialect letters collapse), because citizens write one
name in many ways; it works word by word, so a span in the original needs no offset table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tawasul_nlp.text.rewrites import code_points

MAX_WORD: Final = 40
"""The longest word of a lexicon entry; a longer one becomes a placeholder, so hostile input stays linear."""

_INVISIBLE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_MARKS: Final = code_points("610-61a 64b-65f 670 6d6-6ed")
_TABLE: Final = str.maketrans(
    {
        **dict(zip("أإآٱىیئؤةۀہەکگڨچڤپ", "اااايييوههههكققجفب", strict=True)),
        **dict.fromkeys(_INVISIBLE + _MARKS + "'’`´ءـ", ""),
        **{chr(zero + digit): str(digit) for zero in (0x0660, 0x06F0) for digit in range(10)},
    }
)
_ELONGATION: Final = re.compile(r"(\D)\1{2,}")

# One alternative per kind of word. A Latin word may carry the digits that Arabizi uses as letters ("mu7arraq", "7ad");
# an address word joined to its number ("blk714") is split before the number.
_WORD: Final = re.compile(
    r"(?:block|blk|road|rd|house|bldg|villa|flat)(?=\d)"
    r"|[A-Za-z\u00c0-\u024f][A-Za-z0-9\u00c0-\u024f'’`]*"
    r"|[0-9](?=[A-Za-z])[A-Za-z0-9'’`]*"
    r"|[0-9\u0660-\u0669\u06f0-\u06f9]+"
    rf"|[\u0621-\u063a\u0641-\u064a\u0671-\u06d3\ufb50-\ufdfb\ufe70-\ufefc]"
    rf"[\u0621-\u063a\u0640-\u065f\u0670-\u06d3\u06d6-\u06ed\ufb50-\ufdfb\ufe70-\ufefc{_INVISIBLE}]*",
    re.IGNORECASE,
)
_PHRASE_END: Final = re.compile(r"[\n\r.!?؟؛;،,:()\[\]{}«»\"/|]")
SENTENCE_END: Final = re.compile(r"[\n\r.!?؟]")


# Texts repeat words, so the folds of this many are cached (some megabytes).
REMEMBERED: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class Words:
    """The folded words of a text; ``starts[i]:ends[i]`` is the slice of the original that holds word ``i``."""

    text: str = field(repr=False)
    folded: list[str] = field(repr=False)
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.folded)

    def separated(self, left: int, marks: re.Pattern[str] = _PHRASE_END) -> bool:
        """Return whether a mark (by default any punctuation) or a wide gap separates word ``left`` from the next."""
        gap_start, gap_end = self.ends[left], self.starts[left + 1]
        if gap_end - gap_start <= 1 and self.text[gap_start:gap_end] in ("", " ", ".", "-"):
            return False
        if self.text[gap_start:gap_end].strip() in ("-", "–", "—"):
            return True
        return gap_end - gap_start > 4 or marks.search(self.text, gap_start, gap_end) is not None

    def after_prefix(self, index: int, letters: int) -> int:
        """Return the offset in the original after the first ``letters`` folded letters of word ``index``."""
        position = self.starts[index]
        end = self.ends[index]
        while letters > 0 and position < end:
            letters -= len(fold_word(self.text[position]))
            position += 1
        return position


@lru_cache(REMEMBERED)
def fold_word(word: str) -> str:
    """Fold one word: compatibility forms, marks, digits, letter variants, elongation, case."""
    if len(word) > MAX_WORD:
        return "\0"
    if not word.isascii():
        if not unicodedata.is_normalized("NFKC", word):
            word = unicodedata.normalize("NFKC", word)
        word = word.translate(_TABLE)
    else:
        word = word.replace("'", "").replace("`", "").lower()
    return (_ELONGATION.sub(r"\1", word) if len(word) > 3 else word).lower()


@lru_cache(1)  # the searches for places and for agencies read the same text in turn
def split_words(text: str) -> Words:
    """Split a text into folded words, in one pass; the result is cached and must not be changed."""
    matches = list(_WORD.finditer(text))
    return Words(
        text,
        [fold_word(match[0]) for match in matches],
        [match.start() for match in matches],
        [match.end() for match in matches],
    )


def fold_phrase(phrase: str) -> tuple[str, ...]:
    """Fold a name of the lexicon into the words of a text."""
    return tuple(split_words(phrase).folded)


@lru_cache(REMEMBERED)
def readings(word: str) -> tuple[tuple[str, str], ...]:
    """Return a folded word, then the words that remain without an attached particle, each with that particle."""
    return tuple(_readings(word))


def _readings(word: str) -> Iterator[tuple[str, str]]:
    yield word, ""
    if len(word) < 3:
        return
    first = word[0]
    if first in "وفبلك":
        yield word[1:], first
        if word.startswith("لل"):
            yield "ا" + word[1:], "ل"
        elif first == "و" and word[1] in "فبلك":
            yield word[2:], word[1]
            if word.startswith("ولل"):
                yield "ا" + word[2:], "ل"
        if first in "بف" and word[1] == "ل" and len(word) > 4:  # بلمحرق for بالمحرق
            yield "ا" + word[1:], first
    if first in "عمه" and word.startswith("ال", 1):  # عالمحرق، مالمحرق، هالحد
        yield word[1:], first
    elif word.startswith("يا") and len(word) > 5:  # يابلدية for يا بلدية
        yield word[2:], "يا"
    elif first == "ل" and word[1] != "ل" and len(word) > 4:  # لمحرق for المحرق
        yield "ا" + word, ""


def particle_length(word: str, reading: str) -> int:
    """Count the letters of a word that precede the name in one of its readings."""
    restored = not word.endswith(reading)  # the alef of the article, which "للرفاع" drops
    return max(0, len(word) - len(reading) + restored)


_ARABIZI_LETTERS: Final = str.maketrans("75968q", "hkstgg", "234")
_LATIN_ARTICLE: Final = re.compile(r"(?:[bflmw]|be|bi|fe|fi|le|li)?[aei]l")
_DOUBLED: Final = re.compile(r"(.)\1+")


def latin_readings(word: str) -> Iterator[str]:
    """Yield a Latin word, then what follows its attached Arabic article ("elmuharraq", "bil7ad")."""
    yield word
    article = _LATIN_ARTICLE.match(word)
    if article and len(word) - article.end() >= 3:
        yield word[article.end() :]


@lru_cache(REMEMBERED)
def sound(word: str) -> str:
    """Spell a Latin word by its rough sound, so Arabizi spellings of one name match."""
    word = word.replace("kh", "k").replace("gh", "g").replace("sh", "$").replace("ch", "$").translate(_ARABIZI_LETTERS)
    word = word.replace("ee", "i").replace("oo", "u").replace("ou", "u").replace("e", "i").replace("o", "u")
    word = _DOUBLED.sub(r"\1", word)
    return word[:-1] if len(word) > 3 and word.endswith("h") else word


@lru_cache(REMEMBERED)
def skeleton(word: str) -> str:
    """Reduce a Latin word to the consonants of its sound."""
    return _DOUBLED.sub(r"\1", "".join(letter for letter in sound(word) if letter not in "aiuw"))
