"""Measure the report: time to make it, its size, and how fast it answers in a browser, from 1,000 to 1,000,000 rows.

Run ``python -m eval.scale.report`` (writes ``eval/results/report.json`` and ``report.md``). The tables hold texts of
the training split with their labels in place of predictions, dates over two years and invented places, urgency and
incidents; a fifth of the cases are further reports of an incident. The page of up to 20,000 rows holds all their texts.
Times in the browser end when the page has drawn itself. Chromium and its driver must be installed (Debian's packages
chromium and chromium-driver) and selenium.
"""

from __future__ import annotations

import datetime
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eval.harness import RESULTS, provenance, publish_page, run_script
from tawasul_nlp.domain import Domain
from tawasul_nlp.extras import require
from tawasul_nlp.report import write_report
from training.corpus import LabelSpace, load_examples

SIZES = (1_000, 20_000, 100_000, 1_000_000)
FILTERS = ("0", "1", "", "2", "")
WORDS = ("الماء", "شارع", "")
# Waits until the page has drawn what a change asks for, twice the frame after it.
_CHANGE = """
const [id, value, done] = arguments, field = document.getElementById(id), began = performance.now();
field.value = value;
field.dispatchEvent(new Event("change"));
requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
"""
# The page waits for the next letter before it searches; with the word in the address it does not.
_SEARCH = """
const [word, done] = arguments, began = performance.now();
const drawn = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
window.addEventListener("hashchange", drawn, { once: true });
location.hash = new URLSearchParams({ search: word, sort: word ? "day.down" : "day.up" });
"""
_READY = "return document.documentElement.dataset.ready ? performance.getEntriesByName('ready')[0].startTime : null"


def table(rows: int) -> pa.Table:
    """Return a classified and grouped table."""
    rng = random.Random(0)
    examples = load_examples("train", LabelSpace.load())
    gazetteer = Domain.bundled().gazetteer
    blocks = [(str(block), governorate) for block, governorate in gazetteer.blocks_seen.items()]
    towns = [place.name_ar for place in gazetteer.places.values() if place.is_area]
    columns: dict[str, list[Any]] = {}
    groups: list[int] = []
    for number in range(rows):
        example = examples[number % len(examples)]
        block, governorate = rng.choice(blocks) if rng.random() < 0.4 else (None, None)
        certainty = round(rng.random() ** 0.3, 4)
        groups.append(rng.choice(groups) if groups and rng.random() < 0.2 else number)
        row = {
            "case_id": f"C{number:07}",
            "opened": datetime.date(2024, 1, 1) + datetime.timedelta(days=rng.randrange(730)),
            "text": example.text,
            "kind": example.kind or "complaint",
            "topic": example.topic,
            "topic_probability": certainty,
            "agency": example.agency,
            "agency_probability": certainty,
            "governorate": governorate,
            "block": block,
            "town": rng.choice(towns) if rng.random() < 0.6 else None,
            "urgency": rng.choices(("emergency", "urgent", "normal"), (1, 6, 93))[0],
            "needs_review": certainty < 0.7,
            "review_reasons": "low_topic_confidence" if certainty < 0.7 else "",
            "incident_id": groups[-1],
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    sizes = np.bincount(groups)
    columns["incident_size"] = sizes[groups].tolist()
    return pa.table(columns)


def in_browser(page: Path, profile: Path) -> dict[str, float]:
    """Return the milliseconds until the page is drawn, and to answer a filter and a search (medians)."""
    require("dev", "a page in a browser", "selenium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--disable-background-networking", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver")) as driver:
        driver.get(page.as_uri())
        while (ready := driver.execute_script(_READY)) is None:
            time.sleep(0.05)
        filters = [driver.execute_async_script(_CHANGE, "filter-topic", value) for value in FILTERS]
        searches = [driver.execute_async_script(_SEARCH, word) for word in WORDS]
    answers = {"filter_ms": float(np.median(filters)), "search_ms": float(np.median(searches))}
    return {"ready_ms": round(ready, 1)} | {name: round(value, 1) for name, value in answers.items()}


def measure(rows: int) -> dict[str, Any]:
    """Make and open one report."""
    with tempfile.TemporaryDirectory() as folder:
        source, page = Path(folder) / "table.parquet", Path(folder) / "report.html"
        pq.write_table(table(rows), source)
        began = time.perf_counter()
        summary = write_report(source, page)
        seconds = time.perf_counter() - began
        shown = in_browser(page, Path(folder) / "profile")
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "megabytes": round(summary.bytes / 1e6, 2),
        "texts": summary.listed,
    } | shown


def main(sizes: Sequence[int] = SIZES, out: Path = RESULTS / "report") -> None:
    """Measure from the command line."""
    measured = [measure(rows) for rows in sizes]
    result = {
        **provenance("python -m eval.scale.report", *sys.argv[1:]),
        "measured": measured,
    }
    lines = [
        "# The report, by rows of its table",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, headless Chromium.",
        "",
        "| rows | texts in the page | seconds to make | MB | ms until drawn | ms to filter | ms to search |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['rows']:,} | {row['texts']:,} | {row['seconds']} | {row['megabytes']} | {row['ready_ms']:.0f} "
        f"| {row['filter_ms']:.0f} | {row['search_ms']:.0f} |"
        for row in measured
    ]
    publish_page(result, "\n".join(lines) + "\n", out)


if __name__ == "__main__":
    sys.exit(run_script(main))
