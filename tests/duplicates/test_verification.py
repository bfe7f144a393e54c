"""Pairs of which the pair scorer is unsure are decided by reading both texts; the rules and people stay above that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import numpy as np
import pytest

from tawasul_nlp import DuplicateGrouper
from tawasul_nlp.duplicates import Case, DuplicateIndex, rebuild_index
from tawasul_nlp.duplicates.pair_features import NAMES
from tawasul_nlp.duplicates.pair_scorer import PairScorer, Verification
from tawasul_nlp.duplicates.verifier import READING, CaseScores, Verifier, allowed
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import PAIRS
from tests.duplicates.pair_model import RULE, Knows, features_of, write_pair_model, write_unverifying_model

TRANSFORMER = "محول الكهربا انفجر يم بيتنا وصار ظلام"
TRANSFORMER_AGAIN = "سمعنا صوت قوي من المحول وعقبها طفت الكهربا"
THEFT = "انسرقت مكينة الطراد من الفرضة البارحة"
THEFT_AGAIN = "سرقوا مكاين طراريدنا من فرضة سترة"
PALM = "نخلة طايحة على الممشى وسادة الدرب"
EVENT = {TRANSFORMER: 1, TRANSFORMER_AGAIN: 1, THEFT: 2, THEFT_AGAIN: 2, PALM: 3}
TEXTS = list(EVENT)
# A scorer that is as unsure of one pair as of another.
UNSURE = PairScorer(np.zeros(len(NAMES)), -1.0, 0.5)


def scores_of(*texts: str, rule: Verification = RULE, scorer: PairScorer = UNSURE) -> tuple[CaseScores, Knows]:
    reader = Knows(EVENT | {text: text for text in texts if text not in EVENT})
    return CaseScores(features_of(*texts), scorer, Verifier(scorer, rule, reader), texts), reader


EVERY_PAIR = np.triu_indices(5, 1)


# -- which pairs are read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(0.3, 0.9), (0.01, 0.2)])
def test_pairs_outside_the_two_scores_keep_the_first_one(low: float, high: float) -> None:
    scores, reader = scores_of(*EVENT, rule=replace(RULE, low=low, high=high))  # the first score is 0.27
    assert scores.score(*EVERY_PAIR) == pytest.approx(UNSURE.score(scores.features, *EVERY_PAIR))
    elsewhere, other_reader = scores_of(f"{PALM} مجمع 711", f"{PALM} مجمع 713")  # places that conflict
    assert elsewhere.score(np.array([0]), np.array([1])).tolist() == [0.0]
    assert not reader.asked and not other_reader.asked


def test_a_pair_is_read_once_whichever_case_comes_first() -> None:
    scores, reader = scores_of(TRANSFORMER, TRANSFORMER_AGAIN, TRANSFORMER, PALM)
    there = scores.score(np.array([0, 1, 2]), np.array([1, 2, 3]))
    back = scores.score(np.array([1, 2, 3]), np.array([0, 1, 2]))
    assert (there == back).all()
    assert len(reader.asked) == len({frozenset(pair) for pair in reader.asked}) == 2  # two cases have one text


def test_a_pair_that_is_too_long_to_be_read_counts_by_its_first_score(
    knowing: DuplicateGrouper, reader: Knows, tmp_path: Path
) -> None:
    long = f"{TRANSFORMER} " * 400
    scores, alone = scores_of(TRANSFORMER, long, TRANSFORMER_AGAIN)
    pairs = np.array([0, 0, 1]), np.array([1, 2, 2])
    first, found = UNSURE.score(scores.features, *pairs), scores.score(*pairs)
    assert found[[0, 2]].tolist() == first[[0, 2]].tolist() and found[1] > first[1]
    assert len(alone.asked) == 1
    reader.event = {**EVENT, long: 1}
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        index.add([TRANSFORMER, long, TRANSFORMER_AGAIN])
        assert index.pairs_read > 0 and not any(long in pair for pair in reader.asked)
        assert not index.explain("case-0", "case-1").verified
    rebuild_index(tmp_path / "index", knowing)
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        assert len(index) == 3 and not any(long in pair for pair in reader.asked)


def test_only_the_likeliest_pairs_of_a_case_are_read_when_there_are_many() -> None:
    drawn = np.random.default_rng(0)
    first, second = np.triu_indices(30, 1)
    chosen, left = allowed(first, second, drawn.random(len(first)), np.full(30, 3))
    assert len(chosen) <= 3 * 30 and (left == 0).all() and len(set(chosen.tolist())) == len(chosen)
    scores, reader = scores_of(*EVENT, rule=replace(RULE, per_case=1))
    scores.score(*EVERY_PAIR)
    assert 3 <= len(reader.asked) <= 5
    assert len(scores.readings) == len(reader.asked)


def test_a_pair_that_a_third_case_suggests_is_read_however_low_its_score() -> None:
    scores, reader = scores_of(TRANSFORMER, TRANSFORMER_AGAIN, rule=replace(RULE, low=0.9))
    assert scores.score(np.array([0]), np.array([1]))[0] < 0.5 and not reader.asked
    assert scores.related().score(np.array([0]), np.array([1]))[0] > 0.5


def test_the_days_between_two_cases_count_as_much_as_in_the_first_score() -> None:
    texts = (TRANSFORMER, TRANSFORMER_AGAIN)
    logits = []
    for days in ((0, 0), (0, 63)):  # two units of log-odds beyond the first 21 days
        cases = [
            Case(text, created_at=datetime.fromtimestamp(86_400 * day)) for text, day in zip(texts, days, strict=True)
        ]
        scores = CaseScores(features_of(*cases), UNSURE, Verifier(UNSURE, RULE, Knows(EVENT)), texts)
        score = float(scores.score(np.array([0]), np.array([1]))[0])
        logits.append(np.log(score / (1 - score)))
    assert logits[0] - logits[1] == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"low": 0.99}, {"high": 1.0}, {"per_case": 0}, {"weights": (1.0,)}, {"intercept": np.inf}]
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected|finite"):
        replace(RULE, **wrong)


def test_a_scorer_keeps_its_rule(tmp_path: Path) -> None:
    replace(UNSURE, verification=RULE).save(tmp_path / PAIRS)
    assert PairScorer.load(tmp_path / PAIRS).verification == RULE
    text = (tmp_path / PAIRS).read_text(encoding="utf-8")
    (tmp_path / PAIRS).write_text(text.replace('"reading": 1.0', '"reading": "much"'), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="not a pair scorer"):
        PairScorer.load(tmp_path / PAIRS)


# -- grouping ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> DuplicateGrouper:
    return DuplicateGrouper.from_pretrained(threads=1, verify=False)


@pytest.fixture
def reader() -> Knows:
    return Knows(EVENT)


@pytest.fixture
def knowing(plain: DuplicateGrouper, reader: Knows) -> DuplicateGrouper:
    """The bundled model with a reader that knows the events."""
    grouper = DuplicateGrouper(plain.classifier, verify=False)
    grouper.verifier = Verifier(grouper.scorer, RULE, reader)
    return grouper


def test_reports_in_other_words_are_together_where_the_reader_says_so(
    plain: DuplicateGrouper, knowing: DuplicateGrouper
) -> None:
    assert len(plain.group(TEXTS)) == 5
    groups = knowing.group(TEXTS)
    assert groups.labels[0] == groups.labels[1] and groups.labels[2] == groups.labels[3] and len(groups) == 3
    assert groups.summary()["pairs_read"] == len(groups.readings) > 0
    assert groups.rethreshold(0.9).rethreshold(groups.threshold).labels.tolist() == groups.labels.tolist()
    decided = knowing.group(TEXTS, must_link=[(0, 4)], cannot_link=[(2, 3)]).labels
    assert decided[0] == decided[4] and decided[2] != decided[3], "what people decided stays above the reader"


def test_few_cases_equal_ones_and_silent_ones_are_no_trouble(knowing: DuplicateGrouper) -> None:
    assert [knowing.group(texts).labels.tolist() for texts in ([], [PALM], ["", "..."])] == [[], [0], [0, 1]]
    groups = knowing.group([PALM] * 5 + ["", "..."])
    assert groups.labels.tolist() == [0] * 5 + [1, 2] and not groups.explain(0, 0).verified


def test_an_explanation_says_that_both_texts_were_read_and_adds_up(
    plain: DuplicateGrouper, knowing: DuplicateGrouper
) -> None:
    groups = knowing.group(TEXTS)
    read = len(groups.readings)
    for pair, was_read in (((0, 1), True), ((1, 2), False)):
        why = groups.explain(*pair)
        assert why.verified is was_read and (why.contributions.get(READING, 0.0) > 1) is was_read
        assert why.score == pytest.approx(1 / (1 + np.exp(-sum(why.contributions.values()))), abs=1e-5)
    assert len(groups.readings) == read
    why = plain.group(TEXTS).explain(0, 1)
    assert not why.verified and READING not in why.contributions


def test_a_model_that_reads_no_pairs_verifies_none_and_says_so_if_it_must(tmp_path: Path) -> None:
    grouper = DuplicateGrouper.from_pretrained(write_unverifying_model(tmp_path / "model"), threads=1)
    assert grouper.verifier is None
    with pytest.raises(ModelFormatError, match="cannot verify pairs"):
        DuplicateGrouper(grouper.classifier, verify=True)
    with pytest.raises(ModelFormatError, match="one text at a time"):
        grouper.classifier.pair_logits([(THEFT, PALM)])


# -- an index ----------------------------------------------------------------------------------------------------------


def test_an_index_reads_each_pair_once_and_keeps_what_was_read(
    knowing: DuplicateGrouper, reader: Knows, tmp_path: Path
) -> None:
    asked = reader.asked
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        added = index.add(TEXTS)
        assert added[0].incident_id == added[1].incident_id != added[2].incident_id == added[3].incident_id
        assert index.pairs_read == len(asked) == len({frozenset(pair) for pair in asked}) > 0
        read = len(asked)
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        index.remove(added[0].id)
        index.merge([index.assignment(added[1].id).incident_id, added[2].incident_id])
        assert len(asked) == read


def test_a_query_reads_pairs_and_stores_nothing(knowing: DuplicateGrouper, reader: Knows, tmp_path: Path) -> None:
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        index.add([TRANSFORMER, THEFT, PALM])
        before = len(reader.asked)
        first = index.query(TRANSFORMER_AGAIN)
        assert first[0].is_duplicate and first[0].text == TRANSFORMER
        once = len(reader.asked) - before
        assert 0 < once <= 2 * RULE.per_case
        assert index.query(TRANSFORMER_AGAIN) == first
        # Nothing was kept of the case that was only asked about.
        assert len(reader.asked) == before + 2 * once and index.pairs_read == before
        why = index.explain("case-0", "case-1")
        assert why.verified and READING in why.contributions
        assert why.sentences("en")[0].startswith("one event with a probability of")
        assert any("قراءة النصين معًا" in sentence for sentence in why.sentences())


def test_who_asks_while_a_change_is_made_sees_the_index_before_it(
    knowing: DuplicateGrouper, reader: Knows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, answered = Event(), Event()
    read = reader.pair_logits

    def slowly(pairs: Sequence[tuple[str, str]], /) -> np.ndarray:
        if current_thread() is adding:
            storing.set()
            assert answered.wait(60)
        return read(pairs)

    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        index.add([TRANSFORMER, THEFT])
        monkeypatch.setattr(reader, "pair_logits", slowly)
        adding = Thread(target=index.add, args=([Case(TRANSFORMER_AGAIN, id="again"), Case(THEFT_AGAIN)],))
        adding.start()
        assert storing.wait(60)
        for text in (TRANSFORMER, THEFT_AGAIN):
            assert [match.size for match in index.query(text)] == [1, 1]
        assert len(index) == 2 and "again" not in index and len(index.history()) == 2
        answered.set()
        adding.join()
        assert [match.size for match in index.query(TRANSFORMER)] == [2, 2] and len(index) == 4


def test_an_arrival_reads_no_more_pairs_than_the_rule_allows(
    knowing: DuplicateGrouper, reader: Knows, tmp_path: Path
) -> None:
    knowing.verifier = Verifier(knowing.scorer, replace(RULE, per_case=1), reader)
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        for arrived, text in enumerate(EVENT):
            before = index.pairs_read
            index.add([text])
            assert index.pairs_read - before <= min(arrived, 2)


def test_an_index_that_is_filled_from_a_grouping_knows_what_that_read(
    knowing: DuplicateGrouper, reader: Knows, tmp_path: Path
) -> None:
    groups = knowing.group([Case(text, id=f"c-{at}") for at, text in enumerate(EVENT)])
    read = len(reader.asked)
    with DuplicateIndex.open(tmp_path / "index", knowing) as index:
        index.load_groups(groups)
        index.remove("c-0")
        index.remove("c-3")
        assert len(reader.asked) == read
        assert len(index.incidents(min_size=1)) == 3


# -- a model that reads pairs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> DuplicateGrouper:
    return DuplicateGrouper.from_pretrained(write_pair_model(tmp_path_factory.mktemp("model") / "pairs"), threads=1)


def test_such_a_model_verifies_unless_told_otherwise(reading: DuplicateGrouper, plain: DuplicateGrouper) -> None:
    assert reading.verifier is not None and reading.threshold == RULE.threshold
    texts = [*EVENT, *(f"{text} مجمع 711" for text in EVENT)]
    assert reading.group(texts).summary()["pairs_read"] > 0
    unverified = DuplicateGrouper(reading.classifier, verify=False).group(texts)
    wanted = plain.group(texts)
    assert unverified.labels.tolist() == wanted.labels.tolist() and (unverified.scores == wanted.scores).all()
    assert unverified.summary()["pairs_read"] == 0
