"""The figures agree with scikit-learn and scipy, and the intervals mean what they say."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from tawasul_nlp.evaluation import metrics
from tawasul_nlp.evaluation.task_answers import ConfusedPair, answers, metrics_of, most_confused, summariser

LABELS = ("المجاري", "الإنارة", "الطرق", "النظافة")


@pytest.fixture(scope="module")
def random_answers():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 500)
    logits = rng.normal(size=(500, 4)) + 1.5 * np.eye(4)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return truth, scores, answers(LABELS, [LABELS[i] for i in truth], scores)


def test_figures_are_those_of_scikit_learn_and_bins_hold_every_answer(random_answers):
    truth, scores, found = random_answers
    figures = summariser(found)(np.ones(500))
    guess = scores.argmax(1)
    assert figures["accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert figures["weighted_f1"] == pytest.approx(f1_score(truth, guess, average="weighted"))
    assert figures["top3"] == pytest.approx(top_k_accuracy_score(truth, scores, k=3))
    assert figures["ece"] == pytest.approx(metrics.expected_calibration_error(scores.max(1), guess == truth))
    bins = metrics.reliability(scores.max(1), found.hits)
    assert sum(each.n for each in bins) == 500
    assert sum(each.n * each.accuracy for each in bins) / 500 == pytest.approx(found.hits.mean(), abs=1e-3)


def test_weights_are_repeated_rows(random_answers):
    truth, scores, found = random_answers
    weights = np.random.default_rng(0).integers(0, 4, 500)
    rows = np.repeat(np.arange(500), weights)
    repeated = answers(LABELS, [LABELS[i] for i in truth[rows]], scores[rows])
    expected = summariser(repeated)(np.ones(len(rows)))
    got = summariser(found)(weights.astype(float))
    assert got == pytest.approx(expected)


def test_a_label_that_the_model_lacks_is_missed_and_counts_in_macro_f1():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = answers(("طرق", "إنارة"), ["طرق", "إنارة", "صحة"], scores)
    figures = summariser(found)(np.ones(3))
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert most_confused(found) == (ConfusedPair("صحة", "طرق", 1),)


def test_coverage_by_hand():
    confidence = np.array([0.9, 0.8, 0.8, 0.5, 0.4])
    hits = np.array([True, False, True, True, False])
    figures = metrics.confidence_summariser(confidence, hits)
    assert figures(np.ones(5))["coverage_at_5"] == pytest.approx(0.2)
    # A threshold cannot part the two texts of confidence .8.
    assert figures(np.array([1, 0.01, 1, 1, 0.01]))["coverage_at_5"] == pytest.approx(1.0)
    assert figures(np.array([0, 1, 1, 1, 1]))["coverage_at_5"] == 0.0


def test_bootstrap_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(120):
        hits = rng.random(200) < 0.7
        value, low, high = metrics.bootstrap(
            lambda w, h=hits: {"x": float(w @ h / w.sum())}, np.arange(200), 200, trial
        )["x"]
        assert low <= value <= high
        covered += low <= 0.7 <= high
    assert 105 <= covered <= 120


def test_rows_of_one_group_are_drawn_together_so_that_copies_do_not_narrow_the_interval():
    rng = np.random.default_rng(6)
    hits = np.repeat(rng.random(60) < 0.7, 10)

    def width(groups):
        _, low, high = metrics.bootstrap(lambda w: {"x": float(w @ hits / w.sum())}, groups, 300)["x"]
        return high - low

    assert width(np.repeat(np.arange(60), 10)) > 2 * width(np.arange(600))


def test_all_right_does_not_claim_certainty():
    low, high = metrics.interval_of_alike(True, np.arange(8))[1:]
    assert low < 0.65 and high == 1.0
    found = answers(LABELS, [LABELS[1]] * 8, np.tile([0.1, 0.7, 0.1, 0.1], (8, 1)))
    assert metrics_of(found, np.arange(8), 50)["accuracy"] == (1.0, low, 1.0)
    # Reports of one incident are one case, and all wrong is no more certain than all right.
    assert metrics_of(found, np.arange(8) // 2, 50)["top3"].low < low
    wrong = answers(LABELS, [LABELS[0]] * 8, np.tile([0.1, 0.7, 0.1, 0.1], (8, 1)))
    assert metrics_of(wrong, np.arange(8), 50)["accuracy"] == (0.0, 0.0, pytest.approx(1 - low, abs=1e-4))


def test_mcnemar_is_exact_and_a_difference_of_nothing_is_not_significant():
    first = np.array([True] * 40 + [False] * 10 + [True] * 5)
    second = np.array([True] * 40 + [True] * 1 + [False] * 9 + [False] * 5)
    found = metrics.difference(first, second, np.arange(55), 500)
    assert (found.first_only, found.second_only) == (5, 1)
    assert found.p_value == pytest.approx(binomtest(5, 6).pvalue)
    assert not found.significant
    same = metrics.difference(first, first, np.arange(55), 200)
    assert same.p_value == 1.0 and same.points == (0.0, 0.0, 0.0) and not same.significant
