"""A pack is one value: loaded once, compared by its files, carried whole, and refused with its file and line."""

import json
import pickle
from pathlib import Path

import pytest

from tawasul_nlp import mask_personal_data
from tawasul_nlp._yaml import DataError
from tawasul_nlp.domain import Domain, find_places
from tawasul_nlp.domain.routing import find_named_agencies, route
from tawasul_nlp.duplicates.case_places import case_places
from tawasul_nlp.prediction import Prediction
from tawasul_nlp.tables.added_columns import added_values, classification_columns
from tests.packs import BAHRAIN, CITIES, KUWAIT, changed, written
from tests.robustness import domain_packs

ROOT = Path(__file__).parents[2]
OWNER = "- {topic: water_leak, agency: ewa}\n"


def test_the_bundled_domain_is_loaded_once_and_is_the_one_that_all_take_without_another():
    domain = Domain.bundled()
    assert domain is Domain.bundled("bahrain")
    text = "القمامة في الحد مجمع 109 رقمي 39001234"
    assert find_places(text) == find_places(text, domain)
    assert mask_personal_data(text) == mask_personal_data(text, domain=domain)
    assert route("waste_collection", find_places(text)) == route("waste_collection", find_places(text), domain=domain)
    with pytest.raises(ValueError, match="no bundled domain 'atlantis', expected one of bahrain"):
        Domain.bundled("atlantis")


def test_domains_are_equal_if_their_files_are_and_survive_pickling_and_one_json_file():
    cities = Domain.load(CITIES)
    assert Domain.load(CITIES) is cities and cities != Domain.bundled()
    again = pickle.loads(pickle.dumps(cities))
    assert again == cities and hash(again) == hash(cities) and again.gazetteer.places == cities.gazetteer.places
    assert pickle.loads(pickle.dumps(Domain.bundled())) is Domain.bundled()
    assert len(pickle.dumps(Domain.bundled())) < 200
    again = Domain.from_json(cities.to_json(), "domain.json")
    assert again.fingerprint == cities.fingerprint and again.to_json() == cities.to_json()
    files = json.loads(cities.to_json())
    marked = json.dumps({**files, "routing.yaml": "\ufeff" + files["routing.yaml"]})
    assert Domain.from_json(Domain.from_json(marked, "a").to_json(), "b") == Domain.from_json(marked, "a") != cities


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not a domain pack"),
        ("{", "not a domain pack"),
        ('{"domain.yaml": 7}', "not a domain pack"),
        ("{}", "has no domain.yaml"),
        ("[" * 100_000, "not a domain pack"),
        (json.dumps({"domain.yaml": "id: x\nname_ar: x\nname_en: x\nversion: '1'\n"}), "lacks taxonomy.yaml"),
    ],
)
def test_a_damaged_json_file_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        Domain.from_json(content, "domain.json")


def test_a_pack_says_how_common_its_places_are_and_lends_that_to_no_other_gazetteer(tmp_path):
    bahrain = Domain.bundled()
    assert bahrain.common_places["riffa"] < bahrain.common_places["askar"]
    folder = written(tmp_path / "same")
    assert Domain.load(folder).common_places == bahrain.common_places
    assert Domain.load(changed(tmp_path / "own", "gazetteer", "  last: 1299", "  last: 1300")).common_places == {}
    (folder / "common_places.txt").write_text("# mine\n6 riffa\nmany sitra\n", "utf-8")
    with pytest.raises(DataError, match=r"common_places.txt:3: expected a level of rarity and its entries"):
        Domain.load(folder)


def test_a_changed_file_makes_another_domain_and_only_places_and_numbers_another_comparison(tmp_path):
    bahrain = Domain.bundled()
    renamed = Domain.load(changed(tmp_path / "a", "agencies", "name_en: ", "name_en: The "))
    assert renamed != bahrain and renamed.case_fingerprint == bahrain.case_fingerprint
    moved = Domain.load(changed(tmp_path / "b", "gazetteer", "  last: 1299", "  last: 1300"))
    assert moved.case_fingerprint != bahrain.case_fingerprint


