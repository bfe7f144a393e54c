"""Put a model folder together: export, quantise, weigh the scorers, calibrate, and describe."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors.torch import save_file

from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.fitting import (
    TARGET_ERRORS,
    fit_answers,
    fit_label_scores,
    with_label_threshold,
    with_prior,
)
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
from tawasul_nlp.model.runtime import Runtime
from tawasul_nlp.model.thresholds import unreached
from tawasul_nlp.text import PROFILES
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.export import export_float, quantize_rows
from tawasul_nlp.training.progress import logger

MAX_TOKENS = 256


def read_with_encoder(
    folder: Path,
    texts: list[str],
    batch_size: int = 32,
    *,
    profile: str = "default",
    max_tokens: int = MAX_TOKENS,
    runtime: Runtime | None = None,
) -> dict[str, np.ndarray]:
    """Return the encoder's outputs for ``texts``, as the classifier would compute them.

    ``runtime`` is another form of the same network than the folder's graph.
    """
    settings = PROFILES[profile]
    config = ModelConfig({}, settings.to_dict(), settings.fingerprint(), max_tokens, {})
    scorer = EncoderScorer(folder, config, runtime or OnnxRuntime(folder / ENCODER))
    return scorer.run(scorer.tokenize(texts), batch_size)


def untuned_tasks(data: TrainingData, ngram: bool) -> dict[str, TaskConfig]:
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


def build_folder(
    network: MultiTaskNetwork,
    tokenizer: Path,
    ngram: Path | None,
    texts: list[str],
    truth: Mapping[str, np.ndarray],
    tasks: Mapping[str, TaskConfig],
    out: Path,
    about: dict[str, Any],
    *,
    profile: str = "default",
    max_tokens: int = MAX_TOKENS,
    prior: float = 0.0,
    least_recall: Mapping[str, float] = MappingProxyType({}),
    torch_files: bool = False,
    domain: Domain | None = None,
    before: Path | None = None,
) -> ModelConfig:
    """Export the network and fit each task's weights, temperature and thresholds on validation texts.

    Parameters
    ----------
    network : MultiTaskNetwork
    tokenizer : Path
        Its ``tokenizer.json``.
    ngram : Path or None
        The n-gram scorer, if the model has one.
    texts : list of str
        Validation texts, as they were written.
    truth : mapping of str to ndarray of int, shape (n_texts,)
        See :func:`~tawasul_nlp.training.dataset.truth_of`.
    tasks : mapping of str to TaskConfig
        Parents before children, with their scorers named in ``weights``.
    out : Path
        The model folder; emptied first.
    about : dict
    profile : str
        Name of the normalisation profile of the encoder's input.
    max_tokens : int
    prior : float
        See :func:`tawasul_nlp.evaluation.fitting.fit_task`.
    least_recall : mapping of str to float
        See :func:`tawasul_nlp.evaluation.fitting.with_preferred`.
    torch_files : bool
        Whether the folder also holds the float network, for the torch runtime.
    domain : Domain or None
        The pack that the folder carries; None is Bahrain's, which the library has.
    before : Path or None
        The folder of a model whose fitted numbers stay, as far as the network still has what they are of.

    Returns
    -------
    ModelConfig
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shutil.copy(tokenizer, out / TOKENIZER)
    with tempfile.TemporaryDirectory() as scratch:
        float_graph = Path(scratch) / "float32.onnx"
        export_float(network, float_graph)
        quantize_rows(float_graph, out / ENCODER)
    scorers = {"encoder": read_with_encoder(out, texts, profile=profile, max_tokens=max_tokens)}
    names = [TOKENIZER, ENCODER]
    if ngram is not None:
        shutil.copy(ngram, out / NGRAM)
        scorers["ngram"] = NgramScorer.load(out / NGRAM).scores(texts)
        names.append(NGRAM)
    if torch_files:
        save_network(network, out)
        names += [NETWORK, NETWORK_CONFIG]
    if domain is not None and domain != Domain.bundled():
        (out / DOMAIN).write_text(domain.to_json(), encoding="utf-8")
        names.append(DOMAIN)
    known = None if before is None else read_config(before)
    if before is not None and known is not None and PAIRS in known.files and network.incident is not None:
        shutil.copy(before / PAIRS, out / PAIRS)
        names.append(PAIRS)
    fitted = _weighed(tasks, scorers, truth, known, prior, least_recall)
    for target in TARGET_ERRORS:
        for sentence in unreached(fitted, dict.fromkeys(fitted, target)):
            logger.warning("%s", sentence)
    settings = PROFILES[profile]
    files = {name: file_hash(out / name) for name in names}
    config = ModelConfig(
        fitted,
        settings.to_dict(),
        settings.fingerprint(),
        max_tokens,
        files,
        about,
        issues=(known and known.issues) or (None if network.clauses is None else IssueConfig(network.clauses)),
        separator=network.separator,
    )
    config.save(out)
    return config


def _weighed(
    tasks: Mapping[str, TaskConfig],
    scorers: Mapping[str, Mapping[str, np.ndarray]],
    truth: Mapping[str, np.ndarray],
    before: ModelConfig | None,
    prior: float,
    least_recall: Mapping[str, float],
) -> dict[str, TaskConfig]:
    """Return the tasks weighed and calibrated, as in the model before or by validation texts."""
    fitted: dict[str, TaskConfig] = {}
    for name, task in tasks.items():
        fitted[name] = task
        kept = None if before is None else calibrated_before(task, before.tasks.get(name))
        if kept is not None:
            fitted[name] = kept
            if not kept.multi_label:
                fitted[name] = with_prior(kept, np.exp(combine(fitted, scorers)[name][truth[name] >= 0]))
        elif task.multi_label:
            fitted[name] = fit_label_scores(name, fitted, scorers, truth[name], prior)
            fitted[name] = with_label_threshold(fitted[name], combine(fitted, scorers)[name], truth[name])
        else:
            fitted[name] = fit_answers(name, fitted, scorers, truth[name], prior, least_recall)
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
