"""Arabizi is written in Arabic letters; English, codes and addresses are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from tawasul_nlp.text import arabizi_to_arabic
from tests.text.test_normalize import ANYTHING
from training.splits import load_splits

CASES = Path(__file__).parents[2] / "training" / "data" / "cases.jsonl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("salam, ana abi a7ad y6ala3 el may", "سلام, انا ابي احد يطلع الماي"),
        ("share3na mo nthef w el 7ufra kbeera", "شارعنا مو نثف و الحفره كبيره"),
        ("kel yom ygooloon ba3ad esboo3", "كل يوم يقولون بعد اسبوع"),
        ("الطلب 3ndna من شهر", "الطلب عندنا من شهر"),
        ("wla a7ad rad 3alay lel7een", "ولا احد رد علي للحين"),
    ],
)
def test_arabizi_becomes_arabic(text: str, expected: str) -> None:
    assert arabizi_to_arabic(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The street light on road 12 is off since the 2nd, please send a man to fix the 3 poles",
        "The A/C in flat B12 and the PS5 and my mp3 player stopped at 3am",
        "Contact me at abi7ag@mail.com or www.3ala.com/7ag",
        "جهاز PS5 وخط 5G وفئة C3 وبلوك block3",
        "EWA وLMRA ووزارة الأشغال",
        "رقم الشارع 12",
        "",
    ],
)
def test_what_is_no_arabizi_is_the_very_same_object(text: str) -> None:
    assert arabizi_to_arabic(text) is text


def test_in_an_arabizi_text_english_words_names_and_codes_stay() -> None:
    result = arabizi_to_arabic("el bill mal EWA 6ala3 19 BD fe Hamad Town, system error kel marra, email me@x.com")
    for kept in ("bill", "EWA", "19 BD", "Hamad Town", "system error", "me@x.com"):
        assert kept in result


def test_in_the_corpus_arabizi_texts_change_and_texts_of_other_registers_do_not() -> None:
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


@given(ANYTHING)
def test_any_text_is_survived(text: str) -> None:
    assert isinstance(arabizi_to_arabic(text), str)
