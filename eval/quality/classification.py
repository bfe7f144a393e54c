"""Quality of the shipped model beside its baselines on the stored test split, by register, with bootstrap intervals.

Every system is trained on the same training texts, except the row that says "first batch only"; nothing is trained or
tuned on the test split. Run ``python -m eval.quality.classification`` (writes ``eval/results/classification.json`` and
``.md``). ``tawasul evaluate`` measures any model on any table.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.quality.baselines import cached, data_key
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.evaluation.baselines import tfidf_svm
from tawasul_nlp.evaluation.evaluator import hit_string, row_keys
from tawasul_nlp.evaluation.metrics import expected_calibration_error
from tawasul_nlp.evaluation.task_answers import answers, most_confused
from tawasul_nlp.evaluation.task_evaluation import review_rates
from tawasul_nlp.model.combine import log_softmax, parent_scores
from tawasul_nlp.model.folder import NGRAM
from tawasul_nlp.model.ngram import NgramScorer
from training.corpus import Example, LabelSpace, load_examples
from training.earlier_models import first_model

REGISTERS = ("msa", "bahraini", "mixed", "agent_note", "arabizi", "english")
COMPARED = ("topic", "agency", "kind")
RESAMPLES = 2000
SHIPPED, FIRST_MODEL, SVM = "shipped model", "first model", "TF-IDF + linear SVM"
FIRST_SVM = f"{SVM}, first batch only"


class Table:
    """Top-1 hits of each system on the same test texts, resampled together."""

    def __init__(self, examples: list[Example], labels: LabelSpace) -> None:
        self.labels = labels
        self.topic = np.array([labels.topics.index(e.topic) for e in examples])
        self.agency = np.array([labels.agencies.index(e.agency) for e in examples])
        self.kind = np.array([labels.kinds.index(e.kind) if e.kind else -1 for e in examples])
        self.registers = np.array([e.register for e in examples])
        self.parent = tuple(labels.agencies.index(labels.agency_of[topic]) for topic in labels.topics)
        self.samples = np.random.default_rng(0).integers(0, len(examples), (RESAMPLES, len(examples)))
        self.rows: dict[str, dict[str, Any]] = {}
        self.hits: dict[str, dict[str, np.ndarray]] = {}

    def interval(self, hits: np.ndarray) -> list[float]:
        """Return the mean and its bootstrap 95% interval."""
        means = hits[self.samples].mean(1)
        return [round(float(x), 4) for x in (hits.mean(), *np.quantile(means, [0.025, 0.975]))]

    def add(self, name: str, topic: np.ndarray, agency: np.ndarray, kind: np.ndarray | None = None) -> None:
        """Score one system from its topic and agency scores (texts, labels)."""
        hits = {
            "topic": topic.argmax(1) == self.topic,
            "top3": (np.argsort(-topic, axis=1)[:, :3] == self.topic[:, None]).any(1),
            "agency": agency.argmax(1) == self.agency,
        }
        row: dict[str, Any] = {metric: self.interval(values) for metric, values in hits.items()}
        if kind is not None:
            known = self.kind >= 0
            hits["kind"] = kind.argmax(1) == self.kind
            row["kind"] = round(float(hits["kind"][known].mean()), 4)
        row["by_register"] = {
            register: {
                "n": int((self.registers == register).sum()),
                **{m: round(float(hits[m][self.registers == register].mean()), 4) for m in ("topic", "agency")},
            }
            for register in REGISTERS
        }
        self.rows[name] = row
        self.hits[name] = hits

    def add_topics(self, name: str, scores: np.ndarray) -> None:
        """Score a system that reads topics only; its agency is the agency of its topic."""
        best = np.zeros((len(scores), len(self.labels.agencies)))
        best[np.arange(len(scores)), np.asarray(self.parent)[scores.argmax(1)]] = 1
        self.add(name, scores, best)

    def gain(self, better: str, worse: str, metric: str, worse_metric: str | None = None) -> list[float]:
        """Return the paired difference of two systems (or metrics) in points with its 95% interval."""
        difference = self.hits[better][metric].astype(float) - self.hits[worse][worse_metric or metric]
        return [round(100 * value, 2) for value in self.interval(difference)]


def evaluate(model: Path | None, cache: Path, split: str) -> dict[str, Any]:
    """Compute the whole table."""
    labels = LabelSpace.load()
    test = load_examples(split, labels)
    train = load_examples("train", labels)
    first = load_examples("train", labels, second_batch=False)
    texts = [example.text for example in test]
    table = Table(test, labels)
    add_baselines(table, texts, train, first, cache)
    before = ComplaintClassifier.from_pretrained(first_model(cache / "first"))._forward(texts).probabilities
    table.add(FIRST_MODEL, before["topic"], before["agency"], before["kind"])
    classifier = ComplaintClassifier.from_pretrained(model)
    add_readers(table, texts, classifier)
    shipped = classifier._forward(texts).probabilities
    table.add(SHIPPED, shipped["topic"], shipped["agency"], shipped["kind"])
    calibration: dict[str, float] = {}
    reviewed: dict[str, dict[str, Any]] = {}
    for task in ("topic", "agency"):
        found = answers(classifier.labels[task], [getattr(example, task) for example in test], shipped[task])
        assert found.confidence is not None
        calibration[task] = round(expected_calibration_error(found.confidence, found.hits), 4)
        thresholds = classifier.config.tasks[task].thresholds
        reviewed[task] = {
            target: asdict(rate) for target, rate in review_rates(found.confidence, found.hits, thresholds).items()
        }
    topics = answers(classifier.labels["topic"], [example.topic for example in test], shipped["topic"])
    return {
        **provenance("python -m eval.quality.classification" + (f" --split {split}" if split != "test" else "")),
        "model_hash": classifier.config.model_hash,
        "split": split,
        "n": {"test": len(test), "train": len(train), "train_first_batch": len(first)},
        "systems": table.rows,
        "gains_in_points": {
            **{f"{task} over the first model": table.gain(SHIPPED, FIRST_MODEL, task) for task in COMPARED},
            "topic over TF-IDF + SVM": table.gain(SHIPPED, SVM, "topic"),
            "topic over TF-IDF + SVM, first batch only": table.gain(SHIPPED, FIRST_SVM, "topic"),
            "agency over TF-IDF + SVM": table.gain(SHIPPED, SVM, "agency"),
            "agency over own topic": table.gain(SHIPPED, SHIPPED, "agency", "topic"),
        },
        "ece": calibration,
        "review": reviewed,
        "most_confused": [asdict(pair) for pair in most_confused(topics)],
        "rows": stored_rows(test, table, classifier.labels, shipped),
    }


def add_baselines(table: Table, texts: list[str], train: list[Example], first: list[Example], cache: Path) -> None:
    """Fit what the model has to beat on the training texts, and score it."""
    labels = table.labels
    counts = np.bincount([labels.topics.index(e.topic) for e in train], minlength=len(labels.topics))
    table.add_topics("majority", np.tile(counts, (len(texts), 1)).astype(float))
    for name, examples in ((FIRST_SVM, first), (SVM, train)):
        own, topics = [example.text for example in examples], [example.topic for example in examples]
        fit = partial(tfidf_svm, own, topics, labels.topics, texts)
        table.add_topics(name, cached("svm", data_key(own, topics, texts), fit, cache))


def add_readers(table: Table, texts: list[str], classifier: ComplaintClassifier) -> None:
    """Score each of the model's scorers alone."""
    scorer = classifier._scorers.encoder
    encoder = scorer.run(scorer.tokenize(texts), 32)
    table.add("encoder alone (full fine-tune, int8)", encoder["topic"], encoder["agency"], encoder["kind"])
    if NGRAM in classifier.config.files:
        ngram = NgramScorer.load(classifier.folder / NGRAM).scores(texts)
        best = parent_scores(log_softmax(ngram["topic"] / 0.15), table.parent, len(table.labels.agencies))
        table.add("n-gram scorer alone (int8)", ngram["topic"], best, ngram["kind"])


