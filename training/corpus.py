"""The labelled corpus as training examples, with the stored split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from datasets import Dataset

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.taxonomy import URGENCIES
from tawasul_nlp.model.folder import file_hash
from tawasul_nlp.training.dataset import Parent, TrainingData
from tawasul_nlp.training.splitting import by_value
from tawasul_nlp.training.tables import label_column
from training.incident_groups import Incident, Incidents
from training.marks import CLAUSES, EVIDENCE, Place
from training.splits import DATA, load_splits, read_jsonl

TASKS = ("topic", "agency", "kind", "urgency")
# What stands for the file of the training rows.
TRAIN = "train"
# The task whose labels marked clauses have.
CLAUSE_TASK = "topic"
SECOND_BATCH = DATA / "second_batch.jsonl"
INCIDENTS = DATA / "incidents.jsonl"
NEIGHBOURHOODS = DATA / "neighbourhoods.jsonl"
_MARKED_VALIDATION = 10


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled case; an empty label means that the task is not defined for it.

    Texts with the same ``incident`` report the same event. ``clauses`` are start, end and topic of each issue that the
    text reports, and ``evidence`` start and end of the words that decide its urgency; None where they are unknown.
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
    urgency: str = ""
    # What a second labeller said, if it is another.
    second_urgency: str = ""
    clauses: tuple[tuple[int, int, str], ...] | None = None
    evidence: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The labels of each task in output order, and the agency group that owns each topic."""

    topics: tuple[str, ...]
    agencies: tuple[str, ...]
    kinds: tuple[str, ...]
    agency_of: dict[str, str]

    @classmethod
    def load(cls) -> LabelSpace:
        """Take the labels from the package's taxonomy."""
        taxonomy = Domain.bundled().taxonomy
        agency_of = {topic: taxonomy.agency_group(topic) for topic in taxonomy.topics}
        return cls(tuple(agency_of), taxonomy.agency_groups(), tuple(taxonomy.kinds), agency_of)

    def of(self, task: str) -> tuple[str, ...]:
        """Return the labels of ``task``."""
        return {"topic": self.topics, "agency": self.agencies, "kind": self.kinds, "urgency": URGENCIES}[task]


def load_examples(split: str, labels: LabelSpace, second_batch: bool = True, reports: bool = True) -> list[Example]:
    """Load one split; the second batch, and reports of incidents, join the training split only.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    second_batch : bool
        Whether the texts of ``second_batch.jsonl`` join the training split.
    reports : bool
        Whether re-reports of training cases, and the texts of ``incidents.jsonl``, join the training split.
    """
    side = load_splits()
    cases = {case["id"]: case for case in read_jsonl(DATA / "cases.jsonl")}
    chosen = [case for case in cases.values() if side[case["id"]] == split]
    if split == "train":
        for report in read_jsonl(DATA / "duplicates.jsonl"):
            if reports and side[report["group"]] == "train":
                own = {"id": report["id"], "text": report["text"], "incident": report["group"]}
                chosen.append({**cases[report["group"]], **own})
        if reports:
            told = [*read_jsonl(INCIDENTS), *neighbourhoods("train")]
            chosen.extend({"kind": "", "secondary_topic": "", **report} for report in told)
        if second_batch:
            chosen.extend(read_jsonl(SECOND_BATCH))
    urgencies = {case["id"]: case for case in read_jsonl(DATA / "urgency.jsonl")}
    return [_example({**case, **urgencies.get(case["id"], {})}, labels) for case in chosen]


def neighbourhoods(side: str) -> list[dict[str, Any]]:
    """Return the reports of incidents that are alike, and their hard negatives, of one side."""
    return [row for row in read_jsonl(NEIGHBOURHOODS) if row["side"] == side]


def load_issue_examples(labels: LabelSpace) -> list[Example]:
    """Load the texts whose issues are marked, as examples of their main issue."""
    cases = []
    for case in read_jsonl(DATA / "issues.jsonl"):
        clauses = [(*_place(case["text"], issue["quote"]), issue["topic"]) for issue in case["issues"]]
        topics = [topic for *_, topic in clauses]
        second = topics[1] if len(topics) > 1 else ""
        cases.append({**case, "topic": topics[0], "secondary_topic": second, "clauses": tuple(clauses)})
    return [_example(case, labels) for case in cases]


