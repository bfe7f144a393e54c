"""Does anything leave the machine, or write where nobody asked it to? Every way to use the library, under strace."""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from examples.make_backlog import OUT as BACKLOG
from tests.robustness.outcome import Outcome
from tests.robustness.system_calls import Trace, trace

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


@dataclass(frozen=True, slots=True)
class Use:
    """A way to use the library.

    Attributes
    ----------
    name : str
    commands : tuple of (tuple of str)
        Arguments of the interpreter, one run after another.
    given : bool
        Whether the table is given on standard input.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    given: bool = False


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
        given=True,
    ),
    Use("the service", (("-c", _SERVICE),)),
)


@dataclass(slots=True)
class Found:
    """What a use did that it should not, and the traces that show it."""

    outside: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        """Whether nothing was written elsewhere and nothing was sent."""
        return not self.outside and not self.reached


def write_table(path: Path, rows: int = ROWS) -> None:
    """Write the first rows of the example backlog."""
    with BACKLOG.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as target:
        reader = csv.reader(source)
        csv.writer(target).writerows(row for row, _ in zip(reader, range(rows + 1), strict=False))


def watch(use: Use, folder: Path, **environment: str) -> Found:
    """Use the library in a new folder, under strace, and say what it did beyond it.

    Raises
    ------
    RuntimeError
        If a command failed, so that there was nothing to watch.
    """
    found = Found()
    work = folder / "work"
    work.mkdir(parents=True)
    write_table(work / TABLE)
    for number, command in enumerate(use.commands):
        given = (work / TABLE).read_bytes() if use.given else b""
        seen = trace([sys.executable, *command], folder, given, calls=f"calls{number}", **environment)
        if seen.code != 0:
            raise RuntimeError(f"{use.name} ended with {seen.code}: {seen.errors[-2000:]}")
        found.traces.append(seen)
        found.outside += seen.outside(work, folder / "tmp")
        found.reached += sorted(seen.reached)
    return found


def run(trials: int, seed: int, uses: Sequence[Use] = USES) -> Iterator[Outcome]:
    """Use the library in every way, several times: what a library sends, it does not send in every run."""
    times = max(1, trials // 40)
    for use in uses:
        failures, processes, said = 0, 0, set()
        for _ in range(times):
            with tempfile.TemporaryDirectory() as folder:
                found = watch(use, Path(folder))
            failures += not found.silent
            said |= {Path(name).name for name in found.outside} | set(found.reached)
            processes += sum(seen.processes for seen in found.traces)
        note = f"{processes} threads and processes watched"
        yield Outcome(PROMISE, use.name, times, failures, "; ".join([note, *sorted(said)[:5]]))
