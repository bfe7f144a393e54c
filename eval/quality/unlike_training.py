"""Whether a text's distance from the training texts predicts that an accepted answer is wrong.

A model of the agency is trained on 1,000 cases in Standard Arabic and calibrated on 600; the other registers of the
corpus are then texts that it never saw. ``--write DIR`` writes its tables; train it with ``tawasul train DIR/train.csv
--validation DIR/validation.csv --label-columns agency --duplicates identical --leave-out --set epochs=3 --set
label_issues=false -o DIR/run``, and ``python -m eval.quality.unlike_training --model DIR/run/model`` writes
``eval/results/unlike_training.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.results_files import RESULTS, publish_page
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation import calibrate
from tawasul_nlp.model.ngram import NgramFeatures, NgramScorer
from tawasul_nlp.model.thresholds import threshold_at
from training.corpus import Example, LabelSpace, load_examples

TRAIN, VALIDATION = 1000, 600
SIZES = {"msa": 500, "bahraini": 800, "mixed": 500, "agent_note": 300, "arabizi": 150, "english": 150}
TARGET = 0.15
QUANTILE = 0.95
RECALIBRATED = 400


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What the model makes of some cases: confidence, which answers are right, embeddings, unknown shares."""

    confidence: np.ndarray
    hits: np.ndarray
    truth: np.ndarray
    embedding: np.ndarray
    unknown: dict[str, np.ndarray]


def cases() -> tuple[list[Example], dict[str, list[Example]]]:
    """Return the cases in Standard Arabic that train and validate, and of each register some that do not."""
    known = load_examples("train", LabelSpace.load(), second_batch=False, reports=False)
    own = [case for case in known if case.register == "msa"]
    random.Random(0).shuffle(own)
    others = {"msa": own[TRAIN + VALIDATION :]}
    others |= {name: [case for case in known if case.register == name] for name in SIZES if name != "msa"}
    agencies = {case.agency for case in own[:TRAIN]}
    measured = {name: [case for case in found if case.agency in agencies] for name, found in others.items()}
    for found in measured.values():
        random.Random(1).shuffle(found)
    return own[: TRAIN + VALIDATION], {name: found[: SIZES[name]] for name, found in measured.items()}


def unknown_shares(scorer: NgramScorer, texts: list[str]) -> dict[str, np.ndarray]:
    """Return the shares of each text's character and word n-grams that training did not keep."""
    shares = {}
    for name, block, counts in zip(("characters", "words"), scorer.blocks, NgramFeatures().counts(texts), strict=True):
        rows = np.repeat(np.arange(counts.texts), np.diff(counts.indptr))
        strange = ~np.isin(counts.indices, block.hashes)
        total = np.bincount(rows, minlength=len(texts))
        shares[f"unknown n-grams of {name}"] = np.bincount(rows, strange, len(texts)) / np.maximum(total, 1)
    return shares


def read(classifier: ComplaintClassifier, found: Sequence[Example]) -> Reading:
    """Read cases with the model."""
    texts, labels = [case.text for case in found], classifier.labels["agency"]
    output = classifier._forward(texts)
    scorer = classifier._scorers.ngram
    assert scorer is not None
    probabilities = output.probabilities["agency"]
    truth = np.array([labels.index(case.agency) if case.agency in labels else -1 for case in found])
    unknown = unknown_shares(scorer, texts)
    hits = probabilities.argmax(1) == truth
    return Reading(probabilities.max(1), hits, truth, output.embedding.astype(np.float64), unknown)


def distances(train: Reading, other: Reading) -> dict[str, np.ndarray]:
    """Return how far texts are from the training texts by several measures: (n_texts,) each, more is farther."""
    labels = np.unique(train.truth)
    means = np.array([train.embedding[train.truth == label].mean(0) for label in labels])
    within = train.embedding - means[np.searchsorted(labels, train.truth)]
    covariance = within.T @ within / len(within)
    size = len(covariance)
    precision = np.linalg.inv(covariance + 0.01 * np.trace(covariance) / size * np.eye(size))
    gaps = other.embedding[:, None, :] - means[None]
    directions = means / np.linalg.norm(means, axis=1, keepdims=True)
    return {
        **other.unknown,
        "Mahalanobis distance to the nearest label": ((gaps @ precision) * gaps).sum(2).min(1),
        "cosine to the nearest label's mean": -(other.embedding @ directions.T).max(1),
        "cosine to the fifth nearest text": -np.sort(other.embedding @ train.embedding.T, axis=1)[:, -5],
        "confidence": -other.confidence,
    }


