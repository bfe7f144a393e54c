"""Marked texts: which clauses report which issue, and which words speak for the urgency.

A row of a data set may have ``clauses``, ``[start, end, label]`` of each issue that the text reports, and ``evidence``,
``[start, end]`` of the words that speak for its urgency: as JSON, with places in the text as it was written. An empty
cell says that they are unknown, an empty list that there are none. By such texts it is also chosen what counts as an
issue of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.encoder import source_of
from tawasul_nlp.model.folder import read_config
from tawasul_nlp.model.issues import FEATURES, Clause, IssueConfig, find_issues
from tawasul_nlp.model.runtime import TAGS
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_edits
from tawasul_nlp.training.run_folder import tell
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


THRESHOLDS = np.round(np.arange(0.1, 0.96, 0.025), 3)
# At most this share of texts with one issue may get a second one at the chosen threshold. Those with marks are the hard
# ones, which name other topics in passing; of everyday texts it is a fraction.
SINGLE_WITH_SECOND = 0.08
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class ReadText:
    """What a model makes of a text, and what its issues are."""

    clauses: list[Clause]
    # Of each label for the whole text: (n_labels,).
    probabilities: np.ndarray
    # The labels of the text's issues.
    issues: frozenset[int]


def fit_issues(folder: Path, rows: Dataset) -> IssueConfig:
    """Fit the probability that a clause is an issue of its own, choose a threshold, and store both in a model folder.

    The threshold is the one of the highest F1 over pairs of text and label at which few texts with one issue get a
    second one.

    Parameters
    ----------
    folder : Path
        A model folder that tells clauses apart.
    rows : Dataset
        Marked rows (:mod:`tawasul_nlp.training.marks`) that the model did not learn from.
    """
    from sklearn.linear_model import LogisticRegression

    config = read_config(folder)
    assert config.issues is not None
    texts = _read(ComplaintClassifier.from_pretrained(folder), config.issues.task, rows)
    others = [
        (clause.features, clause.label in text.issues)
        for text in texts
        for clause in text.clauses
        if clause.label != text.probabilities.argmax()
    ]
    features = np.array([of_clause for of_clause, _ in others]).reshape(-1, len(FEATURES))
    truth = np.array([true for _, true in others], bool)
    fitted = config.issues
    if 0 < truth.sum() < len(truth):
        model = LogisticRegression(C=1.0, max_iter=1000).fit(features, truth)
        fitted = replace(fitted, weights=tuple(model.coef_[0].tolist()), bias=float(model.intercept_[0]))
    fitted = replace(fitted, threshold=_threshold(texts, fitted))
    replace(config, issues=fitted).save(folder)
    return fitted


def _read(classifier: ComplaintClassifier, task: str, rows: Dataset) -> list[ReadText]:
    index = {label: number for number, label in enumerate(classifier.labels[task])}
    truth = [frozenset(index[label] for *_, label in json.loads(marks) if label in index) for marks in rows[CLAUSES]]
    scorers = classifier._scorers
    texts: list[ReadText] = []
    for scores, _ in scorers.scores(list(rows["text"]), _BATCH):
        probabilities = scorers.probabilities(scores)[task]
        for number, of_text in enumerate(probabilities):
            clauses = scorers.clauses(scores["encoder"], number, of_text)
            texts.append(ReadText(clauses, of_text, truth[len(texts)]))
    return texts


def _threshold(texts: Sequence[ReadText], config: IssueConfig) -> float:
    best, chosen = -1.0, float(THRESHOLDS[-1])
    for threshold in THRESHOLDS.tolist():
        f1, extra = scored(texts, replace(config, threshold=threshold))
        if f1 > best and extra <= SINGLE_WITH_SECOND:
            best, chosen = f1, threshold
    tell("issues: F1 %.3f at the threshold %.3f", best, chosen)
    return chosen


def scored(texts: Sequence[ReadText], config: IssueConfig) -> tuple[float, float]:
    """Return F1 over pairs of text and label, and the share of texts with one issue that get a second one."""
    right = answered = reported = single = extra = 0
    for text in texts:
        labels = {issue.label for issue in find_issues(text.clauses, text.probabilities, config, 1)}
        right += len(labels & text.issues)
        answered += len(labels)
        reported += len(text.issues)
        single += len(text.issues) == 1
        extra += len(text.issues) == 1 and len(labels) > 1
    return 2 * right / max(1, answered + reported), extra / max(1, single)
