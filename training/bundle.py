"""Put a model folder together: export, quantise, weigh the readers, calibrate, and describe."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import ENCODER, NGRAM, TOKENIZER, ModelConfig, TaskConfig, file_hash
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.ngram import NgramReader
from tawasul_nlp.model.runtime import OnnxRuntime
from tawasul_nlp.text import PROFILES, Normalizer
from training.calibrate import fit_task, with_thresholds
from training.corpus import Example, LabelSpace
from training.export import export_float, quantize_weights

MAX_TOKENS = 256


def read_with_encoder(folder: Path, texts: list[str], batch_size: int = 32) -> dict[str, np.ndarray]:
    """Return the exported encoder's outputs for ``texts``, as the classifier would compute them."""
    normalizer = Normalizer("default")
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_truncation(MAX_TOKENS)
    runtime = OnnxRuntime(folder / ENCODER)
    encodings = tokenizer.encode_batch([normalizer(text) for text in texts])
    order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids))
    outputs: dict[str, np.ndarray] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        width = len(encodings[rows[-1]].ids)
        ids = np.ones((len(rows), width), np.int64)
        mask = np.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(encodings[row].ids)] = encodings[row].ids
            mask[at, : len(encodings[row].ids)] = 1
        for name, values in runtime.run(ids, mask).items():
            outputs.setdefault(name, np.empty((len(texts), values.shape[1]), np.float32))[rows] = values
    return outputs


def truth_of(examples: list[Example], labels: LabelSpace, task: str) -> np.ndarray:
    """Return each example's label index for ``task``, -1 where it has none."""
    index = {name: position for position, name in enumerate(labels.of(task))}
    return np.array([index.get(getattr(example, task), -1) for example in examples])


def build_bundle(
    network: MultiTaskNetwork,
    tokenizer: Path,
    ngram: Path,
    validation: list[Example],
    labels: LabelSpace,
    out: Path,
    about: dict[str, Any],
) -> ModelConfig:
    """Write a complete model folder to ``out`` (emptied first) and return its configuration."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shutil.copy(tokenizer, out / TOKENIZER)
    shutil.copy(ngram, out / NGRAM)
    float_graph = out.parent / "float32.onnx"
    export_float(network, float_graph)
    quantize_weights(float_graph, out / ENCODER)
    texts = [example.text for example in validation]
    readers = {"encoder": read_with_encoder(out, texts), "ngram": NgramReader.load(out / NGRAM).scores(texts)}
    agency_index = {name: position for position, name in enumerate(labels.agencies)}
    tasks = {
        "topic": TaskConfig(labels.topics, {"encoder": 0.5, "ngram": 0.5}),
        "agency": TaskConfig(
            labels.agencies,
            {"encoder": 0.5, "parent": 0.5},
            parent="topic",
            parent_labels=tuple(agency_index[labels.agency_of[topic]] for topic in labels.topics),
        ),
        "kind": TaskConfig(labels.kinds, {"encoder": 0.5, "ngram": 0.5}),
    }
    fitted: dict[str, TaskConfig] = {}
    for name in tasks:
        truth = truth_of(validation, labels, name)
        fitted[name] = fit_task(name, {**fitted, name: tasks[name]}, readers, truth)
        fitted[name] = with_thresholds(fitted[name], combine(fitted, readers)[name], truth)
    profile = PROFILES["default"]
    files = {name: file_hash(out / name) for name in (TOKENIZER, ENCODER, NGRAM)}
    config = ModelConfig(fitted, profile.to_dict(), profile.fingerprint(), MAX_TOKENS, files, about)
    config.save(out)
    return config
