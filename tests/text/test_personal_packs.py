"""What a pack says of personal numbers is found, in a notation that can hold no slow pattern."""

import re

import pytest

from tawasul_nlp import mask_personal_data
from tawasul_nlp.domain import Domain
from tawasul_nlp.text import find_personal_data
from tawasul_nlp.text.personal.plan import abbreviation_pattern, form_length, form_pattern, word_pattern
from tests.growth import LINEAR, growth
from tests.packs import CITIES, KUWAIT

# Numbers that are made up, with the date of birth of nobody in particular.
CIVIL_ID = "288110398422"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"الرقم المدني {CIVIL_ID}", "الرقم المدني [رقم مدني]"),
        (f"انا {CIVIL_ID} من السالمية", "انا [رقم مدني] من السالمية"),
        ("رقمي 2 881103 9842 2", "رقمي [رقم مدني]"),
        ("٢٨٨١١٠٣٩٨٤٢٢", "[رقم مدني]"),
        (f"civil id: {CIVIL_ID}", "civil id: [رقم مدني]"),
        ("288130398422 بلا شهر", "288130398422 بلا شهر"),
        ("كلموني 66001234 أو 5000 0456", "كلموني [هاتف] أو [هاتف]"),
        ("+965 5000 0456 و 00965 66009876", "[هاتف] و [هاتف]"),
        ("واتساب البلدية 24727732", "واتساب البلدية 24727732"),
        ("لوحة 14/12345", "لوحة [رقم لوحة]"),
        ("دفعت 36001234 د.ك", "دفعت 36001234 د.ك"),
        ("+973 39001234", "[هاتف]"),
        ("قطعة 3 شارع 43 منزل 17", "قطعة 3 شارع 43 منزل 17"),
        ("حساب mew 190011", "حساب mew [رقم حساب]"),
        ("حساب ewa 190011", "حساب ewa 190011"),
    ],
)
def test_another_countrys_numbers_are_masked_by_its_pack(text, masked):
    assert mask_personal_data(text, domain=Domain.load(KUWAIT)).text == masked


def test_a_packs_numbers_are_its_own_and_of_the_kind_that_they_are_everywhere():
    kuwait, cities = Domain.load(KUWAIT), Domain.load(CITIES)
    masked = mask_personal_data("هويتي 1098765432 وجوالي 512345678 أو +966 512345678", domain=cities).text
    assert masked == "هويتي [هوية] وجوالي [هاتف] أو [هاتف]"
    assert mask_personal_data(CIVIL_ID).text == CIVIL_ID
    assert mask_personal_data("870412356", domain=kuwait).text == "870412356"
    (span,) = find_personal_data(CIVIL_ID, {"cpr"}, kuwait)
    assert (span.kind, span.value) == ("cpr", CIVIL_ID)


@pytest.mark.parametrize(
    ("form", "length", "fits", "others"),
    [
        ("YYMM#####", 9, ["870412356"], ["871312356", "87041235", "8704123567"]),
        ("[23]YYMMDD#####", 12, [CIVIL_ID], ["188110398422", "288113298422"]),
        ("#-###", 4, ["1 234", "1-234", "1/234"], ["1234", "1.234"]),
        ("6[36]", 2, ["63", "66"], ["64"]),
    ],
)
def test_a_form_matches_the_numbers_that_it_describes(form, length, fits, others):
    assert form_length(form) == length
    assert all(re.fullmatch(form_pattern(form), number) for number in fits)
    assert not any(re.fullmatch(form_pattern(form), number) for number in others)


@pytest.mark.parametrize(
    ("pattern", "texts", "message"),
    [
        (
            form_pattern,
            ("", r"\d+", "(1)", "1*", "#" * 41, "[1", "[2-0]", "٣", "a", "1|2", ".", "[^1]"),
            "got the form",
        ),
        (word_pattern, ("", "(a+)+", "a*", "[ab]", "a?", " a", "a  b", "a|b", "a.b", r"\w", "x" * 41), "got the word"),
        (abbreviation_pattern, ("c.p",), "got the abbreviation"),
    ],
)
def test_what_is_written_as_a_regular_expression_is_refused(pattern, texts, message):
    for text in texts:
        with pytest.raises(ValueError, match=message):
            pattern(text)


def test_words_and_abbreviations_match_how_people_write_them():
    assert re.fullmatch(word_pattern("سجل سكاني"), "سجل\nسكاني") and re.fullmatch(word_pattern("sha59i"), "sha59i")
    assert all(re.fullmatch(abbreviation_pattern("ر م"), written) for written in ("ر.م", "ر.م.", "رم", "ر م"))


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["2", "288110", "مدني ", "رقم مدني ", "ر م ", "2 88", "لوحة 1/", "66", "+965 "])
def test_the_patterns_of_a_pack_take_linear_time(unit):
    kuwait = Domain.load(KUWAIT)
    assert growth(lambda text: find_personal_data(text, domain=kuwait), unit * (48_000 // len(unit))) < LINEAR
