"""What the classifier answers: frozen values that print well and turn into JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tawasul_nlp.domain import Places
from tawasul_nlp.domain.routing import Routing
from tawasul_nlp.model.label_sets import join_labels

if TYPE_CHECKING:
    from rich.table import Table

REVIEW_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "emergency": "it reports danger to life or limb, so somebody should act on it now",
        "empty_text": "the text has no letters or digits, so nothing was read",
        "unreadable_text": "the text is not valid UTF-8, so nothing was read",
        "low_agency_confidence": "the agency's probability is below the threshold for the target error",
        "topic_agency_disagree": "the likeliest topic belongs to another agency than the likeliest agency",
        "place_needed": "a municipality handles it, and the text does not say where the incident is",
        "place_conflict": "its text and its table name different places, and the text's is kept unless it is coarser",
        "out_of_scope": "no government agency handles it, or it cannot be understood",
        "low_topic_confidence": "the topic's probability is below the threshold for the target error",
        "low_confidence": "a label's or label set's probability is below the threshold for the target error",
        "long_text": "only the first part of the text was read by the encoder",
    }
)
"""Why a person should look at a case. The first reason of a case is the one that costs most where nobody looks: danger,
a text that nobody read, a case that goes astray, a label that is wrong."""


# Escape and the like: a terminal would obey them, and a citizen's text must not move its cursor or name its window.
_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def without_controls(text: str) -> str:
    """Return a text as a terminal may show it: control characters are replaced, line breaks and tabs stay."""
    return text.translate(_CONTROLS)


def _plain(value: Any) -> Any:
    """Return plain data: of a value its fields, and probabilities with six digits."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, _Plain):
        return value.to_dict()
    return round(value, 6) if isinstance(value, float) else value


