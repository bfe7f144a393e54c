"""What the bundled model learns beside labels has the losses of its definitions."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from tawasul_nlp.model.network import MultiTaskNetwork
from training.joint import JointNetwork, RecentVectors, contrastive_loss
from training.recipe import Stage


def test_the_contrastive_loss_is_that_of_its_definition():
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


def test_recent_vectors_forget_the_oldest():
    recent = RecentVectors(5, 2)
    for number in range(4):
        recent.add(torch.full((2, 2), float(number)), torch.tensor([number, number]))
    assert recent.incidents.tolist() == [3, 3, 2, 2, 1] and recent.vectors[0].tolist() == [3.0, 3.0]


def small_network(**heads):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = BertModel(BertConfig(vocab_size=30, **sizes), add_pooling_layer=False)
    return MultiTaskNetwork(encoder, {"dept": 3}, **heads)


def batch(rows):
    ids = torch.randint(5, 30, (rows, 6))
    nothing = torch.full_like(ids, -100)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mlm_labels": nothing,
        "incident": torch.arange(rows),
        "dept": torch.zeros(rows, 3),
    }


def test_marked_texts_teach_where_clauses_are_what_they_report_and_what_is_urgent():
    network = small_network(dropout=0.0, incident=False, clauses="dept")
    model = JointNetwork(network, Stage(label_smoothing=0, clause_weight=0.5), {}).eval()
    given = batch(2)
    unknown = torch.full((2, 6), -100)
    tags, evidence, clauses = unknown.clone(), unknown.clone(), unknown.clone()
    tags[0] = torch.tensor([0, 1, 2, 1, 2, 0])
    clauses[0, 1:5] = torch.tensor([0, 0, 1, 1])
    evidence[1] = torch.tensor([0, 0, 1, 1, 0, 0])
    labels = torch.tensor([2, -100])
    marks = {"token_tags": tags, "token_evidence": evidence, "token_clauses": clauses, "clause_labels": labels}
    loss = model(**given, **marks)["loss"]
    found = dict(zip(network.outputs, network(given["input_ids"], given["attention_mask"]), strict=True))
    functional = torch.nn.functional
    expected = functional.cross_entropy(found["token_tags"][0, :, :3], tags[0])
    expected += functional.binary_cross_entropy_with_logits(found["token_tags"][1, :, 3], evidence[1].float())
    expected += functional.cross_entropy(found["token_labels"][0, 1:3].mean(0)[None], labels[:1])
    assert float(loss) == pytest.approx(0.5 * float(expected), rel=1e-4)
