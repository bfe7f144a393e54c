"""Figures of sets of labels are scikit-learn's, and what is fitted to such labels is what independent methods fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.evaluation import compare, evaluate
from tawasul_nlp.evaluation.baselines import tfidf_svms
from tawasul_nlp.evaluation.calibration import calibrate
from tawasul_nlp.evaluation.fitting import best_threshold, fit_label_scores, with_label_threshold
from tawasul_nlp.evaluation.periods import drift
from tawasul_nlp.evaluation.task_answers import label_set_answers, metrics_of, scores_by_label, summariser
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import join_labels, label_matrix
from tests.model.tiny_model import write_tiny_model

LABELS = ("إنارة", "طرق", "مياه", "حفر")
TASK = TaskConfig(LABELS, {"ngram": 1.0}, multi_label=True, offsets=(0.0,) * 4, label_threshold=0.5)


def cells_of(target):
    return [join_labels(label for label, has in zip(LABELS, row, strict=True) if has) for row in target]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.0, 1.0))
def test_figures_are_those_of_scikit_learn(seed, rows, share):
    rng = np.random.default_rng(seed)
    truth, answered = rng.random((rows, 4)) < share, rng.random((rows, 4)) < 0.4
    figures = summariser(label_set_answers(LABELS, cells_of(truth), answered))(np.ones(rows))
    present = np.flatnonzero((truth | answered).any(axis=0))
    assert figures["exact_match"] == pytest.approx(accuracy_score(truth, answered))
    for name, score in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert figures[f"micro_{name}"] == pytest.approx(score(truth, answered, average="micro", zero_division=0))
    if len(present):
        expected = f1_score(truth[:, present], answered[:, present], average="macro", zero_division=0)
        assert figures["macro_f1"] == pytest.approx(expected)


def test_a_label_that_the_model_lacks_is_missed_and_no_interval_is_certain_of_a_few_rows():
    found = label_set_answers(("طرق",), ["طرق", "طرق|نادر", "|"], np.array([[True], [True], [False]]))
    assert found.hits.tolist() == [True, False, True]
    assert {each.label: each.recall for each in scores_by_label(found)} == {"نادر": 0.0, "طرق": 1.0}
    alone = label_set_answers(("طرق",), ["طرق"] * 3, np.ones((3, 1), bool))
    assert metrics_of(alone, np.arange(3), 50)["exact_match"] == pytest.approx((1.0, 0.2924, 1.0))


def test_one_label_and_one_scorer_are_fitted_as_by_platt():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(400, 1)) * 3
    truth = (rng.random((400, 1)) < expit(1.7 * scores - 1.2)).astype(np.int8)
    task = TaskConfig(("نعم",), {"ngram": 1.0}, multi_label=True, offsets=(0.0,), label_threshold=0.5)
    fitted = fit_label_scores("t", {"t": task}, {"ngram": {"t": scores}}, truth)
    platt = LogisticRegression(C=1e9).fit(scores, truth[:, 0])
    assert 1 / fitted.temperature == pytest.approx(platt.coef_[0, 0], rel=0.01)
    assert fitted.offsets[0] == pytest.approx(platt.intercept_[0], abs=0.02)


def test_labels_of_different_shares_get_different_offsets_and_unlabelled_rows_count_for_nothing():
    rng = np.random.default_rng(0)
    offsets = np.array([2.0, -2.0, 0.0, -4.0])
    scores = rng.normal(size=(3000, 4)) * 2
    truth = (rng.random((3000, 4)) < expit(scores + offsets)).astype(np.int8)
    scorers = {"ngram": {"t": scores}}
    fitted = fit_label_scores("t", {"t": TASK}, scorers, truth, prior=1.0)
    assert fitted.offsets == pytest.approx(offsets, abs=0.3) and fitted.temperature == pytest.approx(1.0, abs=0.1)
    probabilities = np.exp(combine({"t": fitted}, scorers)["t"])
    assert probabilities.mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.01)
    unknown = np.where(np.arange(3000)[:, None] < 1500, truth, -1)
    half = fit_label_scores("t", {"t": TASK}, scorers, unknown, prior=1.0)
    same = fit_label_scores("t", {"t": TASK}, {"ngram": {"t": scores[:1500]}}, truth[:1500], prior=1.0)
    assert half.offsets == pytest.approx(same.offsets)


@pytest.mark.parametrize("rows", [2, 30])
def test_scores_that_separate_the_labels_give_no_certainty(rows):
    truth = np.tile(np.array([[1, 0, 0, 1], [0, 1, 1, 0]], np.int8), (rows // 2, 1))
    scorers = {"ngram": {"t": 1000.0 * (truth - 0.5)}}
    fitted = fit_label_scores("t", {"t": TASK}, scorers, truth, prior=1.0)
    probabilities = np.exp(combine({"t": fitted}, scorers)["t"])
    assert (np.abs(probabilities - truth) < 0.4).all() and (np.abs(probabilities - truth) > 1e-4).all()


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=1, max_size=25))
def test_no_threshold_has_a_higher_f1_than_the_one_chosen(rows):
    scores, truth = np.array([score / 20 for score, _ in rows]), np.array([has for _, has in rows])
    threshold, f1 = best_threshold(scores, truth)
    every = [f1_score(truth, scores >= at, zero_division=0) for at in np.unique(scores)]
    assert f1 == pytest.approx(max(every))
    assert f1_score(truth, scores >= threshold, zero_division=0) == pytest.approx(f1) and 0 < threshold <= 1


def test_the_stored_errors_are_of_whole_sets():
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 4)) < 0.3).astype(np.int8)
    probabilities = np.clip(truth + rng.normal(size=truth.shape) * 0.25, 0.01, 0.99)
    fitted = with_label_threshold(TASK, np.log(probabilities), truth)
    wrong = 1 - accuracy_score(truth, probabilities >= fitted.label_threshold)
    assert fitted.curve[-1][1] == pytest.approx(wrong + 1 / 400, abs=1e-3)
    lacking = np.arange(400) < 200
    assert with_label_threshold(TASK, np.log(probabilities), truth, lacking).curve[-1][1] > 0.5


def test_the_baseline_answers_rare_labels_and_those_of_every_text():
    rng = np.random.default_rng(0)
    target = rng.random((300, 4)) < [0.5, 0.05, 1.1, 0.004]
    words = ("حفرة", "إنارة", "شارع", "مسبح")
    said = (" ".join(word for word, has in zip(words, row, strict=True) if has) for row in target)
    texts = [f"{text} رقم {at}" for at, text in enumerate(said)]
    answered = tfidf_svms(texts[:200], target[:200], texts[200:])
    assert answered[:, 2].all()
    assert f1_score(target[200:, :2], answered[:, :2], average="macro") > 0.9
    assert tfidf_svms(["حفرة", "حفرة"], np.ones((2, 1), bool), ["شارع"]).tolist() == [[True]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    tasks = {"dept": ("طرق", "صحة"), "tags": LABELS}
    folder = write_tiny_model(tmp_path_factory.mktemp("model"), tasks=tasks, multi_label=["tags"], incident=True)
    return ComplaintClassifier.from_pretrained(folder, threads=1)


WORDS = ("حفرة", "شارع", "كهرباء", "مقطوعة", "موعد", "صحي", "إنارة", "بيت", "مدرسة", "كبيرة")


@pytest.fixture(scope="module")
def table(model):
    """Return texts of a few words with tags that follow from the model's scores, so that it can be calibrated."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 4, replace=False)) for _ in range(200)]
    logits = np.concatenate([scores["encoder"]["tags"] for scores, _ in model._scorers.scores(texts, 64)])
    target = rng.random(logits.shape) < expit(4 * (logits - logits.mean(axis=0)))
    cells = ["" if at % 25 == 0 else cell for at, cell in enumerate(cells_of(target))]
    cells[1] += "|غير معروف"
    return {"text": texts, "tags": cells, "dept": ["طرق" if at % 2 else "صحة" for at in range(200)]}


