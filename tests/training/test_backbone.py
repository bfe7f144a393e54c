"""A backbone is found where it is, or the message says which files to put where."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tawasul_nlp.cli import main
from tawasul_nlp.errors import BackboneError
from tawasul_nlp.training.backbone import load_backbone
from tests.training.conftest import PLACEHOLDERS, write_csv


def load(folder: Path):
    return load_backbone(str(folder), 0.1)[:2]


def test_a_bert_checkpoint_is_read_with_its_own_vocabulary(tiny_bert: Path) -> None:
    encoder, tokenizer = load(tiny_bert)
    vocabulary = (tiny_bert / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert [tokenizer.convert_ids_to_tokens(at) for at in range(len(vocabulary))] == vocabulary
    assert len(tokenizer) == encoder.config.vocab_size
    stored = load_file(tiny_bert / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(encoder.embeddings.word_embeddings.weight, stored)
    for placeholder in PLACEHOLDERS:  # of the preprocessing: each stays one token
        assert tokenizer.convert_tokens_to_ids(placeholder) in tokenizer(f"انظر {placeholder} هنا").input_ids


@pytest.mark.parametrize("kept", [("vocab.txt", "tokenizer_config.json"), ("tokenizer.json", "tokenizer_config.json")])
def test_either_form_of_the_vocabulary_is_enough(kept: tuple[str, ...], tiny_bert: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", *kept):
        shutil.copy(tiny_bert / name, tmp_path / name)
    _, tokenizer = load(tmp_path)
    _, reference = load(tiny_bert)
    text = "المجاري طافحة في مجمع 714 منذ أسبوع"
    assert tokenizer(text).input_ids == reference(text).input_ids


def test_without_the_hub_the_message_names_the_files_and_the_folder(cases, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "cases.csv", cases)
    given = ["--text-column", "نص", "--label-columns", "style", "--duplicates", "identical"]
    assert main(["train", "cases.csv", "--preset", "arabert", *given, "--output", "run"]) == 1
    message = capsys.readouterr().err
    for part in ("config.json", "model.safetensors", "vocab.txt", "models/aubmindlab/bert-base-arabertv02", "--set"):
        assert part in message
    assert "Traceback" not in message


def test_a_model_put_below_models_is_found_by_its_id(tiny_bert, tmp_path, monkeypatch):
    shutil.copytree(tiny_bert, tmp_path / "models" / "aubmindlab" / "bert-base-arabertv02")
    monkeypatch.chdir(tmp_path)
    encoder = load_backbone("aubmindlab/bert-base-arabertv02", 0.1).encoder
    assert encoder.config.hidden_size == 64


def test_another_architecture_missing_weights_and_foreign_tokenizers_are_refused(tiny_bert, tmp_path):
    def copy(name: str) -> Path:
        return shutil.copytree(tiny_bert, tmp_path / name)

    other = copy("electra")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "model_type": "electra"}), encoding="utf-8")
    with pytest.raises(BackboneError, match="'electra', expected 'bert'"):
        load(other)
    bare = copy("bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="expected config.json; model.safetensors"):
        load(bare)
    deeper = copy("deeper")
    (deeper / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}), encoding="utf-8")
    with pytest.raises(BackboneError, match="the weights lack"):
        load(deeper)
    with pytest.raises(BackboneError, match="no folder nowhere"):
        load(Path("nowhere"))
