"""From probabilities to a prediction: names, places, routing, and whether an officer should look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tawasul_nlp.domain import Places, Routing, Taxonomy, find_named_agencies, find_places, route
from tawasul_nlp.model.encoder import MAX_CHARS
from tawasul_nlp.model.folder import ModelConfig
from tawasul_nlp.prediction import LabelScore, Prediction

_ALTERNATIVES = 4
_NAMED = 8
# What a text without anything to read is, in label sets that have a name for it.
_NOTHING = ("out_of_scope", "none")


class Answers:
    """Put predictions together for one model.

    Parameters
    ----------
    config : ModelConfig
    taxonomy : Taxonomy
        Names, routing and places of the labels that it knows.
    complete : bool
        Whether the taxonomy must know all labels of the tasks topic, agency and kind. Without, a task of which it
        lacks a label keeps its own names, and nothing is routed.

    Raises
    ------
    ValueError
        If the taxonomy lacks labels that it must know; the message names them.
    """

    def __init__(self, config: ModelConfig, taxonomy: Taxonomy, *, complete: bool = False) -> None:
        self.config = config
        self.taxonomy = taxonomy
        tables: dict[str, Mapping[str, Any]] = {
            "topic": taxonomy.topics,
            "agency": taxonomy.agencies,
            "kind": taxonomy.kinds,
        }
        # The names of a task's labels; a task that only shares a name with the taxonomy's keeps its own.
        self._names: dict[str, Mapping[str, Any]] = {}
        for name, task in config.tasks.items():
            known = tables.get(name, {})
            missing = [label for label in task.labels if label not in known]
            if complete and name in tables and missing:
                raise ValueError(
                    f"the taxonomy lacks {len(missing)} label(s) of the model's task {name!r}: "
                    f"{', '.join(missing[:_NAMED])}{', ...' if len(missing) > _NAMED else ''}; "
                    "add them to its files, or train a model with its labels"
                )
            self._names[name] = {} if missing else known

    def _score(self, task: str, label: str, probability: float, others: tuple[LabelScore, ...] = ()) -> LabelScore:
        entry = self._names[task].get(label)
        arabic, english = (entry.name_ar, entry.name_en) if entry is not None else (label, label)
        return LabelScore(label, arabic, english, probability, others)

    def prediction(
        self, text: str, probabilities: dict[str, np.ndarray], thresholds: Mapping[str, float], truncated: bool
    ) -> Prediction:
        """Return the prediction of one text.

        Parameters
        ----------
        text : str
        probabilities : dict of str to ndarray
            Of each task's labels (n_labels,).
        thresholds : mapping of str to float
            Probability of each task below which an answer needs review.
        truncated : bool
            Whether only the start was read.
        """
        places = find_places(text[:MAX_CHARS], self.taxonomy.gazetteer)
        if not any(char.isalnum() for char in text):
            return self._unread(text, places)
        labels: dict[str, LabelScore] = {}
        reasons: list[str] = []
        for task, values in probabilities.items():
            names = self.config.tasks[task].labels
            best = np.argsort(-values, kind="stable")[: 1 + _ALTERNATIVES]
            others = tuple(self._score(task, names[i], float(values[i])) for i in best[1:])
            labels[task] = self._score(task, names[best[0]], float(values[best[0]]), others)
            if labels[task].probability < thresholds[task] and not (task == "kind" and self._names[task]):
                reasons.append(f"low_{task}_confidence" if task in ("topic", "agency") else "low_confidence")
        routing = self._route(text, labels, probabilities, places)
        if routing is not None:
            group = labels["agency"]
            topic = labels["topic"]
            if topic.id in self.taxonomy.topics and self.taxonomy.agency_group(topic.id) != group.id:
                reasons.append("topic_agency_disagree")
            if topic.id == "out_of_scope":
                reasons.append("out_of_scope")
            if "place" in routing.needs:
                reasons.append("place_needed")
            labels["agency"] = self._score("agency", routing.agency_id, group.probability, group.alternatives)
        if truncated:
            reasons.append("long_text")
        return Prediction(text, labels, places, routing, tuple(dict.fromkeys(reasons)))

    def _route(
        self, text: str, labels: dict[str, LabelScore], probabilities: dict[str, np.ndarray], places: Places
    ) -> Routing | None:
        """Route by the likeliest topic of the likeliest agency."""
        if not (self._names.get("topic") and self._names.get("agency")):
            return None  # the model's own labels: the rules do not know them
        topics = self.config.tasks["topic"].labels
        own = [index for index, topic in enumerate(topics) if self.taxonomy.agency_group(topic) == labels["agency"].id]
        if not own:
            return None
        topic = topics[max(own, key=lambda index: float(probabilities["topic"][index]))]
        named = find_named_agencies(text[:MAX_CHARS], self.taxonomy)
        return route(topic, places, named, text=text[:MAX_CHARS], taxonomy=self.taxonomy)

    def _unread(self, text: str, places: Places) -> Prediction:
        """Answer for a text with nothing to read: for review, and out of scope or at the certainty of a guess."""
        labels = {}
        for task, settings in self.config.tasks.items():
            nothing = next((label for label in _NOTHING if label in settings.labels), None)
            probability = 1.0 if nothing is not None else 1.0 / len(settings.labels)
            labels[task] = self._score(task, nothing or settings.labels[0], probability)
        return Prediction(text, labels, places, None, ("empty_text",))