def test_an_evaluation_measures_sets_beside_baselines_and_is_printed_and_written(model, table, tmp_path, capsys):
    result = evaluate(model, table, train=table, resamples=50)
    found = result.tasks["tags"]
    assert result.tasks.keys() == {"dept", "tags"} and (found.n, found.unlabelled) == (192, 8)
    assert found.unknown_labels == {"غير معروف": 1}
    labelled, every = [at for at, cell in enumerate(table["tags"]) if cell], [*LABELS, "غير معروف"]
    truth = label_matrix([table["tags"][at] for at in labelled], every) == 1
    sets = [p.label_sets["tags"].ids for p in model.predict(table["text"])]
    answered = np.array([[label in ids for label in every] for ids in sets])[labelled]
    metrics = found.metrics
    value, low, high = metrics["micro_f1"]
    assert value == pytest.approx(f1_score(truth, answered, average="micro"), abs=1e-4) and low < value < high
    assert metrics["exact_match"].value == pytest.approx(accuracy_score(truth, answered), abs=1e-4)
    assert found.baselines.keys() == {"most frequent set", "TF-IDF + linear SVM"}
    assert result.rows.hits["tags"].count("-") == 8
    result.to_html(tmp_path / "page.html")
    assert "micro F1" in (tmp_path / "page.html").read_text(encoding="utf-8")
    cases = tmp_path / "cases.jsonl"
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    cases.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = str(tmp_path / "mine.json")
    assert main(["evaluate", str(cases), "--model", str(model.folder), "--resamples", "20", "-o", out]) == 0
    assert "exact match" in capsys.readouterr().out
    assert json.loads(Path(out).read_text(encoding="utf-8"))["tasks"]["tags"]["n"] == 192


