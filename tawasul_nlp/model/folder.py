"""The on-disk model format: one folder of plain data files, checked before anything is used.

A folder holds ``config.json`` (described by :class:`ModelConfig`), ``tokenizer.json`` and the encoder: ``model.onnx``
for ONNX Runtime, ``network.safetensors`` with ``encoder_config.json`` for torch, or both. A model with a second scorer
has ``ngram.safetensors``, one that groups duplicates ``pairs.json``, and one that was trained for another country
``domain.json``, its pack. Nothing in it is code and nothing is unpickled. The configuration lists every file with its
SHA-256, so that a damaged or mixed-up folder is refused with advice.

Whoever made the folder may be a stranger: files are looked for under known names only, may not lie outside the folder,
and may not be larger than :data:`MAX_BYTES`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tawasul_nlp._system import atomic_write
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.label_sets import SEPARATOR
from tawasul_nlp.model.runtime import PAIR, TAGS, TOKEN_LABELS, TOKEN_TAGS

FORMAT_VERSION = 6
_READ = (5, FORMAT_VERSION)
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
ENCODER = "model.onnx"
VERIFIER = "verifier.onnx"
NETWORK = "network.safetensors"
NETWORK_CONFIG = "encoder_config.json"
NGRAM = "ngram.safetensors"
PAIRS = "pairs.json"
DOMAIN = "domain.json"
CARD = "README.md"
_GB, _MB = 1_000_000_000, 1_000_000
MAX_BYTES: Mapping[str, int] = MappingProxyType(
    {
        CONFIG: 10 * _MB,
        TOKENIZER: 100 * _MB,
        ENCODER: 2 * _GB,
        VERIFIER: 2 * _GB,
        NETWORK: 8 * _GB,
        NETWORK_CONFIG: 1 * _MB,
        NGRAM: 2 * _GB,
        PAIRS: 10 * _MB,
        DOMAIN: 20 * _MB,
    }
)
"""The files of a folder, and how large each may be."""
RESERVED_NAMES = frozenset(
    ("text", "governorate", "block", "places", "routing", "needs_review", "reasons")
    + ("embedding", "incident", TOKEN_TAGS, TOKEN_LABELS, PAIR, "input_ids", "attention_mask", "token_type_ids")
)
"""Names that no task can have: the other keys of a prediction, and the encoder's other inputs and outputs."""
SINGLE_LABEL_NAMES = frozenset(("kind", "topic", "agency"))
"""Names that no multi-label task can have: a prediction has one of each, and a case is routed by them."""
_MAX_NAME = 100
BUNDLED = Path(__file__).parent / "bundled"
ErrorCurve = tuple[tuple[float, float], ...]
"""Pairs of a threshold and the error among the answers that it accepts: thresholds fall, errors rise."""


