"""Rules for thresholds of labels choose what they say they do."""

import numpy as np

from eval.quality.label_sets import CHOSEN, OFFSETS, THRESHOLDS, label_sets, measure, thresholds
from training.corpus import LabelSpace, load_examples


def test_a_label_has_a_threshold_of_its_own_from_so_many_texts_on():
    rng = np.random.default_rng(0)
    truth = np.zeros((100, 2), np.int8)
    truth[:30, 0], truth[:10, 1] = 1, 1
    probabilities = np.clip(truth * [0.8, 0.2] + 0.05 * rng.random((100, 2)), 0, 1)
    one, own = (thresholds(rule, probabilities, truth) for rule in ("one, by micro F1", "own from 20 texts, by F1"))
    assert one[0] == one[1] == own[1] < own[0]
    assert ((probabilities >= own) == (truth == 1)).all()
    assert thresholds("0.5", probabilities, truth).tolist() == [0.5, 0.5]


def test_every_rule_is_measured_on_rows_that_did_not_choose_it():
    rng = np.random.default_rng(0)
    truth = (rng.random((150, 3)) < 0.3).astype(np.int8)
    scores = {name: 3.0 * truth + rng.normal(size=truth.shape) for name in ("encoder", "ngram")}
    found = measure(scores, truth, 100)
    assert len(found) == len(OFFSETS) * len(THRESHOLDS) and "; ".join(CHOSEN) in found
    assert all(0.7 < figures["micro_f1"] < 1 for figures in found.values())


def test_a_case_with_a_second_topic_has_two_topics():
    found = label_sets(LabelSpace.load())["topics"]
    cases = load_examples("validation", LabelSpace.load())
    assert {len(found(case)) for case in cases} == {1, 2}
