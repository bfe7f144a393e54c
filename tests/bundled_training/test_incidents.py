"""Groups of reports for training, the loss on them, and weights restored from the bundled folder."""

import numpy as np
import pytest
import torch

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.text import Normalizer
from tawasul_nlp.training.losses import RecentVectors, contrastive_loss
from tawasul_nlp.training.restore import restore_network
from training.corpus import LabelSpace, load_examples
from training.incidents import IncidentDraws, load_incidents, load_parallel
from training.splits import DATA, load_splits, read_jsonl


@pytest.fixture(scope="module")
def labels() -> LabelSpace:
    return LabelSpace.load()


def test_the_encoder_never_sees_the_incidents_that_the_scorer_learns_from(labels: LabelSpace) -> None:
    encoder = {incident.id for incident in load_incidents("train", labels)}
    scorer = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    assert len(encoder) > 1000 and len(scorer) > 300
    assert not encoder & scorer


def test_reports_and_look_alikes_lie_on_the_side_of_their_case_and_are_no_copies_of_held_out_texts(
    labels: LabelSpace,
) -> None:
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


def test_a_draw_holds_two_reports_of_each_group_and_its_look_alikes_apart(labels: LabelSpace) -> None:
    draws = IncidentDraws(load_incidents("train", labels), load_parallel(), labels.agency_of, seed=1)
    for _ in range(20):
        drawn = draws.draw(8)
        counts: dict[str, int] = {}
        for example in drawn:
            counts[example.incident] = counts.get(example.incident, 0) + 1
        assert sorted(counts.values(), reverse=True)[:8] == [2] * 8
        assert set(counts.values()) <= {1, 2}
        assert sum(example.id.startswith("pair-") for example in drawn) == 2


def test_the_contrastive_loss_is_that_of_its_definition() -> None:
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(6, 16), dim=1)
    others = torch.nn.functional.normalize(torch.randn(4, 16), dim=1)
    incidents, theirs = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([0, 5, 6, 2])
    found = contrastive_loss(vectors, incidents, others, theirs, 0.1)
    losses = []
    for anchor in (0, 1, 3, 4, 5):
        positives = [p for p in range(6) if p != anchor and incidents[p] == incidents[anchor]]
        inside = [float(vectors[anchor] @ vectors[p] / 0.1) for p in range(6) if p != anchor]
        outside = [float(vectors[anchor] @ others[p] / 0.1) for p in range(4) if theirs[p] != incidents[anchor]]
        total = np.log(np.exp(inside + outside).sum())
        losses.append(np.mean([total - float(vectors[anchor] @ vectors[p] / 0.1) for p in positives]))
    assert float(found) == pytest.approx(np.mean(losses), abs=1e-4)
    alone = contrastive_loss(vectors, torch.arange(6), others, theirs, 0.1)
    assert float(alone) == 0.0


def test_recent_vectors_forget_the_oldest() -> None:
    recent = RecentVectors(5, 2)
    for number in range(4):
        recent.add(torch.full((2, 2), float(number)), torch.tensor([number, number]))
    vectors, incidents = recent.all()
    assert incidents.tolist() == [3, 3, 2, 2, 1] and vectors[0].tolist() == [3.0, 3.0]


def test_restored_weights_give_the_bundled_models_answers() -> None:
    classifier = ComplaintClassifier.from_pretrained()
    network = restore_network(BUNDLED)
    texts = ["المجاري طافحة عندنا من اسبوع في مجمع 714", "علاوة السكن ما نزلت هالشهر"]
    expected = classifier._forward(texts)
    for row, text in enumerate(texts):
        ids = classifier._scorers.encoder.tokenize([text]).ids[0]
        with torch.inference_mode():
            embedding, incident, *_ = network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        assert float(embedding[0] @ torch.from_numpy(expected.embedding[row])) > 0.998
        assert expected.incident is not None
        assert float(incident[0] @ torch.from_numpy(expected.incident[row])) > 0.998
