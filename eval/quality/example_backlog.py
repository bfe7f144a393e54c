"""Measure how the example backlog is grouped, against the incidents that it was made of.

Every pair of its cases counts: it is positive when both are reports of one incident. ``make_backlog`` knows the
incidents, the file does not say which. Run ``python -m eval.quality.example_backlog`` (writes
``eval/results/example_backlog.json`` and ``.md``).
"""

from __future__ import annotations

import datetime
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from eval.harness import RESULTS, provenance, publish_page, run_script
from examples.make_backlog import Row, backlog
from tawasul_nlp import DuplicateGrouper
from tawasul_nlp.duplicates import Case
from tawasul_nlp.training.splitting import by_value
from training.incident_groups import Collection
from training.pair_fitting import pairwise


def measure(rows: list[Row]) -> dict[str, Any]:
    """Group the backlog by text and date, as ``make demo`` does, and compare."""
    truth = by_value([row.incident for row in rows])
    cases = [
        Case(row.text, created_at=datetime.datetime.combine(row.opened, datetime.time(), datetime.UTC)) for row in rows
    ]
    found = DuplicateGrouper.from_pretrained().group(cases)
    groups: dict[int, set[int]] = defaultdict(set)
    parts: dict[int, set[int]] = defaultdict(set)
    for group, incident in zip(found.labels.tolist(), truth.tolist(), strict=True):
        groups[group].add(incident)
        parts[incident].add(group)
    sizes = np.bincount(truth)
    again = np.flatnonzero(sizes > 1).tolist()
    collection = Collection(cases, truth)
    scores = pairwise(found, collection)
    return {
        "cases": len(rows),
        "incidents": len(sizes),
        "reported_again": len(again),
        "largest": int(sizes.max()),
        "pairs": len(collection.duplicates),
        **{name: round(scores[name], 4) for name in ("precision", "recall", "f1")},
        "in_one_group": sum(len(parts[incident]) == 1 for incident in again),
        "groups_of_several_incidents": sum(len(incidents) > 1 for incidents in groups.values()),
        "incidents_in_these": sum(len(incidents) for incidents in groups.values() if len(incidents) > 1),
    }


def markdown(result: dict[str, Any]) -> str:
    """Render the result as Markdown."""
    return (
        "# Grouping the example backlog\n\n"
        f"{result['date']}, {result['machine']}, `{result['command']}`, model `{result['model_hash']}`.\n\n"
        f"{result['cases']} cases of {result['incidents']} incidents, {result['reported_again']} of them reported 2 to "
        f"{result['largest']} times: {result['pairs']} pairs of one incident. Grouped by text and date: pairwise F1 "
        f"{100 * result['f1']:.1f}, precision {100 * result['precision']:.1f}, recall {100 * result['recall']:.1f}. "
        f"{result['in_one_group']} of the {result['reported_again']} incidents stand whole in one group; "
        f"{result['groups_of_several_incidents']} groups join {result['incidents_in_these']} incidents. Most texts of "
        "incidents with four reports and more were written for this backlog, so that its figures are no measure of the "
        "model: [that is on held-out incidents](duplicates.md).\n"
    )


def main(out: Path = RESULTS / "example_backlog") -> None:
    """Measure from the command line."""
    result = {
        **provenance("python -m eval.quality.example_backlog"),
        "model_hash": DuplicateGrouper.from_pretrained().classifier.config.model_hash,
        **measure(backlog()),
    }
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
