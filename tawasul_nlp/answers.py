"""From a model's output to predictions: names, places, routing, issues, urgency, and whether an officer looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.domain import Domain, Places, find_places
from tawasul_nlp.domain.routing import PLACE, AgencyMention, Routing, find_named_agencies, route, route_part
from tawasul_nlp.domain.taxonomy import EMERGENCY, NORMAL, URGENCIES
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.model.folder import DOMAIN, ModelConfig, model_file
from tawasul_nlp.model.issues import FoundIssue
from tawasul_nlp.model.label_sets import set_probability
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.model.thresholds import decide
from tawasul_nlp.prediction import Issue, LabelScore, LabelSet, Prediction, Quote, Urgency

URGENCY = "urgency"
_ALTERNATIVES = 4
_NAMED = 8
# What a text without anything to read is, in label sets that have a name for it.
_NOTHING = ("out_of_scope", "none")

_Ranking = list[tuple[int, float]]
"""The answered label of a task, then the likeliest others: each label's index and probability."""


_Rankings = Mapping[str, _Ranking]
_Sets = Mapping[str, LabelSet]


def learned_domain(folder: Path, config: ModelConfig) -> Domain:
    """Return the domain of a model's training texts: that in its folder, or else the default one."""
    if DOMAIN not in config.files:
        return Domain.bundled()
    path = model_file(folder, DOMAIN)
    try:
        return Domain.from_json(path.read_text(encoding="utf-8"), str(path))
    except ValueError as error:
        raise ModelFormatError(f"{path}: not a domain ({error}); restore it from the model's release") from error


