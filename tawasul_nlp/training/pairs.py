"""Learn the score of a pair: how likely two cases are to describe one incident.

A :class:`~tawasul_nlp.duplicates.pair_scorer.PairScorer` is fitted on two collections, and its threshold chosen:

- incidents whose reports the encoder never saw side by side, among other training cases. The model knows the topics of
  all these texts by heart, so they cannot teach how far topics agree that are read from new texts: here the topics
  count as unknown.
- validation cases. They are fewer, but like use, so each of their pairs weighs more: both weigh the same.

Candidates are near one another, so hardly any pair of them shows what texts are that have nothing in common. What the
cosine adds may therefore never fall as the cosine rises: else the texts that are least alike gain by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.candidates import candidate_pairs, unique_pairs
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.features import CaseFeatures, case_features
from tawasul_nlp.duplicates.groups import LEAST, NEAR_COPY, DuplicateGroups
from tawasul_nlp.duplicates.pair_features import KNOTS, NAMES, conflicting_areas, copied, pair_features
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.verifier import CaseScores, Verifier
from tawasul_nlp.model.folder import PAIRS, file_hash, read_config
from tawasul_nlp.training.pair_verification import JudgedPairs, Remembered, fit_verification
from tawasul_nlp.training.progress import tell

FOLDS = 5
# The more alike two texts are in meaning or wording, the likelier they are to tell of one incident, whatever the few
# examples say; so are those of one place the more alike their topics are, and the rarer the place.
RISING = (
    "shingles",
    "shingles_same_names",
    "cosine",
    "cosine_same_place",
    "cosine_no_place",
    "topics_same_place",
    "rarest_shared_place",
)
# Strength of the L2 penalty (the factor of the likelihood): the strongest whose cross-validated average precision, the
# mean of that on both backlogs, is about the best. A smaller factor is a stronger penalty.
PENALTIES = (0.03, 0.1, 0.3, 1.0)
ABOUT = 0.001
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.025), 3)
# At most this share of hard negatives may be merged at the chosen threshold.
HARD_NEGATIVES_MERGED = 0.03


class Report(Protocol):
    """A text with the id of the incident that it describes."""

    @property
    def id(self) -> str:
        """Its own id."""

    @property
    def text(self) -> str:
        """What was written."""

    @property
    def incident(self) -> str:
        """Reports of one incident have one id of it."""


R = TypeVar("R", bound=Report)


@dataclass(frozen=True, slots=True)
class SimpleReport:
    """A report as a table has it."""

    id: str
    text: str
    incident: str


@dataclass(frozen=True, slots=True, eq=False)
class Collection(Generic[R]):
    """Texts among which duplicates are looked for.

    Attributes
    ----------
    texts : sequence of Report
    incident : ndarray of int64, shape (n,)
        Texts with one number tell of one incident.
    hard_negatives : ndarray of int64, shape (m, 2)
        Rows of a case and of a hard negative that is another incident.
    """

    texts: Sequence[R]
    incident: np.ndarray
    hard_negatives: np.ndarray

    @property
    def duplicates(self) -> np.ndarray:
        """All pairs of one incident: (pairs, 2), the lower row first."""
        return together(self.incident)


def together(labels: np.ndarray) -> np.ndarray:
    """Return all pairs with one label: (pairs, 2), the lower row first."""
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    pairs = [(a, b) for group in groups for at, a in enumerate(group) for b in group[at + 1 :]]
    return unique_pairs(np.array(pairs, np.int64).reshape(-1, 2))


def collection_of(rows: Sequence[Mapping[str, Any]]) -> Collection[SimpleReport]:
    """Return rows with ``text`` and ``incident`` as a collection; a row without an incident is one of its own."""
    numbers: dict[str, int] = {}
    reports = [SimpleReport(str(at), row["text"], row["incident"] or f"row {at} alone") for at, row in enumerate(rows)]
    incident = np.array([numbers.setdefault(report.incident, len(numbers)) for report in reports], np.int64)
    return Collection(reports, incident, np.zeros((0, 2), np.int64))


def read(collection: Collection[R], classifier: ComplaintClassifier) -> CaseFeatures:
    """Return the columns that the texts are compared by."""
    return case_features(classifier, [Case(text.text, id=text.id) for text in collection.texts])


def training_pairs(collection: Collection[R], columns: CaseFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate pairs, duplicates and hard negatives whose areas do not conflict, and which are duplicates.

    Pairs on other streets or roads stay: within a block it is learned what other roads say.
    """
    pairs = unique_pairs(np.concatenate([candidate_pairs(columns), collection.duplicates, collection.hard_negatives]))
    pairs = pairs[~conflicting_areas(columns, pairs[:, 0], pairs[:, 1])]
    return pairs, collection.incident[pairs[:, 0]] == collection.incident[pairs[:, 1]]


