"""The row-wise int8 form answers nearly as float32 does, the same in any batch, and can be restored."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED, ENCODER, TOKENIZER, ModelConfig, TaskConfig, file_hash
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.text.profiles import PROFILES
from tawasul_nlp.training.backbone import restore_network
from tawasul_nlp.training.package import export_float, quantize_rows
from tests.model.tiny_model import tiny_tokenizer


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    shape = BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,  # 16 numbers in each, and not 32 as in the bundled model
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.2,
        attn_implementation="eager",
    )
    encoder = BertModel(shape, add_pooling_layer=False)
    network = MultiTaskNetwork(encoder, {"topic": 5}, clauses="topic", separator=3).eval()
    with torch.no_grad():
        for values in network.parameters():  # an exporter merges equal vectors, and all biases begin as zeros
            if values.ndim == 1:
                values += 0.1 * torch.randn(values.shape)
    return network


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rowwise")
    export_float(network, folder / "float32.onnx")
    quantize_rows(folder / "float32.onnx", folder / ENCODER)
    tiny_tokenizer().save(str(folder / TOKENIZER))
    profile = PROFILES["default"]
    ModelConfig(
        tasks={"topic": TaskConfig(tuple("abcde"), {"encoder": 1.0})},
        profile=profile.to_dict(),
        profile_fingerprint=profile.fingerprint(),
        max_tokens=48,
        files={name: file_hash(folder / name) for name in (ENCODER, TOKENIZER)},
        issues=IssueConfig("topic"),
        separator=3,
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def batch():
    ids = np.random.default_rng(0).integers(5, 2000, (6, 30))
    return ids, (np.arange(30) < 5 * np.arange(1, 7)[:, None]).astype(np.int64)


def test_row_wise_int8_stays_close_to_float32_and_is_smaller(folder, network, batch):
    exact = OnnxRuntime(folder / "float32.onnx", 1).run(*batch)
    ours = OnnxRuntime(folder / ENCODER, 1).run(*batch)
    with torch.inference_mode():
        trained = dict(zip(network.outputs, network(*map(torch.from_numpy, batch)), strict=True))
    assert np.abs(trained["topic"].numpy() - exact["topic"]).max() < 0.05  # of the embedding table in int8
    for output in ("embedding", "incident"):
        assert (exact[output] * ours[output]).sum(1).min() > 0.995
    assert np.abs(exact["topic"] - ours["topic"]).max() < 0.1 * np.abs(exact["topic"]).max()
    assert (folder / ENCODER).stat().st_size < 0.6 * (folder / "float32.onnx").stat().st_size


def test_a_text_alone_gets_the_answer_that_it_gets_among_others(folder, batch):
    runtime = OnnxRuntime(folder / ENCODER, 1)
    ids, mask = batch
    together = runtime.run(ids, mask)
    for row, length in enumerate(mask.sum(1)):
        alone = runtime.run(ids[row : row + 1, :length], mask[row : row + 1, :length])
        for output in ("embedding", "incident", "topic"):
            assert np.abs(alone[output][0] - together[output][row]).max() < 1e-4


def test_the_restored_network_has_the_folders_weights(folder, network):
    restored = restore_network(folder)
    assert restored.outputs == network.outputs
    weights = dict(restored.named_parameters())
    for name, values in network.named_parameters():
        step = values.abs().max() / 127 + 1e-6
        assert (weights[name] - values).abs().max() <= step, name


def test_restored_weights_give_the_bundled_models_answers():
    classifier = ComplaintClassifier.from_pretrained()
    network = restore_network(BUNDLED)
    texts = ["المجاري طافحة عندنا من اسبوع في مجمع 714", "علاوة السكن ما نزلت هالشهر"]
    expected = classifier._forward(texts)
    for row, text in enumerate(texts):
        ids = classifier._scorers.encoder.tokenize([text]).encodings[0].ids
        with torch.inference_mode():
            embedding, incident, *_ = network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        assert float(embedding[0] @ torch.from_numpy(expected.embedding[row])) > 0.998
        assert float(incident[0] @ torch.from_numpy(expected.incident[row])) > 0.998
