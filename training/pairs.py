"""Learn the score of a pair: how likely two cases are to tell of one incident.

``python -m training.pairs MODEL_FOLDER`` fits a :class:`~tawasul_nlp.duplicates.pair_scorer.PairScorer` on two
backlogs, chooses its threshold, and adds ``pairs.json`` to the folder. The test split is not touched. The backlogs are

- incidents whose reports the encoder never saw side by side (``"use": "scorer"`` in the corpus), with their look-alikes
  and other training cases among them, copies of these that name another house, road or town, and some cases that came
  in twice. The model knows the topics of all these texts by heart, so they cannot teach how far topics agree that are
  read from new texts: here the topics count as unknown.
- the validation split. It is the smaller one, but like use, so each of its pairs weighs more: both weigh the same.

Candidates are near one another, so hardly any pair of them shows what texts are that have nothing in common. What the
cosine adds may therefore never fall as the cosine rises: else the texts that are least alike gain by it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import find_places
from tawasul_nlp.duplicates.candidates import candidate_pairs, unique_pairs
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Edges
from tawasul_nlp.duplicates.extraction import case_features
from tawasul_nlp.duplicates.features import CaseFeatures
from tawasul_nlp.duplicates.groups import LEAST, NEAR_COPY, DuplicateGroups
from tawasul_nlp.duplicates.pair_scorer import KNOTS, NAMES, PairScorer, conflicting_areas, copied, pair_features
from tawasul_nlp.model.folder import BUNDLED, PAIRS, file_hash, read_config
from training.corpus import Example, LabelSpace, load_examples
from training.incidents import Incident, load_incidents
from training.noise import add_noise

FOLDS = 5
# The more alike two texts are in meaning or wording, the likelier they are to tell of one incident, whatever the few
# examples say; so are those of one place the more alike their topics are, and the rarer the place.
RISING = ("shingles", "cosine", "cosine_same_place", "cosine_no_place", "topics_same_place", "rarest_shared_place")
# Strength of the L2 penalty (the factor of the likelihood): the strongest whose cross-validated average precision, the
# mean of that on both backlogs, is about the best. A smaller factor is a stronger penalty.
PENALTIES = (0.03, 0.1, 0.3, 1.0)
ABOUT = 0.001
# Training cases without a known second report that stand among the fitting incidents, as in a backlog.
OTHERS = 1_500
# So many of them came in twice, mistyped a little, and of so many more there is a copy that alone names a town: of near
# copies the corpus has hardly any, and without a place none.
SENT_AGAIN = 300
_NUMBERED = frozenset({"house", "flat", "road"})
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.025), 3)
# At most this share of look-alikes may be merged at the chosen threshold.
LOOK_ALIKES_MERGED = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Texts among which duplicates are looked for.

    Attributes
    ----------
    texts : list of Example
    incident : ndarray of int64, shape (n,)
        Texts with one number tell of one incident.
    look_alikes : ndarray of int64, shape (m, 2)
        Rows of a case and of a look-alike that is another incident.
    """

    texts: list[Example]
    incident: np.ndarray
    look_alikes: np.ndarray

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


def collect(incidents: list[Incident], others: list[Example]) -> Collection:
    """Put incidents, their look-alikes and other cases together."""
    texts: dict[str, Example] = {}
    near: list[tuple[str, str]] = []
    for incident in incidents:
        texts.update({text.id: text for text in (*incident.texts, *incident.look_alikes)})
        near.extend((incident.id, other.id) for other in incident.look_alikes)
    texts.update({other.id: other for other in others if other.id not in texts})
    rows = {name: row for row, name in enumerate(texts)}
    numbers: dict[str, int] = {}
    incident_numbers = [numbers.setdefault(text.incident, len(numbers)) for text in texts.values()]
    pairs = np.array([(rows[a], rows[b]) for a, b in near], np.int64).reshape(-1, 2)
    return Collection(list(texts.values()), np.array(incident_numbers), pairs)


def held_out(split: str, labels: LabelSpace) -> Collection:
    """Return the whole of a held-out split: all its cases, re-reports and look-alikes."""
    return collect(load_incidents(split, labels), load_examples(split, labels))


