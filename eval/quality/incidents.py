"""Measure the grouping of incidents that many reported in their own words, in a backlog of other cases.

Two collections have reports and hard negatives: ``eval/data/incidents.jsonl``, and the test neighbourhoods of
``training/data/neighbourhoods.jsonl``, of three alike incidents each; the others are cases of the test split. Every
pair of texts counts. A hard negative is merged if it is in a group with any report of the incident that it is
near. A copy of a report, mistyped as hurried people do (:mod:`tawasul_nlp.training.rows`), is found if it is in the
group of the report; for each seed there is one copy of each incident's first report in the backlog.

Run ``python -m eval.quality.incidents`` (writes ``eval/results/incidents.json`` and ``incidents.md``). A model that
reads pairs is measured with and without that.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from eval.quality.duplicates import f1, interval
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateGroups
from tawasul_nlp.duplicates.candidates import NEIGHBOURS, NEIGHBOURS_TO_VERIFY, candidate_pairs
from tawasul_nlp.duplicates.features import CaseFeatures, case_features
from tawasul_nlp.training.rows import add_noise
from tawasul_nlp.training.splitting import by_value
from training.corpus import LabelSpace, load_examples, neighbourhoods
from training.incident_groups import Collection, together
from training.splits import read_jsonl

OWN_WORDS, NEIGHBOURHOODS = "in people's own words", "in neighbourhoods of three alike"
COLLECTIONS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    OWN_WORDS: lambda: read_jsonl(Path(__file__).parents[1] / "data" / "incidents.jsonl"),
    NEIGHBOURHOODS: lambda: neighbourhoods("test"),
}
OTHERS = 1_200
SEEDS = (0, 1, 2)
BARS = {
    OWN_WORDS: {"f1": 0.62, "precision": 0.85, "hard_negatives_merged": 0.1, "copies_found": 0.99},
    NEIGHBOURHOODS: {"f1": 0.3, "precision": 0.8},
}


@dataclass(frozen=True, slots=True)
class Report:
    """A text of the backlog."""

    id: str
    text: str
    # Reports of one incident have one id of it.
    incident: str
    # The incident that a hard negative is near.
    near: str | None
    # ``report``, ``copy`` (with typing slips), ``hard negative`` or ``other``.
    relation: str


def load_backlog(rows: Sequence[Mapping[str, Any]], others: int = OTHERS) -> list[Report]:
    """Return reports and hard negatives, and other cases of the test split."""
    reports = [
        Report(
            row["id"],
            row["text"],
            row.get("incident", row["id"]),
            row.get("near"),
            row.get("relation", "report" if "incident" in row else "hard negative"),
        )
        for row in rows
    ]
    cases = random.Random(0).sample(load_examples("test", LabelSpace.load()), others)
    return reports + [Report(case.id, case.text, case.id, None, "other") for case in cases]


def mistyped(reports: list[Report], seed: int) -> list[Report]:
    """Return a copy with typing noise of the first report of each incident."""
    first: dict[str, Report] = {}
    for report in reports:
        if report.relation == "report":
            first.setdefault(report.incident, report)
    return [
        Report(
            f"{report.id}-{seed}", add_noise(report.text, random.Random(f"{seed} {report.id}")), incident, None, "copy"
        )
        for incident, report in first.items()
    ]


def as_collection(reports: list[Report]) -> Collection:
    """Return reports with the number of each one's incident; hard negatives are counted by :func:`merged_share`."""
    return Collection([Case(report.text) for report in reports], by_value([report.incident for report in reports]))


def merged_share(labels: np.ndarray, reports: list[Report]) -> float:
    """Return the share of the hard negatives that are in a group with a report of the incident that they are near."""
    groups: dict[str, set[int]] = {}
    for report, label in zip(reports, labels.tolist(), strict=True):
        groups.setdefault(report.incident, set()).add(label)
    merged = [
        label in groups[report.near]
        for report, label in zip(reports, labels.tolist(), strict=True)
        if report.near is not None
    ]
    return float(np.mean(merged))


def found_share(labels: np.ndarray, reports: list[Report], copies: list[Report]) -> float:
    """Return the share of copies that are in the group of the report that they are of; their labels are the last."""
    row = {report.id: at for at, report in enumerate(reports)}
    originals = [row[copy.id.rpartition("-")[0]] for copy in copies]
    return float((labels[len(reports) :] == labels[originals]).mean())


def scores(labels: np.ndarray, reports: list[Report]) -> dict[str, Any]:
    """Score a grouping of the backlog."""
    collection = as_collection(reports)
    pairs, wanted = together(labels), collection.duplicates
    right = collection.incident[pairs[:, 0]] == collection.incident[pairs[:, 1]]
    copies = np.array([report.relation == "copy" for report in reports])
    of_copy = wanted[copies[wanted].any(1)]
    recall_of_copies = (labels[of_copy[:, 0]] == labels[of_copy[:, 1]]).mean() if len(of_copy) else None
    return {
        "f1": round(f1(int(right.sum()), len(pairs), len(wanted)), 4),
        "f1_interval": interval(collection, pairs, right, wanted),
        "precision": round(float(right.mean()) if len(right) else 1.0, 4),
        "recall": round(int(right.sum()) / len(wanted), 4),
        "recall_of_copies": None if recall_of_copies is None else round(float(recall_of_copies), 4),
        "hard_negatives_merged": round(merged_share(labels, reports), 4),
    }


