"""The marked texts for masks and Arabizi are well formed, and what is measured on them is counted rightly."""

from __future__ import annotations

import re
import unicodedata

from eval.quality.masks import judge_masks, measure_masks, read_lines, read_marks
from eval.quality.rewriting import MASKS, REWRITING, answer_words, is_accepted, measure_arabizi, read_words
from tawasul_nlp.text.personal.mask import DEFAULT_KINDS

GOLD = [*read_lines(REWRITING), *read_lines(MASKS)]


def test_every_text_is_of_one_half_and_one_task_and_stands_there_once() -> None:
    assert len({line["id"] for line in GOLD}) == len(GOLD)
    assert all(line["half"] in ("tune", "test") and ("masks" in line) != ("words" in line) for line in GOLD)
    texts = [line.get("masks") or line["words"] for line in GOLD]
    assert len(set(texts)) == len(texts)


def test_marks_are_of_a_kind_and_stand_on_what_they_mark() -> None:
    for line in (line for line in GOLD if "masks" in line):
        text, marks = read_marks(line["masks"])
        assert not set("{}") & set(text), line["id"]
        last = 0
        for mark in marks:
            marked = text[mark.start : mark.end]
            assert mark.kind in DEFAULT_KINDS | {"name"} and f"{{{mark.kind}:{marked}}}" in line["masks"], line["id"]
            assert last <= mark.start < mark.end <= len(text), line["id"]
            digits = sum(unicodedata.digit(char, None) is not None for char in marked)
            assert mark.kind in ("email", "name") or digits >= 3, line["id"]
            last = mark.end


def test_words_are_latin_their_spellings_arabic_and_their_answers_are_found_again() -> None:
    spelling = re.compile(r"[\u0621-\u064a\u0686\u06af ]+")
    for line in (line for line in GOLD if "words" in line):
        words = read_words(line["words"])
        assert any(word.accepted for word in words), line["id"]
        for word in words:
            assert word.written.isascii() and all(map(spelling.fullmatch, word.accepted)), line["id"]
        assert [word for word, _ in answer_words(words)] == words, line["id"]


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
