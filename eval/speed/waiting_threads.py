"""Measure what a training step costs by how OpenMP's threads wait: spinning, spinning for a moment, or asleep.

A step of the bundled model's network on a batch of 32 cases: forwards, backwards, and the optimiser. Every form runs in
a process of its own, all of them in turns, first as the machine is, then beside a busy process for each core.

Run ``python -m eval.speed.waiting_threads``; it writes ``eval/results/waiting_threads.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from eval.processes import answering, ask, busy
from eval.results_files import RESULTS, provenance, publish_page
from eval.speed.threads import AS_IT_IS, BUSY
from tawasul_nlp._system import cores
from training.corpus import LabelSpace, load_examples

FORMS: dict[str, dict[str, str]] = {
    "as OpenMP does it": {},
    "spinning for a moment": {"GOMP_SPINCOUNT": "10000"},
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE"},
}
_SET = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
_BATCH = 32


def serve() -> None:
    """Make a step for each line of standard input, and print what it took."""
    import torch

    from tawasul_nlp.model.folder import BUNDLED
    from tawasul_nlp.training.restore import restore_network, restore_tokenizer

    torch.set_num_threads(cores())
    network = restore_network(BUNDLED).train()
    texts = [example.text for example in load_examples("validation", LabelSpace.load())][:_BATCH]
    batch = restore_tokenizer(BUNDLED)(texts, padding=True, truncation=True, max_length=160, return_tensors="pt")
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, fused=True)
    for _ in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        _, _, *logits = network(batch.input_ids, batch.attention_mask)
        torch.stack([each.log_softmax(1).square().mean() for each in logits]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        found = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
        print(json.dumps(found), flush=True)


def process(settings: Mapping[str, str]) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start a process that makes steps and whose threads wait in one way."""
    environment = {name: value for name, value in os.environ.items() if name not in _SET} | dict(settings)
    return answering([sys.executable, "-m", "eval.speed.waiting_threads", "--serve"], environment)


def steps(rounds: int) -> list[dict[str, Any]]:
    """Time every form in turns; return a row for each and each load."""
    rows = []
    with ExitStack() as opened:
        workers = {form: opened.enter_context(process(settings)) for form, settings in FORMS.items()}
        for worker in workers.values():
            ask(worker, "")
        for load, others in ((AS_IT_IS, 0), (BUSY, cores())):
            found: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
            with busy(others):
                for turn in range(rounds):
                    order = list(FORMS)
                    for form in order[turn % len(order) :] + order[: turn % len(order)]:
                        found[form].append(ask(workers[form], ""))
            rows += [
                {
                    "load": load,
                    "form": form,
                    "settings": FORMS[form],
                    **{name: statistics.median(run[name] for run in runs) for name in ("seconds", "cpu_seconds")},
                }
                for form, runs in found.items()
            ]
    return rows


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# How OpenMP's threads wait in training",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. A step of the bundled model's network on "
        f"{_BATCH} cases, {result['threads']} threads; medians of {result['rounds']} rounds, in which the forms take "
        f"turns. The load average was {result['load_before']:.1f} before the measurement and "
        f"{result['load_after']:.1f} after it: where that is much more than the threads, the machine had other work.",
        "",
        "| load | threads wait | settings | s a step | CPU s a step |",
        "|---|---|---|---:|---:|",
    ]
    for row in result["steps"]:
        settings = " ".join(f"`{name}={value}`" for name, value in row["settings"].items()) or "none"
        lines.append(
            f"| {row['load']} | {row['form']} | {settings} | {row['seconds']:.2f} | {row['cpu_seconds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--out", type=Path, default=RESULTS / "waiting_threads")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    before = os.getloadavg()[0]
    rows = steps(options.rounds)
    result = {
        **provenance("python -m eval.speed.waiting_threads", *sys.argv[1:]),
        "threads": cores(),
        "rounds": options.rounds,
        "load_before": before,
        "load_after": os.getloadavg()[0],
        "steps": rows,
    }
    publish_page(result, markdown(result), options.out)


if __name__ == "__main__":
    main()
