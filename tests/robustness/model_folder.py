"""Model folders that are damaged, or that were made to mislead."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, CONFIG, NGRAM, file_hash, read_config
from tawasul_nlp.model.graph import checked_graph
from tests.robustness.onnx_files import (
    PLACES,
    SECRET,
    Twist,
    graph_with_weights,
    onnx_finds_external,
    onnxruntime_reads_external,
)
from tests.robustness.outcome import Outcome

TEXTS = ("المجاري طافحة في مجمع 714", "شكرا لعمال النظافة في المحرق", "انقطاع الكهرباء", "4")
# What a float can hold, and what it can hardly hold.
EXTREMES = (1e308, -1e308, 1e300, 1e154, 1e38, 1e19, 1e6, 800.0, -1e6, 1e-6, 1e-19, 1e-154, 1e-308, 5e-324)


@dataclass(slots=True)
class Hidden:
    """How many graphs were tried, and what came of those that point at another file for some reader."""

    trials: int = 0
    external: int = 0
    accepted: int = 0


def hide_weights(folder: Path, trials: int, chance: random.Random) -> Hidden:
    """Write graphs in odd ways, many of them with a tensor in another file, and count those that are taken for sound.

    ONNX's own reader and ONNX Runtime, which is given the path here, say which graphs have such a tensor.
    """
    SECRET.tofile(folder / "w.bin")
    path = folder / "model.onnx"
    hidden = Hidden()
    for _ in range(trials):
        model = graph_with_weights(chance.choice(PLACES), chance.choice([None, "w.bin", "w.bin"]))
        data = Twist(chance, chance.choice([0.02, 0.05, 0.2]))(model)
        path.write_bytes(data)
        hidden.trials += 1
        if not (onnx_finds_external(data) or onnxruntime_reads_external(path)):
            continue
        hidden.external += 1
        try:
            checked_graph(path)
        except ModelFormatError:
            continue
        hidden.accepted += 1
    return hidden


def damage(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Damage a file in one of the ways of disks and copies; return the name of the way, too."""
    at = chance.randrange(len(data))
    length = chance.choice([1, 512, 4096])
    ways: dict[str, Callable[[], bytes]] = {
        "a bit": lambda: data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
        "cut short": lambda: data[:at],
        "zeros": lambda: data[:at] + bytes(len(data[at : at + length])) + data[at + length :],
        "a piece lost": lambda: data[:at] + data[at + length :],
        "a piece twice": lambda: data[: at + length] + data[at:],
        "other bytes": lambda: data[:at] + chance.randbytes(length) + data[at + length :],
    }
    name = chance.choice(list(ways))
    return name, ways[name]()


def answers(folder: Path) -> dict[str, np.ndarray] | None:
    """Return the probabilities of some texts, or None for a folder that is refused."""
    try:
        return ComplaintClassifier.from_pretrained(folder, threads=1)._forward(TEXTS).probabilities
    except ModelFormatError:
        return None


def are_probabilities(tables: dict[str, np.ndarray]) -> bool:
    """Return whether all rows are finite, not below zero, and sum to 1."""
    return all(
        bool(np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(axis=1), 1.0))
        for table in tables.values()
    )


