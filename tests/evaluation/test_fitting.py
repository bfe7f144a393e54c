"""Calibration recovers what was put in, and thresholds keep their promise."""

import numpy as np
import pytest

from tawasul_nlp.evaluation.fitting import fit_task, matched_in_the_large
from tawasul_nlp.evaluation.metrics import expected_calibration_error
from tawasul_nlp.model.combine import combine, log_softmax
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.thresholds import error_curve, threshold_at


@pytest.mark.parametrize("scale", [1e-3, 1.0, 3.0, 1e3])
def test_the_temperature_is_found_whatever_the_scale_of_the_scores(scale: float) -> None:
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
def test_scores_that_say_nothing_of_the_labels_still_give_probabilities(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    scores = {"encoder": {"t": rng.normal(size=(80, 4)) * spread}}
    fitted = fit_task("t", {"t": TaskConfig(tuple("abcd"), {"encoder": 1.0})}, scores, rng.integers(0, 4, 80))
    assert 1e-6 < fitted.temperature < 1e6 and fitted.power > 0.01
    with np.errstate(over="raise", invalid="raise"):
        probabilities = np.exp(combine({"t": fitted}, {"encoder": {"t": scores["encoder"]["t"] * 100}})["t"])
    assert np.allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("scales", [(70.0, 0.01), (0.01, 70.0), (850.0, 0.006)])
def test_the_better_reader_is_found_though_the_other_one_is_louder(scales: tuple[float, float]) -> None:
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


def threshold_by_hand(confidence: np.ndarray, correct: np.ndarray, target: float) -> float:
    """Try every confidence as a threshold, by the definition."""
    fine = [np.inf]
    for threshold in np.unique(confidence):
        accepted = confidence >= threshold
        if (~correct[accepted]).sum() + 1 <= target * accepted.sum() + 1e-9:
            fine.append(threshold)
    return float(min(fine))


def test_the_curve_gives_the_threshold_of_every_target() -> None:
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


def test_a_few_texts_that_are_all_right_make_answers_neither_certain_nor_all_alike() -> None:
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


def test_a_temperature_whose_halves_have_no_probabilities_stays_as_it_is() -> None:
    # 30 labels alike: at half the temperature or at the double, 3.4 to the power of 1000 overflows.
    task = TaskConfig(tuple(map(str, range(30))), {"encoder": 1.0}, power=1000.0)
    scorers = {"encoder": {"t": np.zeros((40, 30))}}

    def combined(task: TaskConfig) -> np.ndarray:
        return combine({"t": task}, scorers)["t"]

    with np.errstate(all="ignore"):
        assert matched_in_the_large(task, combined, np.arange(40) % 30, 1.0) == task
