"""How near a model comes to what the processor's int8 products allow.

Counted are the products of the encoder's graph, by the shapes that ONNX Runtime's profiler reports; the peak is the
rate of one large product of the same kind on the same threads. ``eval.speed.peers`` puts both beside each other.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.folder import ENCODER
from tawasul_nlp.model.graph import checked_graph
from tawasul_nlp.model.onnx_runtime import session_options
from tawasul_nlp.model.portable import with_portable_softmax
from tawasul_nlp.model.telemetry import onnxruntime_without_telemetry

_INT8, _FLOAT = {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"}, {"MatMul", "FusedMatMul", "Gemm"}
_ROWS, _WIDTH = 2048, 1024  # of the product that tells the peak: large, yet within the cache of most processors
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Roofline:
    """What a text takes, and what the processor can give.

    Attributes
    ----------
    int8, float32 : float
        Operations of a text's products (a multiplication and an addition are two).
    int8_time : float
        Share of the encoder's time that its int8 products take.
    peak : float
        int8 operations a second of one large product.
    """

    int8: float
    float32: float
    int8_time: float
    peak: float

    def share(self, texts_per_s: float) -> float:
        """Return the share of the peak that so many texts a second use."""
        return self.int8 * texts_per_s / self.peak


def roofline(model: Path, texts: list[str], threads: int) -> Roofline:
    """Count a model's products for these texts, read one by one and so without padding, and measure the peak."""
    tokens = ComplaintClassifier.from_pretrained(model)._scorers.encoder.tokenize(texts)
    with tempfile.TemporaryDirectory() as folder:
        session = _session(
            with_portable_softmax(checked_graph(model / ENCODER)), threads, profile=str(Path(folder) / "profile")
        )
        for text in tokens.ids:
            ids = np.array([text], np.int64)
            given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            session.run(None, {item.name: given.get(item.name, np.zeros_like(ids)) for item in session.get_inputs()})
        events = list(_nodes(Path(session.end_profiling())))
    int8, float32 = (sum(_operations(event) for event in events if _kind(event) in kinds) for kinds in (_INT8, _FLOAT))
    in_int8 = sum(event["dur"] for event in events if _kind(event) in _INT8)
    return Roofline(
        int8 / len(texts), float32 / len(texts), in_int8 / sum(event["dur"] for event in events), _peak(threads)
    )


def _session(graph: bytes, threads: int, profile: str | None = None) -> Any:
    options = session_options(threads)
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime_without_telemetry().InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _nodes(profile: Path) -> Iterator[dict[str, Any]]:
    """Yield what was run, with its shapes and microseconds."""
    for event in json.loads(profile.read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            yield event


def _kind(event: dict[str, Any]) -> str:
    kind: str = event["args"]["op_name"]
    return kind


def _operations(event: dict[str, Any]) -> float:
    """Return the operations of a product; its weights are prepacked, so their shape is not told."""
    first, product = (next(iter(event["args"][key][0].values())) for key in ("input_type_shape", "output_type_shape"))
    return 2.0 * prod(product) * first[-1]


def _peak(threads: int) -> float:
    """Return the int8 operations a second of one large product."""
    from onnx import TensorProto, helper, numpy_helper

    numbers = np.random.default_rng(0)
    constants = {
        "weights": numbers.integers(-127, 128, (_WIDTH, _WIDTH), np.int8),
        "scale": np.array(0.01, np.float32),
        "scales": np.full(_WIDTH, 0.01, np.float32),
        "zero": np.array(128, np.uint8),
        "zeros": np.zeros(_WIDTH, np.int8),
    }
    given = helper.make_tensor_value_info("given", TensorProto.UINT8, [_ROWS, _WIDTH])
    product = helper.make_tensor_value_info("product", TensorProto.FLOAT, [_ROWS, _WIDTH])
    inputs = ["given", "weights", "scale", "scales", "zero", "zeros"]
    node = helper.make_node("MatMulIntegerToFloat", inputs, ["product"], domain="com.microsoft")
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph([node], "peak", [given], [product], initializers),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
        ir_version=8,
    )
    session = _session(model.SerializeToString(), threads)
    feed = {"given": numbers.integers(0, 256, (_ROWS, _WIDTH), np.uint8)}
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        session.run(None, feed)
        taken.append(time.perf_counter() - began)
    return 2.0 * _ROWS * _WIDTH * _WIDTH / statistics.median(taken)
