"""No alarm on random halves, an alarm on a real shift, and statistics that agree with scipy."""

import io
import json
import random
import re

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import chi2_contingency, fisher_exact

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.cli import main
from tawasul_nlp.evaluation import drift, shifts
from tawasul_nlp.evaluation.periods import label_mix
from tawasul_nlp.evaluation.shifts import (
    chi_square,
    coded,
    holm,
    label_changes,
    log_odds_z,
    mean_discrepancy,
    permuted,
    told_apart,
    word_shifts,
)
from training.corpus import LabelSpace, load_examples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases():
    found = load_examples("validation", LabelSpace.load()) + load_examples("test", LabelSpace.load())
    random.Random(5).shuffle(found)  # of the seeds 4 to 15, two give halves that differ beyond chance
    return found


@pytest.fixture(scope="module")
def clf():
    return ComplaintClassifier.from_pretrained()


def _table(tmp_path, name, cases, month):
    rows = [{"text": e.text, "topic": e.topic, "at": f"2026-{month:02d}-{1 + i % 28:02d}"} for i, e in enumerate(cases)]
    (tmp_path / name).write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(tmp_path / name)


def _shifted(cases, n, share):
    """`n` cases of which a share is about water and electricity after a storm, more than they usually are."""
    storm = {"rainwater_pooling", "sewage_overflow", "water_outage_pressure", "power_outage", "water_leak"}
    wet = [e for e in cases if e.topic in storm]
    dry = [e for e in cases if e.topic not in storm]
    return wet[: int(share * n)] + dry[: n - int(share * n)]


def test_two_random_halves_raise_no_alarm_and_a_storm_does(cases, tmp_path, capsys):
    old = _table(tmp_path, "old.jsonl", cases[:150], 1)
    same = _table(tmp_path, "same.jsonl", cases[150:300], 4)
    storm = _table(tmp_path, "storm.jsonl", _shifted(cases[300:], 150, 0.5), 4)
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    common = ["--date-column", "at", "--rounds", "199", "-o", str(out), "--html", str(page)]
    assert main(["drift", old, same, *common]) == 0
    assert "No change beyond chance." in capsys.readouterr().out
    assert main(["drift", old, storm, *common]) == 0
    assert "Changed beyond chance" in capsys.readouterr().out
    result = json.loads(out.read_text(encoding="utf-8"))
    alarms = {name for name, test in result["tests"].items() if test["alarm"]}
    assert {"topic mix", "embedding"} <= alarms
    first = result["labels"]["topic"]["changes"][0]
    assert first["new"] > first["reference"] and first["adjusted_p"] < 0.05
    assert result["new"]["first"] == "2026-04-01" and result["command"].startswith("tawasul")
    shown = page.read_text(encoding="utf-8")
    assert "<script" not in shown and shown.count("<svg") == 9  # period, three mixes, three confidences, words, map
    assert 'src="http' not in shown


def test_one_label_that_grew_among_many_is_a_change_of_the_mix_on_the_terminal_and_on_the_page(clf, cases, tmp_path):
    rng = np.random.default_rng(0)
    texts = [case.text for case in cases[:150]]
    labels = [f"t{code}" for code in rng.integers(0, 100, 150)]
    grown = ["flood"] * 17 + [f"t{code}" for code in rng.integers(0, 100, 133)]
    old, new = ({"text": texts, "topic": side} for side in (labels, grown))
    result = drift(old, new, clf, label_columns=["topic"], rounds=499)
    codes = coded(labels + grown)[0]
    # Chi-square alone would miss it: it is one of six tests.
    assert 6 * permuted(lambda mask: chi_square(codes, mask), np.arange(300) >= 150, 499)[1] > 0.05
    first, *others = result.labels["topic"].changes
    assert first.label == "flood" and first.beyond_chance and "topic mix" in result.alarms
    assert not any(row.beyond_chance for row in others)
    console = Console(width=200, file=io.StringIO())
    console.print(result)
    assert "topic: flood 0.0% -> 11.3%" in console.file.getvalue()
    assert re.search(r"topic mix +yes", console.file.getvalue())
    result.to_html(tmp_path / "drift.html")
    assert re.search(r">flood</td><td[^>]*>yes</td>", (tmp_path / "drift.html").read_text(encoding="utf-8"))


def test_no_label_is_beyond_chance_where_its_mix_is_not(clf, cases):
    labels = ["a"] * 30 + ["b"] * 30, ["a"] * 27 + ["b"] * 26 + ["c"] * 7
    old, new = ({"text": [case.text for case in cases[:60]], "topic": side} for side in labels)
    result = drift(old, new, clf, label_columns=["topic"], rounds=199)
    alone = label_changes(*coded(labels[0] + labels[1])[:1], np.arange(120) >= 60, ["a", "b", "c"])
    assert min(row.adjusted_p for row in alone) < 0.05 <= result.tests["topic mix"].adjusted_p
    assert not any(row.beyond_chance for row in result.labels["topic"].changes)
    assert all(row.adjusted_p >= 0.05 for row in result.labels["topic"].changes)


