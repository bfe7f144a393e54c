"""Attacks with small files that hold very much: it would take minutes to read them, or gigabytes of a disk."""

from __future__ import annotations

import gzip
import random
import resource
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tawasul_nlp.tables import OversizedTableError, TableError, classify_table
from tests.robustness.outcome import Outcome
from tests.tables.keyword_classifier import KeywordClassifier

_LARGEST = 1_000_000  # of these files, in bytes
_SECONDS = 60  # of the processor, to read and classify one, or to refuse it
_MOST_WRITTEN = 2 << 30
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def run(trials: int, seed: int) -> Iterator[Outcome]:
    """Attack with small files, from harmless ones to such as would take a disk; an eighth as many as other attacks."""
    rng = random.Random(seed)
    failed = []
    refused = 0
    kinds = list(SMALL)
    trials = max(len(kinds), trials // 8)
    for trial in range(trials):
        kind = kinds[trial % len(kinds)]
        with tempfile.TemporaryDirectory() as folder:
            path = SMALL[kind](Path(folder), rng)
            assert path.stat().st_size < _LARGEST, f"{kind} has {path.stat().st_size} bytes"
            before = _processor_seconds()
            try:
                output = classify_table(KeywordClassifier(), path, Path(folder) / "out.csv", text_column="text").output
                written = output.stat().st_size
            except OversizedTableError:
                refused, written = refused + 1, 0
            except TableError:
                written = 0
            if _processor_seconds() - before > _SECONDS or written > _MOST_WRITTEN:
                failed.append(kind)
    yield Outcome(
        "a small file takes no minutes and no gigabytes",
        f"{len(kinds)} kinds of files of less than {_LARGEST:,} bytes, classified",
        trials,
        len(failed),
        "; ".join([f"{refused} refused by size, the others read", *sorted(set(failed))]),
    )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _between(low: int, high: int, rng: random.Random) -> int:
    """Return a number of which the digits, so to speak, are drawn: small ones are as likely as large ones."""
    return round(low * (high / low) ** rng.random())


def _dictionary(folder: Path, rng: random.Random) -> Path:
    text = "ماي " * _between(5_000, 500_000, rng)
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(_between(50, 100_000, rng), np.int32)), pa.array([text]))
    return _parquet(folder, {"text": column}, dictionary_pagesize_limit=1 << 30)


def _few_long_of_many(folder: Path, rng: random.Random) -> Path:
    texts = pa.array(["ماي " * 300_000, *(f"ماي {n}" for n in range(500))])
    indices = np.where(np.arange(50_000) % rng.randrange(3, 20) == 0, 0, np.arange(50_000) % 500 + 1)
    column = pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), texts)
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
        for at in range(0, count, 50):
            part = offsets[at : at + 51] - offsets[at]
            column = pa.LargeListArray.from_arrays(part, np.zeros(part[-1], np.int8))
            writer.write_table(pa.table({"text": ["ماي"] * (len(part) - 1), "n": column}, schema))
    return path


def _parquet(folder: Path, columns: dict[str, pa.Array], **options: object) -> Path:
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False, **options)
    return path


def _far_cells(folder: Path, rng: random.Random) -> Path:
    column = rng.choice(("XFD", "XEZ", "ZZZ"))
    rows = "".join(f'<row r="{n}">{_cell(f"{column}{n}", "x")}</row>' for n in range(2, _between(100, 60_000, rng)))
    return _workbook(folder, _cell("A1", "text"), rows)


def _far_header(folder: Path, rng: random.Random) -> Path:
    rows = "".join(f'<row r="{n}">{_cell(f"A{n}", "ماي")}</row>' for n in range(2, _between(100, 60_000, rng)))
    return _workbook(folder, _cell("A1", "text") + _cell("XFD1", "note"), rows)


def _shared_string(folder: Path, rng: random.Random) -> Path:
    cells = range(2, _between(100, 60_000, rng))
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in cells)
    return _workbook(folder, _cell("A1", "text"), rows, "ماي " * _between(100, 100_000, rng))


def _cell(at: str, text: str) -> str:
    return f'<c r="{at}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'


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


def _compressed(folder: Path, rng: random.Random) -> Path:
    line = f"{rng.randrange(10)},ماي\n".encode() * 100_000
    lines = _between(1, 500, rng)
    path = folder / "t.csv.packed"
    if rng.random() < 0.5:
        with gzip.open(path, "wb") as file:
            file.write(b"id,text\n")
            for _ in range(lines):
                file.write(line)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("t.csv", "w") as file:
            file.write(b"id,text\n")
            for _ in range(lines):
                file.write(line)
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
    "CSV, compressed": _compressed,
}
