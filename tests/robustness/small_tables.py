"""Attacks with small files that hold very much: it would take minutes to read them, or gigabytes of a disk."""

from __future__ import annotations

import itertools
import random
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tawasul_nlp.tables import classify_table
from tawasul_nlp.tables.errors import OversizedTableError, TableError
from tests.robustness.harness import REFUSED, Outcome, repeat
from tests.tables.keyword_classifier import KeywordClassifier

_LARGEST = 1_000_000  # of these files, in bytes
_SECONDS = 60  # of the processor, to read and classify one, or to refuse it
_MOST_WRITTEN = 2 << 30
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack with small files, from harmless ones to such as would take a disk; an eighth as many as other attacks."""
    rng = random.Random(seed)
    trials = max(len(SMALL), trials // 8)
    kinds = itertools.cycle(SMALL)

    def trial(folder: Path) -> str:
        kind = next(kinds)
        path = SMALL[kind](folder, rng)
        assert path.stat().st_size < _LARGEST, f"{kind} has {path.stat().st_size} bytes"
        before, result, output = time.process_time(), "", folder / "out.csv"
        try:
            classify_table(KeywordClassifier(), path, output, text_column="text")
        except TableError as error:
            result = REFUSED if isinstance(error, OversizedTableError) else ""
        written = output.stat().st_size if output.exists() else 0
        return kind if time.process_time() - before > _SECONDS or written > _MOST_WRITTEN else result

    attack = f"{len(SMALL)} kinds of files of less than {_LARGEST:,} bytes, classified"
    yield repeat("a small file takes no minutes and no gigabytes", attack, trials, trial)


def _between(low: int, high: int, rng: random.Random) -> int:
    """Return a number of which the digits, so to speak, are drawn: small ones are as likely as large ones."""
    return round(low * (high / low) ** rng.random())


def _dictionary(folder: Path, rng: random.Random) -> Path:
    text = "ماي " * _between(5_000, 500_000, rng)
    return _of_dictionary(folder, [text], np.zeros(_between(50, 100_000, rng)))


def _few_long_of_many(folder: Path, rng: random.Random) -> Path:
    rows = np.arange(50_000)
    indices = np.where(rows % rng.randrange(3, 20) == 0, 0, rows % 500 + 1)
    return _of_dictionary(folder, ["ماي " * 300_000, *(f"ماي {n}" for n in range(500))], indices)


def _of_dictionary(folder: Path, texts: list[str], indices: np.ndarray) -> Path:
    column = pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), pa.array(texts))
    return _parquet(folder, {"text": column}, dictionary_pagesize_limit=1 << 30)


def _prefixes(folder: Path, rng: random.Random) -> Path:
    texts = pa.array(["ماي " * _between(1_000, 100_000, rng)] * 2_000)
    options = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    return _parquet(folder, {"text": texts}, **options)


def _rows_of_nothing(folder: Path, rng: random.Random) -> Path:
    return _parquet(folder, {"text": pa.nulls(_between(200_000, 60_000_000, rng), pa.string())})


def _lists(folder: Path, rng: random.Random) -> Path:
    items = _between(10_000, 1_000_000, rng)
    count = max(1, _between(4_000_000, 400_000_000, rng) // items)
    offsets = np.arange(count + 1, dtype=np.int64) * items
    path = folder / "t.parquet"
    schema = pa.schema([("text", pa.string()), ("n", pa.large_list(pa.int8()))])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for row in range(0, count, 50):
            part = offsets[row : row + 51] - offsets[row]
            column = pa.LargeListArray.from_arrays(part, np.zeros(part[-1], np.int8))
            writer.write_table(pa.table({"text": ["ماي"] * (len(part) - 1), "n": column}, schema))
    return path


def _parquet(folder: Path, columns: dict[str, pa.Array], **options: object) -> Path:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False, **options)
    return path


def _far_cells(folder: Path, rng: random.Random) -> Path:
    column = rng.choice(("XFD", "XEZ", "ZZZ"))
    return _workbook(folder, _cell("A1", "text"), _rows(lambda n: _cell(f"{column}{n}", "x"), rng))


def _far_header(folder: Path, rng: random.Random) -> Path:
    header = _cell("A1", "text") + _cell("XFD1", "note")
    return _workbook(folder, header, _rows(lambda n: _cell(f"A{n}", "ماي"), rng))


def _shared_string(folder: Path, rng: random.Random) -> Path:
    rows = _rows(lambda n: f'<c r="A{n}" t="s"><v>0</v></c>', rng)
    return _workbook(folder, _cell("A1", "text"), rows, "ماي " * _between(100, 100_000, rng))


def _rows(cells: Callable[[int], str], rng: random.Random) -> str:
    return "".join(f'<row r="{n}">{cells(n)}</row>' for n in range(2, _between(100, 60_000, rng)))


def _cell(name: str, text: str) -> str:
    return f'<c r="{name}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'


def _workbook(folder: Path, header: str, rows: str, string: str = "") -> Path:
    """Write a workbook of one sheet, with a table of one string, in the fewest parts that it can have."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    mime = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{mime}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{mime}.worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{mime}.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_NAMESPACE}" xmlns:r="{office}"><sheets>'
        '<sheet name="1" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_NAMESPACE}"><sheetData><row r="1">{header}</row>{rows}'
        "</sheetData></worksheet>",
        "xl/sharedStrings.xml": f'<sst xmlns="{_NAMESPACE}"><si><t>{string}</t></si></sst>',
    }
    path = folder / "t.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _many_keys(folder: Path, rng: random.Random) -> Path:
    keys = ", ".join(f'"k{n}": 1' for n in range(rng.randrange(5_000, 16_000)))
    path = folder / "t.jsonl"
    path.write_text(f'{{"text": "", {keys}}}\n' + "{}\n" * _between(100, 200_000, rng))
    return path


SMALL: dict[str, Callable[[Path, random.Random], Path]] = {
    "Parquet, one long text for many rows": _dictionary,
    "Parquet, one long text among short ones": _few_long_of_many,
    "Parquet, texts that share their beginning": _prefixes,
    "Parquet, millions of rows of nothing": _rows_of_nothing,
    "Parquet, long lists": _lists,
    "workbook, rows that reach far": _far_cells,
    "workbook, a header that reaches far": _far_header,
    "workbook, one long text in many cells": _shared_string,
    "JSON lines, columns of one row": _many_keys,
}
