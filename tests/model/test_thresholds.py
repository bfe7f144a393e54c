"""Any target error is answered from the errors that a model folder holds, and an impossible one says so."""

import json
import logging
import pickle
from dataclasses import replace

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.model.folder import read_config
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
