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

IGNORE = -100
CLAUSES, EVIDENCE = "clauses", "evidence"
_OUTSIDE, _BEGIN, _INSIDE = map(TAGS.index, ("outside", "begin", "inside"))
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The marks of a text's tokens.

    Attributes
    ----------
    tags : ndarray of int, shape (tokens,)
        Whether each token is outside, begins, or is inside a clause; IGNORE where that is unknown.
    evidence : ndarray of int, shape (tokens,)
        Whether it speaks for the urgency, 0 or 1, or IGNORE.
    clauses : ndarray of int, shape (tokens,)
        The number of the clause that it is in, or IGNORE.
    labels : list of int
        The label of each clause, or IGNORE for one that the task lacks.
    """

    tags: np.ndarray
    evidence: np.ndarray
    clauses: np.ndarray
    labels: list[int] = field(default_factory=list)

    @classmethod
    def unknown(cls, tokens: int) -> Marks:
        """Return the marks of a text of which nothing is known."""
        tags, evidence, clauses = (np.full(tokens, IGNORE, np.int64) for _ in range(3))
        return cls(tags, evidence, clauses)


def is_marked(row: Mapping[str, Any]) -> bool:
    """Tell whether a row has marks of either kind."""
    return bool(row.get(CLAUSES) or row.get(EVIDENCE))


def marked(clauses: Sequence[tuple[int, int, str]] | None, evidence: Sequence[Place] | None) -> dict[str, str]:
    """Return the cells of a row with these marks; None where they are unknown.

    Examples
    --------
    >>> marked([(0, 5, "water")], None)
    {'clauses': '[[0, 5, "water"]]', 'evidence': ''}
    """
    return {
        name: "" if places is None else json.dumps(places, ensure_ascii=False)
        for name, places in ((CLAUSES, clauses), (EVIDENCE, evidence))
    }


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
    row : mapping
    tokenizer : PreTrainedTokenizerFast
    normalizer : Normalizer
    max_tokens : int
    index : mapping of str to int
        The number of each label of the clauses' task.
    """
    normal = normalizer.normalize_with_offsets(row["text"], arabizi_edits(row["text"]))
    encoded = tokenizer(normal.text, truncation=True, max_length=max_tokens, return_offsets_mapping=True)
    places = [source_of(normal, start, end) for start, end in encoded["offset_mapping"]]
    found = Marks.unknown(len(places))
    if row.get(EVIDENCE):
        found.evidence[:] = 0
        for start, end in json.loads(row[EVIDENCE]):
            found.evidence[_tokens(places, start, end)] = 1
    if row.get(CLAUSES):
        found.tags[:] = _OUTSIDE
        for start, end, label in json.loads(row[CLAUSES]):
            own = _tokens(places, start, end)
            if len(own):
                found.tags[own] = _INSIDE
                found.tags[own[0]] = _BEGIN
                found.clauses[own] = len(found.labels)
                found.labels.append(index.get(label, IGNORE))
    return encoded["input_ids"], found


def _tokens(places: Sequence[Place], start: int, end: int) -> np.ndarray:
    """Return the tokens most of whose characters lie in a slice of the text."""
    inside = [at for at, (begin, stop) in enumerate(places) if 2 * (min(end, stop) - max(start, begin)) > stop - begin]
    return np.array(inside, np.int64)
