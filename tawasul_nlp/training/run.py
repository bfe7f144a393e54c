"""Train a model by a recipe: encoder, n-gram reader, calibration, export, measurements, card, in one run folder.

Every finished step leaves its result in the run folder, and training leaves a checkpoint at each epoch, so that a
killed run goes on where it stopped when the same command is given again. The finished model lies in ``model``.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterable
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from datasets import Dataset, IterableDataset
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from tawasul_nlp._system import atomic_write, logger
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Taxonomy
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.backbone import load_backbone
from tawasul_nlp.training.batches import MaskingCollator
from tawasul_nlp.training.card import write_card
from tawasul_nlp.training.config import Recipe
from tawasul_nlp.training.curves import draw_curves
from tawasul_nlp.training.dataset import Material
from tawasul_nlp.training.heads import MOST_TEXTS, start_heads
from tawasul_nlp.training.label_issues import write_outliers, write_suspects
from tawasul_nlp.training.losses import TrainingNetwork
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.package import build_folder, taxonomy_tasks
from tawasul_nlp.training.parity import parity
from tawasul_nlp.training.rows import RowEncoder, StreamedTexts, TableTexts
from tawasul_nlp.training.tables import label_column
from tawasul_nlp.training.trainer import STATE, last_checkpoint, save_state, train_network
from training.measure import measure

_LIBRARIES = ("torch", "transformers", "datasets", "tokenizers", "scikit-learn", "onnxruntime", "numpy", "cleanlab")
# Texts of a stream whose Latin pieces stay in the vocabulary out of the wheel.
_SAMPLE = 200_000


def retrain(material: Material, recipe: Recipe, out: Path) -> Path:
    """Train by ``recipe`` in the run folder ``out`` and return the finished model folder.

    Raises
    ------
    ValueError
        If the folder holds a run of another recipe, or on other texts or labels.
    BackboneError
        If the encoder that the recipe starts from cannot be had.
    """
    out.mkdir(parents=True, exist_ok=True)
    streamed = not isinstance(material.train, Dataset)
    run = _claim(out, recipe, material)
    network, tokenizer = _fine_tuned(material, recipe, out)
    tasks = _tasks(material, recipe)
    texts, truth = list(material.validation["text"]), _truth(material.validation, material.labels)
    folder = out / "model"
    build_folder(
        network,
        out / "tokenizer" / "tokenizer.json",
        _ngram_reader(material, recipe, tasks, out),
        texts,
        truth,
        tasks,
        folder,
        {
            "base": recipe.backbone,
            "data": f"{material.rows} training texts, {len(texts)} validation texts",
            "trained": time.strftime("%Y-%m-%d"),
        },
        profile=recipe.profile,
        max_tokens=recipe.max_tokens,
        prior=1.0,
        torch_files=recipe.keep_torch,
    )
    (out / "float32.onnx").unlink()
    metrics: dict[str, Any] = {
        "data": {
            "train": material.rows,
            "validation": len(texts),
            "left_out": material.left_out,
            "labels": {
                task: dict(zip(names, material.counts[task].tolist(), strict=True))
                for task, names in material.labels.items()
            },
            "findings": [str(finding) for finding in material.findings],
        },
        "validation": measure(folder, texts, truth, material.counts, material.leaked),
        "parity": parity(network, folder, texts, profile=recipe.profile, max_tokens=recipe.max_tokens),
    }
    if not streamed:
        metrics |= _look_again(material, folder, out)
    _write_json(out / "metrics.json", metrics)
    write_card(folder, run, metrics)
    return folder


def _fine_tuned(material: Material, recipe: Recipe, out: Path) -> tuple[MultiTaskNetwork, PreTrainedTokenizerFast]:
    """Train the encoder, or load what an earlier call with this folder trained; return it on the CPU."""
    sample = (row["text"] for row in islice(material.train, _SAMPLE))
    encoder, tokenizer = load_backbone(recipe.backbone, lambda: list(sample), out, recipe.dropout)
    tokenizer.save_pretrained(out / "tokenizer")
    settings = recipe.settings()
    tasks = {task: len(names) for task, names in material.labels.items()}
    torch.manual_seed(recipe.seed)
    model = TrainingNetwork(MultiTaskNetwork(encoder, tasks, recipe.dropout), settings)
    checkpoints = out / "checkpoints"
    if (checkpoints / STATE).exists():
        logger.info("found %s, resuming", checkpoints / STATE)
        model.load_state_dict(load_file(checkpoints / STATE))
        return model.network.eval(), tokenizer
    rows = RowEncoder(tokenizer, material.labels, recipe, training=True)
    texts = (
        TableTexts(material.train, rows)
        if isinstance(material.train, Dataset)
        else StreamedTexts(material.train, rows, material.rows)
    )
    judged = TableTexts(material.validation, RowEncoder(tokenizer, material.labels, recipe, training=False))
    if recipe.head_start != "random" and last_checkpoint(checkpoints) is None:
        _start_heads(model.network, texts, material, recipe, tokenizer.pad_token_id)
    logger.info("%d texts, %g epochs", material.rows, recipe.epochs)
    collator = MaskingCollator(tokenizer, list(tasks), recipe.mask_share, recipe.seed)
    trainer = train_network(model, texts, judged, collator, checkpoints, settings, list(tasks))
    _write_json(out / "history.json", trainer.state.log_history)
    draw_curves(trainer.state.log_history, list(tasks), out / "curves.png")
    save_state(model.state_dict(), checkpoints / STATE)  # last: a run that finds it does none of the above
    for checkpoint in checkpoints.glob("checkpoint-*"):  # they hold the optimiser's state too: three times the network
        shutil.rmtree(checkpoint)
    return model.network.eval().cpu(), tokenizer


def _start_heads(
    network: MultiTaskNetwork, texts: TableTexts | StreamedTexts, material: Material, recipe: Recipe, padding: int
) -> None:
    if recipe.head_start == "means":
        if not isinstance(texts, TableTexts):
            raise ValueError("head_start means needs every text at once; take head_start=probe with --streaming")
        rows = texts.rows
    elif isinstance(texts, TableTexts):
        rows = texts.rows.select(np.random.default_rng(recipe.seed).permutation(len(texts))[:MOST_TEXTS])
    else:
        rows = Dataset.from_list(list(islice(texts.rows, MOST_TEXTS)))
    truth = _truth(rows, material.labels)
    start_heads(network, list(rows["input_ids"]), padding, truth, recipe.head_start)


def _tasks(material: Material, recipe: Recipe) -> dict[str, TaskConfig]:
    second = recipe.ngram is not None and isinstance(material.train, Dataset)
    if material.taxonomy:
        return taxonomy_tasks(Taxonomy.load(), ngram=second)
    readers = {"encoder": 0.5, "ngram": 0.5} if second else {"encoder": 1.0}
    return {task: TaskConfig(names, readers) for task, names in material.labels.items()}


def _ngram_reader(material: Material, recipe: Recipe, tasks: dict[str, TaskConfig], out: Path) -> Path | None:
    read = {task: settings.labels for task, settings in tasks.items() if "ngram" in settings.weights}
    if not read or recipe.ngram is None:
        return None
    path = out / "ngram.safetensors"
    if not path.exists():
        logger.info("n-gram scorer: %d texts", material.rows)
        fit_ngram(list(material.train["text"]), _truth(material.train, read), read, path, recipe.ngram)
    return path


def _truth(rows: Dataset, labels: dict[str, tuple[str, ...]]) -> dict[str, np.ndarray]:
    """Return the label index of each row for each task; -1 where it has none: int arrays (n_rows,)."""
    index = {task: {name: at for at, name in enumerate(names)} for task, names in labels.items()}
    return {
        task: np.array([numbers.get(label, -1) for label in rows[label_column(task)]], np.int64)
        for task, numbers in index.items()
    }


def _look_again(material: Material, folder: Path, out: Path) -> dict[str, Any]:
    """List suspicious labels and outliers among the training rows; return how many."""
    texts = list(material.train["text"])
    places = list(zip(material.train["file"], material.train["row"], strict=True))
    truth = _truth(material.train, material.labels)
    suspects = write_suspects(out / "suspects.csv", places, texts, material.groups, truth, material.labels)
    embeddings = ComplaintClassifier.from_pretrained(folder).encode(texts)
    return {"suspects": suspects, "outliers": write_outliers(out / "outliers.csv", places, texts, embeddings)}


def _claim(out: Path, recipe: Recipe, material: Material) -> dict[str, Any]:
    """Write what the run is made of into its folder, or check that the folder's run is of the same; return it."""
    sides = {"train": material.train, "validation": material.validation}
    run: dict[str, Any] = {
        "recipe": recipe.settings(),
        "files": material.files,
        **material.reading,
        "streaming": not isinstance(material.train, Dataset),
        "labels": {task: list(names) for task, names in material.labels.items()},
        "train": material.rows,
        "validation": len(material.validation),
        "texts": {side: _digest(rows, material.labels) for side, rows in sides.items()},
    }
    path = out / "run.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = [part for part in run if before.get(part) != json.loads(json.dumps(run[part]))]
        if differing:
            raise ValueError(
                f"{out} holds a run with other {', '.join(differing)}; name another --out, or delete the folder"
            )
    else:
        run["versions"] = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
        resolved = yaml.safe_dump(recipe.settings(), sort_keys=False, allow_unicode=True)
        (out / "recipe.yaml").write_text(resolved, encoding="utf-8")
        with atomic_write(path) as unfinished:
            _write_json(unfinished, run)
    return run


def _digest(rows: Dataset | IterableDataset, tasks: Iterable[str]) -> str | None:
    """Return the SHA-256 of the texts and labels in their order; None for a stream: its file and columns decide it."""
    if not isinstance(rows, Dataset):
        return None
    digest = hashlib.sha256()
    for column in ("text", *(label_column(task) for task in tasks)):
        digest.update(json.dumps(list(rows[column])).encode())
    return digest.hexdigest()


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
