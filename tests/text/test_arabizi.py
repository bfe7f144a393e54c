"""Arabizi is written in Arabic letters; English, codes and addresses are left alone."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.text.arabizi_reading import ARABIC_WORDS, data_lines, read_arabizi
from tests.growth import LINEAR, growth
from tests.text.test_normalize import ANYTHING, examples
from training.splits import load_splits

CASES = Path(__file__).parents[2] / "training" / "data" / "cases.jsonl"


@pytest.mark.parametrize(("text", "expected"), examples("arabizi"))
def test_arabizi_becomes_arabic_and_a_text_without_it_is_the_very_same_object(text, expected):
    result = arabizi_to_arabic(text)
    assert result is text if text == expected else result == expected


def test_in_an_arabizi_text_english_words_names_and_codes_stay():
    result = arabizi_to_arabic("el bill mal EWA 6ala3 19 BD fe Hamad Town, system error kel marra, email me@x.com")
    for part in ("bill", "EWA", "19 BD", "Hamad Town", "system error", "me@x.com"):
        assert part in result
    words = "your most plumber problems companies village wrong wifi5 3phase 5dinar 9to5 h2o k3a9x2 order5a6b flat3b"
    for word in words.split():
        assert f" {word} " in arabizi_to_arabic(f"el may 6afi 3ndna {word} mn ams w nabi nbee3 el bait")


def test_hardly_any_frequent_english_word_is_spelled_in_arabic_letters():
    wordfreq = pytest.importorskip("wordfreq")
    words = [word for word in wordfreq.top_n_list("en", 600) if word.isascii() and word.isalpha() and len(word) > 2]
    unchanged = [f" {word} " in arabizi_to_arabic(f"salam 3ndna {word} fe el share3") for word in words]
    assert sum(unchanged) / len(unchanged) > 0.95


def test_in_the_corpus_arabizi_texts_change_and_texts_of_other_registers_do_not():
    splits = load_splits()
    changed: dict[str, list[bool]] = {}
    for line in CASES.read_text("utf-8").splitlines():
        case = json.loads(line)
        if splits[case["id"]] == "validation":
            is_changed = arabizi_to_arabic(case["text"]) != case["text"]
            changed.setdefault(case["register"], []).append(is_changed)
    assert sum(changed["arabizi"]) / len(changed["arabizi"]) >= 0.95
    for register in ("msa", "bahraini", "english"):
        assert sum(changed[register]) / len(changed[register]) <= 0.01


@given(st.text("aeouybdshgk'2379", max_size=12))
def test_any_letters_are_read_as_a_known_word_or_as_none(word):
    read = read_arabizi(word)
    assert read is None or re.fullmatch("[\u0621-\u064aچگ]+", read)


@given(ANYTHING)
def test_any_text_is_survived(text):
    assert isinstance(arabizi_to_arabic(text), str)


def test_every_word_of_the_list_is_read_from_its_own_consonants():
    latin = str.maketrans({**dict(zip("برمنلعفخطكزج", "brmnl3f56kzj", strict=True)), "ا": "aa", "ش": "sh"})
    words = [word for word in data_lines(ARABIC_WORDS)[:2000] if word.translate(latin).isascii() and len(word) > 2]
    read = [read_arabizi(word.translate(latin)) for word in words]
    assert len(words) > 20
    assert sum(arabic == word for arabic, word in zip(read, words, strict=True)) / len(words) > 0.9


@pytest.mark.parametrize("unit", ["baob{} ", "el ma{} ", "3a{}3 ", "moa{}eioeaiou "])
def test_time_grows_no_faster_than_the_words(unit):
    def read(text):
        read_arabizi.cache_clear()
        arabizi_to_arabic(text)

    words = (unit.format(chr(97 + number % 26) + chr(97 + number // 26 % 26)) for number in range(8000))
    assert growth(read, "".join(words)) < LINEAR
