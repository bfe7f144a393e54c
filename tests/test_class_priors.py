"""A classifier that knows how often labels occur: the bundled model, and as a user asks for it."""

import json
import pickle

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.tables.run.pipeline import ModelFacts

UNSURE = "الشارع وسخ ومحد ينظفه"
TEXTS = [UNSURE, "الماي مقطوع من امس", "ابي اعرف متى يوصل الدعم", "", "شكرا لعمال النظافة في المحرق"]
FREQUENCIES = {"waste_collection": 825, "pests_rodents": 90, "road_damage": 5}


@pytest.fixture(scope="module")
def plain():
    return ComplaintClassifier.from_pretrained(threads=1)


@pytest.fixture(scope="module")
def weighted(plain):
    return plain.with_priors(FREQUENCIES)


def test_a_frequent_topic_and_its_agency_are_likelier_and_the_classifier_it_came_from_is_as_before(plain, weighted):
    before = plain.predict_proba(TEXTS)
    after = weighted.predict_proba(TEXTS)
    frequent, rare = (plain.labels["topic"].index(topic) for topic in ("waste_collection", "road_damage"))
    assert (after[:, frequent] > before[:, frequent]).all() and (after[:, rare] < before[:, rare]).all()
    agency = plain.labels["agency"].index("municipality")
    assert weighted.predict_proba(UNSURE, "agency")[0, agency] > plain.predict_proba(UNSURE, "agency")[0, agency]
    answer = weighted.predict(UNSURE)
    assert answer.topic.probability == weighted.predict_proba(UNSURE).max()
    assert answer.agency.probability == weighted.predict_proba(UNSURE, "agency").max()
    assert np.array_equal(plain.predict_proba(TEXTS), before)
    assert plain.priors == {} and weighted.priors == {"topic": FREQUENCIES} == weighted.info()["priors"]
    again = pickle.loads(pickle.dumps(weighted))
    assert again.priors == weighted.priors and np.array_equal(again.predict_proba(TEXTS), after)


def test_frequencies_of_agencies_take_the_place_of_those_of_topics_and_kinds_have_their_own(weighted):
    found = weighted.with_priors({"complaint": 9, "praise": 1}, "kind").with_priors({"works": 9, "ewa": 1}, "agency")
    assert list(found.priors) == ["kind", "agency"]
    again = ComplaintClassifier.from_pretrained(threads=1).with_priors({"works": 9, "ewa": 1}, "agency")
    assert np.array_equal(found.predict_proba(TEXTS), again.predict_proba(TEXTS))


def test_a_run_with_other_frequencies_is_another_run(plain, weighted):
    others = plain, weighted, plain.with_priors({"works": 9, "ewa": 1}, "agency")
    identities = [ModelFacts.of(clf).identity for clf in others]
    assert all(identities.count(identity) == 1 for identity in identities)
    assert ModelFacts.of(plain.with_priors(FREQUENCIES)).identity == identities[1]


def test_the_command_reads_frequencies_from_a_file(weighted, tmp_path, capsys):
    path = tmp_path / "frequencies.csv"
    rows = [f"{label} ,{count}" for label, count in FREQUENCIES.items()]
    path.write_text("\n".join(["label,count", *rows]), "utf-8")
    assert main(["predict", "--json", "--priors", str(path), UNSURE]) == 0
    assert json.loads(capsys.readouterr().out) == weighted.predict(UNSURE).to_dict()


def test_a_classified_table_has_the_probabilities_and_its_manifest_the_frequencies(weighted, tmp_path):
    (tmp_path / "in.csv").write_text(f"text\n{UNSURE}\n", "utf-8")
    (tmp_path / "agencies.jsonl").write_text('{"label": "works", "count": 9}\n{"label": "ewa", "count": 1}\n', "utf-8")
    out = tmp_path / "out.jsonl"
    given = f"agency={tmp_path / 'agencies.jsonl'}"
    assert main(["classify", str(tmp_path / "in.csv"), "-t", "text", "-o", str(out), "--priors", given, "-q"]) == 0
    expected = weighted.with_priors({"works": 9, "ewa": 1}, "agency").predict(UNSURE)
    assert json.loads(out.read_text("utf-8"))["topic_probability"] == round(expected.topic.probability, 4)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text("utf-8"))
    assert manifest["model"]["priors"] == {"agency": {"works": 9.0, "ewa": 1.0}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.csv", "topic,n\nroads,3\n", "has the columns topic, n, expected label and count"),
        ("f.csv", "label,count\nroads,3\nroads,4\n", "has a label twice"),
        ("f.csv", "label,count\nroads,many\nwater,1\n", "'many' for roads, expected a number"),
        ("f.csv", "label,count\nwaste_colection,3\nroad_damage,1\n", "did you mean 'waste_collection'"),
    ],
)
def test_a_file_that_holds_no_frequencies_is_refused(tmp_path, capsys, name, content, message):
    (tmp_path / name).write_text(content, "utf-8")
    assert main(["predict", "--priors", str(tmp_path / name), "الماي مقطوع"]) != 0
    assert message in capsys.readouterr().err
