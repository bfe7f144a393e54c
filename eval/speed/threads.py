"""Measure what the encoder's threads cost and give: spinning, and how much of the model each thread has for itself.

Every form runs in a process of its own, all of them in turns on the same texts, so that a busy moment of the machine
hits all alike: first as the machine is, then beside a busy process for each core. Memory is the peak of fresh
processes that read 512 texts.

Run ``python -m eval.speed.threads``; it writes ``eval/results/threads.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from eval.processes import answering, ask, busy, peak_kb
from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp._system import cores
from tawasul_nlp.model.folder import BUNDLED, ENCODER
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import Batch, PerProcess
from tawasul_nlp.model.telemetry import onnxruntime_without_telemetry
from training.corpus import LabelSpace, load_examples

OURS, SPINNING, ONE_SESSION, ONE_TABLE = FORMS = (
    "a session for each thread, no spinning",
    "a session for each thread, spinning",
    "one session for all threads, no spinning",
    "a session for each thread, one embedding table, no spinning",
)
ORDERS = list(itertools.permutations(FORMS))[::5]
ALONE, TOGETHER = "one text a call", "64 texts a call"
AS_IT_IS, BUSY = "as the machine is", "beside a busy process for each core"
_TEXTS = {ALONE: 24, TOGETHER: 64}
_TABLE = "encoder.embeddings.word_embeddings.rows"


class OneSession(OnnxRuntime):
    """Many batches at once in one session."""

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__(path, threads)
        self._shared = PerProcess(partial(self._open, 1))

    def _run_alone(self, batch: Batch) -> dict[str, Any]:
        return self._run(self._shared.get(), *batch)


class OneTable(OnnxRuntime):
    """Sessions that have only one embedding table among them."""

    _one_at_a_time = threading.Lock()

    def _open(self, threads: int) -> Any:
        with self._one_at_a_time:
            return self._open_with_table(threads)

    def _open_with_table(self, threads: int) -> Any:
        onnxruntime = onnxruntime_without_telemetry()
        if not hasattr(self, "_table"):
            import onnx

            constants = onnx.load(self.path).graph.initializer
            (table,) = (onnx.numpy_helper.to_array(found) for found in constants if found.name == _TABLE)
            self._table = onnxruntime.OrtValue.ortvalue_from_numpy(table)
        value, plain = self._table, onnxruntime.SessionOptions

        class Options(plain):  # type: ignore[misc, valid-type]
            def __init__(self) -> None:
                super().__init__()
                self.add_initializer(_TABLE, value)

        onnxruntime.SessionOptions = Options
        try:
            return super()._open(threads)
        finally:
            onnxruntime.SessionOptions = plain


def classifier(form: str, threads: int) -> ComplaintClassifier:
    """Return the bundled model's classifier with the encoder in this form."""
    found = ComplaintClassifier.from_pretrained(threads=threads, spinning=form == SPINNING)
    if form in (ONE_SESSION, ONE_TABLE):
        runtime = (OneSession if form == ONE_SESSION else OneTable)(BUNDLED / ENCODER, threads)
        found._scorers.runtime = found._scorers.encoder.runtime = runtime
    return found


def serve(form: str, threads: int) -> None:
    """Read texts from standard input, a list a line, and print what reading them took."""
    model = classifier(form, threads)
    for line in sys.stdin:
        job = json.loads(line)
        calls = job["texts"] if job["one_by_one"] else [job["texts"][at : at + 64] for at in range(0, job["size"], 64)]
        began, used = time.perf_counter(), time.process_time()
        for call in calls:
            model.predict(call)
        seconds, busy = time.perf_counter() - began, time.process_time() - used
        print(json.dumps({"seconds": seconds, "cpu_seconds": busy, "peak_mb": peak_kb() / 1000}), flush=True)


def command(form: str, threads: int) -> list[str]:
    """Return the command of a process that reads with one form of the encoder."""
    return [sys.executable, "-m", "eval.speed.threads", "--serve", form, "--threads", str(threads)]


def read_in(process: subprocess.Popen[str], texts: list[str], *, one_by_one: bool) -> dict[str, float]:
    """Return what reading the texts took in this process."""
    found: dict[str, float] = ask(process, json.dumps({"texts": texts, "size": len(texts), "one_by_one": one_by_one}))
    return found


