"""``DuplicateGrouper``: group a list of cases into incidents in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp._system import logger
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.candidates import NEIGHBOURS, NEIGHBOURS_TO_VERIFY, candidate_pairs
from tawasul_nlp.duplicates.cases import Case, as_cases
from tawasul_nlp.duplicates.clustering import Constraints, Edges, Pairs
from tawasul_nlp.duplicates.features import CaseFeatures, case_features
from tawasul_nlp.duplicates.groups import LEAST, DuplicateGroups
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.duplicates.verifier import CaseScores, Verifier
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import PAIRS


class DuplicateGrouper:
    """Group cases that report one incident.

    Create one with :meth:`from_pretrained`. The model that classifies a text also computes its incident vector, in the
    same pass; pairs are scored by a learned combination of meaning, wording, place, topic and numbers
    (:class:`~tawasul_nlp.duplicates.pair_scorer.PairScorer`). Where that is unsure, the model reads both texts of a
    pair together, if it can (:class:`~tawasul_nlp.duplicates.verifier.Verifier`).

    Parameters
    ----------
    classifier : ComplaintClassifier
        With a model that has incident vectors and a pair scorer.
    threshold : float or None
        Probability from which two cases are one incident; None for the model's own, chosen on validation data.
    days : float or None
        Cases further apart in time count less and less as one incident; None for the scorer's own.
    domain : Domain or None
        The pack whose places and personal numbers are read; None for that of the classifier.
    verify : bool or None
        Whether unsure pairs are read; None for whether the model can. Reading takes time: of each case at most
        ``verifier.rule.per_case`` pairs are read, the likeliest first.

    Raises
    ------
    ModelFormatError
        If the model has no pair scorer, or is to verify pairs and cannot.
    ValueError
        If threshold or days are out of range.

    Examples
    --------
    >>> grouper = DuplicateGrouper.from_pretrained()
    >>> groups = grouper.group([
    ...     "انقطع التيار الكهربائي عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد",
    ...     "الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد",
    ...     "الحفرة في شارع المعارض بالحورة كسرت تاير سيارتي",
    ... ])
    >>> groups.labels.tolist()
    [0, 0, 1]
    """

    def __init__(
        self,
        classifier: ComplaintClassifier,
        *,
        threshold: float | None = None,
        days: float | None = None,
        domain: Domain | None = None,
        verify: bool | None = None,
    ) -> None:
        if PAIRS not in classifier.config.files:
            raise ModelFormatError(
                f"{classifier.folder}: this model has no {PAIRS}, so it cannot group duplicates; "
                "group with the bundled model"
            )
        if threshold is not None and not LEAST <= threshold <= 1:
            raise ValueError(f"threshold is {threshold}, expected {LEAST} to 1")
        if days is not None and not days > 0:
            raise ValueError(f"days is {days}, expected more than 0")
        self.classifier = classifier
        self.domain = domain or classifier.domain
        scorer = PairScorer.load(classifier.folder / PAIRS)
        self.scorer = scorer if days is None else replace(scorer, days=days)
        self.verifier = _verifier(classifier, self.scorer, verify)
        chosen = self.scorer.threshold if self.verifier is None else self.verifier.rule.threshold
        self.threshold = chosen if threshold is None else threshold
        self.threshold_given = threshold is not None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        threshold: float | None = None,
        threads: int | None = None,
        domain: Domain | None = None,
        verify: bool | None = None,
    ) -> DuplicateGrouper:
        """Load a model: None for the bundled one, a folder, or an id on the Hub.

        A model of another country serves too: unlike a classifier's, the domain need not know its labels.

        ModelFormatError if it is not a valid model folder, has no pair scorer, or is to verify pairs and cannot.
        """
        classifier = ComplaintClassifier.from_pretrained(name, threads=threads)
        return cls(classifier, threshold=threshold, domain=domain, verify=verify)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return incident vectors, to store and pass as ``embedding``: (n_texts, 128), float32, of length 1."""
        return self.classifier.encode_incidents(texts)

    def group(
        self,
        cases: Iterable[str | Mapping[str, Any] | Case],
        *,
        must_link: Pairs = (),
        cannot_link: Pairs = (),
    ) -> DuplicateGroups:
        """Group cases.

        Parameters
        ----------
        cases : iterable of str, mapping or Case
            Mappings have a ``text`` and may have ``id``, ``created_at``, ``place``, ``topic`` and ``embedding``.
        must_link, cannot_link : iterable of (int, int)
            Pairs of cases, by position, that a person knows to be, or not to be, one incident, whatever their scores,
            places and dates.

        Raises
        ------
        InvalidTextError
            If an item is not a case; ``.index`` is its position.
        ValueError
            If two cases are both to be linked and to be kept apart, or a position is out of range.
        """
        listed = as_cases(cases)
        constraints = Constraints.from_pairs(len(listed), must_link, cannot_link)
        return self.group_features(listed, self.features(listed), constraints)

    def features(self, cases: Sequence[Case]) -> CaseFeatures:
        """Return the features of cases; see :func:`~tawasul_nlp.duplicates.features.case_features`."""
        return case_features(self.classifier, cases, self.domain)

    def group_features(
        self,
        listed: Sequence[Case],
        features: CaseFeatures,
        constraints: Constraints | None = None,
        readings: Mapping[int, float] | None = None,
    ) -> DuplicateGroups:
        """Group cases by their features; ``readings`` is :attr:`DuplicateGroups.readings` of an earlier grouping."""
        pairs = candidate_pairs(features, NEIGHBOURS if self.verifier is None else NEIGHBOURS_TO_VERIFY)
        scores = CaseScores(features, self.scorer, self.verifier, [case.text for case in listed])
        scores.readings |= readings or {}
        edges = Edges(pairs[:, 0], pairs[:, 1], scores.score(pairs[:, 0], pairs[:, 1])).above(LEAST)
        groups = DuplicateGroups(listed, edges, scores, self.threshold, constraints)
        if self.verifier is not None:
            logger.info("%d of %d pairs read together", len(groups.readings), len(pairs))
        return groups


def _verifier(classifier: ComplaintClassifier, scorer: PairScorer, verify: bool | None) -> Verifier | None:
    """Return what verifies pairs; None if nothing is to, or can unless it must."""
    if verify is False:
        return None
    if scorer.verification is None or not classifier.reads_pairs:
        if verify:
            raise ModelFormatError(
                f"{classifier.folder}: this model cannot verify pairs, because it was not trained to read two texts "
                "together; leave verify out, or use a model that was"
            )
        return None
    return Verifier(scorer, scorer.verification, classifier)