def test_too_few_rounds_to_show_anything_are_refused(cases, clf):
    table = {"text": [case.text for case in cases[:20]]}
    with pytest.raises(ValueError, match="99 rounds cannot show a change by 8 tests; give at least 160"):
        drift(table, table, clf, rounds=99)


def test_dates_that_cannot_be_read_are_refused_before_anything_is_predicted(cases, clf):
    table = {"text": [case.text for case in cases[:20]], "at": ["أمس"] * 20}
    with pytest.raises(ValueError, match="no date of column 'at' in dict can be read"):
        drift(table, table, clf, date_column="at")


def test_false_alarms_are_about_as_rare_as_promised():
    """Thirty comparisons of samples of one population, by every permutation test: about one in twenty may alarm."""
    rng = np.random.default_rng(0)
    low = {"mix": 0, "embedding": 0, "together": 0}
    for trial in range(30):
        codes = np.concatenate([np.arange(25), rng.choice(25, 175, p=np.arange(1, 26) / 325)])
        rng.shuffle(codes)
        vectors = rng.normal(size=(200, 8)) + codes[:, None] % 3
        is_new = np.arange(200) >= 100
        mix = label_mix(codes, [str(code) for code in range(25)], is_new, 99, trial)[1]
        embedding = mean_discrepancy(vectors, is_new, 99, trial)[1]
        low["mix"] += mix <= 0.05
        low["embedding"] += embedding <= 0.05
        low["together"] += min(holm({"mix": mix, "embedding": embedding}).values()) < 0.05
    # More than five of thirty would happen by chance once in 300 times at a rate of one in twenty.
    assert all(count <= 5 for count in low.values()), low


def test_word_tests_raise_no_alarm_on_halves_and_find_a_new_word(cases):
    texts = [e.text for e in cases[:400]]
    is_new = np.arange(400) >= 200
    assert word_shifts(texts, is_new, 99)[0] > 0.05
    flooded = texts[:200] + [
        text + " بعد العاصفة المدارية" if row % 4 == 0 else text for row, text in enumerate(texts[200:])
    ]
    p_value, changed, unseen = word_shifts(flooded, is_new, 99)
    assert p_value == pytest.approx(0.01)
    assert {"المداريه", "العاصفه"} & {word.word for word in changed[:3] if word.beyond_chance}
    assert unseen[0].reference == 0 and unseen[0].new >= 45


def test_the_mmd_finds_what_moved_and_the_classifier_sizes_it():
    rng = np.random.default_rng(2)
    still, moved = rng.normal(size=(300, 16)), rng.normal(size=(300, 16))
    moved[150:, 0] += 1.5
    is_new = np.arange(300) >= 150
    assert mean_discrepancy(still, is_new, 99)[1] > 0.05
    assert mean_discrepancy(moved, is_new, 99)[1] == pytest.approx(0.01)
    assert abs(told_apart(still, is_new) - 0.5) < 0.1 < told_apart(moved, is_new) - 0.5


def test_the_least_p_value_of_labels_is_that_of_scipy():
    rng = np.random.default_rng(4)
    codes, is_new = rng.integers(0, 9, 90), np.arange(90) >= 60
    least = min(
        fisher_exact(
            [
                [(mine := codes == label)[is_new].sum(), (~mine)[is_new].sum()],
                [mine[~is_new].sum(), (~mine)[~is_new].sum()],
            ]
        ).pvalue
        for label in range(9)
    )
    assert shifts._least_fisher_p(codes, [is_new, ~is_new[::-1]])[0] == pytest.approx(least)


def test_chi_square_is_that_of_scipy_and_changed_labels_come_first():
    rng = np.random.default_rng(1)
    codes, is_new = rng.integers(0, 4, 300), np.arange(300) >= 180
    codes[200:240] = 2
    counts = [np.bincount(codes[side], minlength=4) for side in (~is_new, is_new)]
    assert chi_square(codes, is_new) == pytest.approx(chi2_contingency(counts, correction=False).statistic)
    changes = label_changes(codes, is_new, ["أ", "ب", "ج", "د"])
    assert changes[0].label == "ج" and changes[0].adjusted_p < 0.05
    assert sum(row.new for row in changes) == pytest.approx(1, abs=1e-3)


def test_log_odds_are_antisymmetric():
    matrix = (np.random.default_rng(3).random((60, 12)) < 0.4).astype(np.float32)
    is_new = np.arange(60) < 25
    assert np.allclose(log_odds_z(matrix, is_new), -log_odds_z(matrix, ~is_new), atol=1e-5)


def test_too_few_rows_are_refused(clf):
    few = {"text": ["المجاري طافحة"] * 3}
    with pytest.raises(ValueError, match="3 usable rows"):
        drift(few, few, clf)
