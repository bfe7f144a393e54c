"""A table with the ids of incidents becomes a model that groups duplicates, on an encoder of AraBERT's kind."""

import json
from collections import Counter

import numpy as np
import pytest
from datasets import Dataset

from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from tawasul_nlp.cli import main
from tawasul_nlp.model.folder import BUNDLED, PAIRS
from tawasul_nlp.training import LabelledData, TrainConfig, TrainRun, train
from tawasul_nlp.training.backbone import restore_tokenizer
from tawasul_nlp.training.dataset import read_data
from tawasul_nlp.training.incident_groups import Incident, IncidentDraws, Incidents, PairDraws, incidents_of
from tawasul_nlp.training.rows import MaskingCollator
from tests.training.conftest import write_csv
from training.corpus import LabelSpace
from training.incidents import load_incidents

pytestmark = pytest.mark.slow

QUICK = {"bf16": False, "mlm_weight": 0.0, "batch_size": 16, "label_issues": False, "ngram": None, "epochs": 1}


@pytest.fixture(scope="module")
def reports() -> list[dict[str, str]]:
    """Return the reports of 150 incidents of the corpus, two of each, and a case of 60 more."""
    labels = LabelSpace.load()
    found = [incident for incident in load_incidents("train", labels) if len(incident.texts) > 1]
    rows = []
    for at, incident in enumerate(found[:210]):
        for report in incident.texts[: 2 if at < 150 else 1]:
            agency = labels.agency_of[incident.topic]
            rows.append({"نص": report.text, "الجهة": agency, "بلاغ": incident.id if at % 3 else f"{at}.0"})
    return rows


@pytest.fixture(scope="module")
def incident_run(reports, tiny_bert, tmp_path_factory) -> TrainRun:
    data = LabelledData(Dataset.from_list(reports), "نص", "dept=الجهة", incident_column="بلاغ", duplicates="identical")
    config = TrainConfig.preset("arabert", backbone=str(tiny_bert), **QUICK)
    return train(data, config, output=tmp_path_factory.mktemp("incidents") / "run")


def test_reports_of_one_incident_are_on_one_side_and_some_are_held_back(reports, tmp_path):
    table = Dataset.from_list(reports)
    labelled = LabelledData(table, "نص", "dept=الجهة", incident_column="بلاغ", duplicates="identical")
    data = read_data(labelled, TrainConfig(), tmp_path)
    train_ids, validation_ids = set(data.train["incident"]), set(data.validation["incident"])
    assert train_ids and validation_ids and not train_ids & validation_ids
    assert data.incidents is not None and data.incidents.collections is not None
    known = {incident.id for incident in data.incidents.learned}
    fitting, validation = data.incidents.collections()
    incident_of = {row["نص"]: row["بلاغ"] for row in reports}
    fitted = Counter(incident_of[case.text] for case in fitting.texts)
    assert len(known) > 80 and sum(count > 1 for count in fitted.values()) > 20 and not known & fitted.keys()
    assert np.bincount(fitting.incident).max() == max(fitted.values())
    assert len(validation.texts) == len(data.validation) and len(validation.duplicates) >= 10


def test_the_model_groups_with_its_own_incident_vectors_and_scorer(incident_run, tmp_path):
    run = incident_run
    assert json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["config"]["stages"][1]["incident_groups"]
    assert PAIRS in run.model.config.files
    assert run.model.config.profile["name"] == "arabert"
    assert run.model.encode_incidents(["حفرة في الشارع"]).shape == (1, 128)
    case = "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد على الهاتف"
    texts = [case, case + " رجاء", "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي ومحد صلحها"]
    grouper = DuplicateGrouper.from_pretrained(run.model_folder)
    assert grouper.group(texts).labels.tolist() == [0, 0, 1]
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        added = [index.add([{"id": str(at), "text": text}])[0] for at, text in enumerate(texts)]
    assert added[0].group_id == added[1].group_id != added[2].group_id
    # Topics go by another name in this model: a case's topic is compared with those of its first task.
    named = [{"text": texts[2], "topic": "works"}, {"text": case, "topic": "electricity"}]
    assert len(grouper.group(named).labels) == 2


