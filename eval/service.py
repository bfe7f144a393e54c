"""Load-test the example service on the loopback address: throughput and latency at 1, 8 and 32 clients.

Run ``python -m eval.service`` (writes ``eval/results/service.json`` and ``service.md``). The server is a process of
its own; clients ask one after another, each for one case at a time, and share the machine with it. Every number of
clients is measured with and without reading waiting requests together, in turns, and the median round counts. The
number of requests is bounded, and the server is stopped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from training.corpus import LabelSpace, load_examples

RESULTS = Path(__file__).parent / "results"
CLIENTS = (1, 8, 32)
MODES = {"read together": "64", "one by one": "1"}


@contextmanager
def served(batch_texts: str) -> Iterator[str]:
    """Run the service on a free port of the loopback address and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "examples.service.app:create_app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, env={**os.environ, "TAWASUL_BATCH_TEXTS": batch_texts})
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
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


async def load(address: str, texts: list[str], clients: int) -> dict[str, float]:
    """Send every text once, from ``clients`` clients, and return what they saw."""
    waiting = iter(texts)
    seconds: list[float] = []
    errors = 0

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal errors
        for text in waiting:  # shared: each text goes to whichever client is free
            began = time.perf_counter()
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


def measure(texts: list[str], rounds: int) -> dict[str, Any]:
    """Measure every mode and number of clients, the modes in turns."""
    table: dict[str, dict[str, Any]] = {}
    with served(MODES["read together"]) as together, served(MODES["one by one"]) as alone:
        addresses = dict(zip(MODES, (together, alone), strict=True))
        for address in addresses.values():
            asyncio.run(load(address, texts[:20], 2))
        for clients in CLIENTS:
            runs: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
            for _ in range(rounds):
                for mode, address in addresses.items():
                    runs[mode].append(asyncio.run(load(address, texts, clients)))
            for mode, each in runs.items():
                row = {name: float(np.median([run[name] for run in each])) for name in each[0]}
                row["errors"] = sum(run["errors"] for run in each)
                table.setdefault(mode, {})[str(clients)] = {name: round(value, 2) for name, value in row.items()}
    gains = {
        clients: round(row["requests_per_second"] / table["one by one"][clients]["requests_per_second"], 3)
        for clients, row in table["read together"].items()
    }
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "command": "python -m eval.service",
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
        f"{result['date']}, {result['machine']}, `{result['command']}`. Clients and server share the machine. "
        f"{result['requests']} requests of one case each a round, median of {result['rounds']} rounds.",
        "",
        "| waiting requests are | clients | requests a second | p50 ms | p95 ms | errors |",
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


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="requests a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "service")
    arguments = parser.parse_args()
    texts = [example.text for example in load_examples("validation", LabelSpace.load())][: arguments.requests]
    result = measure(texts, arguments.rounds)
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = markdown(result)
    arguments.out.with_suffix(".md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
