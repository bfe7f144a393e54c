"""Pairs of different incidents that the present model takes for one: negatives for reading two texts together."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.candidates import candidate_pairs
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import case_features
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.model.folder import PAIRS
from training.corpus import Example, LabelSpace, load_examples
from training.incidents import load_incidents

# A pair that is less likely than that is no mistake to learn from.
_LEAST = 0.02
_MOST = 30_000


def mined_pairs(model: Path, labels: LabelSpace, cache: Path) -> list[tuple[Example, Example]]:
    """Return pairs of training texts of different incidents that a model's pair scorer gives a chance.

    Parameters
    ----------
    model : Path
        A model folder with a pair scorer.
    labels : LabelSpace
    cache : Path
        A file that keeps what was found.
    """
    texts = {example.id: example for example in _texts(labels)}
    if not cache.exists():
        found = _mine(model, list(texts.values()))
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cache) as unfinished:
            unfinished.write_text(json.dumps(found), encoding="utf-8")
    return [(texts[first], texts[second]) for first, second in json.loads(cache.read_text(encoding="utf-8"))]


def _texts(labels: LabelSpace) -> list[Example]:
    """Return the first batch with its reports and hard negatives, without what is kept for the pair scorer."""
    kept = {incident.id for incident in load_incidents("train", labels, use="scorer")}
    cases = [case for case in load_examples("train", labels, second_batch=False) if case.incident not in kept]
    others = [other for incident in load_incidents("train", labels) for other in incident.hard_negatives]
    return [*cases, *others]


def _mine(model: Path, examples: list[Example]) -> list[tuple[str, str]]:
    features = case_features(
        ComplaintClassifier.from_pretrained(model), [Case(example.text, id=example.id) for example in examples]
    )
    pairs = candidate_pairs(features)
    names = {name: at for at, name in enumerate(dict.fromkeys(example.incident for example in examples))}
    incident = np.array([names[example.incident] for example in examples])
    pairs = pairs[incident[pairs[:, 0]] != incident[pairs[:, 1]]]
    scores = PairScorer.load(model / PAIRS).score(features, pairs[:, 0], pairs[:, 1])
    chosen = np.flatnonzero(scores >= _LEAST).tolist()
    random.Random(1).shuffle(chosen)
    return [(examples[first].id, examples[second].id) for first, second in pairs[chosen[:_MOST]].tolist()]
