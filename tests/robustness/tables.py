"""Attacks on tables: personal data that a run leaves, and outputs over inputs; and which cells are formulas."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from tawasul_nlp.cli.display import summary
from tawasul_nlp.duplicates import DuplicateGrouper
from tawasul_nlp.report import write_report
from tawasul_nlp.tables import ReadOptions, WriteOptions, classify_table, group_table
from tawasul_nlp.tables.errors import TableError
from tawasul_nlp.tables.io.cells import to_json
from tawasul_nlp.tables.io.chunk import Chunk
from tawasul_nlp.tables.io.csv import CSV, DELIMITERS
from tawasul_nlp.tables.io.formats import Layout
from tawasul_nlp.tables.run.pipeline import Step
from tests.robustness.harness import Outcome, repeat
from tests.tables.keyword_classifier import KeywordClassifier


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack tables."""
    yield masked_runs(trials, seed)
    yield outputs_over_inputs()


# -- formulas ----------------------------------------------------------------------------------------------------------


def write_cells(path: Path, rows: list[dict[str, str]], delimiter: str) -> None:
    """Write rows as the commands write a CSV, with no added columns."""
    layout = Layout(CSV, tuple(rows[0]), lambda: None, (), {}, delimiter)  # a CSV has no schema
    CSV.write(path, layout, [(Chunk(range(1, len(rows) + 1), rows, []), [[] for _ in rows])])


def formula_cells(table: str, delimiter: str) -> list[str]:
    """Return the cells that begin a formula for a spreadsheet that splits by whichever separator.

    A signed number is none. With another separator than the file's own, other cells may follow it in one.
    """
    formulas = []
    for separator in DELIMITERS:
        for cell in itertools.chain.from_iterable(csv.reader(io.StringIO(table, newline=""), delimiter=separator)):
            visible = "".join(itertools.dropwhile(_is_unseen, cell))
            if not visible or unicodedata.normalize("NFKC", visible[0])[0] not in "=+-@\u2212":
                continue
            number = re.split(r"[\r\n]" if separator == delimiter else rf"[\r\n{delimiter}]", visible, maxsplit=1)[0]
            if visible[0] not in "+-\u2212" or any(char.isalpha() and char not in "eE" for char in number):
                formulas.append(cell)
    return formulas


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn") or char in '\u3164"'


# -- masked runs -------------------------------------------------------------------------------------------------------


def masked_runs(trials: int, seed: int) -> Outcome:
    """Hide personal data in rows, sound and not, and look for them in all that a masked run leaves and says."""
    rng = random.Random(seed)

    def trial(folder: Path) -> str:
        ending, into = (rng.choice((".csv", ".jsonl", ".parquet")) for _ in range(2))
        source, secrets = write_personal_data(folder / f"in{ending}", rng)
        said = _masked_run(source, folder / f"out{into}", rng)
        planted = _all_text(source)
        source.unlink()
        left = "\n".join([said, *(_all_text(path) for path in sorted(folder.rglob("*")) if path.is_file())])
        assert all(secret in planted for secret in secrets), "some were never there"
        kinds = {f"{kind} ({ending[1:]})" for secret, kind in secrets.items() if secret in left}
        return "; ".join(sorted(kinds))

    attack = "60 phone and personal numbers and e-mails in sound, damaged and escaped rows of a run, stopped or not"
    return repeat("a masked run leaves nothing raw", attack, trials, trial)


def write_personal_data(path: Path, rng: random.Random) -> tuple[Path, dict[str, str]]:
    """Write a table; return it and the personal data in it, with how their rows were damaged."""
    secrets: dict[str, str] = {}

    def row_of(kind: str) -> str:
        number = rng.randrange(10**6)
        phone, card = f"3{rng.choice('369')}{number:06}", f"85{rng.randrange(1, 13):02}{number:05}"[:9]
        words = ((phone, "رقمي"), (card, "والبطاقة"), (f"ali{number}@mail.bh", "بريدي"))
        secret, before = rng.choice(words)
        secrets[secret] = kind
        return f"الماي مقطوع من أمس، {before} {secret}"

    def sound() -> dict[str, str]:
        return {"id": "1", "text": row_of("a sound row"), "note": ""}

    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([sound() for _ in range(60)]), path)
        return path, secrets
    is_csv = path.suffix == ".csv"
    damaged = _DAMAGED_CSV if is_csv else _DAMAGED_JSON
    lines = [b"id,text,note" if is_csv else b'{"id": "0", "text": "", "note": ""}']
    for _ in range(60):
        kind = rng.choice(["a sound row", *damaged])
        if kind != "a sound row":
            lines.append(damaged[kind](row_of(kind)))
        else:
            row = ",".join(sound().values()) if is_csv else json.dumps(sound(), ensure_ascii=rng.random() < 0.5)
            lines.append(row.encode())
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path, secrets


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _wholly_escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


def _arabic_digits(text: str) -> str:
    return text.translate({ord("0") + digit: chr(ord("٠") + digit) for digit in range(10)})


