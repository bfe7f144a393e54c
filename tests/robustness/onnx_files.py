"""ONNX files that try to hide a tensor in another file, and what other readers make of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, TrainingInfoProto, helper

from tawasul_nlp.model.onnx_runtime import onnxruntime_without_telemetry

PLACES = ("initializer", "constant", "branch", "function", "sparse", "training")
"""Where a graph can have a tensor."""
SECRET = np.array([3.0, 1.0, 4.0, 1.5], np.float32)
"""What lies in the other file."""
_VARINT, _BYTES = 0, 2


def graph_with_weights(place: str, location: str | None) -> ModelProto:
    """Return a graph with one tensor, in the file ``location`` or, for None, in the graph."""
    plain = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    tensor = plain
    if location is not None:
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [4])

    def graph_of(node: NodeProto, *constants: TensorProto) -> GraphProto:
        return helper.make_graph([node], "g", [], [out], constants)

    constant = helper.make_node("Constant", [], ["embedding"], value=tensor)
    graph = graph_of(helper.make_node("Identity", ["w"], ["embedding"]), tensor if place == "initializer" else plain)
    functions = []
    if place == "constant":
        graph = graph_of(constant)
    elif place == "branch":
        branch, true = graph_of(constant), helper.make_tensor("yes", TensorProto.BOOL, [], [True])
        graph = graph_of(helper.make_node("If", ["yes"], ["embedding"], then_branch=branch, else_branch=branch), true)
    elif place == "function":
        opset = [helper.make_opsetid("", 17)]
        functions = [helper.make_function("ours", "F", [], ["embedding"], [constant], opset)]
        graph = graph_of(helper.make_node("F", [], ["embedding"], domain="ours"))
    elif place == "sparse":
        indices = helper.make_tensor("i", TensorProto.INT64, [4], range(4))
        graph.sparse_initializer.append(SparseTensorProto(values=tensor, indices=indices, dims=[4]))
        graph.sparse_initializer[0].values.name = "s"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ours", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
    if place == "training":
        model.training_info.append(TrainingInfoProto(initialization=graph_of(constant)))
    return model


def tensors(message: Any) -> Iterator[TensorProto]:
    """Yield every tensor of a message, wherever it lies."""
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for inner in value if not hasattr(value, "ListFields") else [value]:
                if isinstance(inner, TensorProto):
                    yield inner
                yield from tensors(inner)


def finds_external(data: bytes) -> bool:
    """Return whether ONNX's own reader finds a tensor in another file."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # no graph for it: its classes differ with the version of protobuf
        return False
    return any(one.data_location == TensorProto.EXTERNAL or one.external_data for one in tensors(model))


def reads_external(path: Path) -> bool:
    """Return whether ONNX Runtime, given the path, answers with what lies in the other file."""
    runtime = onnxruntime_without_telemetry()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return bool(np.array_equal(session.run(None, {})[0], SECRET))
    except Exception:  # it cannot load it: undocumented classes
        return False


def varint(value: int, longer: int = 0) -> bytes:
    """Write a number as protocol buffers do, with some bytes more than it needs."""
    data = bytearray()
    while value >= 0x80 or longer:
        longer -= value < 0x80
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


class Twist:
    """Write a message as another writer would who wants to be understood by some readers only.

    ``share`` of the fields are written in an odd way.
    """

    def __init__(self, chance: random.Random, share: float) -> None:
        self._chance = chance
        self._share = share
        self._ways: list[Callable[[int, int, bytes], bytes]] = [
            lambda number, kind, body: _field(number, kind, body, key=1 << 32),
            lambda number, kind, body: _field(number, kind, body, key=chance.randrange(1, 1 << 28) << 35),
            lambda number, kind, body: _field(number, kind, body, longer=chance.randint(1, 9)),
            lambda number, kind, body: _field(number, kind, body, length_longer=chance.randint(1, 9)),
            lambda number, kind, body: _field(number, kind, body) * 2,
            lambda number, kind, body: varint(number << 3 | 3) + body + varint(number << 3 | 4),
            lambda number, kind, body: _field(number, chance.choice([0, 1, 2, 5, 6, 7]), body),
            lambda number, kind, body: _field(number, kind, body, past=1 << 32),
            lambda number, kind, body: _field(chance.randint(0, 40), kind, body) + _field(number, kind, body),
            lambda number, kind, body: b"",
        ]

    def __call__(self, message: Any) -> bytes:
        """Write a message of ONNX."""
        parts = [
            self._written(descriptor, one)
            for descriptor, value in message.ListFields()
            for one in (value if descriptor.is_repeated else [value])
        ]
        if self._chance.random() < self._share:
            self._chance.shuffle(parts)
        return b"".join(parts)

    def _written(self, descriptor: Any, value: Any) -> bytes:
        if descriptor.type == descriptor.TYPE_MESSAGE:
            kind, body = _BYTES, self(value)
        elif isinstance(value, (bytes, str)):
            kind, body = _BYTES, value.encode() if isinstance(value, str) else value
        elif isinstance(value, int):
            kind, body = _VARINT, varint(value % (1 << 64))
        else:
            kind, body = 5, np.float32(value).tobytes()
        if self._chance.random() < self._share:
            return self._chance.choice(self._ways)(descriptor.number, kind, body)
        return _field(descriptor.number, kind, body)


def _field(
    number: int, kind: int, body: bytes, *, key: int = 0, longer: int = 0, length_longer: int = 0, past: int = 0
) -> bytes:
    start = varint((number << 3 | kind) + key, longer)
    if kind == _BYTES:
        return start + varint(len(body), length_longer) + body
    if kind == _VARINT and (past or length_longer):
        value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(body))
        return start + varint(value + past, length_longer)
    return start + body
