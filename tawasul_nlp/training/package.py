"""Put a model folder together: export, quantise, weigh the scorers, calibrate; and compare it with the network.

The embedding table is stored as int8 rows, and every weight matrix as int8 columns, with one scale each. A row of
activations is divided by its largest magnitude while the graph runs, so one fixed scale quantises it, and the product
of integers is multiplied by that magnitude again. So nothing is calibrated, and the answer for a text does not depend
on its neighbours in the batch. ``eval/results/archive/quantisation.md`` has the comparison with 8-bit blocks and
with static (calibrated) and dynamic quantisation.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from datasets import concatenate_datasets
from onnx.helper import make_node, make_opsetid
from onnx.numpy_helper import from_array, to_array
from safetensors.torch import save_file
from torch import Tensor, nn

from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.fitting import TARGET_ERRORS, fitted_task, texts_to_find, with_prior
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
    VERIFIER,
    ModelConfig,
    TaskConfig,
    file_hash,
    read_config,
)
from tawasul_nlp.model.issues import IssueConfig
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import TOKEN_OUTPUTS
from tawasul_nlp.model.thresholds import unreached
from tawasul_nlp.model.torch_runtime import TorchRuntime
from tawasul_nlp.text.profiles import PROFILES
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData, truth_of
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
    domain: Domain | None = None,
) -> dict[str, dict[str, float]]:
    """Export the network, and fit each task's weights, temperature and thresholds on the validation texts.

    The run folder ``output`` has the tokenizer, and gets the n-gram scorer and the folder ``model``. That carries the
    pack ``domain``; None is Bahrain's, which the library has. Of an update, the numbers that were
    fitted before stay, as far as the network still has what they are of. Returned is what :func:`_parity` says.
    """
    folder, texts = output / "model", list(data.validation["text"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(output / "tokenizer" / "tokenizer.json", folder / TOKENIZER)
    export(network, folder / ENCODER)
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
    if before is not None and data.before is not None and network.incident is not None:
        for name in before.files.keys() & {PAIRS, VERIFIER}:
            shutil.copy(data.before / name, folder / name)
    tasks = _weighed(model.tasks, scorers, truth_of(data.validation, data.labels, data.multi_label), before, config)
    for sentence in (each for target in TARGET_ERRORS for each in unreached(tasks, dict.fromkeys(tasks, target))):
        logger.warning("%s", sentence)
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    separator = before.separator if before is not None and VERIFIER in files else network.separator
    replace(model, tasks=tasks, files=files, separator=separator).save(folder)
    return _parity(network, folder, model, texts[:_COMPARED], scorers["encoder"])


def export(network: MultiTaskNetwork, path: Path) -> None:
    """Write the network as a graph with 8-bit weights."""
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
            to_find = texts_to_find(task, truth[name], {} if task.multi_label else config.least_recall)
            fitted[name] = fitted_task(name, fitted, scorers, truth[name], prior, to_find)
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


_STEPS = 127  # a row's values become -127 to 127, stored as uint8 around 128: what the kernels for x86 want
_SCALE, _ZERO, _LEAST = "row_scale", "row_zero", "row_least"


class Int8Embedding(nn.Module):
    """An embedding table of int8 rows with one float scale each."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up rows: (batch, tokens) -> (batch, tokens, hidden), float32."""
        return self.rows[ids].to(torch.float32) * self.scale[ids]


def export_float(network: MultiTaskNetwork, path: Path) -> None:
    """Write the network as a float32 ONNX graph with the network's own outputs, but with an embedding table in int8."""
    network = copy.deepcopy(network).eval()
    network.encoder.set_attn_implementation("eager")
    embeddings = network.encoder.embeddings
    embeddings.word_embeddings = Int8Embedding(embeddings.word_embeddings)
    ids = torch.randint(4, min(1000, network.encoder.config.vocab_size), (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    outputs = list(network.outputs)
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", *TOKEN_OUTPUTS)}
    with torch.no_grad(), warnings.catch_warnings():
        # The lengths that it says are fixed are the axes below; no index is negative.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message="Exporting aten::index operator", category=UserWarning)
        torch.onnx.export(
            network,
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=outputs,
            dynamic_axes={name: axes.get(name, {0: "batch"}) for name in ("input_ids", "attention_mask", *outputs)},
            opset_version=17,
            dynamo=False,
        )


def quantize_rows(source: Path, target: Path) -> None:
    """Replace every product with a constant weight matrix of the graph ``source`` and write ``target``."""
    model = onnx.load(str(source))
    graph = model.graph
    matrices = {item.name: to_array(item) for item in graph.initializer if len(item.dims) == 2}
    nodes: list[Any] = []
    constants = [
        from_array(np.array(1 / _STEPS, np.float32), _SCALE),
        from_array(np.array(128, np.uint8), _ZERO),
        from_array(np.array(1e-12, np.float32), _LEAST),
    ]
    replaced: set[str] = set()
    quantised: dict[str, str] = {}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in matrices:
            nodes.append(node)
            continue
        rows, matrix = node.input
        if rows not in quantised:  # query, key and value read the same rows
            name = quantised[rows] = f"rows{len(quantised)}"
            nodes += [
                make_node("Abs", [rows], [f"{name}_abs"]),
                make_node("ReduceMax", [f"{name}_abs"], [f"{name}_max"], axes=[-1], keepdims=1),
                make_node("Max", [f"{name}_max", _LEAST], [f"{name}_size"]),
                make_node("Div", [rows, f"{name}_size"], [f"{name}_unit"]),
                make_node("QuantizeLinear", [f"{name}_unit", _SCALE, _ZERO], [f"{name}_int"]),
            ]
        name = quantised[rows]
        scale = np.maximum(np.abs(matrices[matrix]).max(0) / _STEPS, 1e-12).astype(np.float32)
        weights = np.round(matrices[matrix] / scale).astype(np.int8)
        constants += [from_array(weights, f"{node.name}_int8"), from_array(scale, f"{node.name}_scale")]
        replaced.add(matrix)
        nodes += [
            make_node(
                "MatMulIntegerToFloat",
                [f"{name}_int", f"{node.name}_int8", _SCALE, f"{node.name}_scale", _ZERO],
                [f"{node.name}_unit"],
                name=f"{node.name}_rows",
                domain="com.microsoft",
            ),
            make_node("Mul", [f"{node.name}_unit", f"{name}_size"], list(node.output)),
        ]
    constants += [item for item in graph.initializer if item.name not in replaced]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(constants)
    graph.node.extend(nodes)
    if all(opset.domain != "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(make_opsetid("com.microsoft", 1))
    onnx.save(model, str(target))
