"""What a pair scorer may and may not learn, and where a model that reads pairs is asked and what it counts."""

from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import case_features, compute_features
from tawasul_nlp.duplicates.pair_features import KNOTS, NAMES, pair_features
from tawasul_nlp.duplicates.pair_scorer import MEASURES, PairScorer
from tawasul_nlp.model.folder import BUNDLED, PAIRS
from tawasul_nlp.training.splitting import by_value
from tests.duplicates.pair_model import write_pair_model
from training.incident_groups import Collection
from training.pair_fitting import (
    HIGH,
    LOW,
    PER_CASE,
    RISING,
    JudgedPairs,
    Remembered,
    features_by_heart,
    fit,
    fit_scorer,
    fit_verification,
    read_between,
)


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


SCORER = PairScorer(np.zeros(len(NAMES)), 0.0, 0.5)


class Noisy:
    """Reads right with some noise; the texts are the numbers of cases, of which two by two are one incident."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def pair_logits(self, pairs, /):
        self.asked += pairs
        drawn = np.random.default_rng(len(pairs))
        same = np.array([int(a) // 2 == int(b) // 2 for a, b in pairs])
        return np.where(same, 3.0, -3.0) + drawn.normal(0, 1.5, len(pairs))


def judged(seed: int, n: int = 120) -> JudgedPairs:
    """Return pairs whose first scores say something, but not enough."""
    drawn = np.random.default_rng(seed)
    texts = [str(number) for number in range(n)]
    features = compute_features([Case(text) for text in texts], np.ones((n, 128), np.float32), [{}] * n)
    first = np.r_[np.arange(0, n, 2), drawn.integers(0, n, 6 * n)]
    second = np.r_[np.arange(1, n, 2), drawn.integers(0, n, 6 * n)]
    pairs = np.unique(np.sort(np.stack([first, second], axis=1)[first != second], axis=1), axis=0)
    same = pairs[:, 0] // 2 == pairs[:, 1] // 2
    return JudgedPairs(texts, features, pairs, same).scored(np.where(same, 1.0, -3.0) + drawn.normal(0, 1.5, len(same)))


def test_the_reading_counts_and_turns_unsure_pairs_into_sure_ones() -> None:
    sources, reader = [judged(0), judged(1)], Noisy()
    rule = fit_verification(reader, SCORER, sources)
    weight = dict(zip(MEASURES, rule.weights, strict=True))
    assert weight["reading"] > 1 and weight["first_score"] > 0.2
    for source in sources:
        at = source.to_read(rule)
        logits = rule.logits(np.column_stack([np.zeros(2), [3.0, -3.0], np.zeros(2), np.ones(2)]))
        assert logits[0] > 1 and logits[1] < -1 and len(at) > 100


def test_pairs_are_read_between_scores_that_hardly_any_duplicate_and_hardly_anything_else_lies_beyond() -> None:
    sources = [judged(0), judged(1)]
    low, high = read_between(sources)
    assert LOW[0] <= low <= LOW[1] and HIGH[0] <= high <= HIGH[1]
    for source in sources:
        assert (source.scores[source.same] < low).mean() <= 0.02
        above = source.scores > high
        assert (~source.same[above]).sum() <= 0.01 * max(100, above.sum())
        at = source.to_read(fit_verification(Noisy(), SCORER, sources))
        assert np.bincount(source.pairs[at].ravel()).max() >= PER_CASE  # of a frequent case not all are read
        assert len(at) <= PER_CASE * len(source.texts)


def test_a_remembered_pair_is_not_read_again() -> None:
    reader = Noisy()
    remembered = Remembered(reader)
    first = remembered.pair_logits([("1", "2"), ("2", "3"), ("1", "2")])
    again = remembered.pair_logits([("2", "3"), ("4", "5")])
    assert first[0] == first[2] and again[0] == first[1] and len(reader.asked) == 3


@pytest.mark.slow
def test_a_scorer_is_fitted_with_a_rule_if_the_model_reads_pairs(tmp_path: Path) -> None:
    from tawasul_nlp import ComplaintClassifier

    places = ("مجمع 711", "مجمع 1203", "المحرق", "سترة", "الرفاع", "عراد")
    problems = ("الماي مقطوع", "الكهربا طافية", "حفرة كبيرة", "المجاري طافحة", "الزبالة متراكمة")
    rows = [
        {"text": f"{opening} {problem} في {place} من {day} ايام", "incident": f"{problem} {place} {day % 2}"}
        for place in places
        for problem in problems
        for day, opening in enumerate(("السلام عليكم", "لو سمحتوا", "عندنا", "يا جماعة"), start=1)
    ]
    held_out = [{**row, "text": row["text"].replace("من", "منذ")} for row in rows[:60]]
    fitting, validation = (
        Collection([Case(row["text"]) for row in part], by_value([row["incident"] for row in part]))
        for part in (rows, held_out)
    )
    classifier = ComplaintClassifier.from_pretrained(write_pair_model(tmp_path / "model"), threads=1)
    scorer = fit_scorer(classifier, fitting, validation)
    assert scorer.verification is not None and 0 < scorer.verification.threshold < 1
    scorer.save(tmp_path / "pairs.json")
    assert PairScorer.load(tmp_path / "pairs.json").verification == scorer.verification
