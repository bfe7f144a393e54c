"""Time our model beside other ways to classify, on the same case-length texts, with the same threads, in one run.

Every system gets a fresh process in every round, so that its memory is its own and a busy moment of the machine meets
all of them. *Texts a second* at a batch size: one call with all texts. *Latency*: one text a call. *Cold start*: from a
process that has imported nothing of it to its first answer. A ratio compares figures of the same round.

The BERT of AraBERT's size (12 layers of 768, 64,000 pieces) has random weights, which take the same time. Its WordPiece
is trained on our own texts, so it cuts them into fewer pieces than one trained on other texts would: that favours it.

Run ``python -m eval.speed.peers`` (about five minutes on two idle cores; ``--texts 32 --rounds 1`` to try it). It
writes ``eval/results/speed.json``, ``.md`` and ``.png``.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.speed.peer_systems import SYSTEMS, prepare
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.plots import GREEN, GREY, figure
from tawasul_nlp.model.folder import BUNDLED, read_config
from training.corpus import LabelSpace, load_examples

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 20261126
BATCH_SIZES = (1, 32, 256)
REFERENCE = "BERT-base pipeline, float32"
OURS = "tawasul"


def run(job: dict[str, Any], threads: int) -> dict[str, Any]:
    """Carry out a job in a fresh process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    command = [sys.executable, "-W", "ignore", "-m", "eval.speed.peer_systems"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{job['system']} failed: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the medians of the rounds for each system, and its ratios to the reference."""

    def p(found: dict[str, Any], share: float) -> float:
        return float(np.quantile(found["latencies_s"], share))

    table: dict[str, dict[str, Any]] = {}
    for name in rounds[0]:
        own = [turn[name] for turn in rounds]
        pairs = [(turn[name], turn[REFERENCE]) for turn in rounds]
        sizes = own[0]["texts_per_s"]
        table[name] = {
            "texts_per_s": {size: statistics.median(one["texts_per_s"][size] for one in own) for size in sizes},
            "p50_ms": 1000 * statistics.median(p(one, 0.5) for one in own),
            "p95_ms": 1000 * statistics.median(p(one, 0.95) for one in own),
            "peak_mb": statistics.median(one["peak_mb"] for one in own),
            "times_as_fast_at_32": statistics.median(
                one["texts_per_s"]["32"] / reference["texts_per_s"]["32"] for one, reference in pairs
            ),
            "share_of_p50": statistics.median(p(one, 0.5) / p(reference, 0.5) for one, reference in pairs),
        }
    return table


def markdown(result: dict[str, Any]) -> str:
    """Render the result."""
    lines = [
        "# Speed",
        "",
        f"{result['date']}, {result['machine']}, {result['threads']} threads; `{result['command']}`, model "
        f"`{result['model']}`.",
        "",
        f"{result['texts']} texts of the test split ({result['tokens']['tawasul']:.0f} tokens each for our model, "
        f"{result['tokens']['bert']:.0f} for the BERT). Medians of {result['rounds']} rounds, a fresh process each. "
        f"Latency: one text a call, {result['singles']} texts. *Times as fast*: texts a second at batch size 32 over "
        f"{REFERENCE}; *p50 as a share*: of its p50. Cold start: import to first answer, median of "
        f"{result['cold_rounds']} processes. Our model's answer includes places, routing and reasons.",
        "",
        "| system | texts/s at 1, 32, 256 | times as fast | p50, p95 ms | p50 as a share | peak MB | cold start s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in result["systems"].items():
        rates = ", ".join(f"{rate:.0f}" for rate in row["texts_per_s"].values())
        cold = f"{row['cold_s']:.2f}" if row.get("cold_s") is not None else "–"
        lines.append(
            f"| {name} | {rates} | {row['times_as_fast_at_32']:.1f} | {row['p50_ms']:.1f}, {row['p95_ms']:.1f} "
            f"| {row['share_of_p50']:.2f} | {row['peak_mb']:.0f} | {cold} |"
        )
    return "\n".join(lines) + "\n"


def plot(result: dict[str, Any]) -> Figure:
    """Draw texts a second and latency of every system."""
    from matplotlib import ticker

    names = list(result["systems"])
    colours = [GREEN if name == OURS else GREY for name in names]
    made, axes = figure(11, 0.55 * len(names) + 1.4, columns=2)
    for axis, title, values in (
        (axes[0], "texts a second, batch size 32", [row["texts_per_s"]["32"] for row in result["systems"].values()]),
        (axes[1], "milliseconds for one text (p50)", [row["p50_ms"] for row in result["systems"].values()]),
    ):
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, [f" {value:,.0f}" if value >= 100 else f" {value:.3g}" for value in values])
        axis.set_xscale("log")
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.set_xlim(min(values) / 2, max(values) * 3)
        axis.set_title(title, fontsize=11)
        axis.invert_yaxis()
    axes[1].set_yticklabels([])
    return made


def mean_tokens(bert: str, model: Path, texts: list[str]) -> dict[str, float]:
    """Return the mean number of tokens that a text has for our model and for the BERT."""
    from tokenizers import Tokenizer

    own = ComplaintClassifier.from_pretrained(model)._scorers.encoder.tokenize(texts).encodings
    theirs = Tokenizer.from_file(str(Path(bert) / "tokenizer.json")).encode_batch(texts)
    return {
        "tawasul": statistics.fmean(len(ids) for ids in own),
        "bert": statistics.fmean(len(encoding.ids) for encoding in theirs),
    }


def prepared(model: Path, texts: int, threads: int, work: Path) -> tuple[list[str], dict[str, Any]]:
    """Draw the texts, write what the systems need, and return both texts and the job that all systems share."""
    labels = LabelSpace.load()
    train = load_examples("train", labels)
    # Texts that no scorer was trained on: the n-gram scorer is surer of those that it was trained on.
    unseen = [example.text for example in load_examples("test", labels)]
    drawn = random.Random(SEED).sample(unseen, min(texts, len(unseen)))
    work.mkdir(parents=True, exist_ok=True)
    files = {"texts": work / "texts.json", "train": work / "train.json"}
    files["texts"].write_text(json.dumps(drawn), encoding="utf-8")
    fitted = {"texts": [one.text for one in train[:6_000]], "topics": [one.topic for one in train[:6_000]]}
    files["train"].write_text(json.dumps(fitted), encoding="utf-8")
    return drawn, {
        **{key: str(path) for key, path in files.items()},
        **prepare(work, [example.text for example in train], model),
        "model": str(model),
        "threads": threads,
        "singles": min(len(drawn), 100),
        "batch_sizes": BATCH_SIZES,
    }


def timed(job: dict[str, Any], rounds: int) -> dict[str, dict[str, Any]]:
    """Time every system once a round, in turn, and return the medians."""
    turns: list[dict[str, dict[str, Any]]] = []
    cold: dict[str, list[float]] = {name: [] for name in SYSTEMS if name != "TF-IDF + linear SVM"}  # fitted on the spot
    for turn in range(rounds):
        turns.append({})
        for name in SYSTEMS:
            turns[-1][name] = run({**job, "system": name, "what": "speed"}, job["threads"])
            print(f"round {turn + 1}: {name}", file=sys.stderr, flush=True)
            if name in cold:
                cold[name].append(run({**job, "system": name, "what": "cold"}, job["threads"])["cold_s"])
    systems = summary(turns)
    for name, taken in cold.items():
        systems[name]["cold_s"] = statistics.median(taken)
    return systems


def main(
    model: Annotated[Path, "model folder"] = BUNDLED,
    texts: Annotated[int, "texts"] = 256,
    rounds: Annotated[int, "rounds"] = 3,
    threads: Annotated[int, "CPU threads"] = os.cpu_count() or 1,
    work: Annotated[Path, "folder for the other systems' files"] = Path("build/speed"),
    out: Path = RESULTS / "speed",
) -> None:
    """Measure and write the results."""
    drawn, job = prepared(model, texts, threads, work)
    systems = timed(job, rounds)
    result: dict[str, Any] = {
        **provenance("python -m eval.speed.peers", *sys.argv[1:]),
        "model": read_config(model).model_hash,
        "threads": threads,
        "texts": len(drawn),
        "singles": job["singles"],
        "rounds": rounds,
        "cold_rounds": rounds,
        "tokens": mean_tokens(job["bert"], model, drawn),
        "systems": systems,
    }
    publish_page(result, markdown(result), out, plot(result))


if __name__ == "__main__":
    sys.exit(run_script(main))
