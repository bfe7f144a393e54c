"""The same bytes from a processor without VNNI and AVX-512, which QEMU emulates, as from this one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.robustness.outcome import Outcome

ROOT = Path(__file__).parents[2]
BACKLOG = ROOT / "examples" / "backlog.csv"
OLDER = "Haswell"
QUERIES = ("الكهربا طافية علينا من الصبح مجمع 1203", "المجاري طافحة في الحد", "el may maqtoo3 3anna mn ams")


def command(emulated: bool, *words: str | Path) -> str:
    """Run the ``tawasul`` command, and return what it prints."""
    emulator = ["qemu-x86_64", "-cpu", OLDER] if emulated else []
    code = "import sys; from tawasul_nlp.cli import main; sys.exit(main())"
    done = subprocess.run(
        [*emulator, sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode != 0:
        raise RuntimeError(f"tawasul {words[0]} failed: {done.stderr[-500:]}")
    return done.stdout


def work(backlog: Path, folder: Path, emulated: bool) -> Path:
    """Classify and group a backlog; return the grouped table."""
    folder.mkdir()
    text = ("--text-column", "text")
    command(emulated, "classify", backlog, *text, "-o", folder / "classified.csv")
    command(
        emulated, "group", folder / "classified.csv", *text, "--date-column", "opened", "-o", folder / "grouped.csv"
    )
    return folder / "grouped.csv"


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Do the same work here and there, on half as many rows as there are trials: an emulated one takes a second."""
    if shutil.which("qemu-x86_64") is None:
        raise FileNotFoundError("qemu-x86_64 is not installed; install Debian's package qemu-user")
    with tempfile.TemporaryDirectory() as name:
        backlog = Path(name) / "backlog.csv"
        lines = BACKLOG.read_text(encoding="utf-8").splitlines(keepends=True)
        backlog.write_text("".join(lines[: 1 + trials // 2]), encoding="utf-8")
        here, there = (work(backlog, Path(name) / place, place == "there") for place in ("here", "there"))
        rows = list(zip(here.read_bytes().splitlines(), there.read_bytes().splitlines(), strict=True))
        yield Outcome(
            "the same answers on any processor",
            f"classify and group the example backlog on a {OLDER}",
            len(rows),
            sum(one != other for one, other in rows),
        )
        index = Path(name) / "index"
        command(False, "index", "add", index, backlog, "--text-column", "text", "--id-column", "case_id")
        answers = [[command(place, "index", "query", index, query) for query in QUERIES] for place in (False, True)]
        yield Outcome(
            "the same answers on any processor",
            f"an index made here is asked on a {OLDER}",
            len(QUERIES),
            sum(one != other for one, other in zip(*answers, strict=True)),
        )
