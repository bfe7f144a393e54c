"""Weights are restored from any model folder, whatever its encoder's shape."""

import dataclasses
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED, ENCODER, TOKENIZER, ModelConfig, TaskConfig, file_hash
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.text import PROFILES
from tawasul_nlp.training.export import export_float, quantize_rows, restore_network
from tests.model.tiny_model import tiny_tokenizer


def test_restored_weights_give_the_bundled_models_answers() -> None:
    classifier = ComplaintClassifier.from_pretrained()
    network = restore_network(BUNDLED)
    texts = ["المجاري طافحة عندنا من اسبوع في مجمع 714", "علاوة السكن ما نزلت هالشهر"]
    expected = classifier._forward(texts)
    for row, text in enumerate(texts):
        ids = classifier._scorers.encoder.tokenize([text]).encodings[0].ids
        with torch.inference_mode():
            embedding, incident, *_ = network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        assert float(embedding[0] @ torch.from_numpy(expected.embedding[row])) > 0.998
        assert expected.incident is not None
        assert float(incident[0] @ torch.from_numpy(expected.incident[row])) > 0.998


def test_heads_for_clauses_and_pairs_are_restored_from_a_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    network = MultiTaskNetwork(
        BertModel(shape, add_pooling_layer=False), {"dept": 3}, clauses="dept", separator=3
    ).eval()
    export_float(network, tmp_path / "float.onnx")
    quantize_rows(tmp_path / "float.onnx", tmp_path / ENCODER)
    tiny_tokenizer().save(str(tmp_path / TOKENIZER))
    profile = PROFILES["default"]
    files = {name: file_hash(tmp_path / name) for name in (ENCODER, TOKENIZER)}
    tasks = {"dept": TaskConfig(("طرق", "كهرباء", "صحة"), {"encoder": 1.0})}
    config = ModelConfig(tasks, profile.to_dict(), profile.fingerprint(), 48, files)
    dataclasses.replace(config, issues=IssueConfig("dept"), separator=3).save(tmp_path)
    restored = restore_network(tmp_path)
    assert restored.outputs == network.outputs
    ids = torch.randint(4, shape.vocab_size, (2, 9))
    with torch.inference_mode():
        before, after = (each(ids, torch.ones_like(ids)) for each in (network, restored))
    for mine, theirs in zip(after, before, strict=True):
        assert float((mine - theirs).abs().max()) < 0.05
