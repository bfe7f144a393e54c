"""Train a model on a table by a recipe: data, encoder, n-gram reader, calibration, export, in one run folder.

Every finished step leaves its result in the run folder, and training leaves a checkpoint at each epoch, so that a
killed run goes on where it stopped when the same command is given again. The finished model lies in ``model``.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from datasets import Dataset
from safetensors.torch import load_file

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.folder import TaskConfig, file_hash
from tawasul_nlp.model.network import MultiTaskNetwork
from training.backbone import load_backbone
from training.batches import MaskingCollator
from training.bundle import build_folder
from training.calibrate import expected_calibration_error
from training.network import TrainingNetwork
from training.ngram import fit_ngram
from training.recipe import Recipe
from training.tables import Columns, label_column, label_names, read_table
from training.texts import RowEncoder, TableTexts
from training.trainer import STATE, train_network

_LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "scikit-learn", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a model is trained on.

    Attributes
    ----------
    train, validation : Dataset
        Usable rows (:func:`training.tables.read_table`).
    labels : dict of str to tuple of str
        The names of each task's labels.
    files : dict of str to str
        SHA-256 of each file that was read.
    """

    train: Dataset
    validation: Dataset
    labels: dict[str, tuple[str, ...]]
    files: dict[str, str]


def read_material(data: Path, validation: Path, columns: Columns, cache: Path) -> Material:
    """Read the tables and check that a model can be trained on them."""
    train, held_out = (read_table(path, columns, cache) for path in (data, validation))
    labels = {task: label_names(train[label_column(task)]) for task in columns.labels}
    for path, rows in ((data, train), (validation, held_out)):
        bad = [(row["row"], row["problem"]) for row in rows if row["problem"]]
        if bad:
            raise ValueError(f"{path}: {len(bad)} rows cannot be used, the first in row {bad[0][0]}: {bad[0][1]}")
    return Material(train, held_out, labels, {str(path): file_hash(path) for path in (data, validation)})


def retrain(material: Material, recipe: Recipe, out: Path) -> Path:
    """Train by ``recipe`` in the run folder ``out`` and return the finished model folder.

    Raises
    ------
    ValueError
        If the folder holds a run of another recipe or on other data.
    BackboneError
        If the encoder that the recipe starts from cannot be had.
    """
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, recipe, material)
    torch.manual_seed(recipe.seed)
    encoder, tokenizer = load_backbone(recipe.backbone, lambda: list(material.train["text"]), out, recipe.dropout)
    tokenizer.save_pretrained(out / "tokenizer")
    settings = recipe.settings()
    tasks = {task: len(names) for task, names in material.labels.items()}
    torch.manual_seed(recipe.seed)  # loading may have drawn random numbers
    model = TrainingNetwork(MultiTaskNetwork(encoder, tasks, recipe.dropout), settings)
    validating = RowEncoder(tokenizer, material.labels, recipe, training=False)
    checkpoints = out / "checkpoints"
    if (checkpoints / STATE).exists():
        print(f"found {checkpoints / STATE}, going on", flush=True)
        model.load_state_dict(load_file(checkpoints / STATE))
    else:
        texts = TableTexts(material.train, RowEncoder(tokenizer, material.labels, recipe, training=True))
        print(f"{len(texts)} texts, {recipe.epochs} epochs", flush=True)
        collator = MaskingCollator(tokenizer, list(tasks), recipe.mask_share, recipe.seed)
        trainer = train_network(
            model, texts, TableTexts(material.validation, validating), collator, checkpoints, settings, list(tasks)
        )
        _write_json(out / "history.json", trainer.state.log_history)
    ngram = _ngram_reader(material, recipe, out)
    readers = {"encoder": 1.0} if ngram is None else {"encoder": 0.5, "ngram": 0.5}
    folder = out / "model"
    build_folder(
        model.network.eval().cpu(),
        out / "tokenizer" / "tokenizer.json",
        ngram,
        list(material.validation["text"]),
        validating.truth(material.validation),
        {task: TaskConfig(names, readers) for task, names in material.labels.items()},
        folder,
        {
            "base": recipe.backbone,
            "data": f"{len(material.train)} training texts, {len(material.validation)} validation texts",
            "trained": time.strftime("%Y-%m-%d"),
        },
        profile=recipe.profile,
        max_tokens=recipe.max_tokens,
    )
    _write_json(out / "metrics.json", measure(folder, material.validation, validating.truth(material.validation)))
    return folder


def measure(folder: Path, rows: Dataset, truth: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what the finished model reaches on ``rows``: accuracy, macro F1 and calibration error of each task."""
    from sklearn.metrics import f1_score

    classifier = ComplaintClassifier.from_pretrained(folder)
    probabilities = classifier.read(list(rows["text"])).probabilities
    measured: dict[str, Any] = {}
    for task, target in truth.items():
        known = target >= 0
        guess, confidence = probabilities[task][known].argmax(1), probabilities[task][known].max(1)
        right = guess == target[known]
        measured[task] = {
            "texts": int(known.sum()),
            "accuracy": round(float(right.mean()), 4),
            "macro_f1": round(float(f1_score(target[known], guess, average="macro", zero_division=0)), 4),
            "calibration_error": round(float(expected_calibration_error(confidence, right)), 4),
        }
    return measured


def _ngram_reader(material: Material, recipe: Recipe, out: Path) -> Path | None:
    if recipe.ngram is None:
        return None
    path = out / "ngram.safetensors"
    if not path.exists():
        print(f"n-gram reader: {len(material.train)} texts", flush=True)
        index = {task: {name: at for at, name in enumerate(names)} for task, names in material.labels.items()}
        targets = {
            task: np.array([numbers.get(label, -1) for label in material.train[label_column(task)]])
            for task, numbers in index.items()
        }
        fit_ngram(list(material.train["text"]), targets, material.labels, path, recipe.ngram)
    return path


def _claim(out: Path, recipe: Recipe, material: Material) -> None:
    """Write what the run is made of into its folder, or check that the folder's run is of the same."""
    run = {
        "recipe": recipe.settings(),
        "files": material.files,
        "labels": {task: list(names) for task, names in material.labels.items()},
    }
    path = out / "run.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [part for part in run if before.get(part) != json.loads(json.dumps(run[part]))]
        if differing:
            raise ValueError(
                f"{out} holds a run with other {', '.join(differing)}; name another --out, or delete the folder"
            )
        return
    versions = {name: version(name) for name in _LIBRARIES}
    _write_json(path, {**run, "versions": {"python": platform.python_version(), **versions}})
    resolved = yaml.safe_dump(recipe.settings(), sort_keys=False, allow_unicode=True)
    (out / "recipe.yaml").write_text(resolved, encoding="utf-8")


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