class _Plain:
    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LabelScore(_Plain):
    """One label with its calibrated probability."""

    id: str
    # Names in the taxonomy; the id itself for labels that it does not have.
    name_ar: str
    name_en: str
    # 0 to 1, calibrated on validation data.
    probability: float
    # The next likeliest labels, likeliest first.
    alternatives: tuple[LabelScore, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        plain = _Plain.to_dict(self)
        if not self.alternatives:
            del plain["alternatives"]
        return plain


def _others(answer: LabelScore | LabelSet) -> str:
    return ", ".join(f"{label.id} {label.probability:.2f}" for label in answer.alternatives[:2])


@dataclass(frozen=True, slots=True)
class LabelSet(_Plain):
    """The labels that a multi-label task has for one text. It can be iterated.

    Examples
    --------
    >>> LabelSet((LabelScore("roads", "roads", "roads", 0.9),), 0.8).ids
    ('roads',)
    """

    # Each with a probability of its own, likeliest first; empty where no label reached the threshold.
    labels: tuple[LabelScore, ...]
    # That the text has exactly these labels, if labels are independent of each other.
    probability: float
    # The likeliest labels that are not answered, likeliest first.
    alternatives: tuple[LabelScore, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the labels."""
        return tuple(label.id for label in self.labels)

    def __iter__(self) -> Iterator[LabelScore]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Quote(_Plain):
    """A part of the original text, ``text[start:end]``."""

    text: str = field(repr=False)  # a log or a traceback prints values: none shows what a citizen wrote
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Urgency(LabelScore):
    """How soon somebody must act on a case: a label with the words that speak for it.

    The label is ``emergency`` (danger to life or limb), ``urgent`` (harm grows by the hour or day, or an essential
    service is cut) or ``normal``: by the facts that are told, not by words such as "عاجل". An emergency may be answered
    though another label is likelier, if the model prefers not to miss one.
    """

    # In the order of the text; empty for `normal`.
    reasons: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class Issue:
    """One of the separate matters of a case, on which a team of its own has to act."""

    # What it is about, and who should handle it: routed with the places of its own clause, or else of the whole text.
    topic: LabelScore
    agency: LabelScore
    # 0 to 1, that the case reports it.
    probability: float
    # The clause of the original text that reports it, in characters.
    start: int
    end: int
    # The agency that the routing rules give, with the reason; None for models without topics of the taxonomy.
    routing: Routing | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without the alternatives of its labels."""
        return {
            "topic": replace(self.topic, alternatives=()).to_dict(),
            "agency": replace(self.agency, alternatives=()).to_dict(),
            "probability": _plain(self.probability),
            "start": self.start,
            "end": self.end,
            "needs": [] if self.routing is None else list(self.routing.needs),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The reading of one case."""

    # As it was given.
    text: str
    # The answer of each task of the model, whatever its tasks are; it cannot be changed. `kind`, `topic` and `agency`
    # are also attributes, for models that have them.
    labels: Mapping[str, LabelScore] = field(hash=False)
    # What the text says about where.
    places: Places = field(default_factory=Places)
    # The agency that the routing rules give, with the reason; None for models without topics of the taxonomy.
    routing: Routing | None = None
    # Keys of `REVIEW_REASONS`, in its order.
    reasons: tuple[str, ...] = ()
    # The answer of each multi-label task, which is not among `labels`; it cannot be changed.
    label_sets: Mapping[str, LabelSet] = field(default_factory=dict, hash=False)
    # The main one first, which is that of `topic`, `agency` and `routing`. There is always one, reported by the whole
    # text if the model does not tell issues apart; a model without topics and agencies has none.
    issues: tuple[Issue, ...] = ()
    # How soon somebody must act; None for models that do not tell.
    urgency: Urgency | None = None
    # Keys of `REVIEW_REASONS` too: what is unsure of tasks of which it does not send the case to review.
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.issues and {"topic", "agency"} <= self.labels.keys():
            topic, agency = self.labels["topic"], self.labels["agency"]
            main = Issue(topic, agency, topic.probability, 0, len(self.text), self.routing)
            object.__setattr__(self, "issues", (main,))
        # A classifier of one's own may have reasons of its own, which come last.
        ordered = [name for name in REVIEW_REASONS if name in self.reasons]
        object.__setattr__(self, "reasons", tuple(dict.fromkeys([*ordered, *self.reasons])))
        # Read-only, because equal texts of one call share a prediction.
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))
        object.__setattr__(self, "label_sets", MappingProxyType(dict(self.label_sets)))

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"labels": dict(self.labels), "label_sets": dict(self.label_sets)}  # a proxy cannot be pickled
        return Prediction, tuple(values.values())

    @property
    def needs_review(self) -> bool:
        """Whether an officer should look at this case."""
        return bool(self.reasons)

    def _label(self, task: str) -> LabelScore:
        if task not in self.labels:
            raise AttributeError(f"this model has no task {task!r}; it has {', '.join(self.labels)} (see .labels)")
        return self.labels[task]

    def answer(self, task: str) -> LabelScore | None:
        """Return the answer of a task of one label, which the urgency may be; None if the model has no such task."""
        return self.urgency if task == "urgency" and self.urgency is not None else self.labels.get(task)

    @property
    def kind(self) -> LabelScore:
        """Complaint, suggestion, inquiry or praise."""
        return self._label("kind")

    @property
    def topic(self) -> LabelScore:
        """What the case is about."""
        return self._label("topic")

    @property
    def agency(self) -> LabelScore:
        """Who should handle it: the routed agency; the group ``municipality`` while the place is missing."""
        return self._label("agency")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON; a model's own task ``urgency`` or ``issues`` has its answer there."""
        places, routing = self.places, self.routing
        return {
            "text": self.text,
            "urgency": _plain(self.urgency),
            "issues": [issue.to_dict() for issue in self.issues],
            **{task: answer.to_dict() for task, answer in (*self.labels.items(), *self.label_sets.items())},
            "governorate": places.governorate,
            "block": places.block,
            "places": [
                {name: getattr(place, name) for name in ("kind", "name", "number", "start", "end")}
                for place in places.mentions
            ],
            "routing": routing
            and {
                "agency": routing.agency_id,
                "reason_ar": routing.reason_ar,
                "reason_en": routing.reason_en,
                "needs": list(routing.needs),
                "also": list(routing.also),
            },
            "needs_review": self.needs_review,
            "reasons": list(self.reasons),
            "doubts": list(self.doubts),
        }

    def to_json(self) -> str:
        """Return one line of JSON with Arabic unescaped (lone surrogates escaped, so that it can be encoded)."""
        line = json.dumps(self.to_dict(), ensure_ascii=False)
        return line.encode("utf-8", "backslashreplace").decode("utf-8")

    def __repr__(self) -> str:
        answers = [(task, label.id, label.probability) for task, label in self.labels.items()]
        answers += [(task, join_labels(labels.ids), labels.probability) for task, labels in self.label_sets.items()]
        answers += [("also", issue.topic.id, issue.probability) for issue in self.issues[1:]]
        if self.urgency is not None:
            answers.append(("urgency", self.urgency.id, self.urgency.probability))
        parts = ", ".join(f"{task}={answer} ({probability:.2f})" for task, answer, probability in answers)
        review = f", review: {', '.join(self.reasons)}" if self.reasons else ""
        return without_controls(f"Prediction(a text of {len(self.text)} characters, {parts}{review})")

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        def cell(text: str) -> Text:  # not a str, in which rich looks for markup and names of emoji
            return Text(without_controls(text))

        table = Table(title=cell(self.text[:300]), title_justify="right", show_lines=False)
        for column in ("", "label", "الاسم", "probability", "else"):
            table.add_column(column)
        for row in self._rows():
            table.add_row(*map(cell, row))
        return table

    def _rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        for task, label in self.labels.items():
            yield task, label.id, label.name_ar, f"{label.probability:.2f}", _others(label)
        for task, answer in self.label_sets.items():
            rows = [(label.id, label.name_ar, f"{label.probability:.2f}") for label in answer] or [("(none)", "", "")]
            for number, row in enumerate(rows):
                yield "" if number else task, *row, "" if number else _others(answer)
        for issue in self.issues[1:]:
            yield "also", issue.topic.id, issue.topic.name_ar, f"{issue.probability:.2f}", issue.agency.id
        if self.urgency is not None:
            urgency = self.urgency
            yield "urgency", urgency.id, urgency.name_ar, f"{urgency.probability:.2f}", _others(urgency)
            if urgency.reasons:
                yield "because", " … ".join(reason.text for reason in urgency.reasons), "", "", ""
        if self.places.governorate:
            block = f", block {self.places.block}" if self.places.block else ""
            yield "place", self.places.governorate + block, "", "", ""
        if self.reasons:
            yield "review", ", ".join(self.reasons), "", "", ""
