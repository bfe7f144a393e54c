"""Statistics of change that agree with scipy, and raise about as few false alarms as they promise."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from tawasul_nlp.evaluation.shifts import fisher_p, holm, label_changes, mix_p, word_shifts
from tawasul_nlp.report.names import Name
from training.corpus import LabelSpace, load_examples


def counted(codes, is_new, size):
    """Return how many cases of each label both samples have."""
    return tuple(np.bincount(codes[side], minlength=size) for side in (~is_new, is_new))


@pytest.fixture(scope="module")
def texts():
    return [case.text for case in load_examples("validation", LabelSpace.load())][:400]


def test_p_values_are_twice_the_less_likely_tail_of_scipys_test_adjusted_for_all_labels():
    rng = np.random.default_rng(4)
    old, new = counted(rng.integers(0, 9, 90), np.arange(90) >= 60, 9)
    tails = [
        [fisher_exact([[a, 60 - a], [b, 30 - b]], alternative=tail).pvalue for a, b in zip(old, new, strict=True)]
        for tail in ("less", "greater")
    ]
    ordered = np.sort(np.minimum(1, 2 * np.min(tails, axis=0)))
    assert fisher_p(old + new, new, 90, 30).min() == pytest.approx((ordered * 9 / np.arange(1, 10)).min())


def p_of_mix(old, new):
    present = old + new > 0
    return mix_p(old[present], new[present])


def test_one_label_that_grew_among_a_hundred_and_many_that_grew_a_little_are_a_change_of_the_mix():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.integers(0, 100, 150), np.full(17, 100), rng.integers(0, 100, 133)])
    assert p_of_mix(*counted(codes, np.arange(300) >= 150, 101)) < 0.01
    assert p_of_mix(np.array([40, 60] * 10), np.array([60, 40] * 10)) < 0.01


def test_the_most_changed_labels_come_first():
    old, new = np.array([50, 40, 30, 0]), np.array([50, 40, 2, 28])
    names = [Name(id, id, id) for id in "أبجد"]
    changes = label_changes(old, new, names)
    assert [each.label for each in changes[:2]] == ["ج", "د"] and all(each.adjusted_p < 0.05 for each in changes[:2])
    assert (changes[1].reference, changes[1].new) == (0.0, pytest.approx(28 / 120, abs=1e-4))


def test_false_alarms_are_as_rare_as_promised(texts):
    """A hundred comparisons of samples of one population: one in twenty may alarm, by labels and by words."""
    rng = np.random.default_rng(0)
    alarms = {"one mix": 0, "two mixes": 0, "words": 0}
    for _ in range(100):
        mixes = []
        for _ in range(2):
            codes = np.concatenate([np.arange(25), rng.choice(25, 175, p=np.arange(1, 26) / 325)])
            rng.shuffle(codes)
            old, new = counted(codes, np.arange(200) >= 100, 25)
            mixes.append(p_of_mix(old, new))
        alarms["one mix"] += mixes[0] < 0.05
        alarms["two mixes"] += min(holm(dict(zip("ab", mixes, strict=True))).values()) < 0.05
        alarms["words"] += word_shifts(texts, rng.permutation(len(texts)) < 200, limit=0)[0] < 0.05
    assert all(count <= 5 for count in alarms.values()), alarms


def test_words_that_rose_and_words_that_fell_are_told_though_one_side_changed_more(texts):
    is_new = np.arange(400) >= 200
    storm = " العاصفة المدارية والأمطار الغزيرة جرفت الحاجز"
    mixed = [
        text + (storm if new and row % 2 else "" if new or row % 5 else " الحر")
        for row, (text, new) in enumerate(zip(texts, is_new, strict=True))
    ]
    changed = word_shifts(mixed, is_new, limit=3)[1]
    assert [word.rose for word in changed] == [True] * 3 + [False] * 3
    assert "الحر" in {word.word for word in changed if not word.rose}
