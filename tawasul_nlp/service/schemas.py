"""What clients send, checked before anything reads it, and what the service answers, as OpenAPI describes it.

A prediction is written by :meth:`~tawasul_nlp.Prediction.to_dict`, without the text and quotes of it: its models here
describe that form and do not make it. Incidents are the library's own values.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tawasul_nlp.duplicates import Assignment, Case, Incident, IncidentEvent
from tawasul_nlp.errors import checked_time

MAX_TEXTS = 64
MAX_CHARS = 20_000

Text = Annotated[str, Field(max_length=MAX_CHARS, description="What a citizen wrote.")]
CaseId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S", examples=["TWS-2026-00017"])]
IncidentId = Annotated[int, Field(strict=True, ge=1, lt=2**63)]
# pydantic alone would take a number for seconds; some of its versions would pass the request, texts and all, as `name`.
Date = Annotated[datetime, BeforeValidator(lambda time: checked_time(time))]
Short = Annotated[str, Field(max_length=1_000)]
Probability = Annotated[float, Field(ge=0, le=1)]
Offset = Annotated[int, Field(ge=0, description="In characters of the text that was sent.")]


class Request(BaseModel):
    """A body without unknown fields: a misspelt one would have no effect."""

    model_config = ConfigDict(extra="forbid")


class Texts(Request):
    """Cases to classify."""

    texts: Annotated[
        list[Text], Field(min_length=1, max_length=MAX_TEXTS, examples=[["الماي مقطوع عن مجمع 711 من أمس"]])
    ]


class SentCase(Request):
    """A case, as a client has it."""

    text: Text
    created_at: Annotated[Date | None, Field(description="When it was received; UTC if it names no zone.")] = None
    place: Annotated[Short | None, Field(description="An address field, read like a text, or a block's number.")] = None
    topic: Annotated[Short | None, Field(description="A topic's id or name; null for the model's own answer.")] = None

    def case(self, case_id: str | None = None) -> Case:
        """Return what the index takes."""
        return Case(text=self.text, id=case_id, created_at=self.created_at, place=self.place, topic=self.topic)


class Question(SentCase):
    """A case whose incident is looked for."""

    k: Annotated[int, Field(strict=True, ge=1, le=20, description="The most incidents to return.")] = 5


class NewCase(SentCase):
    """A case to add; its id makes it safe to send it again."""

    id: CaseId


class NewCases(Request):
    """Cases to add, all or none of them."""

    cases: Annotated[list[NewCase], Field(min_length=1, max_length=MAX_TEXTS)]


class Decision(Request):
    """What a person decides."""

    by: Annotated[Short | None, Field(description="Who decides; null for the client that the token names.")] = None
    note: Annotated[Short | None, Field(description="Why; kept in the history, so no citizen's text.")] = None


class Merge(Decision):
    """Incidents that are one."""

    incidents: Annotated[list[IncidentId], Field(min_length=2, max_length=MAX_TEXTS, description="The first stays.")]


class OneCase(Decision):
    """A case of the index, to remove or to make an incident of its own."""

    case_id: CaseId


class Move(OneCase):
    """A case that belongs to another incident."""

    incident: IncidentId


class Close(Decision):
    """An incident that is done."""

    incident: IncidentId
    at: Annotated[Date | None, Field(description="When it was closed; null for now.")] = None


class Reopen(Decision):
    """An incident that is not done after all."""

    incident: IncidentId


class Label(BaseModel):
    """A label with its calibrated probability, and the next likeliest ones."""

    id: str
    name_ar: str
    name_en: str
    probability: Probability
    alternatives: list[Label] = []


class LabelSet(BaseModel):
    """The labels of a task that may have several."""

    labels: list[Label]
    probability: Annotated[Probability, Field(description="That the text has exactly these labels.")]
    alternatives: list[Label]


class Words(BaseModel):
    """A part of the text that was sent."""

    start: Offset
    end: Offset


class Urgency(Label):
    """How soon somebody must act, with the words that speak for it."""

    reasons: list[Words]


class Issue(BaseModel):
    """One of the separate matters of a case."""

    topic: Label
    agency: Label
    probability: Probability
    start: Offset
    end: Offset
    needs: list[str]


class PlaceMention(BaseModel):
    """A place that the text names."""

    kind: str
    name: str
    number: int | None
    start: Offset
    end: Offset


class RoutedTo(BaseModel):
    """The agency that the routing rules give, and why."""

    agency: str
    reason_ar: str
    reason_en: str
    needs: list[str]
    also: list[str]


class CasePrediction(BaseModel):
    """The reading of one case: the answer of every task of the model by its name, and what follows from them."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Label | LabelSet]

    kind: Label | None = None
    topic: Label | None = None
    agency: Label | None = None
    urgency: Annotated[Urgency | Label | LabelSet | None, Field(description="Null for a model that does not tell it.")]
    issues: Annotated[list[Issue] | Label | LabelSet, Field(description="The main one first.")]
    governorate: str | None
    block: int | None
    places: list[PlaceMention]
    routing: RoutedTo | None
    needs_review: Annotated[bool, Field(description="Whether an officer should look; the reasons say why.")]
    reasons: list[str]
    doubts: Annotated[list[str], Field(description="What is unsure, and no reason to look.")]


class Predictions(BaseModel):
    """A prediction for each text, in the same order."""

    predictions: list[CasePrediction]


class IncidentMatch(BaseModel):
    """An incident that a case may belong to; its texts stay in the index."""

    model_config = ConfigDict(from_attributes=True)

    incident_id: int
    representative: Annotated[str, Field(description="The id of the case that the others match.")]
    size: int
    score: Probability
    reason: str
    is_duplicate: Annotated[bool, Field(description="Whether the case would join it if it were added.")]
    is_closed: bool
    obstacle: Annotated[str | None, Field(description="Why it would not, however high the score.")]


class Matches(BaseModel):
    """Incidents, the likeliest first."""

    incidents: list[IncidentMatch]


class Incidents(BaseModel):
    """Incidents, the largest first."""

    incidents: list[Incident]


class Added(BaseModel):
    """The incident of each case, in the order of the cases, and what happened to incidents; all of it is on disk."""

    assignments: list[Assignment]
    changes: list[IncidentEvent]


class Changes(BaseModel):
    """What happened to incidents, the earliest first; all of it is on disk."""

    changes: list[IncidentEvent]


class IndexInfo(BaseModel):
    """The index that the service keeps."""

    cases: int
    incidents: int


class ServiceInfo(BaseModel):
    """What answers here."""

    version: str
    model: Annotated[str, Field(description="The hash of the model.")]
    domain: Annotated[str, Field(description="The pack of places, agencies and routing.")]
    index: Annotated[IndexInfo | None, Field(description="Null for a service without incidents.")]


class Status(BaseModel):
    """Whether the service can do its work."""

    status: str


class Mistake(BaseModel):
    """What is wrong with a body, and where in it."""

    where: list[str | int]
    what: str


class Invalid(BaseModel):
    """Why a body was refused; it never quotes it."""

    detail: list[Mistake] | str


class Refused(BaseModel):
    """Why a request was refused."""

    detail: str
