"""Measure one process, two workers and a Ray cluster of two workers on the same rows, and plan a hundred million cases.

Rows are texts of the corpus (its training and validation parts), each once. A way of classifying runs in a process of
its own; its rate is that of the work, without loading. Grouping has its vectors computed beforehand: the local grouper
and the one on Ray get the same ones. Above 12,000 cases both look for neighbours approximately, each in its own way, so
it is measured how far their groups agree.

Run ``python -m eval.scale.scaling`` (writes ``scaling.json`` and ``.md`` in ``eval/results``).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from eval.processes import watch
from eval.results_files import RESULTS, provenance
from eval.scale.backlog import digest
from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.duplicates import Case
from tawasul_nlp.duplicates.candidates import BANDS, NEIGHBOURS, PLACE_SIZE, candidate_pairs
from tawasul_nlp.duplicates.features import CaseFeatures, pack
from tawasul_nlp.duplicates.groups import LEAST
from tawasul_nlp.duplicates.parts import CELL, PROBES
from tawasul_nlp.extras import require
from tawasul_nlp.tables import classify_table, open_engine, threads_each
from training.corpus import LabelSpace, load_examples

WAYS = ("one process", "two workers", "ray, two workers")
COMMANDS = ("", "--workers 2", "--engine ray --workers 2")
PLANNED = 100_000_000
NIGHT = 10.0  # hours
NODE_CORES = 16


def texts_of(rows: int) -> list[str]:
    """Return so many different texts of the corpus."""
    labels = LabelSpace.load()
    texts = dict.fromkeys(example.text for split in ("train", "validation") for example in load_examples(split, labels))
    if rows > len(texts):
        raise ValueError(f"{rows} rows are wanted, but the corpus has {len(texts)} different texts")
    return list(texts)[:rows]


def write_table(path: Path, texts: list[str]) -> None:
    """Write a Parquet table of the texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"case_id": [f"TWS-{n:07}" for n in range(len(texts))], "text": texts}), path)


def start_ray() -> None:
    """Start a Ray of two cores on this machine."""
    require("ray", "measuring the cluster", "ray", "sklearn", "scipy")
    import ray.data

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False


def classify_once(source: Path, output: Path, way: str) -> None:
    """Be the process that classifies in one way."""
    engine, workers = open_engine, 1 if way == WAYS[0] else 2
    if way == WAYS[2]:
        from tawasul_nlp.tables.ray import engine as on_ray

        start_ray()
        engine = on_ray()  # type: ignore[assignment]
    load = partial(ComplaintClassifier.from_pretrained, threads=threads_each(2) if workers > 1 else None)
    report = classify_table(load, source, output, text_column="text", workers=workers, engine=engine)
    print(json.dumps({"rows": report.rows_read, "seconds": report.seconds}))


