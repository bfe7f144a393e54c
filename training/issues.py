"""Choose what counts as an issue of its own, by texts whose clauses are marked (:mod:`training.marks`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from datasets import Dataset

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.folder import read_config
from tawasul_nlp.model.issues import FEATURES, Clause, IssueConfig, find_issues
from tawasul_nlp.training.run_folder import tell
from training.marks import CLAUSES

THRESHOLDS = np.round(np.arange(0.1, 0.96, 0.025), 3)
# At most this share of texts with one issue may get a second one at the chosen threshold. Those with marks are the hard
# ones, which name other topics in passing; of everyday texts it is a fraction.
SINGLE_WITH_SECOND = 0.04
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
        Marked rows (:mod:`training.marks`) that the model did not learn from.
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
