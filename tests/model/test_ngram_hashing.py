"""Our hashed n-grams are scikit-learn's, whatever the text."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from tawasul_nlp.model.ngram import _NUMBER, CHAR_NGRAMS, HASH_SIZE, MAX_CHARS, WORD_NGRAMS, NgramFeatures
from tawasul_nlp.text import Normalizer, arabizi_to_arabic

NORMALIZER = Normalizer("matching")
OPTIONS: dict[str, Any] = {
    "n_features": HASH_SIZE,
    "alternate_sign": False,
    "norm": None,
    "preprocessor": lambda text: _NUMBER.sub("0", NORMALIZER(arabizi_to_arabic(text[:MAX_CHARS]))),
    "dtype": np.float32,
}
REFERENCE = (
    HashingVectorizer(analyzer="char_wb", ngram_range=CHAR_NGRAMS, **OPTIONS),
    HashingVectorizer(analyzer="word", ngram_range=WORD_NGRAMS, token_pattern=r"(?u)\b\w+\b", **OPTIONS),
)
ARABIC = st.text(alphabet="ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئةىپچڤگ \n\tـًَُ٣5_-.،؟abZé😀", max_size=80)
FEATURES = NgramFeatures()


def assert_same(texts: list[str]) -> None:
    for ours, reference in zip(FEATURES.counts(texts), REFERENCE, strict=True):
        expected = reference.transform(texts)
        expected.sort_indices()
        assert ours.texts == expected.shape[0]
        assert np.array_equal(ours.indptr, expected.indptr)
        assert np.array_equal(ours.indices, expected.indices)
        assert np.array_equal(ours.data, expected.data)


@settings(max_examples=150)
@given(st.lists(ARABIC, min_size=1, max_size=6))
def test_counts_of_arabic_texts_are_scikit_learns(texts: list[str]) -> None:
    assert_same(texts)


@settings(max_examples=150)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_counts_of_any_texts_are_scikit_learns(texts: list[str]) -> None:
    assert_same(texts)


def test_counts_of_odd_texts_are_scikit_learns() -> None:
    assert_same(["", " ", "س", "س" * 30_000, "كلمة " * 6_000, "a" * 15 + " " + "ب" * 16, "😀" * 40, "\ud800ب"])
    assert_same([""])
    assert_same(["2b3", "2a2", "el mai ma8too3 3anna mn ams"])
