"""What the bundled model's pair scorer learns from, beside the corpus's own incidents.

``python -m training.pairs MODEL_FOLDER`` fits the scorer of a model folder of the taxonomy anew and adds ``pairs.json``
to it. The test split is not touched. The fitting collection are the incidents whose reports the encoder never saw side
by side (``"use": "scorer"`` in the corpus), with their hard negatives and other training cases among them, copies of
these that name another house, road or town, and some cases that came in twice.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import find_places
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.pair_features import NAMES
from tawasul_nlp.duplicates.pair_scorer import PairScorer
from tawasul_nlp.model.folder import BUNDLED, PAIRS
from tawasul_nlp.training.rows import add_noise
from tawasul_nlp.training.splitting import by_value
from training.corpus import Example, LabelSpace, load_examples, neighbourhoods
from training.incident_groups import Collection
from training.incidents import Incident, load_incidents
from training.pair_fitting import fit_scorer, install_scorer

# Training cases without a known second report that stand among the fitting incidents, as in a backlog.
OTHERS = 1_500
# So many of them came in twice, mistyped a little, and of so many more there is a copy that alone names a town: of near
# copies the corpus has hardly any, and without a place none.
SENT_AGAIN = 300
_NUMBERED = frozenset({"house", "flat", "road"})


def texts_of(incidents: list[Incident]) -> dict[str, Example]:
    """Return the texts of incidents and their hard negatives, by id."""
    return {text.id: text for incident in incidents for text in (*incident.texts, *incident.hard_negatives)}


def collect(incidents: list[Incident], others: list[Example]) -> Collection:
    """Put incidents, their hard negatives and other cases together."""
    texts = texts_of(incidents)
    texts.update({other.id: other for other in others if other.id not in texts})
    rows = {name: row for row, name in enumerate(texts)}
    near = [(incident.texts[0].id, other.id) for incident in incidents for other in incident.hard_negatives]
    pairs = np.array([(rows[a], rows[b]) for a, b in near], np.int64).reshape(-1, 2)
    cases = [Case(text.text, id=text.id) for text in texts.values()]
    return Collection(cases, by_value([text.incident for text in texts.values()]), pairs)


def held_out(split: str, labels: LabelSpace) -> Collection:
    """Return the whole of a held-out split: all its cases, re-reports and hard negatives."""
    return collect(load_incidents(split, labels), load_examples(split, labels))


def alike(split: str) -> Collection:
    """Return the neighbourhoods of alike incidents of a held-out split, with their hard negatives."""
    rows = neighbourhoods(split)
    reports = [(at, row["incident"]) for at, row in enumerate(rows) if "incident" in row]
    near = [(at, row["near"]) for at, row in enumerate(rows) if "near" in row]
    pairs = [(a, b) for a, incident in reports for b, of in near if of == incident]
    cases = [Case(row["text"], id=row["id"]) for row in rows]
    numbers = by_value([row.get("incident", row["id"]) for row in rows])
    return Collection(cases, numbers, np.array(pairs, np.int64).reshape(-1, 2))


def collections(labels: LabelSpace) -> tuple[Collection, Collection, Collection]:
    """Return what :func:`training.pair_fitting.fit_scorer` takes."""
    return fitting_backlog(labels), held_out("validation", labels), alike("validation")


def at_next_door(case: Example, rng: random.Random) -> Example | None:
    """Return the case as an agent notes down the same of another house or road; None if it names neither.

    Hard negatives of the corpus differ in more than a number, so they do not teach that a copy may be another incident.
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
    copies = [(text, at_next_door(text, rng)) for text in texts_of(incidents).values()]
    towns = sorted({place.name for case in others for place in find_places(case.text).mentions if place.kind == "area"})
    copies += [(case, named_elsewhere(case, towns, rng)) for case in chosen[SENT_AGAIN : 2 * SENT_AGAIN]]
    near = [Incident(text.id, text.topic, (text,), (copy,)) for text, copy in copies if copy is not None]
    return collect([*incidents, *near], [])


def train_scorer(folder: Path) -> PairScorer:
    """Fit the scorer for a model folder of the taxonomy."""
    labels = LabelSpace.load()
    classifier = ComplaintClassifier.from_pretrained(folder)
    return fit_scorer(classifier, *collections(labels))


def main() -> None:
    """Fit from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=BUNDLED, help="model folder [default: the bundled one]")
    parser.add_argument("--show", action="store_true", help="print the weights")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scorer = train_scorer(arguments.model)
    install_scorer(scorer, arguments.model)
    if arguments.show:
        print(json.dumps(dict(zip(NAMES, np.round(scorer.weights, 2).tolist(), strict=True)), indent=1))
    print(f"threshold {scorer.threshold:.3f}; wrote {arguments.model / PAIRS}")


if __name__ == "__main__":
    main()
