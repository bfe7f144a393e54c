"""What a pair scorer may and may not learn."""

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import case_features
from tawasul_nlp.duplicates.pair_features import KNOTS, NAMES, pair_features
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.model.folder import BUNDLED, PAIRS
from tawasul_nlp.training.pairs import RISING, features_by_heart, fit


def test_what_the_cosine_adds_to_a_score_never_falls_as_it_rises() -> None:
    drawn = np.random.default_rng(5)
    features = np.zeros((4_000, len(NAMES)), np.float32)
    at = [NAMES.index(f"cosine@{knot:g}") for knot in KNOTS["cosine"]]
    knot = drawn.integers(0, len(at), 4_000)
    features[np.arange(4_000), np.array(at)[knot]] = 1
    features[:, NAMES.index("same_block")] = drawn.random(4_000) < 0.5
    # Few examples, by chance, say that the least alike are as likely duplicates as the most alike.
    likely = np.array([0.5, 0.1, 0.1, 0.2, 0.3, 0.6, 0.9])[knot]
    same = drawn.random(4_000) < np.where(features[:, NAMES.index("same_block")] > 0, likely, likely / 3)
    weights, intercept = fit(features, same, np.ones(4_000), 1.0)
    assert (np.diff(weights[at]) >= 0).all() and weights[at[-1]] - weights[at[1]] > 2
    assert weights[NAMES.index("same_block")] > 0.5 and np.isfinite(intercept)
    shipped = PairScorer.load(BUNDLED / PAIRS).weights
    for name in RISING:
        assert (np.diff([shipped[NAMES.index(f"{name}@{knot:g}")] for knot in KNOTS[name]]) >= 0).all()


def test_topics_known_by_heart_count_between_near_copies_alone() -> None:
    case = "الحفرة في شارع البديع كسرت تاير سيارتي ومحد يصلحها من شهر"
    texts = [case, case + " رجاء", "تضررت مركبتي من حفرة كبيرة بالطريق ولم يردمها أحد"]
    features = case_features(ComplaintClassifier.from_pretrained(), [Case(text) for text in texts])
    pairs = np.array([[0, 1], [0, 2]])
    assert features.topics[0, 0] == features.topics[2, 0]
    topics = [at for at, name in enumerate(NAMES) if name.split("@")[0].startswith("topics")]
    known, by_heart = pair_features(features, *pairs.T), features_by_heart(features, *pairs.T)
    assert (known[:, topics].sum(1) > 0).all()
    assert (by_heart[0] == known[0]).all() and (by_heart[1, topics] == 0).all()
    others = np.setdiff1d(np.arange(len(NAMES)), topics)
    assert (by_heart[:, others] == known[:, others]).all()
