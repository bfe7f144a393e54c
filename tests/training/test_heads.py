"""Heads that start from means or from a probe answer before anything is trained."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.backbone import linear_probe, load_backbone, nearest_mean, start_heads
from tawasul_nlp.training.config import Stage
from tawasul_nlp.training.losses import TrainingNetwork
from tawasul_nlp.training.rows import IGNORE


def test_logits_order_labels_by_distance_to_their_means() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(5), 6)
    vectors = rng.normal(size=(5, 32))[target] * 3 + rng.normal(size=(30, 32)) + 10
    weights, bias = nearest_mean(vectors, target, 5)
    means = np.stack([vectors[target == label].mean(0) for label in range(5)])
    distances = ((vectors[:, None] - means[None]) ** 2).sum(2)
    logits = vectors @ weights.T.astype(np.float64) + bias
    assert (logits.argmax(1) == distances.argmin(1)).all()


def test_heads_of_many_texts_and_labels_start_in_little_memory() -> None:
    rng = np.random.default_rng(2)
    target = np.arange(3000) % 60
    vectors = rng.normal(size=(60, 128))[target] + rng.normal(size=(3000, 128))
    tracemalloc.start()
    weights, bias = nearest_mean(vectors, target, 60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All differences of texts and means at once would be 3000 x 60 x 128 numbers: 184 MB.
    assert peak < 40_000_000
    assert ((vectors @ weights.T + bias).argmax(1) == target).mean() > 0.95


def test_texts_without_anything_in_common_do_not_make_the_heads_certain() -> None:
    rng = np.random.default_rng(1)
    target = np.repeat(np.arange(4), 8)
    vectors = rng.normal(size=(32, 64))
    weights, bias = nearest_mean(vectors, target, 4)
    unseen = rng.normal(size=(200, 64))
    confidence = np.exp(log_softmax(unseen @ weights.T + bias)).max(1)
    assert confidence.mean() < 0.4


@pytest.mark.parametrize("labels", [[0, 1], [0, 2, 3], [0, 1, 2, 3, 4, 5]])
def test_a_probe_tells_labels_apart_that_lie_close_together_and_answers_none_without_texts(labels):
    rng = np.random.default_rng(3)
    target = np.array(labels)[np.arange(600) % len(labels)]
    centres = rng.normal(size=(6, 32))
    vectors, unseen = (centres[target] * 0.1 + rng.normal(size=(600, 32)) * 0.05 + 10 for _ in range(2))
    count = max(labels) + 1
    weights, bias = linear_probe(vectors, target, count)
    assert weights.shape == (count, 32) and bias.shape == (count,)
    logits = unseen @ weights.T.astype(np.float64) + bias
    assert (logits.argmax(1) == target).mean() > 0.95
    for absent in set(range(count)) - set(labels):
        assert logits[:, absent].max() < logits.max(1).min()


def started(
    how: str, tiny_bert: Path, cases: list[dict[str, str]], unlabelled: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pooled vectors of 80 cases, the logits of heads that started from them, and the labels or -1."""
    encoder, tokenizer = load_backbone(str(tiny_bert), 0.1)[:2]
    network = MultiTaskNetwork(encoder, {"dept": 4})
    rows = tokenizer([case["نص"] for case in cases[:80]], truncation=True, max_length=64).input_ids
    names = sorted({case["الجهة"] for case in cases})
    target = np.array([names.index(case["الجهة"]) for case in cases[:80]])
    target[unlabelled] = -1
    start_heads(network, rows, tokenizer.pad_token_id, {"dept": target}, how)
    with torch.inference_mode():
        pooled = np.concatenate(
            [network.encode(network.words(torch.tensor([row])), torch.ones(1, len(row))).pooled.numpy() for row in rows]
        )
        return pooled, network.heads["dept"](torch.from_numpy(pooled)).numpy(), target


def test_a_network_starts_with_the_means_of_its_texts(tiny_bert: Path, cases: list[dict[str, str]]) -> None:
    pooled, logits, target = started("means", tiny_bert, cases, unlabelled=slice(None, None, 10))
    present = np.unique(target[target >= 0])
    means = np.stack([pooled[target == label].mean(0) for label in present])
    nearest = present[((pooled[:, None] - means[None]) ** 2).sum(2).argmin(1)]
    assert (logits.argmax(1) == nearest).mean() > 0.95


def test_a_network_starts_with_a_probe_of_its_texts(tiny_bert: Path, cases: list[dict[str, str]]) -> None:
    pooled, logits, target = started("probe", tiny_bert, cases, unlabelled=slice(0))
    weights, bias = linear_probe(pooled.astype(np.float64), target, 4)
    np.testing.assert_allclose(logits, pooled @ weights.T + bias, atol=1e-2)


def test_a_task_named_like_a_method_of_torch_starts_and_learns(tiny_bert: Path) -> None:
    encoder, tokenizer = load_backbone(str(tiny_bert), 0.1)[:2]
    network = MultiTaskNetwork(encoder, {"items": 2})
    rows = tokenizer(["انقطاع الماء", "حفرة في الطريق"]).input_ids
    start_heads(network, rows, tokenizer.pad_token_id, {"items": np.array([0, 1])})
    ids = torch.tensor([rows[0]])
    learner = TrainingNetwork(network, Stage(label_smoothing=0.0, mlm_weight=0.0))
    out = learner(ids, torch.ones_like(ids), torch.full_like(ids, IGNORE), torch.zeros(1), items=torch.eye(2)[:1])
    assert out["items"].shape == (1, 2) and out["loss"] > 0
