"""Load-test ``tawasul serve`` on the loopback address: throughput and latency, and what HTTP costs.

Run ``python -m eval.speed.service`` (some minutes on two idle cores; writes ``eval/results/service.json`` and
``service.md``). Two servers are processes of their own, one reading waiting requests together and one reading each by
itself; clients ask one after another, and share the machine with them. For 1, 8 and 32 clients with one case a request
both are asked to predict, and the first, which holds an index of open incidents, which of these a case belongs to, also
while another client adds cases. Then 8 clients send the first batches of cases, beside ``predict`` in this process with
the same batches. All is done in turns, and the median round counts. The number of requests is bounded, and the servers
are stopped at the end.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, cycle, islice
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.processes import serving
from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex
from training.corpus import LabelSpace, load_examples

CLIENTS = (1, 8, 32)
BATCHES = (1, 8, 64)
BATCH_CLIENTS = 8
# So many cases are sent in batches: two of the largest for each client.
BATCHED = 2 * BATCH_CLIENTS * BATCHES[-1]
OPEN_CASES = 2_000
TOGETHER, ALONE, QUERY = "predict, read together", "predict, one by one", "query of open incidents"
QUERY_ADDING = f"the same, while batches of {BATCHES[-1]} cases are added"


def write_index(folder: Path, texts: Sequence[str], open_cases: int) -> None:
    """Make an index of open incidents; where the texts do not suffice, they come again with a number behind them."""
    rounds = (f"{text} {turn}".removesuffix(" 0") for turn in count() for text in texts)
    cases = [{"id": str(number), "text": text} for number, text in enumerate(islice(rounds, open_cases))]
    grouper = DuplicateGrouper.from_pretrained()
    with DuplicateIndex.open(folder, grouper) as index:
        index.load_groups(grouper.group(cases))


def in_batches(texts: Sequence[str], size: int) -> list[dict[str, Any]]:
    """Return bodies of requests to predict, of so many texts each."""
    return [{"texts": texts[start : start + size]} for start in range(0, len(texts), size)]


async def load(
    address: str, path: str, bodies: Sequence[dict[str, Any]], clients: int, added: Iterable[dict[str, Any]] = ()
) -> dict[str, float]:
    """Send every body once from ``clients`` clients, and return what they saw; one more client adds cases meanwhile."""
    waiting = iter(bodies)
    seconds: list[float] = []
    errors = 0

    async def add(http: httpx.AsyncClient) -> None:
        nonlocal errors
        for body in added:
            errors += (await http.post("/incidents/add", json=body)).status_code != 200

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal errors
        for body in waiting:  # shared: each goes to whichever client is free
            began = time.perf_counter()
            answer = await http.post(path, json=body)
            seconds.append(time.perf_counter() - began)
            errors += answer.status_code != 200

    limits = httpx.Limits(max_connections=clients + 1)
    async with httpx.AsyncClient(base_url=address, timeout=60.0, limits=limits) as http:
        adding = asyncio.create_task(add(http))
        began = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(clients)))
        whole = time.perf_counter() - began
        adding.cancel()
    return {
        "requests_per_second": len(bodies) / whole,
        "p50_ms": 1e3 * float(np.quantile(seconds, 0.5)),
        "p95_ms": 1e3 * float(np.quantile(seconds, 0.95)),
        "errors": errors,
    }


def own_rate(classifier: ComplaintClassifier, texts: Sequence[str], size: int) -> float:
    """Return how many texts a second ``predict`` reads in batches."""
    began = time.perf_counter()
    for body in in_batches(texts, size):
        classifier.predict(body["texts"])
    return len(texts) / (time.perf_counter() - began)


def median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure, and all errors."""
    row = {name: round(float(np.median([run[name] for run in runs])), 2) for name in runs[0]}
    return {**row, "errors": sum(run["errors"] for run in runs)}


