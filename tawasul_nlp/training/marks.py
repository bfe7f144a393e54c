"""Marked texts: which clauses report which issue, and which words speak for the urgency.

A row of a data set may have ``clauses``, ``[start, end, label]`` of each issue that the text reports, and ``evidence``,
``[start, end]`` of the words that speak for its urgency: as JSON, with places in the text as it was written. An empty
cell says that they are unknown, an empty list that there are none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.model.encoder import source_of
from tawasul_nlp.model.runtime import TAGS
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_edits
from tawasul_nlp.training.tables import CLAUSES

IGNORE = -100
EVIDENCE = "evidence"
_OUTSIDE, _BEGIN, _INSIDE = map(TAGS.index, ("outside", "begin", "inside"))
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The marks of a text's tokens."""

    # Whether each token is outside, begins, or is inside a clause; IGNORE where that is unknown: (tokens,), int.
    tags: np.ndarray
    # Whether it speaks for the urgency, 0 or 1, or IGNORE: (tokens,), int.
    evidence: np.ndarray
    # The number of the clause that it is in, or IGNORE: (tokens,), int.
    clauses: np.ndarray
    # The label of each clause, or IGNORE for one that the task lacks.
    labels: list[int] = field(default_factory=list)

    @classmethod
    def unknown(cls, tokens: int) -> Marks:
        """Return the marks of a text of which nothing is known."""
        tags, evidence, clauses = (np.full(tokens, IGNORE, np.int64) for _ in range(3))
        return cls(tags, evidence, clauses)


def is_marked(row: Mapping[str, Any]) -> bool:
    """Tell whether a row has marks of either kind."""
    return bool(row.get(CLAUSES) or row.get(EVIDENCE))


def encode_marks(
    row: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    normalizer: Normalizer,
    max_tokens: int,
    index: Mapping[str, int],
) -> tuple[list[int], Marks]:
    """Return a marked row's token ids with the marks of each token.

    Parameters
    ----------
    index : mapping of str to int
        The number of each label of the clauses' task.
    """
    normal = normalizer.normalize_with_offsets(row["text"], arabizi_edits(row["text"]))
    encoded = tokenizer(normal.text, truncation=True, max_length=max_tokens, return_offsets_mapping=True)
    places = [source_of(normal, start, end) for start, end in encoded["offset_mapping"]]
    marks = Marks.unknown(len(places))
    if row.get(EVIDENCE):
        marks.evidence[:] = 0
        for start, end in json.loads(row[EVIDENCE]):
            marks.evidence[_tokens(places, start, end)] = 1
    if row.get(CLAUSES):
        marks.tags[:] = _OUTSIDE
        for start, end, label in json.loads(row[CLAUSES]):
            tokens = _tokens(places, start, end)
            if len(tokens):
                marks.tags[tokens] = _INSIDE
                marks.tags[tokens[0]] = _BEGIN
                marks.clauses[tokens] = len(marks.labels)
                marks.labels.append(index.get(label, IGNORE))
    return encoded["input_ids"], marks


def _tokens(places: Sequence[Place], start: int, end: int) -> np.ndarray:
    """Return the tokens most of whose characters lie in a slice of the text."""
    inside = [
        token for token, (begin, stop) in enumerate(places) if 2 * (min(end, stop) - max(start, begin)) > stop - begin
    ]
    return np.array(inside, np.int64)
