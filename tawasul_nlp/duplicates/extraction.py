"""Extract features from cases: the model encodes the texts, and fingerprints are computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tawasul_nlp._system import cores
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import TOPICS, CaseFeatures, compute_features
from tawasul_nlp.errors import InvalidTextError

# From this many cases on, starting worker processes pays.
_MANY = 20_000
_CHUNK = 4_096
# The tolerance for vectors stored with fewer bits.
_UNEVEN = 0.02


def case_features(
    classifier: ComplaintClassifier, cases: Sequence[Case], *, workers: int | None = None, domain: Domain | None = None
) -> CaseFeatures:
    """Return the features of cases; the model reads the texts without an embedding.

    Parameters
    ----------
    classifier : ComplaintClassifier
    cases : sequence of Case
    workers : int or None
        Processes that read texts for places and fingerprints; None for one per core when there are many cases.
    domain : Domain or None
        The pack with the places; None for that of the classifier.

    Raises
    ------
    InvalidTextError
        If an embedding has another size than this model's incident vectors, or not length 1.
    """
    if workers is None:
        workers = cores() if len(cases) >= _MANY else 1
    width = classifier.incident_size
    vectors = np.zeros((len(cases), width), np.float32)
    unknown: dict[str, float] = {}
    ids = topic_ids(classifier) if any(case.topic for case in cases) else {}
    given = [ids.get(case.topic.casefold(), case.topic) if case.topic else None for case in cases]
    topics = [unknown if topic is None else {topic: 1.0} for topic in given]
    unread = []
    embedded = np.zeros(len(cases), np.bool_)
    for row, case in enumerate(cases):
        if case.embedding is None:
            unread.append(row)
        elif case.embedding.shape != (width,):
            raise InvalidTextError(
                f"the embedding of case {row} has shape {case.embedding.shape}, expected ({width},); "
                "pass a row of DuplicateGrouper.encode",
                row,
            )
        else:
            vectors[row], embedded[row] = case.embedding, True
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    for row in np.flatnonzero(embedded & (np.abs(lengths - 1) > _UNEVEN))[:1].tolist():
        raise InvalidTextError(
            f"the embedding of case {row} has the length {lengths[row]:.3g}, expected 1; "
            "pass a row of DuplicateGrouper.encode",
            row,
        )
    task = classifier.known_task(None)
    names = classifier.labels[task]
    for start in range(0, len(unread), _CHUNK):
        rows = unread[start : start + _CHUNK]
        output = classifier._forward([cases[row].text for row in rows])
        assert output.incident is not None  # the model has incident vectors: their width was read above
        vectors[rows] = output.incident
        probabilities = output.probabilities[task]
        if task in classifier.multi_label_tasks:  # one text's add up to more than 1
            probabilities = probabilities / np.maximum(probabilities.sum(1, keepdims=True), 1.0)
        best = np.argsort(-probabilities, axis=1)[:, :TOPICS]
        for row, likeliest, share in zip(rows, best.tolist(), probabilities, strict=True):
            topics[row] = topics[row] or {names[at]: float(share[at]) for at in likeliest}
    own = {topic for topic in given if topic is not None}.difference(names)
    return compute_features(cases, vectors, topics, workers, own, domain or classifier.domain)


def topic_ids(classifier: ComplaintClassifier) -> dict[str, str]:
    """Return the ids of the model's topics by id and by their names in the taxonomy.

    In a model without topics, the labels of its first task stand for them.

    Examples
    --------
    >>> topic_ids(ComplaintClassifier.from_pretrained())["انقطاع الكهرباء"]
    'power_outage'
    """
    found: dict[str, str] = {}
    task = classifier.known_task(None)
    for label in classifier.labels[task]:
        entry = classifier.taxonomy.topics.get(label) if task == "topic" else None
        for name in (label,) if entry is None else (label, entry.name_ar, entry.name_en):
            found.setdefault(name.casefold(), label)
    return found
