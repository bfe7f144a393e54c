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
        ("fee 7afra 3nd share3 714", "في حفره عند شارع 714"),
        ("el share3 maftoo7 w el6ree8 ma9arfa", "الشارع مفتوح و الطريق مصرفه"),
        ("عندنا 7afra و 5arban", "عندنا حفره و خربن"),
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
        "wifi5 is slow, my iphone5 broke and so did the huawei9 in my camry6",
        "type2 diabetes, zone5, phase2, 3phase supply of building3a",
        "paid 5dinar for a 6inch pipe, works 9to5",
        "co2 and h2o sensors, b2b services, flat 3b and flat3b",
        "codes k3a9x2, order5a6b, meter no a3b5c7",
        "yaris6 وعداد a3c",
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


@pytest.mark.parametrize("word", ["wifi5", "3phase", "5dinar", "9to5", "h2o", "k3a9x2", "order5a6b", "flat3b"])
def test_in_an_arabizi_text_what_carries_a_number_stays(word: str) -> None:
    assert f" {word} " in arabizi_to_arabic(f"el may 6afi 3ndna {word} mn ams")


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
