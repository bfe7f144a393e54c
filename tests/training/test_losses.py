"""The losses are those of their definitions, rare labels can count more, and heads that start from texts answer untrained."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from transformers import BertConfig, BertModel

from tawasul_nlp.model.combine import log_softmax
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.training import TrainConfig
from tawasul_nlp.training.backbone import linear_probe, load_backbone, nearest_mean, start_heads
from tawasul_nlp.training.config import NgramConfig
from tawasul_nlp.training.fine_tuning import metrics_of
from tawasul_nlp.training.losses import TrainingNetwork, class_weights
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.rows import IGNORE
from tests.training.conftest import DEPARTMENTS, training_data


@pytest.mark.parametrize("given", ["none", "balanced", {"طرق": 3.0}])
def test_the_loss_with_class_weights_is_torchs_own(given):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = BertModel(BertConfig(vocab_size=30, **sizes), add_pooling_layer=False)
    cells = ["طرق"] * 2 + ["مياه"] * 10 + ["كهرباء"] * 30
    weights = class_weights(given, training_data({"dept": ("طرق", "مياه", "كهرباء")}, {"dept": cells}))
    config = TrainConfig(label_smoothing=0, class_weights=given)
    model = TrainingNetwork(MultiTaskNetwork(encoder, {"dept": 3}, incident=False), config, weights).eval()
    ids, labels = torch.randint(5, 30, (8, 6)), torch.tensor([0, 1, 2, 2, 1, 0, 2, -1])
    target = torch.nn.functional.one_hot(labels.clamp(min=0), 3).float() * (labels >= 0)[:, None]
    out = model(ids, torch.ones_like(ids), torch.full_like(ids, -100), dept=target)
    expected = {"none": [1.0, 1.0, 1.0], "balanced": [42 / 6, 42 / 30, 42 / 90]}.get(str(given), [3.0, 1.0, 1.0])
    same = torch.nn.functional.cross_entropy(out["dept"], labels, torch.tensor(expected), ignore_index=-1)
    assert float(out["loss"]) == pytest.approx(float(same), rel=1e-5)


def test_a_balanced_label_of_several_weighs_as_much_as_the_texts_without_it():
    data = training_data({"tags": ("wet",)}, {"tags": ["wet"] * 10 + ["|"] * 30 + [""]}, multi_label=("tags",))
    assert class_weights("balanced", data)["tags"].tolist() == [3.0]


def test_balanced_weights_reach_the_ngram_scorer(cases, tmp_path):
    labels = {"dept": tuple(sorted(DEPARTMENTS.values()))}
    rare = DEPARTMENTS["education"]
    few = [case for case in cases if case["الجهة"] == rare]
    learned = [case for case in cases if case["الجهة"] != rare] + few[:6]
    target = {"dept": np.array([labels["dept"].index(case["الجهة"]) for case in learned])}
    data = training_data(labels, {"dept": [case["الجهة"] for case in learned]})
    answered = {}
    for given in ("none", "balanced"):
        path = tmp_path / f"{given}.safetensors"
        weights = class_weights(given, data)
        fit_ngram([case["نص"] for case in learned], target, labels, path, NgramConfig(), weights)
        answers = NgramScorer.load(path).scores([case["نص"] for case in few[6:]])["dept"].argmax(1)
        answered[given] = int((answers == labels["dept"].index(rare)).sum())
    assert answered["balanced"] > answered["none"]


def test_the_metrics_of_an_epoch_are_scikit_learns():
    rng = np.random.default_rng(0)
    logits = {"dept": rng.normal(size=(50, 4)), "style": rng.normal(size=(50, 2))}
    truth = {"dept": rng.integers(0, 3, 50), "style": rng.integers(0, 2, 50)}  # nobody has the fourth department
    targets = {task: np.eye(logits[task].shape[1])[own] for task, own in truth.items()}
    targets["style"][:9] = 0.0  # rows without a label
    evaluated = SimpleNamespace(predictions=tuple(logits.values()), label_ids=tuple(targets.values()))
    found = metrics_of(list(logits))(evaluated)
    kept = {"dept": slice(0, None), "style": slice(9, None)}
    answers = {task: scored.argmax(1)[kept[task]] for task, scored in logits.items()}
    known = {task: truth[task][kept[task]] for task in logits}
    accuracy = np.mean([accuracy_score(known[task], answers[task]) for task in logits])
    f1 = [f1_score(known[task], answers[task], labels=np.unique(known[task]), average="macro") for task in logits]
    assert found["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert found["macro_f1"] == pytest.approx(np.mean(f1), abs=1e-4)


def test_logits_order_labels_by_distance_to_their_means():
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(5), 6)
    vectors = rng.normal(size=(5, 32))[target] * 3 + rng.normal(size=(30, 32)) + 10
    weights, bias = nearest_mean(vectors, target, 5)
    means = np.stack([vectors[target == label].mean(0) for label in range(5)])
    distances = ((vectors[:, None] - means[None]) ** 2).sum(2)
    logits = vectors @ weights.T.astype(np.float64) + bias
    assert (logits.argmax(1) == distances.argmin(1)).all()


def test_texts_without_anything_in_common_do_not_make_the_heads_certain():
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


def started(how, tiny_bert, cases, unlabelled):
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


def test_a_network_starts_with_the_means_of_its_texts_or_a_probe(tiny_bert, cases):
    pooled, logits, target = started("means", tiny_bert, cases, unlabelled=slice(None, None, 10))
    present = np.unique(target[target >= 0])
    means = np.stack([pooled[target == label].mean(0) for label in present])
    nearest = present[((pooled[:, None] - means[None]) ** 2).sum(2).argmin(1)]
    assert (logits.argmax(1) == nearest).mean() > 0.95
    pooled, logits, target = started("probe", tiny_bert, cases, unlabelled=slice(0))
    weights, bias = linear_probe(pooled.astype(np.float64), target, 4)
    np.testing.assert_allclose(logits, pooled @ weights.T + bias, atol=1e-2)


def test_a_task_named_like_a_method_of_torch_starts_and_learns(tiny_bert):
    encoder, tokenizer = load_backbone(str(tiny_bert), 0.1)[:2]
    network = MultiTaskNetwork(encoder, {"items": 2})
    rows = tokenizer(["انقطاع الماء", "حفرة في الطريق"]).input_ids
    start_heads(network, rows, tokenizer.pad_token_id, {"items": np.array([0, 1])})
    ids = torch.tensor([rows[0]])
    learner = TrainingNetwork(network, TrainConfig(label_smoothing=0.0, mlm_weight=0.0))
    out = learner(ids, torch.ones_like(ids), torch.full_like(ids, IGNORE), items=torch.eye(2)[:1])
    assert out["items"].shape == (1, 2) and out["loss"] > 0
