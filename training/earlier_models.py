"""The bundled models before, out of the repository's history: the present one starts from them.

Their files are named by git's hashes of their contents, so whatever git returns under these names is right. The first
model's configuration and pair scorer are converted to the present formats.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from tawasul_nlp.duplicates import pair_scorer
from tawasul_nlp.duplicates.pair_features import NAMES
from tawasul_nlp.errors import BackboneError
from tawasul_nlp.model.folder import CONFIG, PAIRS, ModelConfig, TaskConfig, file_hash
from tawasul_nlp.text.profiles import PROFILES

FIRST = {
    "model.onnx": "1e5949da2c318db3f2d7a6ddea33148c3b1f5d4a",
    "ngram.safetensors": "3a9436e0179c58cb9a1bdac6b0d4b6902341f08b",
    "pairs.json": "4936f0e8c356c5949c54c4ba1e6f1cbf4ba1e367",
    "tokenizer.json": "5d36b3a8098d468ead3fe1f96bc69a31aa9a78a6",
    "config.json": "565b3d248677a2aae98a183660359e5471c286fd",
}
SECOND = {
    "model.onnx": "89093c7306ba0b3a975b10513855c7822e1a4ae4",
    "ngram.safetensors": "19ab4e1029b47251fb895da733ce89934b07811d",
    "pairs.json": "fea9741db857a3c1ef65b9fcae6df68d6e81863e",
    "tokenizer.json": "69072b8bdf7741c1270c3120f42046dcf69ed3b5",
    "config.json": "3388f0d6a58d2882a05f8659702ccaa62a73e146",
}


def first_model(folder: Path) -> Path:
    """Return ``folder`` with the first model in it, of twelve layers, in the present format.

    Raises
    ------
    BackboneError
        If this is not a clone with its history.
    """
    if (folder / CONFIG).exists():  # it is written last
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    contents = {name: _from_history(name, blob) for name, blob in FIRST.items()}
    config = json.loads(contents.pop(CONFIG))
    contents[PAIRS] = json.dumps(_pair_scorer(json.loads(contents[PAIRS]))).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    converted = _config(config)
    replace(converted, files={name: file_hash(folder / name) for name in converted.files}).save(folder)
    return folder


def second_model(folder: Path) -> Path:
    """Return ``folder`` with the second model in it, of six layers; BackboneError as of :func:`first_model`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, blob in SECOND.items():
        (folder / name).write_bytes(_from_history(name, blob))
    return folder


def _from_history(name: str, blob: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "cat-file", "blob", blob], cwd=Path(__file__).parent, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BackboneError(
            f"an earlier model's {name} is not in this repository's history; training it needs git and "
            "a whole clone (git fetch --unshallow)"
        ) from error


def _config(plain: dict[str, Any]) -> ModelConfig:
    """Return a configuration of format 1: its thresholds have no error curves, its rules of normalisation are older."""
    profile = PROFILES["default"]
    tasks = {
        name: TaskConfig(
            labels=tuple(task["labels"]),
            weights=task["weights"],
            temperature=task["temperature"],
            power=task["power"],
            curve=tuple((task["thresholds"][target], float(target)) for target in ("0.02", "0.05")),
            parent=task["parent"],
            parent_labels=tuple(task["parent_labels"]),
        )
        for name, task in plain["tasks"].items()
    }
    return ModelConfig(
        tasks=tasks,
        profile=profile.to_dict(),
        profile_fingerprint=profile.fingerprint(),
        max_tokens=plain["max_tokens"],
        files=plain["files"],
        about=plain["about"],
    )


def _pair_scorer(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a pair scorer of format 4 in the present one, whose further features weigh nothing."""
    weights = {**dict.fromkeys(NAMES, 0.0), **plain["weights"]}
    return {**plain, "format_version": pair_scorer.FORMAT_VERSION, "weights": weights}
