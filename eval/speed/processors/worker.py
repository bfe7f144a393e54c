"""What one process of ``eval.speed.processors`` does: run forms of the encoder, in turn, on the same batches of texts.

``python -m eval.speed.processors.worker TEXTS FORMS OUT`` reads token ids from TEXTS (JSON, a list for each text) and
files by name from FORMS (JSON), and writes what each form answers, with its processor time, to OUT (npz).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tawasul_nlp.model.folder import BUNDLED, ENCODER
from tawasul_nlp.model.graph import with_portable_softmax
from tawasul_nlp.model.onnx_runtime import OnnxRuntime, onnxruntime_without_telemetry

Run = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]
LIBRARY, EXPORTED = "the library", "the graph as exported"
BATCH = 10
ROUNDS = 3


def session(graph: bytes) -> Run:
    """Return what runs a graph with ONNX Runtime's own choice of kernels, whether they are exact or not."""
    onnxruntime = onnxruntime_without_telemetry()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    found = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in found.get_outputs()]

    def run(ids: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
        values = found.run(names, {"input_ids": ids, "attention_mask": mask})
        return dict(zip(names, values, strict=True))

    return run


def pad(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return input ids and attention mask (texts, tokens) as the classifier pads them."""
    ids = np.ones((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


def main() -> None:
    """Run every form."""
    texts, forms, out = sys.argv[1:]
    rows = json.loads(Path(texts).read_text())
    longest = max(rows, key=len)
    runs: dict[str, Run] = {
        LIBRARY: OnnxRuntime(BUNDLED / ENCODER, 1).run,
        EXPORTED: session((BUNDLED / ENCODER).read_bytes()),
    }
    for name, path in json.loads(Path(forms).read_text()).items():
        runs[name] = session(with_portable_softmax(Path(path).read_bytes()))
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(rows), BATCH):
        batch = pad(rows[start : start + BATCH])
        for turn in range(ROUNDS):
            for name, run in runs.items():
                began = time.process_time()
                outputs = run(*batch)
                found.setdefault(f"{name}|seconds", []).append(np.array([time.process_time() - began]))
                if turn == 0:
                    for output, values in outputs.items():
                        found.setdefault(f"{name}|{output}", []).append(values)
        for name in (LIBRARY, EXPORTED):
            for row in rows[start : start + BATCH]:
                for company, texts_read in (("alone", [row]), ("beside the longest", [row, longest])):
                    for output, values in runs[name](*pad(texts_read)).items():
                        found.setdefault(f"{name}, {company}|{output}", []).append(values[:1])
    np.savez(out, **{key: np.concatenate(values) for key, values in found.items()})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
