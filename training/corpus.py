"""The labelled corpus as training examples, with the stored split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from tawasul_nlp.domain import Taxonomy
from tawasul_nlp.model.folder import ModelConfig, file_hash
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.dataset import Material, counted
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.package import build_folder, taxonomy_tasks
from tawasul_nlp.training.splitting import by_value
from tawasul_nlp.training.tables import label_column
from training.splits import DATA, load_splits, read_jsonl

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


def truth_of(examples: list[Example], labels: LabelSpace, task: str) -> np.ndarray:
    """Return each example's label index for ``task``, -1 where it has none."""
    index = {name: position for position, name in enumerate(labels.of(task))}
    return np.array([index.get(getattr(example, task), -1) for example in examples])


def train_ngram(
    examples: list[Example], labels: LabelSpace, path: Path, recipe: dict[str, Any], tasks: tuple[str, ...]
) -> None:
    """Fit the reader on ``examples`` of the corpus and write it to ``path``."""
    targets = {task: truth_of(examples, labels, task) for task in tasks}
    fit_ngram([example.text for example in examples], targets, {task: labels.of(task) for task in tasks}, path, recipe)


def corpus_material() -> Material:
    """Return the project's own corpus and stored split, with the taxonomy's topics, agencies and kinds as tasks."""
    space = LabelSpace.load()
    labels = {task: space.of(task) for task in ("topic", "agency", "kind")}
    sides = {}
    for side in ("train", "validation"):
        examples = load_examples(side, space)
        columns = {label_column(task): [getattr(example, task) for example in examples] for task in labels}
        own = {"file": [side] * len(examples), "row": list(range(1, len(examples) + 1))}
        own |= {"text": [example.text for example in examples], "group": [example.incident for example in examples]}
        sides[side] = Dataset.from_dict({**own, **columns})
    train = sides["train"]
    return Material(
        train,
        sides["validation"],
        labels,
        {task: counted(Counter(train[label_column(task)]), names) for task, names in labels.items()},
        len(train),
        by_value(list(train["group"])),
        np.zeros(len(sides["validation"]), bool),
        {path.name: file_hash(path) for path in sorted(DATA.glob("*.json*"))},
        {},
        (),
        taxonomy=True,
    )


def build_bundle(
    network: MultiTaskNetwork,
    tokenizer: Path,
    ngram: Path,
    validation: list[Example],
    labels: LabelSpace,
    out: Path,
    about: dict[str, Any],
) -> ModelConfig:
    """Write the complete folder of a model of the taxonomy to ``out`` (emptied first); return its configuration."""
    tasks = taxonomy_tasks(Taxonomy.load())
    truth = {task: truth_of(validation, labels, task) for task in tasks}
    texts = [example.text for example in validation]
    return build_folder(network, tokenizer, ngram, texts, truth, tasks, out, about)
