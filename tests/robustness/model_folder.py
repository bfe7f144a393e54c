"""Model folders that are damaged, or that were made to mislead."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import BUNDLED, CONFIG, NGRAM, file_hash, read_config
from tawasul_nlp.model.graph import checked_graph
from tests.robustness import onnx_files
from tests.robustness.harness import REFUSED, Outcome, count

TEXTS = ("المجاري طافحة في مجمع 714", "شكرا لعمال النظافة في المحرق", "انقطاع الكهرباء", "4")
# What a float can hold, and what it can hardly hold.
EXTREMES = (1e308, -1e308, 1e300, 1e154, 1e38, 1e19, 1e6, 800.0, -1e6, 1e-6, 1e-19, 1e-154, 1e-308, 5e-324)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack a copy of the bundled model's folder, and graphs with weights in other files."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        yield hidden_weights(Path(place), 20 * trials, chance)
        folder = Path(shutil.copytree(BUNDLED, Path(place) / "model"))
        yield from damaged_files(folder, trials, chance)
        yield damaged_config(folder, trials, chance)
        yield extreme_numbers(folder, max(1, trials // 2), chance)


def hidden_weights(folder: Path, trials: int, chance: random.Random) -> Outcome:
    """Write graphs in odd ways, many of them with a tensor in another file, of which none may be taken for sound.

    ONNX's own reader and ONNX Runtime, which is given the path here, say which graphs have such a tensor.
    """
    onnx_files.SECRET.tofile(folder / "w.bin")
    path = folder / "model.onnx"

    def results() -> Iterator[str]:
        for _ in range(trials):
            location = chance.choice([None, "w.bin", "w.bin"])
            model = onnx_files.graph_with_weights(chance.choice(onnx_files.PLACES), location)
            path.write_bytes(onnx_files.Twist(chance, chance.choice([0.02, 0.05, 0.2]))(model))
            if not onnx_files.finds_external(path.read_bytes()) and not onnx_files.reads_external(path):
                yield ""
                continue
            try:
                checked_graph(path)
                yield "accepted"
            except ModelFormatError:
                yield REFUSED

    attack = "graphs written in odd ways, with a tensor in another file"
    return count("a model reads no other files", attack, results())


def damage(data: bytes, chance: random.Random) -> bytes:
    """Damage a file in one of the ways of disks and copies."""
    start = chance.randrange(len(data))
    length = chance.choice([1, 512, 4096])
    before, lost, after = data[:start], data[start : start + length], data[start + length :]
    ways = {
        "a bit": before + bytes([data[start] ^ 1 << chance.randrange(8)]) + data[start + 1 :],
        "cut short": before,
        "zeros": before + bytes(len(lost)) + after,
        "a piece lost": before + after,
        "a piece twice": before + lost + lost + after,
        "other bytes": before + chance.randbytes(length) + after,
    }
    return ways[chance.choice(list(ways))]


def damaged_files(folder: Path, trials: int, chance: random.Random) -> Iterator[Outcome]:
    """Damage each file of a sound folder, or swap two, in turn."""
    listed = sorted(read_config(folder).files)

    def results(name: str) -> Iterator[str]:
        sound = (folder / name).read_bytes()
        for _ in range(max(1, trials // len(listed))):
            other = folder / chance.choice([other for other in listed if other != name])
            data = other.read_bytes() if chance.random() < 0.2 else damage(sound, chance)
            (folder / name).write_bytes(data)
            try:
                read_config(folder)
                yield "" if data == sound else "accepted"
            except ModelFormatError:
                yield REFUSED
        (folder / name).write_bytes(sound)

    for name in listed:
        yield count("a damaged model folder is refused", f"{name} damaged or swapped", results(name))


def damaged_config(folder: Path, trials: int, chance: random.Random) -> Outcome:
    """Damage the configuration, which no hash covers: it is refused, or says what it is by another name."""
    sound, before = (folder / CONFIG).read_bytes(), read_config(folder)

    def results() -> Iterator[str]:
        for _ in range(trials):
            (folder / CONFIG).write_bytes(damage(sound, chance))
            try:
                after = read_config(folder)
            except ModelFormatError:
                yield REFUSED
                continue
            same = (before.tasks, before.profile, before.max_tokens) == (after.tasks, after.profile, after.max_tokens)
            yield "" if same or after.model_hash != before.model_hash else "another model by the same name"
        (folder / CONFIG).write_bytes(sound)

    attack = f"{CONFIG} damaged: refused, or another model hash"
    return count("a damaged model folder is refused", attack, results())


def extreme_numbers(folder: Path, trials: int, chance: random.Random) -> Outcome:
    """Give a model finite numbers that overflow: its answers are refused, or are probabilities."""
    sound = {name: (folder / name).read_bytes() for name in (CONFIG, NGRAM) if (folder / name).exists()}

    def results() -> Iterator[str]:
        for _ in range(trials):
            spoil(folder, chance)
            try:
                tables = ComplaintClassifier.from_pretrained(folder, threads=1)._forward(TEXTS).probabilities
                yield "" if all(map(are_probabilities, tables.values())) else "no probabilities"
            except ModelFormatError:
                yield REFUSED
            for name, data in sound.items():
                (folder / name).write_bytes(data)

    attack = "finite numbers that overflow, with hashes that agree"
    return count("probabilities are probabilities", attack, results())


def are_probabilities(table: np.ndarray) -> bool:
    """Return whether all rows are finite, not below zero, and sum to 1."""
    return bool(np.isfinite(table).all() and (table >= 0).all() and np.allclose(table.sum(axis=1), 1.0))


def spoil(folder: Path, chance: random.Random) -> None:
    """Give a sound folder numbers that are finite and far from any sense, and hashes that agree with them."""
    raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if NGRAM in raw["files"] and chance.random() < 0.3:
        spoil_ngram(folder / NGRAM, chance)
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


def spoil_ngram(path: Path, chance: random.Random) -> None:
    """Give the n-gram scorer such weights."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    name = chance.choice([name for name in sorted(tensors) if name.startswith(("scales.", "biases.", "idf."))])
    largest = np.finfo(tensors[name].dtype).max
    tensors[name] = np.where(np.arange(len(tensors[name])) % 2, largest, -largest).astype(tensors[name].dtype)
    save_file(tensors, path)
