"""Probabilities under other label frequencies are those of Bayes' rule."""

from dataclasses import replace

import numpy as np
import pytest

from tawasul_nlp.domain import UnknownIdError
from tawasul_nlp.model.combine import deciding_ratios, log_ratios, with_ratios
from tawasul_nlp.model.folder import TaskConfig, read_config
from tests.model.tiny_model import write_tiny_model

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
        (
            TOPIC,
            {"leek": 3, "outage": 1},
            UnknownIdError,
            "name 'leek', which is no label of topic; did you mean 'leak'",
        ),
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
