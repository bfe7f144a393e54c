"""Personal data is found and masked, by the numbers of any pack; public numbers, amounts and addresses of incidents stay."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given

from tawasul_nlp.domain import Domain
from tawasul_nlp.text import mask_personal_data
from tawasul_nlp.text.personal.mask import PLACEHOLDERS, find_personal_data
from tawasul_nlp.text.personal.plan import abbreviation_pattern, form_length, form_pattern, word_pattern
from tests.growth import LINEAR, growth
from tests.packs import CITIES, KUWAIT
from tests.robustness import masks
from tests.text.test_normalize import ANYTHING

EVERYTHING = frozenset(PLACEHOLDERS)
# Texts with the kind and value of what is personal in them, or "-".
EXAMPLES = [
    json.loads(line) for line in (Path(__file__).parent / "personal_data.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize(("kind", "value", "text"), EXAMPLES)
def test_each_kind_is_found_and_what_is_not_personal_stays(kind, value, text):
    masked = mask_personal_data(text)
    if kind == "-":
        assert masked.text is text and masked.spans == ()
    else:
        assert [(span.kind, span.value) for span in find_personal_data(text)] == [(kind, value)]
        assert PLACEHOLDERS[kind] in masked.text


@pytest.mark.parametrize(
    "text",
    [
        "39001234/36001234",
        "39001234-36001234",
        "36001234,39001234",
        "3900 1234/3600 1234",
        "+97339001234/39005678",
        "870412356/39001234",
        "850101234,870412356",
    ],
)
def test_numbers_that_a_sign_joins_are_both_found(text):
    assert len(find_personal_data(text)) == 2
    masked = mask_personal_data(text).text
    assert not any(char.isdigit() for char in masked) and find_personal_data(masked) == ()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("لوحة 88412 و 4409 و68214", "لوحة [رقم لوحة] و [رقم لوحة] و[رقم لوحة]"),
        ("passport N5529017 (old) and N8804462", "passport [رقم جواز] (old) and [رقم جواز]"),
        ("رقم الطلب 8812047، 8790331، وصار لي 1500 يوم", "رقم الطلب [رقم طلب]، [رقم طلب]، وصار لي 1500 يوم"),
        ("رقم الحساب 20418837 و 142 دينار", "رقم الحساب [رقم حساب] و 142 دينار"),
    ],
)
def test_a_cue_holds_for_the_numbers_that_follow_in_the_same_form(text, masked):
    assert mask_personal_data(text).text == masked


def test_a_number_that_a_cue_names_is_no_phone_and_a_cue_does_not_reach_over_the_end_of_the_sentence():
    assert [span.kind for span in find_personal_data("رقم الحساب 33123456، هاتف 33123457")] == ["account", "phone"]
    assert find_personal_data("رقم الحساب 33123456", {"phone"}) == ()
    assert [span.kind for span in find_personal_data("وإعادة فتح الطلب. 33660918")] == ["phone"]


def test_house_numbers_are_masked_only_when_asked_for():
    text = "شقة 12 في بناية رقم ٢٣٤ مجمع 714"
    assert mask_personal_data(text).text is text
    assert mask_personal_data(text, EVERYTHING).text == "شقة [رقم منزل] في بناية رقم [رقم منزل] مجمع 714"


def test_spans_count_the_marks_that_were_looked_through():
    text = "الرَّقـــم الشَّخصيّ 87\u200f0412356\u200f وهاتفي ٣٩\u200b٠٠١٢٣٤ شكرًا"
    assert [text[span.start : span.end] for span in find_personal_data(text)] == ["87\u200f0412356", "٣٩\u200b٠٠١٢٣٤"]
    assert mask_personal_data(text).text == "الرَّقـــم الشَّخصيّ [رقم شخصي]\u200f وهاتفي [هاتف] شكرًا"
    assert mask_personal_data("رقمي 3️⃣9️⃣0️⃣0️⃣1️⃣2️⃣7️⃣4️⃣ شكرا").text == "رقمي [هاتف] شكرا"  # with its last keycap


def test_odd_spellings_of_every_kind_are_found_and_public_numbers_stay():
    for outcome in masks.run(trials=20, seed=1):
        assert outcome.failures == 0, (outcome.attack, outcome.note)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("أنا المواطن جاسم محمد العريفي، من عراد", "أنا المواطن [اسم]، من عراد"),
        ("الاسم: سلمان راشد\nالهاتف مغلق", "الاسم: [اسم]\nالهاتف مغلق"),
        ("اسمي حسن منصور وعندي محل", "اسمي [اسم] وعندي محل"),
        ("My name is Peter Lawson, I wait", "My name is [اسم], I wait"),
        ("أنا ساكن في الرفاع، أنتظر", "أنا ساكن في الرفاع، أنتظر"),
    ],
)
def test_names_behind_a_word_for_one_are_masked_only_when_asked_for(text, masked):
    assert mask_personal_data(text).text is text
    assert mask_personal_data(text, {"name"}).text == masked


@given(ANYTHING)
def test_spans_are_those_of_the_original_and_the_rest_of_it_stays(text):
    masked = mask_personal_data(text, EVERYTHING)
    rebuilt, last = "", 0
    for span in masked.spans:
        assert last <= span.start < span.end <= len(text)
        rebuilt += text[last : span.start] + PLACEHOLDERS[span.kind]
        last = span.end
    assert rebuilt + text[last:] == masked.text


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="address"):
        mask_personal_data("نص", {"address"})
    with pytest.raises(TypeError, match="NoneType"):
        mask_personal_data(None)
    with pytest.raises(TypeError, match="collection"):
        mask_personal_data("نص", "phone")


UNITS = (
    "1|3 |a|a@|BH1|رقم |حساب |طلب رقم |+973 |(|شقة |3900 1234/|ab 12 |طلب كلمة |سيارة بيت |4111 |3\n|3 ~ |"
    "٣️⃣|+1 |BH1 2|a at |a dot |ا@|[at] |جواز كلمة |رقم الحساب كلمة |passport word |passport (word) |"
    "account word |رقم 3 9 |0 0 9 7 3 |00966 |تلفون 36 12 20 |REQ-1|1/|أنا كلمة |اسمي |طلب 12 كلمة |"
    "شكوى 12/5/2024 |طلب 2004 رقم |12345 رقم طلبي |O0 |0O1l2|طلب ....|طلب كلمة 1 |حساب 1 كلمة 2010 |"
    "account word 1 "
)


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS.split("|"))
def test_time_grows_no_faster_than_the_text(unit):
    assert growth(lambda text: mask_personal_data(text, EVERYTHING), unit * (80_000 // len(unit))) < LINEAR


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
