"""Cases of another country are compared by its places; an index keeps to the domain that it was made with."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex
from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates import rebuild_index
from tawasul_nlp.errors import IndexFormatError, ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, DOMAIN, file_hash, read_config
from tests.packs import KUWAIT, changed_domain

ONE = "انقطع التيار الكهربائي عن السالمية قطعة 3 منذ ساعتين ولا أحد يرد"
SAME = "الكهربا طافية علينا بالسالمية ق3 من ساعتين ومحد يرد"
STRANGER = "انقطع التيار الكهربائي عن حولي قطعة 3 منذ ساعتين ولا أحد يرد"


@pytest.fixture(scope="module")
def grouper() -> DuplicateGrouper:
    return DuplicateGrouper.from_pretrained(domain=Domain.load(KUWAIT))


def test_a_block_of_one_number_in_two_areas_keeps_strangers_apart(grouper: DuplicateGrouper) -> None:
    assert grouper.group([ONE, SAME, STRANGER]).labels.tolist() == [0, 0, 1]
    alone = grouper.group(["الكهربا طافية قطعة 3", "الكهربا طافية قطعة 3 من أمس"]).features
    assert (alone.blocks == -1).all() and (alone.numbers[:, 0] >= 0).all()


@pytest.mark.slow
def test_processes_that_read_many_texts_read_the_places_of_the_same_domain(
    grouper: DuplicateGrouper, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{ONE} {number}" for number in range(4_100)] + [STRANGER]
    vectors = grouper.encode([ONE])
    cases = [{"text": text, "embedding": vectors[0]} for text in texts]
    alone = grouper.group(cases[-5:]).features
    monkeypatch.setattr("tawasul_nlp.duplicates.features._MANY", 4_000)
    monkeypatch.setattr("tawasul_nlp.duplicates.features.cores", lambda: 2)
    assert grouper.group(cases).features.blocks[-5:].tolist() == alone.blocks.tolist()


def test_an_index_is_refused_with_another_domain_and_can_be_rebuilt(grouper: DuplicateGrouper, tmp_path: Path) -> None:
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        first, second, third = index.add([ONE, SAME, STRANGER])
        assert first.incident_id == second.incident_id != third.incident_id
        assert index.stats()["domain"] == "kuwait"
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        assert len(index) == 3
    with pytest.raises(
        IndexFormatError, match=r"created with the domain kuwait \(\w+\), opened with bahrain \(\w+\); .*rebuild"
    ):
        DuplicateIndex.open(tmp_path / "index")
    assert rebuild_index(tmp_path / "index").cases == 3
    other_names = changed_domain(tmp_path / "pack", "agencies", "name_en: ", "name_en: The ")
    with DuplicateIndex.open(tmp_path / "index", DuplicateGrouper.from_pretrained(domain=other_names)) as index:
        assert len(index) == 3, "only places decide"
    with pytest.raises(IndexFormatError, match="created with the domain bahrain"):
        DuplicateIndex.open(tmp_path / "index", grouper)


def test_a_model_folder_carries_its_pack_and_one_of_the_users_routes_whatever_agency_was_learned(
    tmp_path: Path,
) -> None:
    owners = "owners:\n- {topic: sewage_overflow, agency: health}\n\nadvice:"
    domain = changed_domain(tmp_path / "pack", "routing", "advice:", owners)
    folder = shutil.copytree(BUNDLED, tmp_path / "model")

    def put(content: str) -> None:
        (folder / DOMAIN).write_text(content, encoding="utf-8")
        config = read_config(BUNDLED)
        replace(config, files={**config.files, DOMAIN: file_hash(folder / DOMAIN)}).save(folder)

    put(domain.to_json())
    clf = ComplaintClassifier.from_pretrained(folder)
    assert clf.domain == domain and clf.info()["domain"].startswith("mine 1 (")
    assert read_config(folder).model_hash != read_config(BUNDLED).model_hash
    text = "المجاري طافحة عندنا من اسبوع في مجمع 711 والريحة ما تنطاق"
    usual, moved = (ComplaintClassifier.from_pretrained(domain=pack).predict(text) for pack in (None, domain))
    assert (usual.agency.id, moved.agency.id) == ("works", "health")
    assert moved.topic == usual.topic and moved.agency.probability == usual.agency.probability
    assert "topic_agency_disagree" not in moved.reasons
    assert moved.agency.name_ar == domain.taxonomy.agency("health").name_ar
    assert clf.save_pretrained(tmp_path / "copy").joinpath(DOMAIN).is_file()
    (folder / DOMAIN).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="not the file that config.json describes"):
        ComplaintClassifier.from_pretrained(folder)
    put('{"domain.yaml": "id: x"}')
    with pytest.raises(ModelFormatError, match=r"not a domain \(.*missing key"):
        ComplaintClassifier.from_pretrained(folder)
