"""Attacks on tables that are read: they are changed under a run, and changed back."""

from __future__ import annotations

import itertools
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tawasul_nlp.duplicates import DuplicateGrouper
from tawasul_nlp.prediction import Prediction
from tawasul_nlp.report import write_report
from tawasul_nlp.tables import classify_table, group_table
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.run.outputs import input_identity, manifest_beside
from tests.robustness.harness import Outcome, repeat
from tests.tables.keyword_classifier import KeywordClassifier

_ROWS = 1_500
_CHUNK_ROWS = 50
# Two words of one length, of which each has another answer: a row of the wrong input shows.
_WORDS = ("مجاري", "زبالة")


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Change the input of classify, group and report at a random chunk, and change it back at once, later or never."""
    rng = random.Random(seed)
    promise = "what is published is of one input, the one whose hash is reported"
    for command, attack, times in (
        ("classify", _classify, trials),
        ("group", _group, max(1, trials // 4)),
        ("report", _report, max(1, trials // 4)),
    ):
        ways = itertools.cycle((_OVERWRITTEN, _REPLACED, _APPENDED_TO, _LINK_TURNED))

        def trial(folder: Path, attack: _Attack = attack, ways: Iterator[str] = ways) -> str:
            ending, way = rng.choice((".csv", ".jsonl", ".parquet")), next(ways)
            problem = attack(_Inputs(folder, ending, way), rng)
            return problem and f"{way} ({ending[1:]}): {problem}"

        what = "the input is changed at a random chunk and changed back before the next, or later, or never"
        yield repeat(promise, f"{command}: {what}", times, trial)


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


_OVERWRITTEN, _REPLACED = "overwritten, with its times", "another file under its name"
_APPENDED_TO, _LINK_TURNED = "appended to", "the link to it turned"


@contextmanager
def _changed(path: Path, other: Path, way: str) -> Iterator[None]:
    """Change an input into another one, or a mixture of both, and back."""
    before, times, link = path.read_bytes(), path.stat(), path.with_name(f"link{path.suffix}")
    for content, target in ((other.read_bytes(), other), (before, path)):
        if way == _OVERWRITTEN:
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif way == _LINK_TURNED:
            link.unlink()
            link.symlink_to(target)
        elif target is other:
            if way == _REPLACED:
                path.rename(path.with_name("aside"))
            with path.open("ab") as file:
                file.write(content)
        elif way == _REPLACED:
            path.with_name("aside").replace(path)
        else:
            os.truncate(path, times.st_size)
        if target is other:
            yield


class _Inputs:
    """An input, another one, the path that a run is told, and the way in which the one becomes the other."""

    def __init__(self, folder: Path, ending: str, way: str) -> None:
        self.folder, self.ending, self.way = folder, ending, way
        self.source = write_input(folder / f"backlog{ending}", _WORDS[0])
        self.other = write_input(folder / f"other{ending}", _WORDS[1])
        link = folder / f"link{ending}"
        link.symlink_to(self.source)
        self.path = link if way == _LINK_TURNED else self.source


_Attack = Callable[[_Inputs, random.Random], str]


class _Attacker(KeywordClassifier):
    """Changes the input before a chunk is read, and back: while that chunk is classified, or some chunks later."""

    def __init__(self, inputs: _Inputs, rng: random.Random, steps: int = _ROWS // _CHUNK_ROWS) -> None:
        super().__init__()
        self._change = _changed(inputs.source, inputs.other, inputs.way)
        self._changed_step = rng.randrange(steps)
        self._back_after = rng.choice((0, 0, 1, 3, None))
        self._changes = ExitStack()
        self._steps = 0

    def step(self, *_: object) -> None:
        """Hear that a chunk is done."""
        if self._steps == self._changed_step:
            self._changes.enter_context(self._change)
        elif self._back_after and self._steps == self._changed_step + self._back_after:
            self._changes.close()
        self._steps += 1

    def predict(self, texts: list[str], /) -> list[Prediction]:
        if self._back_after == 0:
            self.restore()
        return super().predict(texts)

    def restore(self) -> None:
        """Change the input back, if it is changed."""
        self._changes.close()


# -- attacks: each returns what is wrong -------------------------------------------------------------------------------


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


def _classify(inputs: _Inputs, rng: random.Random) -> str:
    output, whole = inputs.folder / "out.csv", _whole(inputs.ending)
    attacker = _Attacker(inputs, rng)
    for classifier, listener in ((attacker, attacker.step), (KeywordClassifier(), None)):  # the second resumes
        try:
            classify_table(
                classifier, inputs.path, output, text_column="text", chunk_rows=_CHUNK_ROWS, on_step=listener
            )
        except TableError:
            if output.exists():
                return "refused, but published"
        attacker.restore()
        if output.exists():
            stated = json.loads(manifest_beside(output).read_text(encoding="utf-8"))["input"]["sha256"]
            if output.read_bytes() != whole.get(stated):
                return "published of two inputs, or under the hash of the other"
    return "" if output.exists() else "not published though the input is what it was"


def _no_grouper() -> DuplicateGrouper:
    raise NotImplementedError("the table was read and taken for sound")


def _group(inputs: _Inputs, rng: random.Random) -> str:
    listener, output = _Attacker(inputs, rng).step, inputs.folder / "out.csv"
    try:
        group_table(_no_grouper, inputs.path, output, text_column="text", chunk_rows=_CHUNK_ROWS, on_step=listener)
    except TableError:
        return ""
    except NotImplementedError:  # right if it was read from the file to which the link led first
        return "taken for sound" if inputs.path == inputs.source else ""
    raise RuntimeError("a table was grouped without a grouper")


def _report(inputs: _Inputs, rng: random.Random) -> str:
    for table in (inputs.source, inputs.other):
        classified = inputs.folder / f"classified{inputs.ending}"
        classify_table(KeywordClassifier(), table, classified, text_column="text").output.replace(table)
    whole, page = inputs.folder / "whole.html", inputs.folder / "page.html"
    write_report(inputs.source, whole, title="تقرير")
    attacker = _Attacker(inputs, rng, steps=4)
    try:
        write_report(inputs.path, page, title="تقرير", on_chunk=attacker.step)
    except TableError:
        return "refused, but published" if page.exists() else ""
    return "" if page.read_bytes() == whole.read_bytes() else "published of two tables"
