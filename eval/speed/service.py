"""Load-test the example service on the loopback address: throughput and latency at 1, 8 and 32 clients.

Run ``python -m eval.speed.service`` (some minutes on two idle cores; writes ``eval/results/service.json`` and
``service.md``). Two servers are processes of their own, one reading waiting requests together and one reading each by
itself; clients ask one after another, each for one case at a time, and share the machine with them. For every number of
clients both are asked to predict, and the first, which holds an index of open incidents, which of these a case belongs
to; all in turns, and the median round counts. The number of requests is bounded, and the servers are stopped at the
end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp import DuplicateGrouper, DuplicateIndex
from training.corpus import LabelSpace, load_examples

CLIENTS = (1, 8, 32)
OPEN_CASES = 2_000
TOGETHER, ALONE, QUERY = "predict, read together", "predict, one by one", "query of open incidents"


def write_index(folder: Path, texts: list[str]) -> None:
    """Make an index of open incidents."""
    with DuplicateIndex.open(folder, DuplicateGrouper.from_pretrained()) as index:
        index.add({"id": str(number), "text": text} for number, text in enumerate(texts))


@contextmanager
def served(**settings: str) -> Iterator[str]:
    """Run the service, with environment variables, on a free port of the loopback address and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "tawasul_nlp.service.application:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, env={**os.environ, **settings})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/health", timeout=1.0).raise_for_status()
                break
            except httpx.HTTPError:
                if server.poll() is not None:
                    raise RuntimeError(f"the server ended with {server.returncode} before it answered") from None
                time.sleep(0.1)
        else:
            raise RuntimeError("the server did not answer within a minute")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


async def load(address: str, query: bool, texts: list[str], clients: int) -> dict[str, float]:
    """Send every text once, to predict or to query, from ``clients`` clients, and return what they saw."""
    waiting = iter(texts)
    seconds: list[float] = []
    errors = 0

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal errors
        for text in waiting:  # shared: each text goes to whichever client is free
            began = time.perf_counter()
            if query:
                answer = await http.post("/incidents/query", json={"text": text})
            else:
                answer = await http.post("/predict", json={"texts": [text]})
            seconds.append(time.perf_counter() - began)
            errors += answer.status_code != 200

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=60.0, limits=limits) as http:
        began = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(clients)))
        whole = time.perf_counter() - began
    return {
        "requests_per_second": len(texts) / whole,
        "p50_ms": 1e3 * float(np.quantile(seconds, 0.5)),
        "p95_ms": 1e3 * float(np.quantile(seconds, 0.95)),
        "errors": errors,
    }


def measure(texts: list[str], rounds: int, index: Path) -> dict[str, Any]:
    """Measure every way of asking at every number of clients, the ways in turns."""
    table: dict[str, dict[str, Any]] = {}
    with served(TAWASUL_BATCH_TEXTS="64", TAWASUL_INDEX=str(index)) as both, served(TAWASUL_BATCH_TEXTS="1") as alone:
        model = httpx.get(f"{both}/health").json()
        ways = {TOGETHER: (both, False), ALONE: (alone, False), QUERY: (both, True)}
        for way in ways.values():
            asyncio.run(load(*way, texts[:20], 2))
        for clients in CLIENTS:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    runs[name].append(asyncio.run(load(*way, texts, clients)))
            for name, each in runs.items():
                row = {what: float(np.median([run[what] for run in each])) for what in each[0]}
                row["errors"] = sum(run["errors"] for run in each)
                table.setdefault(name, {})[str(clients)] = {what: round(value, 2) for what, value in row.items()}
    gains = {
        clients: round(row["requests_per_second"] / table[ALONE][clients]["requests_per_second"], 3)
        for clients, row in table[TOGETHER].items()
    }
    return {
        **provenance("python -m eval.speed.service", *sys.argv[1:]),
        "model": model["model"],
        "open_cases": model["open_cases"],
        "requests": len(texts),
        "rounds": rounds,
        "table": table,
        "gain_of_reading_together": gains,
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# The example service under load",
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
    lines += ["", f"Throughput of reading together over one by one, by number of clients: {gains}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure from the command line; return 1 if a request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="requests a round (default 300)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--open-cases", type=int, default=OPEN_CASES, help=f"cases in the index (default {OPEN_CASES})")
    parser.add_argument("--out", type=Path, default=RESULTS / "service")
    arguments = parser.parse_args()
    labels = LabelSpace.load()
    texts = [example.text for example in load_examples("validation", labels)][: arguments.requests]
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        write_index(index, [example.text for example in load_examples("train", labels)][: arguments.open_cases])
        result = measure(texts, arguments.rounds, index)
    publish_page(result, markdown(result), arguments.out)
    return int(any(row["errors"] for rows in result["table"].values() for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
