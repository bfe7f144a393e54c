"""Learn the score of a pair: how likely two cases are to describe one incident.

A :class:`~tawasul_nlp.duplicates.pair_scorer.PairScorer` is fitted on two collections:

- incidents whose reports the encoder never saw side by side, among other training cases. The model knows the topics of
  all these texts by heart, so they cannot teach how far topics agree that are read from new texts: here the topics
  count as unknown.
- validation cases. They are fewer, but like use, so each of their pairs weighs more: both weigh the same.

What a reading counts is learned from these and from neighbourhoods of alike incidents, where the first score is least
sure. Thresholds are chosen on validation cases and on these neighbourhoods.

Candidates are near one another, so hardly any pair of them shows what texts are that have nothing in common. What the
cosine adds may therefore never fall as the cosine rises: else the texts that are least alike gain by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.candidates import candidate_pairs, unique_pairs
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.features import CaseFeatures, case_features
from tawasul_nlp.duplicates.groups import LEAST, NEAR_COPY, DuplicateGroups
from tawasul_nlp.duplicates.pair_features import (
    KNOTS,
    NAMES,
    conflicting_areas,
    conflicting_places,
    copied,
    pair_features,
)
from tawasul_nlp.duplicates.pair_scorer import MEASURES, PairScorer, Verification
from tawasul_nlp.duplicates.verifier import CaseScores, PairReader, Verifier, pair_measures, to_read
from tawasul_nlp.model.folder import PAIRS, file_hash, read_config
from tawasul_nlp.training.run_folder import tell
from training.incident_groups import Collection

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
# At most this share of the hard negatives of each held-out collection may be merged at the chosen threshold.
HARD_NEGATIVES_MERGED = 0.1


def training_pairs(collection: Collection, columns: CaseFeatures) -> tuple[np.ndarray, np.ndarray]:
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
        columns = [NAMES.index(f"{name}@{knot:g}") for knot in KNOTS[name]]
        matrix[np.ix_(columns, columns)] = np.tri(len(columns))
        positive[columns[1:]] = True
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
    steps_and_intercept = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5_000}
    ).x
    return matrix @ steps_and_intercept[:-1], float(steps_and_intercept[-1])


def pairwise(groups: DuplicateGroups, collection: Collection) -> dict[str, float]:
    """Return precision, recall and F1 over pairs of cases, and the share of hard negatives that were merged."""
    labels = groups.labels
    sizes = np.bincount(labels)
    together = int((sizes * (sizes - 1) // 2).sum())
    duplicates = collection.duplicates
    joined = int((labels[duplicates[:, 0]] == labels[duplicates[:, 1]]).sum())
    near = collection.hard_negatives
    merged = np.unique(near[labels[near[:, 0]] == labels[near[:, 1]], 1])
    return {
        "precision": joined / max(together, 1),
        "recall": joined / max(len(duplicates), 1),
        "f1": 2 * joined / max(together + len(duplicates), 1),
        "hard_negatives_merged": len(merged) / max(len(np.unique(near[:, 1])), 1),
    }


def fit_scorer(
    classifier: ComplaintClassifier, fitting: Collection, validation: Collection, alike: Collection | None = None
) -> PairScorer:
    """Fit the scorer of a model on a fitting and a validation collection, and choose its threshold.

    If the model reads pairs, it is also fitted what that counts where the scorer is unsure, and a threshold of its own
    is chosen. Held-out neighbourhoods of ``alike`` incidents have a say in that and in both thresholds.
    """
    learned, judged = _candidates(fitting, classifier), _candidates(validation, classifier)
    features = [features_by_heart(learned.columns, *learned.pairs.T), pair_features(judged.columns, *judged.pairs.T)]
    # An incident's pairs are in one fold.
    folds = [each.incident[source.pairs].min(1) % FOLDS for each, source in ((fitting, learned), (validation, judged))]
    weights, intercept, logits = _fit_weights(features, [learned.same, judged.same], folds)
    # Thresholds are chosen by scores that the pairs got from models that had not seen them.
    learned, judged = (source.scored(of_source) for source, of_source in zip((learned, judged), logits, strict=True))
    scorer = PairScorer(weights, intercept, threshold=0.5)
    held_out = [(validation, judged)]
    if alike is not None:
        near = _candidates(alike, classifier)
        held_out.append((alike, near.scored(pair_features(near.columns, *near.pairs.T) @ weights + intercept)))
    scorer = replace(scorer, threshold=_threshold(held_out, scorer))
    if not classifier.reads_pairs:
        return scorer
    reader = Remembered(classifier)
    rule = fit_verification(reader, scorer, [learned, *(pairs for _, pairs in held_out)])
    verifier = Verifier(scorer, rule, reader)
    verified = [(collection, pairs.verified(verifier)) for collection, pairs in held_out]
    return replace(scorer, verification=replace(rule, threshold=_threshold(verified, scorer, verifier)))


def _candidates(collection: Collection, classifier: ComplaintClassifier) -> JudgedPairs:
    """Return the pairs that the scorer learns from, before they are scored."""
    columns = case_features(classifier, collection.texts)
    pairs, same = training_pairs(collection, columns)
    tell("%d texts, %d pairs, %d of one incident", len(collection.texts), len(pairs), int(same.sum()))
    return JudgedPairs([case.text for case in collection.texts], columns, pairs, same)


def _fit_weights(
    features: Sequence[np.ndarray], same: Sequence[np.ndarray], folds: Sequence[np.ndarray]
) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Return the scorer's weights and intercept, and each source's log-odds by models that did not see their fold."""
    from sklearn.metrics import average_precision_score

    sizes = np.array([len(of_source) for of_source in same])
    table, truth, fold = (np.concatenate(parts) for parts in (features, same, folds))
    ends = np.cumsum(sizes)[:-1]
    weights = np.repeat(sizes[0] / sizes, sizes)
    logits, precision = {}, {}
    for penalty in PENALTIES:
        log_odds = np.zeros(len(truth))
        for inside in (fold == number for number in range(FOLDS)):
            coefficients, intercept = fit(table[~inside], truth[~inside], weights[~inside], penalty)
            log_odds[inside] = table[inside] @ coefficients + intercept
        logits[penalty] = np.split(log_odds, ends)
        by_source = [average_precision_score(*each) for each in zip(same, logits[penalty], strict=True)]
        precision[penalty] = float(np.mean(by_source))
    penalty = min(value for value in PENALTIES if precision[value] >= max(precision.values()) - ABOUT)
    rounded = {strength: round(value, 4) for strength, value in precision.items()}
    tell("cross-validated average precision by penalty %s; %s", rounded, penalty)
    return *fit(table, truth, weights, penalty), logits[penalty]


