"""A case goes to its topic's agency, a municipal one to the municipality of its governorate; agencies are read by their names."""

import json
from pathlib import Path

import pytest

from tawasul_nlp import _yaml
from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.routing import agency_named, find_named_agencies, route
from tawasul_nlp.domain.taxonomy import UnknownIdError
from tawasul_nlp.errors import InvalidTextError
from tests.packs import BAHRAIN, CITIES, changed_domain, written

CASES = Path(__file__).parents[2] / "training" / "data" / "cases.jsonl"


@pytest.mark.parametrize(("where", "agency"), [("المحرق", "muharraq_municipality"), ("سار", "northern_municipality")])
def test_a_municipal_case_goes_to_the_municipality_of_the_place(where, agency):
    routing = route("waste_collection", find_places(f"القمامة متراكمة في {where}"))
    assert (routing.agency_id, routing.group, routing.needs) == (agency, "municipality", ())
    assert routing.rule == "municipality_by_place"
    assert Domain.bundled().taxonomy.agency(agency).name_ar in routing.reason_ar
    assert Domain.bundled().taxonomy.agency(agency).name_en in routing.reason_en


def test_without_a_place_the_group_is_the_answer_or_the_municipality_that_the_text_addresses():
    for places in (None, find_places("القمامة متراكمة من اسبوع"), find_places("القمامة في مجمع 1216")):
        routing = route("waste_collection", places)
        assert (routing.agency_id, routing.needs) == ("municipality", ("place",))
    routing = route("waste_collection", None, find_named_agencies("يا بلدية المحرق شيلوا الزبالة"))
    assert (routing.agency_id, routing.rule) == ("muharraq_municipality", "municipality_by_name")
    both = route("waste_collection", None, ["muharraq_municipality", "southern_municipality"])
    assert both.needs == ("place",)


@pytest.mark.parametrize(
    ("text", "agency"),
    [
        ("من سترة لين مدينة خليفة، يا بلدية الجنوبية شيلوا الزبالة", "municipality"),
        ("يا بلدية المحرق الحاوية في مجمع 925 مكسورة", "southern_municipality"),
        ("القمامة في مجمع 1216، يا بلدية الشمالية شيلوها", "northern_municipality"),
    ],
)
def test_a_municipality_is_taken_by_its_name_only_where_the_text_gives_no_place(text, agency):
    routing = route("waste_collection", find_places(text), find_named_agencies(text))
    assert (routing.agency_id, routing.needs) == (agency, ("place",) if agency == "municipality" else ())


def test_a_national_topic_needs_no_place_and_a_named_agency_does_not_change_the_owner():
    routing = route("road_damage", None, find_named_agencies("كلمت هيئة الكهرباء والماء"))
    assert (routing.agency_id, routing.needs, routing.also) == ("works", (), ("ewa",))
    routing = route("out_of_scope")
    assert (routing.agency_id, routing.group, routing.rule) == ("none", "none", "no_agency")


def test_advice_adds_agencies_and_reasons_but_never_changes_the_recipient():
    text = "ليتات حديقة المحرق الكبرى مطفية"
    routing = route("street_lighting_fault", find_places(text), text=text)
    assert routing.agency_id == "ewa"
    assert routing.also == ("muharraq_municipality",)
    assert routing.advice == ("R01_park_light",)
    assert "البلدية" in routing.reason_ar
    assert route("street_lighting_fault", find_places(text)).advice == ()
    # Cues are found with attached particles, and not inside other words.
    assert route("stray_animals", text="كلب عضه في الشارع").also == ("health",)
    assert route("stray_animals", text="الكلاب في بعض الشوارع").also == ()


@pytest.mark.skipif(not CASES.exists(), reason="the corpus is not part of the installed package")
def test_the_recipient_of_every_corpus_case_follows_the_label_convention():
    taxonomy = Domain.bundled().taxonomy
    for line in CASES.read_text(encoding="utf-8").splitlines()[:1500]:
        case = json.loads(line)
        places = find_places(case["text"])
        routing = route(case["topic"], places, find_named_agencies(case["text"]), case["text"])
        owner = taxonomy.agency_group(case["topic"])
        assert routing.group == owner
        if owner != "municipality":
            assert routing.agency_id == owner
        elif places.governorate:
            assert routing.agency_id == taxonomy.governorate(places.governorate).municipality
        assert routing.agency_id not in routing.also
        assert set(routing.also) <= set(taxonomy.agencies)


