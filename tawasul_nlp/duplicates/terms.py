"""The content words of a text, each with its rarity in citizens' cases, its street names and its numbers.

Two reports of one event seldom share a sentence, but often a word that few other cases have: a name, a shop, a thing.
The rarity of a word comes from ``common_words.txt``, counted in the training texts by ``python -m
training.common_words``; a word not listed there is the rarest.

Reports of building 5 and of building 7 are two incidents. But two citizens who waited three and four days, each with a
phone number, may report one event. So amounts, times and dates only count if two texts share them, and personal numbers
never count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from zlib import crc32

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.pack import rarity_levels
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS, find_personal_data

# The number of rarest words kept of a text.
TERMS = 16
# The width of a rarity level, in the logarithm of (texts / texts with the word). A code's four high bits hold the
# level, so codes sort by rarity; the other 27 are a hash of the word.
STEP = 0.625
LEVELS = 16
_HASH = 27
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
    codes = set(map(_code, _WORD.findall(folded)))
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


@lru_cache(maxsize=1 << 17)
def _code(word: str) -> int:
    """Return the code of a word, -1 for a stop word."""
    stem = _stem(word)
    return _levels().get(stem, LEVELS - 1) << _HASH | crc32(stem.encode()) & ((1 << _HASH) - 1) if stem else -1


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


# A car's plate is often the subject of a case.
_PERSONAL = DEFAULT_KINDS - {"plate"}
# Personal numbers have at least this many digits: texts with fewer are not searched for them.
_PERSONAL_DIGITS = 4
_CUE_LENGTH = 24
# One character for one, so spans stay those of the original.
_PLAIN = (*zip("أإآىئؤة٫٬٪", "اااييوه.,%", strict=True),)
_PLAIN_DIGITS = {chr(zero + digit): str(digit) for zero in (0x0660, 0x06F0) for digit in range(10)}
_OTHER_DIGITS = re.compile("[\u0660-\u0669\u06f0-\u06f9]")
# What is counted and measured; not money, since a sum identifies a matter.
_UNITS = """
ثانيه ثواني دقيقه دقايق ساعه ساعات يوم ايام يوما اسبوع اسابيع شهر شهرا شهور اشهر سنه سنين سنوات عام عاما اعوام
مره مرات متر امتار كيلو كم سم لتر بالميه بالمايه
شخص اشخاص شخصا نفر انفار عامل عمال عايله عوايل عايلات اسره اسر طفل اطفال طالب طلاب طالبه طلبه ساكن سكان
سياره سيارات سيايير بيوت منازل غرف طوابق ادوار اعمده ليتات حفر دفعه دفعات اضعاف تقريبا
يناير فبراير مارس ابريل مايو يونيو يوليو اغسطس سبتمبر اكتوبر نوفمبر ديسمبر رمضان شعبان شوال محرم
ص م س صباحا مساء ليلا فجرا ظهرا عصرا الصبح الفجر الظهر العصر المغرب العشا العشاء الليل
hour hours hr hrs minute minutes min mins day days week weeks month months year years yr yrs time times am pm
m km meter meters metre metres people person persons worker workers family families kids children car cars
yoom yom ayam ayyam asbo3 asabee3 shahar shhoor ashhor sana sneen sa3a sa3at dagayeg da8aye8 marra marrat
"""
_CUES = """
الساعه ساعه سنه عام شهر يوم بتاريخ مواليد عمر عمره عمرها عمري age aged since year sana sa3a
بلاغ بلاغي بلاغنا البلاغ شكوي شكواي شكوانا الشكوي تذكره التذكره ticket ref reference complaint
"""
_UNIT_WORDS, _CUE_WORDS = frozenset(_UNITS.split()), frozenset(_CUES.split())
_NUMBER_WORDS = frozenset({"رقم", "no", "number"})
_RANGE = frozenset({"-", "و", "او", "الي", "لين", "to", "or"})
_FOLLOWING_WORD = re.compile(
    r"\s{0,2}([^\W\d_]+|%)(?![^\W\d_]|\s?\d)"
)  # "عمارة 5 م 714" is in block 714, and 5 is not in metres
_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_DATE_OR_PART = re.compile(r"\d{1,4}([/-])\d{1,2}(?:\1\d{1,4})?|\d+(?:[.:]\d+)+|(?:19|20)\d\d")
_DIGITS = re.compile(r"\d+")


def read_numbers(text: str, named: Iterable[int] = (), domain: Domain | None = None) -> tuple[list[str], list[str]]:
    """Return the numbers that may name a text's subject, and its amounts, both in order.

    Numbers ``named`` as parts of an address are left out. ``domain`` is the pack with personal numbers; None is
    Bahrain's.

    Examples
    --------
    >>> read_numbers("عمارة ٥ بلا ماء من 3 أيام، اتصلوا على 39001234")
    (['5'], ['3'])
    """
    if not _DIGITS.search(text):
        return [], []
    plain = _plain(text)
    in_address = set(map(str, named))
    numbers, amounts = _numbers_and_amounts(plain, in_address)
    if sum(map(len, numbers)) >= _PERSONAL_DIGITS:
        for span in find_personal_data(text, _PERSONAL, domain):
            # Two cases that name one report have one subject.
            if span.kind == "request" and _is_cued(plain[: span.start]):
                continue
            plain = plain[: span.start] + " " * (span.end - span.start) + plain[span.end :]
        numbers, amounts = _numbers_and_amounts(plain, in_address)
    return numbers, amounts


def _plain(text: str) -> str:
    """Fold digits to ASCII and unify letters that people interchange; `translate` is slower."""
    for written, plain in _PLAIN:
        text = text.replace(written, plain)
    return _OTHER_DIGITS.sub(lambda digit: _PLAIN_DIGITS[digit.group()], text)


def _numbers_and_amounts(plain: str, in_address: set[str]) -> tuple[list[str], list[str]]:
    numbers: list[tuple[str, bool]] = []
    end = 0
    for match in _TOKEN.finditer(plain):
        between, start, end, written = plain[end : match.start()], match.start(), match.end(), match.group()
        if len(written) == 1 and (_is_latin(plain[start - 1 : start]) or _is_latin(plain[end : end + 1])):
            continue  # a letter of Arabizi
        if _THOUSANDS.fullmatch(written):
            written = written.replace(",", "")
        counted = _counts(plain, end)
        if counted and numbers and between.strip() in _RANGE:
            numbers[-1] = numbers[-1][0], True
        amount = counted or bool(_DATE_OR_PART.fullmatch(written)) or _is_cued(between)
        numbers += [(digits.lstrip("0") or "0", amount) for digits in _DIGITS.findall(written)]
    outside = [(number, amount) for number, amount in numbers if number not in in_address]
    names, amounts = (dict.fromkeys(number for number, amount in outside if amount is kind) for kind in (False, True))
    return list(names), list(amounts)


def _is_latin(letter: str) -> bool:
    return letter.isascii() and letter.isalpha()


def _counts(plain: str, end: int) -> bool:
    """Return whether a unit follows a number."""
    unit = _FOLLOWING_WORD.match(plain, end)
    return unit is not None and (unit[1] == "%" or unit[1].lower() in _UNIT_WORDS)


def _is_cued(before: str) -> bool:
    """Return whether the words before a number mark it as a time, an age or the number of a report."""
    words = before[-_CUE_LENGTH:].replace(":", " ").replace("#", " ").lower().split()
    if words and words[-1].rstrip(".") in _NUMBER_WORDS:
        words.pop()
    return bool(words) and (words[-1] in _CUE_WORDS or (words[-1][0] in "بلو" and words[-1][1:] in _CUE_WORDS))
