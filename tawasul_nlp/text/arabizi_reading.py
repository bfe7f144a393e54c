"""Read an Arabizi word as one of the Arabic words that citizens write.

Latin letters give the consonants and few of the vowels: ``shabab`` may be شبب or شباب. Among the spellings that fit,
the choice follows ``arabic_words.txt``, the most frequent words of the training texts by rank. Words are looked up by
their consonants; letters that Arabizi confuses (ت and ط, س and ص) count as one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import product
from math import log

ARABIC_WORDS = "arabic_words.txt"


def data_lines(name: str) -> list[str]:
    """Read a data file of this package without its comments."""
    text = files("tawasul_nlp.text").joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


#: The Arabic letters that a Latin letter or group may stand for, the likeliest first.
CONSONANTS = dict(line.split("\t") for line in data_lines("arabizi_letters.txt"))
# The spellings of vowels, in the order in which they are tried. A short one may be left out.
_LONG = {
    **dict.fromkeys(("aa",), ("ا", "آ", "أ")),
    **dict.fromkeys(("ee", "ii", "ie", "ei", "ey", "ay", "ai"), ("أي", "اي", "ي", "ئ", "ى")),
    **dict.fromkeys(("oo", "uu", "ou", "au", "ow"), ("أو", "او", "و", "ؤ")),
    "y": ("ي", "ئ"),
    "w": ("و", "ؤ"),
    "2": ("ء", "أ", "إ", "ؤ", "ئ", "ا", "آ", "ق"),
}
_SHORT = {
    "a": ("ا", "أ", "آ", ""),
    "e": ("ي", "ا", "أ", "إ", ""),
    "i": ("ي", "ا", "أ", "إ", ""),
    "o": ("و", "ؤ", ""),
    "u": ("و", "ؤ", ""),
}
_FIRST = {
    **dict.fromkeys("aei", ("ا", "أ", "إ", "آ", "ع")),
    **dict.fromkeys("ou", ("ا", "أ", "إ", "آ", "و")),
}
# At the end of a word a vowel is nearly always written.
_FINAL = {
    "a": ("ا", "ة", "ه", "ى", "اء"),
    "e": ("ة", "ه", "ي"),
    "i": ("ي",),
    "o": ("وا", "و", "ه"),
    "u": ("وا", "و"),
}
_TOKEN = re.compile(
    "|".join(map(re.escape, sorted({*CONSONANTS, *_LONG, *_SHORT}, key=len, reverse=True))) + "|(?P<other>.)"
)
# Letters that are or may be vowels are left out of a word's key; among the others, those that one Latin letter can
# stand for count as one.
_KEY_TABLE = str.maketrans("ثذظضزطصكجغگچپڤ", "دددددتسقققققبف", "اوىيءأإآئؤةهح")
_DOUBLED = re.compile(r"(.)\1+")
# Reading a short vowel as a long letter costs as much as being e times rarer; less before a last open syllable
# (3omala, zbala). In an active participle (share3, lazem, 6afi) the first vowel is long.
_LENGTHENED = 1.0
_LENGTHENED_BEFORE_LAST = 0.3
_CONSTRUCT = 1.5  # a final t that is a ta marbuta
_NO_PARTICIPLE = 2.5
_CONSONANT = r"(?:sh|kh|gh|th|dh|ch|[^aeiou'])"
_PARTICIPLE = re.compile(rf"{_CONSONANT}a{_CONSONANT}(?:[ei]{_CONSONANT}(?:a|een|oon)?|i)")
_OPEN_END = re.compile(rf"a(?:{_CONSONANT}(?:a|ah)|t)$")
_NO_WORD = re.compile("[aeiou]{4}")  # and a pattern with many optional letters would be slow
_SUFFIXES = {"na": "نا", "ha": "ها", "hom": "هم", "hum": "هم", "kom": "كم", "kum": "كم", "ni": "ني"}
_PARTICLES = {"w": "و", "b": "ب", "f": "ف", "l": "ل"}


def _key(arabic: str) -> str:
    return _DOUBLED.sub(r"\1", arabic.translate(_KEY_TABLE))


@lru_cache(maxsize=1)
def _words_by_key() -> dict[str, list[tuple[float, str]]]:
    index: dict[str, list[tuple[float, str]]] = {}
    for rank, word in enumerate(data_lines(ARABIC_WORDS), 1):
        index.setdefault(_key(word), []).append((log(rank), word))
    return index


@lru_cache(maxsize=1 << 14)
def read_arabizi(word: str) -> str | None:
    """Return the likeliest known Arabic word for a lower-case Arabizi word without article.

    None if no known word fits, even with a pronoun after it or a particle before it.
    """
    word = word.replace("’", "'")
    if _NO_WORD.search(word):
        return None
    whole = _likeliest(word)
    if whole is not None:
        return whole
    for suffix, pronoun in _SUFFIXES.items():
        stem = _likeliest(word.removesuffix(suffix)) if word.endswith(suffix) and len(word) - len(suffix) > 2 else None
        if stem is not None:
            return (stem[:-1] + "ت" if stem.endswith("ة") else stem) + pronoun
    stem = _likeliest(word[1:]) if word[:1] in _PARTICLES and len(word) > 4 else None
    return None if stem is None else _PARTICLES[word[0]] + stem


def _likeliest(word: str) -> str | None:
    letters: list[tuple[str, ...]] = []
    key: list[str] = []
    before = ""
    for match in _TOKEN.finditer(word):
        token, last = match.group(), match.end() == len(word)
        if match.group("other") is not None:
            if token != "'":
                return None
        elif token in CONSONANTS:
            either = tuple(CONSONANTS[token])
            # A doubled letter is a shadda, which is not written, or two letters.
            if token == before:
                letters[-1] = (*map("".join, product(either, repeat=2)), *either)
            else:
                letters.append(either)
                key.append(either[0])
        elif token in _LONG:
            letters.append(_LONG[token])
        else:
            letters.append((_FIRST if not letters else _FINAL if last else _SHORT)[token])
        before = token
    # A final t may be a ta marbuta, which keys leave out.
    keys = {_key("".join(key))} | ({_key("".join(key[:-1]))} if word.endswith("at") else set())
    candidates = [entry for spelling in keys for entry in _words_by_key().get(spelling, ())] if key else []
    participle = _PARTICIPLE.fullmatch(word) is not None
    open_end = _OPEN_END.search(word) is not None
    best, least = None, 0.0
    for rarity, arabic in candidates:
        lengthened = _lengthened(letters, arabic)
        if lengthened is None:
            continue
        costs = [_LENGTHENED * long for long in lengthened]
        if open_end and costs:
            costs[-1] *= _LENGTHENED_BEFORE_LAST
        if participle and costs:
            costs[0] = 0.0 if costs[0] else _NO_PARTICIPLE
        cost = rarity + sum(costs) + _CONSTRUCT * (arabic[-1] == "ة" and word[-1] == "t")
        if best is None or cost < least:
            best, least = arabic, cost
    return best


def _lengthened(letters: Sequence[tuple[str, ...]], arabic: str) -> list[bool] | None:
    """Return which of the short vowels an Arabic word writes as letters; None if it is not spelled like this."""
    if not letters:
        return None if arabic else []
    first, rest = letters[0], letters[1:]
    for spelling in first:
        if arabic.startswith(spelling):
            lengthened = _lengthened(rest, arabic[len(spelling) :])
            if lengthened is not None:
                return [spelling != "", *lengthened] if "" in first else lengthened
    return None