@dataclass(frozen=True, slots=True)
class TaskConfig:
    """One task."""

    # Label ids in output order.
    labels: tuple[str, ...]
    # Weight of each scorer's scores: `encoder`, `ngram`, or `parent` (log-probability of the parent task summed over
    # its labels).
    weights: dict[str, float]
    # What the weighted sum is divided by before the softmax, or the sigmoid of a multi-label task.
    temperature: float = 1.0
    # Log-probabilities are raised to this power and normalised again: below 1 it takes certainty from answers that are
    # nearly certain, and leaves their order as it is.
    power: float = 1.0
    # Target error rate (as in `"0.05"`) to the least probability at which an answer is accepted.
    thresholds: dict[str, float] = field(default_factory=dict)
    # A task that decides this one: each of its labels belongs to one label of this task.
    parent: str | None = None
    # For each label of the parent, the index of its label here.
    parent_labels: tuple[int, ...] = ()
    # The error of each threshold on the validation texts, from which a threshold for any target error follows
    # (`tawasul_nlp.model.thresholds.error_curve`); empty until the task is calibrated.
    curve: ErrorCurve = ()
    # Whether a text may have several labels of this task, or none. Then every label has a probability of its own, and
    # `thresholds` and `curve` are of the probability that a text's labels are exactly those answered.
    multi_label: bool = False
    # Of a multi-label task: what is added to each label's tempered sum before the sigmoid.
    offsets: tuple[float, ...] = ()
    # Of a multi-label task: the probability from which a label is answered.
    label_threshold: float = 0.0
    # Labels that are answered, the first one first, where their probability reaches this value, though another label
    # may be likelier: it trades precision for the recall of a label that must not be missed.
    preferred: dict[str, float] = field(default_factory=dict)
    # Of a task of one label: the share of each label among the texts that the probabilities stand for, which is its
    # mean probability over the texts of the calibration. Probabilities under other frequencies follow from it
    # (`tawasul_nlp.model.combine`).
    prior: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What ``config.json`` holds."""

    # In the order in which they are computed: a parent before its children.
    tasks: dict[str, TaskConfig]
    # The normalisation profile of the encoder's input (`Profile.to_dict`).
    profile: dict[str, Any]
    # Its fingerprint at training time.
    profile_fingerprint: str
    # Texts are cut after so many tokens.
    max_tokens: int
    # SHA-256 of each file of the folder.
    files: dict[str, str]
    # Free-form facts: base model, data, measured figures.
    about: dict[str, Any] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION
    # How the issues of a text are found; None for a model that does not tell clauses apart.
    issues: IssueConfig | None = None
    # Token between two texts that are read together; None for a model that does not tell if both report one event.
    separator: int | None = None

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        text = json.dumps(self._plain(), ensure_ascii=False, indent=1)
        with atomic_write(folder / CONFIG) as unfinished:
            unfinished.write_text(text + "\n", encoding="utf-8")

    @property
    def model_hash(self) -> str:
        """Sixteen hexadecimal digits that name this model: the hash of all that decides its answers.

        Priors decide none unless somebody gives others, so a folder to which they were added keeps its name.
        """
        without = replace(self, tasks={name: replace(task, prior=()) for name, task in self.tasks.items()})
        decisive = {key: value for key, value in without._plain().items() if key != "about"}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def reads_pairs(self) -> bool:
        """Whether the model tells if two texts that it reads together report one event."""
        return self.separator is not None

    @property
    def encoder_separator(self) -> int | None:
        """The separator, if it is the encoder itself that reads pairs, and no verifier of its own."""
        return None if VERIFIER in self.files else self.separator

    @property
    def encoder_outputs(self) -> dict[str, int]:
        """The outputs that the encoder must have beside the embedding, with the number of columns of each."""
        outputs = {name: len(task.labels) for name, task in self.tasks.items() if "encoder" in task.weights}
        if self.issues is not None:
            outputs |= {TOKEN_TAGS: len(TAGS), TOKEN_LABELS: len(self.tasks[self.issues.task].labels)}
        return outputs | ({} if self.encoder_separator is None else {PAIR: 1})

    def _plain(self) -> dict[str, Any]:
        """Return plain data, without what a model does not have."""
        plain = asdict(self)
        for task in plain["tasks"].values():
            for name in ("curve", "multi_label", "offsets", "label_threshold", "preferred", "prior"):
                if not task[name]:
                    del task[name]
        for name in ("issues", "separator"):
            if plain[name] is None:
                del plain[name]
        return plain


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_file(folder: Path, name: str) -> Path:
    """Return the path of one of a model folder's files, after checking where it lies and how large it is.

    Links are followed within the folder only. The Hub's cache keeps a snapshot's files beside the snapshots of the same
    repository, so there "the folder" is the repository's.

    Raises ModelFormatError if the file is missing, is no plain file, lies outside the folder, or is too large.
    """
    path = folder / name
    if not path.is_file():
        raise ModelFormatError(f"{folder}: {name} is missing; restore it from the model's release")
    home = folder.resolve()
    if home.parent.name == "snapshots":
        home = home.parent.parent
    if not path.resolve().is_relative_to(home):
        raise ModelFormatError(f"{path}: leads out of the model folder, to {path.resolve()}; put the file itself there")
    size = path.stat().st_size
    if size > MAX_BYTES[name]:
        raise ModelFormatError(f"{path}: {size} bytes, at most {MAX_BYTES[name]} expected; this is no model's {name}")
    return path


def read_json(path: Path) -> Any:
    """Read a JSON file of a model folder.

    Raises ModelFormatError if it is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{path}: damaged ({error!r:.200}); restore it from the model's release") from error


