"""From a network's answers for each token to a text's issues, and to the words that speak for its urgency."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log

import numpy as np

from tawasul_nlp.model.runtime import TAGS

_OUTSIDE, _BEGIN, _INSIDE, _EVIDENCE = range(len(TAGS))
# Fewer words are no clause of their own: chosen by the overlap with the clauses of training/data/issues.jsonl.
_FEWEST_WORDS = 4
_WORD = re.compile(r"[\w\u064b-\u065f\u0670]+")  # with vowel marks
_CLAUSE_END = re.compile(r"[.!?؟،؛:;…\n]+|\s-\s|,(?!\d)")
FEATURES = ("clause", "topic", "text", "length")
"""What an issue beside the main one is judged by: the log-odds that its tokens are a clause, its label's log-odds in
the clause and in the whole text, and the logarithm of the clause's length in tokens."""


@dataclass(frozen=True, slots=True)
class IssueConfig:
    """How a model finds the issues of a text."""

    # The task whose labels the issues have.
    task: str
    # Of each of `FEATURES`, in the log-odds that a clause reports an issue of its own.
    weights: tuple[float, ...] = (0.5,) * len(FEATURES)
    bias: float = 0.0
    # The probability from which an issue beside the main one is answered.
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if len(self.weights) != len(FEATURES):
            raise ValueError(
                f"issues have {len(self.weights)} weights, expected {len(FEATURES)}: {', '.join(FEATURES)}"
            )
        if not np.isfinite((*self.weights, self.bias, self.threshold)).all():
            raise ValueError("the weights, bias and threshold of issues must be finite")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause that may report an issue."""

    # Its likeliest label, as its tokens and the whole text have it.
    label: int
    # Its tokens.
    start: int
    end: int
    # See `FEATURES`.
    features: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FoundIssue:
    """An issue of a text."""

    # Index of its label.
    label: int
    # Of the main issue, that of its label for the text; of another one, that the text reports it.
    probability: float
    # Where it is reported: a slice of the tokens, or of the original text once it is moved there.
    start: int
    end: int


def find_clauses(tags: np.ndarray, labels: np.ndarray, text: np.ndarray) -> list[Clause]:
    """Return the clauses of a text that may report an issue, in the order of the text.

    ``tags`` (tokens, len(TAGS)) and ``labels`` (tokens, n_labels) are logits, without those of special tokens; ``text``
    (n_labels,) the probability of each label for the whole text, which has a say in what each clause is about.
    """
    clauses = []
    for start, end in _runs(tags[:, :_EVIDENCE].argmax(1).tolist()):
        shares = _softmax(labels[start:end].mean(0))
        label = int((shares * text).argmax())
        certain = float(1 - _softmax(tags[start:end, :_EVIDENCE])[:, _OUTSIDE].mean())
        features = (
            _log_odds(certain),
            _log_odds(float(shares[label])),
            _log_odds(float(text[label])),
            log(end - start),
        )
        clauses.append(Clause(label, start, end, features))
    return clauses


def _runs(tags: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of tokens that are not outside, as slices; one that begins a clause begins a run."""
    start = None
    for token, tag in enumerate(tags):
        if start is not None and tag != _INSIDE:
            yield start, token
            start = None
        if start is None and tag != _OUTSIDE:
            start = token
    if start is not None:
        yield start, len(tags)


def find_issues(
    clauses: Sequence[Clause], text: np.ndarray, config: IssueConfig, tokens: int
) -> tuple[FoundIssue, ...]:
    """Choose the issues among a text's clauses, the main one first.

    The main issue is the text's likeliest label, in the clause that speaks for it most; without a clause for it, it is
    the whole text, all its ``tokens``. Each other label counts once. ``text`` is the probability of each label for the
    whole text: (n_labels,).
    """
    main = int(text.argmax())
    of_main = [clause for clause in clauses if clause.label == main]
    first = max(of_main, key=lambda clause: clause.features[0] + clause.features[1], default=None)
    start, end = (first.start, first.end) if first is not None else (0, tokens)
    others: dict[int, FoundIssue] = {}
    for clause in clauses:
        probability = issue_probability(clause, config)
        rival = others.get(clause.label)
        if (
            clause.label != main
            and probability >= config.threshold
            and (rival is None or rival.probability < probability)
        ):
            others[clause.label] = FoundIssue(clause.label, probability, clause.start, clause.end)
    return (FoundIssue(main, float(text[main]), start, end), *sorted(others.values(), key=lambda it: -it.probability))


def issue_probability(clause: Clause, config: IssueConfig) -> float:
    """Return the probability that a clause reports an issue of its own."""
    logit = config.bias + sum(weight * value for weight, value in zip(config.weights, clause.features, strict=True))
    return float(1 / (1 + np.exp(-logit)))


def find_evidence(tags: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the runs of tokens that rather speak for the urgency than not, as slices."""
    return tuple(_runs(np.where(tags[:, _EVIDENCE] >= 0, _INSIDE, _OUTSIDE).tolist()))


def whole_clauses(text: str, issues: Sequence[FoundIssue]) -> tuple[FoundIssue, ...]:
    """Let each issue, at its place in the text, begin and end with a word, and one of few words fill its clause.

    A clause is what lies between two signs, or between a sign and another issue.
    """
    places = [whole_words(text, issue.start, issue.end) for issue in issues]
    clauses = [
        _filled(text, place, [other for other in places if other != place])
        if len(_WORD.findall(text, *place)) < _FEWEST_WORDS and place != (0, len(text))
        else place
        for place in places
    ]
    return tuple(replace(issue, start=start, end=end) for issue, (start, end) in zip(issues, clauses, strict=True))


def _filled(text: str, place: tuple[int, int], others: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the words between the signs and other issues that are next to a place."""
    start, end = place
    signs = chain(_CLAUSE_END.finditer(text, 0, start), _CLAUSE_END.finditer(text, end))
    limits = [*others, *(sign.span() for sign in signs)]
    low = max((last for _, last in limits if last <= start), default=0)
    high = min((first for first, _ in limits if first >= end), default=len(text))
    words = list(_WORD.finditer(text, low, high))
    return (words[0].start(), words[-1].end()) if words else place


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a place in a text with the rest of the words that it cuts."""
    for word in _WORD.finditer(text):
        if word.start() < start < word.end():
            start = word.start()
        if word.start() < end < word.end():
            end = word.end()
    return start, end


def joined(places: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join places that overlap, as those of the tokens of one word that was rewritten do."""
    merged: list[tuple[int, int]] = []
    for start, end in places:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    result: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return result


def _log_odds(probability: float) -> float:
    certain = min(max(probability, 1e-6), 1 - 1e-6)
    return log(certain / (1 - certain))
