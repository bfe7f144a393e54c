"""Whether a model tells emergencies and urgent cases from those that can wait.

A model answers for the stored test split, which two labellers read blind (``training/data/urgency.jsonl``), and for the
held-out cases of ``eval/data/issues.jsonl``. Beside it stand one labelling measured by the other, and TF-IDF with a
linear SVM that learned from the training labels.

Run ``python -m eval.quality.urgency`` (writes ``eval/results/urgency.json`` and ``.md``); ``--model FOLDER`` for
another model than the bundled one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from sklearn.metrics import average_precision_score

from eval.harness import RESULTS, estimate_cell, provenance, publish_page, run_script
from eval.quality.masks import DATA as HELD_OUT
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.domain.taxonomy import URGENCIES
from tawasul_nlp.evaluation.baselines import tfidf_svm
from tawasul_nlp.evaluation.metrics import bootstrap
from training.splits import DATA, load_splits, read_jsonl

LEVELS = URGENCIES
FIGURES = {
    "macro_f1": "macro-F1",
    "recall": "emergencies found",
    "precision": "emergencies among those answered",
    "average_precision": "average precision of emergencies",
    "pressing_recall": "urgent or emergency found among those that are",
    "alarms": "cases answered as emergencies",
    "accuracy": "accuracy",
}
BARS = {
    "macro_f1": "at least .74",
    "recall": "at least .80",
    "precision": "at least .55",
    "average_precision": "at least .75",
    "pressing_recall": "at least .80",
}
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with their urgency, and two blind labellings of it."""

    texts: list[str]
    truth: list[str]
    first: list[str]
    second: list[str]


def test_split() -> Labelled:
    """Return the cases of the stored test split."""
    side, texts = load_splits(), {case["id"]: case["text"] for case in read_jsonl(DATA / "cases.jsonl")}
    rows = [row for row in read_jsonl(DATA / "urgency.jsonl") if side.get(row["id"]) == "test"]
    first, second = zip(*(row["labels"] for row in rows), strict=True)
    return Labelled([texts[row["id"]] for row in rows], [row["urgency"] for row in rows], list(first), list(second))


def cases_of_issues() -> Labelled:
    """Return the held-out cases with one or several issues."""
    rows = read_jsonl(HELD_OUT / "issues.jsonl")
    truth = [row["urgency"] for row in rows]
    return Labelled([row["text"] for row in rows], truth, truth, [row["second"]["urgency"] for row in rows])


def training_labels() -> tuple[list[str], list[str]]:
    """Return the texts that may be learned from, with their urgency."""
    side = load_splits()
    texts = {row["id"]: row["text"] for name in ("cases", "second_batch") for row in read_jsonl(DATA / f"{name}.jsonl")}
    rows = [row for row in read_jsonl(DATA / "urgency.jsonl") if side.get(row["id"], "train") == "train"]
    composed = read_jsonl(DATA / "urgency_cases.jsonl")
    return (
        [*(texts[row["id"]] for row in rows), *(row["text"] for row in composed)],
        [row["urgency"] for row in (*rows, *composed)],
    )


def answered(classifier: ComplaintClassifier, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the urgency that a model answers, and the probability of an emergency: (texts,)."""
    levels = [prediction.urgency.id for prediction in classifier.predict(texts) if prediction.urgency is not None]
    if len(levels) < len(texts):
        raise ValueError(f"{classifier.folder}: tells no urgency; measure a model with a task urgency of {LEVELS}")
    of_emergency = classifier.labels["urgency"].index(LEVELS[0])
    return levels, classifier.predict_proba(texts, "urgency")[:, of_emergency]


def summariser(
    truth: Sequence[str], answers: Sequence[str], emergency: np.ndarray | None = None
) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from weights of the texts to :data:`FIGURES`.

    ``emergency`` are the probabilities of one, (texts,); without them the answers count as probabilities.
    """
    true, given = (np.array([[one == level for level in LEVELS] for one in side]) for side in (truth, answers))
    ranked = given[:, 0].astype(float) if emergency is None else emergency

    def figures(weights: np.ndarray) -> dict[str, float]:
        hits, labelled, said = (weights @ part for part in (true & given, true, given))
        pressing = ~true[:, 2]
        return {
            "average_precision": float(average_precision_score(true[:, 0], ranked, sample_weight=weights)),
            "pressing_recall": float(weights @ (pressing & ~given[:, 2]) / max(weights @ pressing, 1.0)),
            "alarms": float(said[0] / weights.sum()),
            "macro_f1": float((2 * hits / np.maximum(labelled + said, 1.0)).mean()),
            "recall": float(hits[0] / max(labelled[0], 1.0)),
            "precision": float(hits[0] / max(said[0], 1.0)),
            "accuracy": float(hits.sum() / weights.sum()),
        }

    return figures


def measure(classifier: ComplaintClassifier) -> dict[str, Any]:
    """Return the figures of each system on each collection."""
    known, labels = training_labels()
    found: dict[str, Any] = {}
    for name, cases in {"stored test split": test_split(), "cases of several issues": cases_of_issues()}.items():
        svm = [LEVELS[best] for best in tfidf_svm(known, labels, LEVELS, cases.texts).argmax(axis=1).tolist()]
        systems: dict[str, tuple[Any, ...]] = {
            "one labelling by the other": (cases.second, cases.first),
            "TF-IDF + linear SVM": (cases.truth, svm),
        }
        if classifier.predict("").urgency is not None:
            systems["model"] = cases.truth, *answered(classifier, cases.texts)
        rows = np.arange(len(cases.texts))
        found[name] = {
            "labels": dict(Counter(cases.truth)),
            "systems": {system: bootstrap(summariser(*given), rows, RESAMPLES) for system, given in systems.items()},
        }
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# Urgency",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`; model `{result['model_hash']}`. In brackets, "
        "bootstrap 95% intervals.",
    ]
    for name, part in result["collections"].items():
        labels = ", ".join(f"{part['labels'][level]:,} {level}" for level in LEVELS)
        lines += [
            "",
            f"## {name[0].upper()}{name[1:]}: {labels}",
            "",
            f"| | {' | '.join(FIGURES.values())} |",
            "|---" * (1 + len(FIGURES)) + "|",
            *(
                f"| {system} | {' | '.join(estimate_cell(row[figure]) for figure in FIGURES)} |"
                for system, row in part["systems"].items()
            ),
        ]
        if name == "stored test split":
            lines.append(f"| bar | {' | '.join(BARS.get(figure, '') for figure in FIGURES)} |")
    return "\n".join(lines) + "\n"


def main(model: Annotated[Path | None, "default: the bundled model"] = None, out: Path = RESULTS / "urgency") -> None:
    """Measure and write."""
    classifier = ComplaintClassifier.from_pretrained(model)
    result = {
        **provenance("python -m eval.quality.urgency", *(["--model", str(model)] if model else [])),
        "model_hash": classifier.config.model_hash,
        "collections": measure(classifier),
    }
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
