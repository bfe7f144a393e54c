"""A trained model is calibrated on labelled rows: what was put in is recovered, and thresholds keep their promise."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.evaluation import evaluate
from tawasul_nlp.evaluation.calibration import calibrate
from tawasul_nlp.evaluation.fitting import fit_task, matched_in_the_large, texts_to_find
from tawasul_nlp.evaluation.metrics import expected_calibration_error
from tawasul_nlp.model.combine import combine, log_softmax
from tawasul_nlp.model.folder import BUNDLED, CARD, TaskConfig, read_config
from tawasul_nlp.model.thresholds import error_curve, threshold_at
from tests.model.tiny_model import TASKS, TEXTS, write_tiny_model

ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "m", ngram=True)
    config = read_config(folder)
    tasks = {name: replace(task, temperature=0.2) for name, task in config.tasks.items()}
    replace(config, tasks=tasks).save(folder)
    return folder


@pytest.fixture(scope="module")
def table(folder):
    """Return rows whose labels are drawn from the model's probabilities, made flatter: the model is too sure."""
    rng = np.random.default_rng(0)
    words = sorted({word for text in TEXTS for word in text.split()})
    texts = [" ".join(rng.choice(words, 6)) for _ in range(ROWS)]
    clf = ComplaintClassifier.from_pretrained(folder, threads=1)
    columns = {"text": texts}
    for task, labels in TASKS.items():
        flat = clf.predict_proba(texts, task) ** 0.2
        columns[task] = [str(rng.choice(labels, p=row / row.sum())) for row in flat]
    return columns


def figures(folder, table):
    found = evaluate(folder, table, resamples=5)
    return {task: part.metrics["ece"].value for task, part in found.tasks.items()}


