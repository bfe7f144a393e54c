"""The on-disk model format: one folder of plain data files, checked before anything is used.

A folder holds ``config.json`` (described by :class:`ModelConfig`), ``tokenizer.json``, ``model.onnx`` and, when the
model has a second reader, ``ngram.safetensors``; when it groups duplicates, ``pairs.json``. Nothing in it is code and
nothing is unpickled. The configuration lists every file with its SHA-256, so that a damaged or mixed-up folder is
refused with advice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tawasul_nlp.errors import ModelFormatError

FORMAT_VERSION = 1
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
ENCODER = "model.onnx"
NGRAM = "ngram.safetensors"
PAIRS = "pairs.json"
_KNOWN_FILES = {TOKENIZER, ENCODER, NGRAM, PAIRS}
_MAX_CONFIG_BYTES = 10_000_000
BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """One single-label task.

    Attributes
    ----------
    labels : tuple of str
        Label ids in output order.
    weights : dict of str to float
        Weight of each reader's scores: ``encoder``, ``ngram``, or ``parent`` (log-probability of the parent task
        summed over its labels).
    temperature : float
        What the weighted sum is divided by before the softmax.
    power : float
        Log-probabilities are raised to this power and normalised again: below 1 it takes certainty from answers that
        are nearly certain, and leaves their order as it is.
    thresholds : dict of str to float
        Target error rate (as in ``"0.05"``) to the least probability at which an answer is accepted.
    parent : str or None
        A task that decides this one: each of its labels belongs to one label of this task.
    parent_labels : tuple of int
        For each label of the parent, the index of its label here.
    """

    labels: tuple[str, ...]
    weights: dict[str, float]
    temperature: float = 1.0
    power: float = 1.0
    thresholds: dict[str, float] = field(default_factory=dict)
    parent: str | None = None
    parent_labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What ``config.json`` holds.

    Attributes
    ----------
    tasks : dict of str to TaskConfig
        In the order in which they are computed: a parent before its children.
    profile : dict
        The normalisation profile of the encoder's input (``Profile.to_dict``).
    profile_fingerprint : str
        Its fingerprint at training time.
    max_tokens : int
        Texts are cut after so many tokens.
    files : dict of str to str
        SHA-256 of each file of the folder.
    about : dict
        Free-form facts: base model, data, measured figures.
    """

    tasks: dict[str, TaskConfig]
    profile: dict[str, Any]
    profile_fingerprint: str
    max_tokens: int
    files: dict[str, str]
    about: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")

    @property
    def model_hash(self) -> str:
        """Sixteen hexadecimal digits that name this model: the hash of all that decides its answers."""
        decisive = {key: value for key, value in asdict(self).items() if key != "about"}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(folder: Path, verify: bool = True) -> ModelConfig:
    """Read and check a model folder's configuration.

    Parameters
    ----------
    folder : Path
    verify : bool
        Whether to compare every file with its hash (tens of milliseconds for the bundled model).

    Raises
    ------
    ModelFormatError
        With what was found, what was expected, and what to do.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelFormatError(
            f"{folder}: no {CONFIG}, so this is not a model folder; pass the folder that training wrote"
        )
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise ModelFormatError(
            f"{path}: {path.stat().st_size} bytes, at most {_MAX_CONFIG_BYTES} expected; not a model's"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = raw["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{path}: damaged ({error!r}); restore it from the model's release") from error
    if version != FORMAT_VERSION:
        raise ModelFormatError(
            f"{path}: format version {version!r}, this library reads {FORMAT_VERSION}; "
            + ("upgrade tawasul-nlp" if isinstance(version, int) and version > FORMAT_VERSION else "retrain the model")
        )
    try:
        tasks = {
            name: TaskConfig(
                **{**task, "labels": tuple(task["labels"]), "parent_labels": tuple(task.get("parent_labels", ()))}
            )
            for name, task in raw["tasks"].items()
        }
        config = ModelConfig(**{**raw, "tasks": tasks})
        _check(config)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ModelFormatError(f"{path}: damaged ({error}); restore it from the model's release") from error
    for name, expected in config.files.items():
        if name not in _KNOWN_FILES:
            raise ModelFormatError(f"{path}: lists an unknown file {name!r}; expected only {sorted(_KNOWN_FILES)}")
        if not (folder / name).is_file():
            raise ModelFormatError(f"{folder}: {name} is missing; restore it from the model's release")
        if verify and file_hash(folder / name) != expected:
            raise ModelFormatError(f"{folder / name}: not the file that {CONFIG} describes; restore the whole folder")
    return config


def _check(config: ModelConfig) -> None:
    """Raise ValueError where the configuration contradicts itself."""
    if not {TOKENIZER, ENCODER} <= set(config.files):
        raise ValueError(f"files must include {TOKENIZER} and {ENCODER}, got {sorted(config.files)}")
    if not isinstance(config.max_tokens, int) or not 8 <= config.max_tokens <= 512:
        raise ValueError(f"max_tokens must be 8 to 512, got {config.max_tokens!r}")
    if not config.tasks:
        raise ValueError("no tasks")
    seen: set[str] = set()
    for name, task in config.tasks.items():
        if len(set(task.labels)) != len(task.labels) or not task.labels:
            raise ValueError(f"task {name!r} has no or repeated labels")
        if not task.temperature > 0:
            raise ValueError(f"task {name!r} has temperature {task.temperature!r}, expected above 0")
        if not task.power > 0:
            raise ValueError(f"task {name!r} has power {task.power!r}, expected above 0")
        unknown = set(task.weights) - {"encoder", "ngram", "parent"}
        if unknown or not task.weights:
            raise ValueError(f"task {name!r} has weights for {sorted(task.weights)}")
        if "ngram" in task.weights and NGRAM not in config.files:
            raise ValueError(f"task {name!r} weighs the n-gram reader, but {NGRAM} is not listed")
        if "parent" in task.weights:
            if task.parent not in seen:
                raise ValueError(f"task {name!r} has parent {task.parent!r}, which is no task before it")
            parent = config.tasks[task.parent]
            if len(task.parent_labels) != len(parent.labels) or not all(
                0 <= index < len(task.labels) for index in task.parent_labels
            ):
                raise ValueError(f"task {name!r}: parent_labels do not map the labels of {task.parent!r}")
        seen.add(name)
