"""find_named_agencies reads official names, former names and aliases, and leaves ambiguous words alone."""

import pytest

from tawasul_nlp.domain import Domain, Taxonomy, agency_named, find_named_agencies
from tawasul_nlp.errors import InvalidTextError
from tests.packs import CITIES


def ids(text):
    return [mention.id for mention in find_named_agencies(text)]


@pytest.mark.parametrize(
    ("text", "agency"),
    [
        ("وزارة الاشغال ما ردت", "works"),
        ("شئون الجنسية والجوازات والاقامه", "npra"),
        ("كلمت هيئه الكهرباء", "ewa"),
        ("عطوني موعد في هيئة تنظيم سوق العمل", "lmra"),
        ("I called LMRA twice", "lmra"),
        ("أمانة العاصمة تطالبني", "capital_trustees"),
        ("I wrote to the Municipality of Muharraq", "muharraq_municipality"),
    ],
)
def test_names_and_aliases_are_found_in_their_spellings(text, agency):
    assert agency in ids(text)


def test_ambiguous_words_and_aliases_name_no_agency():
    texts = ["وين البلدية؟", "الكهرباء مقطوعة", "تواصل معي أحد", "الشوارع الداخلية مكسرة والتمديدات الداخلية قديمة", ""]
    for text in [*texts, *Taxonomy.load().ambiguous_aliases]:
        assert ids(text) == []


def test_every_official_name_finds_its_own_agency():
    for agency in Taxonomy.load().agencies.values():
        if agency.kind not in ("none", "group"):
            assert ids(agency.name_ar) == [agency.id]
            assert ids(agency.name_en) == [agency.id]


def test_a_former_name_that_two_agencies_share_names_neither():
    assert ids("وزارة الطاقة") == ["ewa"]
    assert "social_development" not in ids("وزارة العمل والتنمية الاجتماعية")


def test_spans_lie_on_the_original_text():
    text = "راجعت وزارةُ الإسكان ثم لوزارة العمل"
    assert [text[m.start : m.end] for m in find_named_agencies(text)] == ["وزارةُ الإسكان", "وزارة العمل"]


def test_a_whole_cell_is_read_as_an_agency_by_id_code_or_name():
    cities = Domain.load(CITIES)
    assert agency_named("700", cities) == "power"
    named = {"works": "works", " وزارة الاشغال ": "works", "البلدية المختصة": "municipality", "No agency": "none"}
    assert {name: agency_named(name) for name in named} == named
    for name in ("البلدية", "الكهرباء", "وزارة الأشغال والكهرباء", "", "شارع المعارض"):
        assert agency_named(name) is None
    for read in (agency_named, find_named_agencies):
        with pytest.raises(InvalidTextError, match="is a int, expected a str|is an int, expected a str"):
            read(7)