def _threshold(
    held_out: Sequence[tuple[Collection, JudgedPairs]], scorer: PairScorer, verifier: Verifier | None = None
) -> float:
    """Return the middle of the thresholds whose neighbours have a mean F1 within a standard error of the best.

    With so few pairs a single peak is chance, and so is the best place of a plateau; its middle is the furthest from
    where the F1 falls on either side.
    """
    measured = np.array([_by_threshold(*source, scorer, verifier) for source in held_out])
    allowed = (measured[..., 1] <= HARD_NEGATIVES_MERGED).all(0)
    smooth = np.convolve(measured[..., 0].mean(0), np.ones(3) / 3, mode="same") * allowed
    best = float(np.max(smooth))
    error = np.sqrt(best * (1 - best) / max(1, sum(len(collection.duplicates) for collection, _ in held_out)))
    return float(np.median(THRESHOLDS[smooth >= best - error]).round(3))


def _by_threshold(
    collection: Collection, judged: JudgedPairs, scorer: PairScorer, verifier: Verifier | None
) -> list[tuple[float, float]]:
    """Return at each of :data:`THRESHOLDS` the F1 and the share of hard negatives that are merged."""
    edges = Edges(judged.pairs[:, 0], judged.pairs[:, 1], judged.scores.astype(np.float32)).above(LEAST)
    scores = CaseScores(judged.columns, scorer, verifier, judged.texts)
    values = []
    for threshold in THRESHOLDS:
        measured = pairwise(DuplicateGroups(collection.texts, edges, scores, float(threshold)), collection)
        tell("threshold %.3f: %s", threshold, {name: round(value, 3) for name, value in measured.items()})
        values.append((measured["f1"], measured["hard_negatives_merged"]))
    return values


def install_scorer(scorer: PairScorer, folder: Path) -> None:
    """Write ``pairs.json`` into the model folder and enter it in the folder's list of files."""
    scorer.save(folder / PAIRS)
    enter(folder, PAIRS)


def enter(folder: Path, name: str, **changes: Any) -> None:
    """Enter a file that was written into a model folder in its configuration, which may get other changes with it."""
    config = read_config(folder, verify=False)
    replace(config, files={**config.files, name: file_hash(folder / name)}, **changes).save(folder)