def accepted_errors(hits: np.ndarray, accepted: np.ndarray, registers: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return how many answers of each register are accepted, and the error among them."""
    found = {}
    for name in (*SIZES, "all"):
        rows = accepted & ((registers == name) | (name == "all"))
        found[name] = {"n": int(rows.sum()), "error": round(float(1 - hits[rows].mean()), 4) if rows.any() else None}
    return found


def recalibrated(classifier: ComplaintClassifier, found: Sequence[Example]) -> dict[str, dict[str, Any]]:
    """Calibrate on some cases of a register; return what is accepted of the others, before and after."""
    fitted, rest = found[:RECALIBRATED], found[RECALIBRATED:]
    table = {"text": [case.text for case in fitted], "agency": [case.agency for case in fitted]}
    shown = {}
    with tempfile.TemporaryDirectory() as folder:
        calibrate(classifier, table, output=Path(folder) / "model")
        after = ComplaintClassifier.from_pretrained(Path(folder) / "model")
        for name, model in (("before", classifier), ("after", after)):
            reading = read(model, rest)
            accepted = reading.confidence >= threshold_at(model.config.tasks["agency"].curve, TARGET)
            error = round(float(1 - reading.hits[accepted].mean()), 4) if accepted.any() else None
            shown[name] = {"texts": len(rest), "n": int(accepted.sum()), "error": error}
    return shown


def evaluate(folder: Path) -> dict[str, Any]:
    """Measure a model that was trained on the written tables."""
    from sklearn.metrics import roc_auc_score

    classifier = ComplaintClassifier.from_pretrained(folder, target_error=TARGET)
    own, measured = cases()
    train, validation = read(classifier, own[:TRAIN]), read(classifier, own[TRAIN:])
    near = distances(train, validation)
    readings = {name: read(classifier, found) for name, found in measured.items()}
    far = {name: distances(train, reading) for name, reading in readings.items()}
    separation = {
        measure: {
            name: round(float(roc_auc_score(np.arange(len(values) + len(each)) >= len(values), [*values, *each])), 3)
            for name, each in ((name, far[name][measure]) for name in SIZES)
        }
        for measure, values in near.items()
    }
    registers = np.concatenate([[name] * len(readings[name].hits) for name in SIZES])
    hits = np.concatenate([readings[name].hits for name in SIZES])
    confidence = np.concatenate([readings[name].confidence for name in SIZES])
    accepted = confidence >= threshold_at(classifier.config.tasks["agency"].curve, TARGET)
    errors = {"threshold alone": accepted_errors(hits, accepted, registers)}
    for measure in (name for name in near if name != "confidence"):
        distance = np.concatenate([far[name][measure] for name in SIZES])
        kept = accepted & (distance <= np.quantile(near[measure], QUANTILE))
        raised = confidence >= np.sort(confidence)[::-1][int(kept.sum()) - 1]
        errors[measure] = accepted_errors(hits, kept, registers)
        errors[f"{measure}: the threshold raised instead"] = accepted_errors(hits, raised, registers)
    return {
        "model": classifier.config.model_hash,
        "texts": {name: len(reading.hits) for name, reading in readings.items()},
        "accuracy": {name: round(float(reading.hits.mean()), 4) for name, reading in readings.items()},
        "separation": separation,
        "errors": errors,
        "recalibrated": recalibrated(classifier, measured["bahraini"]),
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Write the page."""

    def cell(part: Mapping[str, Any]) -> str:
        return "-" if part["error"] is None else f"{100 * part['error']:.1f} ({part['n']})"

    names = list(SIZES)
    accuracy = [f"{100 * result['accuracy'][name]:.1f}" for name in names]
    rule = "|---" * (len(names) + 1) + "|"
    before, after = result["recalibrated"]["before"], result["recalibrated"]["after"]
    lines = [
        "# Texts unlike the training texts",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. Model `{result['model']}`: agencies, "
        f"trained on {TRAIN:,} cases in Standard Arabic and calibrated on {VALIDATION}, measured on cases "
        "that it never saw.",
        "",
        "How well each measure separates a register from the validation texts (area under the ROC curve; chance: 0.5):",
        "",
        f"| measure | {' | '.join(names)} |",
        rule,
        *(
            f"| {measure} | {' | '.join(f'{each[name]:.2f}' for name in names)} |"
            for measure, each in result["separation"].items()
        ),
        f"| *texts* | {' | '.join(str(result['texts'][name]) for name in names)} |",
        f"| *accuracy, %* | {' | '.join(accuracy)} |",
        "",
        f"Error in per cent among the answers that are accepted at a target of {TARGET:.0%} (and how many they are), "
        f"when texts are sent to review that lie farther than {QUANTILE:.0%} of the validation texts; and when the "
        "threshold is raised for all texts instead, until as many are accepted:",
        "",
        f"| sent to review | {' | '.join(names)} | all |",
        rule + "---|",
        *(
            f"| {name} | {' | '.join(cell(part[each]) for each in (*names, 'all'))} |"
            for name, part in result["errors"].items()
        ),
        "",
        f"Calibrated on {RECALIBRATED} cases in the dialect instead (`calibrate`), of {after['texts']} others "
        f"{after['n']} are accepted, {cell(after).split()[0]}% of them wrong; before, {before['n']} and "
        f"{cell(before).split()[0]}%.",
    ]
    return "\n".join(lines) + "\n"


def write_tables(folder: Path) -> None:
    """Write the tables that the model is trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    own, _ = cases()
    for name, found in (("train", own[:TRAIN]), ("validation", own[TRAIN:])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "agency"])
            writer.writerows((case.text, case.agency) for case in found)


def main(argv: list[str] | None = None) -> int:
    """Write the tables, or measure."""
    from tawasul_nlp._system import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    does = parser.add_mutually_exclusive_group(required=True)
    does.add_argument("--write", type=Path, metavar="DIR", help="write the tables to train on")
    does.add_argument("--model", type=Path, metavar="FOLDER", help="the model that was trained on them")
    parser.add_argument("--out", type=Path, default=RESULTS / "unlike_training", metavar="PREFIX")
    arguments = parser.parse_args(argv)
    if arguments.write is not None:
        write_tables(arguments.write)
        return 0
    head = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "command": "python -m eval.quality.unlike_training --model DIR/run/model",
    }
    result = {**head, **evaluate(arguments.model)}
    publish_page(result, markdown(result), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
