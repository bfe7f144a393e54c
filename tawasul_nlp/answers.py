"""From probabilities to a prediction: names, places, routing, and whether an officer should look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tawasul_nlp.domain import Domain, Places, Routing, find_named_agencies, find_places, route
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.model.folder import ModelConfig
from tawasul_nlp.model.label_sets import set_probability
from tawasul_nlp.prediction import LabelScore, LabelSet, Prediction

_ALTERNATIVES = 4
_NAMED = 8
# What a text without anything to read is, in label sets that have a name for it.
_NOTHING = ("out_of_scope", "none")


class Answers:
    """Put predictions together for one model.

    Parameters
    ----------
    config : ModelConfig
    domain : Domain
        Names, routing and places of the labels that it knows.
    learned : Domain
        The domain of the model's training texts, by which it groups topics under agencies.
    complete : bool
        Whether the domain must know all labels of the tasks topic, agency and kind; an agency may have the model's
        label among its codes. Without, a task of which it lacks a label keeps its own names, and nothing is routed.

    Raises
    ------
    ValueError
        If the domain lacks labels that it must know; the message names them.
    """

    def __init__(self, config: ModelConfig, domain: Domain, learned: Domain, *, complete: bool = False) -> None:
        self.config = config
        self.domain = domain
        self.taxonomy = taxonomy = domain.taxonomy
        self._learned = learned.taxonomy
        tables: dict[str, Mapping[str, Any]] = {
            "topic": taxonomy.topics,
            "agency": {**taxonomy.agencies, **taxonomy.agencies_by_code()},
            "kind": taxonomy.kinds,
        }
        # The names of a task's labels; a task that only shares a name with the taxonomy's keeps its own.
        self._names: dict[str, Mapping[str, Any]] = {}
        for name, task in config.tasks.items():
            known = tables.get(name, {})
            missing = [label for label in task.labels if label not in known]
            if complete and name in tables and missing:
                raise ValueError(
                    f"the domain {domain.id} lacks {len(missing)} label(s) of the model's task {name!r}: "
                    f"{', '.join(missing[:_NAMED])}{', ...' if len(missing) > _NAMED else ''}; "
                    "add them to its files (agencies as ids or codes), or train a model with its labels"
                )
            self._names[name] = {} if missing else known
        self._topics_of = self._topics_by_agency()

    def _topics_by_agency(self) -> dict[str, np.ndarray]:
        """Return which of the model's topics belong to each agency; none if the rules do not know its labels."""
        found: dict[str, list[int]] = {}
        if self._names.get("topic") and self._names.get("agency"):
            for index, topic in enumerate(self.config.tasks["topic"].labels):
                found.setdefault(self._learned_agency(topic), []).append(index)
        return {agency: np.array(topics) for agency, topics in found.items()}

    def _learned_agency(self, topic: str) -> str:
        """Return the model's label for the agency of a topic, which the domain may have given to another one."""
        known = self.config.tasks["agency"].labels
        if topic in self._learned.topics and self._learned.agency_group(topic) in known:
            return self._learned.agency_group(topic)
        return self.taxonomy.agency_group(topic)  # of a model without a pack, which learned by that of its user

    def _score(self, task: str, label: str, probability: float, others: tuple[LabelScore, ...] = ()) -> LabelScore:
        entry = self._names[task].get(label)
        if entry is None:
            return LabelScore(label, label, label, probability, others)
        return LabelScore(entry.id, entry.name_ar, entry.name_en, probability, others)

    def predictions(
        self,
        texts: Sequence[str],
        probabilities: Mapping[str, np.ndarray],
        thresholds: Mapping[str, Sequence[float]],
        truncated: np.ndarray,
    ) -> list[Prediction]:
        """Return the prediction of each text.

        Parameters
        ----------
        texts : sequence of str
        probabilities : mapping of str to ndarray
            Of each task's labels (n_texts, n_labels).
        thresholds : mapping of str to sequence of float
            For each label of each task, the probability below which it needs review; of a multi-label task, that of its
            set of labels.
        truncated : ndarray of bool, shape (n_texts,)
            Of which texts only the start was read.
        """
        best: dict[str, list[list[tuple[int, float]]]] = {}
        sets: dict[str, list[LabelSet]] = {}
        for task, table in probabilities.items():
            if self.config.tasks[task].multi_label:
                sets[task] = self._label_sets(task, table)
                continue
            columns = np.argsort(-table, axis=1, kind="stable")[:, : 1 + _ALTERNATIVES]
            values = np.take_along_axis(table, columns, axis=1)
            best[task] = [list(zip(*row, strict=True)) for row in zip(columns.tolist(), values.tolist(), strict=True)]
        topics = probabilities.get("topic")
        return [
            self._prediction(
                text,
                {task: rows[at] for task, rows in best.items()},
                {task: rows[at] for task, rows in sets.items()},
                None if topics is None else topics[at],
                thresholds,
                cut,
            )
            for at, (text, cut) in enumerate(zip(texts, truncated.tolist(), strict=True))
        ]

    def _label_sets(self, task: str, table: np.ndarray) -> list[LabelSet]:
        """Return the labels of each text: those that reach the task's threshold."""
        settings = self.config.tasks[task]
        answered = table >= settings.label_threshold
        certain = set_probability(table, answered).tolist()
        found = []
        for row, chosen, probability in zip(table, answered, certain, strict=True):
            order = np.argsort(-row, kind="stable")
            labels, others = (
                tuple(self._score(task, settings.labels[at], float(row[at])) for at in part.tolist())
                for part in (order[chosen[order]], order[~chosen[order]][:_ALTERNATIVES])
            )
            found.append(LabelSet(labels, probability, others))
        return found

    def _prediction(
        self,
        text: str,
        best: Mapping[str, list[tuple[int, float]]],
        sets: Mapping[str, LabelSet],
        topics: np.ndarray | None,
        thresholds: Mapping[str, Sequence[float]],
        truncated: bool,
    ) -> Prediction:
        """Put together one text's answer from the best labels of each task, with their probabilities, best first."""
        places = find_places(text[:MAX_CHARS], self.domain)
        if not any(char.isalnum() for char in text):
            return self._unread(text, places)
        labels: dict[str, LabelScore] = {}
        reasons: list[str] = []
        for task, found in best.items():
            names = self.config.tasks[task].labels
            (first, probability), *rest = found
            others = tuple(self._score(task, names[index], value) for index, value in rest)
            labels[task] = self._score(task, names[first], probability, others)
            if probability < thresholds[task][first] and not (task == "kind" and self._names[task]):
                reasons.append(f"low_{task}_confidence" if task in ("topic", "agency") else "low_confidence")
        for task, answer in sets.items():
            if answer.probability < thresholds[task][0]:
                reasons.append("low_confidence")
        predicted = self.config.tasks["agency"].labels[best["agency"][0][0]] if self._topics_of else ""
        routing = self._route(text, predicted, topics, places)
        if routing is not None:
            group = labels["agency"]
            topic = labels["topic"].id
            if topic in self.taxonomy.topics and self._learned_agency(topic) != predicted:
                reasons.append("topic_agency_disagree")
            if topic == "out_of_scope":
                reasons.append("out_of_scope")
            if "place" in routing.needs:
                reasons.append("place_needed")
            labels["agency"] = self._score("agency", routing.agency_id, group.probability, group.alternatives)
        if truncated:
            reasons.append("long_text")
        return Prediction(text, labels, places, routing, tuple(dict.fromkeys(reasons)), sets)

    def _route(self, text: str, agency: str, topics: np.ndarray | None, places: Places) -> Routing | None:
        """Route by the likeliest topic of the likeliest agency; `topics` are the topics' probabilities."""
        own = self._topics_of.get(agency)
        if own is None or topics is None:
            return None  # the model's own labels, which the rules do not know, or an agency without topics
        topic = self.config.tasks["topic"].labels[own[topics[own].argmax()]]
        named = find_named_agencies(text[:MAX_CHARS], self.domain)
        return route(topic, places, named, text=text[:MAX_CHARS], domain=self.domain)

    def _unread(self, text: str, places: Places) -> Prediction:
        """Answer for a text with nothing to read: for review, and out of scope or at the certainty of a guess."""
        labels, sets = {}, {}
        for task, settings in self.config.tasks.items():
            if settings.multi_label:
                sets[task] = LabelSet((), 0.5 ** len(settings.labels))
                continue
            nothing = next((label for label in _NOTHING if label in settings.labels), None)
            probability = 1.0 if nothing is not None else 1.0 / len(settings.labels)
            labels[task] = self._score(task, nothing or settings.labels[0], probability)
        return Prediction(text, labels, places, None, ("empty_text",), sets)
