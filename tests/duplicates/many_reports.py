"""Some thousand cases that are quick to read: real reports with their vectors, and copies in which words are missing."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from tawasul_nlp import DuplicateGrouper
from tawasul_nlp.duplicates import Case

REPORTS = Path(__file__).parents[2] / "training" / "data" / "duplicates.jsonl"


@lru_cache(maxsize=1)
def grouper() -> DuplicateGrouper:
    return DuplicateGrouper.from_pretrained(threads=1)


@lru_cache(maxsize=1)
def many_reports(reports: int = 160, copies: int = 15) -> tuple[Case, ...]:
    """Return the cases in a mixed order; a copy's vector is its report's, moved to a cosine of about 0.95."""
    with REPORTS.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(reports), strict=False)]
    vectors = grouper().encode(texts)
    rng = np.random.default_rng(7)
    cases = []
    for text, vector in zip(texts, vectors, strict=True):
        words = text.split()
        for copy in range(copies):
            kept = [word for at, word in enumerate(words) if at % (copy + 2) or not copy]
            moved = vector + rng.standard_normal(vector.size).astype(np.float32) * (0.03 if copy else 0)
            cases.append(Case(" ".join(kept), embedding=moved / np.linalg.norm(moved)))
    return tuple(cases[at] for at in rng.permutation(len(cases)))
