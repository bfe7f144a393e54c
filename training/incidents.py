"""Groups of texts that tell of one incident, drawn beside the labelled examples of a training batch.

Three sources: the corpus's re-reports (with look-alikes that are another incident), and sentence pairs in Standard and
Bahraini Arabic, which teach the encoder that the register is not the message.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from dataclasses import dataclass, replace

from training.corpus import Example, LabelSpace, load_examples
from training.splits import DATA, load_splits, read_jsonl

PARALLEL = DATA / "bahraini_msa_pairs.csv.gz"


@dataclass(frozen=True, slots=True)
class Incident:
    """Texts of one incident, and look-alikes of other incidents.

    Texts without a known topic carry empty labels.
    """

    id: str
    topic: str
    texts: tuple[Example, ...]
    look_alikes: tuple[Example, ...] = ()


def load_incidents(split: str, labels: LabelSpace, use: str = "encoder") -> list[Incident]:
    """Return the corpus's incidents of one split that were reported more than once or have look-alikes.

    Some incidents of the training split are kept from the encoder, so that the pair scorer can learn from vectors as
    they are for new reports: ``use="scorer"`` gives those, ``"encoder"`` the others. Held-out splits are whole.
    """
    side = load_splits()
    cases = {case.id: case for case in load_examples(split, labels, second_batch=False)}
    texts: dict[str, list[Example]] = defaultdict(list)
    others: dict[str, list[Example]] = defaultdict(list)
    for report in read_jsonl(DATA / "duplicates.jsonl"):
        if side[report["group"]] == split and report.get("use", "encoder") == use:
            case = cases[report["group"]]
            texts[case.id].append(replace(case, id=report["id"], text=report["text"], register="", governorate=""))
    for other in read_jsonl(DATA / "hard_negatives.jsonl"):
        if side[other["near"]] == split and other.get("use", "encoder") == use:
            case = cases[other["near"]]
            same = other["relation"] != "same_place_other_topic"
            labelled = (case.topic, case.agency, case.kind) if same else ("", "", "")
            others[case.id].append(Example(other["id"], other["text"], *labelled, "", "", "", other["id"]))
    return [
        Incident(key, cases[key].topic, (cases[key], *texts[key]), tuple(others[key]))
        for key in sorted({*texts, *others})
    ]


def load_parallel() -> list[Incident]:
    """Return the sentence pairs in Standard and Bahraini Arabic, each as an incident without labels."""
    with gzip.open(PARALLEL, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [
        Incident(
            f"pair-{row['id']}",
            "",
            tuple(
                Example(f"pair-{row['id']}-{side}", row[side], "", "", "", "", "", "", f"pair-{row['id']}")
                for side in ("msa", "bahraini")
            ),
        )
        for row in rows
    ]


class IncidentDraws:
    """Endless draws of groups for training batches.

    Half of the groups of one draw are of one agency, so that a batch holds negatives that are alike.

    Parameters
    ----------
    incidents : list of Incident
    parallel : list of Incident
    agency_of : dict of str to str
    seed : int
    """

    def __init__(
        self, incidents: list[Incident], parallel: list[Incident], agency_of: dict[str, str], seed: int
    ) -> None:
        self.rng = random.Random(seed)
        self.incidents = [incident for incident in incidents if len(incident.texts) > 1]
        self.parallel = parallel
        self.by_agency: dict[str, list[Incident]] = defaultdict(list)
        for incident in self.incidents:
            self.by_agency[agency_of[incident.topic]].append(incident)

    def draw(self, groups: int) -> list[Example]:
        """Return the texts of ``groups`` groups: two reports each, and a look-alike where there is one."""
        near = self.by_agency[self._agency()]
        chosen = self.rng.sample(near, min(len(near), groups // 2))
        if self.parallel:
            chosen += self.rng.sample(self.parallel, groups // 8)
        known = {incident.id for incident in chosen}
        while len(chosen) < groups:
            other = self.rng.choice(self.incidents)
            if other.id not in known:
                known.add(other.id)
                chosen.append(other)
        drawn: list[Example] = []
        for incident in chosen:
            drawn.extend(self.rng.sample(incident.texts, 2))
            if incident.look_alikes:
                drawn.append(self.rng.choice(incident.look_alikes))
        return drawn

    def _agency(self) -> str:
        names = list(self.by_agency)
        return self.rng.choices(names, [len(self.by_agency[name]) for name in names])[0]
