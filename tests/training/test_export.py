"""The row-wise int8 form answers nearly as float32 does, the same in any batch, and can be restored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from tawasul_nlp.model.folder import ENCODER, TOKENIZER, ModelConfig, TaskConfig, file_hash
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.text import PROFILES
from tawasul_nlp.training.export import export_float, quantize_rows, restore_network
from tests.model.tiny_model import tiny_tokenizer


@pytest.fixture(scope="module")
def network() -> MultiTaskNetwork:
    torch.manual_seed(3)
    shape = BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.2,
        attn_implementation="eager",
    )
    network = MultiTaskNetwork(BertModel(shape, add_pooling_layer=False), {"topic": 5}).eval()
    with torch.no_grad():
        for values in network.parameters():  # an exporter merges equal vectors, and all biases begin as zeros
            if values.ndim == 1:
                values += 0.1 * torch.randn(values.shape)
    return network


@pytest.fixture(scope="module")
def folder(network: MultiTaskNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rowwise")
    export_float(network, folder / "float32.onnx")
    quantize_rows(folder / "float32.onnx", folder / ENCODER)
    tiny_tokenizer().save(str(folder / TOKENIZER))
    profile = PROFILES["default"]
    ModelConfig(
        {"topic": TaskConfig(tuple("abcde"), {"encoder": 1.0})},
        profile.to_dict(),
        profile.fingerprint(),
        48,
        {name: file_hash(folder / name) for name in (ENCODER, TOKENIZER)},
    ).save(folder)
    return folder


def batch() -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, 2000, (6, 30))
    mask = np.ones_like(ids)
    for row in range(6):
        mask[row, 5 * (row + 1) :] = 0
    return ids, mask


def test_row_wise_int8_stays_close_to_float32_and_is_smaller(folder: Path) -> None:
    exact = OnnxRuntime(folder / "float32.onnx", 1).run(*batch())
    ours = OnnxRuntime(folder / ENCODER, 1).run(*batch())
    for output in ("embedding", "incident"):
        assert (exact[output] * ours[output]).sum(1).min() > 0.995
    assert np.abs(exact["topic"] - ours["topic"]).max() < 0.1 * np.abs(exact["topic"]).max()
    assert (folder / ENCODER).stat().st_size < 0.6 * (folder / "float32.onnx").stat().st_size


def test_a_text_alone_gets_the_answer_that_it_gets_among_others(folder: Path) -> None:
    runtime = OnnxRuntime(folder / ENCODER, 1)
    ids, mask = batch()
    together = runtime.run(ids, mask)
    for row in range(len(ids)):
        length = mask[row].sum()
        alone = runtime.run(ids[row : row + 1, :length], mask[row : row + 1, :length])
        for output, values in together.items():
            assert np.abs(alone[output][0] - values[row]).max() < 1e-4


def test_the_restored_network_has_the_folders_weights(folder: Path, network: MultiTaskNetwork) -> None:
    restored = dict(restore_network(folder).named_parameters())
    for name, values in network.named_parameters():
        step = values.abs().max() / 127 + 1e-6
        assert (restored[name] - values).abs().max() <= step, name
