"""Gulf Arabic in Latin letters (Arabizi) to Arabic letters.

``abi a3raf mata ye6la3 el 6alab`` becomes ``ابي أعرف متى يطلع الطلب``. The difficulty is to leave alone what is not
Arabizi: English words, names of places and organisations, codes, units, addresses. A word with a digit that stands for
a letter (3 ع, 7 ح, 9 ص) is Arabizi by itself, unless it may be an English word with a number or a code. Such a word
(roo7, yaris6), or one without such a digit, is converted only in a text that is Arabizi, and only if it is not listed
in ``english_words.txt``.

Most words are read as one that citizens write (:mod:`tawasul_nlp.text.arabizi_reading`); for
others the rules here guess the vowels.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tawasul_nlp.errors import checked_text

from .arabizi_reading import CONSONANTS, data_lines, read_arabizi
from .rewrites import Edit, apply_edits

# A word by itself: not part of an address, a path, a code or a hashtag.
_WORD = re.compile(
    r"(?<![\w@#&/.'’-])(?:(?P<article>[eEaAiI][lL])[- ](?=[\w'’]))?(?P<word>[A-Za-z0-9'’]+)(?![\w@/&'’]|[.-]\w)"
)
_LATIN = re.compile(r"[A-Za-z]")
_LOWER = re.compile(r"[a-z]")
_DIGIT_LETTERS = re.compile(r"[a-z'’2356789]{2,}")
_COUNT = re.compile(
    r"\d+(?:st|nd|rd|th|am|pm|g|k|l|m|x|km|kg|mg|cm|mm|bd|hr|hrs|hour|hours|min|mins|day|days|week|weeks|month|months|year"
    r"|years|yrs|pcs|gb|mb|mbps|ft|sqm|fils|times|bhk|d|v|w|s|h|amps?|bars?|dinars?|inch|inches|lit(?:er|re)s?|phases?|pins?"
    r"|ply|seater|tons?|volts?|watts?|ways?)"
    r"|\d+(?:and|by|in|of|or|to|vs)\d+"
)
# Three digits alternating with letters other than vowels (unlike 9a7e7a); flats (3b); h2o and b2b.
_CODE = re.compile(r"(?=.*\d[^aeiou\d]\d)[a-z]?(?:\d[a-z]){2,}\d[a-z]?|\d[a-z]|[a-z]2[a-z]")
_PERHAPS_CODE = re.compile(r"[a-z]\d[a-z]")
_NUMBERED = re.compile(r"\d+[a-z]|\d.*\d.*")
# Endings of English words, and letters for sounds that Arabic lacks.
_ENGLISH_SHAPE = re.compile(
    r".{2,}(?:tion|sion|ment|ness|ing|able|ible|ful|ious|ity|ally|[^e]ed|ers|ure|ship|less)|.*[pvx].*"
)
_PREFIXES = ("wel", "bel", "fel", "lel", "el", "al", "il")


@lru_cache(maxsize=1)
def _lexicon() -> dict[str, str]:
    return dict(line.split("\t") for line in data_lines("arabizi_words.txt"))


@lru_cache(maxsize=1)
def _english() -> frozenset[str]:
    return frozenset(data_lines("english_words.txt"))


# The likeliest letter, including vowels and one that stands for two letters.
_CONSONANTS = {latin: letters[0] for latin, letters in CONSONANTS.items()} | {"2": "ء", "w": "و", "x": "كس", "y": "ي"}
_LONG_VOWELS = {
    "aa": "ا",
    **dict.fromkeys(("ee", "ii", "ie", "ai", "ay", "ei", "ey"), "ي"),
    **dict.fromkeys(("oo", "ou", "uu", "au", "ow"), "و"),
}
_VOWELS = frozenset("aeiou")
# CaCeC and CaCiC are active participles (share3, lazem, 6ale3): their first vowel is long.
_PARTICIPLE = re.compile(
    r"(?:sh|kh|gh|th|dh|ch|[^aeiou'’])a(?:sh|kh|gh|th|dh|ch|[^aeiou'’])[ei][^aeiou'’]{1,2}(?:a|een|eenn|oon)?"
)


def _spell(word: str) -> str:
    word = word.replace("’", "'")
    participle = _PARTICIPLE.fullmatch(word) is not None
    out: list[str] = []
    position = 0
    vowels = 0
    while position < len(word):
        pair, char = word[position : position + 2], word[position]
        first, last = position == 0, position + 1 == len(word)
        if pair in _CONSONANTS:
            out.append(_CONSONANTS[pair])
            position += 2
        elif pair in _LONG_VOWELS:
            long = _LONG_VOWELS[pair]
            out.append("ا" + long if first and long != "ا" else long)
            vowels += 1
            position += 2
        elif char in _VOWELS:
            # A consonant and "na" is "our" more often than anything else: share3na, baitna.
            ours = last and word.endswith("na") and word[-3:-2] not in _VOWELS
            out.append("ا" if ours else _vowel(char, first, last, participle and vowels == 0))
            vowels += 1
            position += 1
        else:
            # A doubled consonant is a shadda, which is not written.
            if char != "'" and not (position and word[position - 1] == char and char.isalpha()):
                out.append(_CONSONANTS.get(char, ""))
            position += 1
    # Hamza at the beginning of a word sits on alef.
    return re.sub("^ءا?", "ا", "".join(out))


def _vowel(char: str, first: bool, last: bool, long: bool) -> str:
    if first:
        return "ا"
    if last:
        return {"a": "ه", "e": "ه", "i": "ي", "o": "و", "u": "و"}[char]
    if char == "o":
        return "و"
    return "ا" if long else ""


def _is_marked(word: str, among_arabizi: bool = False) -> bool:
    """Return whether a digit in a word stands for a letter.

    What may as well be a model, a version or a code (yaris6, a3c) counts only in an Arabizi text.
    """
    lower = word.lower()
    if word != lower and word != lower.capitalize():
        return False  # A7B is a code
    if not any(char.isdigit() for char in lower) or _LATIN.search(lower) is None:
        return False
    if _DIGIT_LETTERS.fullmatch(lower) is None:
        return False
    if lower in _lexicon():
        return True
    if _COUNT.fullmatch(lower) or _CODE.fullmatch(lower):
        return False
    tail = re.fullmatch(r"([a-z'’]+)(\d+)", lower)
    if tail is not None:
        # Only at the end: a model or house number (ps5, road7), unless a vowel leads up to one letter (roo7), an
        # apostrophe dots it (ar'9), or the whole is a word (thab6).
        letters, digits = tail.groups()
        if not among_arabizi or len(digits) > 1 or len(letters) < 2 or letters in _english():
            return False
        return letters[-1] in "aeiouyw'’" or read_arabizi(lower) is not None
    head = re.fullmatch(r"(\d+)([a-z]+)", lower)
    if head is not None:
        # 3bedrooms and 2villas are counts.
        digits, letters = head.groups()
        is_count = letters in _english() or (len(letters) > 4 and letters.removesuffix("s") in _english())
        # In Arabizi 5air and 3ali are words, not counts of air and Alis; elsewhere only a known word is certain.
        is_word = len(digits) == 1 and len(letters) > 2 and digits != "2" and read_arabizi(lower) is not None
        return len(digits) < 3 and (is_word or not is_count) if among_arabizi else is_word and not is_count
    start = re.match(r"([a-z]{4,})\d", lower)
    if start is not None and start.group(1) in _english() and start.group() not in _lexicon():
        # flat3b and order5a6b, but not same3een
        return among_arabizi and _NUMBERED.fullmatch(lower, start.end() - 1) is None
    return among_arabizi or _PERHAPS_CODE.fullmatch(lower) is None


def _is_english(word: str) -> bool:
    plural = len(word) > 4 and word.endswith("s") and word[:-1] in _english()
    return word in _english() or plural or _ENGLISH_SHAPE.fullmatch(word) is not None


def _is_arabizi_text(matches: list[re.Match[str]]) -> bool:
    """Return whether enough words of a text can only be Arabizi; "el bill" is Arabizi by its article."""
    lexicon, english = _lexicon(), _english()
    latin = sure = articles = 0
    for match in matches:
        word = match.group("word")
        if _LATIN.search(word) is None:
            continue
        lower = word.lower()
        has_article = (match.group("article") or "").lower() in ("el", "il")
        latin += 1
        articles += has_article
        # In a text in capitals, which may be full of codes, a short word proves nothing; "el masba7" is not an iphone7.
        sure += _is_marked(lower if len(word) > 3 else word, among_arabizi=has_article) or (
            len(word) > 1 and lower in lexicon and lower not in english
        )
    return sure >= 1 and sure + articles >= 2 and (sure + articles) * 6 >= latin


def arabizi_to_arabic(text: str) -> str:
    """Write the Arabizi words of a text in Arabic letters; leave everything else unchanged.

    Vowels are guessed for all but the most frequent words: the aim is a text that a model or lexicon of Arabic can use,
    not an orthographic transcription. A text without Arabizi is returned as the same object.

    Raises
    ------
    InvalidTextError
        If ``text`` is not a str.

    Examples
    --------
    >>> arabizi_to_arabic("salam, el may 6afi 3ndna mn ams fe Hamad Town, email me@mail.com")
    'سلام, الماي طافي عندنا من امس في Hamad Town, email me@mail.com'
    >>> arabizi_to_arabic("The street light on road 12 is off")
    'The street light on road 12 is off'
    """
    edits = arabizi_edits(checked_text(text))
    return apply_edits(text, edits) if edits else text


def arabizi_edits(text: str) -> list[Edit]:
    """Return the replacements that turn ``text`` into ``arabizi_to_arabic(text)``."""
    if _LATIN.search(text) is None:
        return []
    matches = list(_WORD.finditer(text))
    whole = _is_arabizi_text(matches)
    shouted = whole and _LOWER.search(text) is None
    edits = []
    for match in matches:
        word = match.group("word")
        arabic = _convert_shouted(word.lower()) if shouted else _convert_word(word, whole)
        if arabic is not None:
            article = "ال" if match.group("article") else ""
            edits.append(Edit(match.start(), match.end(), article + arabic, True))
    return edits


_MAX_LENGTH = 30  # of a word; what is longer is noise


def _convert_word(word: str, arabizi_text: bool) -> str | None:
    if len(word) > _MAX_LENGTH:
        return None
    lower = word.lower()
    if _is_marked(word, arabizi_text):
        return _lexicon().get(lower) or _with_prefix(lower)
    if not arabizi_text or _LATIN.search(word) is None or any(char.isdigit() for char in word):
        return None
    if lower in _lexicon() and (word == lower or len(word) > 3):
        return _lexicon()[lower]
    # Capitals are names and abbreviations: Hamad Town, EWA.
    return None if word != lower or len(word) < 3 or _is_english(word) else _with_prefix(lower)


def _convert_shouted(word: str) -> str | None:
    if word in _lexicon():
        return _lexicon()[word]
    if not 3 < len(word) <= _MAX_LENGTH or _is_english(word):
        return None
    if any(char.isdigit() for char in word) and not _is_marked(word, True):
        return None
    return _with_prefix(word) if _is_known(word) else None


def _is_known(word: str) -> bool:
    rests = (word, *(word[len(prefix) :] for prefix in _PREFIXES if word.startswith(prefix)))
    return any(len(rest) > 2 and (rest in _lexicon() or read_arabizi(rest) is not None) for rest in rests)


def _with_prefix(word: str) -> str:
    for prefix in _PREFIXES:
        rest = word[len(prefix) :]
        if word.startswith(prefix) and len(rest) >= 3 and rest[0] not in _VOWELS:
            arabic = {"wel": "وال", "bel": "بال", "fel": "فال", "lel": "لل"}.get(prefix, "ال")
            return arabic + (_lexicon().get(rest) or read_arabizi(rest) or _spell(rest))
    return read_arabizi(word) or _spell(word)
