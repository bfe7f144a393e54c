"""The n-gram scorer's features and weights, against scikit-learn's own TF-IDF."""

from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.ngram import NgramFeatures, NgramScorer, save_ngram
from tawasul_nlp.training.ngram_fitting import kept_features, weighed

TEXTS = ["الشارع مظلم والليت خربان", "الليت محترق من شهر", "الماي مقطوع عن مجمع 714", "الماي مقطوع عن مجمع 208"]


def test_features_equal_scikit_learns_tfidf() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from tawasul_nlp.text import Normalizer

    counts = NgramFeatures().counts(TEXTS)[1]
    ours = weighed([kept_features(counts, 1)], [counts]).toarray()
    normalizer = Normalizer("matching")
    reference = TfidfVectorizer(
        preprocessor=lambda text: normalizer(text).replace("714", "0").replace("208", "0"),
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\b\w+\b",
    ).fit_transform(TEXTS)
    # The columns are in another order; the texts' similarities are the same.
    assert np.allclose(ours @ ours.T, (reference @ reference.T).toarray(), atol=1e-6)


def test_rare_features_go_first_where_there_are_too_many() -> None:
    counts = NgramFeatures().counts(TEXTS)[1]
    every, common = kept_features(counts, 1).hashes, kept_features(counts, 2).hashes
    assert 0 < len(common) < len(every)
    assert len(kept_features(counts, 1, most=len(every)).hashes) == len(every)
    for most in (len(every) - 1, len(common)):
        assert kept_features(counts, 1, most=most).hashes.tolist() == common.tolist()


def test_a_place_number_does_not_change_the_reading() -> None:
    counts = NgramFeatures().counts(TEXTS)
    for block in counts:
        third, fourth = np.split(np.stack([block.indices, block.data]), block.indptr, axis=1)[3:5]
        assert np.array_equal(third, fourth) and third.size


def test_int8_weights_stay_close_to_the_float_ones(tmp_path: Path) -> None:
    counts = NgramFeatures().counts(TEXTS)
    blocks = tuple(kept_features(block, 1) for block in counts)
    size = sum(len(block.hashes) for block in blocks)
    weights = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    save_ngram(tmp_path / "n.safetensors", blocks, {"topic": weights}, {"topic": np.zeros(3, np.float32)})
    scorer = NgramScorer.load(tmp_path / "n.safetensors")
    exact = weighed(blocks, counts) @ weights
    assert np.abs(scorer.scores(TEXTS)["topic"] - exact).max() < 0.02 * np.abs(exact).max()


def test_texts_with_nothing_known_score_the_biases(tmp_path: Path) -> None:
    blocks = tuple(kept_features(block, 1) for block in NgramFeatures().counts(TEXTS))
    size = sum(len(block.hashes) for block in blocks)
    bias = np.array([0.5, -1.0], np.float32)
    save_ngram(tmp_path / "n.safetensors", blocks, {"t": np.ones((size, 2), np.float32)}, {"t": bias})
    assert np.allclose(NgramScorer.load(tmp_path / "n.safetensors").scores(["", "qqq zzz"])["t"], bias)


def test_a_block_without_features_adds_nothing_to_the_other(tmp_path: Path) -> None:
    chars, words = NgramFeatures().counts(TEXTS[1:3])  # these two share letters and no word
    blocks = kept_features(chars, 2), kept_features(words, 2)
    weights = np.random.default_rng(0).normal(size=(len(blocks[0].hashes), 2)).astype(np.float32)
    assert len(blocks[0].hashes) > 0 and len(blocks[1].hashes) == 0
    save_ngram(tmp_path / "n.safetensors", blocks, {"t": weights}, {"t": np.zeros(2, np.float32)})
    scorer = NgramScorer.load(tmp_path / "n.safetensors")
    counts = NgramFeatures().counts(TEXTS)
    exact = weighed(blocks[:1], counts[:1]) @ weights
    assert weighed(blocks, counts).shape == (len(TEXTS), len(weights))
    assert np.abs(scorer.scores(TEXTS)["t"] - exact).max() < 0.02 * np.abs(exact).max()


def test_a_file_that_is_no_reader_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.safetensors").write_bytes(b"not a tensor file")
    with pytest.raises(ModelFormatError, match="not an n-gram scorer"):
        NgramScorer.load(tmp_path / "n.safetensors")
