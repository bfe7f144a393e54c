"""What a multi-label task should make of its scores: offsets of labels, and thresholds of labels.

The bundled model's embeddings and the n-gram features of 6,000 training cases are given to linear models, one a label,
for three kinds of label sets: topics and agencies, of which a tenth of the texts have two, and properties of several
kinds at once. Their scores for the other splits are calibrated on some rows and measured on the rest, several times.
``python -m eval.quality.label_sets`` writes ``eval/results/label_sets.json`` and ``.md``; it takes some minutes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.results_files import RESULTS, provenance, publish_page
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation.fitting import OFFSET_RIDGE, best_threshold, fit_label_scores
from tawasul_nlp.evaluation.label_set_metrics import LabelSetAnswers, label_set_summariser
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.label_sets import join_labels, label_matrix
from tawasul_nlp.model.ngram import NgramFeatures
from tawasul_nlp.training.heads import one_vs_rest_probe
from tawasul_nlp.training.ngram_fitting import kept_features, one_vs_rest_svms, weighed
from training.corpus import Example, LabelSpace, load_examples

TRAIN, SIZES, DRAWS = 6000, (100, 300, 1000), 10
LEAST = 8
"""Labels with fewer training cases are left out."""
COMMON, FREE = 1e9, 1.0
OFFSETS = {
    "one offset for all labels": COMMON,
    "an offset a label, shrunk": OFFSET_RIDGE,
    "an offset a label, hardly shrunk": FREE,
}
THRESHOLDS = (
    "0.5",
    "one, by micro F1",
    "own from 40 texts, by F1",
    "own from 20 texts, by F1",
    "own from 5 texts, by F1",
)
CHOSEN = ("an offset a label, shrunk", "one, by micro F1")
FIGURES = ("micro_f1", "macro_f1", "exact_match")


def label_sets(space: LabelSpace) -> dict[str, Callable[[Example], set[str]]]:
    """Return what gives a case its labels, by the kind of labels."""
    return {
        "topics": lambda case: {case.topic, case.secondary_topic} - {""},
        "agencies": lambda case: {space.agency_of[topic] for topic in (case.topic, case.secondary_topic) if topic},
        "properties": lambda case: {case.kind, case.agency, case.register, case.governorate} - {""},
    }


def scored() -> dict[str, tuple[dict[str, np.ndarray], np.ndarray]]:
    """Return, for each kind of labels, both scorers' scores of the held-out cases and which labels these have."""
    space = LabelSpace.load()
    known = load_examples("train", space, second_batch=False, reports=False)
    random.Random(0).shuffle(known)
    known = known[:TRAIN]
    unseen = [case for split in ("validation", "test") for case in load_examples(split, space)]
    model = ComplaintClassifier.from_pretrained()
    vectors, others = (model.encode([case.text for case in cases]).astype(float) for cases in (known, unseen))
    counts, other_counts = (NgramFeatures().counts([case.text for case in cases]) for cases in (known, unseen))
    blocks = [kept_features(block, 2) for block in counts]
    features, other_features = weighed(blocks, counts), weighed(blocks, other_counts)
    found = {}
    for name, labels_of in label_sets(space).items():
        names = sorted({label for case in known for label in labels_of(case)})
        target = label_matrix([join_labels(labels_of(case)) for case in known], names)
        names = [label for label, count in zip(names, target.sum(0), strict=True) if count >= LEAST]
        target, truth = (
            label_matrix([join_labels(labels_of(case)) for case in cases], names) for cases in (known, unseen)
        )
        weights, bias = one_vs_rest_probe(vectors, target)
        svms, biases = one_vs_rest_svms(features, target, 0.3)
        found[name] = {"encoder": others @ weights.T + bias, "ngram": other_features @ svms + biases}, truth
    return found