def read(collection: Collection, classifier: ComplaintClassifier) -> CaseFeatures:
    """Return the columns that the texts are compared by."""
    return case_features(classifier, [Case(text.text, id=text.id) for text in collection.texts])


def training_pairs(collection: Collection, columns: CaseFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Return candidate pairs, duplicates and look-alikes whose areas do not conflict, and which are duplicates.

    Pairs on other streets or roads stay: within a block it is learned what other roads say.
    """
    pairs = unique_pairs(np.concatenate([candidate_pairs(columns), collection.duplicates, collection.look_alikes]))
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


def pairwise(groups: DuplicateGroups, collection: Collection) -> dict[str, float]:
    """Return precision, recall and F1 over pairs of cases, and the share of look-alikes that were merged."""
    labels = groups.labels
    sizes = np.bincount(labels)
    together = int((sizes * (sizes - 1) // 2).sum())
    duplicates = collection.duplicates
    found = int((labels[duplicates[:, 0]] == labels[duplicates[:, 1]]).sum())
    near = collection.look_alikes
    return {
        "precision": found / max(together, 1),
        "recall": found / max(len(duplicates), 1),
        "f1": 2 * found / max(together + len(duplicates), 1),
        "look_alikes_merged": float((labels[near[:, 0]] == labels[near[:, 1]]).mean()) if len(near) else 0.0,
    }


def at_next_door(case: Example, rng: random.Random) -> Example | None:
    """Return the case as an agent notes down the same of another house or road; None if it names neither.

    Look-alikes of the corpus differ in more than a number, so they do not teach that a copy may be another incident.
    """
    text, named = case.text, [place for place in find_places(case.text).mentions if place.kind in _NUMBERED]
    for place in reversed(named):
        other = str((place.number or 0) + rng.choice((2, 4, 6)))
        text = text[: place.start] + re.sub(r"\d+", other, text[place.start : place.end]) + text[place.end :]
    name = f"{case.id}-next-door"
    return replace(case, id=name, text=text, incident=name) if named else None


def named_elsewhere(case: Example, towns: list[str], rng: random.Random) -> Example | None:
    """Return a case that names no place as an agent notes down the like from some town; None if it names a place.

    Notes are alike in their wording: that one of two has no place does not make them one incident.
    """
    if find_places(case.text):
        return None
    name = f"{case.id}-elsewhere"
    return replace(case, id=name, text=f"{rng.choice(towns)}: {case.text}", incident=name)


def sent_again(case: Example, rng: random.Random) -> Example:
    """Return the case as somebody sends or notes it down once more."""
    return replace(case, id=f"{case.id}-again", text=add_noise(case.text, rng, rate=0.1))


def fitting_backlog(labels: LabelSpace) -> Collection:
    """Return the incidents kept for the scorer, among :data:`OTHERS` training cases that nobody reported in own words.

    Of texts that name a house, a road or the like there is a copy that names another; of some that name no place, one
    that names a town.
    """
    known = {incident.id for use in ("encoder", "scorer") for incident in load_incidents("train", labels, use=use)}
    others = [
        case for case in load_examples("train", labels, second_batch=False, reports=False) if case.id not in known
    ]
    rng = random.Random(1)
    incidents = load_incidents("train", labels, use="scorer")
    chosen = rng.sample(others, OTHERS)
    again = [Incident(case.id, case.topic, (case, sent_again(case, rng))) for case in chosen[:SENT_AGAIN]]
    incidents += again + [Incident(case.id, case.topic, (case,)) for case in chosen[SENT_AGAIN:]]
    collection = collect(incidents, [])
    copies = [(text, at_next_door(text, rng)) for text in collection.texts]
    towns = sorted({place.name for case in others for place in find_places(case.text).mentions if place.kind == "area"})
    copies += [(case, named_elsewhere(case, towns, rng)) for case in chosen[SENT_AGAIN : 2 * SENT_AGAIN]]
    near = [Incident(text.id, text.topic, (text,), (copy,)) for text, copy in copies if copy is not None]
    return collect([*incidents, *near], [])


def train_scorer(folder: Path) -> PairScorer:
    """Fit the scorer for a model folder, print how it does on validation data, and return it."""
    labels = LabelSpace.load()
    classifier = ComplaintClassifier.from_pretrained(folder)
    backlogs = (fitting_backlog(labels), held_out("validation", labels))
    features, same, folds, sources = [], [], [], []
    for number, collection in enumerate(backlogs):
        columns = read(collection, classifier)
        pairs, duplicates = training_pairs(collection, columns)
        features_of = features_by_heart if number == 0 else pair_features
        features.append(features_of(columns, pairs[:, 0], pairs[:, 1]))
        same.append(duplicates)
        folds.append(collection.incident[pairs].min(1) % FOLDS)
        sources.append(np.full(len(pairs), number))
        print(f"{len(collection.texts)} texts, {len(pairs)} pairs, {int(duplicates.sum())} of one incident", flush=True)
    table, truth, fold, source = (np.concatenate(part) for part in (features, same, folds, sources))
    sizes = np.bincount(source)
    weights = np.where(source == 1, sizes[0] / sizes[1], 1.0)
    logits = {penalty: cross_validated(table, truth, weights, fold, penalty) for penalty in PENALTIES}
    precision = {penalty: mean_average_precision(found, truth, source) for penalty, found in logits.items()}
    penalty = min(value for value in PENALTIES if precision[value] >= max(precision.values()) - ABOUT)
    own = mean_average_precision(logits[penalty][source == 1], truth[source == 1], source[source == 1])
    print("cross-validated average precision by C:", {c: round(value, 4) for c, value in precision.items()})
    print(f"chosen: C {penalty}; on validation alone {own:.4f}", flush=True)
    scorer = PairScorer(*fit(table, truth, weights, penalty), threshold=0.5)
    # The threshold comes from scores that the validation pairs, the last ones read above, got from models that had not
    # seen them.
    return replace(scorer, threshold=_threshold(scorer, pairs, logits[penalty][source == 1], collection, columns))


def _threshold(
    scorer: PairScorer, pairs: np.ndarray, logits: np.ndarray, collection: Collection, columns: CaseFeatures
) -> float:
    """Return the middle of the thresholds whose neighbourhood has an F1 within a standard error of the best.

    With so few pairs a single peak is chance, and so is the best place of a plateau; its middle is the furthest from
    where the F1 falls on either side.
    """
    edges = Edges(pairs[:, 0], pairs[:, 1], (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)).above(LEAST)
    cases = [Case(text.text, id=text.id) for text in collection.texts]
    values = []
    for threshold in THRESHOLDS:
        found = pairwise(DuplicateGroups(cases, columns, edges, scorer, float(threshold)), collection)
        print(f"threshold {threshold:.3f}:", {name: round(value, 3) for name, value in found.items()}, flush=True)
        values.append(found["f1"] if found["look_alikes_merged"] <= LOOK_ALIKES_MERGED else 0.0)
    smooth = np.convolve(values, np.ones(3) / 3, mode="same")
    best = float(np.max(smooth))
    error = np.sqrt(best * (1 - best) / max(1, len(collection.duplicates)))
    return float(np.median(THRESHOLDS[smooth >= best - error]).round(3))


def install(scorer: PairScorer, folder: Path) -> None:
    """Write ``pairs.json`` into the model folder and enter it in the folder's list of files."""
    config = read_config(folder)
    scorer.save(folder / PAIRS)
    replace(config, files={**config.files, PAIRS: file_hash(folder / PAIRS)}).save(folder)


def main() -> None:
    """Fit from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=BUNDLED, help="model folder [default: the bundled one]")
    parser.add_argument("--show", action="store_true", help="print the weights")
    arguments = parser.parse_args()
    scorer = train_scorer(arguments.model)
    install(scorer, arguments.model)
    if arguments.show:
        print(json.dumps(dict(zip(NAMES, np.round(scorer.weights, 2).tolist(), strict=True)), indent=1))
    print(f"threshold {scorer.threshold:.3f}; wrote {arguments.model / PAIRS}")


if __name__ == "__main__":
    main()
