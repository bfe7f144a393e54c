"""The bundled data is sound, and a user's own file is refused with its file and line when it is not."""

import pickle
import shutil

import pytest
import yaml

from tawasul_nlp._yaml import list_of, read, record, text
from tawasul_nlp.domain import DataError, Gazetteer, Taxonomy, UnknownIdError, find_places
from tawasul_nlp.domain.places.find import places_in
from tests.packs import BAHRAIN

TAXONOMY = """\
version: '1'
kinds:
- {id: complaint, name_ar: شكوى, name_en: Complaint}
topics:
- {id: noise, agency: interior, name_ar: ضوضاء, name_en: Noise}
"""


def test_the_bundled_taxonomy_has_all_topics_with_names_in_both_languages():
    taxonomy = Taxonomy.load()
    assert list(taxonomy.kinds) == ["complaint", "suggestion", "inquiry", "praise"]
    written = yaml.safe_load((BAHRAIN / "taxonomy.yaml").read_text(encoding="utf-8"))["topics"]
    assert list(taxonomy.topics) == [topic["id"] for topic in written]
    assert list(taxonomy.urgencies) == ["emergency", "urgent", "normal"]
    for entries in (
        taxonomy.kinds,
        taxonomy.urgencies,
        taxonomy.topics,
        taxonomy.agencies,
        taxonomy.governorates,
    ):
        assert all(entry.name_ar and entry.name_en for entry in entries.values())
    assert set(taxonomy.governorates) == {"capital", "muharraq", "northern", "southern"}


def test_every_topic_has_an_agency_and_every_municipality_a_governorate():
    taxonomy = Taxonomy.load()
    for topic in taxonomy.topics.values():
        assert topic.agency in taxonomy.agencies
    members = taxonomy.agency("municipality").members
    assert {key: value.municipality for key, value in taxonomy.governorates.items()} == dict(members)


def test_the_model_learns_municipalities_as_one_group_and_none_for_out_of_scope():
    taxonomy = Taxonomy.load()
    assert taxonomy.agency_group("municipal_fees") == "municipality"
    assert taxonomy.agency_group("out_of_scope") == "none"
    assert {"municipality", "none", "works"} <= set(taxonomy.agency_groups())


def test_an_unknown_id_names_near_matches():
    with pytest.raises(UnknownIdError, match="'road_damag'; did you mean 'road_damage'"):
        Taxonomy.load().topic("road_damag")
    with pytest.raises(UnknownIdError, match="unknown agency id 'zzz'"):
        Taxonomy.load().agency("zzz")
    with pytest.raises(ValueError, match="unknown kind id ''"):
        Taxonomy.load().kind("")


def test_loading_twice_gives_the_same_object():
    assert Taxonomy.load() is Taxonomy.load()
    assert Gazetteer.load() is Gazetteer.load()


@pytest.mark.parametrize("name", ["taxonomy", "agencies", "gazetteer"])
def test_a_file_that_has_changed_is_read_again_and_another_is_not(tmp_path, name):
    path = tmp_path / f"{name}.yaml"
    shutil.copy(BAHRAIN / path.name, path)
    before = Taxonomy.load(tmp_path)
    assert Taxonomy.load(tmp_path) is before
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{name}\.yaml:1:"):
        Taxonomy.load(tmp_path)


