"""The loss on groups of reports."""

import numpy as np
import pytest
import torch

from tawasul_nlp.training.losses import RecentVectors, contrastive_loss


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