def spoil_task(task: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return a task's settings with one or two numbers that are finite and far from any sense."""
    spoiled = {**task, "weights": dict(task["weights"])}
    for _ in range(chance.randint(1, 2)):
        name = chance.choice(["temperature", "power", *spoiled["weights"]])
        value = chance.choice(EXTREMES)
        if name in spoiled["weights"]:
            spoiled["weights"][name] = value
        else:
            spoiled[name] = abs(value)
    return spoiled


def spoil_ngram(path: Path, chance: random.Random) -> None:
    """Give the n-gram scorer weights that are finite and far from any sense."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    name = chance.choice([name for name in sorted(tensors) if name.startswith(("scales.", "biases.", "idf."))])
    largest = np.finfo(tensors[name].dtype).max
    tensors[name] = np.where(np.arange(len(tensors[name])) % 2, largest, -largest).astype(tensors[name].dtype)
    save_file(tensors, path)


def spoil(folder: Path, chance: random.Random) -> None:
    """Spoil numbers of a sound folder, and write hashes that agree with what is there then."""
    raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if NGRAM in raw["files"] and chance.random() < 0.3:
        spoil_ngram(folder / NGRAM, chance)
        raw["files"][NGRAM] = file_hash(folder / NGRAM)
    else:
        name = chance.choice(list(raw["tasks"]))
        raw["tasks"][name] = spoil_task(raw["tasks"][name], chance)
    (folder / CONFIG).write_text(json.dumps(raw), encoding="utf-8")


def damaged_files(folder: Path, trials: int, chance: random.Random) -> Iterator[Outcome]:
    """Damage each file of a sound folder, or swap two, in turn."""
    listed = sorted(read_config(folder).files)
    for name in listed:
        sound, failures, ways = (folder / name).read_bytes(), 0, Counter[str]()
        count = max(1, trials // len(listed))
        for _ in range(count):
            if chance.random() < 0.2:
                way, data = "another file", (folder / chance.choice([n for n in listed if n != name])).read_bytes()
            else:
                way, data = damage(sound, chance)
            (folder / name).write_bytes(data)
            ways[way] += 1
            try:
                read_config(folder)
            except ModelFormatError:
                continue
            failures += data != sound
        (folder / name).write_bytes(sound)
        note = ", ".join(f"{way} {count}" for way, count in sorted(ways.items()))
        yield Outcome("a damaged model folder is refused", f"{name} damaged or swapped", count, failures, note)


def damaged_config(folder: Path, trials: int, chance: random.Random) -> Outcome:
    """Damage the configuration, which no hash covers: it is refused, or says what it is by another name."""
    sound, before = (folder / CONFIG).read_bytes(), read_config(folder)
    failures = refused = 0
    for _ in range(trials):
        (folder / CONFIG).write_bytes(damage(sound, chance)[1])
        try:
            after = read_config(folder)
        except ModelFormatError:
            refused += 1
            continue
        same = (before.tasks, before.profile, before.max_tokens) == (after.tasks, after.profile, after.max_tokens)
        failures += not same and after.model_hash == before.model_hash
    (folder / CONFIG).write_bytes(sound)
    attack = f"{CONFIG} damaged: refused, or another model hash"
    return Outcome("a damaged model folder is refused", attack, trials, failures, f"{refused} refused")


def extreme_numbers(folder: Path, trials: int, chance: random.Random) -> Outcome:
    """Give a model finite numbers that overflow: its answers are refused, or are probabilities."""
    refused = failures = 0
    kept = {name: (folder / name).read_bytes() for name in (CONFIG, NGRAM) if (folder / name).exists()}
    for _ in range(trials):
        spoil(folder, chance)
        found = answers(folder)
        refused += found is None
        failures += found is not None and not are_probabilities(found)
        for name, data in kept.items():
            (folder / name).write_bytes(data)
    attack = "finite numbers that overflow, with hashes that agree"
    return Outcome("probabilities are probabilities", attack, trials, failures, f"{refused} refused")


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack a copy of the bundled model's folder, and graphs with weights in other files."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        hidden = hide_weights(Path(place), 20 * trials, chance)
        note = f"{hidden.external} have one for onnx or ONNX Runtime"
        attack = "graphs written in odd ways, with a tensor in another file"
        yield Outcome("a model reads no other files", attack, hidden.trials, hidden.accepted, note)
        folder = Path(shutil.copytree(BUNDLED, Path(place) / "model"))
        yield from damaged_files(folder, trials, chance)
        yield damaged_config(folder, trials, chance)
        yield extreme_numbers(folder, max(1, trials // 2), chance)
