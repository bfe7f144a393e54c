"""The folder of a run: what it is made of, so that only the same run resumes in it, and how it is thrown away."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset

from tawasul_nlp._system import atomic_write
from tawasul_nlp.model.folder import read_config
from tawasul_nlp.training.checks import Finding
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.progress import LOG, tell
from tawasul_nlp.training.tables import label_column

RUN = "run.json"
CHECKS = "checks.json"
SEARCH = "search"
_LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "scikit-learn", "onnxruntime", "numpy", "cleanlab")
_FILES = (
    *(CHECKS, RUN, LOG, "config.yaml", "history.json", "curves.png", "metrics.json", "evaluation.json"),
    *("label_issues.csv", "outliers.csv", "ngram.safetensors", "cross_validation.json", "update.json"),
    *("trials.csv", "best.yaml"),
)
_FOLDERS = ("cache", "base", "tokenizer", "model", "folds", SEARCH, "stage[0-9]*")


def made_of(config: TrainConfig, data: TrainingData) -> dict[str, Any]:
    """Return what a run is made of, by which it is known again."""
    sides = {"train": data.train, "validation": data.validation}
    if data.descriptions is not None:
        sides["descriptions"] = data.descriptions
    return {
        "config": config.to_dict(),
        "files": data.files,
        **data.reading,
        "labels": {task: list(names) for task, names in data.labels.items()},
        "train": data.rows,
        "validation": len(data.validation),
        "texts": {side: digest(rows, data.labels) for side, rows in sides.items()},
        "incidents": None if data.incidents is None else _incident_digest(data),
        "before": None if data.before is None else read_config(data.before).model_hash,
    }


def digest(rows: Dataset, tasks: Iterable[str]) -> str:
    """Return the SHA-256 of the texts and labels in their order."""
    found = hashlib.sha256()
    for column in ("text", *(label_column(task) for task in tasks)):
        found.update(json.dumps(list(rows[column])).encode())
    return found.hexdigest()


def _incident_digest(data: TrainingData) -> str:
    assert data.incidents is not None
    groups = [*data.incidents.known, *data.incidents.paraphrases]
    told = [(group.id, [row["text"] for row in (*group.reports, *group.hard_negatives)]) for group in groups]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def check_run_config(output: Path, made_of: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """Write what a run is made of into its folder, or check that the folder's run is of the same; return it.

    Raises
    ------
    ValueError
        If it is not; what differs is named.
    """
    path = output / RUN
    if (output / SEARCH).exists():
        raise ValueError(
            f"{output} holds a search; take another output folder, or throw it away (restart=True, --restart)"
        )
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [*_differences(before, json.loads(json.dumps(made_of)))]
        if differing:
            raise ValueError(
                f"{output} holds a run with {'; '.join(differing)}; take another output folder, or throw this run away "
                "(restart=True, --restart)"
            )
        return {**made_of, "versions": before.get("versions", {})}
    run = {
        **made_of,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    config.save(output / "config.yaml")
    with atomic_write(path) as unfinished:
        write_json(unfinished, run)
    return run


def discard(output: Path) -> None:
    """Delete the run in a folder, and of the folder nothing else.

    Raises
    ------
    ValueError
        If the folder holds something, but no run.
    """
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not (output / RUN).exists() and not (output / CHECKS).exists():
        raise ValueError(f"{output} holds no run that could be thrown away; name the folder of a run, or a new one")
    for pattern in _FOLDERS:
        for folder in output.glob(pattern):
            shutil.rmtree(folder)
    # Last go the files that tell a run: whoever is killed meanwhile can throw the rest away.
    for name in reversed(_FILES):
        (output / name).unlink(missing_ok=True)
    tell(f"threw away the run in {output}")


def write_checks(output: Path, findings: Iterable[Finding]) -> None:
    """Write what the checks of the data found, with every row."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / CHECKS, [finding.to_dict() for finding in findings])


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _differences(theirs: Any, ours: Any, name: str = "") -> Iterable[str]:
    """Yield what differs, each with both values, unless they are too long to read."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in [*ours, *(key for key in theirs if key not in ours and key != "versions")]:
            yield from _differences(theirs.get(key), ours.get(key), f"{name}.{key}" if name else key)
    elif theirs != ours:
        name = name.removeprefix("config.")
        shown = [json.dumps(value, ensure_ascii=False) for value in (theirs, ours)]
        yield f"{name} {shown[0]}, not {shown[1]}" if max(map(len, shown)) <= 60 else f"other {name}"
