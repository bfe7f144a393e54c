"""Groups of texts that report one incident, drawn beside the labelled examples of a training batch.

Three sources: re-reports of the corpus's cases, and incidents that many report in their own words, both with hard
negatives that are another incident; and sentence pairs in Standard and Bahraini Arabic, which teach the encoder that
the register is not the message.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass, replace

from training.corpus import INCIDENTS, Example, LabelSpace, load_examples, neighbourhoods
from training.splits import DATA, load_splits, read_jsonl

PARALLEL = DATA / "bahraini_msa_pairs.csv.gz"


@dataclass(frozen=True, slots=True)
class Incident:
    """Texts of one incident, and hard negatives of other incidents.

    Texts without a known topic carry empty labels.
    """

    id: str
    topic: str
    texts: tuple[Example, ...]
    hard_negatives: tuple[Example, ...] = ()
    # The neighbourhood of incidents that are alike, if it is of one.
    stratum: str = ""


def load_incidents(split: str, labels: LabelSpace, use: str = "encoder") -> list[Incident]:
    """Return the incidents of one split that were reported more than once or have hard negatives.

    Some incidents of the training split are kept from the encoder, so that the pair scorer can learn from vectors as
    they are for new reports: ``use="scorer"`` gives those, ``"encoder"`` the others. Held-out splits are whole.
    """
    side = load_splits()
    cases = {case.id: case for case in load_examples(split, labels, second_batch=False)}
    texts: dict[str, list[Example]] = {}
    others: dict[str, list[Example]] = defaultdict(list)
    for report in read_jsonl(DATA / "duplicates.jsonl"):
        if side[report["group"]] == split and report.get("use", "encoder") == use:
            case = cases[report["group"]]
            again = replace(case, id=report["id"], text=report["text"], register="", governorate="")
            texts.setdefault(case.id, [case]).append(again)
    for other in read_jsonl(DATA / "hard_negatives.jsonl"):
        if side[other["near"]] == split and other.get("use", "encoder") == use:
            case = cases[other["near"]]
            texts.setdefault(case.id, [case])
            same = other["relation"] != "same_place_other_topic"
            labelled = (case.topic, case.agency, case.kind) if same else ("", "", "")
            others[case.id].append(Example(other["id"], other["text"], *labelled, "", "", "", other["id"]))
    strata: dict[str, str] = {}
    for row in [*read_jsonl(INCIDENTS), *neighbourhoods("train")] if split == "train" else ():
        if row.get("use", "encoder") == use:
            own = others[row["near"]] if "near" in row else texts.setdefault(row["incident"], [])
            own.append(cases[row["id"]])
            strata[row.get("incident", "")] = row.get("neighbourhood", "")
    return [
        Incident(key, texts[key][0].topic, tuple(texts[key]), tuple(others[key]), strata.get(key, ""))
        for key in sorted(texts)
    ]


def load_paraphrases() -> list[Incident]:
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