class Answers:
    """Put predictions together for one model.

    The domain gives names, routing and places of the labels that it knows; by the one of its training texts, which it
    ``learned``, the model groups topics under agencies. Unless the domain must be ``complete`` (know all labels of the
    tasks topic, agency and kind; an agency may have the model's label among its codes), a task of which it lacks a
    label keeps its own names, and nothing is routed. Doubts about the tasks ``review_on`` send a case to review: None
    for all but the taxonomy's kind and urgency, which change no recipient.

    Raises ValueError if the domain lacks labels that it must know, or the model a task; the message names them.
    """

    def __init__(
        self,
        config: ModelConfig,
        domain: Domain,
        learned: Domain,
        *,
        complete: bool = False,
        review_on: Collection[str] | None = None,
    ) -> None:
        self.config = config
        self.domain = domain
        self.taxonomy = taxonomy = domain.taxonomy
        self._learned = learned.taxonomy
        # The names of a task's labels; a task that only shares a name with the taxonomy's keeps its own.
        self._names: dict[str, Mapping[str, Any]] = {}
        for name, task in config.tasks.items():
            entries: Mapping[str, Any] = taxonomy.labels_of(name)
            if name == "agency":
                entries = {**entries, **taxonomy.agencies_by_code()}
            missing = [label for label in task.labels if label not in entries]
            if complete and missing and name in ("topic", "agency", "kind"):
                raise ValueError(
                    f"the domain {domain.id} lacks {len(missing)} label(s) of the model's task {name!r}: "
                    f"{', '.join(missing[:_NAMED])}{', ...' if len(missing) > _NAMED else ''}; "
                    "add them to its files (agencies as ids or codes), or train a model with its labels"
                )
            self._names[name] = {} if missing else entries
        doubted = [task for task, names in self._names.items() if not (task in ("kind", URGENCY) and names)]
        if review_on is None:
            review_on = doubted
        elif not review_on or not set(review_on) <= config.tasks.keys():
            unknown = [task for task in review_on if task not in config.tasks]
            raise ValueError(
                f"review_on has {unknown or 'no task'}, expected some of the model's tasks: {', '.join(config.tasks)}"
            )
        self.review_on = tuple(review_on)
        self._doubted = tuple(task for task in doubted if task not in review_on)
        self._topics_of = self._topics_by_agency()
        self._tells_urgency = bool(self._names.get(URGENCY)) and not config.tasks[URGENCY].multi_label

    def _topics_by_agency(self) -> dict[str, np.ndarray]:
        topics_of: dict[str, list[int]] = {}
        if self._names.get("topic") and self._names.get("agency"):
            for index, topic in enumerate(self.config.tasks["topic"].labels):
                topics_of.setdefault(self._learned_agency(topic), []).append(index)
        return {agency: np.array(topics) for agency, topics in topics_of.items()}

    def _learned_agency(self, topic: str) -> str:
        agencies = self.config.tasks["agency"].labels
        if topic in self._learned.topics and self._learned.agency_group(topic) in agencies:
            return self._learned.agency_group(topic)
        return self.taxonomy.agency_group(topic)  # of a model without a pack, which learned by that of its user

    def _score(self, task: str, label: str, probability: float, others: tuple[LabelScore, ...] = ()) -> LabelScore:
        entry = self._names[task].get(label)
        if entry is None:
            return LabelScore(label, label, label, probability, others)
        return LabelScore(entry.id, entry.name_ar, entry.name_en, probability, others)

    def predictions(
        self, texts: Sequence[str], output: ModelOutput, thresholds: Mapping[str, float]
    ) -> list[Prediction]:
        """Return the prediction of each text from what the model makes of them.

        ``thresholds`` are, for each task, the probability below which an answer, or a set of labels, needs review.
        """
        ranked: dict[str, list[_Ranking]] = {}
        sets: dict[str, list[LabelSet]] = {}
        for task, table in output.probabilities.items():
            if self.config.tasks[task].multi_label:
                sets[task] = self._label_sets(task, table)
            else:
                ranked[task] = self._ranked(task, table)
        return [
            self._prediction(
                text,
                row,
                output,
                ranked={task: answers[row] for task, answers in ranked.items()},
                sets={task: answers[row] for task, answers in sets.items()},
                thresholds=thresholds,
            )
            for row, text in enumerate(texts)
        ]

    def _ranked(self, task: str, table: np.ndarray) -> list[_Ranking]:
        settings, ranks = self.config.tasks[task], table
        if settings.preferred:
            ranks = table.copy()
            ranks[np.arange(len(table)), decide(settings, table)[0]] = np.inf
        columns = np.argsort(-ranks, axis=1, kind="stable")[:, : 1 + _ALTERNATIVES]
        values = np.take_along_axis(table, columns, axis=1)
        return [list(zip(*row, strict=True)) for row in zip(columns.tolist(), values.tolist(), strict=True)]

    def _label_sets(self, task: str, table: np.ndarray) -> list[LabelSet]:
        settings = self.config.tasks[task]
        answered = table >= settings.label_threshold
        certain = set_probability(table, answered).tolist()
        label_sets = []
        for row, chosen, probability in zip(table, answered, certain, strict=True):
            order = np.argsort(-row, kind="stable")
            labels, others = (
                tuple(self._score(task, settings.labels[column], float(row[column])) for column in part.tolist())
                for part in (order[chosen[order]], order[~chosen[order]][:_ALTERNATIVES])
            )
            label_sets.append(LabelSet(labels, probability, others))
        return label_sets

    def _prediction(
        self,
        text: str,
        row: int,
        output: ModelOutput,
        ranked: _Rankings,
        sets: _Sets,
        thresholds: Mapping[str, float],
    ) -> Prediction:
        places = find_places(text[:MAX_CHARS], self.domain)
        if not any(char.isalnum() for char in text):
            return self._unread(text, places)
        labels = {task: self._answer(task, ranking) for task, ranking in ranked.items()}
        urgency = None
        if self._tells_urgency:
            urgency = self._urgency(labels.pop(URGENCY), text, () if output.evidence is None else output.evidence[row])
        reasons = [EMERGENCY] if urgency is not None and urgency.id == EMERGENCY else []
        reasons += self._doubts(self.review_on, ranked, sets, thresholds)
        # The model's label of the agency, and that agency's likeliest topic, by which the case is routed.
        likeliest, routed = "", None
        if self._topics_of:
            likeliest = self.config.tasks["agency"].labels[ranked["agency"][0][0]]
            topics = self._topics_of.get(likeliest)
            if topics is not None:
                best = topics[output.probabilities["topic"][row][topics].argmax()]
                routed = self.config.tasks["topic"].labels[best]
        issues: tuple[Issue, ...] = ()
        if routed is not None:
            clauses = () if output.issues is None else output.issues[row]
            issues = self._issues(text, labels, routed, ranked["topic"][0][0], clauses, places)
            labels["agency"] = issues[0].agency
            reasons += self._doubts_of_routing(labels["topic"].id, likeliest, issues)
        if output.truncated[row]:
            reasons.append("long_text")
        return Prediction(
            text=text,
            labels=labels,
            places=places,
            routing=issues[0].routing if issues else None,
            reasons=tuple(reasons),
            label_sets=sets,
            issues=issues,
            urgency=urgency,
            doubts=tuple(self._doubts(self._doubted, ranked, sets, thresholds)),
        )

    def urgencies(self, probabilities: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return which of :data:`URGENCIES` each text has, -1 if the model does not tell them: (n_texts,), int8."""
        if not self._tells_urgency:
            return np.full(len(next(iter(probabilities.values()))), -1, np.int8)
        task = self.config.tasks[URGENCY]
        levels = np.array([URGENCIES.index(label) for label in task.labels], np.int8)
        return np.asarray(levels[decide(task, probabilities[URGENCY])[0]])

    def _answer(self, task: str, ranking: _Ranking) -> LabelScore:
        names = self.config.tasks[task].labels
        (first, probability), *rest = ranking
        others = tuple(self._score(task, names[index], value) for index, value in rest)
        return self._score(task, names[first], probability, others)

    def _urgency(self, label: LabelScore, text: str, evidence: Sequence[tuple[int, int]]) -> Urgency:
        spans = () if label.id == NORMAL else evidence
        reasons = tuple(Quote(text[start:end], start, end) for start, end in spans)
        return Urgency(label.id, label.name_ar, label.name_en, label.probability, label.alternatives, reasons)

    @staticmethod
    def _doubts(tasks: Iterable[str], ranked: _Rankings, sets: _Sets, thresholds: Mapping[str, float]) -> Iterator[str]:
        """Yield what speaks for a review in the probabilities of some tasks."""
        for task in tasks:
            probability = sets[task].probability if task in sets else ranked[task][0][1]
            if probability < thresholds[task]:
                yield f"low_{task}_confidence" if task in ("topic", "agency") else "low_confidence"

    def _doubts_of_routing(self, topic: str, likeliest: str, issues: Sequence[Issue]) -> Iterator[str]:
        """Yield the reasons for a review that lie in the main topic and in where the issues would be sent."""
        if topic in self.taxonomy.topics and self._learned_agency(topic) != likeliest:
            yield "topic_agency_disagree"
        if topic == "out_of_scope":
            yield "out_of_scope"
        if any(issue.routing is not None and PLACE in issue.routing.needs for issue in issues):
            yield "place_needed"

    def _issues(
        self,
        text: str,
        labels: Mapping[str, LabelScore],
        routed: str,
        answered: int,
        clauses: Sequence[FoundIssue],
        places: Places,
    ) -> tuple[Issue, ...]:
        named = find_named_agencies(text[:MAX_CHARS], self.domain)
        whole = FoundIssue(answered, labels["topic"].probability, 0, len(text))
        # The answered topic is the main one, whatever the model found first.
        main, *others = sorted(clauses, key=lambda issue: issue.label != answered) or [whole]
        if others:
            routing = self._routed_part(routed, text, main, places, named)
        else:
            routing = route(routed, places, named, text=text[:MAX_CHARS], domain=self.domain)
        issues = [self._issue(labels["topic"], labels["agency"], main, routing)]
        for other in others:
            topic = self._score("topic", self.config.tasks["topic"].labels[other.label], other.probability)
            group = self._score("agency", self._learned_agency(topic.id), other.probability)
            issues.append(self._issue(topic, group, other, self._routed_part(topic.id, text, other, places, named)))
        return tuple(issues)

    def _issue(self, topic: LabelScore, group: LabelScore, issue: FoundIssue, routing: Routing) -> Issue:
        """Return an issue with the agency that it is routed to in place of the model's group of agencies."""
        agency = self._score("agency", routing.agency_id, group.probability, group.alternatives)
        return Issue(topic, agency, issue.probability, issue.start, issue.end, routing)

    def _routed_part(
        self, topic: str, text: str, issue: FoundIssue, places: Places, named: Sequence[AgencyMention]
    ) -> Routing:
        """Route one of several issues by the places of its own part of the text, or else by those of the whole."""
        part = slice(issue.start, issue.end)
        part_places = find_places(text[part], self.domain)
        conclusive = any(mention.strength == "strong" for mention in part_places.mentions)
        if not conclusive or (part_places.area is None and part_places.governorate == places.governorate):
            part_places = places  # which tell as much of the region, and may tell more
        return route_part(topic, text, part, part_places, named, self.domain)

    def _unread(self, text: str, places: Places) -> Prediction:
        """Answer for a text with nothing to read: for review, and out of scope or at the certainty of a guess."""
        labels, sets = {}, {}
        for task, settings in self.config.tasks.items():
            if settings.multi_label:
                sets[task] = LabelSet((), 0.5 ** len(settings.labels))
                continue
            names = (NORMAL,) if task == URGENCY and self._tells_urgency else _NOTHING
            nothing = next((label for label in names if label in settings.labels), None)
            probability = 1.0 if nothing is not None else 1.0 / len(settings.labels)
            labels[task] = self._score(task, nothing or settings.labels[0], probability)
        urgency = self._urgency(labels.pop(URGENCY), text, ()) if self._tells_urgency else None
        return Prediction(
            text=text, labels=labels, places=places, reasons=("empty_text",), label_sets=sets, urgency=urgency
        )
