"""Which way of training pays at which number of labelled cases: accuracy of four methods against training size.

Methods: a linear SVM on TF-IDF, logistic regression on frozen embeddings of the untuned base, and the recipes ``e5``
(full fine-tuning) and ``few_shot``. Sizes: 4, 8 and 16 cases a topic, and 25, 50 and 100% of the first batch's training
cases. Choices (the regression's C, a recipe's early stopping) come from the validation split, which is as large for
every size; accuracy is measured on the test split.

``python -m eval.quality.learning_curve --methods tfidf,frozen,e5,few_shot``: every finished point is a line of
``eval/results/learning_curve.jsonl``, so that a killed run resumes and points can be added; the
``.json``, ``.md`` and ``.png`` beside it are made anew from all lines.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from eval.quality.baselines import base_embeddings, cached, data_key, logistic
from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp.evaluation.baselines import tfidf_svm
from training.corpus import Example, LabelSpace, load_examples

METHODS = {
    "tfidf": "TF-IDF + linear SVM",
    "frozen": "frozen embeddings + logistic regression",
    "e5": "fine-tuned (recipe e5)",
    "few_shot": "fine-tuned (recipe few_shot)",
}
SIZES = ("4", "8", "16", "25%", "50%", "100%")
FROZEN_C = (0.02, 0.2, 2.0)


@cache
def examples(split: str) -> list[Example]:
    """Return the cases of a split; the training split without second batch and re-reports."""
    return load_examples(split, LabelSpace.load(), second_batch=False, reports=False)


def subset(size: str, seed: int) -> list[int]:
    """Return the rows of the training cases that make up a size: the smaller is part of the larger.

    Parameters
    ----------
    size : str
        ``16`` for at most so many cases a topic, ``25%`` for that share of each topic's cases.
    seed : int
    """
    by_topic: dict[str, list[int]] = defaultdict(list)
    cases = examples("train")
    for row in np.random.default_rng(seed).permutation(len(cases)).tolist():
        by_topic[cases[row].topic].append(row)
    rows = []
    for own in by_topic.values():
        count = max(1, round(float(size[:-1]) / 100 * len(own))) if size.endswith("%") else int(size)
        rows += own[:count]
    return sorted(rows)


def texts_and_topics(cases: Sequence[Example]) -> tuple[list[str], list[str]]:
    """Return texts and topics as two lists."""
    return [case.text for case in cases], [case.topic for case in cases]


def linear_scores(rows: list[int], topics: tuple[str, ...]) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit the linear SVM on TF-IDF; return its scores on the test cases."""
    texts, labels = texts_and_topics([examples("train")[row] for row in rows])
    return tfidf_svm(texts, labels, topics, texts_and_topics(examples("test"))[0]), {}