def load_urgency_examples(labels: LabelSpace) -> list[Example]:
    """Load the texts that were composed for their urgency."""
    return [_example({**case, "secondary_topic": ""}, labels) for case in read_jsonl(DATA / "urgency_cases.jsonl")]


def _example(case: dict[str, Any], labels: LabelSpace) -> Example:
    urgency, reason = case.get("urgency", ""), case.get("reason", "")
    others = [label for label in case.get("labels", ()) if label != urgency]
    # Nothing makes a normal case urgent; what makes another so is known where its words are quoted.
    evidence = (_place(case["text"], reason),) if reason else () if urgency == "normal" and not others else None
    return Example(
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
        urgency=urgency,
        second_urgency=others[0] if others else "",
        clauses=case.get("clauses"),
        evidence=evidence,
    )


def _place(text: str, quote: str) -> tuple[int, int]:
    start = text.index(quote)
    return start, start + len(quote)


def label_descriptions(labels: LabelSpace) -> list[Example]:
    """Return each topic's names and terms as texts of that topic, for readers that learn from words."""
    examples = []
    for topic in Domain.bundled().taxonomy.topics.values():
        for terms in (topic.terms_msa, topic.terms_dialect, topic.terms_msa + topic.terms_dialect):
            text = " . ".join((topic.name_ar, topic.name_en, *terms))
            agency = labels.agency_of[topic.id]
            examples.append(Example(f"terms-{topic.id}", text, topic.id, agency, "", "", "", ""))
    return examples


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What the bundled model learns from."""

    # Labelled rows: topics, which decide the agency, kinds and urgencies. They may have second labels in
    # ``second.TASK``, and marks.
    data: TrainingData
    incidents: Incidents
    # Marked rows that choose what counts as an issue of its own; nothing else is learned from them.
    issues: Dataset


def corpus_data() -> Corpus:
    """Return the corpus and its stored split."""
    from training.incidents import load_incidents, load_paraphrases
    from training.pairs import collections

    space = LabelSpace.load()
    with_issues, held_out_issues = _divided(load_issue_examples(space))
    urgent, held_out_urgent = _divided(load_urgency_examples(space))
    train = rows_of(TRAIN, [*load_examples("train", space), *with_issues, *urgent], space)
    # Emergencies are rare among the cases; the others' topics and kinds are measured on cases alone.
    of_urgency = [replace(example, topic="", agency="", kind="") for example in held_out_urgent]
    validation = rows_of("validation", [*load_examples("validation", space), *of_urgency], space)
    known = tuple(
        Incident(
            found.id,
            found.stratum or space.agency_of[found.topic],
            tuple(row_of(text, space) for text in found.texts),
            tuple(row_of(text, space) for text in found.hard_negatives),
        )
        for found in load_incidents("train", space)
    )
    paraphrases = tuple(
        Incident(found.id, "", tuple(row_of(text, space) for text in found.texts)) for found in load_paraphrases()
    )
    data = TrainingData(
        train=train,
        validation=validation,
        labels={task: space.of(task) for task in TASKS},
        groups=by_value(list(train["incident"])),
        files={path.name: file_hash(path) for path in sorted(DATA.glob("*.json*"))},
        reading={},
        findings=(),
        parents={"agency": Parent("topic", space.agency_of)},
        ngram_texts=rows_of("terms", label_descriptions(space), space),
    )
    return Corpus(
        data=data,
        incidents=Incidents(known, lambda: collections(space), paraphrases),
        issues=rows_of("issues", held_out_issues, space),
    )


def second_column(task: str) -> str:
    """Return the name of the column of a task's second labels."""
    return f"second.{task}"


def marked(clauses: Sequence[tuple[int, int, str]] | None, evidence: Sequence[Place] | None) -> dict[str, str]:
    """Return the cells of a row with these marks; None where they are unknown.

    Examples
    --------
    >>> marked([(0, 5, "water")], None)
    {'clauses': '[[0, 5, "water"]]', 'evidence': ''}
    """
    return {
        name: "" if places is None else json.dumps(places, ensure_ascii=False)
        for name, places in ((CLAUSES, clauses), (EVIDENCE, evidence))
    }


def _divided(examples: list[Example]) -> tuple[list[Example], list[Example]]:
    """Keep every tenth example from training."""
    return (
        [example for at, example in enumerate(examples) if at % _MARKED_VALIDATION],
        examples[::_MARKED_VALIDATION],
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
        second_column("urgency"): example.second_urgency,
        **marked(example.clauses, example.evidence),
    }
