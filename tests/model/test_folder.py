"""A model folder is checked before anything in it is used, and a bad one is refused with advice."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, read_config
from tests.model.tiny_model import TEXTS, change_config, write_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


def edit(folder: Path, **changes: Any) -> None:
    change_config(folder, lambda config: config.update(changes))


def test_a_folder_named_from_here_is_read_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    clf = ComplaintClassifier.from_pretrained("mine", threads=1)
    monkeypatch.chdir("/")  # before anything was read: weights are opened on first use
    assert pickle.loads(pickle.dumps(clf)).predict(TEXTS) == clf.predict(TEXTS)


def test_the_bundled_folder_is_sound_small_and_without_pickle() -> None:
    config = read_config(BUNDLED)
    assert set(config.tasks) == {"topic", "agency", "kind", "urgency"}
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 60_000_000
    assert {path.suffix for path in BUNDLED.iterdir()} <= {".json", ".onnx", ".safetensors", ".md"}


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="not a model folder"):
        read_config(tmp_path)


@pytest.mark.parametrize(("version", "advice"), [(99, "upgrade tawasul-nlp"), (4, "retrain"), ("5", "retrain")])
def test_another_format_is_refused_with_advice(folder: Path, version: object, advice: str) -> None:
    edit(folder, format_version=version)
    with pytest.raises(ModelFormatError, match=advice):
        read_config(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "ngram.safetensors"])
def test_a_missing_or_damaged_file_is_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=name):
        ComplaintClassifier.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(ModelFormatError, match=f"{name} is missing"):
        ComplaintClassifier.from_pretrained(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": {}},
        {"tasks": 3},
        {"max_tokens": 100_000},
        {"files": {"../../etc/passwd": "0"}},
        {"files": ["tokenizer.json", "model.onnx"]},
        {"about": [1]},
        {"profile": []},
        {"surprise": 1},
        {"cascade": {"tasks": {}, "sure": {"kind": 0.77}}},
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelFormatError, match="damaged|unknown file"):
        read_config(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": {"encoder": 10**400}},
        {"temperature": 10**400},
        {"power": 10**400},
        {"parent_labels": [0.5] * 104},
    ],
    ids=str,
)
def test_numbers_that_nothing_can_be_computed_with_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    change_config(folder, lambda config: config["tasks"]["agency"].update(changes))
    with pytest.raises(ModelFormatError, match="damaged"):
        read_config(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": {}}, "unknown normalisation"),
        ({"profile": {"name": "default", "steps": 5, "revision": 1}}, "unknown normalisation"),
        ({"profile_fingerprint": "0" * 16}, "trained with normalisation"),
    ],
)
def test_a_normalisation_that_is_none_or_another_one_is_refused(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelFormatError, match=message):
        ComplaintClassifier.from_pretrained(folder)
