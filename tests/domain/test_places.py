"""find_places reads addresses and names, keeps spans on the original, and says what the governorate rests on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tawasul_nlp.domain import Gazetteer, find_places
from tawasul_nlp.domain.words import split_words
from tests.growth import LINEAR, growth
from tests.packs import changed_domain


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
        ("شارعنا في بوصيبع مكسر", "northern"),
        ("المُحَرَّق", "muharraq"),
        ("يا بلدية الشمالية وينكم", "northern"),
        ("el majari 6af7a fe el mu7arraq", "muharraq"),
        ("Water leak in Isa Town block 807", "southern"),
        ("no water in Isatown since morning", "southern"),
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
        "صوت عالي كل ليلة",
        "الموضوع سار على ما يرام",
        "عندي سند قبض بالمبلغ",
        "موعدي يوم الخميس",
        "رحت وزارة الخارجية حق التصديق",
        "ولدت زوجتي بعملية القيصرية",
        "ma 7ad et9al feeni",
        "I had a problem with the barber",
        "المجمع التجاري مسكر وراعي المجمع ما يرد",
        "نطلب رفع القمامة المتراكمة أمام المنزل، ونحن بصدد رفع شكوى رسمية",
        "التعليمات السهلة الاستخدام ما فادتنا",
        "انكسر البوري والماي يطفح في الشارع",
        "لبوري انكسر جدام بيتنا",
        "كسرت قفول الباب ولونها الفاتح",
        "اشتريت سترة من المحل",
        "ما عندهم سترة للنجاة",
        "تهاوشوا وقطعوا بالسيف",
        "ريحة محرق النفايات",
        "الموظف كلمني بسفالة",
        "الماي العكر يطلع من الحنفية",
        "boori el mai inkesar 3indna",
        "el door 7ag el a63al mata",
        "el ma6ar da5al el bait",
        "kel shay ma7roog min 3ndkum",
        "ارتفاع السور 3 م 250 كيلو",
    ],
)
def test_ordinary_words_are_evidence_of_no_governorate(text):
    assert [m.id for m in find_places(text).mentions if m.strength == "strong"] == []


@pytest.mark.parametrize(
    ("text", "governorate"),
    [
        ("بوري بالرفاع انكسر", "southern"),
        ("نحن بصدد تقديم شكوى، الإنارة مطفأة في طريق 2512 بالبسيتين", "muharraq"),
        ("زيدوا ارتفاع السور مثل بوري", "northern"),
        ("مدرسة بوري زحمة", "northern"),
        ("in Buri the road is broken", "northern"),
        ("السهلة مجمع 411", "capital"),
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
        ("مجمع 426/428 ومجمع 424-430", [426, 428, 424, 430]),
        ("مجمع 426 - 50 دينار", [426]),
        ("مجمع 207، 215 شجرة", [207]),
        ("الشارع بين مجمعين، 730 و 732، مظلم", [730, 732]),
        ("مجمع 701 و1150 مشترك", [701]),
        ("عالي م 732: ليت الشارع خربان", [732]),
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
        ("أمانة العاصمة ما ردت، الزبالة في عراد", "muharraq"),
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


@pytest.mark.parametrize(
    ("text", "kinds_and_numbers"),
    [
        ("منزل 2115 طريق رقم ٢٦٤٤ البسيتين 227", [("house", 2115), ("road", 2644), ("area", None), ("block", 227)]),
        ("شارع 20 بين مجمعي 224 و226", [("road", 20), ("block", 224), ("block", 226)]),
        ("7ufra fe mojamma3 714", [("block", 714)]),
        ("6ari8 1425 mokassar", [("road", 1425)]),
        ("زحمة عند مجمع رقم 428", [("block", 428)]),
        ("زحمة عند مجمع السيف", [("landmark", None)]),
        ("عندنا بيت 4 غرف", []),
        ("دفعت في عراد 300 دينار", [("area", None)]),
        ("رحت سوق. المنامة زحمة", [("area", None)]),
        ("", []),
    ],
)
def test_the_parts_of_an_address_are_read_with_their_numbers(text, kinds_and_numbers):
    places = find_places(text)
    assert [(mention.kind, mention.number) for mention in places.mentions] == kinds_and_numbers
    assert bool(places) == bool(kinds_and_numbers)


def test_anything_but_a_str_is_refused():
    with pytest.raises(TypeError, match="is a .* expected a str"):
        find_places(None)


def test_an_institution_of_the_whole_country_places_a_case_only_when_the_text_says_near():
    assert find_places("طلبة جامعة البحرين يطلبون باص").governorate is None
    assert find_places("حفرة قرب جامعة البحرين").governorate == "southern"


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


def test_every_block_of_the_gazetteer_keeps_the_governorate_of_its_area():
    gazetteer = Gazetteer.load()
    for place in gazetteer.places.values():
        for block in place.blocks_seen:
            assert gazetteer.block_governorate(block) == (place.governorate, "strong")
        for block in place.blocks_recollected:
            assert gazetteer.block_governorate(block)[0] == place.governorate or place.governorate is None


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


def test_a_block_that_is_recollected_for_places_of_two_governorates_is_of_none(tmp_path):
    old, new = "blocks_recollected: [721]", "blocks_recollected: [721, 732]"
    gazetteer = changed_domain(tmp_path, "gazetteer", old, new).gazetteer
    assert [gazetteer.block_governorate(block)[0] for block in (721, 732)] == ["capital", None]


def test_every_place_is_found_by_its_own_names_after_a_word_for_place():
    for place in Gazetteer.load().places.values():
        for name in (place.name_ar, place.name_en):
            ids = [mention.id for mention in find_places(f"نسكن في منطقة {name}").mentions]
            assert place.id in ids, (name, ids)


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
