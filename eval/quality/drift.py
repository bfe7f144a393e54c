"""How often drift raises an alarm where nothing changed: the example backlog with its dates dealt out at random.

Run ``python -m eval.quality.drift`` (writes ``eval/results/drift.json`` and ``.md``): the backlog is classified and
grouped, and each draw gives its cases the same dates in another order, so that whatever differs between the two halves
is chance. Reports of one incident are dealt out one by one, and count once.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq

from eval.harness import RESULTS, provenance, publish_page, run_script
from examples.make_backlog import OUT as BACKLOG
from tawasul_nlp import ComplaintClassifier, DuplicateGrouper
from tawasul_nlp.evaluation.periods import drift
from tawasul_nlp.tables import classify_table, group_table

MOST = 0.05


def grouped(folder: Path) -> dict[str, list[Any]]:
    """Return the classified and grouped example backlog as columns."""
    classifier = ComplaintClassifier.from_pretrained()
    classified, out = folder / "classified.parquet", folder / "grouped.parquet"
    classify_table(classifier, BACKLOG, classified, text_column="text")
    group_table(DuplicateGrouper(classifier), classified, out, text_column="text", date_column="opened")
    table: dict[str, list[Any]] = pq.read_table(out).to_pydict()
    return table


def alarms(table: dict[str, list[Any]], draws: int) -> list[tuple[str, ...]]:
    """Return what each draw calls changed."""
    rng, days = random.Random(0), list(table["opened"])
    since = sorted(days)[len(days) // 2]
    found = []
    for _ in range(draws):
        rng.shuffle(days)
        found.append(drift({**table, "opened": list(days)}, since=since, date_column="opened").changed)
    return found


def markdown(result: dict[str, Any]) -> str:
    """Write the page."""
    changed = ", ".join(f"{name} {count}" for name, count in result["changed"].items()) or "none"
    return (
        "# False alarms of drift\n\n"
        f"{result['date']}, {result['machine']}, `{result['command']}`.\n\n"
        f"The example backlog, {result['cases']:,} cases, its dates dealt out at random {result['draws']} times: "
        f"{result['quiet']} draws say that nothing changed. Alarms of single things: {changed}. "
        f"The bar is at most {MOST:.0%} of the draws with an alarm.\n"
    )


def main(draws: Annotated[int, "random orders of the dates"] = 100, out: Path = RESULTS / "drift") -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder:
        table = grouped(Path(folder))
    found = alarms(table, draws)
    result = {
        **provenance("python -m eval.quality.drift", *(["--draws", str(draws)] if draws != 100 else [])),
        "cases": len(table["opened"]),
        "draws": draws,
        "quiet": sum(not changed for changed in found),
        "changed": dict(Counter(name for changed in found for name in changed)),
    }
    publish_page(result, markdown(result), out)


if __name__ == "__main__":
    sys.exit(run_script(main))
