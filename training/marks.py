"""Marked texts: which clauses report which issue, and which words speak for the urgency.

A row of a data set may have ``clauses``, ``[start, end, label]`` of each issue that the text reports, and ``evidence``,
``[start, end]`` of the words that speak for its urgency: as JSON, with places in the text as it was written. An empty
cell says that they are unknown, an empty list that there are none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.encoder import source_of
from tawasul_nlp.model.runtime import TAGS
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_edits
from tawasul_nlp.training.rows import IGNORE

CLAUSES = "clauses"
EVIDENCE = "evidence"
_OUTSIDE, _BEGIN, _INSIDE = map(TAGS.index, ("outside", "begin", "inside"))
Place = tuple[int, int]


def encode_marks(
    row: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    normalizer: Normalizer,
    max_tokens: int,
    *,
    labels: Sequence[str],
) -> dict[str, Any] | None:
    """Return a row's ``input_ids``, and its ``marks``; None of a row without.

    The marks are of each token ``token_tags`` (whether it is outside, begins or is inside a clause), ``token_evidence``
    (1 where it speaks for the urgency) and ``token_clauses`` (the number of its clause), and ``clause_labels``; -100
    where one is unknown.

    Parameters
    ----------
    labels : sequence of str
        Those of the clauses' task.
    """
    if not row.get(CLAUSES) and not row.get(EVIDENCE):
        return None
    normal = normalizer.normalize_with_offsets(row["text"], arabizi_edits(row["text"]))
    encoded = tokenizer(normal.text, truncation=True, max_length=max_tokens, return_offsets_mapping=True)
    places = [source_of(normal, start, end) for start, end in encoded["offset_mapping"]]
    tags, evidence, clauses = (np.full(len(places), IGNORE, np.int64) for _ in range(3))
    clause_labels: list[int] = []
    if row.get(EVIDENCE):
        evidence[:] = 0
        for start, end in json.loads(row[EVIDENCE]):
            evidence[_tokens(places, start, end)] = 1
    if row.get(CLAUSES):
        tags[:] = _OUTSIDE
        for start, end, label in json.loads(row[CLAUSES]):
            tokens = _tokens(places, start, end)
            if len(tokens):
                tags[tokens] = _INSIDE
                tags[tokens[0]] = _BEGIN
                clauses[tokens] = len(clause_labels)
                clause_labels.append(labels.index(label) if label in labels else IGNORE)
    marks = {
        "token_tags": tags,
        "token_evidence": evidence,
        "token_clauses": clauses,
        "clause_labels": clause_labels,
    }
    return {"input_ids": encoded["input_ids"], "marks": marks}


def _tokens(places: Sequence[Place], start: int, end: int) -> np.ndarray:
    """Return the tokens most of whose characters lie in a slice of the text."""
    inside = [
        token for token, (begin, stop) in enumerate(places) if 2 * (min(end, stop) - max(start, begin)) > stop - begin
    ]
    return np.array(inside, np.int64)
