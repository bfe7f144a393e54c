"""Attacks on tables that are read: they are changed under a run, and changed back."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tawasul_nlp.duplicates import DuplicateGrouper
from tawasul_nlp.prediction import Prediction
from tawasul_nlp.report import write_report
from tawasul_nlp.tables import TableError, classify_table, group_table
from tawasul_nlp.tables.run.outputs import input_identity, manifest_beside
from tests.robustness.outcome import Outcome
from tests.tables.keyword_classifier import KeywordClassifier

_ROWS = 1_500
_CHUNK_ROWS = 50
# Two words of one length, of which each has another answer: a row of the wrong input shows.
_WORDS = ("مجاري", "زبالة")
_ENDINGS = (".csv", ".jsonl", ".parquet")


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack runs that read a table."""
    rng = random.Random(seed)
    yield _counted("classify", _classify, trials, rng)
    yield _counted("group", _group, max(1, trials // 4), rng)
    yield _counted("report", _report, max(1, trials // 4), rng)


def _counted(
    command: str, attack: Callable[[Path, str, str, random.Random], str | None], trials: int, rng: random.Random
) -> Outcome:
    failed: Counter[str] = Counter()
    ways = list(_CHANGES)
    for trial in range(trials):
        ending, way = rng.choice(_ENDINGS), ways[trial % len(ways)]
        with tempfile.TemporaryDirectory() as folder:
            problem = attack(Path(folder), ending, way, rng)
        if problem is not None:
            failed[f"{way} ({ending[1:]}): {problem}"] += 1
    return Outcome(
        "what is published is of one input, the one whose hash is reported",
        f"{command}: the input is changed at a random chunk and changed back before the next, or later, or never",
        trials,
        failed.total(),
        "; ".join(f"{problem} {count}x" for problem, count in failed.items()),
    )


def write_input(path: Path, word: str) -> Path:
    """Write a table of the one word or the other; in CSV and JSON lines both have the same size."""
    rows = [{"id": n, "text": f"{word} {n}"} for n in range(_ROWS)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100, use_dictionary=False)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _overwrite(path: Path, other: Path) -> Callable[[], None]:
    """Write another table into the file; what is returned writes the old one back, and sets the file's times."""
    before, times = path.read_bytes(), path.stat()
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def back() -> None:
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return back


def _replace(path: Path, other: Path) -> Callable[[], None]:
    aside = path.rename(path.with_name("aside"))
    path.write_bytes(other.read_bytes())

    def back() -> None:
        aside.replace(path)

    return back


def _append(path: Path, other: Path) -> Callable[[], None]:
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(other.read_bytes())
    return lambda: os.truncate(path, size)


def _turn_link(path: Path, other: Path) -> Callable[[], None]:
    """Let the symbolic link that the run was given lead to another table."""
    link, before = path.with_name("link" + path.suffix), path

    def turn(target: Path) -> None:
        link.unlink()
        link.symlink_to(target)

    turn(other)
    return lambda: turn(before)


_CHANGES: dict[str, Callable[[Path, Path], Callable[[], None]]] = {
    "overwritten, with its times": _overwrite,
    "another file under its name": _replace,
    "appended to": _append,
    "the link to it turned": _turn_link,
}


class _Attacker(KeywordClassifier):
    """Changes the input before a chunk is read, and back: while that chunk is classified, or some chunks later."""

    def __init__(
        self, source: Path, other: Path, way: str, rng: random.Random, steps: int = _ROWS // _CHUNK_ROWS
    ) -> None:
        super().__init__()
        self._change = lambda: _CHANGES[way](source, other)
        self._at = rng.randrange(steps)
        self._back_after = rng.choice((0, 0, 1, 3, None))
        self._back: Callable[[], None] | None = None
        self._steps = 0

    def step(self, *_: object) -> None:
        """Hear that a chunk is done."""
        if self._steps == self._at:
            self._back = self._change()
        elif self._back_after and self._steps == self._at + self._back_after:
            self.restore()
        self._steps += 1

    def predict(self, texts: list[str], /) -> list[Prediction]:
        if self._back_after == 0:
            self.restore()
        return super().predict(texts)

    def restore(self) -> None:
        """Change the input back, if it is changed."""
        if self._back is not None:
            self._back()
            self._back = None


def _inputs(folder: Path, ending: str, way: str) -> tuple[Path, Path, Path]:
    """Write the input and another one; return them, and the path that a run is given."""
    source = write_input(folder / f"backlog{ending}", _WORDS[0])
    other = write_input(folder / f"other{ending}", _WORDS[1])
    link = folder / f"link{ending}"
    link.symlink_to(source)
    return source, other, link if way == "the link to it turned" else source


@cache
def _whole(ending: str) -> dict[str, bytes]:
    """Return the right outputs of both inputs, by the hash of the input."""
    whole = {}
    with tempfile.TemporaryDirectory() as folder:
        for word in _WORDS:
            source = write_input(Path(folder) / f"backlog{ending}", word)
            report = classify_table(KeywordClassifier(), source, Path(folder) / "whole.csv", text_column="text")
            whole[input_identity(source)["sha256"]] = report.output.read_bytes()
    return whole


def _classify(folder: Path, ending: str, way: str, rng: random.Random) -> str | None:
    source, other, given = _inputs(folder, ending, way)
    output = folder / "out.csv"
    whole = _whole(ending)
    attacker = _Attacker(source, other, way, rng)
    for classifier in (attacker, KeywordClassifier()):  # the second resumes, or begins anew
        try:
            classify_table(
                classifier,
                given,
                output,
                text_column="text",
                chunk_rows=_CHUNK_ROWS,
                on_step=attacker.step if classifier is attacker else None,
            )
        except TableError:
            if output.exists():
                return "refused, but published"
        attacker.restore()
        if output.exists():
            stated = json.loads(manifest_beside(output).read_text(encoding="utf-8"))["input"]["sha256"]
            if output.read_bytes() != whole.get(stated):
                return "published of two inputs, or under the hash of the other"
    return None if output.exists() else "not published though the input is what it was"


def _group(folder: Path, ending: str, way: str, rng: random.Random) -> str | None:
    source, other, given = _inputs(folder, ending, way)
    attacker = _Attacker(source, other, way, rng)
    try:
        group_table(
            _no_grouper, given, folder / "out.csv", text_column="text", chunk_rows=_CHUNK_ROWS, on_step=attacker.step
        )
    except TableError:
        return None
    except _NotRefusedError:  # right if it was read from the file to which the link led first
        return "taken for sound" if given == source else None
    raise RuntimeError("a table was grouped without a grouper")


class _NotRefusedError(Exception):
    """The table was read and taken for sound."""


def _no_grouper() -> DuplicateGrouper:
    raise _NotRefusedError


def _report(folder: Path, ending: str, way: str, rng: random.Random) -> str | None:
    source, other, given = _inputs(folder, ending, way)
    for table in (source, other):
        done = classify_table(KeywordClassifier(), table, folder / f"classified{ending}", text_column="text").output
        done.replace(table)
    write_report(source, folder / "whole.html", text_column="text", title="تقرير")
    attacker = _Attacker(source, other, way, rng, steps=4)
    page = folder / "page.html"
    try:
        write_report(given, page, text_column="text", title="تقرير", on_chunk=attacker.step)
    except TableError:
        return "refused, but published" if page.exists() else None
    return None if page.read_bytes() == (folder / "whole.html").read_bytes() else "published of two tables"
