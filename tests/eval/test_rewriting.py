"""The marked texts for masks and Arabizi are well formed, and what is measured on them is counted rightly."""

from __future__ import annotations

import re
import unicodedata

import pytest

from eval.quality.masks import judge_masks, measure_masks, read_lines, read_marks
from eval.quality.rewriting import MASKS, REWRITING, answer_words, is_accepted, measure_arabizi, read_words
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS

GOLD = [*read_lines(REWRITING), *read_lines(MASKS)]


def test_every_text_is_of_one_half_and_one_task_and_stands_there_once() -> None:
    assert len({line["id"] for line in GOLD}) == len(GOLD)
    assert all(line["half"] in ("tune", "test") and ("masks" in line) != ("words" in line) for line in GOLD)
    texts = [line.get("masks") or line["words"] for line in GOLD]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("line", [line for line in GOLD if "masks" in line], ids=lambda line: line["id"])
def test_marks_are_of_a_known_kind_and_stand_on_what_they_mark(line: dict[str, str]) -> None:
    text, marks = read_marks(line["masks"])
    assert not set("{}") & set(text)
    last = 0
    for mark in marks:
        assert mark.kind in DEFAULT_KINDS | {"name"}
        assert last <= mark.start < mark.end <= len(text)
        assert f"{{{mark.kind}:{text[mark.start : mark.end]}}}" in line["masks"]
        digits = sum(unicodedata.digit(char, None) is not None for char in text[mark.start : mark.end])
        assert mark.kind in ("email", "name") or digits >= 3
        last = mark.end


@pytest.mark.parametrize("line", [line for line in GOLD if "words" in line], ids=lambda line: line["id"])
def test_words_are_latin_their_spellings_arabic_and_their_answers_are_found_again(line: dict[str, str]) -> None:
    words = read_words(line["words"])
    assert any(word.accepted for word in words)
    for word in words:
        assert word.written.isascii()
        assert all(re.fullmatch(r"[\u0621-\u064a\u0686\u06af ]+", spelling) for spelling in word.accepted)
    assert [word for word, _ in answer_words(words)] == words


def test_masks_are_counted_by_kind() -> None:
    line = {"masks": "رقم الطلب {cpr:40217}، هاتف {phone:39001234} وعنوان {email:غير معروف}"}
    assert judge_masks(line) == {
        "wanted": [("cpr", True, False), ("phone", True, True), ("email", False, False)],
        "given": [("request", False), ("phone", True)],
        "others": [],
    }
    counted = measure_masks([line])["kinds"]["all"]
    assert (counted["masked"]["right"], counted["masked"]["n"]) == (2, 3)
    assert (counted["precision"]["right"], counted["precision"]["n"]) == (1, 2)


def test_words_are_counted_that_became_arabic_that_are_accepted_and_that_stayed() -> None:
    words = "el_may=الماي magtoo3=مفتوح|مسكر 3ndna=عندنا EWA bill el_AC=? 12"
    counted = measure_arabizi([{"words": words}])
    assert {name: (row["right"], row["n"]) for name, row in counted.items() if name != "texts"} == {
        "converted": (3, 3),
        "accepted": (2, 3),
        "stayed": (2, 2),
    }


def test_spellings_differ_by_hamza_and_ta_marbuta_at_most() -> None:
    (word,) = read_words("el_omoor=الأمورة")
    assert is_accepted(word, "الاموره") and not is_accepted(word, "الامر")
