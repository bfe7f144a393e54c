"""Pairs of texts from which the verifier learns whether both report one event.

Three kinds of pairs are of two events: what a present model's first score takes for near (mined), hard negatives, and
reports of two incidents that were composed to be alike.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.duplicates.candidates import candidate_pairs
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.features import case_features
from tawasul_nlp.duplicates.pair_features import conflicting_places
from tawasul_nlp.training.rows import add_noise
from training.corpus import Example, LabelSpace, load_examples, neighbourhoods
from training.incidents import Incident, load_incidents

_MOST = 90_000
_CASE = "case-"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and whether both report one event."""

    first: str = field(repr=False)
    second: str = field(repr=False)
    same: bool


class PairDraws:
    """Draws pairs, 45 in 100 of one event.

    Of these, two in three are of incidents that people report in their own words, and one in twenty is a report and a
    copy of it with typing noise. Of the pairs of two events most are mined.

    Parameters
    ----------
    incidents : sequence of Incident
    mined : sequence of (Example, Example)
        Texts of two incidents that are easily taken for one.
    noise_share : float
        Share of the texts that get typing noise.
    seed : int
    """

    def __init__(
        self, incidents: Sequence[Incident], mined: Sequence[tuple[Example, Example]], noise_share: float, seed: int
    ) -> None:
        self.rng = random.Random(seed)
        self.noise_share = noise_share
        self.mined = mined
        several = [incident for incident in incidents if len(incident.texts) > 1]
        # Re-reports of a case of the first batch are paraphrases of it.
        self.own_words = [incident for incident in several if not incident.id.startswith(_CASE)]
        self.paraphrased = [incident for incident in several if incident.id.startswith(_CASE)]
        self.contrasted = [incident for incident in incidents if incident.hard_negatives]
        self.alike: dict[str, list[Incident]] = defaultdict(list)
        for incident in incidents:
            if incident.stratum:
                self.alike[incident.stratum].append(incident)

    def draw(self, count: int) -> list[Pair]:
        """Return so many pairs."""
        kinds: dict[Callable[[], tuple[str, str, bool]], float] = {
            self._reports_in_own_words: 0.29,
            self._paraphrases: 0.13,
            self._copy: 0.03,
            self._mined: 0.35 if self.mined else 0.0,
            self._hard: 0.1,
            self._neighbours: 0.1 if self.alike else 0.0,
        }
        drawn = self.rng.choices(list(kinds), list(kinds.values()), k=count)
        return [self._noised(*draw()) for draw in drawn]

    def _noised(self, first: str, second: str, same: bool) -> Pair:
        texts = [first, second]
        self.rng.shuffle(texts)
        noised = [add_noise(text, self.rng) if self.rng.random() < self.noise_share else text for text in texts]
        return Pair(noised[0], noised[1], same)

    def _reports_in_own_words(self) -> tuple[str, str, bool]:
        first, second = self.rng.sample(self.rng.choice(self.own_words).texts, 2)
        return first.text, second.text, True

    def _paraphrases(self) -> tuple[str, str, bool]:
        first, second = self.rng.sample(self.rng.choice(self.paraphrased).texts, 2)
        return first.text, second.text, True

    def _copy(self) -> tuple[str, str, bool]:
        text = self.rng.choice(self.rng.choice(self.own_words).texts).text
        return text, add_noise(text, self.rng), True

    def _mined(self) -> tuple[str, str, bool]:
        first, second = self.rng.choice(self.mined)
        return first.text, second.text, False

    def _hard(self) -> tuple[str, str, bool]:
        incident = self.rng.choice(self.contrasted)
        return self.rng.choice(incident.texts).text, self.rng.choice(incident.hard_negatives).text, False

    def _neighbours(self) -> tuple[str, str, bool]:
        first, second = self.rng.sample(self.alike[self.rng.choice(list(self.alike))], 2)
        return self.rng.choice(first.texts).text, self.rng.choice(second.texts).text, False


def validation_pairs() -> dict[str, list[Pair]]:
    """Return all pairs of the validation neighbourhoods, by what those of two events are.

    ``hard``: an incident's reports and its hard negative. ``neighbours``: reports of two incidents of a neighbourhood.
    The pairs of one event are in both.
    """
    rows = neighbourhoods("validation")
    reports = [row for row in rows if "incident" in row]
    near = [row for row in rows if "near" in row]
    couples = [(a, b) for at, a in enumerate(reports) for b in reports[at + 1 :]]
    couples = [(a, b) for a, b in couples if a["neighbourhood"] == b["neighbourhood"]]
    same = [Pair(a["text"], b["text"], True) for a, b in couples if a["incident"] == b["incident"]]
    apart = [Pair(a["text"], b["text"], False) for a, b in couples if a["incident"] != b["incident"]]
    hard = [Pair(a["text"], b["text"], False) for a in reports for b in near if a["incident"] == b["near"]]
    return {"hard": same + hard, "neighbours": same + apart}


def mined_pairs(model: Path, labels: LabelSpace, cache: Path) -> list[tuple[Example, Example]]:
    """Return pairs of training texts of different incidents that are near one another, at places that do not conflict.

    Parameters
    ----------
    model : Path
        A model folder with incident vectors.
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
    chosen = np.flatnonzero(~conflicting_places(features, pairs[:, 0], pairs[:, 1])).tolist()
    random.Random(1).shuffle(chosen)
    return [(examples[first].id, examples[second].id) for first, second in pairs[chosen[:_MOST]].tolist()]
