"""The part of ``eval.quality.quantisation`` that runs in the throwaway environment, which has OpenVINO and NNCF.

It reads a JSON request a line and answers with a JSON line; arrays go through files. It imports nothing of the project.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import nncf  # type: ignore[import-not-found]
import numpy as np
import onnx
import openvino  # type: ignore[import-not-found]

OPTIONS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    # Where nothing is quantised; without the hint OpenVINO takes bfloat16 on processors that have it.
    "INFERENCE_PRECISION_HINT": "f32",
}
core = openvino.Core()
models: dict[str, Any] = {}


def batches(path: str) -> list[dict[str, np.ndarray]]:
    with np.load(path) as arrays:
        count = len(arrays.files) // 2
        return [{"input_ids": arrays[f"ids{i}"], "attention_mask": arrays[f"mask{i}"]} for i in range(count)]


def make(request: dict[str, Any]) -> None:
    """Write the model of ``graph`` in the form ``way`` to ``path``: OpenVINO's format, or ONNX if it ends so."""
    graph, path = request["graph"], request["path"]
    as_onnx = path.endswith(".onnx")
    model = onnx.load(graph) if as_onnx else core.read_model(graph)
    if request["way"] == "static":
        data = batches(request["batches"])
        model = nncf.quantize(model, nncf.Dataset(data), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(data))
    elif request["way"] == "weights":
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    if as_onnx:
        onnx.save(model, path)
    else:
        openvino.save_model(model, path, compress_to_fp16=False)


def load(request: dict[str, Any]) -> float:
    began = time.perf_counter()
    models[request["path"]] = core.compile_model(request["path"], "CPU", OPTIONS)
    return time.perf_counter() - began


def run(request: dict[str, Any]) -> None:
    found = [models[request["path"]](batch) for batch in batches(request["batches"])]
    arrays = {f"{name}{i}": out[name] for i, out in enumerate(found) for name in ("embedding", "topic")}
    np.savez(request["to"], **arrays)


def clock(request: dict[str, Any]) -> list[tuple[float, float]]:
    model, taken = models[request["path"]], []
    for batch in batches(request["batches"]):
        wall, busy = time.perf_counter(), time.process_time()
        model(batch)
        taken.append((time.perf_counter() - wall, time.process_time() - busy))
    return taken


def main() -> None:
    # The libraries print their progress, some to a stream that they took at import: only answers may go to the pipe.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    requests = {"make": make, "load": load, "run": run, "clock": clock}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(requests[request["do"]](request)), file=answers, flush=True)


if __name__ == "__main__":
    main()
