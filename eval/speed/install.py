"""Measure what installing the package costs, alone and with all extras, and that both answer alike.

The wheel is built from the clone and installed in two new virtual environments, without pip's cache. Of each it reports
the size on disk, the packages (pip, setuptools and ours included), the seconds that pip took, and what a fresh process
takes to its first answer. Then both classify, group and report the example backlog, and their outputs are compared.

Run ``python -m eval.speed.install``; it needs a package index, and writes ``eval/results/install.json`` and ``.md``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from eval.harness import RESULTS, provenance, publish_page, run_script

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"the package alone": "", "with all extras": "all"}
# What a run of the command writes; the manifests beside them hold times.
OUTPUTS = ("classified.csv", "grouped.csv", "report.html")

_FIRST_ANSWER = """
import time
began = time.perf_counter()
import tawasul_nlp
imported = time.perf_counter()
tawasul_nlp.predict("المجاري طافحة عندنا من اسبوع في مجمع 714")
answered = time.perf_counter()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]
print(imported - began, answered - imported, peak)
"""
_PACKAGES = """
import json, os
from importlib.metadata import distributions

def size(files):
    return sum(os.stat(file.locate()).st_size for file in files if file.locate().exists())

print(json.dumps({one.name: size(one.files or ()) for one in distributions()}, sort_keys=True))
"""
_TORCH = "from importlib.metadata import version; print(version('torch'))"


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command in a folder and return what it printed.

    Raises
    ------
    RuntimeError
        If it fails; the message ends with what it said.
    """
    done = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr[-2_000:]}")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build the clone's wheel into a folder."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], folder)
    (wheel,) = folder.glob("tawasul_nlp-*.whl")
    return wheel


def install(wheel: Path, extra: str, root: Path, *options: str) -> float:
    """Install a wheel, with an extra unless it is "", in a new virtual environment; return the seconds of pip."""
    run([sys.executable, "-m", "venv", root], root.parent)
    began = time.perf_counter()
    requirement = f"{wheel}[{extra}]" if extra else wheel
    run([root / "bin/python", "-I", "-m", "pip", "install", "--quiet", *options, requirement], root.parent)
    return time.perf_counter() - began


def command_of(root: Path) -> list[str]:
    """Return the command ``tawasul`` of an environment, which imports from nowhere else."""
    return [str(root / "bin/python"), "-I", str(root / "bin/tawasul")]


def packages(root: Path) -> dict[str, int]:
    """Return the packages of an environment, by name, and the bytes of their files."""
    found: dict[str, int] = json.loads(run([root / "bin/python", "-I", "-c", _PACKAGES], root))
    return found


def disk_bytes(root: Path) -> int:
    """Return what a folder takes on the disk, by its blocks."""
    return sum(path.lstat().st_blocks * 512 for path in root.rglob("*"))


def run_demo(tawasul: Sequence[str], folder: Path) -> dict[str, bytes]:
    """Classify, group and report the example backlog by a command, and return the outputs by name."""
    folder.mkdir()
    classified, grouped, report = (folder / name for name in OUTPUTS)
    text = ("--text-column", "text", "--quiet")
    run([*tawasul, "classify", ROOT / "examples/backlog.csv", *text, "-o", classified], folder)
    run([*tawasul, "group", classified, *text, "--date-column", "opened", "-o", grouped], folder)
    run([*tawasul, "report", grouped, "--quiet", "-o", report], folder)
    return {path.name: path.read_bytes() for path in (classified, grouped, report)}


def first_answers(roots: Sequence[Path], rounds: int) -> list[dict[str, float]]:
    """Return for each environment the medians of fresh processes, which take turns, after one that warms the disk."""
    found: list[list[list[float]]] = [[] for _ in roots]
    for turn in range(rounds + 1):
        for root, taken in zip(roots, found, strict=True):
            began = time.perf_counter()
            answer = run([root / "bin/python", "-I", "-c", _FIRST_ANSWER], root).split()
            if turn:
                taken.append([time.perf_counter() - began, *map(float, answer)])
    names = ("process_s", "import_s", "first_answer_s", "peak_kb")
    return [dict(zip(names, map(statistics.median, zip(*taken, strict=True)), strict=True)) for taken in found]


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Install every layer below a folder and measure it.

    Raises
    ------
    RuntimeError
        If a layer's outputs are not those of the package alone.
    """
    wheel = build_wheel(folder)
    roots = [folder / (extra or "base") for extra in LAYERS.values()]
    layers: dict[str, dict[str, Any]] = {}
    outputs = []
    for (name, extra), root in zip(LAYERS.items(), roots, strict=True):
        seconds = install(wheel, extra, root, "--no-cache-dir")
        outputs.append(run_demo(command_of(root), folder / f"{root.name}-demo"))
        there = packages(root)
        layers[name] = {
            "extra": extra,
            "install_s": round(seconds, 1),
            "megabytes": round(disk_bytes(root) / 1e6),
            "packages": len(there),
            "package_megabytes": {one: round(size / 1e6, 1) for one, size in there.items()},
        }
    load = round(os.getloadavg()[0], 1)
    for layer, answer in zip(layers.values(), first_answers(roots, rounds), strict=True):
        layer |= {name: round(value, 3) for name, value in answer.items()}
    different = [name for name in OUTPUTS if len({each[name] for each in outputs}) > 1]
    if different:
        raise RuntimeError(f"{', '.join(different)} of the environments differ")
    torch = run([roots[-1] / "bin/python", "-I", "-c", _TORCH], folder).strip()
    return {"wheel_megabytes": round(wheel.stat().st_size / 1e6, 1), "torch": torch, "load": load, "layers": layers}


COLUMNS = {
    "megabytes": lambda layer: f"{layer['megabytes']:,}",
    "packages": lambda layer: str(layer["packages"]),
    "pip, s": lambda layer: f"{layer['install_s']:.0f}",
    "whole process, s": lambda layer: f"{layer['process_s']:.2f}",
    "`import tawasul_nlp`, ms": lambda layer: f"{layer['import_s'] * 1000:.0f}",
    "first answer, s": lambda layer: f"{layer['first_answer_s']:.2f}",
    "peak memory, MB": lambda layer: f"{layer['peak_kb'] * 1.024e-3:.0f}",
}


def page(result: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    rows = [[name, *(shown(layer) for shown in COLUMNS.values())] for name, layer in result["layers"].items()]
    alone = next(iter(result["layers"].values()))["package_megabytes"]
    largest = ", ".join(f"{name} {alone[name]:.0f}" for name in sorted(alone, key=alone.get, reverse=True)[:6])
    table = [["", *COLUMNS], ["---", *["---:"] * len(COLUMNS)], *rows]
    return f"""# Installing

{result["date"]}, {result["machine"]}. `{result["command"]}`: new virtual environments, pip without its
cache, so that its seconds hold the downloads. The wheel has {result["wheel_megabytes"]} MB; torch is the build
{result["torch"]}. Times and memory of a fresh process to its first answer: medians of {result["rounds"]},
while {result["load"]} other processes wanted a core (load average).

{chr(10).join(f"| {' | '.join(row)} |" for row in table)}

The largest of the package alone, in megabytes: {largest}.

Both classified, grouped and reported `examples/backlog.csv`: the outputs are the same to the byte.
"""


def main(rounds: Annotated[int, "fresh processes in each environment"] = 7) -> None:
    """Measure and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), rounds)
    result = {
        **provenance(f"python -m eval.speed.install --rounds {rounds}"),
        "rounds": rounds,
        **found,
    }
    publish_page(result, page(result), RESULTS / "install")


if __name__ == "__main__":
    sys.exit(run_script(main))
