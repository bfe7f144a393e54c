"""Ways to run an encoder for ``eval.quality.quantisation``: ONNX Runtime here, OpenVINO in its own environment."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from eval.processes import answering, ask, python_with
from tawasul_nlp.model.onnx_runtime import OnnxRuntime

PINNED = ("openvino==2026.4.1", "nncf==3.4.0", "onnx==1.23.2", "onnxruntime==1.32.0")

Batch = tuple[np.ndarray, np.ndarray]


def pad(rows: list[list[int]]) -> Batch:
    """Return input ids and attention mask (texts, tokens) as the classifier pads them."""
    ids = np.ones((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return ids, mask


class Contender(Protocol):
    """One way to run the encoder; every call works on one thread."""

    path: Path

    def load(self) -> float:
        """Open the model anew and return the seconds that it took."""
        ...

    def run(self, name: str, batches: list[Batch]) -> list[dict[str, np.ndarray]]:
        """Return ``embedding`` and ``topic`` of each batch; ``name`` names this list of batches."""
        ...

    def clock(self, name: str, batches: list[Batch]) -> list[tuple[float, float]]:
        """Return the wall-clock and the processor seconds of each batch."""
        ...


class OrtContender:
    """An ONNX graph on ONNX Runtime, as the library runs it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> float:
        began = time.perf_counter()
        self.runtime = OnnxRuntime(self.path, threads=1)
        self.runtime.session()
        return time.perf_counter() - began

    def run(self, name: str, batches: list[Batch]) -> list[dict[str, np.ndarray]]:
        return [self.runtime.run(*batch) for batch in batches]

    def clock(self, name: str, batches: list[Batch]) -> list[tuple[float, float]]:
        taken = []
        for batch in batches:
            wall, busy = time.perf_counter(), time.process_time()
            self.runtime.run(*batch)
            taken.append((time.perf_counter() - wall, time.process_time() - busy))
        return taken


class OpenVinoContender:
    """A model in the process of the throwaway environment."""

    def __init__(self, process: subprocess.Popen[str], path: Path) -> None:
        self.process = process
        self.path = path

    def ask(self, do: str, **request: Any) -> Any:
        """Send one request and return its answer."""
        return ask(self.process, json.dumps({"do": do, "path": str(self.path), **request}))

    def store(self, name: str, batches: list[Batch]) -> str:
        """Write the batches where the process finds them and return the path."""
        path = self.path.parent / f"{name}.npz"
        arrays = {
            f"{key}{i}": array
            for i, pair in enumerate(batches)
            for key, array in zip(("ids", "mask"), pair, strict=True)
        }
        np.savez(path, **arrays)  # type: ignore[arg-type]
        return str(path)

    def make(self, way: str, graph: Path, calibration: list[Batch]) -> None:
        self.ask("make", way=way, graph=str(graph), batches=self.store("calibration", calibration))

    def load(self) -> float:
        return float(self.ask("load"))

    def run(self, name: str, batches: list[Batch]) -> list[dict[str, np.ndarray]]:
        to = self.path.parent / "answers.npz"
        self.ask("run", batches=self.store(name, batches), to=str(to))
        with np.load(to) as arrays:
            return [{key: arrays[f"{key}{i}"] for key in ("embedding", "topic")} for i in range(len(batches))]

    def clock(self, name: str, batches: list[Batch]) -> list[tuple[float, float]]:
        return [(wall, busy) for wall, busy in self.ask("clock", batches=self.store(name, batches))]


@contextlib.contextmanager
def openvino_process(environment: Path | None) -> Iterator[subprocess.Popen[str]]:
    """Build the throwaway environment and run OpenVINO in it."""
    with tempfile.TemporaryDirectory() as folder:
        python = python_with(environment or Path(folder) / "env", *PINNED)
        # OpenVINO reports its use to its makers unless told not to.
        subprocess.run([python.with_name("opt_in_out"), "--opt_out"], check=True, stdout=subprocess.DEVNULL)
        with answering([python, Path(__file__).with_name("quantisation_worker.py")]) as process:
            yield process