def thresholds(name: str, probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the threshold of each label that a rule of :data:`THRESHOLDS` chooses on these rows."""
    if name == "0.5":
        return np.full(truth.shape[1], 0.5)
    chosen = np.full(truth.shape[1], best_threshold(probabilities.ravel(), truth.ravel() == 1)[0])
    if name.startswith("own"):
        for label in np.flatnonzero(truth.sum(0) >= int(name.split()[2])).tolist():
            chosen[label] = best_threshold(probabilities[:, label], truth[:, label] == 1)[0]
    return chosen


def measure(scores: Mapping[str, np.ndarray], truth: np.ndarray, size: int) -> dict[str, dict[str, float]]:
    """Return the mean figures over the draws of each rule for offsets with each rule for thresholds."""
    texts, labels = truth.shape
    task = TaskConfig(tuple(map(str, range(labels))), {"encoder": 0.5, "ngram": 0.5}, multi_label=True)
    sums: dict[str, dict[str, float]] = {}
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(texts)
        fits, judges = order[:size], order[size:]
        own, others = ({name: {"t": table[rows]} for name, table in scores.items()} for rows in (fits, judges))
        for offsets, ridge in OFFSETS.items():
            fitted = {"t": fit_label_scores("t", {"t": task}, own, truth[fits], 1.0, offset_ridge=ridge)}
            known, judged = (np.exp(combine(fitted, part)["t"]) for part in (own, others))
            right = np.where(truth[judges] == 1, judged, 1 - judged)
            loss = float(-np.log(np.maximum(right, 1e-12)).sum(1).mean())
            for rule in THRESHOLDS:
                answered = judged >= thresholds(rule, known, truth[fits])
                sets = LabelSetAnswers(task.labels, truth[judges] == 1, answered, len(task.labels))
                found = label_set_summariser(sets)
                figures = found(np.ones(len(judges)))
                total = sums.setdefault(f"{offsets}; {rule}", dict.fromkeys(("cross_entropy", *FIGURES), 0.0))
                total["cross_entropy"] += loss / DRAWS
                for name in FIGURES:
                    total[name] += figures[name] / DRAWS
    return {name: {figure: round(value, 4) for figure, value in total.items()} for name, total in sums.items()}


def markdown(result: Mapping[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# Offsets and thresholds of multi-label tasks",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`. Linear models, one a label, on the embeddings "
        f"of the bundled model (`{result['model_hash']}`) and on n-grams of {TRAIN:,} training cases; calibrated on "
        f"some of {result['texts']:,} other cases and measured on the rest, mean of {DRAWS} draws. Cross-entropy is a "
        "text's, summed over labels; it does not depend on thresholds. In brackets, how many cases it was calibrated "
        "on; the rule that is used is in bold.",
    ]
    for kind, sizes in result["figures"].items():
        facts = result["labels"][kind]
        figures = ("cross_entropy", *FIGURES)
        header = [f"{_TITLES[name]} ({size})" for name in figures for size in sizes]
        lines += [
            "",
            f"## {kind}: {facts['labels']} labels, {facts['labels_a_text']:.2f} a text",
            "",
            f"| offsets | threshold | {' | '.join(header)} |",
            "|---" * (len(header) + 2) + "|",
        ]
        for rule in next(iter(sizes.values())):
            offsets, threshold = rule.split("; ")
            mark = "**" if (offsets, threshold) == CHOSEN else ""
            cells = [_cell(name, rules[rule][name]) for name in figures for rules in sizes.values()]
            lines.append(f"| {mark}{offsets}{mark} | {mark}{threshold}{mark} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_TITLES = {
    "cross_entropy": "cross-entropy",
    "micro_f1": "micro F1, %",
    "macro_f1": "macro F1, %",
    "exact_match": "exact match, %",
}


def _cell(name: str, value: float) -> str:
    return f"{value:.3f}" if name == "cross_entropy" else f"{100 * value:.1f}"


def main(argv: list[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "label_sets", metavar="PREFIX")
    arguments = parser.parse_args(argv)
    found = scored()
    result = {
        **provenance("python -m eval.quality.label_sets"),
        "model_hash": ComplaintClassifier.from_pretrained().config.model_hash,
        "texts": len(next(iter(found.values()))[1]),
        "labels": {
            kind: {"labels": truth.shape[1], "labels_a_text": round(float(truth.sum(1).mean()), 3)}
            for kind, (_, truth) in found.items()
        },
        "figures": {
            kind: {str(size): measure(scores, truth, size) for size in SIZES} for kind, (scores, truth) in found.items()
        },
    }
    publish_page(result, markdown(result), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
