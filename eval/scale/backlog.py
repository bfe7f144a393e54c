"""Measure ``classify_table`` on long backlogs: peak memory and rows a second, in one go and with a kill in the middle.

The rows are texts of the corpus (its training and validation parts), one after another and from the start again when
they are used up, so a chunk of 1,024 rows has hardly a text twice and every row is really read by the model: identical
texts are encoded once per call only. Each run is a process of its own; its peak memory is the system's ``VmHWM``,
looked at every 10 ms. The second run of a size is killed (SIGKILL) when half of the rows are done, and started again;
both outputs must have the same bytes. ``--without-kill`` leaves the second run out.

``--classifier keyword`` takes a classifier that looks for three words instead of the model: that is not a speed of
ours, but shows what reading, writing and going on cost, on a million rows in minutes. ``--classifier bundled`` is the
model.

Run ``python -m eval.scale.backlog --classifier bundled`` for the model on 10,000, 100,000 and 1,000,000 rows: each is
read twice, which at 220 rows a second takes three hours; ``--sizes 1000000 --without-kill`` takes 75 minutes.
``python -m eval.scale.backlog`` is of the stand-in and takes minutes.
Both write ``backlog.json`` and ``.md`` in ``eval/results`` after every size; what was measured of another classifier
or format is kept there.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from eval.harness import RESULTS, provenance, run_script
from eval.processes import watch
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED, read_config
from tawasul_nlp.tables import classify_table
from tests.tables.keyword_classifier import KeywordClassifier
from training.corpus import LabelSpace, load_examples

SIZES = (10_000, 100_000, 1_000_000)
CHANNELS = ("website", "mobile_app", "call_centre", "service_counter")


def write_backlog(path: Path, rows: int) -> int:
    """Write a CSV of so many rows; return how many different texts it has."""
    labels = LabelSpace.load()
    texts = [example.text for split in ("train", "validation") for example in load_examples(split, labels)]
    day = datetime.date(2016, 1, 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["case_id", "opened", "channel", "text"])
        for n in range(rows):
            opened = day + datetime.timedelta(days=n * 3650 // rows)
            table.writerow([f"TWS-{n:07}", opened.isoformat(), CHANNELS[n % 4], texts[n % len(texts)]])
    return len(set(texts[:rows]))


def classify(source: Path, output: Path, classifier: str) -> None:
    """Be the process that is measured."""
    load = KeywordClassifier if classifier == "keyword" else ComplaintClassifier.from_pretrained
    report = classify_table(load, source, output, text_column="text")
    print(json.dumps({"rows": report.rows_read, "seconds": report.seconds, "resumed": report.resumed}))


def rows_done(output: Path) -> int:
    """Return how many rows the unfinished run of an output has done."""
    try:
        state = (output.with_name(output.name + ".partial") / "state.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return 0
    return int(json.loads(state)["position"][0])


def measured(source: Path, output: Path, classifier: str, kill_at: int | None = None) -> dict[str, Any]:
    """Run the process, kill it when so many rows are done, and return its peak memory and what it says."""
    command = [sys.executable, "-m", "eval.scale.backlog", "--one", str(source), str(output)]
    command += ["--classifier", classifier]
    killed = False

    def kill_in_time(process: subprocess.Popen[str]) -> None:
        nonlocal killed
        if kill_at is not None and not killed and rows_done(output) >= kill_at:
            process.kill()
            killed = True

    run = watch(command, kill_in_time)
    if killed != (kill_at is not None) or bool(run.lines) == killed:
        raise RuntimeError(f"{' '.join(command)} was {'' if killed else 'not '}killed and printed {run.lines}")
    found: dict[str, Any] = json.loads(run.lines[-1]) if run.lines else {"rows": rows_done(output)}
    return found | {"peak_mb": round((run.peak_kb + sum(run.children_kb.values())) / 1024)}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(folder: Path, size: int, classifier: str, ending: str, kill: bool) -> dict[str, Any]:
    """Measure one size in an empty folder: a run in one go and, if asked for, one that is killed and resumed."""
    source, whole, broken = folder / "backlog.csv", folder / f"whole{ending}", folder / f"broken{ending}"
    texts = write_backlog(source, size)
    straight = measured(source, whole, classifier)
    found = {
        "classifier": classifier,
        "model": read_config(BUNDLED).model_hash if classifier == "bundled" else None,
        "format": ending.lstrip("."),
        "rows": size,
        "different_texts": texts,
        "input_mb": round(source.stat().st_size / 2**20, 1),
        "output_mb": round(whole.stat().st_size / 2**20, 1),
        "seconds": round(straight["seconds"], 1),
        "rows_per_second": round(straight["rows"] / straight["seconds"], 1),
        "peak_mb": straight["peak_mb"],
    }
    if not kill:
        return found
    killed = measured(source, broken, classifier, kill_at=size // 2)
    gone_on = measured(source, broken, classifier)
    return found | {
        "killed_at": killed["rows"],
        "killed_peak_mb": killed["peak_mb"],
        "seconds_with_kill": round(gone_on["seconds"], 1),
        "resumed_peak_mb": gone_on["peak_mb"],
        "same_bytes": digest(whole) == digest(broken),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Render the result as Markdown."""
    lines = [
        "# Long backlogs",
        "",
        "Rows are texts of the corpus, repeated when they are used up; see `eval/scale/backlog.py`. `keyword` is no "
        "model: it looks for three words, and shows what reading, writing and going on cost. The second run of a line "
        "was killed after about half of the rows and started again.",
        "",
        "| classifier | format | rows | different texts | seconds | rows/s | peak MB | killed at | "
        "seconds with the kill | peak MB of its two processes | same bytes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        kill = "not run | | | "
        if "killed_at" in row:
            kill = (
                f"{row['killed_at']:,} | {row['seconds_with_kill']:,} | "
                f"{row['killed_peak_mb']}, {row['resumed_peak_mb']} | {'yes' if row['same_bytes'] else 'NO'} "
            )
        lines.append(
            f"| {row['classifier']} | {row['format']} | {row['rows']:,} | "
            f"{row['different_texts']:,} | {row['seconds']:,} | {row['rows_per_second']:,} | {row['peak_mb']} | "
            f"{kill}|"
        )
    lines += ["", "Measured by:", ""]
    for run in dict.fromkeys((row["date"], row["machine"], row["model"], row["command"]) for row in rows):
        date, where, model, command = run
        lines.append(f"- {date}, {where}{f', model `{model}`' if model else ''}: `{command}`")
    return "\n".join(lines) + "\n"


def main(
    sizes: Sequence[int] = SIZES,
    classifier: Literal["keyword", "bundled"] = "keyword",
    format: Annotated[Literal["csv", "jsonl", "parquet"], "of the output"] = "csv",
    without_kill: Annotated[bool, "leave the second run out"] = False,
    work: Annotated[Path, "folder for the tables"] = Path("build/backlog"),
    results: Path = RESULTS,
    one: Annotated[Sequence[Path] | None, "only classify this table, and write that one"] = None,
) -> int:
    """Measure from the command line; return 1 if any two outputs differ."""
    if one:
        source, output = one
        classify(source, output, classifier)
        return 0
    work.mkdir(parents=True, exist_ok=True)
    target = results / "backlog.json"
    rows = json.loads(target.read_text(encoding="utf-8"))["rows"] if target.exists() else []
    run = provenance("python -m eval.scale.backlog", *sys.argv[1:])
    key = ("classifier", "format", "rows")
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=work) as folder:  # nothing of a run that was broken off is there
            row = run | measure(Path(folder), size, classifier, f".{format}", kill=not without_kill)
        print(row, flush=True)
        rows = [old for old in rows if any(old[name] != row[name] for name in key)] + [row]
        rows.sort(key=lambda row: tuple(row[name] for name in key))
        # After every size: the largest takes hours.
        target.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (results / "backlog.md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))
    return 0 if all(row.get("same_bytes", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