_DAMAGED_CSV: dict[str, Callable[[str], bytes]] = {
    "too many fields": lambda text: f"1,{text},,x".encode(),
    "number between fields": lambda text: f"1,{text.split()[-1]},{text.split()[0]},5,7".encode(),
    "an open quote": lambda text: f'1,"{text},'.encode(),
    "a quote in a quote": lambda text: f'1,"قال "{text}" وراح",'.encode(),
    "broken bytes before": lambda text: text.replace(" 3", " \0003").encode().replace(b"\0", b"\xed"),
    "windows-1256": lambda text: f"1,{text},".encode("windows-1256"),
}
_DAMAGED_JSON: dict[str, Callable[[str], bytes]] = {
    "no JSON": lambda text: f'{{"id": "1", "text": "{text}",, }}'.encode(),
    "no JSON, escaped": lambda text: f'{{"id": "1", "text": "{_escaped(text)}",, }}'.encode(),
    "no JSON, digits escaped": lambda text: f'{{"id": "1", "text": "{_wholly_escaped(text)}"'.encode(),
    "no JSON, Arabic digits escaped": lambda text: f'{{"text": "{_escaped(_arabic_digits(text))}"'.encode(),
    "JSON in JSON": lambda text: json.dumps(["x", json.dumps({"text": _arabic_digits(text)})]).encode(),
    "a key twice": lambda text: f'{{"text": "", "{_escaped(text)}": 1, "{_escaped(text)}": 2}}'.encode(),
    "half a pair": lambda text: f'{{"text": "{_escaped(text)}\\ud83d"}}'.encode(),
    "a number": lambda text: f'{{"text": {text.split()[-1]}}}'.encode(),
    "an object": lambda text: f'{{"text": {{"رقمي\\u200f{text.split()[-1]}": "سطر\\n{text.split()[-1]}"}}}}'.encode(),
    "an array": lambda text: f'["{_escaped(text)}"]'.encode(),
    "broken bytes": lambda text: f'{{"text": "{text}"}}'.replace(" 3", " \0003").encode().replace(b"\0", b"\xed"),
}


def _masked_run(source: Path, output: Path, rng: random.Random) -> str:
    """Classify a table with masks, stopped at a chunk or not; return what is said."""
    chunks, stop = itertools.count(1), rng.choice((None, 1, 2))

    def see(_step: Step) -> None:
        if next(chunks) == stop:
            raise KeyboardInterrupt

    screen = Console(file=io.StringIO(), width=200, record=True)
    try:
        report = classify_table(
            KeywordClassifier(),
            source,
            output,
            text_column="text",
            mask_columns=["text", "note"],
            read=ReadOptions(encoding="utf-8" if source.suffix != ".parquet" else None),
            chunk_rows=20,
            on_step=see,
        )
        screen.print(summary(report))
    except KeyboardInterrupt as stopped:
        screen.print(*stopped.__notes__)
    return _digits(screen.export_text())


def _all_text(path: Path) -> str:
    """Return all that a file holds as text, escapes undone and digits as ASCII."""
    if path.suffix == ".parquet" and path.read_bytes()[:4] == b"PAR1":
        return _digits(str(pq.read_table(path).to_pylist()))
    content = path.read_bytes()
    if path.suffix == ".part":
        content = str(pa.ipc.open_stream(content[:-4]).read_all().to_pylist()).encode()
    return _digits(content.decode("utf-8", "replace"))


def _digits(text: str) -> str:
    for _ in range(4):
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text.replace("\\\\", "\\"))
    return "".join(str(unicodedata.digit(char, char)) for char in text)


# -- outputs over inputs -----------------------------------------------------------------------------------------------


def outputs_over_inputs() -> Outcome:
    """Read each file that a command writes, by its own name and through links."""
    partial = (f"w.csv.partial/{name}" for name in ("run.json", "000000.part", "lock"))
    names = {
        "classify": ["w.csv", "w.csv.manifest.json", "w.csv.rejects.jsonl", "r.jsonl", *partial],
        "group": ["w.csv", "w.csv.rejects.jsonl", "r.jsonl"],
        "index add": ["r.jsonl"],
        "report": ["w.csv"],
    }
    ways = ("name", "hardlink", "symlink")
    cases = [(command, name, way) for command in names for name in names[command] for way in ways]
    case = iter(cases)

    def trial(folder: Path) -> str:
        command, name, way = next(case)
        written = folder / name
        written.parent.mkdir(exist_ok=True)
        row: dict[str, Any] = {"row": 1, "line": 2, "reason": "", "raw": "", "text": "الماي مقطوع"}
        row |= {"topic": "water_outage_pressure", "topic_probability": 0.9, "agency": "ewa", "needs_review": False}
        before = to_json(row) + "\n"
        written.write_text(before, encoding="utf-8")
        source = written if way == "name" else folder / "linked.jsonl"
        if way != "name":
            getattr(source, f"{way}_to")(written)
        try:
            _command(command, source, folder / "w.csv", WriteOptions(rejects=written if name == "r.jsonl" else None))
            refused = False
        except (TableError, RuntimeError) as error:
            refused = "is the input itself" in str(error)
        intact = refused and written.exists() and written.read_text(encoding="utf-8") == before
        return "" if intact else f"{command}: {name} ({way})"

    attack = "each file that a command writes is its input, by name, hard link, symbolic link"
    return repeat("no run writes over what it reads", attack, len(cases), trial)


def _command(command: str, source: Path, output: Path, write: WriteOptions) -> None:
    """Do what a command does, without a model where none is asked for before the input is refused."""
    read = ReadOptions(format="jsonl")
    if command == "classify":
        classify_table(KeywordClassifier(), source, output, text_column="text", read=read, write=write)
    elif command == "report":
        write_report(source, output)
    else:
        index, to = (None, output) if command == "group" else (output.with_name("index"), None)
        options: dict[str, Any] = {"text_column": "text", "id_column": "row", "index": index}
        group_table(_no_grouper, source, to, read=read, write=write, **options)


def _no_grouper() -> DuplicateGrouper:
    raise RuntimeError("the model is loaded, so the input was not refused")
