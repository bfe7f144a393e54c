"""The content words of a text, each with its rarity in citizens' cases.

Two reports of one event seldom share a sentence, but often a word that few other cases have: a name, a shop, a thing.
The rarity of a word comes from ``common_words.txt``, counted in the training texts by ``python -m
training.common_words``; a word not listed there is the rarest.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from zlib import crc32

import numpy as np

from tawasul_nlp.domain.pack import rarity_levels
from tawasul_nlp.text import Normalizer

# The number of rarest words kept of a text.
TERMS = 16
# The width of a rarity level, in the logarithm of (texts / texts with the word). A code's four high bits hold the
# level, so codes sort by rarity; the other 27 are a hash of the word.
STEP = 0.625
LEVELS = 16
_HASH = 27
_REMEMBERED = 1 << 17
COMMON_WORDS = "common_words.txt"
_WORD = re.compile(r"\w+")
_STREET = re.compile(
    r"(?<!\w)و?(?:[بلف]|لل)?شارع "
    r"(?:(?:الشيخ|الشيخه|الملك|الامير|السلطان) (?P<bearer>\w+)|(?!ال(?:لي|ذي|تي)\b)(?P<noun>ال\w{2,}))"
)
_PREFIXES = ("وال", "بال", "فال", "كال", "لل", "ال")
_SUFFIXES = ("هم", "ها", "نا", "ات", "ين", "ون", "كم", "ته", "ه", "ي", "ك", "وا")
# Function words, greetings and the frame of a complaint, which say nothing when shared.
_STOP_WORDS = """
في من على الى عن ان انا احنا نحن هذا هذه هاي هذي ذلك اللي الذي التي ما لا لم لن مو مب قد كل مع بعد قبل عند عندنا
لين حق مال يا او ثم هو هي هم كان كانت يكون به له لها فيه فيها منه عليه ولا وما وهو وهي بس حتى اذا لان لو نرجو
ارجو يرجى السلام عليكم ورحمة الله وبركاته شكرا لكم المتصل يفيد تفيد يطلب يشكو منذ اسبوع يوم ايام شهر شهور سنة
the a an is are of in on to and for we i my our it has have was not no this that with from
"""


def stems(folded: str) -> set[str]:
    """Return the stems of the content words of a text folded by the profile ``matching``.

    Examples
    --------
    >>> sorted(stems("الحفره في الشارع 2540"))
    ['2540', 'حفر', 'شارع']
    """
    return {stem for stem in map(_stem, _WORD.findall(folded)) if stem}


def rare_terms(folded: str) -> list[int]:
    """Return the codes of the rarest content words, the rarest first, at most :data:`TERMS`; see :func:`weights`."""
    codes = set(map(_CODES.__getitem__, _WORD.findall(folded)))
    codes.discard(-1)
    return sorted(codes, reverse=True)[:TERMS]


def street_names(folded: str) -> list[int]:
    """Return the codes of the street names in a text folded by the profile ``matching``.

    A street name is a titled person's name or a definite noun, so a main road or a street "that" ends somewhere has
    none; of a long name only the first word counts, since people leave out the rest.

    Examples
    --------
    >>> street_names("حفره بشارع الشيخ عيسي بن سلمان") == street_names("شارع الشيخ عيسي") != street_names("شارع البديع")
    True
    >>> street_names("في شارع رييسي والشارع العام مظلم")
    []
    """
    if "شارع " not in folded:
        return []
    names = (match["bearer"] or match["noun"] for match in _STREET.finditer(folded))
    return [crc32(_stem(name).encode()) & 0x7FFFFFFF for name in names]


def weights(codes: np.ndarray) -> np.ndarray:
    """Return the rarity of words by code: float32, 0 for none (-1)."""
    return np.maximum(codes >> _HASH, 0).astype(np.float32) * np.float32(STEP)


def level(texts: int, having: int) -> int:
    """Return the rarity level of what ``having`` of ``texts`` texts have: 0 to ``LEVELS - 1``."""
    return min(round(float(np.log((texts + 1) / (having + 1))) / STEP), LEVELS - 1)


class _Codes(dict[str, int]):
    """The codes of words, -1 for stop words; a dictionary is twice as fast as a cached function."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        stem = _stem(word)
        found = _levels().get(stem, LEVELS - 1) << _HASH | crc32(stem.encode()) & ((1 << _HASH) - 1) if stem else -1
        self[word] = found
        return found


_CODES = _Codes()


def _stem(word: str) -> str:
    """Strip article, particles and endings, so "بالمجاري" and "المجاري" are one word; empty for a stop word."""
    if len(word) < 3 or word in _stop_words():
        return ""
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) > 2:
            word = word[len(prefix) :]
            break
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) > 2:
            return word[: -len(suffix)]
    return word


@lru_cache(maxsize=1)
def _levels() -> dict[str, int]:
    content = files("tawasul_nlp.duplicates").joinpath(COMMON_WORDS).read_text(encoding="utf-8")
    return rarity_levels(content, COMMON_WORDS)


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    return frozenset(Normalizer("matching")(_STOP_WORDS).split())