# The share of the duplicates that may score too little to be read, and of other pairs among those that score too much.
MISSED = 0.005
WRONG = 0.01
# The two scores lie within these, whatever few examples say.
LOW = (0.0005, 0.2)
HIGH = (0.8, 0.99)
# An incident has rarely more reports among the candidates of a case.
PER_CASE = 6


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """The pairs of a collection, judged by scorers that had not seen them."""

    texts: Sequence[str] = field(repr=False)
    # What the texts are compared by.
    columns: CaseFeatures
    # (pairs, 2), int64.
    pairs: np.ndarray
    # Which report one incident: (pairs,), bool.
    same: np.ndarray
    # The probabilities; 0 where the places conflict: (pairs,), float64. Empty until they are scored.
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def scored(self, logits: np.ndarray) -> JudgedPairs:
        """Return the pairs with their log-odds."""
        apart = conflicting_places(self.columns, self.pairs[:, 0], self.pairs[:, 1])
        return replace(self, scores=np.where(apart, 0.0, 1.0 / (1.0 + np.exp(-logits))))

    def to_read(self, rule: Verification) -> np.ndarray:
        """Return the positions of the pairs that a rule reads, ascending."""
        return to_read(rule, len(self.columns), self.pairs[:, 0], self.pairs[:, 1], self.scores)

    def measures(self, verifier: Verifier, positions: np.ndarray) -> np.ndarray:
        """Read the pairs at some positions, and return what the decision follows from."""
        first, second = self.pairs[positions].T
        readings = verifier.read([(self.texts[a], self.texts[b]) for a, b in self.pairs[positions].tolist()])
        return pair_measures(verifier.scorer, self.columns, first, second, self.scores[positions], readings)

    def verified(self, verifier: Verifier) -> JudgedPairs:
        """Return the pairs with what a verifier makes of the unsure ones."""
        positions, scores = self.to_read(verifier.rule), self.scores.copy()
        scores[positions] = 1.0 / (1.0 + np.exp(-verifier.rule.logits(self.measures(verifier, positions))))
        return replace(self, scores=scores)


class Remembered:
    """A reader that reads each pair once."""

    def __init__(self, reader: PairReader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str], float] = {}

    def pair_logits(self, pairs: Sequence[tuple[str, str]], /) -> np.ndarray:
        """Return the log-odds that the two texts of each pair report one event: (pairs,)."""
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        self._known.update(zip(new, self._reader.pair_logits(new).tolist(), strict=True))
        return np.array([self._known[pair] for pair in pairs], np.float32)


def fit_verification(reader: PairReader, scorer: PairScorer, sources: Sequence[JudgedPairs]) -> Verification:
    """Choose which pairs are read, and fit how that counts; the threshold is the scorer's, still to be chosen."""
    low, high = read_between(sources)
    rule = Verification(low, high, PER_CASE, (0.0,) * len(MEASURES), 0.0, scorer.threshold)
    measures, same = [], []
    for source in sources:
        positions = source.to_read(rule)
        measures.append(source.measures(Verifier(scorer, rule, reader), positions))
        same.append(source.same[positions])
        tell("%d of %d pairs read together, %d of one incident", len(positions), len(source.pairs), int(same[-1].sum()))
    weights, intercept = _logistic(measures, same)
    tell("read from %g to %g; weights %s", low, high, dict(zip(MEASURES, np.round(weights, 3).tolist(), strict=True)))
    return replace(rule, weights=weights, intercept=intercept)


def read_between(sources: Sequence[JudgedPairs]) -> tuple[float, float]:
    """Return the scores between which pairs are read: in no source do more than the given shares lie outside."""
    low = min(np.quantile(source.scores[source.same & (source.scores > 0)], MISSED) for source in sources)
    high = max(map(_safe_from, sources))
    return round(float(np.clip(low, *LOW)), 4), round(float(np.clip(high, *HIGH)), 4)


def _safe_from(source: JudgedPairs) -> float:
    """Return the score above which no more than the share :data:`WRONG` of the pairs are of two incidents."""
    order = np.argsort(-source.scores, kind="stable")
    too_many = np.cumsum(~source.same[order]) > WRONG * np.arange(1, len(order) + 1)
    return float(source.scores[order][too_many.argmax()]) if too_many.any() else 0.0


def _logistic(measures: Sequence[np.ndarray], same: Sequence[np.ndarray]) -> tuple[tuple[float, ...], float]:
    """Fit the weights of measures and the intercept; each source counts as much as the other."""
    from sklearn.linear_model import LogisticRegression

    total = sum(map(len, same))
    weights = [np.full(len(of_source), total / (len(same) * max(1, len(of_source)))) for of_source in same]
    fitted = LogisticRegression(max_iter=1_000)
    fitted.fit(np.concatenate(measures), np.concatenate(same), sample_weight=np.concatenate(weights))
    return tuple(float(value) for value in fitted.coef_[0]), float(fitted.intercept_[0])