def test_a_model_that_is_too_sure_becomes_as_sure_as_it_may_be(folder, table, tmp_path):
    (folder / CARD).write_text("# A card\n", encoding="utf-8")
    half = {name: values[: ROWS // 2] for name, values in table.items()}
    rest = {name: values[ROWS // 2 :] for name, values in table.items()}
    result = calibrate(folder, half, output=tmp_path / "out")
    before, after = figures(folder, rest), figures(tmp_path / "out", rest)
    for task, found in result.tasks.items():
        assert after[task] < 0.12 < before[task]
        # What was told of the new calibration is what it does on other rows, up to chance.
        assert abs(found.after.ece - after[task]) < 0.1 and abs(found.before.ece - before[task]) < 0.1
        assert found.n == ROWS // 2 and found.unknown_labels == 0
    files = [path.name for path in folder.iterdir() if path.name not in ("config.json", CARD)]
    assert all((folder / name).read_bytes() == (tmp_path / "out" / name).read_bytes() for name in files)
    config = read_config(tmp_path / "out")
    assert config.model_hash == result.after.hash != result.before.hash == read_config(folder).model_hash
    assert config.about["calibrated"]["rows"] == ROWS // 2
    card = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    assert card.startswith("# A card\n\n**Calibrated anew**") and f"| dept | {ROWS // 2} | after |" in card
    again = calibrate(tmp_path / "out", half, output=tmp_path / "again")
    assert (tmp_path / "again" / CARD).read_text(encoding="utf-8").count("Calibrated anew") == 1
    assert again.before.hash == result.after.hash


def test_any_target_may_be_asked_for_then_and_an_impossible_one_is_told(folder, table, tmp_path):
    result = calibrate(folder, table, output=tmp_path / "out")
    assert result.tasks["dept"].after.accepted["0.02"].coverage == 0
    least = result.tasks["dept"].least_error
    assert f"no threshold reaches 5% for dept: its best is {100 * least:.4g}%" in result.warnings[0]
    clf = ComplaintClassifier.from_pretrained(tmp_path / "out", threads=1)
    assert all(p.needs_review for p in clf.predict(table["text"], target_error=0.001))
    curve = clf.config.tasks["dept"].curve
    truth = np.array(table["dept"])
    for threshold, error in curve[:: len(curve) // 4]:
        answers = clf.predict(table["text"], target_error={"dept": error, "subject": 0.99})
        accepted = np.array([not p.needs_review for p in answers])
        given = np.array([p.labels["dept"].id for p in answers])
        assert accepted.tolist() == [p.labels["dept"].probability >= threshold - 1e-9 for p in answers]
        assert (given[accepted] != truth[accepted]).mean() < error


def test_labels_that_the_model_lacks_count_as_errors(folder, table, tmp_path):
    foreign = {**table, "dept": ["other"] * 100 + table["dept"][100:]}
    found = calibrate(folder, foreign, label_columns=["dept"], output=tmp_path / "out").tasks["dept"]
    plain = calibrate(folder, table, label_columns=["dept"], output=tmp_path / "plain").tasks["dept"]
    assert found.unknown_labels == 100 and found.after.accuracy < plain.after.accuracy
    assert read_config(tmp_path / "out").tasks["subject"] == read_config(folder).tasks["subject"]


@pytest.mark.slow
def test_a_label_that_must_not_be_missed_is_found_as_often_as_asked_or_as_before(folder, table, tmp_path):
    label = TASKS["dept"][0]

    def recall(model):
        answers = ComplaintClassifier.from_pretrained(model, threads=1).predict(table["text"])
        given = np.array([p.labels["dept"].id for p in answers])
        return float((given[np.array(table["dept"]) == label] == label).mean())

    texts = table["dept"].count(label)
    for asked, out in ((0.95, "high"), (0.7, "lower")):
        calibrate(folder, table, output=tmp_path / out, least_recall={label: asked})
        # Of so many texts as many are found as promise the share for texts to come.
        found = round(texts * recall(tmp_path / out))
        assert beta.ppf(0.1, found, texts - found + 1) >= asked > beta.ppf(0.1, found - 2, texts - found + 3)
    # Other probabilities, the same share of the label's texts.
    config = read_config(tmp_path / "lower")
    tasks = {name: replace(task, temperature=task.temperature * 3) for name, task in config.tasks.items()}
    replace(config, tasks=tasks).save(tmp_path / "lower")
    before = recall(tmp_path / "lower")
    calibrate(tmp_path / "lower", table, output=tmp_path / "again")
    assert recall(tmp_path / "again") == pytest.approx(before, abs=0.03)
    for share, message in (({"other": 0.9}, "'other', which is no label"), ({label: 90}, "is 90, expected a share")):
        with pytest.raises(ValueError, match=message):
            calibrate(folder, table, output=tmp_path / "out", least_recall=share)


def test_the_agencies_of_labelled_topics_are_calibrated_along(tmp_path):
    with_topic = read_config(BUNDLED).tasks
    rng = np.random.default_rng(1)
    topics = rng.choice(with_topic["topic"].labels, 60)
    names = [f"{topic.replace('_', ' ')} {at}" for at, topic in enumerate(topics)]
    result = calibrate(None, {"text": names, "topic": topics.tolist()}, output=tmp_path / "out")
    assert result.tasks["agency"].column is None and result.tasks["agency"].n == 60
    assert "kind" not in result.tasks and read_config(tmp_path / "out").tasks["kind"] == with_topic["kind"]


def test_what_cannot_be_calibrated_is_refused_before_the_model_reads(folder, table, tmp_path):
    few = {name: values[:10] for name, values in table.items()}
    with pytest.raises(ValueError, match="10 rows with a label that the model knows for dept"):
        calibrate(folder, few, output=tmp_path / "out")
    with pytest.raises(FileExistsError, match="is not empty"):
        calibrate(folder, table, output=folder)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_folder(folder, table, tmp_path, capsys):
    data, out = tmp_path / "labelled.csv", tmp_path / "out"
    with data.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["نص", "dept", "s"])
        writer.writerows(zip(table["text"], table["dept"], table["subject"], strict=True))
    options = [str(data), "-t", "نص", "--label-columns", "dept,subject=s"]
    assert main(["calibrate", str(folder), *options]) == 2
    assert "--output" in capsys.readouterr().err
    assert main(["calibrate", str(folder), *options, "-o", str(out)]) == 0
    shown = capsys.readouterr()
    assert "coverage at 5%" in shown.out and "no threshold reaches 2% for dept" in shown.err
    before = read_config(out)
    assert main(["calibrate", str(out), *options, "-o", str(tmp_path / "again"), "--json"]) == 0
    told, again = json.loads(capsys.readouterr().out), read_config(tmp_path / "again")
    assert told["before"]["hash"] == before.model_hash and told["after"]["hash"] == again.model_hash


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.0, 1e3])
def test_the_temperature_is_found_whatever_the_scale_of_the_scores(scale):
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(8000, 5)) * 1.5
    truth = np.array([rng.choice(5, p=row) for row in np.exp(log_softmax(honest))])
    scores = {"encoder": {"t": honest * scale}}
    fitted = fit_task("t", {"t": TaskConfig(tuple("abcde"), {"encoder": 1.0})}, scores, truth)
    assert abs(fitted.temperature / scale - 1) < 0.1 and abs(fitted.power - 1) < 0.1
    probabilities = np.exp(combine({"t": fitted}, scores)["t"])
    assert expected_calibration_error(probabilities.max(1), probabilities.argmax(1) == truth) < 0.02


@pytest.mark.parametrize("spread", [0.05, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_scores_that_say_nothing_of_the_labels_still_give_probabilities(seed, spread):
    rng = np.random.default_rng(seed)
    scores = {"encoder": {"t": rng.normal(size=(80, 4)) * spread}}
    fitted = fit_task("t", {"t": TaskConfig(tuple("abcd"), {"encoder": 1.0})}, scores, rng.integers(0, 4, 80))
    assert 1e-6 < fitted.temperature < 1e6 and fitted.power > 0.01
    with np.errstate(over="raise", invalid="raise"):
        probabilities = np.exp(combine({"t": fitted}, {"encoder": {"t": scores["encoder"]["t"] * 100}})["t"])
    assert np.allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("scales", [(70.0, 0.01), (0.01, 70.0), (850.0, 0.006)])
def test_the_better_reader_is_found_though_the_other_one_is_louder(scales):
    rng = np.random.default_rng(6)
    honest = rng.normal(size=(2000, 5)) * 2
    truth = np.array([rng.choice(5, p=row) for row in np.exp(log_softmax(honest))])
    noisy = honest + rng.normal(size=honest.shape) * 4
    loud, quiet = scales
    readers = {"encoder": {"t": noisy * loud}, "ngram": {"t": honest * quiet}}
    fitted = fit_task("t", {"t": TaskConfig(tuple("abcde"), {"encoder": 0.5, "ngram": 0.5})}, readers, truth)
    found = -combine({"t": fitted}, readers)["t"][np.arange(2000), truth].mean()
    best = -log_softmax(honest)[np.arange(2000), truth].mean()
    assert found < best + 0.01


def threshold_by_hand(confidence, correct, target):
    """Try every confidence as a threshold, by the definition."""
    fine = [np.inf]
    for threshold in np.unique(confidence):
        accepted = confidence >= threshold
        if (~correct[accepted]).sum() + 1 <= target * accepted.sum() + 1e-9:
            fine.append(threshold)
    return float(min(fine))


def test_the_curve_gives_the_threshold_of_every_target():
    rng = np.random.default_rng(3)
    confidence = rng.random(600).round(2)  # many equals
    correct = rng.random(600) < confidence
    curve = error_curve(confidence, correct)
    assert len(curve) < 100
    for target in np.arange(1, 60) / 100:
        assert threshold_at(curve, target) == threshold_by_hand(confidence, correct, target)
    assert threshold_at(curve, curve[0][1]) == curve[0][0] and threshold_at(curve, curve[0][1] - 1e-4) == np.inf
    assert threshold_at(error_curve(confidence, np.zeros(600, bool)), 0.05) == np.inf
    assert error_curve(np.zeros(0), np.zeros(0, bool)) == ()


def test_a_few_texts_that_are_all_right_make_answers_neither_certain_nor_all_alike():
    rng = np.random.default_rng(2)
    truth = np.arange(36) % 6
    margins = np.linspace(0.4, 6, 36)
    scores = rng.normal(size=(36, 6)) * 0.1
    scores[np.arange(36), truth] += margins
    task = TaskConfig(tuple("abcdef"), {"encoder": 0.5, "ngram": 0.5})
    readers = {"encoder": {"t": scores}, "ngram": {"t": scores * 0.3}}
    fitted = fit_task("t", {"t": task}, readers, truth, prior=1.0)
    confidence = np.exp(combine({"t": fitted}, readers)["t"]).max(1)
    assert 0.8 < confidence.mean() < 0.995
    assert confidence[margins > 4].min() > confidence[margins < 1].max()
    assert 0.3 < fitted.power < 3 and 0.01 < fitted.temperature < 10


def test_a_temperature_whose_halves_have_no_probabilities_stays_as_it_is():
    # 30 labels alike: at half the temperature or at the double, 3.4 to the power of 1000 overflows.
    task = TaskConfig(tuple(map(str, range(30))), {"encoder": 1.0}, power=1000.0)
    scorers = {"encoder": {"t": np.zeros((40, 30))}}

    def combined(task):
        return combine({"t": task}, scorers)["t"]

    with np.errstate(all="ignore"):
        assert matched_in_the_large(task, combined, np.arange(40) % 30, 1.0) == task


def test_too_few_texts_promise_less_and_a_warning_says_how_much(caplog):
    task = TaskConfig(("emergency", "normal"), {"encoder": 1.0})
    truth = np.array([0] * 5 + [1] * 40)
    assert texts_to_find(task, truth, {"emergency": 0.8, "elsewhere": 0.5}) == {"emergency": 5}
    assert "5 texts of 'emergency' are too few to promise that 0.8" in caplog.text
    assert "it is 0.63 with a confidence of 90%" in caplog.text
    assert texts_to_find(task, truth[5:], {"emergency": 0.8}) == {}
