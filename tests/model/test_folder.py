"""A model folder is checked before anything in it is used, and a bad one is refused with advice."""

import math
import pickle
import shutil
from pathlib import Path

import pytest

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, read_config
from tests.model.tiny_model import TEXTS, change_config, write_tiny_model


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(BUNDLED, tmp_path / "model"))


# A task, and what makes it one of which a text may have several labels.
TASK = {"labels": ["طرق", "كهرباء", "صحة"], "weights": {"encoder": 1.0}}
SETS = {"multi_label": True, "offsets": [0.0, 0.0, 0.0], "label_threshold": 0.5, "thresholds": {}, "curve": []}


@pytest.fixture
def tiny(tmp_path, tiny_files):
    """Return a folder whose only file that matters is its configuration, which is checked first."""
    return Path(shutil.copytree(tiny_files, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "m")


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
    assert set(config.tasks) == {"topic", "agency", "kind", "urgency"}
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 60_000_000
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
        *({"tasks": {name: TASK}} for name in ("text", "reasons", "embedding", "", " x", "a.b", "x" * 101, "a\n")),
        {"tasks": {"topic": TASK | SETS}},
    ],
    ids=str,
)
def test_a_configuration_that_contradicts_itself_is_refused(tiny, changes):
    edit(tiny, **changes)
    with pytest.raises(ModelFormatError, match="damaged|unknown file"):
        read_config(tiny)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({name: 10**400}, "damaged") for name in ("temperature", "power")),
        ({"weights": {"encoder": 10**400}}, "damaged"),
        ({"weights": {"encoder": 1.0, "parent": 1.0}, "parent": "dept", "parent_labels": [0.5] * 3}, "no task before"),
        *(
            ({"curve": curve}, "damaged")
            for curve in ([[0.5, 0.1], [0.6, 0.2]], [[0.6, 0.2], [0.5, 0.1]], [[0.6, 1.2]])
        ),
        *(({"curve": curve}, "damaged") for curve in ([[math.nan, 0.1]], [[0.6]], [["a", "b"]])),
        ({"curve": [], "thresholds": {"0.05": 0.6}}, "no curve of errors"),
        *(
            ({"preferred": least}, "damaged")
            for least in ({"soon": 0.5}, {"طرق": 0.0}, {"طرق": 1.5}, {"طرق": "x"}, ["طرق"])
        ),
        *(({"prior": prior}, "damaged") for prior in ([0.0], [0.5, "x"], [0.5])),
        ({**SETS, "preferred": {"طرق": 0.5}}, "is multi-label and has preferred labels"),
        ({"offsets": [0.0, 0.0, 0.0]}, "but is not multi-label"),
        ({**SETS, "multi_label": "yes"}, "expected true or false"),
        *(
            ({**SETS, "offsets": offsets}, "finite number for each label")
            for offsets in ([], [0.0], [math.inf, 0.0, 0.0])
        ),
        *(({**SETS, "offsets": offsets}, "damaged") for offsets in (["x", 0.0, 0.0], 7)),
        *(({**SETS, "label_threshold": least}, "expected above 0, at most 1") for least in (0.0, 1.5)),
        ({**SETS, "label_threshold": "x"}, "damaged"),
        ({**SETS, "power": 0.5}, "has a power"),
        ({**SETS, "labels": ["أ|ب", "ج", "د"]}, "which separates labels"),
    ],
    ids=str,
)
def test_a_task_that_contradicts_itself_is_refused(tiny, changes, message):
    change_config(tiny, lambda config: config["tasks"]["dept"].update(changes))
    with pytest.raises(ModelFormatError, match=message):
        read_config(tiny)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": {}}, "unknown normalisation"),
        ({"profile": {"name": "default", "steps": 5, "revision": 1}}, "unknown normalisation"),
        ({"profile_fingerprint": "0" * 16}, "trained with normalisation"),
    ],
)
def test_a_normalisation_that_is_none_or_another_one_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ModelFormatError, match=message):
        ComplaintClassifier.from_pretrained(folder)