def features_by_heart(columns: CaseFeatures, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return :func:`pair_features` of texts whose topics the model knows by heart.

    Their topics count as unknown, but for near copies: these have the same topics whether known by heart or not.
    """
    unknown = replace(columns, topics=np.full_like(columns.topics, -1))
    near = copied(columns, first, second) >= NEAR_COPY
    features: np.ndarray = np.where(
        near[:, None], pair_features(columns, first, second), pair_features(unknown, first, second)
    )
    return features


def rises() -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix that turns steps from knot to knot into weights, and which steps may not be negative.

    Features that may fall have their weights for steps.
    """
    matrix, positive = np.eye(len(NAMES)), np.zeros(len(NAMES), np.bool_)
    for name in RISING:
        at = [NAMES.index(f"{name}@{knot:g}") for knot in KNOTS[name]]
        matrix[np.ix_(at, at)] = np.tri(len(at))
        positive[at[1:]] = True
    return matrix, positive


def fit(features: np.ndarray, same: np.ndarray, weights: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Fit weights of features and intercept by penalised likelihood; what :data:`RISING` features add never falls."""
    from scipy.optimize import minimize

    matrix, positive = rises()
    table = np.column_stack([features @ matrix, np.ones(len(features))])
    signs = np.where(same, 1.0, -1.0)
    penalised = np.append(np.ones(len(matrix)), 0.0)

    def loss(steps: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (table @ steps)
        slopes = -signs * weights / (1.0 + np.exp(np.minimum(margins, 500.0)))
        value = penalty * float(weights @ np.logaddexp(0.0, -margins)) + 0.5 * float(steps @ (penalised * steps))
        return value, penalty * (slopes @ table) + penalised * steps

    bounds = [(0.0, None) if step else (None, None) for step in (*positive, False)]
    start = np.zeros(len(bounds))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5_000}).x
    return matrix @ found[:-1], float(found[-1])


def cross_validated(
    features: np.ndarray, same: np.ndarray, weights: np.ndarray, folds: np.ndarray, penalty: float
) -> np.ndarray:
    """Return each pair's log-odds by a model that did not see its fold."""
    logits = np.zeros(len(same))
    for fold in range(FOLDS):
        inside = folds == fold
        coefficients, intercept = fit(features[~inside], same[~inside], weights[~inside], penalty)
        logits[inside] = features[inside] @ coefficients + intercept
    return logits


def mean_average_precision(logits: np.ndarray, same: np.ndarray, source: np.ndarray) -> float:
    """Return the mean over the backlogs of the average precision of their pairs."""
    from sklearn.metrics import average_precision_score

    return float(np.mean([average_precision_score(same[source == s], logits[source == s]) for s in np.unique(source)]))


def pairwise(groups: DuplicateGroups, collection: Collection[R]) -> dict[str, float]:
    """Return precision, recall and F1 over pairs of cases, and the share of hard negatives that were merged."""
    labels = groups.labels
    sizes = np.bincount(labels)
    together = int((sizes * (sizes - 1) // 2).sum())
    duplicates = collection.duplicates
    found = int((labels[duplicates[:, 0]] == labels[duplicates[:, 1]]).sum())
    near = collection.hard_negatives
    return {
        "precision": found / max(together, 1),
        "recall": found / max(len(duplicates), 1),
        "f1": 2 * found / max(together + len(duplicates), 1),
        "hard_negatives_merged": float((labels[near[:, 0]] == labels[near[:, 1]]).mean()) if len(near) else 0.0,
    }


def fit_scorer(classifier: ComplaintClassifier, fitting: Collection[R], validation: Collection[R]) -> PairScorer:
    """Fit the scorer of a model on a fitting and a validation collection, and choose its threshold.

    If the model reads pairs, it is also fitted what that counts where the scorer is unsure
    (:mod:`~tawasul_nlp.training.pair_verification`), with a threshold of its own.
    """
    sources = [
        _source(fitting, classifier, features_by_heart),
        _source(validation, classifier, pair_features),
    ]
    weights, intercept, logits = _fit_weights(sources)
    scorer = PairScorer(weights, intercept, threshold=0.5)
    # Thresholds are chosen by scores that the pairs got from models that had not seen them.
    judged = [
        JudgedPairs.of(source.texts, source.columns, source.pairs, source.same, own)
        for source, own in zip(sources, logits, strict=True)
    ]
    scorer = replace(scorer, threshold=_threshold(judged[1], CaseScores(judged[1].columns, scorer), validation))
    if not classifier.reads_pairs:
        return scorer
    reader = Remembered(classifier)
    rule = fit_verification(reader, scorer, judged)
    verifier = Verifier(scorer, rule, reader)
    scores = CaseScores(judged[1].columns, scorer, verifier, judged[1].texts)
    return replace(
        scorer,
        verification=replace(rule, threshold=_threshold(judged[1].verified(verifier), scores, validation)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A collection's pairs as the scorer learns from them; an incident's pairs are in one fold."""

    texts: list[str]
    columns: CaseFeatures
    pairs: np.ndarray
    same: np.ndarray
    features: np.ndarray
    folds: np.ndarray


def _source(
    collection: Collection[R],
    classifier: ComplaintClassifier,
    features_of: Callable[[CaseFeatures, np.ndarray, np.ndarray], np.ndarray],
) -> _Source:
    columns = read(collection, classifier)
    pairs, same = training_pairs(collection, columns)
    tell("%d texts, %d pairs, %d of one incident", len(collection.texts), len(pairs), int(same.sum()))
    folds = collection.incident[pairs].min(1) % FOLDS
    texts = [text.text for text in collection.texts]
    return _Source(texts, columns, pairs, same, features_of(columns, pairs[:, 0], pairs[:, 1]), folds)


def _fit_weights(sources: Sequence[_Source]) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Return the scorer's weights and intercept, and each source's log-odds by models that did not see their fold."""
    table, truth, fold = (
        np.concatenate([getattr(source, name) for source in sources]) for name in ("features", "same", "folds")
    )
    sizes = [len(source.pairs) for source in sources]
    source = np.repeat(np.arange(len(sizes)), sizes)
    weights = (sizes[0] / np.array(sizes))[source]
    logits = {penalty: cross_validated(table, truth, weights, fold, penalty) for penalty in PENALTIES}
    precision = {penalty: mean_average_precision(found, truth, source) for penalty, found in logits.items()}
    penalty = min(value for value in PENALTIES if precision[value] >= max(precision.values()) - ABOUT)
    own = [
        mean_average_precision(logits[penalty][source == s], truth[source == s], source[source == s])
        for s in range(len(sizes))
    ]
    shown = {strength: round(value, 4) for strength, value in precision.items()}
    tell("cross-validated average precision by penalty %s; %s; on validation %.4f", shown, penalty, own[-1])
    return *fit(table, truth, weights, penalty), np.split(logits[penalty], np.cumsum(sizes)[:-1])


def _threshold(judged: JudgedPairs, scores: CaseScores, collection: Collection[R]) -> float:
    """Return the middle of the thresholds whose neighbourhood has an F1 within a standard error of the best.

    With so few pairs a single peak is chance, and so is the best place of a plateau; its middle is the furthest from
    where the F1 falls on either side.
    """
    edges = Edges(judged.pairs[:, 0], judged.pairs[:, 1], judged.scores.astype(np.float32)).above(LEAST)
    cases = [Case(text.text, id=text.id) for text in collection.texts]
    values = []
    for threshold in THRESHOLDS:
        found = pairwise(DuplicateGroups(cases, edges, scores, float(threshold)), collection)
        tell("threshold %.3f: %s", threshold, {name: round(value, 3) for name, value in found.items()})
        values.append(found["f1"] if found["hard_negatives_merged"] <= HARD_NEGATIVES_MERGED else 0.0)
    smooth = np.convolve(values, np.ones(3) / 3, mode="same")
    best = float(np.max(smooth))
    error = np.sqrt(best * (1 - best) / max(1, len(collection.duplicates)))
    return float(np.median(THRESHOLDS[smooth >= best - error]).round(3))


def install(scorer: PairScorer, folder: Path) -> None:
    """Write ``pairs.json`` into the model folder and enter it in the folder's list of files."""
    config = read_config(folder)
    scorer.save(folder / PAIRS)
    replace(config, files={**config.files, PAIRS: file_hash(folder / PAIRS)}).save(folder)