def test_what_a_folder_lacks_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        Domain.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no domain.yaml; write one with id, name_ar, name_en and version"):
        Domain.load(tmp_path)
    folder = written(tmp_path / "mine")
    assert Domain.load(folder).taxonomy.topics == Domain.bundled().taxonomy.topics
    head = (folder / "domain.yaml").read_text("utf-8")
    (folder / "domain.yaml").write_text(head.replace("based_on: bahrain\n", ""), "utf-8")
    with pytest.raises(DataError, match=r"yaml:1: the pack lacks taxonomy.yaml, .*, personal.yaml; write them, or"):
        Domain.load(folder)
    (folder / "domain.yaml").write_text(head.replace("bahrain", "atlantis"), "utf-8")
    with pytest.raises(DataError, match="based on 'atlantis', expected a bundled pack: bahrain"):
        Domain.load(folder)


def test_an_alias_in_a_file_is_refused_since_it_can_make_a_small_file_large(tmp_path):
    folder = changed(tmp_path, "taxonomy", "version: '1.1'\n", "version: &a '1.1'\nkinds: *a\n")
    with pytest.raises(DataError, match=r"taxonomy.yaml:\d+: an alias \(\*name\) refers to this"):
        Domain.load(folder)


def test_another_country_has_its_own_levels_routing_and_columns():
    cities = Domain.load(CITIES)
    text = "القمامة متراكمة في حي العليا بالرياض"
    places = find_places(text, cities)
    assert (places.governorate, places.area, places.block) == ("riyadh", "olaya", None)
    assert (places.at("city"), places.at("district")) == ("riyadh", "olaya")
    with pytest.raises(ValueError, match="got the level 'block', expected one of city, district"):
        places.at("block")
    routing = route("waste", places, domain=cities)
    assert (routing.agency_id, routing.reason_en) == ("riyadh_municipality", "In Riyadh: Riyadh Municipality.")
    assert route("waste", find_places("شارع التحلية", cities), domain=cities).agency_id == "jeddah_municipality"
    assert [mention.id for mention in find_named_agencies("يا أمانة محافظة جدة", cities)] == ["jeddah_municipality"]
    assert cities.taxonomy.agencies_by_code()["700"].id == "power"
    assert find_places("انقطع الماء عن مجمع 711", cities).mentions == ()


def test_bahrains_columns_of_places_are_what_they_were():
    assert {"governorate", "block", "town", "quarter", "road", "landmark"} < set(classification_columns())
    assert list(Domain.bundled().gazetteer.levels.columns()) == ["governorate", "block", "town"]
    cities, kuwait = (Domain.load(folder).gazetteer.levels for folder in (CITIES, KUWAIT))
    assert list(cities.columns()) == ["city", "district"]
    assert not {"block", "road"} & set(classification_columns(levels=cities))
    assert {"block", "area", "quarter", "road", "landmark"} < set(classification_columns(levels=kuwait))


def test_a_number_that_is_unique_in_a_place_only_names_one_with_it():
    kuwait = Domain.load(KUWAIT)

    def read(text):
        return [(mention.number, mention.within) for mention in find_places(text, kuwait).mentions if mention.number]

    assert read("السالمية قطعة 3") == [(3, "salmiya")]
    assert read("قطعة ٣ السالمية شارع 5") == [(3, "salmiya"), (5, "salmiya/3")]
    assert read("الرميثية ق٤ ش٤٣") == [(4, "rumaithiya"), (43, "rumaithiya/4")]
    assert read("رحت حولي أمس، والحفرة في قطعة 3 السالمية") == [(3, "salmiya")]
    assert read("السالمية قطعة 3 ثم حولي قطعة 5") == [(3, "salmiya"), (5, "hawalli_town")]
    assert read("قطعة 3") == [(3, None)]
    places = find_places("انتقلت من حولي إلى السالمية، الحفرة بالسالمية قطعة 3", kuwait)
    assert (places.area, places.block, places.at("area"), places.at("block")) == ("salmiya", 3, "salmiya", 3)


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("السالمية شارع عمان سكة المطاعم", "salmiya"),
        ("جمعية هدية ما وزعت الأرباح", "hadiya"),
        ("بعارين سايبة على طريق السالمي", None),
    ],
)
def test_an_area_that_is_called_as_a_word_is_read_where_an_address_or_a_local_body_says_so(text, area):
    assert find_places(text, Domain.load(KUWAIT)).area == area


