"""Model folders that are damaged, or that were made to mislead."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, TrainingInfoProto, helper
from safetensors.numpy import load_file, save_file

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, CONFIG, NGRAM, file_hash, read_config
from tawasul_nlp.model.graph import checked_graph
from tawasul_nlp.model.onnx_runtime import onnxruntime_without_telemetry
from tests.robustness.harness import Outcome, repeat

TEXTS = ("المجاري طافحة في مجمع 714", "شكرا لعمال النظافة في المحرق", "انقطاع الكهرباء", "4")
# What a float can hold, and what it can hardly hold.
EXTREMES = (1e308, -1e308, 1e300, 1e154, 1e38, 1e19, 1e6, 800.0, -1e6, 1e-6, 1e-19, 1e-154, 1e-308, 5e-324)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack copies of the bundled model's folder, and graphs with weights in other files."""
    chance = random.Random(seed)
    yield hidden_weights(20 * trials, chance)
    yield from damaged_files(BUNDLED, trials, chance)
    yield damaged_config(BUNDLED, trials, chance)
    yield extreme_numbers(BUNDLED, max(1, trials // 2), chance)


def hidden_weights(trials: int, chance: random.Random) -> Outcome:
    """Write graphs in odd ways, many of them with a tensor in another file, of which none may be taken for sound.

    ONNX's own reader and ONNX Runtime, which is given the path here, say which graphs have such a tensor.
    """

    def trial(folder: Path) -> str:
        SECRET.tofile(folder / "w.bin")
        path = folder / "model.onnx"
        model = graph_with_weights(chance.choice(PLACES), chance.choice([None, "w.bin", "w.bin"]))
        path.write_bytes(twisted(model, chance, chance.choice([0.02, 0.05, 0.2])))
        if not onnx_finds_external(path.read_bytes()) and not onnxruntime_reads_external(path):
            return ""
        checked_graph(path)
        return "accepted"

    attack = "graphs written in odd ways, with a tensor in another file"
    return repeat("a model reads no other files", attack, trials, trial, (ModelFormatError,))


def damage(data: bytes, chance: random.Random) -> bytes:
    """Damage a file in one of the ways of disks and copies."""
    start = chance.randrange(len(data))
    length = chance.choice([1, 512, 4096])
    before, lost, after = data[:start], data[start : start + length], data[start + length :]
    ways = (
        before + bytes([data[start] ^ 1 << chance.randrange(8)]) + data[start + 1 :],
        before,  # cut short
        before + bytes(len(lost)) + after,
        before + after,
        before + lost + lost + after,
        before + chance.randbytes(length) + after,
    )
    return chance.choice(ways)


def damaged_files(sound: Path, trials: int, chance: random.Random) -> Iterator[Outcome]:
    """Damage each file of a copy of a sound folder, or swap two, in turn."""
    listed = sorted(read_config(sound).files)
    for name in listed:

        def trial(scratch: Path, name: str = name) -> str:
            folder = shutil.copytree(sound, scratch / "model")
            data = (folder / name).read_bytes()
            other = folder / chance.choice([other for other in listed if other != name])
            spoilt = other.read_bytes() if chance.random() < 0.2 else damage(data, chance)
            (folder / name).write_bytes(spoilt)
            read_config(folder)
            return "" if spoilt == data else "accepted"

        attack = f"{name} damaged or swapped"
        times = max(1, trials // len(listed))
        yield repeat("a damaged model folder is refused", attack, times, trial, (ModelFormatError,))


def damaged_config(sound: Path, trials: int, chance: random.Random) -> Outcome:
    """Damage the configuration, which no hash covers: it is refused, or says what it is by another name."""
    before = read_config(sound)

    def trial(scratch: Path) -> str:
        folder = shutil.copytree(sound, scratch / "model")
        (folder / CONFIG).write_bytes(damage((sound / CONFIG).read_bytes(), chance))
        after = read_config(folder)
        same = (before.tasks, before.profile, before.max_tokens) == (after.tasks, after.profile, after.max_tokens)
        return "" if same or after.model_hash != before.model_hash else "another model by the same name"

    attack = f"{CONFIG} damaged: refused, or another model hash"
    return repeat("a damaged model folder is refused", attack, trials, trial, (ModelFormatError,))


def extreme_numbers(sound: Path, trials: int, chance: random.Random) -> Outcome:
    """Give a model finite numbers that overflow: its answers are refused, or are probabilities."""

    def trial(scratch: Path) -> str:
        folder = shutil.copytree(sound, scratch / "model")
        spoil(folder, chance)
        tables = ComplaintClassifier.from_pretrained(folder, threads=1)._forward(TEXTS).probabilities
        return "" if all(map(are_probabilities, tables.values())) else "no probabilities"

    attack = "finite numbers that overflow, with hashes that agree"
    return repeat("probabilities are probabilities", attack, trials, trial, (ModelFormatError,))


def are_probabilities(table: np.ndarray) -> bool:
    """Return whether all rows are finite, not below zero, and sum to 1."""
    return bool(np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(axis=1), 1.0))


def spoil(folder: Path, chance: random.Random) -> None:
    """Give a sound folder numbers that are finite and far from any sense, and hashes that agree with them."""
    raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if NGRAM in raw["files"] and chance.random() < 0.3:
        tensors = load_file(folder / NGRAM)
        name = chance.choice([name for name in sorted(tensors) if name.startswith(("scales.", "biases.", "idf."))])
        largest = np.finfo(tensors[name].dtype).max
        tensors[name] = np.where(np.arange(len(tensors[name])) % 2, largest, -largest).astype(tensors[name].dtype)
        save_file(tensors, folder / NGRAM)
        raw["files"][NGRAM] = file_hash(folder / NGRAM)
    else:
        task = raw["tasks"][chance.choice(list(raw["tasks"]))]
        for _ in range(chance.randint(1, 2)):
            name, value = chance.choice(["temperature", "power", *task["weights"]]), chance.choice(EXTREMES)
            if name in task["weights"]:
                task["weights"][name] = value
            else:
                task[name] = abs(value)
    (folder / CONFIG).write_text(json.dumps(raw), encoding="utf-8")


# -- graphs that try to hide a tensor in another file ------------------------------------------------------------------

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


def onnx_finds_external(data: bytes) -> bool:
    """Return whether ONNX's own reader finds a tensor in another file."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # no graph for it: its classes differ with the version of protobuf
        return False
    return any(one.data_location == TensorProto.EXTERNAL or one.external_data for one in tensors(model))


def onnxruntime_reads_external(path: Path) -> bool:
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


def twisted(message: Any, chance: random.Random, share: float) -> bytes:
    """Write a message of ONNX as another writer would who wants to be understood by some readers only.

    ``share`` of the fields are written in an odd way.
    """
    parts = []
    for descriptor, value in message.ListFields():
        for one in value if descriptor.is_repeated else [value]:
            if descriptor.type == descriptor.TYPE_MESSAGE:
                kind, body = _BYTES, twisted(one, chance, share)
            elif isinstance(one, (bytes, str)):
                kind, body = _BYTES, one.encode() if isinstance(one, str) else one
            elif isinstance(one, int):
                kind, body = _VARINT, varint(one % (1 << 64))
            else:
                kind, body = 5, np.float32(one).tobytes()
            write = partial(_odd_field, chance) if chance.random() < share else _field
            parts.append(write(descriptor.number, kind, body))
    if chance.random() < share:
        chance.shuffle(parts)
    return b"".join(parts)


def _odd_field(chance: random.Random, number: int, kind: int, body: bytes) -> bytes:
    sound, longer = _field(number, kind, body), chance.randint(1, 9)
    ways = (
        _field(number, kind, body, key=1 << 32),
        _field(number, kind, body, key=chance.randrange(1, 1 << 28) << 35),
        _field(number, kind, body, longer=longer),
        _field(number, kind, body, length_longer=longer),
        sound * 2,
        varint(number << 3 | 3) + body + varint(number << 3 | 4),
        _field(number, chance.choice([0, 1, 2, 5, 6, 7]), body),
        _field(number, kind, body, past=1 << 32),
        _field(chance.randint(0, 40), kind, body) + sound,
        b"",
    )
    return chance.choice(ways)


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
