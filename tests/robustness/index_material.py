"""What the attacks on an index share: cases, an index's answers, and processes that may die and not end the attack."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex

DATA = Path(__file__).parents[2] / "training" / "data"
_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Cases that are asked about: some that an index holds, some that it does not.
_ASKED = 7


@lru_cache(maxsize=1)
def grouper() -> DuplicateGrouper:
    """Return the bundled model's grouper; without threads, so that its process can be copied."""
    return DuplicateGrouper.from_pretrained(threads=1)


@lru_cache(maxsize=1)
def cases() -> list[Case]:
    """Return 300 cases of the corpus with their vectors, many of them reports of one incident, in random order.

    They come over a hundred days, so that incidents end; some have no date.
    """

    def rows(name: str) -> list[dict[str, Any]]:
        with (DATA / name).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    reports = rows("duplicates.jsonl")[:120]
    reported = {report["group"] for report in reports}
    chosen = sorted(rows("cases.jsonl"), key=lambda case: case["id"] not in reported)[: 300 - len(reports)] + reports
    random.Random(3).shuffle(chosen)
    vectors = grouper().encode([case["text"] for case in chosen])
    days = [None if row % 10 == 9 else _FIRST_DAY + timedelta(days=row / 3) for row in range(len(chosen))]
    return [
        Case(row["text"], id=row["id"], created_at=day, embedding=vector)
        for row, day, vector in zip(chosen, days, vectors, strict=True)
    ]


def answers(index: DuplicateIndex) -> dict[str, Any]:
    """Return everything that an index says: its cases, incidents and history, and what it answers to some cases."""
    asked = cases()[:: len(cases()) // _ASKED]
    return {
        "assignments": index.assignments(),
        "incidents": index.incidents(min_size=1),
        "history": index.history(),
        "texts": [index.text(name) for name in index.assignments()],
        "queries": [index.query(case) for case in asked],
        "threshold": index.stats()["threshold"],
    }


def started(work: Callable[..., object], *arguments: Any) -> multiprocessing.process.BaseProcess:
    """Start a copy of this process that does some work; the model is loaded already."""
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(work, *arguments))
    process.start()
    return process


def _quietly(work: Callable[..., object], *arguments: Any) -> None:
    work(*arguments)
    os._exit(0)  # what is open stays as a killed process leaves it
