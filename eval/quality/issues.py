"""Whether a model finds the separate issues of a case, and the clauses that report them.

A model reads the held-out cases of ``eval/data/issues.jsonl``. Beside it stand a blind second labelling, the topic of
the whole case alone, and the model's topic probabilities: every topic from a threshold on, which is chosen on
``training/data/issues.jsonl``. Clauses overlap by their intersection over their union, on average over the issues that
both labelling and answer have.

Run ``python -m eval.quality.issues`` (writes ``eval/results/issues.json`` and ``.md``); ``--model FOLDER`` for another
model than the bundled one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from eval.harness import RESULTS, estimate_cell, provenance, publish_page, run_script
from eval.quality.masks import DATA as HELD_OUT
from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.evaluation.metrics import bootstrap
from training.splits import DATA, read_jsonl

Clauses = Mapping[str, tuple[int, int]]
"""The topics of a case, each with the slice of the text that reports it."""
FIGURES = {
    "f1": "F1 over (case, topic)",
    "precision": "precision",
    "recall": "recall",
    "second": "single-issue cases given a second",
    "overlap": "overlap of clauses",
}
BARS = {"f1": "at least .88", "second": "at most 5%", "overlap": "at least .6"}
RESAMPLES = 1000
_THRESHOLDS = np.arange(0.02, 1.0, 0.01)


def labelled(text: str, issues: Sequence[Mapping[str, str]]) -> Clauses:
    """Return the issues of a text by a labelling, which quotes their clauses."""
    starts = [text.index(issue["quote"]) for issue in issues]
    return {issue["topic"]: (at, at + len(issue["quote"])) for issue, at in zip(issues, starts, strict=True)}


def found(classifier: ComplaintClassifier, texts: Sequence[str]) -> list[Clauses]:
    """Return the issues that a model finds."""
    predictions = classifier.predict(texts)
    return [{issue.topic.id: (issue.start, issue.end) for issue in prediction.issues} for prediction in predictions]


def likely(probabilities: np.ndarray, least: float) -> np.ndarray:
    """Return which topics (n_texts, n_topics) are likely enough; the likeliest always is."""
    enough: np.ndarray = probabilities >= np.minimum(least, probabilities.max(axis=1, keepdims=True))
    return enough


def from_threshold(
    labels: Sequence[str], probabilities: np.ndarray, least: float, texts: Sequence[str]
) -> list[Clauses]:
    """Return every topic that is likely enough, reported by the whole text."""
    return [
        {labels[topic]: (0, len(text)) for topic in np.flatnonzero(row).tolist()}
        for row, text in zip(likely(probabilities, least), texts, strict=True)
    ]


def best_threshold(labels: Sequence[str], probabilities: np.ndarray, truth: Sequence[Clauses]) -> float:
    """Return the threshold of the topics' probabilities with the best F1 over (case, topic)."""
    true = np.array([[label in topics for label in labels] for topics in truth])

    def f1(least: float) -> float:
        answered = likely(probabilities, least)
        return float(2 * (answered & true).sum() / (answered.sum() + true.sum()))

    return float(max(_THRESHOLDS, key=f1))


def overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the intersection of two slices over their union.

    Examples
    --------
    >>> overlap((0, 10), (5, 15)), overlap((0, 5), (5, 9))
    (0.3333333333333333, 0.0)
    """
    shared = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)


def summariser(truth: Sequence[Clauses], answers: Sequence[Clauses]) -> Callable[[np.ndarray], dict[str, float]]:
    """Return the function from weights of the cases to :data:`FIGURES`."""
    agreed = [
        [overlap(own[topic], said[topic]) for topic in own if topic in said]
        for own, said in zip(truth, answers, strict=True)
    ]
    right, true, given = (np.array(list(map(len, part))) for part in (agreed, truth, answers))
    shared = np.array(list(map(sum, agreed)))
    single, more = true == 1, given > 1

    def figures(weights: np.ndarray) -> dict[str, float]:
        hits = float(weights @ right)
        return {
            "f1": 2 * hits / float(weights @ (true + given)),
            "precision": hits / float(weights @ given),
            "recall": hits / float(weights @ true),
            "second": float(weights @ (single & more)) / max(float(weights @ single), 1.0),
            "overlap": float(weights @ shared) / max(hits, 1.0),
        }

    return figures


def measure(
    classifier: ComplaintClassifier, cases: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the figures of each system on the held-out cases; the known ones choose the threshold."""
    texts = [case["text"] for case in cases]
    truth = [labelled(case["text"], case["issues"]) for case in cases]
    topics = classifier.labels["topic"]
    least = best_threshold(
        topics,
        classifier.predict_proba([case["text"] for case in known], "topic"),
        [labelled(case["text"], case["issues"]) for case in known],
    )
    probabilities = classifier.predict_proba(texts, "topic")
    systems = {
        "second labelling": [labelled(case["text"], case["second"]["issues"]) for case in cases],
        "issues of the model": found(classifier, texts),
        f"topics of a probability from {least:.2f} on": from_threshold(topics, probabilities, least, texts),
        "topic of the whole case": from_threshold(topics, probabilities, 1.0, texts),
    }
    if not classifier.finds_issues:
        del systems["issues of the model"]
    rows = np.arange(len(cases))
    return {
        "cases": len(cases),
        "several": sum(len(issues) > 1 for issues in truth),
        "threshold": round(least, 2),
        "systems": {name: bootstrap(summariser(truth, said), rows, RESAMPLES) for name, said in systems.items()},
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Write the page."""
    lines = [
        "# Several issues in one case",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`; model `{result['model_hash']}`. "
        f"{result['cases']} held-out cases, {result['several']} of them with two or three issues. The threshold of "
        "probabilities is chosen on the training data. In brackets, bootstrap 95% intervals.",
        "",
        f"| | {' | '.join(FIGURES.values())} |",
        "|---" * (1 + len(FIGURES)) + "|",
        *(f"| {name} | {' | '.join(map(estimate_cell, row.values()))} |" for name, row in result["systems"].items()),
        f"| bar | {' | '.join(BARS.get(figure, '') for figure in FIGURES)} |",
    ]
    return "\n".join(lines) + "\n"


def main(model: Annotated[Path | None, "default: the bundled model"] = None, out: Path = RESULTS / "issues") -> None:
    """Measure and write."""
    classifier = ComplaintClassifier.from_pretrained(model)
    result = {
        **provenance("python -m eval.quality.issues", *(["--model", str(model)] if model else [])),
        "model_hash": classifier.config.model_hash,
        **measure(classifier, read_jsonl(HELD_OUT / "issues.jsonl"), read_jsonl(DATA / "issues.jsonl")),
    }
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