def read_config(folder: Path, *, verify: bool = True) -> ModelConfig:
    """Read and check a model folder's configuration, and unless ``verify`` is False the hash of each of its files.

    Raises ModelFormatError with what was found, what was expected, and what to do.
    """
    if not (folder / CONFIG).is_file():
        raise ModelFormatError(
            f"{folder}: no {CONFIG}, so this is not a model folder; pass the folder that training wrote"
        )
    path = model_file(folder, CONFIG)
    raw = read_json(path)
    try:
        version = raw["format_version"]
    except (KeyError, TypeError) as error:
        raise ModelFormatError(f"{path}: damaged ({error!r}); restore it from the model's release") from error
    if version not in _READ:
        raise ModelFormatError(
            f"{path}: format version {version!r}, this library reads {_READ[0]} and {_READ[1]}; "
            + ("upgrade tawasul-nlp" if isinstance(version, int) and version > FORMAT_VERSION else "retrain the model")
        )
    try:
        plain = raw.get("issues")
        issues = None if plain is None else IssueConfig(**{**plain, "weights": tuple(plain["weights"])})
        tasks = {name: _task(task) for name, task in raw["tasks"].items()}
        config = ModelConfig(**{**raw, "tasks": tasks, "issues": issues})
        check_config(config)
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError) as error:
        raise ModelFormatError(f"{path}: damaged ({error}); restore it from the model's release") from error
    allowed = sorted(MAX_BYTES.keys() - {CONFIG})
    for name, expected in config.files.items():
        if name not in allowed:
            raise ModelFormatError(f"{path}: lists an unknown file {name!r}; expected only {allowed}")
        listed = model_file(folder, name)
        if verify and file_hash(listed) != expected:
            raise ModelFormatError(f"{listed}: not the file that {CONFIG} describes; restore the whole folder")
    return config


def _task(raw: dict[str, Any]) -> TaskConfig:
    tuples: dict[str, Any] = {
        name: tuple(raw[name]) for name in ("labels", "parent_labels", "offsets", "prior") if name in raw
    }
    return TaskConfig(**{**raw, **tuples, "curve": tuple(map(tuple, raw.get("curve", ())))})


def check_task_name(name: str) -> None:
    """Raise ValueError if a task cannot have this name."""
    if name in RESERVED_NAMES:
        raise ValueError(f"a task cannot be named {name!r}, which a prediction or the encoder uses already; rename it")
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable() or "." in name or name != name.strip():
        raise ValueError(f"a task cannot be named {name!r:.120}; choose 1 to {_MAX_NAME} printable characters, no dots")


def check_config(config: ModelConfig) -> None:
    """Raise ValueError where the configuration contradicts itself."""
    for name in ("files", "profile", "about"):
        value = getattr(config, name)
        if not isinstance(value, dict):
            raise ValueError(f"{name} must map names to values, got {value!r:.200}")
    if TOKENIZER not in config.files or not {ENCODER, NETWORK} & set(config.files):
        raise ValueError(f"files must include {TOKENIZER} and {ENCODER} or {NETWORK}, got {sorted(config.files)}")
    if (NETWORK in config.files) != (NETWORK_CONFIG in config.files):
        raise ValueError(f"{NETWORK} and {NETWORK_CONFIG} need each other, got {sorted(config.files)}")
    if not isinstance(config.max_tokens, int) or not 8 <= config.max_tokens <= 512:
        raise ValueError(f"max_tokens must be 8 to 512, got {config.max_tokens!r}")
    if not config.tasks:
        raise ValueError("no tasks")
    before: dict[str, TaskConfig] = {}
    for name, task in config.tasks.items():
        check_task_name(name)
        if task.multi_label:
            check_multi_label_name(name)
        for problem in _contradictions(task, before, config.files):
            raise ValueError(f"task {name!r} {problem}")
        before[name] = task
    if config.issues is not None and config.issues.task not in config.tasks:
        raise ValueError(f"issues have the labels of {config.issues.task!r}, which is not among the tasks")
    if VERIFIER in config.files and config.separator is None:
        raise ValueError(f"{VERIFIER} needs a separator")
    if config.separator is not None and not isinstance(config.separator, int):
        raise ValueError(f"separator must be the number of a token, got {config.separator!r}")