def measure(grouper: DuplicateGrouper, reports: list[Report], features: CaseFeatures) -> dict[str, Any]:
    """Group the backlog; then with the copies of each seed, whose features follow those of the backlog."""

    def group(rows: np.ndarray, texts: list[Report]) -> DuplicateGroups:
        return grouper.group_features([Case(text.text) for text in texts], features.take(rows))

    n = len(reports)
    began = time.monotonic()
    groups = group(np.arange(n), reports)
    seconds = time.monotonic() - began
    found = []
    start = n
    for seed in SEEDS:
        copies = mistyped(reports, seed)
        rows = np.r_[np.arange(n), np.arange(start, start + len(copies))]
        found.append(found_share(group(rows, [*reports, *copies]).labels, reports, copies))
        start += len(copies)
    return {
        "threshold": grouper.threshold,
        **scores(groups.labels, reports),
        "copies_found": round(float(np.mean(found)), 4),
        "pairs_read": len(groups.readings),
        "seconds": round(seconds, 1),
    }


def candidate_recall(features: CaseFeatures, reports: list[Report], k: int) -> float:
    """Return the share of the pairs of one incident that are compared at all, with so many neighbours of each case."""
    pairs = {tuple(pair) for pair in candidate_pairs(features, k).tolist()}
    return float(np.mean([tuple(pair) in pairs for pair in as_collection(reports).duplicates.tolist()]))


def measure_all(classifier: ComplaintClassifier, reports: list[Report]) -> dict[str, Any]:
    """Return the figures of a backlog with and without the verifier."""
    texts = [*reports, *(copy for seed in SEEDS for copy in mistyped(reports, seed))]
    features = case_features(classifier, [Case(text.text) for text in texts])
    groupers = {"pair scorer": DuplicateGrouper(classifier, verify=False)}
    if DuplicateGrouper(classifier).verifier is not None:
        groupers["pair scorer and verifier"] = DuplicateGrouper(classifier)
    return {
        "texts": len(reports),
        "reports": sum(report.relation in ("report", "copy") for report in reports),
        "incidents": len({report.incident for report in reports if report.relation == "report"}),
        "hard_negatives": sum(report.near is not None for report in reports),
        "duplicate_pairs": len(as_collection(reports).duplicates),
        "candidate_recall": {
            str(k): round(candidate_recall(features.take(slice(0, len(reports))), reports, k), 4)
            for k in (NEIGHBOURS, NEIGHBOURS_TO_VERIFY)
        },
        "systems": {name: measure(grouper, reports, features) for name, grouper in groupers.items()},
    }


def evaluate(model: Path | None) -> dict[str, Any]:
    """Run all measurements."""
    classifier = ComplaintClassifier.from_pretrained(model)
    return {
        **provenance("python -m eval.quality.incidents"),
        "model_hash": classifier.config.model_hash,
        "collections": {name: measure_all(classifier, load_backlog(rows())) for name, rows in COLLECTIONS.items()},
        "bars": BARS,
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as Markdown."""
    lines = [
        "# Incidents that many reported",
        "",
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model_hash']}`. Per cent; F1 "
        f"with a bootstrap 95% interval over incidents, among {OTHERS:,} other cases of the test split; nothing was "
        "fitted to any of them. The seconds are those of the grouping alone, without the reading of the texts one by "
        "one.",
    ]
    for name, part in result["collections"].items():
        lines += _section(name, part, result["bars"][name])
    return "\n".join(lines) + "\n"


def _section(name: str, part: dict[str, Any], bars: dict[str, float]) -> list[str]:
    shares = " and ".join(
        f"{100 * share:.1f}% are candidates with {k} neighbours of each case"
        for k, share in part["candidate_recall"].items()
    )
    columns = ("precision", "recall", "recall_of_copies", "hard_negatives_merged", "copies_found")
    lines = [
        "",
        f"## {part['incidents']} incidents {name}",
        "",
        f"{part['reports']:,} reports, {part['hard_negatives']} hard negatives.",
        "",
        f"Of the pairs of one incident {shares}; the others can only come together over a third case.",
        "",
        "| | threshold | F1 | precision | recall | recall, pairs with a copy | hard negatives merged "
        "| copies with typing noise found | pairs read | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for system, row in part["systems"].items():
        low, high = row["f1_interval"]
        cells = [
            f"{row['threshold']:.3f}",
            f"{100 * row['f1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            *("" if row[column] is None else f"{100 * row[column]:.1f}" for column in columns),
            f"{row['pairs_read']:,}",
            f"{row['seconds']:.1f}",
        ]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    cells = [f"{100 * bars[column]:.0f}" if column in bars else "" for column in ("f1", *columns)]
    return [*lines, f"| *bar* | | {' | '.join(cells)} | | |"]


def main(model: Annotated[Path | None, "a model folder"] = None, out: Path = RESULTS / "incidents") -> None:
    """Evaluate from the command line."""
    result = evaluate(model)
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
