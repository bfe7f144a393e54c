"""Any target error is answered from stored errors, and probabilities under other label frequencies are those of Bayes' rule."""

import json
import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.domain.taxonomy import UnknownIdError
from tawasul_nlp.model.combine import deciding_ratios, log_ratios, with_ratios
from tawasul_nlp.model.folder import TaskConfig, read_config
from tests.model.tiny_model import TEXTS, write_tiny_model

CURVE = ((0.9, 0.02), (0.6, 0.08), (0.0, 0.5))
# All probabilities are above 0, so that the last threshold accepts everything.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "m")
    config = read_config(folder)
    tasks = {name: replace(task, curve=CURVE) for name, task in config.tasks.items()}
    replace(config, tasks=tasks).save(folder)
    return folder


def unsure(clf, **least):
    return [any(p.labels[task].probability < value for task, value in least.items()) for p in clf.predict(TEXTS[:4])]


def test_a_folder_keeps_its_curves_which_are_part_of_its_name(folder):
    config = read_config(folder)
    assert config.tasks["dept"].curve == CURVE
    assert replace(config, tasks={**config.tasks}).model_hash == config.model_hash
    without = {name: replace(task, curve=()) for name, task in config.tasks.items()}
    assert replace(config, tasks=without).model_hash != config.model_hash


@pytest.mark.parametrize(("target", "threshold"), [(0.02, 0.9), (0.05, 0.9), (0.08, 0.6), (0.3, 0.6), (0.5, 0.0)])
def test_every_target_has_its_threshold(folder, target, threshold):
    clf = ComplaintClassifier.from_pretrained(folder, threads=1)
    expected = unsure(clf, dept=threshold, subject=threshold)
    assert [p.needs_review for p in clf.predict(TEXTS[:4], target_error=target)] == expected
    loaded = pickle.loads(pickle.dumps(ComplaintClassifier.from_pretrained(folder, threads=1, target_error=target)))
    assert [p.needs_review for p in loaded.predict(TEXTS[:4])] == expected


def test_each_task_may_have_its_own_target(folder):
    clf = ComplaintClassifier.from_pretrained(folder, threads=1, target_error={"dept": 0.5})
    assert [p.needs_review for p in clf.predict(TEXTS[:4])] == unsure(clf, dept=0.0, subject=0.9)
    both = clf.predict(TEXTS[:4], target_error={"subject": 0.5})
    assert not any(p.needs_review for p in both)
    assert clf.info()["target_error"] == {"dept": 0.5, "subject": 0.05}


def test_a_target_that_validation_cannot_promise_sends_all_to_review_and_says_so(folder, caplog):
    sentence = "no threshold reaches 1% for dept: its best is 2%, so all its answers go to review"
    with caplog.at_level(logging.WARNING, "tawasul_nlp"):
        clf = ComplaintClassifier.from_pretrained(folder, threads=1, target_error={"dept": 0.01, "subject": 0.5})
        assert all(p.reasons == ("low_confidence",) for p in clf.predict(TEXTS[:4]))
        clf.predict(TEXTS, target_error={"dept": 0.01})
    assert clf.info()["warnings"] == [sentence]
    assert [record.getMessage() for record in caplog.records] == [f"{folder}: {sentence}"]
    assert not any(p.needs_review for p in clf.predict(TEXTS[:4], target_error=0.5))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (5, ValueError, "target_error is 5, expected above 0 and below 1"),
        ("0.05", TypeError, "target_error is a str, expected a number"),
        ({"topic": 0.05}, ValueError, "given for 'topic', but this model has dept, subject"),
        (float("nan"), ValueError, "target_error is nan"),
    ],
)
def test_a_target_that_is_none_is_refused(folder, target, error, message):
    with pytest.raises(error, match=message):
        ComplaintClassifier.from_pretrained(folder, target_error=target)


