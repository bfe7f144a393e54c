"""Kill a classification at random moments, from its first to its last, and start it again until it is done.

``python -m tests.robustness.classify_kills SOURCE OUT`` is the process that is killed, by keyword.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tawasul_nlp.tables import classify_table
from tests.robustness.harness import Outcome
from tests.tables.keyword_classifier import KeywordClassifier

_ROOT = Path(__file__).parents[2]
_ROWS, _CHUNK_ROWS = 2_000, 25  # by keyword
_ROWS_OF_MODEL = 6_000  # in chunks of 1,024: of few texts, for equal ones are read once in a chunk
_TEXTS = (
    "المجاري طافحة عندنا في مجمع 714",
    "=الماي مقطوع من أمس، وين الهيئة؟",
    'قال الموظف "راجعنا باجر"\nوالزبالة للحين مكانها، رقمي 39001234',
    "",
)


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack runs that may be killed: by keyword, and a tenth as often the command with the bundled model."""
    rng = random.Random(seed)
    yield _killed("classify_table, by keyword", trials, rng, model=False)
    yield _killed("tawasul classify, bundled model", max(1, trials // 10), rng, model=True)


def _killed(what: str, trials: int, rng: random.Random, *, model: bool) -> Outcome:
    kills = resumed = outputs = failures = 0
    wrong: set[str] = set()
    wholes: dict[str, tuple[dict[str, Any], float]] = {}
    with tempfile.TemporaryDirectory() as name:
        source = _write_backlog(Path(name) / "backlog.csv", _ROWS_OF_MODEL if model else _ROWS)
        while kills < trials:
            ending = rng.choice((".csv", ".jsonl", ".parquet", ".xlsx"))
            if ending not in wholes:
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    output = Path(folder) / f"out{ending}"
                    with _start(source, output, model) as process:
                        _wait_for_work(process, output)
                        began = time.monotonic()
                    wholes[ending] = _parts(output), time.monotonic() - began
            whole, seconds = wholes[ending]
            with tempfile.TemporaryDirectory(dir=name) as folder:
                output = Path(folder) / f"out{ending}"
                while not _kill(source, output, model, seconds * rng.uniform(-0.1, rng.choice((0.3, 1)))):
                    kills += 1
                outputs += 1
                parts = _parts(output)
                resumed += json.loads(Path(f"{output}.manifest.json").read_text(encoding="utf-8"))["resumed"]
            failures += parts != whole
            wrong |= {part for part in parts if parts[part] != whole[part]}
    promise = "a run that is killed resumes, and its output has the same bytes and every row"
    note = f"{outputs} outputs, which {resumed} times went on from a chunk that was done"
    attack = f"{what}: kill -9 at a random moment"
    return Outcome(promise, attack, kills, failures, "; ".join([note, *sorted(wrong)]))


def _write_backlog(path: Path, rows: int) -> Path:
    """Write a table in which every seventh row cannot be read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        for n in range(rows):
            table.writerow([n, _TEXTS[n % len(_TEXTS)], *(["زائد"] if n % 7 == 0 else [])])
    return path


def _kill(source: Path, output: Path, model: bool, after: float) -> bool:
    """Start or resume a run, kill it so long after its work began, or while it starts; tell if it was done before."""
    with _start(source, output, model) as process:
        if after >= 0:
            _wait_for_work(process, output)
        try:
            process.wait(abs(after))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
    if process.returncode not in (0, 3, -signal.SIGKILL):  # 3: rows were rejected
        raise RuntimeError(f"a run ended with {process.returncode}, expected 0 or 3")
    return process.returncode != -signal.SIGKILL


def _wait_for_work(process: subprocess.Popen[bytes], output: Path) -> None:
    """Return when a run holds its folder, or is over."""

    def changed() -> int | None:
        try:
            return (Path(f"{output}.partial") / "run.json").stat().st_ctime_ns
        except FileNotFoundError:
            return None

    before = changed()
    while process.poll() is None and changed() == before:
        time.sleep(0.002)


def _start(source: Path, output: Path, model: bool) -> subprocess.Popen[bytes]:
    command = ["tests.robustness.classify_kills", str(source), str(output)]
    if model:
        options = ("-t", "text", "--mask-personal-data", "--quiet")
        command = ["tawasul_nlp", "classify", str(source), "-o", str(output), *options]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL)


def _parts(output: Path) -> dict[str, Any]:
    """Return what a complete output consists of, if its rows are all accounted for."""
    rows = json.loads(Path(f"{output}.manifest.json").read_text(encoding="utf-8"))["rows"]
    rejects = Path(f"{output}.rejects.jsonl").read_bytes()
    if rows["read"] != rows["written"] + rows["rejected"] or rows["rejected"] != len(rejects.splitlines()):
        raise RuntimeError(f"rows are not accounted for: {rows}, {len(rejects.splitlines())} rejects")
    names = sorted(path.name for path in output.parent.iterdir())
    return {"table": output.read_bytes(), "rejects": rejects, "rows": rows, "names": names}


if __name__ == "__main__":
    classify_table(KeywordClassifier, *sys.argv[1:], text_column="text", chunk_rows=_CHUNK_ROWS)
