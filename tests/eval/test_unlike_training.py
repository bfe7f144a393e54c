"""Distances from the training texts are larger for texts that are farther, and accepted answers are counted rightly."""

import numpy as np

from eval.quality.unlike_training import SIZES, Reading, accepted_errors, distances, unknown_shares
from tawasul_nlp.model.folder import BUNDLED, NGRAM
from tawasul_nlp.model.ngram import NgramScorer


def test_what_the_scorer_never_saw_is_unknown():
    shares = unknown_shares(NgramScorer.load(BUNDLED / NGRAM), ["انقطاع الكهرباء في مجمع 714", "qxzw jjkq vvxq", ""])
    for each in shares.values():
        assert each[0] < 0.2 and each[1] > 0.5 and each[2] == 0


def test_texts_far_from_every_label_are_far_by_every_measure_of_the_embedding():
    rng = np.random.default_rng(0)

    def reading(centres, labels):
        vectors = centres[labels] + 0.1 * rng.normal(size=(len(labels), 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ones = np.ones(len(labels))
        return Reading(ones, ones > 0, labels, vectors, {})

    labels = np.arange(40) % 2
    train = reading(np.eye(8)[:2], labels)
    near, far = distances(train, reading(np.eye(8)[:2], labels)), distances(train, reading(np.eye(8)[4:6], labels))
    for measure in near.keys() - {"confidence"}:
        assert near[measure].max() < far[measure].min()


def test_accepted_answers_are_counted_by_register_and_together():
    registers = np.array(["msa", "msa", "mixed"])
    found = accepted_errors(np.array([True, False, False]), np.array([True, True, False]), registers)
    assert found["msa"] == found["all"] == {"n": 2, "error": 0.5}
    assert found["mixed"] == {"n": 0, "error": None} and set(found) == {*SIZES, "all"}
