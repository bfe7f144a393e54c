"""The simulated runs on the corpus: they deal fairly, resume, and their pages say what was measured."""

import json
import re

import numpy as np
import pytest

from eval.quality import active_learning, descriptions, learning_curve
from eval.quality.active_learning import Plan, intervals, labels_saved
from tawasul_nlp.tables import open_labelled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    return active_learning.evaluate(Plan(pool=300, start=120, batch=40, rounds=2), seeds=2, limit=500)


def test_active_learning_measures_every_budget_on_the_test_split(result):
    assert result["budgets"] == [120, 160, 200]
    assert set(result["test"]) == {"random", result["chosen"]}
    # Both strategies begin with the same labels, so they begin with the same accuracy.
    assert result["gain"][0] == [0.0, 0.0, 0.0]
    assert result["test"]["random"][2][0] > result["test"]["random"][0][0]
    head = {"date": "2026-11-26", "machine": "2 cores", "command": "python -m eval.quality.active_learning"}
    page = active_learning.markdown({**head, **result})
    assert re.search(r"beats random choice|does \*\*not\*\* beat", page)
    assert active_learning.plot(result).axes


def test_bought_cases_leave_the_pool():
    corpus = active_learning.load(["validation"], 300)["validation"]
    plan = Plan(pool=200, start=100, batch=50, rounds=2)
    everything = active_learning.run(corpus, "breadth 3", plan, 0)[-1]
    # All 200 are labelled in the end, whatever was bought first.
    assert np.array_equal(everything, active_learning.run(corpus, "random", plan, 0)[-1])


def test_intervals_hold_the_mean_and_narrow_with_seeds():
    rng = np.random.default_rng(0)
    few, many = (rng.random((seeds, 1, 200)) < 0.6 for seeds in (2, 30))
    for hits in (few, many):
        value, low, high = intervals(hits.astype(float))[0]
        assert low < value < high
    widths = [each[2] - each[1] for hits in (few, many) for each in intervals(hits.astype(float))]
    assert widths[1] < widths[0]
    assert labels_saved([100, 200], [0.2, 0.3], [0.2, 0.3]) == 0


def test_subsets_are_nested_and_balanced():
    small, large = learning_curve.subset("4", 1), learning_curve.subset("16", 1)
    assert set(small) < set(large) and learning_curve.subset("4", 2) != small
    topics = [learning_curve.examples("train")[row].topic for row in small]
    assert set(map(topics.count, set(topics))) == {4}
    assert len(learning_curve.subset("100%", 0)) == len(learning_curve.examples("train"))


def test_points_are_kept_and_not_measured_twice(tmp_path, capsys):
    options = ["--methods", "tfidf", "--sizes", "4", "--seeds", "1", "--out", str(tmp_path / "curve")]
    learning_curve.main(options)
    assert "tfidf 4 seed 0: " in capsys.readouterr().out
    learning_curve.main(options)
    out = capsys.readouterr().out
    assert "tfidf 4 seed 0: " not in out and "TF-IDF + linear SVM" in out
    lines = (tmp_path / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    point = json.loads(lines[0])
    assert len(lines) == 1 and point["n"] == 416 and len(point["hits"]) == 1222
    assert point["accuracy"] == pytest.approx(point["hits"].count("1") / 1222, abs=1e-4)
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    # Points of another corpus do not count.
    (tmp_path / "curve.jsonl").write_text(json.dumps({**point, "data": "other"}) + "\n", encoding="utf-8")
    assert learning_curve.load_points(tmp_path / "curve.jsonl") == []


def test_every_intent_is_described_once_and_a_training_without_examples_has_descriptions() -> None:
    found = open_labelled(descriptions.DESCRIPTIONS, "description").read(["label"])
    intents = found.columns["label"]
    assert len(intents) == len(set(intents)) == len(set(found.texts)) == 77
    trainings = list(descriptions.points(sorted(intents)))
    assert all(each.described for each in trainings if not all(each.examples.values()))
    assert {(each.name, each.described) for each in trainings} >= {("1 a label", False), ("0 a label", True)}
