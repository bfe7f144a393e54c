"""Measure what knowing the frequencies of topics gives, where they are not those of the training texts.

The bundled model reads the test split once. Then offices are simulated: each has frequencies of topics that fall as
1/rank (Zipf), the ranks drawn at random, and sees the test texts with weights that give these frequencies. Answers are
compared with and without ``with_priors``, at the true frequencies and at counts of a few hundred cases, in which topics
that do not occur are left out. Nothing is fitted. Intervals are over offices and over bootstrap resamples of the texts.

Run ``python -m eval.quality.priors`` (five minutes); it writes ``eval/results/priors.json`` and ``.md``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.combine import log_ratios, with_ratios
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.thresholds import thresholds_at
from training.corpus import LabelSpace, load_examples

OFFICES = 200
EXPONENTS = (0.0, 0.5, 1.0)
COUNTED = 365  # cases that a small office has labelled
TASKS = ("topic", "agency")
TARGET = 0.05
PLAIN, TRUE, FEW = "as trained", "true frequencies", f"counted in {COUNTED} cases"
_FIGURES = ("accuracy", "calibration error", "accepted", "error among accepted")


def figures(confidence: np.ndarray, hits: np.ndarray, accepted: np.ndarray, weights: np.ndarray) -> list[float]:
    """Return accuracy, calibration error (15 bins of equal width), coverage, and error among accepted answers."""
    total = weights.sum()
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(bins, weights * (confidence - hits), minlength=15)
    covered = weights[accepted].sum()
    return [
        float((weights * hits).sum() / total),
        float(np.abs(gaps).sum() / total),
        float(covered / total),
        float((weights * ~hits)[accepted].sum() / covered),
    ]


def counted(frequencies: np.ndarray, labels: Sequence[str], rng: np.random.Generator) -> dict[str, float]:
    """Return what an office counts in a few cases; what it has not seen it leaves out."""
    drawn = rng.multinomial(COUNTED, frequencies)
    return {label: float(count) for label, count in zip(labels, drawn, strict=True) if count}


@dataclass(frozen=True, slots=True)
class Office:
    """One simulated office."""

    # Of the test texts (n_texts,): they have the office's frequencies.
    weights: np.ndarray
    # The frequencies that it gives, for each way of knowing them.
    known: dict[str, dict[str, float]]


def office(exponent: float, labels: Sequence[str], truth: np.ndarray, seed: int) -> Office:
    """Draw an office's frequencies and a bootstrap resample of the texts, weighted to these frequencies."""
    rng = np.random.default_rng(seed)
    frequencies = 1.0 / rng.permutation(np.arange(1, len(labels) + 1)) ** exponent
    frequencies /= frequencies.sum()
    resampled = np.bincount(rng.integers(len(truth), size=len(truth)), minlength=len(truth))
    of_topic = np.bincount(truth, resampled, minlength=len(labels))
    weights = resampled * (frequencies / np.maximum(of_topic, 1))[truth]
    everything = dict(zip(labels, frequencies.tolist(), strict=True))
    return Office(weights, {TRUE: everything, FEW: counted(frequencies, labels, rng)})


def answers(
    here: Office, tasks: Mapping[str, TaskConfig], logs: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]
) -> dict[tuple[str, str], list[float]]:
    """Return the figures of each task and way in one office."""
    ratios = {way: log_ratios("topic", tasks["topic"], known) for way, known in here.known.items()}
    tables = {PLAIN: logs} | {way: with_ratios(tasks, logs, {"topic": found}) for way, found in ratios.items()}
    thresholds = thresholds_at(tasks, dict.fromkeys(tasks, TARGET))
    found = {}
    for way, table in tables.items():
        for task in TASKS:
            probabilities = np.exp(table[task])
            answer, confidence = probabilities.argmax(1), probabilities.max(1)
            accepted = confidence >= thresholds[task]
            found[task, way] = figures(confidence, answer == truth[task], accepted, here.weights)
    return found


def measure() -> dict[str, Any]:
    """Return, for each steepness, task and way, the mean figures over offices, and the gains with intervals."""
    space = LabelSpace.load()
    examples = load_examples("test", space)
    model = ComplaintClassifier.from_pretrained()
    texts = [example.text for example in examples]
    logs = {task: np.log(model.predict_proba(texts, task)) for task in TASKS}
    truth = {task: np.array([model.labels[task].index(getattr(e, task)) for e in examples]) for task in TASKS}
    tasks = {task: model.config.tasks[task] for task in TASKS}
    result: dict[str, Any] = {"model": model.config.model_hash, "texts": len(texts), "offices": OFFICES, "rows": []}
    for exponent in EXPONENTS:
        offices = [office(exponent, model.labels["topic"], truth["topic"], seed) for seed in range(OFFICES)]
        found = [answers(here, tasks, logs, truth) for here in offices]
        for task, way in itertools.product(TASKS, (PLAIN, TRUE, FEW)):
            values = np.array([one[task, way] for one in found])
            gains = values[:, 0] - np.array([one[task, PLAIN][0] for one in found])
            row = {"exponent": exponent, "task": task, "way": way}
            row |= dict(zip(_FIGURES, values.mean(0).round(4).tolist(), strict=True))
            row["gain"] = np.round([gains.mean(), *np.quantile(gains, (0.025, 0.975))], 4).tolist()
            row["gaining"] = round(float((gains > 0).mean()), 3)
            result["rows"].append(row)
    return result


def markdown(result: dict[str, Any]) -> str:
    """Render the result as a Markdown page."""
    lines = [
        "# Known frequencies of topics",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model']}`.",
        "",
        f"{result['texts']} texts of the test split, weighted to the frequencies of {result['offices']} simulated "
        "offices: a topic's frequency falls with its rank to the power of the *steepness*, and ranks are drawn for "
        "each office. 0 is about what the model was trained on; at 1 the most frequent topic has a fifth of the cases. "
        "Ways: the model as it is; `with_priors` with the office's true frequencies; with what it counts in "
        f"{COUNTED} of its cases, without the topics that are not among them. Gains in accuracy are paired, with the "
        "middle 95% of offices and the share of offices *who gain*. *Accepted* and *error*: answers that need no "
        f"review at a target error of {TARGET:.0%}, whose thresholds stay those of the calibration.",
        "",
        "| steepness | task | frequencies | accuracy | gain in points | who gain | calibration error | accepted "
        "| error |",
        "|--:|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["rows"]:
        gain, low, high = (100 * value for value in row["gain"])
        shown = f"{gain:+.1f} ({low:+.1f} to {high:+.1f}) | {row['gaining']:.0%}" if row["way"] != PLAIN else " | "
        lines.append(
            f"| {row['exponent']:g} | {row['task']} | {row['way']} | {row['accuracy']:.3f} | {shown} | "
            f"{row['calibration error']:.3f} | {row['accepted']:.3f} | {row['error among accepted']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main(out: Path = RESULTS / "priors") -> None:
    """Measure from the command line."""
    result = {**provenance("python -m eval.quality.priors", *sys.argv[1:]), **measure()}
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