def check_multi_label_name(name: str) -> None:
    """Raise ValueError if a multi-label task cannot have this name."""
    if name in SINGLE_LABEL_NAMES:
        raise ValueError(f"a multi-label task cannot be named {name!r}, of which a case has one; name it otherwise")


def _contradictions(task: TaskConfig, before: Mapping[str, TaskConfig], files: Mapping[str, str]) -> Iterator[str]:
    if len(set(task.labels)) != len(task.labels) or not task.labels:
        yield "has no or repeated labels"
    if not all(isinstance(label, str) for label in task.labels):
        yield "has labels that are not text"
    for what, value in (("temperature", task.temperature), ("power", task.power)):
        if not (math.isfinite(value) and value > 0):
            yield f"has {what} {value!r}, expected above 0"
    unknown = set(task.weights) - {"encoder", "ngram", "parent"}
    if unknown or not task.weights or not all(map(math.isfinite, task.weights.values())):
        yield f"has the weights {task.weights}"
    if "ngram" in task.weights and NGRAM not in files:
        yield f"weighs the n-gram scorer, but {NGRAM} is not listed"
    if "parent" in task.weights:
        parent = before.get(task.parent) if task.parent is not None else None
        if parent is None:
            yield f"has parent {task.parent!r}, which is no task before it"
        elif parent.multi_label:
            yield f"has parent {task.parent!r}, of which a text has several labels"
        elif len(task.parent_labels) != len(parent.labels) or not all(
            isinstance(index, int) and 0 <= index < len(task.labels) for index in task.parent_labels
        ):
            yield f"has parent_labels that do not map the labels of {task.parent!r}"
    for target, threshold in task.thresholds.items():
        if not (0 < float(target) < 1 and 0 <= threshold <= 1):
            yield f"has the threshold {threshold!r} for the target error {target!r}"
    if task.thresholds and not task.curve:
        yield "has thresholds, but no curve of errors"
    for (high, less), (low, more) in zip(((math.inf, -1.0), *task.curve), task.curve, strict=False):
        if not (0 <= low <= 1 and low < high and 0 <= more <= 1 and less < more):
            yield (
                f"has a curve from {(high, less)} to {(low, more)}, expected falling thresholds and rising errors, "
                "within 0 to 1"
            )
    if not task.preferred.keys() <= set(task.labels) or not all(0 < least <= 1 for least in task.preferred.values()):
        yield f"has preferred {task.preferred}, expected probabilities of its labels"
    if task.prior and (len(task.prior) != len(task.labels) or not all(0 < share <= 1 for share in task.prior)):
        yield f"has the prior {task.prior}, expected a share above 0 for each label"
    if not isinstance(task.multi_label, bool):
        yield f"has multi_label {task.multi_label!r}, expected true or false"
    if task.multi_label:
        yield from _contradictions_of_sets(task)
    elif task.offsets or task.label_threshold:
        yield "has offsets or a threshold of labels, but is not multi-label"


def _contradictions_of_sets(task: TaskConfig) -> Iterator[str]:
    if task.preferred:
        yield "is multi-label and has preferred labels; it has label_threshold instead"
    if any(SEPARATOR in label for label in task.labels):
        yield f"is multi-label and has labels with {SEPARATOR}, which separates labels"
    if len(task.offsets) != len(task.labels) or not all(map(math.isfinite, task.offsets)):
        yield f"has the offsets {task.offsets}, expected a finite number for each label"
    if not 0 < task.label_threshold <= 1:
        yield f"has label_threshold {task.label_threshold!r}, expected above 0, at most 1"
    if task.power != 1.0 or task.prior or "parent" in task.weights:
        yield "is multi-label, and has a power, a prior or a parent"