def new_cases(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield batches of cases to add, without end."""
    numbered = ({"id": f"new-{number}", "text": f"{text} {number}"} for number, text in enumerate(cycle(texts)))
    while True:
        yield {"cases": list(islice(numbered, BATCHES[-1]))}


def measure_clients(texts: list[str], rounds: int, both: str, alone: str) -> dict[str, Any]:
    """Measure every way of asking at every number of clients, the ways in turns."""
    questions = [{"text": text} for text in texts]
    ways = {
        TOGETHER: (both, "/predict", in_batches(texts, 1)),
        ALONE: (alone, "/predict", in_batches(texts, 1)),
        QUERY: (both, "/incidents/query", questions),
        QUERY_ADDING: (both, "/incidents/query", questions),
    }
    added = new_cases(texts)
    table: dict[str, dict[str, Any]] = {name: {} for name in ways}
    for address, path, bodies in ways.values():
        asyncio.run(load(address, path, bodies[:20], 2))
    for clients in CLIENTS:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                beside = added if name == QUERY_ADDING else ()
                runs[name].append(asyncio.run(load(*way, clients, beside)))
        for name, each in runs.items():
            table[name][str(clients)] = median(each)
    return table


def measure_batches(texts: list[str], rounds: int, address: str) -> dict[str, Any]:
    """Measure ``predict`` here and over HTTP with the same batches, in turns."""
    classifier = ComplaintClassifier.from_pretrained()
    classifier.predict(texts[:20])
    table = {}
    for size in BATCHES:
        own, runs = [], []
        for _ in range(rounds):
            own.append(own_rate(classifier, texts, size))
            runs.append(asyncio.run(load(address, "/predict", in_batches(texts, size), BATCH_CLIENTS)))
        requests = -(-len(texts) // size)
        rates = [run["requests_per_second"] * len(texts) / requests for run in runs]
        here, served = float(np.median(own)), float(np.median(rates))
        table[str(size)] = {
            "own_texts_per_second": round(here, 2),
            "http_texts_per_second": round(served, 2),
            "share": round(served / here, 3),
            "errors": sum(run["errors"] for run in runs),
        }
    return table


def measure(texts: list[str], requests: int, rounds: int, index: Path, logs: Path) -> dict[str, Any]:
    """Measure both servers."""
    with serving(logs / "both", "--index", str(index)) as both, serving(logs / "alone", "--batch-texts", "1") as alone:
        info = httpx.get(f"{both.address}/info").json()
        table = measure_clients(texts[:requests], rounds, both.address, alone.address)
        batches = measure_batches(list(islice(cycle(texts), BATCHED)), rounds, both.address)
    gains = {
        clients: round(row["requests_per_second"] / table[ALONE][clients]["requests_per_second"], 3)
        for clients, row in table[TOGETHER].items()
    }
    return {
        **provenance("python -m eval.speed.service", *sys.argv[1:]),
        "model": info["model"],
        "open_cases": info["index"]["cases"],
        "requests": requests,
        "rounds": rounds,
        "table": table,
        "gain_of_reading_together": gains,
        "batches": batches,
        "batched_texts": BATCHED,
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# The service under load",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model']}`. Clients and servers "
        f"share the machine. {result['requests']} requests of one case each a round, median of {result['rounds']} "
        f"rounds; the index holds {result['open_cases']:,} open cases.",
        "",
        "| request | clients | requests a second | p50 ms | p95 ms | errors |",
        "|---|---|---|---|---|---|",
    ]
    for mode, rows in result["table"].items():
        for clients, row in rows.items():
            lines.append(
                f"| {mode} | {clients} | {row['requests_per_second']:.1f} | {row['p50_ms']:.0f} | {row['p95_ms']:.0f} "
                f"| {row['errors']:.0f} |"
            )
    gains = ", ".join(f"{gain:.2f} at {clients}" for clients, gain in result["gain_of_reading_together"].items())
    lines += [
        "",
        f"Throughput of reading together over one by one, by number of clients: {gains}.",
        "",
        f"{result['batched_texts']:,} cases in batches, by `predict` in one process, and by {BATCH_CLIENTS} clients "
        "over HTTP. What waits is read together, so clients with small batches may get more than `predict` alone.",
        "",
        "| cases a batch | `predict`, cases a second | HTTP, cases a second | share | errors |",
        "|---|---|---|---|---|",
    ]
    for size, row in result["batches"].items():
        lines.append(
            f"| {size} | {row['own_texts_per_second']:.1f} | {row['http_texts_per_second']:.1f} | {row['share']:.0%} "
            f"| {row['errors']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(
    requests: Annotated[int, "requests a round"] = 300,
    rounds: Annotated[int, "rounds"] = 3,
    open_cases: Annotated[int, "cases in the index"] = OPEN_CASES,
    out: Path = RESULTS / "service",
) -> int:
    """Measure from the command line; return 1 if a request failed."""
    labels = LabelSpace.load()
    texts = [example.text for example in load_examples("validation", labels)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_index(folder / "index", [one.text for one in load_examples("train", labels)], open_cases)
        result = measure(texts, requests, rounds, folder / "index", folder)
    publish_page(result, markdown(result), out)
    rows = [row for of in result["table"].values() for row in of.values()]
    return int(any(row["errors"] for row in [*rows, *result["batches"].values()]))


if __name__ == "__main__":
    sys.exit(run_script(main))