def group_once(source: Path, vectors: Path) -> None:
    """Be the process that groups, here and on Ray."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import ray.data

    from tawasul_nlp.tables.ray import group

    table = pq.read_table(source)
    embeddings = np.load(vectors)
    texts = table.column("text").to_pylist()
    grouper = DuplicateGrouper.from_pretrained(threads=1)
    began = time.perf_counter()
    local = grouper.group([Case(text, embedding=row) for text, row in zip(texts, embeddings, strict=True)])
    local_seconds = time.perf_counter() - began
    candidates = candidate_pairs(local.features)
    scores = grouper.scorer.score(local.features, candidates[:, 0], candidates[:, 1])

    start_ray()
    embedded = table.append_column("vector", pa.FixedSizeListArray.from_arrays(embeddings.ravel(), embeddings.shape[1]))
    dataset = ray.data.from_arrow([embedded.slice(at, 2_000) for at in range(0, len(texts), 2_000)])
    began = time.perf_counter()
    found = group(dataset, "text", embedding_column="vector", grouper=grouper)
    seconds = time.perf_counter() - began
    labels = np.array([row["group_id"] for row in found.select_columns(["group_id"]).take_all()])
    print(
        json.dumps(
            {
                "cases": len(texts),
                "seconds": {"here": local_seconds, "ray, two workers": seconds},
                "pairs": {
                    "together here": pairs_together(local.labels),
                    "together on ray": pairs_together(labels),
                    "together on both": pairs_together(local.labels * len(texts) + labels),
                },
                "bytes_a_case": packed_bytes(local.features),
                "candidates_a_case": len(candidates) / len(texts),
                "kept_pairs_a_case": float((scores >= LEAST).sum()) / len(texts),
            }
        )
    )


def pairs_together(labels: np.ndarray) -> int:
    """Return how many pairs of cases have the same label.

    >>> pairs_together(np.array([0, 0, 0, 1]))
    3
    """
    return sum(math.comb(size, 2) for size in Counter(labels.tolist()).values())


def packed_bytes(features: CaseFeatures) -> int:
    """Return the bytes of what a case is compared by."""
    return len(pack(features.take(np.arange(1)))[0]) + features.vectors.shape[1] * 4


def said(command: list[str]) -> tuple[dict[str, Any], float, dict[str, int]]:
    """Run this module as a process; return what it says, its seconds, and the peak memory of each of its children."""
    run = watch([sys.executable, "-m", "eval.scale.scaling", *command])
    return json.loads(run.lines[-1]), run.seconds, run.children_kb


def gigaflops() -> float:
    """Return the billions of operations a second of one core in comparing vectors with centres."""
    width = 128 + PLACE_SIZE
    rng = np.random.default_rng(0)
    vectors, middles = (rng.random((rows, width), np.float32) for rows in (1_024, CELL))
    times = []
    for _ in range(5):
        began = time.process_time()  # of all threads, so it is that of one core
        vectors @ middles.T
        times.append(time.process_time() - began)
    return 2 * len(vectors) * len(middles) * width / min(times) / 1e9


def measure(folder: Path, rows: int, group_rows: int, rounds: int) -> dict[str, Any]:
    """Measure everything."""
    source = folder / "rows.parquet"
    write_table(source, texts_of(rows))
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    outputs, worker_mb = {}, 0.0
    for turn in range(rounds):
        for way in WAYS:  # they take turns, so that a busy moment of the machine hits all alike
            output = folder / f"{WAYS.index(way)}.parquet"
            facts, seconds, peaks = said(["--classify", str(source), str(output), "--way", way])
            runs[way].append({"rows_per_second": facts["rows"] / facts["seconds"], "whole_seconds": seconds})
            outputs[way] = digest(output)
            if way == WAYS[1]:
                worker_mb = max(peaks.values()) / 1024
            print(turn, way, runs[way][-1], flush=True)
    output_bytes = (folder / "0.parquet").stat().st_size

    some = texts_of(group_rows)
    vectors = folder / "vectors.npy"
    np.save(vectors, DuplicateGrouper.from_pretrained().encode(some))
    write_table(folder / "cases.parquet", some)
    grouped, _, _ = said(["--group", str(folder / "cases.parquet"), str(vectors)])
    return {
        **provenance(f"python -m eval.scale.scaling --rows {rows} --group-rows {group_rows} --rounds {rounds}"),
        "rows": rows,
        "classify": {
            way: {
                name: round(float(np.median([run[name] for run in found])), 2)
                for name in ("rows_per_second", "whole_seconds")
            }
            for way, found in runs.items()
        },
        "same_bytes": len(set(outputs.values())) == 1,
        "group": grouped,
        "figures": {
            "rows_per_core_second": float(np.median([run["rows_per_second"] for run in runs[WAYS[2]]])) / 2,
            "group_core_seconds_a_case": grouped["seconds"]["ray, two workers"] * 2 / group_rows,
            "worker_mb": worker_mb,
            "input_bytes_a_case": source.stat().st_size / rows,
            "output_bytes_a_case": output_bytes / rows,
            "compared_bytes_a_case": grouped["bytes_a_case"],
            "candidates_a_case": grouped["candidates_a_case"],
            "kept_pairs_a_case": grouped["kept_pairs_a_case"],
            "gigaflops_a_core": gigaflops(),
        },
    }


def plan(figures: dict[str, float], cases: int = PLANNED) -> list[tuple[str, str, str]]:
    """Return what so many cases take: what, the arithmetic, and its result."""
    width = 128 + PLACE_SIZE
    read_hours = cases / figures["rows_per_core_second"] / 3_600
    cores = math.ceil(read_hours / NIGHT)
    nodes = math.ceil(cores / NODE_CORES)
    cells = math.ceil(cases / CELL)
    assign_hours = cases * cells * width * 2 / (figures["gigaflops_a_core"] * 1e9) / 3_600
    pair_hours = cases * figures["group_core_seconds_a_case"] / 3_600
    group_hours = read_hours + assign_hours + pair_hours
    in_store = cases * (figures["input_bytes_a_case"] + figures["compared_bytes_a_case"])
    candidates, compared = figures["candidates_a_case"], figures["compared_bytes_a_case"]
    shuffled = BANDS * 16 + PROBES * (17 + 2 * width) + PROBES * NEIGHBOURS * 20 + candidates * (16 + compared)
    driver = cases * (figures["kept_pairs_a_case"] * 20 * 3 + 45)
    return [
        (
            "classify",
            f"{cases:,} cases / {figures['rows_per_core_second']:.1f} a core-second",
            f"{read_hours:,.0f} core-hours",
        ),
        ("cores for a night", f"{read_hours:,.0f} core-hours / {NIGHT:g} h", f"{cores:,} cores"),
        ("nodes", f"{cores:,} / {NODE_CORES} cores", f"{nodes:,} nodes"),
        (
            "memory of a node's workers",
            f"{NODE_CORES} x {figures['worker_mb']:,.0f} MB",
            f"{NODE_CORES * figures['worker_mb'] / 1024:,.1f} GB",
        ),
        (
            "storage, in and out",
            f"{cases:,} x ({figures['input_bytes_a_case']:.0f} + {figures['output_bytes_a_case']:.0f}) bytes, Parquet",
            f"{cases * (figures['input_bytes_a_case'] + figures['output_bytes_a_case']) / 1e9:,.0f} GB",
        ),
        ("group: reading", "as classifying: the model reads every text", f"{read_hours:,.0f} core-hours"),
        (
            "group: cells",
            f"{cases:,} x {cells:,} centres x {width} x 2 / {figures['gigaflops_a_core']:.0f} Gflop/s",
            f"{assign_hours:,.0f} core-hours",
        ),
        (
            "group: everything else",
            f"{cases:,} x {figures['group_core_seconds_a_case'] * 1000:.2f} core-milliseconds",
            f"{pair_hours:,.0f} core-hours",
        ),
        (
            "group: hours on those nodes",
            f"{group_hours:,.0f} core-hours / {cores:,} cores",
            f"{group_hours / cores:.1f} h",
        ),
        (
            "object store of all nodes, with its spilled part",
            f"{cases:,} x ({figures['input_bytes_a_case']:.0f} + {compared:.0f}) bytes",
            f"{in_store / 1e9:,.0f} GB",
        ),
        (
            "shuffled between nodes",
            f"{cases:,} x {shuffled:,.0f} bytes (bands, cells, neighbours, {candidates:.1f} candidates)",
            f"{cases * shuffled / 1e12:,.1f} TB",
        ),
        (
            "memory of the process that joins",
            f"{cases:,} x ({figures['kept_pairs_a_case']:.1f} pairs x 20 bytes x 3 + 45 bytes)",
            f"{driver / 1e9:,.0f} GB",
        ),
    ]


def markdown(result: dict[str, Any]) -> str:
    """Render the result and the plan as Markdown."""
    group, pairs = result["group"], result["group"]["pairs"]
    both = pairs["together on both"]
    lines = [
        "# Scaling",
        "",
        f"{result['date']}, {result['machine']}. `{result['command']}`",
        "",
        f"The same {result['rows']:,} rows in each way; rows/s are of the work, the seconds of the whole process.",
        "",
        "| way | options of `tawasul classify` | rows/s | seconds |",
        "|---|---|---:|---:|",
    ]
    for way, options in zip(WAYS, COMMANDS, strict=True):
        found = result["classify"][way]
        lines.append(f"| {way} | `{options or '-'}` | {found['rows_per_second']} | {found['whole_seconds']} |")
    lines += [
        "",
        f"Outputs are byte for byte the same: {'yes' if result['same_bytes'] else 'NO'}.",
        "",
        f"Grouping {group['cases']:,} cases whose vectors were there: {group['seconds']['here']:.1f} s here, "
        f"{group['seconds']['ray, two workers']:.1f} s on Ray. Pairs put together: {pairs['together here']:,} here, "
        f"{pairs['together on ray']:,} on Ray, {both:,} on both"
        + (f" ({both / pairs['together here']:.2%} of the local ones)." if pairs["together here"] else "."),
        "",
        f"## {PLANNED:,} cases, on paper",
        "",
        "What the figures above come to if they hold at that size; nobody has run it. `eval/scale/scaling.py` does the "
        "arithmetic. A night has "
        f"{NIGHT:g} hours, a node {NODE_CORES} cores of this kind, each a worker.",
        "",
        "| what | from | comes to |",
        "|---|---|---:|",
        *(f"| {what} | {how} | {much} |" for what, how, much in plan(result["figures"])),
        "",
        "The grouping's time a case holds the fixed costs of a small run, so it is too high rather than too low; "
        "waiting for the network is in none of the figures.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure from the command line; return 1 if outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--group-rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("build/scaling"), help="folder for the tables")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--classify", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--group", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.classify:
        classify_once(given.classify[0], given.classify[1], given.way)
        return 0
    if given.group:
        group_once(*given.group)
        return 0
    given.work.mkdir(parents=True, exist_ok=True)
    result = measure(given.work, given.rows, given.group_rows, given.rounds)
    given.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (given.results / "scaling.json").write_text(text, encoding="utf-8")
    (given.results / "scaling.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    return 0 if result["same_bytes"] else 1


if __name__ == "__main__":
    sys.exit(main())