def test_a_column_in_which_no_value_comes_twice_is_an_error_and_few_incidents_a_warning(reports, tmp_path, capsys):
    alone = [{**row, "بلاغ": str(at)} for at, row in enumerate(reports)]
    few = [{**row, "بلاغ": row["بلاغ"] if at < 40 else ""} for at, row in enumerate(reports)]
    given = ["--text-column", "نص", "--label-columns", "dept=الجهة", "--incident-column", "بلاغ", "--check-only"]
    given += ["--duplicates", "identical", "--output", str(tmp_path / "run")]
    assert main(["train", str(write_csv(tmp_path / "alone.csv", alone)), *given]) == 1
    assert "no two training rows have one value in بلاغ, so incidents cannot be learned" in capsys.readouterr().err
    assert main(["train", str(write_csv(tmp_path / "few.csv", few)), *given]) == 0
    assert "too few incidents with two reports to fit a pair scorer, expected 50 in" in capsys.readouterr().err


def test_groups_are_drawn_from_however_few_incidents_there_are() -> None:
    rows = [{"text": f"نص {at}", "label.dept": "طرق", "incident": str(at // 2)} for at in range(8)]
    found = incidents_of(rows, [], "label.dept", seed=1)
    assert found is not None and found.collections is None
    drawn = IncidentDraws(found, seed=1).draw(8)
    names, counts = np.unique([row["incident"] for row in drawn], return_counts=True)
    assert set(counts.tolist()) == {2} and set(names) == {incident.id for incident in found.learned}
    assert incidents_of(rows[::2], [], "label.dept", seed=1) is None


def test_pairs_that_are_read_together_are_reports_of_one_incident_copies_and_hard_negatives() -> None:
    texts = {name: f"بلاغ {name}" for name in ("a1", "a2", "b1", "b2", "near", "other")}
    rows = {name: {"text": text, "incident": name[0]} for name, text in texts.items()}
    known = (Incident("a", "", (rows["a1"], rows["a2"]), (rows["near"],)), Incident("b", "", (rows["b1"], rows["b2"])))
    drawn = PairDraws(Incidents(known, mined=((rows["a1"], rows["other"]),)), 0.5, 1).draw(2_000)
    kinds = Counter((frozenset((pair.first, pair.second)), pair.same) for pair in drawn)
    same = {frozenset((texts[a], texts[b])) for a, b in (("a1", "a2"), ("b1", "b2"), *zip(rows, rows, strict=True))}
    different = {frozenset((texts["a1"], texts["near"])), frozenset((texts["a2"], texts["near"]))}
    different |= {frozenset((texts["a1"], texts["other"]))}
    different |= {frozenset((texts[a], texts[b])) for a in ("a1", "a2") for b in ("b1", "b2")}
    assert {pair for pair, true in kinds if true} <= same
    assert {pair for pair, true in kinds if not true} == different
    assert abs(sum(pair.same for pair in drawn) / len(drawn) - 0.5) < 0.05
    copies = [pair for pair in drawn if pair.first == pair.second]
    assert copies and all(pair.noised == (False, True) for pair in copies)


def test_without_hard_negatives_pairs_of_different_incidents_are_of_one_stratum_where_it_has_two() -> None:
    def incident(name: str, stratum: str) -> Incident:
        return Incident(name, stratum, ({"text": f"{name}1"}, {"text": f"{name}2"}))

    known = (incident("a", "water"), incident("b", "water"), incident("c", "roads"))
    drawn = PairDraws(Incidents(known), 0.0, 1).draw(400)
    met = {frozenset((pair.first[0], pair.second[0])) for pair in drawn if not pair.same}
    assert met == {frozenset("ab"), frozenset("ca"), frozenset("cb")}
    assert all(pair.first[0] == pair.second[0] for pair in drawn if pair.same)


def test_texts_of_unknown_incidents_are_not_taken_for_one() -> None:
    tokenizer = restore_tokenizer(BUNDLED)
    rows = [{"input_ids": [0, 5, 2], "training": True, "incident": name} for name in ("", "x", "", "x")]
    numbers = MaskingCollator(tokenizer, [], 0.0, 1)(rows)["incident"].tolist()
    assert len(set(numbers)) == 3 and numbers[1] == numbers[3]
