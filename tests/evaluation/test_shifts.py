"""Statistics of change that agree with scipy, and raise about as few false alarms as they promise."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from tawasul_nlp.evaluation.shifts import (
    chi_square,
    holm,
    label_changes,
    least_fisher_p,
    log_odds_z,
    mix_change,
    permutation_p,
    word_shifts,
)
from tawasul_nlp.report.names import Name
from training.corpus import LabelSpace, load_examples


def counted(codes, is_new, size):
    """Return how many cases of each label both samples have."""
    return tuple(np.bincount(codes[side], minlength=size) for side in (~is_new, is_new))


@pytest.fixture(scope="module")
def texts():
    return [case.text for case in load_examples("validation", LabelSpace.load())][:400]


def test_chi_square_is_that_of_scipy():
    rng = np.random.default_rng(1)
    old, new = counted(rng.integers(0, 4, 300), np.arange(300) >= 180, 4)
    assert chi_square(old + new, new[None])[0] == pytest.approx(
        chi2_contingency([old, new], correction=False).statistic
    )


def test_the_least_p_value_of_labels_is_that_of_scipy():
    rng = np.random.default_rng(4)
    codes, is_new = rng.integers(0, 9, 90), np.arange(90) >= 60
    old, new = counted(codes, is_new, 9)
    least = min(fisher_exact([[a, 60 - a], [b, 30 - b]]).pvalue for a, b in zip(old, new, strict=True))
    assert least_fisher_p(old + new, np.array([new, new]))[1] == pytest.approx(least)


def test_drawn_counts_are_spread_as_those_of_rows_that_are_dealt_anew():
    rng = np.random.default_rng(2)
    codes, is_new = np.concatenate([rng.integers(0, 6, 90), rng.integers(2, 6, 60)]), np.arange(150) >= 90
    old, new = counted(codes, is_new, 6)
    dealings = np.array([counted(codes, rng.permutation(is_new), 6)[1] for _ in range(4000)])
    dealt = chi_square(old + new, dealings)
    drawn = np.random.default_rng(3).multivariate_hypergeometric(old + new, 60, size=4000, method="marginals")
    assert np.quantile(chi_square(old + new, drawn), [0.5, 0.9]) == pytest.approx(
        np.quantile(dealt, [0.5, 0.9]), rel=0.1
    )
    # The combination of two tests is a little less sure than the better one of them.
    alone = permutation_p(float(chi_square(old + new, new[None])[0]), dealt)
    assert alone / 2 <= mix_change(old, new, 3999) <= 3 * alone + 0.001


def test_one_label_that_grew_among_a_hundred_is_a_change_of_the_mix():
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.integers(0, 100, 150), np.full(17, 100), rng.integers(0, 100, 133)])
    is_new = np.arange(300) >= 150
    old, new = counted(codes, is_new, 101)
    present = old + new > 0
    dealings = np.array([counted(codes, rng.permutation(is_new), 101)[1][present] for _ in range(499)])
    by_chi_square = permutation_p(
        float(chi_square((old + new)[present], new[None, present])[0]), chi_square((old + new)[present], dealings)
    )
    assert mix_change(old[present], new[present], 499) <= 0.004 < by_chi_square


def test_the_most_changed_labels_come_first():
    old, new = np.array([50, 40, 30, 0]), np.array([50, 40, 2, 28])
    names = [Name(id, id, id) for id in "أبجد"]
    changes = label_changes(old, new, names)
    assert [each.label for each in changes[:2]] == ["ج", "د"] and all(each.adjusted_p < 0.05 for each in changes[:2])
    assert (changes[1].reference, changes[1].new) == (0.0, pytest.approx(28 / 120, abs=1e-4))


def test_false_alarms_are_about_as_rare_as_promised():
    """Thirty comparisons of samples of one population, by every permutation test: about one in twenty may alarm."""
    rng = np.random.default_rng(0)
    alarms = {"one": 0, "together": 0}
    for trial in range(30):
        mixes = []
        for _ in range(2):
            codes = np.concatenate([np.arange(25), rng.choice(25, 175, p=np.arange(1, 26) / 325)])
            rng.shuffle(codes)
            mixes.append(mix_change(*counted(codes, np.arange(200) >= 100, 25), 99, trial))
        alarms["one"] += mixes[0] <= 0.05
        alarms["together"] += min(holm(dict(zip("ab", mixes, strict=True))).values()) < 0.05
    # More than five of thirty would happen by chance once in 300 times at a rate of one in twenty.
    assert all(count <= 5 for count in alarms.values()), alarms


def test_word_tests_raise_no_alarm_on_halves_and_find_a_new_word(texts):
    is_new = np.arange(400) >= 200
    assert word_shifts(texts, is_new, 99)[0] > 0.05
    flooded = texts[:200] + [
        text + " بعد العاصفة المدارية" if row % 4 == 0 else text for row, text in enumerate(texts[200:])
    ]
    p_value, changed = word_shifts(flooded, is_new, 99)
    assert p_value == pytest.approx(0.01)
    found = {word.word: word for word in changed if word.beyond_chance}
    assert found["المدارية"].reference == 0 and found["المدارية"].new >= 45


def test_words_that_rose_and_words_that_fell_are_told_though_one_side_changed_more(texts):
    is_new = np.arange(400) >= 200
    storm = " العاصفة المدارية والأمطار الغزيرة جرفت الحاجز"
    mixed = [
        text + (storm if new and row % 2 else "" if new or row % 5 else " الحر")
        for row, (text, new) in enumerate(zip(texts, is_new, strict=True))
    ]
    changed = word_shifts(mixed, is_new, 99, limit=3)[1]
    assert sum(word.z > 0 for word in changed) == 3 == sum(word.z < 0 for word in changed)
    assert "الحر" in {word.word for word in changed if word.z < 0}


def test_a_word_that_stands_only_in_what_may_not_be_shown_is_left_out():
    texts = ["الشارع مظلم"] * 20 + ["الشارع مظلم يا فلان"] * 20
    is_new = np.arange(40) >= 20
    assert "فلان" in {word.word for word in word_shifts(texts, is_new, 19)[1]}
    cleaned = word_shifts(texts, is_new, 19, cleaned=lambda text: text.replace("فلان", ""))[1]
    assert "فلان" not in {word.word for word in cleaned} and cleaned


def test_log_odds_are_antisymmetric():
    matrix = (np.random.default_rng(3).random((60, 12)) < 0.4).astype(np.float32)
    is_new = np.arange(60) < 25
    total, new, old = matrix.sum(0), matrix[is_new].sum(0), matrix[~is_new].sum(0)
    assert np.allclose(log_odds_z(total, new), -log_odds_z(total, old), atol=1e-5)