def test_a_path_is_read_from_the_folder_that_the_process_is_in(tmp_path, monkeypatch):
    shutil.copy(BAHRAIN / "taxonomy.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    Taxonomy.load("taxonomy.yaml")
    (tmp_path / "another").mkdir()
    monkeypatch.chdir(tmp_path / "another")
    with pytest.raises(FileNotFoundError):
        Taxonomy.load("taxonomy.yaml")


def test_values_are_frozen_and_survive_pickling():
    topic = Taxonomy.load().topic("road_damage")
    assert pickle.loads(pickle.dumps(topic)) == topic
    with pytest.raises(AttributeError):
        setattr(topic, "agency", "ewa")  # noqa: B010 -- an assignment would not pass the type checker


def test_a_user_may_pass_a_file_or_a_folder(tmp_path):
    path = tmp_path / "taxonomy.yaml"
    path.write_text(TAXONOMY, encoding="utf-8")
    for given in (path, str(path), tmp_path):
        taxonomy = Taxonomy.load(given)
        assert list(taxonomy.topics) == ["noise"]
        assert taxonomy.agency(taxonomy.topic("noise").agency).name_en == "Ministry of Interior"


def test_a_file_may_name_its_urgencies_and_has_the_bundled_names_without(tmp_path):
    path = tmp_path / "mine.yaml"
    names = {"emergency": "خطر", "urgent": "مستعجل", "normal": "عادي"}
    own = "".join(f"- {{id: {id}, name_ar: {name}, name_en: {id.title()}}}\n" for id, name in names.items())
    path.write_text(f"{TAXONOMY}urgencies:\n{own}", encoding="utf-8")
    assert {id: level.name_ar for id, level in Taxonomy.load(path).urgencies.items()} == names
    path.write_text(TAXONOMY, encoding="utf-8")
    assert Taxonomy.load(path).urgencies == Taxonomy.load().urgencies


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        Taxonomy.load(tmp_path / "nothing.yaml")
    with pytest.raises(FileNotFoundError, match="has none of"):
        Taxonomy.load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("agency: interior", "agency: interio", 5, "unknown agency 'interio'"),
        ("agency: interior", "agencie: interior", 5, "unknown key 'agencie'"),
        ("name_en: Noise", "name_en: ''", 5, "expected a string"),
        (", name_en: Noise", "", 5, r"missing key\(s\) name_en"),
        ("id: noise", "id: Noise!", 5, "must be lower-case"),
        ("topics:", "urgencies: [{id: soon, name_ar: ع, name_en: S}]\ntopics:", 4, "expected one of emergency, urgent"),
        (
            "topics:",
            "urgencies: [{id: urgent, name_ar: ع, name_en: U}]\ntopics:",
            1,
            "lack emergency, normal; name all",
        ),
        ("name_en: Noise}", "name_en: Noise, confusable_with: [music]}", 5, "unknown topic 'music'"),
        ("name_en: Noise}", "name_en: Noise, confusable_with: music}", 5, "expected a list"),
        ("version: '1'\n", "", 1, r"missing key\(s\) version"),
        ("kinds:", "kinds: [", 3, "not valid YAML"),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_line(tmp_path, old, new, line, message):
    path = tmp_path / "mine.yaml"
    path.write_text(TAXONOMY.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Taxonomy.load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_repeated_id_names_both_lines(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text(TAXONOMY + TAXONOMY.splitlines()[-1] + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"twice.yaml:6: topic id 'noise' was already used on line 5"):
        Taxonomy.load(path)


def test_an_empty_file_and_a_repeated_key_are_refused(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="the file is empty"):
        Taxonomy.load(path)
    path.write_text("a: x\na: y\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty.yaml:2: key 'a' appears twice"):
        read(path, record({"a": text}))


@pytest.mark.parametrize("content", ["? [a, b]\n: 1\n", "{{name}}: 1\n"])
def test_a_key_that_is_no_word_is_refused_with_its_line(tmp_path, content):
    path = tmp_path / "template.yaml"
    path.write_text(f"# a template\n{content}", encoding="utf-8")
    with pytest.raises(DataError, match=r"template.yaml:2: a key must be a word"):
        Taxonomy.load(path)


def test_a_folder_brings_its_own_places_which_survive_pickling(tmp_path):
    content = (BAHRAIN / "gazetteer.yaml").read_text(encoding="utf-8")
    own = "- {id: salam, name_ar: فريق السلام, name_en: Salam, kind: quarter, region: southern}"
    (tmp_path / "gazetteer.yaml").write_text(content.replace("\nplaces:\n", f"\nplaces:\n{own}\n"), encoding="utf-8")
    taxonomy = Taxonomy.load(tmp_path)
    text = "الزبالة متراكمة في فريق السلام"
    assert find_places(text).governorate is None
    for there in (taxonomy, pickle.loads(pickle.dumps(taxonomy))):
        assert places_in(text, there.gazetteer).governorate == "southern"
    assert repr(taxonomy.gazetteer) != repr(Taxonomy.load().gazetteer)


def test_yaml_does_not_turn_words_into_booleans(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("words: [no, yes, 12, null]\n", encoding="utf-8")
    assert read(path, record({"words": list_of(text)}))["words"] == ("no", "yes", "12", "null")


def test_the_pure_loader_reads_the_bundled_data_as_the_c_loader_does(monkeypatch):
    from tawasul_nlp import _yaml
    from tawasul_nlp.domain.routing_rules import SCHEMA

    fast = read(BAHRAIN / "routing.yaml", SCHEMA)
    monkeypatch.setattr(_yaml, "_LOADER", yaml.SafeLoader)
    assert read(BAHRAIN / "routing.yaml", SCHEMA) == fast


def test_a_block_in_two_governorates_is_refused(tmp_path):
    content = (BAHRAIN / "gazetteer.yaml").read_text(encoding="utf-8")
    path = tmp_path / "gazetteer.yaml"
    path.write_text(
        content.replace("blocks: [225, 226, 228, 229]", "blocks: [225, 226, 228, 229, 317]"), encoding="utf-8"
    )
    with pytest.raises(DataError, match="a block has one governorate"):
        Gazetteer.load(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  last: 199\n", "  last: 299\n", "the range from 201 overlaps the one from 101 to 299"),
        ("  last: 199\n", "  last: 99\n", "the range 101 to 99 is empty"),
        ("- form: سار\n", "- form: السَّيف\n", "appears twice"),
        ("- id: tubli\n", "- id: northern\n", "place id 'northern' is already a governorate's"),
        ("part_of: sehla\n", "part_of: sihla\n", "is part of 'sihla', which must be a place"),
        (
            "- id: sehla\n",
            "- id: sehla\n  part_of: sitra\n",
            "is part of 'sehla', which must be a place that is not part",
        ),
    ],
)
def test_a_gazetteer_that_contradicts_itself_is_refused_with_its_line(tmp_path, old, new, message):
    content = (BAHRAIN / "gazetteer.yaml").read_text(encoding="utf-8")
    assert old in content
    path = tmp_path / "gazetteer.yaml"
    path.write_text(content.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=rf"gazetteer.yaml:\d+: .*{message}"):
        Gazetteer.load(path)


def test_a_group_that_names_a_governorate_twice_is_refused(tmp_path):
    content = (BAHRAIN / "agencies.yaml").read_text(encoding="utf-8")
    member = next(line for line in content.splitlines() if line.strip().startswith("muharraq: "))
    (tmp_path / "agencies.yaml").write_text(content.replace(member, f"{member}\n{member}", 1), encoding="utf-8")
    with pytest.raises(DataError, match="key 'muharraq' appears twice"):
        Taxonomy.load(tmp_path)