def speeds(texts: list[str], rounds: int, threads: int) -> list[dict[str, Any]]:
    """Time every form in turns; return a row for each, each way of calling and each load."""
    rows = []
    with ExitStack() as opened:
        workers = {form: opened.enter_context(answering(command(form, threads))) for form in FORMS}
        for worker in workers.values():
            for way, size in _TEXTS.items():
                read_in(worker, texts[:size], one_by_one=way == ALONE)
        for load, others in ((AS_IT_IS, 0), (BUSY, cores())):
            for way, size in _TEXTS.items():
                found: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
                with busy(others):
                    for turn in range(rounds):
                        # Another order each time, so that no form always follows the same one.
                        for form in ORDERS[turn % len(ORDERS)]:
                            found[form].append(read_in(workers[form], texts[:size], one_by_one=way == ALONE))
                for form, runs in found.items():
                    pairs = list(zip(runs, found[OURS], strict=True))
                    rows.append(
                        {
                            "load": load,
                            "way": way,
                            "form": form,
                            "texts_per_second": size / statistics.median(run["seconds"] for run in runs),
                            "cpu_ms_per_text": 1e3 * statistics.median(run["cpu_seconds"] for run in runs) / size,
                            "speed_ratio": statistics.median(ours["seconds"] / run["seconds"] for run, ours in pairs),
                            "cpu_ratio": statistics.median(
                                run["cpu_seconds"] / ours["cpu_seconds"] for run, ours in pairs
                            ),
                        }
                    )
    return rows


def memory(texts: list[str], threads: tuple[int, ...]) -> dict[str, dict[str, int]]:
    """Return the peak memory of each form by its threads, in MB."""
    table: dict[str, dict[str, int]] = {}
    for form in (OURS, ONE_SESSION, ONE_TABLE):
        for count in threads:
            with answering(command(form, count)) as process:
                table.setdefault(form, {})[str(count)] = round(read_in(process, texts, one_by_one=False)["peak_mb"])
    return table


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# Threads and memory",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model']}`. "
        f"{result['threads']} threads; medians of {result['rounds']} rounds, in which the forms take turns. The load "
        f"average was {result['load_before']:.1f} before the measurement and {result['load_after']:.1f} after it: "
        "where that is much more than the threads, the machine had other work as well, and ratios say more than "
        "speeds. Ratios are of runs side by side, to the first form. Only spinning differs in how one text is read: "
        "how far the other forms differ there is the measurement's own uncertainty. The embedding table is taken out "
        "of the model by a package that the library does not need, whose memory counts here.",
        "",
        "| load | texts | form | texts/s | speed | CPU ms a text | CPU |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in result["speeds"]:
        lines.append(
            f"| {row['load']} | {row['way']} | {row['form']} | {row['texts_per_second']:.1f} | "
            f"{row['speed_ratio']:.2f} | {row['cpu_ms_per_text']:.1f} | {row['cpu_ratio']:.2f} |"
        )
    counts = list(next(iter(result["memory_mb"].values())))
    lines += [
        "",
        f"Peak memory of a process that reads {result['memory_texts']} texts, in MB, by its threads, whatever the "
        "machine's cores:",
        "",
        f"| form | {' | '.join(counts)} | each more |",
        f"|---|{'---:|' * (len(counts) + 1)}",
    ]
    for form, peaks in result["memory_mb"].items():
        more = int(counts[-1]) - int(counts[0])
        each = f"{(peaks[counts[-1]] - peaks[counts[0]]) / more:.0f}" if more else ""
        lines.append(f"| {form} | {' | '.join(str(peaks[count]) for count in counts)} | {each} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--threads", type=int, default=cores(), help="threads (default: one for each core)")
    parser.add_argument("--memory", type=int, nargs="+", default=[1, 2, 4, 16], help="threads to take the memory of")
    parser.add_argument("--out", type=Path, default=RESULTS / "threads")
    parser.add_argument("--serve", choices=FORMS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.threads)
        return
    texts = [example.text for example in load_examples("validation", LabelSpace.load())][:512]
    before = os.getloadavg()[0]
    peaks = memory(texts, tuple(options.memory))
    rows = speeds(texts, options.rounds, options.threads)
    result = {
        **provenance("python -m eval.speed.threads", *sys.argv[1:]),
        "model": ComplaintClassifier.from_pretrained().config.model_hash,
        "threads": options.threads,
        "rounds": options.rounds,
        "load_before": before,
        "load_after": os.getloadavg()[0],
        "speeds": rows,
        "memory_texts": len(texts),
        "memory_mb": peaks,
    }
    publish_page(result, markdown(result), options.out)


if __name__ == "__main__":
    main()
