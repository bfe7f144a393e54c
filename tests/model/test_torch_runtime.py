"""torch answers as ONNX Runtime does, from files that cannot make it build or read anything else."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import NETWORK, NETWORK_CONFIG
from tests.model.tiny_model import TEXTS, write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "both", incident=True, torch_files=True)


def test_both_runtimes_give_the_same_answers(folder):
    onnx = ComplaintClassifier.from_pretrained(folder)
    own = ComplaintClassifier.from_pretrained(folder, runtime="torch", threads=1)
    assert "ONNX" in onnx.info()["runtime"] and own.info()["runtime"] == "torch, cpu, float32"
    for task in onnx.labels:
        assert np.abs(onnx.predict_proba(TEXTS, task) - own.predict_proba(TEXTS, task)).max() < 1e-3
    assert np.abs(onnx.encode(TEXTS) - own.encode(TEXTS)).max() < 1e-3
    assert np.abs(onnx.encode_incidents(TEXTS) - own.encode_incidents(TEXTS)).max() < 1e-3
    assert np.abs(own.encode(TEXTS, batch_size=1) - own.encode(TEXTS)).max() < 1e-4


def test_a_folder_with_torch_files_alone_is_a_model(tmp_path):
    clf = ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m", onnx=False, torch_files=True))
    assert set(clf.predict(TEXTS[0]).labels) == {"dept", "subject"}
    with pytest.raises(ModelFormatError, match="no incident vectors"):
        _ = clf.incident_size
    again = pickle.loads(pickle.dumps(clf))
    assert again.predict(TEXTS[0]) == clf.predict(TEXTS[0])
    with pytest.raises(ModelFormatError, match="no model.onnx"):
        ComplaintClassifier.from_pretrained(tmp_path / "m", runtime="onnx")


def test_a_device_or_runtime_that_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="expected 'onnx', 'torch'"):
        ComplaintClassifier.from_pretrained(folder, runtime="jax")
    with pytest.raises(ValueError, match="expected 'cpu', 'cuda'"):
        ComplaintClassifier.from_pretrained(folder, device="tpu")
    with pytest.raises(ValueError, match="runs on the CPU only"):
        ComplaintClassifier.from_pretrained(folder, device="cuda", runtime="onnx")
    with pytest.raises(ModelFormatError, match="no network.safetensors"):
        ComplaintClassifier.from_pretrained(write_tiny_model(tmp_path / "m"), runtime="torch")


def test_a_graphics_card_answers_nearly_the_same_and_a_missing_one_is_an_error_and_not_a_slow_run(folder):
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="finds no CUDA device"):
            ComplaintClassifier.from_pretrained(folder, device="cuda")
        return
    usual, card = (ComplaintClassifier.from_pretrained(folder, device=device) for device in (None, "cuda"))
    assert np.abs(card.predict_proba(TEXTS) - usual.predict_proba(TEXTS)).max() < 0.05


def spoiled(folder, spoil):
    model = write_tiny_model(folder, onnx=False, torch_files=True, then=spoil)
    return ComplaintClassifier.from_pretrained(model)


def shaped(folder, **changes):
    """Return a classifier whose network's configuration was changed."""

    def change(model):
        path = model / NETWORK_CONFIG
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return spoiled(folder, change)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 10**12}, NETWORK_CONFIG),
        ({"num_hidden_layers": 10**6}, NETWORK_CONFIG),
        ({"hidden_size": "32"}, NETWORK_CONFIG),
        ({"num_attention_heads": 5}, NETWORK_CONFIG),
        ({"max_position_embeddings": 16}, NETWORK_CONFIG),
        ({"is_decoder": True}, NETWORK_CONFIG),
        ({"hidden_act": "os.system"}, NETWORK_CONFIG),
        ({"layer_norm_eps": "x"}, NETWORK_CONFIG),
        ({"pad_token_id": 10**6}, NETWORK_CONFIG),
        ({"model_type": "gpt2"}, NETWORK_CONFIG),
        ({"num_hidden_layers": 4}, "not the network"),
        ({"hidden_size": 64}, "not the network"),
        ({"vocab_size": 999_999}, "not the network"),
        ({"type_vocab_size": 3}, "not the network"),
    ],
)
def test_a_configuration_that_is_no_plain_bert_or_of_another_shape_is_refused(tmp_path, changes, message):
    with pytest.raises(ModelFormatError, match=message):
        shaped(tmp_path / "m", **changes).predict(TEXTS)


def test_a_configuration_cannot_make_transformers_run_code(tmp_path):
    """``auto_map`` and a name to fetch are what trust_remote_code would follow; here they are not even passed on."""
    remote = {"auto_map": {"AutoModel": "evil--module.Model"}, "_name_or_path": "evil/repo", "tie_word_embeddings": 3}
    clf = shaped(tmp_path / "m", **remote)
    clf.predict(TEXTS)
    shape = clf._scorers.runtime.network().encoder.config
    assert not hasattr(shape, "auto_map") and shape.name_or_path == ""


def test_weights_that_are_no_safetensors_or_no_floats_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    def pickled(folder):
        torch.save({"a": torch.ones(1)}, folder / NETWORK)

    def huge_header(folder):
        (folder / NETWORK).write_bytes((2**62).to_bytes(8, "little") + b"{}")

    def numbers(folder):
        weights = load_file(folder / NETWORK)
        save_file({name: values.to(torch.int8) for name, values in weights.items()}, folder / NETWORK)

    for index, spoil in enumerate((pickled, huge_header, numbers)):
        with pytest.raises(ModelFormatError, match="not the network"):
            spoiled(tmp_path / str(index), spoil).predict(TEXTS)


@pytest.mark.parametrize(("set_before", "allowed", "expected"), [(4, "2", 2), (1, "3", 1)])
def test_torch_takes_no_more_threads_than_the_process_may_use_cores(folder, monkeypatch, set_before, allowed, expected):
    before = torch.get_num_threads()
    monkeypatch.setenv("TAWASUL_THREADS", allowed)
    torch.set_num_threads(set_before)
    try:
        ComplaintClassifier.from_pretrained(folder, runtime="torch").predict("نص")
        with ThreadPoolExecutor(1) as pool:  # torch counts for each thread; a new one starts with what was set last
            assert pool.submit(torch.get_num_threads).result() == expected
    finally:
        torch.set_num_threads(before)
