"""Kill a classification at random moments, from its first to its last, and start it again until it is done.

``python -m tests.robustness.classify_kills SOURCE OUT WORKERS`` is the process that is killed, by keyword.
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
from dataclasses import dataclass
from pathlib import Path

from tawasul_nlp.tables import classify_table
from tests.robustness.outcome import Outcome
from tests.tables.keyword_classifier import KeywordClassifier

_ROOT = Path(__file__).parents[2]
_ENDINGS = (".csv", ".jsonl", ".parquet", ".xlsx")
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


@dataclass(frozen=True, slots=True)
class Done:
    """What an output that is complete consists of."""

    table: bytes
    rejects: bytes
    rows: dict[str, int]
    names: tuple[str, ...]


def _killed(what: str, trials: int, rng: random.Random, *, model: bool) -> Outcome:
    kills = resumed = outputs = failures = 0
    problems = set()
    wholes: dict[str, tuple[Done, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        source = write_backlog(Path(name) / "backlog.csv", _ROWS_OF_MODEL if model else _ROWS)
        while kills < trials:
            ending = rng.choice(_ENDINGS)
            if ending not in wholes:
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    output = Path(folder) / f"out{ending}"
                    with _start(source, output, model) as process:
                        _wait_for_work(process, output)
                        began = time.monotonic()
                    wholes[ending] = _done(output), time.monotonic() - began
            whole, seconds = wholes[ending]
            with tempfile.TemporaryDirectory(dir=name) as folder:
                output = Path(folder) / f"out{ending}"
                while not kill_once(source, output, model, seconds * rng.uniform(-0.1, rng.choice((0.3, 1)))):
                    kills += 1
                outputs += 1
                done = _done(output)
                resumed += json.loads(Path(f"{output}.manifest.json").read_text(encoding="utf-8"))["resumed"]
            if done != whole:
                failures += 1
                problems |= {
                    part
                    for part in ("table", "rejects", "rows", "names")
                    if getattr(done, part) != getattr(whole, part)
                }
    note = f"{outputs} outputs, which {resumed} times went on from a chunk that was done"
    return Outcome(
        "a run that is killed resumes, and its output has the same bytes and every row",
        f"{what}: kill -9 at a random moment",
        kills,
        failures,
        "; ".join([note, *sorted(problems)]),
    )


def write_backlog(path: Path, rows: int) -> Path:
    """Write a table in which every seventh row cannot be read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "text"])
        for n in range(rows):
            table.writerow([n, _TEXTS[n % len(_TEXTS)], *(["زائد"] if n % 7 == 0 else [])])
    return path


def kill_once(source: Path, output: Path, model: bool, after: float) -> bool:
    """Start a run, or let it go on, and kill it so many seconds after its work began; whether it was done before.

    Less than none is while it starts.
    """
    with _start(source, output, model) as process:
        if after >= 0:
            _wait_for_work(process, output)
        try:
            process.wait(abs(after))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
    if process.returncode == -signal.SIGKILL:
        return False
    if process.returncode not in (0, 3):  # 3: rows were rejected
        raise RuntimeError(f"a run ended with {process.returncode}, expected 0 or 3")
    return True


def _wait_for_work(process: subprocess.Popen[bytes], output: Path) -> None:
    """Return when a run holds its folder, or is over."""
    state = Path(f"{output}.partial") / "rows"
    before = _changed(state)
    while process.poll() is None and _changed(state) == before:
        time.sleep(0.002)


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_ctime_ns
    except FileNotFoundError:
        return None


def _start(source: Path, output: Path, model: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.robustness.classify_kills", str(source), str(output)]
    if model:
        command = [sys.executable, "-m", "tawasul_nlp", "classify", str(source), "-o", str(output)]
        command += ["--text-column", "text", "--mask-personal-data", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=subprocess.DEVNULL)


def _done(output: Path) -> Done:
    """Return what a complete output consists of, if its rows are all accounted for."""
    facts = json.loads(Path(f"{output}.manifest.json").read_text(encoding="utf-8"))["rows"]
    rejects = Path(f"{output}.rejects.jsonl").read_bytes()
    if facts["read"] != facts["written"] + facts["rejected"] or facts["rejected"] != len(rejects.splitlines()):
        raise RuntimeError(f"rows are not accounted for: {facts}, {len(rejects.splitlines())} rejects")
    names = tuple(sorted(path.name for path in output.parent.iterdir()))
    return Done(output.read_bytes(), rejects, facts, names)


if __name__ == "__main__":
    given, to = sys.argv[1:]
    classify_table(KeywordClassifier, given, to, text_column="text", chunk_rows=_CHUNK_ROWS)