def stored_rows(
    test: list[Example], table: Table, names: dict[str, tuple[str, ...]], shipped: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Return what ``tawasul compare`` needs of the shipped model: a key of each row and which answers are right."""
    tasks = {"topic": table.topic, "agency": table.agency, "kind": table.kind}
    labels = {
        task: [names[task][index] if index >= 0 else "" for index in truth.tolist()] for task, truth in tasks.items()
    }
    hits = {
        task: hit_string((shipped[task].argmax(1) == truth)[truth >= 0], truth >= 0) for task, truth in tasks.items()
    }
    return {"keys": row_keys([example.text for example in test], labels), "hits": hits}


def markdown(result: dict[str, Any]) -> str:
    """Render the result as Markdown tables."""

    def cell(values: list[float]) -> str:
        return f"{100 * values[0]:.1f} [{100 * values[1]:.1f}, {100 * values[2]:.1f}]"

    lines = [
        f"# Classification on the {result['split']} split",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model_hash']}`. "
        f"{result['n']['test']} test texts, {result['n']['train']} training texts "
        f"({result['n']['train_first_batch']} of the first batch). "
        f"Per cent, with bootstrap 95% intervals ({RESAMPLES} resamples).",
        "",
        "| system | topic | topic in top 3 | agency | kind |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["systems"].items():
        kind = f"{100 * row['kind']:.1f}" if "kind" in row else ""
        lines.append(f"| {name} | {cell(row['topic'])} | {cell(row['top3'])} | {cell(row['agency'])} | {kind} |")
    lines += ["", "| gain of the shipped model | points [95% interval] |", "|---|---|"]
    for name, (mean, low, high) in result["gains_in_points"].items():
        lines.append(f"| {name} | {mean:+.1f} [{low:+.1f}, {high:+.1f}] |")
    lines += ["", "By register (topic / agency):", "", "| system | " + " | ".join(REGISTERS) + " |"]
    lines.append("|---" * (1 + len(REGISTERS)) + "|")
    sizes = next(iter(result["systems"].values()))["by_register"]
    lines.append("| texts | " + " | ".join(str(sizes[register]["n"]) for register in REGISTERS) + " |")
    for name, row in result["systems"].items():
        cells = [row["by_register"][register] for register in REGISTERS]
        lines.append(
            f"| {name} | " + " | ".join(f"{100 * c['topic']:.1f} / {100 * c['agency']:.1f}" for c in cells) + " |"
        )
    lines += [
        "",
        f"Expected calibration error (15 bins): topic {result['ece']['topic']}, agency {result['ece']['agency']}.",
        "",
    ]
    lines += ["| task | target error | accepted without review | error among them |", "|---|---|---|---|"]
    for task, targets in result["review"].items():
        for target, row in targets.items():
            error = "-" if row["error"] is None else f"{100 * row['error']:.1f}%"
            lines.append(f"| {task} | {float(target):.0%} | {100 * row['coverage']:.1f}% | {error} |")
    lines += [
        "",
        "Most confused topics: "
        + "; ".join(f"{row['true']} read as {row['predicted']} ({row['n']})" for row in result["most_confused"])
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main(
    model: Annotated[Path | None, "a model folder"] = None,
    out: Path = RESULTS / "classification",
    split: Literal["validation", "test"] = "test",
    cache: Path = Path("build/eval"),
) -> None:
    """Measure every system and write the results."""
    result = evaluate(model, cache, split)
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
