"""Does the service answer without an error for a long time, and does its memory stay flat?

Run ``python -m eval.speed.service_soak`` (ten minutes; writes ``eval/results/service_soak.json`` and ``.md``).
Clients on this machine ask one after another, in turns to predict a case, for its incident, to add it, and to remove it
again, so that the index stays as large as it was. Each minute tells how many requests were answered, which of them with
an error, and the server's memory at its end.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Annotated, Any

import httpx

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.processes import memory_kb, serving
from eval.speed.service import OPEN_CASES, write_index
from training.corpus import LabelSpace, load_examples

CLIENTS = 8


def asked(texts: Iterator[str], numbers: Iterator[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield paths and bodies of requests without an end."""
    for text in texts:
        name = f"soak-{next(numbers)}"
        yield "/predict", {"texts": [text]}
        yield "/incidents/query", {"text": text}
        yield "/incidents/add", {"cases": [{"id": name, "text": text}]}
        yield "/incidents/remove", {"case_id": name}


async def minutes(
    address: str, pid: int, texts: list[str], number: int, seconds: float
) -> AsyncIterator[dict[str, Any]]:
    """Yield what each of so many minutes (or other ``seconds``) brought."""
    answered, errors, stopping = 0, 0, False
    shared, numbers = cycle(texts), count()

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal answered, errors
        for path, body in asked(shared, numbers):
            if stopping:
                return
            answer = await http.post(path, json=body)
            answered += 1
            errors += answer.status_code != 200

    async with httpx.AsyncClient(base_url=address, timeout=60.0) as http:
        clients = [asyncio.create_task(client(http)) for _ in range(CLIENTS)]
        for _ in range(number):
            before, began = (answered, errors), time.perf_counter()
            await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            yield {
                "requests_per_second": round((answered - before[0]) / (time.perf_counter() - began), 1),
                "errors": errors - before[1],
                "memory_mb": round(memory_kb(pid) / 1e3),
            }
        stopping = True
        await asyncio.gather(*clients)


async def measure(folder: Path, texts: list[str], number: int, seconds: float) -> list[dict[str, Any]]:
    """Return what each minute brought."""
    with serving(folder / "log", "--index", str(folder / "index")) as served:
        return [row async for row in minutes(served.address, served.process.pid, texts, number, seconds)]


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# The service for a long time",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. {CLIENTS} clients, which share the machine "
        "with the service, ask in turns to predict a case, for its incident, to add it and to remove it again; the "
        f"index holds {result['open_cases']:,} other cases.",
        "",
        "| minute | requests a second | errors | memory, MB |",
        "|---|---|---|---|",
    ]
    for number, row in enumerate(result["minutes"], 1):
        lines.append(f"| {number} | {row['requests_per_second']:.1f} | {row['errors']} | {row['memory_mb']} |")
    return "\n".join(lines) + "\n"


def main(
    minutes: Annotated[int, "how long"] = 10,
    open_cases: Annotated[int, "cases in the index"] = OPEN_CASES,
    out: Path = RESULTS / "service_soak",
) -> int:
    """Measure from the command line; return 1 if a request failed."""
    labels = LabelSpace.load()
    texts = [example.text for example in load_examples("validation", labels)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_index(folder / "index", [one.text for one in load_examples("train", labels)], open_cases)
        found = asyncio.run(measure(folder, texts, minutes, 60.0))
    command = provenance("python -m eval.speed.service_soak", *sys.argv[1:])
    result = {**command, "open_cases": open_cases, "minutes": found}
    publish_page(result, markdown(result), out)
    return int(any(row["errors"] for row in found))


if __name__ == "__main__":
    sys.exit(run_script(main))
