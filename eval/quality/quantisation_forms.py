"""The 8-bit forms of an encoder that ``eval.quality.quantisation`` compares, each made from one float32 network."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eval.quality.quantisation_runners import Batch, Contender, OpenVinoContender, OrtContender
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.telemetry import onnxruntime_without_telemetry
from tawasul_nlp.training.export import export_float, quantize_rows

onnxruntime_without_telemetry()  # before its tools are imported

REFERENCE = "float32, ONNX Runtime"


def static_ways() -> dict[str, dict[str, Any]]:
    """Return the arguments of ``quantize_static`` for each way to quantise by calibration.

    ONNX Runtime's own choice quantises the outputs of all matrix products and the products within attention too;
    *weights only* leaves both in float32, as the blocked form does, which is kinder to the numbers.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantType

    lean = {"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"]}
    ways: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        ", uint8, MinMax": (QuantType.QUInt8, CalibrationMethod.MinMax, {}),
        " weights only, uint8, MinMax": (QuantType.QUInt8, CalibrationMethod.MinMax, lean),
        " weights only, int8, MinMax": (QuantType.QInt8, CalibrationMethod.MinMax, lean),
        " weights only, uint8, Percentile 99.99": (
            QuantType.QUInt8,
            CalibrationMethod.Percentile,
            {**lean, "CalibPercentile": 99.99},
        ),
        " weights only, uint8, Entropy": (QuantType.QUInt8, CalibrationMethod.Entropy, lean),
    }
    return {
        f"static QDQ{name}": {"activation_type": activation, "calibrate_method": method, "extra_options": options}
        for name, (activation, method, options) in ways.items()
    }


def quantize_statically(source: Path, target: Path, batches: list[Batch], way: dict[str, Any]) -> None:
    """Write a QDQ graph whose weights are int8 per channel and whose activations have calibrated ranges."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        """Hand out the batches that ``set_range`` asks for."""

        def __len__(self) -> int:
            return len(batches)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.waiting = iter(batches[start_index:end_index])

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.waiting, None)
            return None if batch is None else {"input_ids": batch[0], "attention_mask": batch[1]}

    quantize_static(
        source,
        target,
        Reader(),
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        # One batch at a time: the calibrators cannot join arrays of different lengths.
        **{**way, "extra_options": {"CalibStridedMinMax": 1, **way["extra_options"]}},
    )


def quantize_blocks(source: Path, target: Path, block_size: int) -> None:
    """Replace every constant weight matrix of ``source`` by 8-bit blocks and write ``target``."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    # It logs two lines for each of some thousand nodes.
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    quantizer = MatMulNBitsQuantizer(
        onnx.load(str(source)), bits=8, block_size=block_size, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), use_external_data_format=False)


def onnx_contenders(network: MultiTaskNetwork, calibration: list[Batch], work: Path) -> dict[str, Contender]:
    """Export the network in every form for ONNX Runtime."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    plain, prepared, table = work / "float32.onnx", work / "prepared.onnx", work / "int8_table.onnx"
    export_float(network, plain, int8_embedding=False)
    export_float(network, table)
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    makers: dict[str, Callable[[Path], None]] = {"int8, row by row (shipped)": partial(quantize_rows, table)}
    for size in (32, 64, 128):
        makers[f"8-bit blocks of {size}"] = partial(quantize_blocks, table, block_size=size)
    makers["dynamic int8 per channel"] = partial(
        quantize_dynamic,
        prepared,
        op_types_to_quantize=["MatMul", "Gather"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    for name, way in static_ways().items():
        makers[name] = partial(quantize_statically, prepared, batches=calibration, way=way)
    found: dict[str, Contender] = {REFERENCE: OrtContender(plain)}
    for number, (name, make) in enumerate(makers.items()):
        path = work / f"form{number}.onnx"
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):  # the calibrators print their progress
            make(path)
        print(f"{name}: made in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        found[name] = OrtContender(path)
    return found


def to_unsigned(source: Path, target: Path) -> None:
    """Store activations as uint8 instead of int8 with every zero point moved by 128.

    The values that they stand for stay the same, but ONNX Runtime's kernels for x86 want unsigned activations; the
    table has both.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(source))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    quantised = {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants
    }
    points = {node.input[2] for node in model.graph.node if {*node.output, *node.input[:1]} & quantised}
    for name in points:
        point = numpy_helper.to_array(constants[name])
        if point.dtype != np.int8:
            raise ValueError(f"{source}: zero point {name!r} is {point.dtype}, expected int8")
        moved = (point.astype(np.int16) + 128).astype(np.uint8)
        constants[name].CopyFrom(numpy_helper.from_array(moved, name))
    described = [value for value in model.graph.value_info if value.name not in quantised]
    del model.graph.value_info[:]  # it would still say int8
    model.graph.value_info.extend(described)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def add_openvino(
    contenders: dict[str, Contender], process: subprocess.Popen[str], calibration: list[Batch], work: Path
) -> None:
    """Add what NNCF makes of the float32 graph, on OpenVINO and, calibrated, also on ONNX Runtime."""
    graph = contenders[REFERENCE].path
    OpenVinoContender(process, work / "nncf.onnx").make("static", graph, calibration)
    to_unsigned(work / "nncf.onnx", work / "unsigned.onnx")
    contenders["static int8 by NNCF, ONNX Runtime"] = OrtContender(work / "nncf.onnx")
    contenders["the same, activations turned to uint8"] = OrtContender(work / "unsigned.onnx")
    for way, name in {"plain": "float32", "weights": "int8 weights", "static": "static int8 by NNCF"}.items():
        contender = OpenVinoContender(process, work / f"{way}.xml")
        contender.make(way, graph, calibration)
        contenders[f"{name}, OpenVINO"] = contender
