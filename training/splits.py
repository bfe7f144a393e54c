"""Draw the stored train/validation/test split once, by incident.

A case, its re-reports and its hard negatives form one incident and stay on one side,
and so do cases whose texts differ in nothing but signs and spaces. The split is
stratified by topic, stored in ``training/data/splits.json`` and never drawn anew:
``load_splits`` refuses a stored file that has a case on two sides.

Run ``python -m training.splits`` to write the file (only needed when the corpus changes).
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
SPLITS = DATA / "splits.json"
TEST_SHARE = 0.11
VALIDATION_SHARE = 0.08
SEED = 20261124


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def draw(cases: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Assign every case id to ``train``, ``validation`` or ``test``, stratified by topic.

    Re-reports and hard negatives carry the id of their case, so assigning the case
    assigns its whole incident.
    """
    rng = random.Random(SEED)
    by_text: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        by_text["".join(ch for ch in case["text"] if ch.isalnum())].append(case)
    by_topic: dict[str, list[list[str]]] = defaultdict(list)
    for same in by_text.values():
        by_topic[same[0]["topic"]].append([case["id"] for case in same])
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for topic in sorted(by_topic):
        incidents = sorted(by_topic[topic])
        rng.shuffle(incidents)
        n_test = round(TEST_SHARE * len(incidents))
        n_validation = round(VALIDATION_SHARE * len(incidents))
        for position, ids in enumerate(incidents):
            name = "test" if position < n_test else "validation" if position < n_test + n_validation else "train"
            splits[name].extend(ids)
    return {name: sorted(ids) for name, ids in splits.items()}


def load_splits(path: Path = SPLITS) -> dict[str, str]:
    """Map every case id to the name of its split.

    Raises
    ------
    ValueError
        If an id is in two splits.
    """
    side: dict[str, str] = {}
    for name, ids in json.loads(path.read_text(encoding="utf-8")).items():
        for case_id in ids:
            if case_id in side:
                raise ValueError(
                    f"{path}: case {case_id!r} is in both {side[case_id]!r} and {name!r}; restore the committed file"
                )
            side[case_id] = name
    return side


def main() -> None:
    """Write the split file."""
    splits = draw(read_jsonl(DATA / "cases.jsonl"))
    SPLITS.write_text(json.dumps(splits, indent=0) + "\n", encoding="utf-8")
    print({name: len(ids) for name, ids in splits.items()})


if __name__ == "__main__":
    main()
