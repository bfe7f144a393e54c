"""The figures of issues and urgency are those that their definitions give."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from eval.quality import issues, urgency

TRUTH = [{"roads": (0, 10), "light": (20, 30)}, {"water": (0, 8)}, {"water": (4, 8)}]
SAID = [{"roads": (0, 5)}, {"water": (0, 8), "power": (8, 12)}, {"power": (0, 8)}]


def test_pairs_second_issues_and_clauses_are_counted_over_the_cases():
    figures = issues.summariser(TRUTH, SAID)(np.ones(3))
    assert figures["precision"] == pytest.approx(2 / 4) and figures["recall"] == pytest.approx(2 / 4)
    assert figures["f1"] == pytest.approx(2 / 4) and figures["second"] == pytest.approx(1 / 2)
    assert figures["overlap"] == pytest.approx((0.5 + 1.0) / 2)
    assert set(figures) == set(issues.FIGURES)


def test_the_likeliest_topic_is_answered_below_the_threshold_and_the_best_threshold_is_that_of_f1():
    labels = ("roads", "light", "water", "power")
    probabilities = np.array([[0.5, 0.4, 0.05, 0.05], [0.1, 0.1, 0.6, 0.2], [0.1, 0.2, 0.4, 0.3]])
    truth = [{"roads": (0, 1), "light": (1, 2)}, {"water": (0, 1)}, {"water": (0, 1)}]
    least = issues.best_threshold(labels, probabilities, truth)
    assert 0.3 < least <= 0.4
    assert [set(topics) for topics in issues.from_threshold(labels, probabilities, least, ["نص"] * 3)] == list(
        map(set, truth)
    )
    assert [len(topics) for topics in issues.from_threshold(labels, probabilities, 0.99, ["نص"] * 3)] == [1, 1, 1]


def test_the_figures_of_urgency_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, said = (rng.choice(urgency.LEVELS, 200, p=[0.1, 0.2, 0.7]).tolist() for _ in range(2))
    figures = urgency.summariser(truth, said)(np.ones(200))
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro"))
    emergencies = {"labels": ["emergency"], "average": "micro"}
    assert figures["recall"] == pytest.approx(recall_score(truth, said, **emergencies))
    assert figures["precision"] == pytest.approx(precision_score(truth, said, **emergencies))


def test_the_test_split_is_not_among_what_is_learned_from():
    learned, held_out = set(urgency.training_labels()[0]), urgency.test_split()
    assert len(held_out.texts) == len(held_out.first) > 1000 and learned.isdisjoint(held_out.texts)
    assert learned.isdisjoint(urgency.cases_of_issues().texts)
