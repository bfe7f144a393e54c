"""Measure what ``import tawasul_nlp`` costs, beside ``import numpy`` and an interpreter that imports nothing.

Each figure is the wall-clock time of a fresh process, so it holds what a user waits for; the variants take turns, so
that a busy moment of the machine hits all of them alike. What the import itself costs is the difference to ``pass``.

Run ``python -m eval.speed.import_time``; it writes ``eval/results/import_time.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import subprocess
import sys
import time

from eval.results_files import RESULTS, publish_page
from tawasul_nlp._system import machine

STATEMENTS = (
    "pass",
    "import tawasul_nlp",
    "import numpy",
    "from tawasul_nlp import normalize",
    "from tawasul_nlp import find_places",
    "from tawasul_nlp import ComplaintClassifier",
)


def measure(statements: tuple[str, ...] = STATEMENTS, rounds: int = 15) -> dict[str, float]:
    """Return the median time of a fresh process that runs each statement, in milliseconds.

    Parameters
    ----------
    statements : tuple of str
        Python statements; one that fails raises ``subprocess.CalledProcessError``.
    rounds : int
        Fresh processes for each statement, after one that warms the disk cache.
    """
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for turn in range(rounds + 1):
        for statement in statements:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            if turn:
                times[statement].append((time.perf_counter() - began) * 1000)
    return {statement: statistics.median(taken) for statement, taken in times.items()}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description="Measure the import time of tawasul_nlp beside numpy.")
    parser.add_argument("--rounds", type=int, default=15, help="fresh processes for each statement (default 15)")
    rounds = parser.parse_args().rounds
    medians = measure(rounds=rounds)
    bare = medians["pass"]
    result = {
        "date": dt.date.today().isoformat(),
        "machine": machine(),
        "command": f"python -m eval.speed.import_time --rounds {rounds}",
        "milliseconds": {statement: round(median, 1) for statement, median in medians.items()},
    }
    page = [
        "# Import time",
        "",
        f"{result['date']}, {result['machine']}. `{result['command']}`: medians of {rounds} fresh processes.",
        "",
        "| statement | process, ms | above an empty process, ms |",
        "|---|---:|---:|",
        *(f"| `{statement}` | {median:.1f} | {median - bare:.1f} |" for statement, median in medians.items()),
    ]
    publish_page(result, "\n".join(page) + "\n", RESULTS / "import_time")


if __name__ == "__main__":
    main()
