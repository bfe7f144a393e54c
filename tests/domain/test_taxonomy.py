"""The bundled data is sound, and a user's own file is refused with its file and line when it is not."""

import pytest
import yaml

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError, list_of, read, record, schema_of, text
from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.taxonomy import UnknownIdError
from tests.packs import BAHRAIN, written

TAXONOMY = """\
version: '1'
kinds:
- {id: complaint, name_ar: شكوى, name_en: Complaint}
topics:
- {id: noise, agency: interior, name_ar: ضوضاء, name_en: Noise}
"""


def test_the_bundled_taxonomy_has_all_topics_with_names_in_both_languages():
    taxonomy = Domain.bundled().taxonomy
    assert list(taxonomy.kinds) == ["complaint", "suggestion", "inquiry", "praise"]
    topics = yaml.safe_load((BAHRAIN / "taxonomy.yaml").read_text(encoding="utf-8"))["topics"]
    assert list(taxonomy.topics) == [topic["id"] for topic in topics]
    assert list(taxonomy.urgencies) == ["emergency", "urgent", "normal"]
    for entries in (taxonomy.kinds, taxonomy.urgencies, taxonomy.topics, taxonomy.agencies, taxonomy.governorates):
        assert all(entry.name_ar and entry.name_en for entry in entries.values())
    assert set(taxonomy.governorates) == {"capital", "muharraq", "northern", "southern"}
    assert {topic.agency for topic in taxonomy.topics.values()} <= set(taxonomy.agencies)
    municipalities = {key: value.municipality for key, value in taxonomy.governorates.items()}
    assert municipalities == dict(taxonomy.agency("municipality").members)
    # What the model learns: municipalities are one group.
    assert taxonomy.agency_group("municipal_fees") == "municipality" and taxonomy.agency_group("out_of_scope") == "none"
    assert {"municipality", "none", "works"} <= set(taxonomy.agency_groups())


def test_an_unknown_id_names_near_matches():
    with pytest.raises(UnknownIdError, match="'road_damag'; did you mean 'road_damage'"):
        Domain.bundled().taxonomy.topic("road_damag")
    with pytest.raises(UnknownIdError, match="unknown agency id 'zzz'"):
        Domain.bundled().taxonomy.agency("zzz")
    with pytest.raises(ValueError, match="unknown kind id ''"):
        Domain.bundled().taxonomy.kind("")


def test_a_pack_whose_file_has_changed_is_read_again(tmp_path):
    folder = written(tmp_path, taxonomy=(BAHRAIN / "taxonomy.yaml").read_text("utf-8"))
    assert Domain.load(folder) is Domain.load(folder)
    written(tmp_path, taxonomy="{}\n")
    with pytest.raises(DataError, match=r"taxonomy\.yaml:1:"):
        Domain.load(folder)


def test_a_taxonomy_may_name_its_urgencies_and_has_the_bundled_names_without(tmp_path):
    names = {"emergency": "خطر", "urgent": "مستعجل", "normal": "عادي"}
    urgencies = "".join(f"- {{id: {id}, name_ar: {name}, name_en: {id.title()}}}\n" for id, name in names.items())
    rules = (BAHRAIN / "routing.yaml").read_text("utf-8").split("\nadvice:\n")[0]
    without = Domain.load(written(tmp_path / "without", taxonomy=TAXONOMY, routing=rules)).taxonomy
    named = Domain.load(written(tmp_path / "named", taxonomy=f"{TAXONOMY}urgencies:\n{urgencies}", routing=rules))
    assert {id: level.name_ar for id, level in named.taxonomy.urgencies.items()} == names
    assert without.urgencies == Domain.bundled().taxonomy.urgencies and list(without.topics) == ["noise"]
    assert without.agency(without.topic("noise").agency).name_en == "Ministry of Interior"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("agency: interior", "agency: interio", 5, "unknown agency 'interio'"),
        ("agency: interior", "agencie: interior", 5, "unknown key 'agencie'"),
        ("name_en: Noise", "name_en: ''", 5, "expected a string"),
        (", name_en: Noise", "", 5, r"missing key\(s\) name_en"),
        ("id: noise", "id: Noise!", 5, "must be lower-case"),
        ("topics:", "urgencies: [{id: soon, name_ar: ع, name_en: S}]\ntopics:", 4, "expected one of emergency, urgent"),
        ("topics:", "urgencies: [{id: urgent, name_ar: ع, name_en: U}]\ntopics:", 1, "lack emergency, normal; name"),
        ("name_en: Noise}", "name_en: Noise, confusable_with: [music]}", 5, "unknown topic 'music'"),
        ("name_en: Noise}", "name_en: Noise, confusable_with: music}", 5, "expected a list"),
        ("version: '1'\n", "", 1, r"missing key\(s\) version"),
        ("kinds:", "kinds: [", 3, "not valid YAML"),
        ("topics:", "? [a, b]\n: 1\ntopics:", 4, "a key must be a word"),
        ("topics:", "{{name}}: 1\ntopics:", 4, "a key must be a word"),
        ("name_en: Noise}\n", "name_en: N}\n- {id: noise, agency: ewa, name_ar: ع, name_en: N}\n", 6, "on line 5"),
        (TAXONOMY, "", 1, "the file is empty"),
        ("kinds:", "version: '2'\nkinds:", 2, "key 'version' appears twice"),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_line(tmp_path, old, new, line, message):
    with pytest.raises(DataError, match=message) as caught:
        Domain.load(written(tmp_path, taxonomy=TAXONOMY.replace(old, new)))
    assert str(caught.value).startswith(f"{tmp_path / 'taxonomy.yaml'}:{line}: ")


def test_yaml_does_not_turn_words_into_booleans(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("words: [no, yes, 12, null]\n", encoding="utf-8")
    assert read(path, record({"words": list_of(text)}))["words"] == ("no", "yes", "12", "null")


def test_the_pure_loader_reads_the_bundled_data_as_the_c_loader_does(monkeypatch):
    fast = read(BAHRAIN / "routing.yaml", schema_of("routing"))
    monkeypatch.setattr(_yaml, "_LOADER", yaml.SafeLoader)
    assert read(BAHRAIN / "routing.yaml", schema_of("routing")) == fast
