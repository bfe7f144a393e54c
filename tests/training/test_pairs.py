"""What the pair scorer learns from beside the corpus."""

import random
from dataclasses import replace

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.extraction import case_features
from tawasul_nlp.duplicates.pair_scorer import KNOTS, NAMES, PairScorer, pair_features
from tawasul_nlp.model.folder import BUNDLED, PAIRS
from training.corpus import Example
from training.pairs import RISING, at_next_door, features_by_heart, fit, named_elsewhere, sent_again


def test_a_case_at_the_next_door_differs_in_its_house_and_road_alone() -> None:
    case = Example("c-1", "تسرب أمام منزل ١٢ طريق 1415 مجمع 714 من 3 ايام", "water_leak", "", "", "", "", "", "c-1")
    other = at_next_door(case, random.Random(1))
    assert other is not None and (other.topic, other.incident) == ("water_leak", other.id)
    assert other.id != case.id
    changed = [(one, two) for one, two in zip(case.text.split(), other.text.split(), strict=True) if one != two]
    assert [one for one, _ in changed] == ["١٢", "1415"] and all(two.isdigit() for _, two in changed)
    assert at_next_door(replace(case, text="تسرب في مجمع 714 من 3 ايام"), random.Random(1)) is None


def test_a_case_is_told_of_elsewhere_where_it_names_no_place_and_sent_again_with_its_labels() -> None:
    case = Example("c-1", "الزبالة ما شالوها من اسبوع", "waste_collection", "", "", "", "", "", "c-1")
    other = named_elsewhere(case, ["سترة"], random.Random(1))
    assert other is not None and other.text == "سترة: الزبالة ما شالوها من اسبوع"
    assert other.incident == other.id != case.id and other.topic == case.topic
    assert named_elsewhere(replace(case, text="الزبالة ما شالوها في عراد"), ["سترة"], random.Random(1)) is None
    again = sent_again(case, random.Random(3))
    assert again.id != case.id and (again.incident, again.topic) == (case.incident, case.topic)


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
