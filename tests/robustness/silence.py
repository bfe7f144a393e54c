"""Does anything leave the machine, or write where nobody asked it to? Every way to use the library, under strace."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from examples.make_backlog import OUT as BACKLOG
from tests.robustness.harness import Outcome, repeat
from tests.robustness.system_calls import trace

PROMISE = "nothing leaves the machine; files are written where the user says"
ROWS = 40
TABLE = "cases.csv"
_TAWASUL = ("-m", "tawasul_nlp")
_COLUMNS = ("--text-column", "text")
_PREDICT = f"""
import csv
from tawasul_nlp import ComplaintClassifier, predict

predict("المجاري طافحة في مجمع 714")
with open("{TABLE}", encoding="utf-8", newline="") as file:
    texts = [row["text"] for row in csv.DictReader(file)]
ComplaintClassifier.from_pretrained(threads=2).predict(texts * 40)  # many batches: a session for each thread
"""
_INDEX = f"""
import csv
from tawasul_nlp import DuplicateGrouper, DuplicateIndex

with open("{TABLE}", encoding="utf-8", newline="") as file:
    cases = [{{"id": row["case_id"], "text": row["text"]}} for row in csv.DictReader(file)]
for _ in range(2):  # once anew, once opened again
    with DuplicateIndex.open("incidents", DuplicateGrouper.from_pretrained()) as index:
        index.add(cases[: len(cases) // 2] if not len(index) else cases[len(cases) // 2 :])
        index.query(cases[0]["text"])
"""
_SERVICE = """
import http.client, json
from pathlib import Path

from eval.processes import serving

case = {"id": "A1", "text": "المجاري طافحة في مجمع 714"}
asked = {
    "/predict": {"texts": [case["text"]]},
    "/incidents/add": {"cases": [case]},
    "/incidents/query": {"text": case["text"]},
    "/docs": None,
    "/metrics": None,
}
with serving(Path("log"), "--index", "incidents") as served:
    for path, body in asked.items():
        client = http.client.HTTPConnection(served.address.removeprefix("http://"))
        method, sent = ("GET", None) if body is None else ("POST", json.dumps(body))
        client.request(method, path, sent, {"Content-Type": "application/json"})
        assert client.getresponse().status == 200, path
        client.close()
"""


class Use(NamedTuple):
    """A way to use the library."""

    name: str
    # Arguments of the interpreter, one run after another.
    commands: tuple[tuple[str, ...], ...]
    # Whether the table is on standard input.
    piped: bool = False


_CLASSIFY = (*_TAWASUL, "classify", TABLE, *_COLUMNS)
USES = (
    Use("predict, by one thread and by two", (("-c", _PREDICT),)),
    Use("an index of incidents", (("-c", _INDEX),)),
    Use("classify", ((*_CLASSIFY, "-o", "out.csv"),)),
    Use(
        "classify to Parquet, group, report",
        (
            (*_CLASSIFY, "-o", "out.parquet"),
            (*_TAWASUL, "group", "out.parquet", *_COLUMNS, "-o", "grouped.csv"),
            (*_TAWASUL, "report", "grouped.csv", "-o", "report.html"),
        ),
    ),
    Use(
        "classify standard input",
        ((*_TAWASUL, "classify", "-", *_COLUMNS, "--input-format", "csv", "-o", "-"),),
        piped=True,
    ),
    Use("the service", (("-c", _SERVICE),)),
)


def write_table(path: Path, rows: int = ROWS) -> None:
    """Write the first rows of the example backlog."""
    with BACKLOG.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(itertools.islice(csv.reader(source), rows + 1))


def watch(use: Use, folder: Path, **environment: str) -> tuple[list[str], list[str]]:
    """Use the library in a new folder, under strace; return what it wrote beyond it, and what it reached.

    Raises
    ------
    RuntimeError
        If a command failed, so that there was nothing to watch.
    """
    outside, reached = [], []
    work = folder / "work"
    work.mkdir(parents=True)
    write_table(work / TABLE)
    for number, command in enumerate(use.commands):
        stdin = (work / TABLE).read_bytes() if use.piped else b""
        seen = trace([sys.executable, *command], folder, stdin, calls=f"calls{number}", **environment)
        if seen.code != 0:
            raise RuntimeError(f"{use.name} ended with {seen.code}: {seen.errors[-2000:]}")
        outside += seen.outside(work, folder / "tmp")
        reached += sorted(seen.reached)
    return outside, reached


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Use the library in every way, several times: what a library sends, it does not send in every run."""
    for use in USES:

        def trial(folder: Path, use: Use = use) -> str:
            outside, reached = watch(use, folder)
            return " ".join([*(Path(name).name for name in outside), *reached][:5])

        yield repeat(PROMISE, use.name, max(1, trials // 40), trial)
