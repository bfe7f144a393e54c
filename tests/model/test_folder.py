"""A model folder is checked before anything in it is used, and a bad one is refused with advice."""

import json
import math
import pickle
import shutil
from pathlib import Path

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, ENCODER, NGRAM, TOKENIZER, read_config
from tests.model.tiny_model import TEXTS, change_config, write_tiny_model

# A task, and what makes it one of which a text may have several labels.
TASK = {"labels": ["طرق", "كهرباء", "صحة"], "weights": {"encoder": 1.0}}
SETS = {"multi_label": True, "offsets": [0.0, 0.0, 0.0], "label_threshold": 0.5, "thresholds": {}, "curve": []}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "m", ngram=True)


@pytest.fixture
def folder(tmp_path, sound):
    return Path(shutil.copytree(sound, tmp_path / "tiny"))


def edit(folder, **changes):
    change_config(folder, lambda config: config.update(changes))


def test_a_folder_named_from_here_is_read_from_anywhere(tmp_path, monkeypatch):
    write_tiny_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    clf = ComplaintClassifier.from_pretrained("mine", threads=1)
    monkeypatch.chdir("/")  # before anything was read: weights are opened on first use
    assert pickle.loads(pickle.dumps(clf)).predict(TEXTS) == clf.predict(TEXTS)


def test_the_bundled_folder_is_sound_small_and_without_pickle():
    config = read_config(BUNDLED)
    assert json.loads(json.dumps(config._plain())) == json.loads((BUNDLED / "config.json").read_text(encoding="utf-8"))
    assert set(config.tasks) == {"topic", "agency", "kind", "urgency"}
    for name, task in config.tasks.items():
        assert task.curve and math.isclose(sum(task.prior), 1, abs_tol=1e-4), name
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 90_000_000
    assert {path.suffix for path in BUNDLED.iterdir()} <= {".json", ".onnx", ".safetensors", ".md"}


@pytest.mark.parametrize(("version", "advice"), [(99, "upgrade tawasul-nlp"), (4, "retrain"), ("5", "retrain")])
def test_another_format_is_refused_with_advice(folder, version, advice):
    with pytest.raises(ModelFormatError, match="not a model folder"):
        read_config(folder.parent)
    edit(folder, format_version=version)
    with pytest.raises(ModelFormatError, match=advice):
        read_config(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "ngram.safetensors"])
def test_a_missing_or_damaged_file_is_named(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=name):
        ComplaintClassifier.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(ModelFormatError, match=f"{name} is missing"):
        ComplaintClassifier.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": {}}, "damaged"),
        ({"tasks": 3}, "damaged"),
        ({"max_tokens": 100_000}, "damaged"),
        ({"files": dict.fromkeys(("../../etc/passwd", TOKENIZER, ENCODER, NGRAM), "0")}, "unknown file"),
        ({"files": ["tokenizer.json", "model.onnx"]}, "damaged"),
        ({"about": [1]}, "damaged"),
        ({"profile": []}, "damaged"),
        ({"surprise": 1}, "damaged"),
        *(({"tasks": {name: TASK}}, "damaged") for name in ("text", "embedding", "", " x", "a.b", "x" * 101, "a\n")),
        ({"tasks": {"topic": TASK | SETS}}, "damaged"),
        ({"profile": {}}, "unknown normalisation"),
        ({"profile": {"name": "default", "steps": 5, "revision": 1}}, "unknown normalisation"),
        ({"profile_fingerprint": "0" * 16}, "trained with normalisation"),
    ],
    ids=str,
)
def test_a_configuration_that_contradicts_itself_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ModelFormatError, match=message):
        ComplaintClassifier.from_pretrained(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 10**400}, "damaged"),
        ({"weights": {"encoder": 10**400}}, "damaged"),
        ({"weights": {"encoder": 1.0, "parent": 1.0}, "parent": "dept", "parent_labels": [0.5] * 3}, "no task before"),
        ({"curve": [[0.5, 0.1], [0.6, 0.2]]}, "damaged"),
        ({"curve": [[0.6, 0.2], [0.5, 0.1]]}, "damaged"),
        *(({"curve": [row]}, "damaged") for row in ([0.6, 1.2], [math.nan, 0.1], [0.6], ["a", "b"])),
        ({"curve": [], "thresholds": {"0.05": 0.6}}, "no curve of errors"),
        *(({"preferred": least}, "damaged") for least in ({"soon": 0.5}, {"طرق": 0.0}, {"طرق": "x"}, ["طرق"])),
        *(({"prior": prior}, "damaged") for prior in ([0.0], [0.5, "x"], [0.5])),
        ({**SETS, "preferred": {"طرق": 0.5}}, "is multi-label and has preferred labels"),
        ({"offsets": [0.0, 0.0, 0.0]}, "but is not multi-label"),
        ({**SETS, "multi_label": "yes"}, "expected true or false"),
        ({**SETS, "offsets": [0.0]}, "finite number for each label"),
        ({**SETS, "offsets": [math.inf, 0.0, 0.0]}, "finite number for each label"),
        *(({**SETS, "offsets": offsets}, "damaged") for offsets in (["x", 0.0, 0.0], 7)),
        *(({**SETS, "label_threshold": least}, "expected above 0, at most 1") for least in (0.0, 1.5)),
        ({**SETS, "label_threshold": "x"}, "damaged"),
        ({**SETS, "power": 0.5}, "has a power"),
        ({**SETS, "labels": ["أ|ب", "ج", "د"]}, "which separates labels"),
    ],
    ids=str,
)
def test_a_task_that_contradicts_itself_is_refused(folder, changes, message):
    change_config(folder, lambda config: config["tasks"]["dept"].update(changes))
    with pytest.raises(ModelFormatError, match=message):
        read_config(folder)
