"""The labelled corpus as training examples, with the stored split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from tawasul_nlp.domain import Taxonomy
from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.training.dataset import Parent, TrainingData, counted
from tawasul_nlp.training.incident_groups import Incident, Incidents
from tawasul_nlp.training.splitting import by_value
from tawasul_nlp.training.tables import label_column, second_column
from training.splits import DATA, load_splits, read_jsonl

TASKS = ("topic", "agency", "kind")
SECOND_BATCH = DATA / "second_batch.jsonl"


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled case; an empty label means that the task is not defined for it.

    Texts with the same ``incident`` tell of the same event.
    """

    id: str
    text: str
    topic: str
    agency: str
    kind: str
    secondary_topic: str
    register: str
    governorate: str
    incident: str = ""


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The labels of each task in output order; the agency group that owns each topic, and the topics like it."""

    topics: tuple[str, ...]
    agencies: tuple[str, ...]
    kinds: tuple[str, ...]
    agency_of: dict[str, str]
    confusable: dict[str, tuple[str, ...]]

    @classmethod
    def load(cls) -> LabelSpace:
        """Take the labels from the package's taxonomy."""
        taxonomy = Taxonomy.load()
        agency_of = {topic: taxonomy.agency_group(topic) for topic in taxonomy.topics}
        confusable = {topic.id: topic.confusable_with for topic in taxonomy.topics.values()}
        return cls(tuple(agency_of), taxonomy.agency_groups(), tuple(taxonomy.kinds), agency_of, confusable)

    def of(self, task: str) -> tuple[str, ...]:
        """Return the labels of ``task``."""
        return {"topic": self.topics, "agency": self.agencies, "kind": self.kinds}[task]


def load_examples(split: str, labels: LabelSpace, second_batch: bool = True, reports: bool = True) -> list[Example]:
    """Load one split; re-reports of training cases and the second batch join the training split only.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    second_batch : bool
        Whether the texts of ``second_batch.jsonl`` join the training split.
    reports : bool
        Whether re-reports of training cases join the training split.
    """
    side = load_splits()
    cases = {case["id"]: case for case in read_jsonl(DATA / "cases.jsonl")}
    chosen = [case for case in cases.values() if side[case["id"]] == split]
    if split == "train":
        for report in read_jsonl(DATA / "duplicates.jsonl"):
            if reports and side[report["group"]] == "train":
                own = {"id": report["id"], "text": report["text"], "incident": report["group"]}
                chosen.append({**cases[report["group"]], **own})
        if second_batch:
            chosen.extend(read_jsonl(SECOND_BATCH))
    return [
        Example(
            id=case["id"],
            text=case["text"],
            topic=case["topic"],
            agency=labels.agency_of[case["topic"]],
            # The kind of an out-of-scope text is nominal (corpus card), so nothing is learned from it.
            kind="" if case["topic"] == "out_of_scope" else case["kind"],
            secondary_topic=case["secondary_topic"],
            register=case["register"],
            governorate=case.get("governorate", ""),
            incident=case.get("incident", case["id"]),
        )
        for case in chosen
    ]


def label_descriptions(labels: LabelSpace) -> list[Example]:
    """Return each topic's names and terms as texts of that topic, for readers that learn from words."""
    examples = []
    for topic in Taxonomy.load().topics.values():
        for terms in (topic.terms_msa, topic.terms_dialect, topic.terms_msa + topic.terms_dialect):
            text = " . ".join((topic.name_ar, topic.name_en, *terms))
            agency = labels.agency_of[topic.id]
            examples.append(Example(f"terms-{topic.id}", text, topic.id, agency, "", "", "", ""))
    return examples


def corpus_data() -> TrainingData:
    """Return the corpus and its stored split as a data set: topics, which decide the agency, and kinds."""
    from training.incidents import load_incidents, load_paraphrases
    from training.pairs import fitting_backlog, held_out

    space = LabelSpace.load()
    labels = {task: space.of(task) for task in TASKS}
    train = rows_of("train", load_examples("train", space), space)
    validation = rows_of("validation", load_examples("validation", space), space)
    known = tuple(
        Incident(
            found.id,
            space.agency_of[found.topic],
            tuple(row_of(text, space) for text in found.texts),
            tuple(row_of(text, space) for text in found.hard_negatives),
        )
        for found in load_incidents("train", space)
    )
    paraphrases = tuple(
        Incident(found.id, "", tuple(row_of(text, space) for text in found.texts)) for found in load_paraphrases()
    )
    return TrainingData(
        train,
        validation,
        labels,
        {task: counted(Counter(train[label_column(task)]), names) for task, names in labels.items()},
        len(train),
        by_value(list(train["incident"])),
        np.zeros(len(validation), bool),
        {path.name: file_hash(path) for path in sorted(DATA.glob("*.json*"))},
        {},
        (),
        parents={"agency": Parent("topic", space.agency_of)},
        related={"topic": space.confusable},
        incidents=Incidents(known, paraphrases, lambda: (fitting_backlog(space), held_out("validation", space))),
        ngram_texts=rows_of("terms", label_descriptions(space), space),
    )


def rows_of(side: str, examples: list[Example], labels: LabelSpace) -> Dataset:
    """Return examples as rows of a data set; ``side`` is what stands for their file."""
    rows = [{"file": side, "row": at, **row_of(example, labels)} for at, example in enumerate(examples, start=1)]
    return Dataset.from_list(rows)


def row_of(example: Example, labels: LabelSpace) -> dict[str, str]:
    """Return an example as a row: the text, its incident, and a first and perhaps a second label of each task."""
    second = example.secondary_topic
    return {
        "text": example.text,
        "incident": example.incident,
        **{label_column(task): getattr(example, task) for task in TASKS},
        second_column("topic"): second,
        second_column("agency"): labels.agency_of[second] if second else "",
    }
