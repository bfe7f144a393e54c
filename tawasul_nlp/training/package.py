"""Put a model folder together: export, quantise, weigh the scorers, calibrate; and compare it with the network."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import concatenate_datasets
from safetensors.torch import save_file

from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.fitting import TARGET_ERRORS, fitted_task, with_prior
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.encoder import EncoderScorer
from tawasul_nlp.model.folder import (
    DOMAIN,
    ENCODER,
    NETWORK,
    NETWORK_CONFIG,
    NGRAM,
    PAIRS,
    TOKENIZER,
    ModelConfig,
    TaskConfig,
    file_hash,
    read_config,
)
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.thresholds import unreached
from tawasul_nlp.model.torch_runtime import TorchRuntime
from tawasul_nlp.text import PROFILES
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData, truth_of
from tawasul_nlp.training.export import export_float, quantize_rows
from tawasul_nlp.training.losses import class_weights
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.run_folder import logger, tell
from tawasul_nlp.training.tables import label_column

_BATCH = 32
# At most so many texts are compared.
_COMPARED = 500


def build_folder(
    network: MultiTaskNetwork,
    data: TrainingData,
    config: TrainConfig,
    output: Path,
    *,
    about: Mapping[str, str] | None = None,
    domain: Domain | None = None,
) -> dict[str, dict[str, float]]:
    """Export the network, and fit each task's weights, temperature and thresholds on the validation texts.

    The run folder ``output`` has the tokenizer, and gets the n-gram scorer and the folder ``model``. That carries
    ``about``, and the pack ``domain``; None is Bahrain's, which the library has. Of an update, the numbers that were
    fitted before stay, as far as the network still has what they are of. Returned is what :func:`_parity` says.
    """
    folder, texts = output / "model", list(data.validation["text"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(output / "tokenizer" / "tokenizer.json", folder / TOKENIZER)
    _export(network, folder / ENCODER)
    before = None if data.before is None else read_config(data.before)
    profile = PROFILES[config.profile]
    model = ModelConfig(
        tasks=_untuned_tasks(data, config.ngram is not None),
        profile=profile.to_dict(),
        profile_fingerprint=profile.fingerprint(),
        max_tokens=config.inference_max_tokens or config.max_tokens,
        files={},
        about={
            "base": config.backbone,
            "data": f"{len(data.train)} training texts, {len(texts)} validation texts",
            "trained": time.strftime("%Y-%m-%d"),
            **(about or {}),
        },
        issues=(before and before.issues) or (None if network.clauses is None else IssueConfig(network.clauses)),
        separator=network.separator,
    )
    encoder = EncoderScorer(folder, model, OnnxRuntime(folder / ENCODER))
    scorers = {"encoder": encoder.run(encoder.tokenize(texts), _BATCH)}
    ngram = _ngram_scorer(data, config, model.tasks, output)
    if ngram is not None:
        shutil.copy(ngram, folder / NGRAM)
        scorers["ngram"] = NgramScorer.load(folder / NGRAM).scores(texts)
    if config.keep_torch:
        save_network(network, folder)
    if domain is not None and domain != Domain.bundled():
        (folder / DOMAIN).write_text(domain.to_json(), encoding="utf-8")
    if data.before is not None and (data.before / PAIRS).exists() and network.incident is not None:
        shutil.copy(data.before / PAIRS, folder / PAIRS)
    tasks = _weighed(model.tasks, scorers, truth_of(data.validation, data.labels, data.multi_label), before, config)
    for sentence in (each for target in TARGET_ERRORS for each in unreached(tasks, dict.fromkeys(tasks, target))):
        logger.warning("%s", sentence)
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    replace(model, tasks=tasks, files=files).save(folder)
    return _parity(network, folder, model, texts[:_COMPARED], scorers["encoder"])


def _export(network: MultiTaskNetwork, path: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        float_graph = Path(scratch) / "float32.onnx"
        export_float(network, float_graph)
        quantize_rows(float_graph, path)


def _untuned_tasks(data: TrainingData, ngram: bool) -> dict[str, TaskConfig]:
    """Return the tasks with their scorers, not yet weighed: a parent decides its child along with the child's head."""
    tasks = {}
    for task, names in data.labels.items():
        parent = data.parents.get(task)
        if parent is not None:
            owners = tuple(names.index(parent.label_of[label]) for label in data.labels[parent.task])
            tasks[task] = TaskConfig(names, {"encoder": 0.5, "parent": 0.5}, parent=parent.task, parent_labels=owners)
        else:
            weights = {"encoder": 0.5, "ngram": 0.5} if ngram else {"encoder": 1.0}
            tasks[task] = TaskConfig(names, weights)
            if task in data.multi_label:
                tasks[task] = replace(tasks[task], multi_label=True, offsets=(0.0,) * len(names), label_threshold=0.5)
    return tasks