def test_the_command_takes_a_target_error_and_tells_runs_apart_by_it(folder, tmp_path, capsys):
    cases, out = tmp_path / "cases.csv", tmp_path / "out.csv"
    cases.write_text("text\n" + "\n".join(TEXTS[:4]) + "\n", encoding="utf-8")
    model = ["--model", str(folder), "--target-error"]
    assert main(["classify", str(cases), "-t", "text", "-o", str(out), "-q", *model, "dept=0.5,subject=0.5"]) == 0
    assert out.read_text(encoding="utf-8-sig").count("false") == 4
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text(encoding="utf-8"))
    assert '"target_error": {"dept": 0.5, "subject": 0.5}' in json.dumps(manifest)
    assert main(["predict", TEXTS[0], "--json", *model, "0.01"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reasons"] == ["low_confidence"]
    for wrong in ("dept=x", "dept", "dept=0.1,dept=0.2"):
        assert main(["predict", TEXTS[0], *model, wrong]) == 2
        assert "expected 0.03, or topic=0.05,agency=0.02" in capsys.readouterr().err


OLD, NEW = np.array([0.2, 0.3, 0.5]), np.array([0.7, 0.2, 0.1])
TOPIC = TaskConfig(("leak", "outage", "pothole"), {"encoder": 1.0}, prior=tuple(OLD))
AGENCY = TaskConfig(("water", "works"), {"parent": 1.0}, parent="topic", parent_labels=(0, 0, 1), prior=(0.5, 0.5))
TASKS = {"topic": TOPIC, "agency": AGENCY}
UNCALIBRATED = TaskConfig(TOPIC.labels, {"encoder": 1.0})
SETS = TaskConfig(("a", "b"), {"encoder": 1.0}, multi_label=True, offsets=(0.0, 0.0), label_threshold=0.5)
IN_AGENCY = np.array([[1, 0], [1, 0], [0, 1]])


def posterior(likelihoods, prior):
    joint = likelihoods * prior
    return joint / joint.sum(axis=1, keepdims=True)


@pytest.fixture
def likelihoods():
    """How likely each of 50 texts is under each topic."""
    return np.random.default_rng(0).gamma(0.3, size=(50, 3)) + 1e-9


def under(frequencies, task, likelihoods):
    topics = posterior(likelihoods, OLD)
    tables = {"topic": np.log(topics), "agency": np.log(topics @ IN_AGENCY)}
    ratios = deciding_ratios(TASKS, task, log_ratios(task, TASKS[task], frequencies))
    return {name: np.exp(table) for name, table in with_ratios(TASKS, tables, {"topic": ratios}).items()}


def test_probabilities_are_the_posterior_that_the_new_prior_gives(likelihoods):
    found = under({"leak": 70, "outage": 20, "pothole": 10}, "topic", likelihoods)
    assert np.allclose(found["topic"], posterior(likelihoods, NEW))
    assert np.allclose(found["agency"], posterior(likelihoods, NEW) @ IN_AGENCY, atol=1e-9)


def test_frequencies_of_agencies_leave_the_topics_of_each_their_shares(likelihoods):
    found = under({"water": 0.9, "works": 0.1}, "agency", likelihoods)
    expected = posterior(likelihoods, np.array([0.9 * 0.2 / 0.5, 0.9 * 0.3 / 0.5, 0.1]))
    assert np.allclose(found["topic"], expected)
    assert np.allclose(found["agency"], expected @ IN_AGENCY, atol=1e-9)


def test_a_label_that_is_not_named_keeps_its_share():
    assert np.allclose(np.exp(log_ratios("topic", TOPIC, {"leak": 300, "outage": 100})) * OLD, [0.375, 0.125, 0.5])


@pytest.mark.parametrize(
    ("task", "frequencies", "error", "message"),
    [
        (TOPIC, {"leek": 3, "outage": 1}, UnknownIdError, "'leek', which is no label of topic; did you mean 'leak'"),
        (TOPIC, {"leak": 0, "outage": 1}, ValueError, "'leak' is 0, expected a number above 0.*small number"),
        (TOPIC, {"leak": float("nan"), "outage": 1}, ValueError, "'leak' is nan, expected a number above 0"),
        (TOPIC, {"leak": "many", "outage": 1}, ValueError, "'leak' is 'many', expected a number above 0"),
        (TOPIC, {"leak": 5}, ValueError, "name 1 label.*at least 2"),
        (UNCALIBRATED, {"leak": 3, "outage": 1}, ValueError, "does not hold the label frequencies of topic.*calibrate"),
        (SETS, {"a": 1, "b": 2}, ValueError, "a text may have several labels"),
    ],
)
def test_what_is_no_frequency_is_refused(task, frequencies, error, message):
    with pytest.raises(error, match=message):
        log_ratios("topic", task, frequencies)


def test_a_folder_that_gets_its_frequencies_keeps_its_name_and_gives_them_back(tmp_path):
    config = read_config(write_tiny_model(tmp_path))
    shares = {name: tuple(np.arange(1, 1 + len(task.labels)) / 100) for name, task in config.tasks.items()}
    with_shares = replace(config, tasks={n: replace(task, prior=shares[n]) for n, task in config.tasks.items()})
    with_shares.save(tmp_path)
    again = read_config(tmp_path)
    assert {name: task.prior for name, task in again.tasks.items()} == shares
    assert again.model_hash == config.model_hash
