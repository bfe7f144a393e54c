"""The folder of a run: its log, and what it is made of, so that only the same run resumes in it."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp._system import atomic_write

if TYPE_CHECKING:
    from tawasul_nlp.training.config import TrainConfig
    from tawasul_nlp.training.tables import Finding

logger = logging.getLogger("tawasul_nlp.training")
"""Silent until the program listens, to this name or to ``tawasul_nlp``."""

LOG = "train.log"
_files: list[Path] = []


def tell(message: str, *values: object) -> None:
    """Log a line, formatted as ``logging`` does, and add it with the time to the log of the run that is going on."""
    logger.info(message, *values)
    if _files:
        message = message % values if values else message
        with _files[-1].open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}\n")


@contextmanager
def logged(folder: Path) -> Iterator[None]:
    """Write what is told meanwhile to the log in a run folder as well, which need not be there yet.

    The file is not a handler of the logger: that would have to be made talkative for it, and would then talk to every
    handler of the program.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _files.append(folder / LOG)
    try:
        yield
    finally:
        _files.pop()


RUN = "run.json"
STATE = "state.safetensors"
CHECKS = "checks.json"
_LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "scikit-learn", "onnxruntime", "numpy", "cleanlab")
_FILES = (
    *(CHECKS, RUN, LOG, "config.yaml", "history.json", "curves.png", "metrics.json", "evaluation.json"),
    *("label_issues.csv", "outliers.csv", STATE, "ngram.safetensors", "cross_validation.json", "update.json"),
)
_FOLDERS = ("cache", "tokenizer", "model", "folds", "checkpoint-*", "runs")


def check_run_config(output: Path, made_of: dict[str, Any], config: TrainConfig) -> None:
    """Write what a run is made of into its folder, or check that the folder's run is of the same.

    Raises
    ------
    ValueError
        If it is not; what differs is named.
    """
    path = output / RUN
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [*_differences(before, json.loads(json.dumps(made_of)))]
        if differing:
            raise ValueError(
                f"{output} holds a run with {'; '.join(differing)}; take another output folder, or throw this run away "
                "(restart=True, --restart)"
            )
        return
    run = {
        **made_of,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    config.save(output / "config.yaml")
    with atomic_write(path) as unfinished:
        write_json(unfinished, run)


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


def slim(folder: Path) -> None:
    """Delete what is large in the folder of a training that is done: its folders, and weights."""
    for part in folder.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
        elif part.suffix == ".safetensors":
            part.unlink()


def write_checks(output: Path, findings: Iterable[Finding]) -> None:
    """Write what the checks of the data found, with every row."""
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / CHECKS, [asdict(finding) for finding in findings])


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
        written = [json.dumps(value, ensure_ascii=False) for value in (theirs, ours)]
        yield f"{name} {written[0]}, not {written[1]}" if max(map(len, written)) <= 60 else f"other {name}"