def test_unknown_topics_and_agencies_are_refused():
    with pytest.raises(UnknownIdError):
        route("potholes")
    with pytest.raises(UnknownIdError):
        route("road_damage", None, ["ministry_of_roads"])


def test_a_pack_routes_its_own_topics_by_its_own_rules(tmp_path):
    topics = "version: '1'\nkinds: []\ntopics:\n- {id: noise, agency: municipality, name_ar: ضوضاء, name_en: Noise}\n"
    rules = (BAHRAIN / "routing.yaml").read_text(encoding="utf-8").split("\nadvice:\n")[0]
    domain = Domain.load(written(tmp_path, taxonomy=topics, routing=rules))
    assert route("noise", find_places("في سترة"), domain=domain).agency_id == "capital_trustees"


def test_a_pack_gives_a_topic_to_another_agency_without_a_taxonomy_of_its_own(tmp_path):
    owners = "- {topic: waste_collection, agency: works}\n- {topic: road_damage, agency: municipality}\n"
    domain = changed_domain(tmp_path, "routing", "advice:", f"owners:\n{owners}\nadvice:")
    places = find_places("في الحد")
    assert route("waste_collection", places, domain=domain).agency_id == "works"
    assert route("road_damage", places, domain=domain).agency_id == "muharraq_municipality"
    assert domain.taxonomy.agency_group("road_damage") == "municipality"
    assert route("road_damage", places).agency_id == "works"


def test_a_group_may_have_members_by_town_and_then_a_part_of_the_town_counts_too(tmp_path):
    content = (BAHRAIN / "agencies.yaml").read_text(encoding="utf-8")
    start, end = content.index("  members:"), content.index("ambiguous_aliases:")
    by_town = "  by: area\n  members: {riffa: southern_municipality, hidd: muharraq_municipality}\n"
    domain = Domain.load(written(tmp_path, agencies=content[:start] + by_town + content[end:]))

    def recipient(text):
        return route("waste_collection", find_places(text, domain), domain=domain)

    assert recipient("القمامة في الحد").agency_id == "muharraq_municipality"
    assert recipient("القمامة في الرفاع الغربي").agency_id == "southern_municipality"
    assert "الرفاع" in recipient("القمامة في الرفاع").reason_ar
    assert recipient("القمامة في سترة").needs == ("place",)


def test_boundaries_lead_to_topics_of_the_taxonomy():
    boundaries = _yaml.read(BAHRAIN / "routing.yaml", _yaml.schema_of("routing"))["boundaries"]
    assert len(boundaries) > 20
    for boundary in boundaries:
        assert {case["then"] for case in boundary["cases"]} <= set(Domain.bundled().taxonomy.topics)


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
    for text in [*texts, *Domain.bundled().taxonomy.ambiguous_aliases]:
        assert ids(text) == []


def test_every_official_name_finds_its_own_agency():
    for agency in Domain.bundled().taxonomy.agencies.values():
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
    named |= {"العمل": "labour", "الصحة": "health", "البيئة": "environment", "التنمية": "social_development"}
    named |= {"العدل": "justice", "الداخلية": "interior", "بلدية المحرق": "muharraq_municipality"}
    named |= {"البلدية الجنوبية": "southern_municipality", "السلمانية": "gov_hospitals", "البلدية": "municipality"}
    assert {name: agency_named(name) for name in named} == named
    for name in ("الهيئة", "وزارة الأشغال والكهرباء", "", "شارع المعارض"):
        assert agency_named(name) is None
    for read in (agency_named, find_named_agencies):
        with pytest.raises(InvalidTextError, match="is a int, expected a str|is an int, expected a str"):
            read(7)
