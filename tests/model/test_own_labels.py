"""A model with tasks and labels of its own works in every method, and never as if its labels were Bahrain's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.errors import ModelFormatError
from tests.model.tiny_model import TASKS, TEXTS, change_config, tiny_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "own")


@pytest.fixture(scope="module")
def clf(folder):
    return ComplaintClassifier.from_pretrained(folder, threads=1)


def test_every_task_has_its_labels_embeddings_and_explanations_and_no_routing(clf):
    p = clf.predict(TEXTS[0])
    assert set(p.labels) == {"dept", "subject"}
    assert p.labels["dept"].id in TASKS["dept"] and p.labels["subject"].id in TASKS["subject"]
    assert p.routing is None
    with pytest.raises(AttributeError, match="it has dept, subject"):
        _ = p.topic
    assert json.loads(p.to_json())["dept"]["id"] == p.labels["dept"].id
    assert "dept=" in repr(p) and "dept of 3, subject of 4" in repr(clf)
    assert clf.encode(TEXTS).shape == (5, 32) and clf.encode([]).shape == (0, 32)
    explanation = clf.explain(TEXTS[0])
    assert explanation.task == "dept" and explanation.label == p.labels["dept"].id
    assert clf.explain(TEXTS[1], "subject").task == "subject"
    with pytest.raises(ValueError, match="this model has dept, subject"):
        clf.explain(TEXTS[0], "topic")


def test_probabilities_belong_to_the_answers_and_what_is_below_a_threshold_needs_review_once(clf):
    tables = {task: clf.predict_proba(TEXTS[:4], task) for task in TASKS}
    for row, p in enumerate(clf.predict(TEXTS[:4])):
        for task, table in tables.items():
            assert p.labels[task].id == TASKS[task][table[row].argmax()]
            assert p.labels[task].probability == pytest.approx(table[row].max())
        unsure = any(label.probability < 0.9 for label in p.labels.values())
        assert p.reasons == (("low_confidence",) if unsure else ())
    assert np.array_equal(clf.predict_proba(TEXTS), clf.predict_proba(TEXTS, "dept"))  # the first task is the default


def test_an_empty_text_is_a_guess_for_review_or_the_label_for_nothing_where_there_is_one(clf, tmp_path):
    p = clf.predict("؟!")
    assert p.reasons == ("empty_text",)
    assert {task: label.probability for task, label in p.labels.items()} == {"dept": 1 / 3, "subject": 1 / 4}
    own = write_tiny_model(tmp_path / "m", tasks={"unit": ("a", "b", "out_of_scope")})
    p = ComplaintClassifier.from_pretrained(own).predict("")
    assert p.labels["unit"].id == "out_of_scope" and p.reasons == ("empty_text",)


def test_a_task_that_only_shares_a_name_with_ours_keeps_its_labels(tmp_path):
    tasks = {"topic": ("x", "y"), "agency": ("m", "n"), "kind": ("k1", "k2"), "type": ("أ", "ب")}
    p = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m", tasks=tasks)).predict(TEXTS[0])
    assert p.topic.id in "xy" and p.agency.id in "mn" and p.labels["type"].id in "أب" and p.routing is None
    unsure = {task for task, label in p.labels.items() if label.probability < 0.9}
    expected = {f"low_{task}_confidence" if task in ("topic", "agency") else "low_confidence" for task in unsure}
    assert set(p.reasons) == expected


def test_without_incident_vectors_grouping_says_so(clf):
    with pytest.raises(ModelFormatError, match="no incident vectors"):
        clf.encode_incidents(TEXTS)
    with pytest.raises(ModelFormatError, match="does not group duplicates"):
        _ = clf.incident_size
    assert clf._forward(TEXTS).incident is None
    advice = "cannot group duplicates; group with the bundled model"
    with pytest.raises(ModelFormatError, match=advice):
        DuplicateGrouper(clf)


def test_incident_vectors_and_a_second_reader_are_used_where_there_are_any(tmp_path):
    own = write_tiny_model(tmp_path / "m", incident=True, ngram=True)
    model = ComplaintClassifier.from_pretrained(own)
    assert model.encode_incidents(TEXTS).shape == (5, model.incident_size) == (5, 128)
    plain = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "plain", incident=True))
    assert np.abs(model.predict_proba(TEXTS, "dept") - plain.predict_proba(TEXTS, "dept")).max() > 0.01


@pytest.mark.parametrize(
    ("specials", "token_types"),
    [(("[PAD]", "[UNK]", "[CLS]", "[SEP]"), True), (("<pad>", "<unk>", "<s>", "</s>"), False)],
)
def test_any_special_tokens_and_graphs_with_token_types_read_the_same(tmp_path, clf, specials, token_types):
    own = write_tiny_model(tmp_path / "m", tokenizer=tiny_tokenizer(specials), token_types=token_types)
    model = ComplaintClassifier.from_pretrained(own, threads=1)
    whole = model.predict_proba(TEXTS, "subject", batch_size=5)
    assert np.abs(whole - model.predict_proba(TEXTS, "subject", batch_size=1)).max() < 1e-4
    assert np.abs(whole - clf.predict_proba(TEXTS, "subject")).max() < 1e-4


def test_labels_that_do_not_fit_the_graph_are_refused(folder, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    change_config(copy, lambda config: config["tasks"]["dept"]["labels"].append("زيادة"))
    with pytest.raises(ModelFormatError, match="3 columns, but the configuration has 4 labels"):
        ComplaintClassifier.from_pretrained(copy).predict(TEXTS)