def test_a_block_of_one_area_is_not_that_of_another_and_alone_it_is_no_place():
    kuwait = Domain.load(KUWAIT)
    salmiya, hawalli, again = (
        case_places(text, None, kuwait).codes["blocks"] for text in ("السالمية قطعة 3", "حولي قطعة 3", "ق3 بالسالمية")
    )
    assert salmiya == again != hawalli and len(salmiya) == 1
    alone = case_places("الكهربا طافية قطعة 3", None, kuwait)
    assert alone.codes["blocks"] == [] and alone.numbers == []
    by_column = case_places("الكهربا طافية بالسالمية", "3", kuwait)
    assert by_column.codes["blocks"] == salmiya
    assert case_places("حفرة", "714", Domain.bundled()).codes["blocks"] == [714]


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("gazetteer", "  unique_in: country\n", "  unique_in: road\n", "unique in 'road', expected 'country'"),
        ("gazetteer", "- id: house\n", "- id: street\n", "a level cannot be called 'street'"),
        ("gazetteer", "- id: house\n", "- id: road\n", "level id 'road' was already used"),
        ("gazetteer", "House\n  words: [منزل", "House\n  words: [مجمع, منزل", "introduces the numbers of 'block'"),
        ("gazetteer", "  first: 100\n  last: 1299", "  first: 1299\n  last: 100", "the numbers 1299 to 100 are none"),
        ("gazetteer", "  unique_in: country\n", "  unique_in: area\n", "only blocks that are unique in the country"),
        ("gazetteer", "226, 228, 229]", "226, 228, 229, 317]", "a block has one governorate"),
        ("gazetteer", "  last: 199\n", "  last: 299\n", "the range from 201 overlaps the one from 101 to 299"),
        ("gazetteer", "  last: 199\n", "  last: 99\n", "the range 101 to 99 is empty"),
        ("gazetteer", "- form: سار\n", "- form: السَّيف\n", "appears twice"),
        ("gazetteer", "- id: tubli\n", "- id: northern\n", "place id 'northern' is already a governorate's"),
        ("gazetteer", "part_of: sehla\n", "part_of: sihla\n", "is part of 'sihla', which must be a place"),
        ("gazetteer", "- id: sehla\n", "- id: sehla\n  part_of: sitra\n", "which must be a place that is not"),
        ("agencies", "of the governorate\n", "of it\n  by: block\n", "has members by 'block', expected"),
        ("agencies", "- id: works\n", "- id: works\n  codes: [ewa]\n", "'ewa' of 'works' already stands for"),
        ("agencies", "    capital: ", "    capital: works\n    capital: ", "key 'capital' appears twice"),
        ("agencies", "    capital: c", "    capitol: c", "an unknown governorate or agency"),
        ("routing", "topics: [sewage_overflow]", "topics: [sewage]", "unknown topic 'sewage'"),
        ("routing", "also: [works]", "also: [roads]", "unknown agency 'roads'"),
        ("routing", "advice:\n", "owners:\n- {topic: leak, agency: ewa}\nadvice:\n", "unknown topic 'leak'"),
        ("routing", "advice:\n", "owners:\n- {topic: water_leak, agency: water}\nadvice:\n", "unknown owner 'water'"),
        ("routing", "advice:\n", f"owners:\n{OWNER}{OWNER}advice:\n", "already has an owner on line"),
        ("routing", "{agency} owns the topic", "{owner} owns the topic", "has braces with something else"),
        ("routing", "{agency} owns the topic", "{agency.__class__} owns the topic", "has braces with something else"),
        ("personal", "forms: [YYMM#####]", "forms: ['(\\d+)+']", "got the form"),
        ("personal", "forms: [YYMM#####]", "forms: []", "forms is empty"),
        ("personal", "forms: [YYMM#####]", "forms: ['###']", "numbers have 3 to 8 digits, expected 6 to 15"),
        ("personal", "adjectives: [شخصي, سكاني]", "adjectives: ['شخصي.*']", "got the word"),
        ("personal", "groups: ['9', 4 5", "groups: ['9', 4-5", "expected numbers of digits such as"),
        ("personal", "country_code: '973'", "country_code: '+973'", "expected at most 15 digits"),
        ("personal", "iban: BH", "iban: bh", "capital letters"),
        ("personal", "currency_signs: [د.ب]", "currency_signs: ['د ب']", "a sign of at most 8 letters"),
        ("personal", "public: ['17155363']", f"public: {list(map(str, range(10**7, 10**7 + 600)))}", "at most 500"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_with_its_line(tmp_path, name, old, new, message):
    with pytest.raises(DataError, match=rf"{name}.yaml:\d+: .*{message}"):
        Domain.load(changed(tmp_path, name, old, new))


def test_a_taxonomy_may_name_agencies_by_their_codes(tmp_path):
    content = (BAHRAIN / "agencies.yaml").read_text("utf-8")
    renamed = content.replace("- id: works\n", "- id: roads\n  codes: [works]\n")
    domain = Domain.load(written(tmp_path, agencies=renamed))
    assert domain.taxonomy.topic("road_damage").agency == "roads"
    assert route("road_damage", domain=domain).agency_id == "roads"
    assert domain.routing.advice != Domain.bundled().routing.advice


def test_names_are_found_in_the_spelling_of_a_dialect_and_never_instead_of_another_name(tmp_path):
    kuwait = Domain.load(KUWAIT)
    assert find_places("الكهربا طافية باليابرية", kuwait).area == "jabriya"
    assert find_places("الكهربا طافية باليابرية").area is None
    letters = "letters: [{{letter: {}, also: {}}}]\nhomographs:\n".format
    domain = Domain.load(changed(tmp_path / "a", "gazetteer", "homographs:\n", letters("ر", "د")))
    assert find_places("نسكن في سند", domain).area == "sanad"
    assert find_places("نسكن في عداد", domain).area == "arad" and find_places("نسكن في سدرة", domain).area is None
    with pytest.raises(DataError, match=r"gazetteer.yaml:\d+: got 'أ' and 'ا', expected two letters that differ"):
        Domain.load(changed(tmp_path / "b", "gazetteer", "homographs:\n", letters("أ", "ا")))


def test_damaged_packs_are_refused_or_serve_and_made_up_countries_are_masked():
    for outcome in (domain_packs.damage_packs(trials=12, seed=1), domain_packs.mask_made_up(trials=12, seed=1)):
        assert outcome.failures == 0, (outcome.attack, outcome.note)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("taxonomy", "version: "),
        ("taxonomy", "  agency: municipality\n"),
        ("agencies", "version: "),
        ("agencies", "  name_ar: البلدية المختصة\n"),
        ("agencies", "  kind: ministry\n"),
        ("gazetteer", "version: "),
        ("gazetteer", "  unique_in: country\n"),
        ("gazetteer", "  municipality: capital_trustees\n"),
        ("gazetteer", "  kind: city\n"),
        ("gazetteer", "  needs: context\n"),
        ("gazetteer", "  # Words that look like a particle and a name, and are not.\n"),
        ("routing", "version: "),
        ("routing", "  also: [municipality]\n"),
        ("personal", "version: "),
        ("personal", "  placeholder: "),
        ("personal", "  country_code: "),
    ],
)
def test_the_page_describes_every_key(tmp_path, name, before):
    page = (ROOT / "docs" / "domain.md").read_text("utf-8")
    indent = before[: len(before) - len(before.lstrip())]
    with pytest.raises(DataError, match="unknown key 'zzz'; known keys: ") as caught:
        Domain.load(changed(tmp_path, name, before, f"{indent}zzz: 1\n{before}"))
    keys = set(str(caught.value).split("known keys: ")[1].split(", "))
    common_lists = {key for key in keys if key.endswith("_words")}
    assert {key for key in keys - common_lists if f"`{key}`" not in page and f"{key}: " not in page} == set()


def test_quarters_roads_and_landmarks_of_a_text_have_columns_but_national_bodies_are_no_landmarks():
    def columns(text, domain):
        prediction = Prediction(text, {}, find_places(text, domain))
        return added_values(prediction, ("town", "quarter", "road", "landmark"), domain.gazetteer.levels)

    bahrain = Domain.bundled()
    assert columns("حفرة في شارع ولي العهد قرب مجمع السيف", bahrain) == [None, None, "شارع ولي العهد", "مجمع السيف"]
    assert columns("ضاحية السيف طريق 1425 مجمع 428", bahrain)[2] == "1425"
    assert columns("راجعت وزارة الصحة", bahrain) == [None] * 4
    quarter = next(place for place in bahrain.gazetteer.places.values() if place.is_quarter)
    assert columns(f"انقطع الماء في {quarter.name_ar}", bahrain)[:2] == [quarter.name_ar] * 2
