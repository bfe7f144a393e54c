"""Attacks on tables: formulas that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from eval.robustness.outcome import Outcome
from tawasul_nlp.batch import Chunk, Layout, TableError, classify_table, group_table, open_writer
from tawasul_nlp.batch.delimited import DELIMITERS
from tawasul_nlp.batch.rows import START
from tawasul_nlp.duplicates import DuplicateGrouper
from tawasul_nlp.report import write_report
from tests.batch.keyword_classifier import KeywordClassifier

_CELLS = 200  # of a table
_FORMULAS = (
    "=1+1",
    "+SUM(A1)",
    "-2+cmd",
    "@SUM(1)",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://a")',
    "-5",
    "+973 3900 1234",
)
_VISIBLE = ("المجاري طافحة", "a", "'", "5", "=", "+", "-", "@", ".", "(")
_UNSEEN = (" ", "\u00a0", "\u200b", "\u200f", "\ufeff", "\u3000", "\u00ad", "\u2066", "\x00", "\x1f", "\u3164", '"')


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack tables."""
    yield formulas(trials, seed)
    yield outputs_over_inputs()


def formulas(trials: int, seed: int) -> Outcome:
    """Write cells of signs, separators, quotes and what nobody sees, and split them as spreadsheets do."""
    rng = random.Random(seed)
    signs = [char for char in map(chr, range(0x10000)) if _is_sign(char)]
    pieces = [*_FORMULAS, *_VISIBLE, *_UNSEEN, *",;\t|\r\n", *signs]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.csv"
        for _ in range(trials):
            own, columns = rng.choice(DELIMITERS), rng.choice((1, 2, 5))
            cells = ["".join(rng.choices(pieces, k=rng.randrange(1, 6))) for _ in range(_CELLS)]
            rows = [cells[at : at + columns] for at in range(0, _CELLS, columns)]
            names = tuple(f"{cell}{at}" for at, cell in enumerate(cells[:columns]))
            write_cells(path, [dict(zip(names, row, strict=True)) for row in rows], own)
            failures += bool(formula_cells(path.read_bytes().decode(), own))
    return Outcome(
        "no cell of a CSV is a formula",
        f"{_CELLS} cells of signs, separators, quotes and unseen characters; read with each separator",
        trials,
        failures,
    )


def write_cells(path: Path, rows: list[dict[str, str]], delimiter: str) -> None:
    """Write rows as the commands write a CSV, with no added columns."""
    layout = Layout("csv", tuple(rows[0]), _no_schema, (), {}, delimiter)
    with closing(open_writer(path, layout)) as writer:
        writer.write(Chunk(range(1, len(rows) + 1), rows, [], START), [[] for _ in rows])


def formula_cells(table: str, own: str) -> list[str]:
    """Return the cells that begin a formula for a spreadsheet that splits by whichever separator.

    A signed number is none. With another separator than the file's own, other cells may follow it in one.
    """
    found = []
    for separator in DELIMITERS:
        for row in csv.reader(io.StringIO(table, newline=""), delimiter=separator):
            for cell in row:
                shown = _shown(cell)
                if not _is_sign(shown[:1]):
                    continue
                number = re.split(r"[\r\n]" if separator == own else rf"[\r\n{own}]", shown, maxsplit=1)[0]
                if shown[0] not in "+-\u2212" or any(char.isalpha() and char not in "eE" for char in number):
                    found.append(cell)
    return found


def _shown(cell: str) -> str:
    """Return the cell from its first character that can be seen."""
    unseen = ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn")
    at = next(
        (n for n, c in enumerate(cell) if unicodedata.category(c) not in unseen and c not in '\u3164"'), len(cell)
    )
    return cell[at:]


def _is_sign(char: str) -> bool:
    return bool(char) and unicodedata.normalize("NFKC", char)[0] in "=+-@\u2212"


def _no_schema() -> None:
    raise NotImplementedError("a CSV has no schema")


def outputs_over_inputs() -> Outcome:
    """Read each file that a command writes, by its own name and through links."""
    failed = []
    names = {
        "classify": [
            *("w.csv", "w.csv.manifest.json", "w.csv.rejects.jsonl", "r.jsonl"),
            *(f"w.csv.partial/{name}" for name in ("rows", "rejects.jsonl", "state.json", "table", "lock")),
        ],
        "group": ["w.csv", "w.csv.rejects.jsonl", "r.jsonl"],
        "index add": ["r.jsonl"],
        "report": ["w.csv"],
    }
    cases = [(command, name, link) for command, all_names in names.items() for name in all_names for link in _LINKS]
    for command, name, link in cases:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / name
            written.parent.mkdir(exist_ok=True)
            written.write_text(
                '{"row": 1, "line": 2, "reason": "", "raw": "", "text": "الماي مقطوع"}\n', encoding="utf-8"
            )
            before = written.read_bytes()
            source = _LINKS[link](written)
            try:
                _command(command, source, Path(folder) / "w.csv", Path(folder) / name if name == "r.jsonl" else None)
                held = False
            except (TableError, RuntimeError) as error:
                held = "is the input itself" in str(error)
            if not held or not written.exists() or written.read_bytes() != before:
                failed.append(f"{command}: {name} ({link})")
    return Outcome(
        "no run writes over what it reads",
        "each file that a command writes is its input, by name, hard link, symbolic link",
        len(cases),
        len(failed),
        "; ".join(failed),
    )


def _hard_link(path: Path) -> Path:
    link = path.parent.parent / "hard.jsonl" if path.parent.name.endswith(".partial") else path.with_name("hard.jsonl")
    os.link(path, link)
    return link


def _symbolic_link(path: Path) -> Path:
    link = path.with_name("symbolic.jsonl")
    link.symlink_to(path)
    return link


_LINKS: dict[str, Callable[[Path], Path]] = {"name": Path, "hard link": _hard_link, "symbolic link": _symbolic_link}


def _command(command: str, source: Path, output: Path, rejects: Path | None) -> None:
    """Do what a command does, without a model where none is asked for before the input is refused."""
    if command == "classify":
        classify_table(KeywordClassifier(), source, output, text_column="text", input_format="jsonl", rejects=rejects)
    elif command == "report":
        write_report(source, output, text_column="text", input_format="jsonl")
    else:
        group_table(
            _no_grouper,
            source,
            output if command == "group" else None,
            text_column="text",
            id_column="row",
            index=None if command == "group" else output.with_name("index"),
            input_format="jsonl",
            rejects=rejects,
        )


def _no_grouper() -> DuplicateGrouper:
    raise RuntimeError("the model is loaded, so the input was not refused")
