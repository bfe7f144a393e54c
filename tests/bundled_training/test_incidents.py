"""The corpus's incidents: which the encoder learns from, which the pair scorer, and how they are drawn."""

from collections import Counter

import pytest

from tawasul_nlp.text import Normalizer
from tawasul_nlp.training.incident_groups import IncidentDraws
from training.corpus import LabelSpace, corpus_data, load_examples
from training.incidents import load_incidents
from training.splits import DATA, load_splits, read_jsonl


@pytest.fixture(scope="module")
def labels() -> LabelSpace:
    return LabelSpace.load()


def test_the_encoder_never_sees_the_incidents_that_the_scorer_learns_from(labels: LabelSpace) -> None:
    encoder = {incident.id for incident in load_incidents("train", labels)}
    scorer = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    assert len(encoder) > 1000 and len(scorer) > 300
    assert not encoder & scorer


def test_reports_and_hard_negatives_lie_on_the_side_of_their_case_and_are_no_copies_of_held_out_texts(labels):
    side = load_splits()
    fold = Normalizer("matching")
    held_out = {fold(e.text) for split in ("validation", "test") for e in load_examples(split, labels)}
    rows = [(row["group"], row) for row in read_jsonl(DATA / "duplicates.jsonl")]
    rows += [(row["near"], row) for row in read_jsonl(DATA / "hard_negatives.jsonl")]
    assert len({row["id"] for _, row in rows}) == len(rows)
    for key, row in rows:
        assert key in side
        if side[key] == "train":
            assert fold(row["text"]) not in held_out


@pytest.mark.slow
def test_a_draw_holds_two_reports_of_each_group_and_its_hard_negatives_apart() -> None:
    incidents = corpus_data().incidents
    assert incidents is not None
    draws = IncidentDraws(incidents, seed=1)
    for _ in range(20):
        drawn = draws.draw(8)
        counts = Counter(row["incident"] for row in drawn)
        assert sorted(counts.values(), reverse=True)[:8] == [2] * 8
        assert set(counts.values()) <= {1, 2}
        assert sum(row["incident"].startswith("pair-") for row in drawn) == 2