def _ngram_scorer(data: TrainingData, config: TrainConfig, tasks: dict[str, TaskConfig], output: Path) -> Path | None:
    scored = {task: settings.labels for task, settings in tasks.items() if "ngram" in settings.weights}
    if not scored or config.ngram is None:
        return None
    path = output / "ngram.safetensors"
    if not path.exists():
        columns = ["text", *map(label_column, scored)]
        parts = [rows.select_columns(columns) for rows in (data.learned, data.ngram_texts) if rows is not None]
        rows = concatenate_datasets(parts)
        tell(f"n-gram scorer: {len(rows):,} texts")
        weights = class_weights(config.class_weights, data)
        truth = truth_of(rows, scored, data.multi_label)
        fit_ngram(list(rows["text"]), truth, scored, path, config.ngram, weights)
    return path


def _weighed(
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: Mapping[str, np.ndarray],
    before: ModelConfig | None,
    config: TrainConfig,
) -> dict[str, TaskConfig]:
    """Return the tasks weighed and calibrated, as in the model before or by validation texts."""
    prior = config.calibration_prior
    fitted: dict[str, TaskConfig] = {}
    for name, task in tasks.items():
        fitted[name] = task
        earlier = None if before is None else calibrated_before(task, before.tasks.get(name))
        if earlier is not None:
            fitted[name] = earlier
            if not earlier.multi_label:
                fitted[name] = with_prior(earlier, np.exp(combine(fitted, scorers)[name][truth[name] >= 0]))
        else:
            fitted[name] = fitted_task(name, fitted, scorers, truth[name], prior, config.least_recall)
    return fitted


def calibrated_before(task: TaskConfig, before: TaskConfig | None) -> TaskConfig | None:
    """Return a task weighed and calibrated as in a model before; None where that weighs or decides by something else.

    New labels change nothing of it, except in a multi-label task, which has a number for each.

    Examples
    --------
    >>> before = TaskConfig(("roads", "water"), {"encoder": 1.0}, temperature=1.5)
    >>> calibrated_before(TaskConfig(("roads", "sewage", "water"), {"encoder": 0.5}), before).temperature
    1.5
    >>> calibrated_before(TaskConfig(("roads", "water"), {"encoder": 0.5, "ngram": 0.5}), before)
    """
    if before is None or (task.weights.keys(), task.parent, task.multi_label) != (
        before.weights.keys(),
        before.parent,
        before.multi_label,
    ):
        return None
    if task.multi_label:
        if set(task.labels) != set(before.labels):
            return None
        offset_of = dict(zip(before.labels, before.offsets, strict=True))
        before = replace(before, offsets=tuple(offset_of[label] for label in task.labels))
    return replace(before, labels=task.labels, parent_labels=task.parent_labels, prior=())


def save_network(network: MultiTaskNetwork, folder: Path) -> None:
    """Write the network's float weights and its encoder's configuration, from which torch can build it again."""
    tensors = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, folder / NETWORK)
    (folder / NETWORK_CONFIG).write_text(network.encoder.config.to_json_string(), encoding="utf-8")


def _parity(
    network: MultiTaskNetwork, folder: Path, model: ModelConfig, texts: list[str], outputs: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Return how far the outputs of the 8-bit graph are from those of the network, on the CPU.

    For each task ``agreement`` (share of texts with the same best label, or with the same labels above even odds), and
    ``max_difference`` of the logits.
    """
    with tempfile.TemporaryDirectory() as scratch:
        save_network(network, Path(scratch))
        encoder = EncoderScorer(folder, model, TorchRuntime(Path(scratch), model))
        reference = encoder.run(encoder.tokenize(texts), _BATCH)
    parity = {}
    for task in network.tasks:
        exact, stored = reference[task], outputs[task][: len(texts)]
        if model.tasks[task].multi_label:
            same = ((exact > 0) == (stored > 0)).all(1)
        else:
            same = exact.argmax(1) == stored.argmax(1)
        parity[task] = {
            "texts": len(texts),
            "agreement": round(float(same.mean()), 4),
            "max_difference": float(f"{np.abs(exact - stored).max():.4g}"),
        }
    return parity
