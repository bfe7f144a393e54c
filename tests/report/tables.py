"""Classified tables for the tests of the report, from texts of the corpus's training split."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tawasul_nlp.tables.io.cells import to_json
from training.corpus import LabelSpace, load_examples

TEXT = "نص الشكوى"
_PLACES = [("capital", "321"), ("muharraq", "213"), ("northern", "740"), ("southern", "929"), (None, None)]


def classified(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return rows as ``tawasul classify`` and ``tawasul group`` write them; the answers are labels, not predictions."""
    rng = random.Random(seed)
    examples = load_examples("train", LabelSpace.load(), second_batch=False)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        example = examples[number % len(examples)]
        governorate, block = rng.choice(_PLACES)
        certainty = round(rng.random(), 4)
        # About a fifth of the cases are further reports of an incident before them.
        group = rng.choice(rows)["incident_id"] if rows and rng.random() < 0.2 else number
        rows.append(
            {
                "case_id": f"C{number:06}",
                "opened": dt.date(2026, 1, 1) + dt.timedelta(days=rng.randrange(120)),
                TEXT: example.text,
                "kind": example.kind or "complaint",
                "topic": example.topic,
                "topic_probability": certainty,
                "agency": example.agency,
                "agency_probability": round(rng.uniform(certainty, 1), 4),
                "governorate": governorate,
                "block": block,
                "needs_review": certainty < 0.4,
                "review_reasons": ["low_topic_confidence"] if certainty < 0.4 else [],
                "incident_id": group,
                "incident_size": 0,
                "incident_score": 1.0,
                "is_representative": group == number,
            }
        )
    sizes = Counter(row["incident_id"] for row in rows)
    for row in rows:
        row["incident_size"] = sizes[row["incident_id"]]
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format that the name tells."""
    if path.suffix == ".jsonl":
        path.write_text("".join(to_json(row) + "\n" for row in rows), encoding="utf-8")
        return path
    if path.suffix == ".csv":
        flat = [{**row, "review_reasons": "; ".join(row["review_reasons"])} for row in rows]
        pa.csv.write_csv(pa.Table.from_pylist(flat), path)
        return path
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path
