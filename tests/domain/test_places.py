"""find_places reads addresses and names, keeps spans on the original, and says what the governorate rests on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tawasul_nlp.domain import Gazetteer, find_places
from tawasul_nlp.domain.places.find import places_in
from tawasul_nlp.domain.words import split_words
from tests.growth import LINEAR, growth
from tests.packs import changed_domain

CASES = Path(__file__).parents[2] / "training" / "data" / "cases.jsonl"


def named(text, kind=None):
    return [text[m.start : m.end] for m in find_places(text).mentions if kind is None or m.kind == kind]


@pytest.mark.parametrize(
    ("text", "governorate"),
    [
        ("الزبالة متراكمة بالمحرق من اسبوع", "muharraq"),
        ("نطلب إنارة للرفاع الشرقي", "southern"),
        ("طفح مجاري في مجمع ٢١٤ طريق ١٤٢٧", "muharraq"),
        ("حفرة كبيرة عند مدخل مجمع 925", "southern"),
        ("الماي مقطوع عن مجمع 712", "northern"),
        ("شارعنا في أبو صيبع مكسر", "northern"),
        ("شارعنا في بوصيبع مكسر", "northern"),
        ("بيتنا بأم الحصم", "capital"),
        ("أنا من سكنة الحد وأشتكي من الريحة", "muharraq"),
        ("المحرگ ما فيها مواقف", "muharraq"),
        ("المُحَرَّق", "muharraq"),
        ("يا بلدية الشمالية وينكم", "northern"),
        ("el majari 6af7a fe el mu7arraq", "muharraq"),
        ("bait 3ood fe madinat 7amad", "northern"),
        ("Water leak in Isa Town block 807", "southern"),
        ("Cars park across my gate in Juffair", "capital"),
        ("no water in Isatown since morning", "southern"),
        ("street light broken in Hamadtown", "northern"),
        ("زحمة عند مول السيف", "capital"),
    ],
)
def test_a_place_gives_its_governorate(text, governorate):
    places = find_places(text)
    assert places.governorate == governorate
    assert places.evidence


@pytest.mark.parametrize(
    "text",
    [
        "الراتب أقل من الحد الأدنى للأجور",
        "وصلت المخالفات إلى الحد غير المعقول",
        "صوت عالي كل ليلة",
        "الموضوع سار على ما يرام",
        "الجو حار والمدرسة بدون مكيف",
        "عندي سند قبض بالمبلغ",
        "يبون نلبس سترة نجاة وسترة عاكسة",
        "موعدي يوم الخميس",
        "أسكن في الدور الثاني",
        "كسر في القدم",
        "نحن بصدد إعداد الطلب",
        "رحت وزارة الخارجية حق التصديق",
        "رقم الملف لديه والبلدية ما ردت",
        "ولدت زوجتي بعملية القيصرية",
        "ma 7ad et9al feeni",
        "I had a problem with the barber",
        "المجمع التجاري مسكر وراعي المجمع ما يرد",
    ],
)
def test_common_words_that_look_like_places_are_left_alone(text):
    assert find_places(text).governorate is None


@pytest.mark.parametrize(
    "text",
    [
        "نطلب رفع القمامة المتراكمة أمام المنزل، ونحن بصدد رفع شكوى رسمية",
        "نحن بصدد تقديم شكوى، الإنارة مطفأة في طريق 2512",
        "القمامة متراكمة وتقديم الشكوى مو عملية سهلة",
        "التعليمات السهلة الاستخدام ما فادتنا",
        "القمامة متراكمة يم بوري الماي",
        "انكسر البوري والماي يطفح في الشارع",
        "لبوري انكسر جدام بيتنا",
        "السايق يدق بوري السيارة كل فير",
        "كسرت قفول الباب ولونها الفاتح",
        "سرقوا لقفول وكسروا القفول كلها",
        "جوازات السفر الدبلوماسية",
        "اشتريت سترة من المحل",
        "نزلت البحر ولبست سترة",
        "ما عندهم سترة للنجاة",
        "تهاوشوا وقطعوا بالسيف",
        "الدير بالك من الحفرة",
        "خلكم في الدور لين نناديكم",
        "إشعار مالك المبنى ومالكيه بالرسوم",
        "ريحة محرق النفايات",
        "المسعفين ما عندهم حمالة",
        "الموظف كلمني بسفالة",
        "السمج ميت في البندر",
        "الماي العكر يطلع من الحنفية",
        "boori el mai inkesar 3indna",
        "el boori inkesar jdam el bait",
        "el door 7ag el a63al mata",
        "akher marra wagaft el sayyara 3ndkum",
        "el ma6ar da5al el bait",
        "el 3amaliya mub sehla",
        "kel shay ma7roog min 3ndkum",
        "الله يرحمه ويسكنه جنات النعيم",
        "شكوى على السلطة العدلية",
        "حتى في الحالات السهلة ما يردون",
        "ارتفاع السور 3 م 250 كيلو",
    ],
)
def test_ordinary_words_are_evidence_of_no_governorate(text):
    assert [m.id for m in find_places(text).mentions if m.strength == "strong"] == []


@pytest.mark.parametrize(
    ("text", "governorate"),
    [
        ("بوري الماي انكسر جدام بيتنا في الرفاع", "southern"),
        ("بوري بالرفاع انكسر", "southern"),
        ("المهمة سهلة بس الزبالة في الرفاع", "southern"),
        ("نحن بصدد تقديم شكوى، الإنارة مطفأة في طريق 2512 بالبسيتين", "muharraq"),
        ("ana 3ali w saken fe saar", "northern"),
        ("زيدوا ارتفاع السور مثل بوري", "northern"),
        ("مدرسة بوري زحمة", "northern"),
        ("in Buri the road is broken", "northern"),
        ("الباص ما يوصل صوب صدد", "northern"),
        ("السهلة مجمع 411", "capital"),
        ("أحجار الرصيف في الفاتح متكسرة", "capital"),
        ("القفول صارت كمب", "capital"),
        ("جدام فنادق الدبلوماسية", "capital"),
        ("منزلنا في الخارجية بسترة", "capital"),
    ],
)
def test_the_true_place_is_read_beside_an_ordinary_word(text, governorate):
    assert find_places(text).governorate == governorate


@pytest.mark.parametrize(
    ("text", "governorate", "area"),
    [
        ("نقلت من المحرق لسترة، شلون أبدل مركزي؟", "capital", "sitra"),
        ("انتقلنا العام من الرفاع إلى مدينة عيسى والماي مقطوع", "southern", "isa_town"),
        ("We moved from Juffair to Riffa last week", "southern", "riffa"),
        ("انتقلت من المحرق وللحين ما غيروا عنواني", "muharraq", "muharraq_city"),
        ("الشارع من سترة إلى مدينة خليفة مظلم", None, "sitra"),
    ],
)
def test_a_place_that_somebody_moved_from_yields_to_any_other(text, governorate, area):
    places = find_places(text)
    assert (places.governorate, places.area) == (governorate, area)


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("ط 1410 م 714 ب 22", [714]),
        ("م 714 ط 1410", [714]),
        ("مجمعنا 428 بلا ماي", [428]),
        ("مجمعات ٤٢٦ و٤٢٨", [426, 428]),
        ("مجمع 426/428 ومجمع 424-430", [426, 428, 424, 430]),
        ("مجمع 426 - 50 دينار", [426]),
        ("مجمع 207، 215 شجرة", [207]),
        ("مجمع 701 و703", [701, 703]),
        ("الشارع بين مجمعين، 730 و 732، مظلم", [730, 732]),
        ("مجمع 701 و1150 مشترك", [701]),
        ("عالي م 732: ليت الشارع خربان", [732]),
        ("المتصل من جرداب م 729، يطلب تبليط ساحة", [729]),
        ("م 729 جرداب - حفرة", [729]),
        ("م 729 بمدينة عيسى", [729]),
        ("حفرنا م 790 وما لقينا شي", []),
        ("عرض الساحة م 790. عالي صوت المكيفات", []),
        ("المسافة 3 م 250 كيلو", []),
    ],
)
def test_blocks_are_read_in_the_short_forms_of_notes(text, blocks):
    assert [mention.number for mention in find_places(text).mentions if mention.kind == "block"] == blocks


@pytest.mark.parametrize(
    ("text", "governorate"),
    [
        ("اتصلنا ببلدية المحرق وقالوا مو عندنا، احنا في الرفاع", "southern"),
        ("اتصلت ببلدية الشمالية والزبالة في سترة", "capital"),
        ("بلدية المنطقة الجنوبية ما ردت، الحفرة عند سيتي سنتر", "capital"),
        ("أمانة العاصمة ما ردت، الزبالة في عراد", "muharraq"),
        ("I called Muharraq Municipality, the trash is in Riffa", "southern"),
        ("I wrote to the Municipality of Muharraq, the trash is in Riffa", "southern"),
        ("kallamt baladiyat el m7arrag, el zbala fe Riffa", "southern"),
        ("يا بلدية المحرق شيلوا الزبالة", "muharraq"),
    ],
)
def test_any_place_outweighs_the_name_of_a_municipality(text, governorate):
    assert find_places(text).governorate == governorate


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("حفرة في الحد عند المسجد", "hidd"),
        ("الحد 109: ضغط الماي ضعيف", "hidd"),
        ("شكوى من سكان سار", "saar"),
        ("متصل من عالي يطلب الرد", "aali"),
        ("بيتنا بسترة", "sitra"),
        ("باص مدارس جو وعسكر ما وصل", "jaw"),
    ],
)
def test_the_same_words_are_places_where_the_context_says_so(text, area):
    assert find_places(text).area == area


def test_a_mall_is_not_a_block_and_a_block_needs_a_number():
    assert find_places("زحمة عند مجمع السيف").block is None
    assert find_places("زحمة عند مجمع رقم 428").block == 428


def test_the_parts_of_an_address_are_read_with_their_numbers():
    text = "منزل 2115 طريق رقم ٢٦٤٤ البسيتين 227"
    read = [(m.kind, m.number) for m in find_places(text).mentions]
    assert read == [("house", 2115), ("road", 2644), ("area", None), ("block", 227)]


def test_two_blocks_after_one_word_are_both_read():
    numbers = [m.number for m in find_places("شارع 20 بين مجمعي 224 و226").mentions if m.kind == "block"]
    assert numbers == [224, 226]


def test_a_count_is_not_a_house_number():
    assert named("عندنا بيت 4 غرف", "house") == []


def test_an_amount_after_an_area_is_not_a_block():
    assert find_places("دفعت في عراد 300 دينار").block is None


def test_spans_lie_on_the_original_text_without_the_attached_particle():
    assert named("ساكنين بالمُحَرَّق") == ["المُحَرَّق"]
    assert named("نقل للرفاع") == ["لرفاع"]
    assert named("blk714 road 1425") == ["blk714", "road 1425"]


def test_a_block_outweighs_an_area_and_an_area_outweighs_a_place_that_everyone_visits():
    assert find_places("نروح المحرق كل يوم، بيتنا مجمع 925").governorate == "southern"
    far = find_places("السلمانية ما يردون علينا واحنا من قلالي")
    assert (far.governorate, far.area) == ("muharraq", "galali")
    assert any(sentence.startswith("but ") for sentence in far.evidence)


def test_a_recollected_range_alone_never_gives_a_governorate_but_is_told():
    places = find_places("الحديقة في مجمع ١٢١٦ مسكرة")
    assert places.governorate is None
    assert places.block == 1216
    assert "recollected" in places.evidence[0]


def test_an_institution_of_the_whole_country_places_a_case_only_when_the_text_says_near():
    assert find_places("طلبة جامعة البحرين يطلبون باص").governorate is None
    assert find_places("حفرة قرب جامعة البحرين").governorate == "southern"


def test_a_phrase_does_not_run_across_a_sentence_end():
    assert "manama_souq" not in [m.id for m in find_places("رحت سوق. المنامة زحمة").mentions]


class MayOpenAnything(dict):
    def __missing__(self, word):
        return True, True


def test_no_place_begins_with_a_word_that_is_passed_over():
    looks_everywhere = replace(Gazetteer.load(), openers=MayOpenAnything())
    texts = [json.loads(line)["text"] for line in CASES.read_text(encoding="utf-8").splitlines()[:400]]
    texts += [
        text
        for place in Gazetteer.load().places.values()
        for text in (f"في {place.name_ar} 338", f"ب{place.name_ar}", f"fe {place.name_en.lower()} blk714 w 715")
    ]
    texts += ["bil7ad 7amad 7546", "elmuharraq rifa3 3arad", "م 714 ط 1410", "عالمحرق لمحرق يابلدية المحرق", "\0 ' ء"]
    assert sum(bool(find_places(text)) for text in texts) > 700
    for text in texts:
        assert find_places(text) == places_in(text, looks_everywhere)


def test_text_without_places_gives_an_empty_falsy_result():
    places = find_places("")
    assert not places
    assert (places.mentions, places.governorate, places.block, places.area) == ((), None, None, None)


@pytest.mark.parametrize("value", [None, 7, b"x"])
def test_anything_but_a_str_is_refused(value):
    with pytest.raises(TypeError, match="is a .* expected a str"):
        find_places(value)


def test_every_block_of_the_gazetteer_keeps_the_governorate_of_its_area():
    gazetteer = Gazetteer.load()
    for place in gazetteer.places.values():
        for block in place.blocks_seen:
            assert gazetteer.block_governorate(block) == (place.governorate, "strong")
        for block in place.blocks_recollected:
            assert gazetteer.block_governorate(block)[0] == place.governorate or place.governorate is None


@pytest.mark.parametrize(
    ("text", "level", "number"),
    [
        ("7ufra fe mojamma3 714", "block", 714),
        ("majma3 226 mafee may", "block", 226),
        ("6ari8 1425 mokassar", "road", 1425),
    ],
)
def test_numbered_places_are_read_in_arabizi(text, level, number):
    assert find_places(text).at(level) == number


def test_a_recollected_block_is_read_but_no_case_is_routed_by_it_alone():
    places = find_places("حفرة في مجمع 732")
    assert (places.block, places.governorate, places.mentions[0].governorate) == (732, None, "northern")
    assert find_places("عالي 732").block == 732


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("المخطط الجديد مال السهلة", "sehla"),
        ("الإنارة مطفأة في السهلة الشمالية", "north_sehla"),
        ("شارع جبلة حبشي مكسر", "jeblat_hebshi"),
    ],
)
def test_an_area_whose_governorate_is_not_certain_is_found_and_routes_nothing(text, area):
    places = find_places(text)
    assert (places.area, places.governorate) == (area, None)


def test_the_parts_of_a_town_lie_in_its_governorate():
    places = Gazetteer.load().places
    parts = [place for place in places.values() if place.part_of is not None]
    assert {"wadyan", "halat_bu_maher", "hajiyat"} <= {part.id for part in parts}
    for part in parts:
        assert len({part.governorate, places[part.part_of].governorate} - {None}) <= 1


def test_a_block_that_is_recollected_for_places_of_two_governorates_is_of_none(tmp_path):
    old, new = "blocks_recollected: [721]", "blocks_recollected: [721, 732]"
    gazetteer = changed_domain(tmp_path, "gazetteer", old, new).gazetteer
    assert [gazetteer.block_governorate(block)[0] for block in (721, 732)] == ["capital", None]


def test_every_place_is_found_by_its_own_names_after_a_word_for_place():
    for place in Gazetteer.load().places.values():
        for name in (place.name_ar, place.name_en):
            found = [m.id for m in find_places(f"نسكن في منطقة {name}").mentions]
            assert place.id in found, (name, found)


ALPHABET = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئىةگچپ ًَُّْـ٠١٢٣٤٥٦٧٨٩0123456789abmu7ar.,:-()\n\u200f\u200d"


@settings(max_examples=150)
@given(st.one_of(st.text(alphabet=ALPHABET, max_size=80), st.text(max_size=60)))
def test_spans_are_always_valid_and_in_order(text):
    end = 0
    for mention in find_places(text).mentions:
        assert 0 <= mention.start < mention.end <= len(text)
        assert mention.start >= end
        end = mention.end


@settings(max_examples=60)
@given(st.sampled_from(["المحرق", "بوكوارة", "سماهيج", "توبلي", "مدينة حمد"]), st.integers(0, 4), st.booleans())
def test_tatweel_marks_and_digits_do_not_hide_a_place(name, position, marked):
    spelled = name[: position + 1] + ("ُ" if marked else "ـ") + name[position + 1 :]
    assert find_places(f"في {spelled}").area == find_places(f"في {name}").area is not None


@pytest.mark.parametrize("unit", ["ا", "المحرق ", "مجمع 226 ", "و", "بال", "7a", "el mu7arraq "])
def test_time_grows_linearly_with_the_text(unit):
    def find(text):
        split_words.cache_clear()
        find_places(text)

    assert growth(find, unit * (160_000 // len(unit))) < LINEAR


def test_a_word_of_a_megabyte_is_passed_over():
    assert find_places("ا" * 1_000_000 + " في المحرق").governorate == "muharraq"