def test_two_evaluations_are_compared_by_sets(model, table, tmp_path, capsys):
    calibrate(model, table, output=tmp_path / "better", label_columns=["tags"])
    first, second = (evaluate(each, table, resamples=20) for each in (tmp_path / "better", model))
    order = np.random.default_rng(0).permutation(200).tolist()
    # The same rows in another order, and the same labels in another order and with blanks.
    mixed = {name: [values[at] for at in order] for name, values in table.items()}
    mixed["tags"] = [" | ".join(reversed(cell.split("|"))) if cell not in ("", "|") else cell for cell in mixed["tags"]]
    for other in (second, evaluate(model, mixed, resamples=20)):
        found = compare(first, other).tasks["tags"]
        assert found.accuracy == tuple(each.tasks["tags"].metrics["exact_match"].value for each in (first, second))
        assert found.points.value == pytest.approx(100 * (found.accuracy[0] - found.accuracy[1]), abs=0.02)
    for name, result in (("a", first), ("b", second)):
        result.to_json(tmp_path / f"{name}.json")
    paths = [str(tmp_path / f"{name}.json") for name in "ab"]
    assert main(["compare", *paths]) == 0
    assert "tags: no difference beyond chance on these 192 rows." in capsys.readouterr().out
    told = json.loads(Path(paths[0]).read_text(encoding="utf-8"))
    told["rows"]["hits"]["tags"] += "1"
    Path(paths[0]).write_text(json.dumps(told), encoding="utf-8")
    assert main(["compare", *paths]) == 1
    assert "damaged" in capsys.readouterr().err


def test_calibration_makes_sets_right_more_often_and_says_so_before_and_after(model, table, tmp_path):
    result = calibrate(model, table, output=tmp_path / "calibrated", label_columns=["tags"])
    found = result.tasks["tags"]
    assert (found.n, found.unknown_labels) == (192, 1)
    assert found.after.accuracy > found.before.accuracy
    calibrated = ComplaintClassifier.from_pretrained(tmp_path / "calibrated", target_error={"tags": 0.5})
    task = calibrated.config.tasks["tags"]
    assert task.multi_label and task.curve
    assert calibrated.config.tasks["dept"] == model.config.tasks["dept"]
    with pytest.raises(ValueError, match="has 2 rows with a label that the model knows for tags"):
        few = {"text": table["text"][:10], "tags": ["|", "", "طرق", "طرق|إنارة", *["|"] * 6]}
        calibrate(model, few, output=tmp_path / "few", label_columns=["tags"])


def test_drift_leaves_sets_out(table):
    classified = table | {"dept_probability": [0.9] * 200, "tags_probabilities": ["0.9"] * 200}
    classified["needs_review"] = [False] * 200
    old, new = ({name: cells[part] for name, cells in classified.items()} for part in (slice(100), slice(100, 200)))
    found = drift(old, new)
    assert "dept" in found.mixes and "tags" not in found.mixes
    del old["dept_probability"], new["dept_probability"]
    others = drift(old, new)
    assert "tags" not in others.mixes and {"needs_review", "vocabulary"} <= others.tests.keys()