def frozen_scores(
    rows: list[int], topics: tuple[str, ...], base: Path, folder: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit logistic regression on frozen embeddings with the C that validation prefers; score the test cases."""
    vectors = {}
    for split in ("train", "validation", "test"):
        texts = texts_and_topics(examples(split))[0]
        vectors[split] = cached("base", data_key(texts), partial(base_embeddings, texts, base), folder)
    labels = [examples("train")[row].topic for row in rows]
    truth = [topics.index(topic) for topic in texts_and_topics(examples("validation"))[1]]
    known = vectors["train"][rows]
    accuracy = {
        C: float((logistic(known, labels, vectors["validation"], topics, C).argmax(1) == truth).mean())
        for C in FROZEN_C
    }
    best = max(FROZEN_C, key=lambda C: accuracy[C])
    return logistic(known, labels, vectors["test"], topics, best), {"C": best}


def recipe_scores(
    recipe: str, rows: list[int], topics: tuple[str, ...], out: Path, overrides: Sequence[str]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fine-tune by a preset with ``tawasul train`` in a process of its own; score the test cases."""
    from tawasul_nlp import ComplaintClassifier
    from tawasul_nlp.evaluation.baselines import spread

    out.mkdir(parents=True, exist_ok=True)
    tables = {"train": [examples("train")[row] for row in rows], "validation": examples("validation")}
    for name, cases in tables.items():
        lines = (json.dumps({"text": case.text, "topic": case.topic}, ensure_ascii=False) for case in cases)
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Two of the training cases are signs without a word.
    command = [sys.executable, "-m", "tawasul_nlp", "train", str(out / "train.jsonl"), "--leave-out"]
    command += ["--validation", str(out / "validation.jsonl"), "--preset", recipe, "--label-columns", "topic"]
    command += ["--output", str(out / "run")]
    command += [part for setting in overrides for part in ("--set", setting)]
    subprocess.run(command, check=True)
    classifier = ComplaintClassifier.from_pretrained(out / "run" / "model")
    probabilities = classifier.predict_proba(texts_and_topics(examples("test"))[0], "topic")
    return spread(probabilities, classifier.labels["topic"], topics), {"set": list(overrides)}


def measure(method: str, size: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one point and measure it."""
    from sklearn.metrics import f1_score

    topics = LabelSpace.load().topics
    rows = subset(size, seed)
    began = time.perf_counter()
    if method == "tfidf":
        scores, choices = linear_scores(rows, topics)
    elif method == "frozen":
        scores, choices = frozen_scores(rows, topics, options.base, options.work)
    else:
        folder = options.work / "learning_curve" / f"{method}-{size.replace('%', 'pc')}-{seed}"
        scores, choices = recipe_scores(method, rows, topics, folder, [f"backbone={options.base}", *options.set])
    seconds = time.perf_counter() - began
    truth = np.array([topics.index(topic) for topic in texts_and_topics(examples("test"))[1]])
    answers = scores.argmax(1)
    return {
        "method": method,
        "size": size,
        "seed": seed,
        "n": len(rows),
        "data": corpus_key(),
        "accuracy": round(float((answers == truth).mean()), 4),
        "macro_f1": round(float(f1_score(truth, answers, average="macro", zero_division=0)), 4),
        "seconds": round(seconds, 1),
        "date": datetime.date.today().isoformat(),
        **choices,
        "hits": "".join("1" if hit else "0" for hit in answers == truth),
    }


@cache
def corpus_key() -> str:
    """Return a short hash of all cases, by which points of another corpus are recognised."""
    digest = hashlib.sha256()
    for split in ("train", "validation", "test"):
        digest.update(json.dumps([(case.text, case.topic) for case in examples(split)]).encode())
    return digest.hexdigest()[:12]


def load_points(path: Path) -> list[dict[str, Any]]:
    """Read the finished points of this corpus; of a point that was measured twice the latest counts."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    latest = {(p["method"], p["size"], p["seed"]): p for p in lines if p["data"] == corpus_key()}
    return list(latest.values())


def summarise(points: list[dict[str, Any]], resamples: int = 1000) -> dict[str, list[dict[str, Any]]]:
    """Return for each method its sizes in rising order: mean accuracy over seeds and its 95% interval.

    The interval resamples test cases (and seeds, where there are several).
    """
    rng = np.random.default_rng(0)
    together: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for point in points:
        together[point["method"], point["size"]].append(point)
    shown: dict[str, list[dict[str, Any]]] = {}
    for method in METHODS:
        for size in SIZES:
            own = together.get((method, size))
            if not own:
                continue
            hits = np.array([[mark == "1" for mark in point["hits"]] for point in own], dtype=float)
            seeds, rows = hits.shape
            means = [
                hits[rng.integers(seeds, size=seeds)].mean(0)[rng.integers(rows, size=rows)].mean()
                for _ in range(resamples)
            ]
            accuracy = [hits.mean(), *np.quantile(means, [0.025, 0.975])]
            shown.setdefault(method, []).append(
                {
                    "size": size,
                    "n": round(float(np.mean([point["n"] for point in own]))),
                    "seeds": seeds,
                    "accuracy": [round(float(value), 4) for value in accuracy],
                    "macro_f1": round(float(np.mean([point["macro_f1"] for point in own])), 4),
                    "seconds": round(float(np.median([point["seconds"] for point in own])), 1),
                    "set": sorted({setting for point in own for setting in point.get("set", [])}),
                }
            )
    return shown


def markdown(summary: dict[str, list[dict[str, Any]]], head: dict[str, str]) -> str:
    """Render the summary as a page."""
    n_topics = len(LabelSpace.load().topics)
    lines = [
        "# Which way of training at which size",
        "",
        f"{head['date']}, {head['machine']}. `{head['command']}`. Topic accuracy on the test split ({n_topics} topics) "
        "in per cent, mean over seeds, with 95% intervals from resampled test cases and seeds. All methods choose on "
        "the whole validation split, which is larger than the few-shot training sets: with as few labels of your own "
        "to choose on, expect a little less.",
        "",
        "![Accuracy against training cases](learning_curve.png)",
        "",
        "| method | " + " | ".join(f"{size}{'' if size.endswith('%') else ' a topic'}" for size in SIZES) + " |",
        "|---" * (1 + len(SIZES)) + "|",
    ]
    for method, rows in summary.items():
        cells = {row["size"]: row for row in rows}
        texts = [
            "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * value for value in cells[size]["accuracy"]))
            if size in cells
            else "not run"
            for size in SIZES
        ]
        lines.append(f"| {METHODS[method]} | " + " | ".join(texts) + " |")
    sizes = {row["size"]: row["n"] for rows in summary.values() for row in rows}
    lines.append("| training cases | " + " | ".join(str(sizes.get(size, "")) for size in SIZES) + " |")
    subsets = "; ".join(f"{METHODS[m]} {max(row['seeds'] for row in rows)}" for m, rows in summary.items())
    changed = "; ".join(
        f"{METHODS[method]} at {row['size']} {', '.join(row['set'])}"
        for method, rows in summary.items()
        for row in rows
        if row["set"]
    )
    lines += [
        "",
        f"Random subsets of each size below 100%: {subsets}."
        + (f" Settings other than the recipe's: {changed}." if changed else ""),
    ]
    lines += ["", advice(summary)]
    return "\n".join(lines) + "\n"


def advice(summary: dict[str, list[dict[str, Any]]]) -> str:
    """Say which method is best at each size, and which are within chance of it (overlapping intervals)."""
    said = []
    for size in SIZES:
        here = {m: row for m, rows in summary.items() for row in rows if row["size"] == size}
        if len(here) < 2:
            continue
        best = max(here, key=lambda m: here[m]["accuracy"][0])
        near = [METHODS[m] for m in here if m != best and here[m]["accuracy"][2] >= here[best]["accuracy"][1]]
        amount = f"{size} of the cases" if size.endswith("%") else f"{size} cases a topic"
        also = f" (about as good: {', '.join(near)})" if near else ""
        said.append(f"- {amount} ({here[best]['n']}): **{METHODS[best]}**{also}")
    missing = [METHODS[method] for method in METHODS if method not in summary]
    left = f"\n\nNot measured yet: {', '.join(missing)}." if missing else ""
    return "Best measured at each size:\n\n" + "\n".join(said) + left


def plot(summary: dict[str, list[dict[str, Any]]]) -> Any:
    """Draw each method's accuracy against the number of training cases."""
    from tawasul_nlp.evaluation.plots import PALETTE, figure

    made, axis = figure(7.2, 4.6)
    ticks: dict[int, str] = {}
    for method, colour in zip(METHODS, PALETTE, strict=False):
        rows = summary.get(method, [])
        if not rows:
            continue
        n = [row["n"] for row in rows]
        accuracy = 100 * np.array([row["accuracy"] for row in rows])
        axis.plot(n, accuracy[:, 0], marker="o", color=colour, label=METHODS[method])
        axis.fill_between(n, accuracy[:, 1], accuracy[:, 2], color=colour, alpha=0.15, linewidth=0)
        ticks |= {row["n"]: f"{row['n']:,}\n{row['size']}{'' if '%' in row['size'] else ' a topic'}" for row in rows}
    axis.set_xscale("log")
    axis.set_xticks(list(ticks), list(ticks.values()), fontsize=8)
    axis.minorticks_off()
    axis.set(
        xlabel=f"labelled training cases ({len(LabelSpace.load().topics)} topics)",
        ylabel="topic accuracy on the test split, %",
    )
    axis.legend(frameon=False, loc="upper left", fontsize=8)
    return made


def main(argv: list[str] | None = None) -> None:
    """Measure the missing points and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="tfidf,frozen", help=f"of {','.join(METHODS)} (default tfidf,frozen)")
    parser.add_argument("--sizes", default=",".join(SIZES), help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="subsets of each size below 100%% (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of a recipe")
    parser.add_argument("--base", type=Path, default=Path("build/train/base"), help="the untuned base encoder")
    parser.add_argument("--work", type=Path, default=Path("build/eval"))
    parser.add_argument("--out", type=Path, default=RESULTS / "learning_curve", metavar="PREFIX")
    options = parser.parse_args(argv)
    methods, sizes = options.methods.split(","), options.sizes.split(",")
    for name, given, known in (("--methods", methods, METHODS), ("--sizes", sizes, SIZES)):
        if not set(given) <= set(known):
            parser.error(f"{name} is {','.join(given)}, expected some of {','.join(known)}")
    lines = Path(f"{options.out}.jsonl")
    lines.parent.mkdir(parents=True, exist_ok=True)
    done = {(point["method"], point["size"], point["seed"]) for point in load_points(lines)}
    for method in methods:
        for size in sizes:
            for seed in range(1 if size == "100%" else options.seeds):
                if (method, size, seed) in done:
                    continue
                point = measure(method, size, seed, options)
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(point) + "\n")
                print(f"{method} {size} seed {seed}: {point['n']} cases, {100 * point['accuracy']:.1f}", flush=True)
    points = load_points(lines)
    head = {
        **provenance(
            "python -m eval.quality.learning_curve --methods " + ",".join(m for m in METHODS if _has(points, m))
        ),
        "date": max(point["date"] for point in points),
    }
    summary = summarise(points)
    publish_page({**head, "methods": summary}, markdown(summary, head), options.out, plot(summary))


def _has(points: list[dict[str, Any]], method: str) -> bool:
    return any(point["method"] == method for point in points)


if __name__ == "__main__":
    main()
