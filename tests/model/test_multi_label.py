"""A model folder may hold tasks of which a text has several labels, and a prediction has a set of labels for each."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.model.label_sets import join_labels, label_matrix, sorted_cell, split_labels
from tawasul_nlp.tables import classify_table
from tawasul_nlp.tables.labelled import open_labelled
from tests.model.tiny_model import TEXTS, write_tiny_model

TASKS = {"dept": ("طرق", "كهرباء", "صحة"), "tags": ("حفرة", "انقطاع", "موعد", "اقتراح")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model"), tasks=TASKS, multi_label=["tags"], ngram=True)


@pytest.fixture(scope="module")
def clf(folder):
    return ComplaintClassifier.from_pretrained(folder, threads=1)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="|")), max_size=5))
def test_a_cell_holds_each_label_once_in_any_order(labels):
    cell = join_labels(labels)
    named = {label.strip() for label in labels} - {""}
    assert split_labels(cell) == tuple(sorted(named))
    assert sorted_cell(cell) == sorted_cell(join_labels(reversed(labels)))
    assert label_matrix([cell], sorted(named)).all() or not named


def test_the_answer_is_every_label_that_reaches_the_threshold_likeliest_first(clf):
    probabilities = clf.predict_proba(TEXTS[:4], "tags")
    assert len({tuple(row >= 0.4) for row in probabilities}) > 1, "all texts have the same answer, which tests little"
    for prediction, row in zip(clf.predict(TEXTS[:4]), probabilities, strict=True):
        found = prediction.label_sets["tags"]
        expected = {label: float(p) for label, p in zip(TASKS["tags"], row, strict=True) if p >= 0.4}
        assert {label.id: label.probability for label in found} == pytest.approx(expected)
        assert list(found.ids) == sorted(expected, key=lambda label: -expected[label]) and len(found) == len(expected)
        assert {other.id for other in found.alternatives} == set(TASKS["tags"]) - expected.keys()
        assert found.probability == pytest.approx(math.prod(p if p >= 0.4 else 1 - p for p in row.tolist()))
        assert "tags" not in prediction.labels and prediction.labels["dept"].id in TASKS["dept"]
        unsure = found.probability < 0.9 or prediction.labels["dept"].probability < 0.9
        assert ("low_confidence" in prediction.reasons) == unsure


def test_probabilities_of_labels_are_the_sigmoid_of_the_weighed_scores(clf):
    scores = next(clf._scorers.scores(TEXTS[:4], 8))[0]
    logits = 0.7 * scores["encoder"]["tags"] + 0.3 * scores["ngram"]["tags"] + 0.5 * np.arange(4) - 1.0
    assert clf.predict_proba(TEXTS[:4], "tags") == pytest.approx(1 / (1 + np.exp(-logits)), rel=1e-5)


def test_a_prediction_with_sets_is_plain_data_and_can_be_copied(clf):
    prediction = clf.predict(TEXTS[0])
    told = json.loads(prediction.to_json())["tags"]
    found = prediction.label_sets["tags"]
    assert [label["id"] for label in told["labels"]] == list(found.ids)
    assert told["probability"] == round(found.probability, 6)
    assert [label["id"] for label in told["alternatives"]] == [label.id for label in found.alternatives]
    for copied in (pickle.loads(pickle.dumps(prediction)), copy.deepcopy(prediction)):
        assert copied == prediction and hash(copied) == hash(prediction)
    with pytest.raises(TypeError):
        prediction.label_sets["tags"] = found
    assert f"tags={join_labels(found.ids)} (" in repr(prediction)


def test_each_label_of_a_set_can_be_explained_and_a_text_without_letters_has_none(clf):
    found = clf.predict("؟!").label_sets["tags"]
    assert found.ids == () and not found.labels and found.probability == 0.5**4
    assert clf.explain("؟!", "tags").spans == ()
    row = clf.predict_proba(TEXTS[0], "tags")[0]
    for label, probability in zip(TASKS["tags"], row.tolist(), strict=True):
        told = clf.explain(TEXTS[0], "tags", label=label)
        assert told.label == label and told.probability == pytest.approx(probability)
    assert clf.explain(TEXTS[0], "tags").label == TASKS["tags"][int(row.argmax())]
    with pytest.raises(ValueError, match="label is 'مياه', expected one of the labels of tags: حفرة"):
        clf.explain(TEXTS[0], "tags", label="مياه")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_a_classified_table_has_all_labels_in_a_form_that_training_reads(ending, clf, folder, tmp_path):
    rows = [{"text": text, "id": row} for row, text in enumerate(TEXTS[:4])]
    backlog = tmp_path / "backlog.jsonl"
    backlog.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / f"out.{ending}"
    report = classify_table(clf, backlog, out, text_column="text")
    assert report.task == "dept" and {"tags", "tags_probabilities", "tags_alternatives"} <= set(report.added)
    found = open_labelled(out).read(["tags", "tags_probabilities"])
    for prediction, *cells in zip(clf.predict(TEXTS[:4]), *found.columns.values(), strict=True):
        answered = prediction.label_sets["tags"]
        assert split_labels(cells[0]) == tuple(sorted(answered.ids))
        chances = [float(chance) for chance in cells[1].strip("|").split("|") if chance]
        assert chances == pytest.approx([label.probability for label in answered], abs=1e-4)


def test_a_model_of_sets_alone_counts_them(tmp_path, capsys):
    folder = write_tiny_model(tmp_path / "model", tasks={"tags": TASKS["tags"]}, multi_label=["tags"])
    clf = ComplaintClassifier.from_pretrained(folder, threads=1)
    backlog = tmp_path / "backlog.csv"
    backlog.write_text("text\n" + "\n".join(TEXTS[:4]) + "\n", encoding="utf-8")
    report = classify_table(clf, backlog, tmp_path / "out.csv", text_column="text")
    assert report.task == "tags" and sum(count.rows for count in report.counts) == 4
    sets = {join_labels(sorted(prediction.label_sets["tags"].ids)) for prediction in clf.predict(TEXTS[:4])}
    assert {count.id for count in report.counts} == sets
    assert main(["predict", TEXTS[0], "--model", str(folder)]) == 0
    assert all(label in capsys.readouterr().out for label in clf.predict(TEXTS[0]).label_sets["tags"].ids[:1])
