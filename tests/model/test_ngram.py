"""The n-gram scorer's hashed n-grams, features and weights, against scikit-learn's own."""

from typing import Any

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

from tawasul_nlp.model import ngram
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.training.ngram_fitting import kept_features, weighed

TEXTS = ["الشارع مظلم والليت خربان", "الليت محترق من شهر", "الماي مقطوع عن مجمع 714", "الماي مقطوع عن مجمع 208"]
NORMALIZER = Normalizer("matching")
OPTIONS: dict[str, Any] = {
    "n_features": ngram.HASH_SIZE,
    "alternate_sign": False,
    "norm": None,
    "preprocessor": lambda text: ngram._NUMBER.sub("0", NORMALIZER(arabizi_to_arabic(text[: ngram.MAX_CHARS]))),
    "dtype": np.float32,
}
REFERENCE = (
    HashingVectorizer(analyzer="char_wb", ngram_range=ngram.CHAR_NGRAMS, **OPTIONS),
    HashingVectorizer(analyzer="word", ngram_range=ngram.WORD_NGRAMS, token_pattern=r"(?u)\b\w+\b", **OPTIONS),
)
ARABIC = st.text(alphabet="ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئةىپچڤگ \n\tـًَُ٣5_-.،؟abZé😀", max_size=80)


def test_features_equal_scikit_learns_tfidf():
    counts = ngram.ngram_counts(TEXTS)[1]
    ours = weighed([kept_features(counts, 1)], [counts]).toarray()
    reference = TfidfVectorizer(
        preprocessor=lambda text: NORMALIZER(text).replace("714", "0").replace("208", "0"),
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
    ).fit_transform(TEXTS)
    # The columns are in another order; the texts' similarities are the same.
    assert np.allclose(ours @ ours.T, (reference @ reference.T).toarray(), atol=1e-6)


def test_rare_features_go_first_where_there_are_too_many():
    counts = ngram.ngram_counts(TEXTS)[1]
    every, common = kept_features(counts, 1).hashes, kept_features(counts, 2).hashes
    assert 0 < len(common) < len(every)
    assert len(kept_features(counts, 1, most=len(every)).hashes) == len(every)
    for most in (len(every) - 1, len(common)):
        assert kept_features(counts, 1, most=most).hashes.tolist() == common.tolist()


def test_int8_weights_stay_close_to_the_float_ones_and_what_is_unknown_scores_the_biases(tmp_path):
    counts = ngram.ngram_counts(TEXTS)
    blocks = tuple(kept_features(block, 1) for block in counts)
    size = sum(len(block.hashes) for block in blocks)
    weights = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    bias = np.array([0.5, -1.0, 0.0], np.float32)
    ngram.save_ngram(tmp_path / "n.safetensors", blocks, {"topic": weights}, {"topic": bias})
    scorer = ngram.NgramScorer.load(tmp_path / "n.safetensors")
    exact = weighed(blocks, counts) @ weights
    assert np.abs(scorer.scores(TEXTS)["topic"] - bias - exact).max() < 0.02 * np.abs(exact).max()
    assert np.allclose(scorer.scores(["", "qqq zzz"])["topic"], bias)


def test_a_block_without_features_adds_nothing_to_the_other(tmp_path):
    chars, words = ngram.ngram_counts(TEXTS[1:3])  # these two share letters and no word
    blocks = kept_features(chars, 2), kept_features(words, 2)
    weights = np.random.default_rng(0).normal(size=(len(blocks[0].hashes), 2)).astype(np.float32)
    assert len(blocks[0].hashes) > 0 and len(blocks[1].hashes) == 0
    ngram.save_ngram(tmp_path / "n.safetensors", blocks, {"t": weights}, {"t": np.zeros(2, np.float32)})
    scorer = ngram.NgramScorer.load(tmp_path / "n.safetensors")
    counts = ngram.ngram_counts(TEXTS)
    exact = weighed(blocks[:1], counts[:1]) @ weights
    assert weighed(blocks, counts).shape == (len(TEXTS), len(weights))
    assert np.abs(scorer.scores(TEXTS)["t"] - exact).max() < 0.02 * np.abs(exact).max()


@settings(max_examples=300)
@given(st.lists(ARABIC | st.text(max_size=60), min_size=1, max_size=6))
@example(["", " ", "س", "س" * 30_000, "كلمة " * 6_000, "a" * 15 + " " + "ب" * 16, "😀" * 40, "\ud800ب"])
@example([""])
@example(["2b3", "2a2", "el mai ma8too3 3anna mn ams"])
def test_counts_of_any_texts_are_scikit_learns(texts):
    for ours, reference in zip(ngram.ngram_counts(texts), REFERENCE, strict=True):
        expected = reference.transform(texts)
        expected.sort_indices()
        assert ours.texts == expected.shape[0]
        assert np.array_equal(ours.indptr, expected.indptr)
        assert np.array_equal(ours.indices, expected.indices)
        assert np.array_equal(ours.data, expected.data)
