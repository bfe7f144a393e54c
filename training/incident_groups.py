"""Groups of texts that describe one incident, drawn beside the labelled rows of a training batch."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.candidates import unique_pairs
from tawasul_nlp.duplicates.cases import Case

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """Texts among which duplicates are looked for."""

    texts: Sequence[Case] = field(repr=False)
    # Texts with one number tell of one incident: (n,), int64.
    incident: np.ndarray
    # Rows of a case and of a hard negative that is another incident: (m, 2), int64.
    hard_negatives: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @property
    def duplicates(self) -> np.ndarray:
        """All pairs of one incident: (pairs, 2), the lower row first."""
        return together(self.incident)


def together(labels: np.ndarray) -> np.ndarray:
    """Return all pairs with one label: (pairs, 2), the lower row first."""
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    pairs = [(a, b) for group in groups for position, a in enumerate(group) for b in group[position + 1 :]]
    return unique_pairs(np.array(pairs, np.int64).reshape(-1, 2))


@dataclass(frozen=True, slots=True)
class Incident:
    """Texts of one incident, and hard negatives: texts much like them of other incidents."""

    id: str
    # Incidents of one stratum, such as an agency, are drawn together, so that a batch holds negatives that are
    # alike.
    stratum: str
    # Rows of a data set: ``text``, ``incident`` and the columns of the labels, which may be empty.
    reports: tuple[Row, ...]
    # Rows whose ``incident`` is another.
    hard_negatives: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Incidents:
    """What a model learns incidents from."""

    # For the contrastive loss.
    learned: tuple[Incident, ...]
    # Returns what :func:`training.pair_fitting.fit_scorer` fits the pair scorer on.
    collections: Callable[[], tuple[Collection, ...]]
    # Texts that say the same in other words, of no stratum; an eighth of the groups of a draw.
    paraphrases: tuple[Incident, ...] = ()


class IncidentDraws:
    """Endless draws of groups for training batches.

    Half of the groups of one draw are of one stratum, so that a batch holds negatives that are alike.
    """

    def __init__(self, incidents: Incidents, seed: int) -> None:
        self.rng = random.Random(seed)
        self.incidents = [incident for incident in incidents.learned if len(incident.reports) > 1]
        self.paraphrases = incidents.paraphrases
        self.by_stratum: dict[str, list[Incident]] = defaultdict(list)
        for incident in self.incidents:
            self.by_stratum[incident.stratum].append(incident)

    def draw(self, groups: int) -> list[Row]:
        """Return the rows of ``groups`` groups: two reports each, and a hard negative where there is one."""
        groups = min(groups, len(self.incidents))
        near = self.by_stratum[self._stratum()]
        chosen = self.rng.sample(near, min(len(near), groups // 2))
        if self.paraphrases:
            chosen += self.rng.sample(self.paraphrases, groups // 8)
        drawn_ids = {incident.id for incident in chosen}
        while len(chosen) < groups:
            other = self.rng.choice(self.incidents)
            if other.id not in drawn_ids:
                drawn_ids.add(other.id)
                chosen.append(other)
        drawn: list[Row] = []
        for incident in chosen:
            drawn.extend(self.rng.sample(incident.reports, 2))
            if incident.hard_negatives:
                drawn.append(self.rng.choice(incident.hard_negatives))
        return drawn

    def _stratum(self) -> str:
        names = list(self.by_stratum)
        return self.rng.choices(names, [len(self.by_stratum[name]) for name in names])[0]
