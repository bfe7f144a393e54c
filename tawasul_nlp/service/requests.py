"""What clients send, checked before anything reads it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tawasul_nlp.duplicates import Case

MAX_TEXTS = 64
MAX_CHARS = 20_000

Text = Annotated[str, Field(max_length=MAX_CHARS, description="What a citizen wrote.")]
CaseId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S", examples=["TWS-2026-00017"])]
IncidentId = Annotated[int, Field(ge=1, lt=2**63)]
Short = Annotated[str, Field(max_length=1_000)]


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
    created_at: Annotated[datetime | None, Field(description="When it was received; UTC if it names no zone.")] = None
    place: Annotated[Short | None, Field(description="An address field, read like a text, or a block's number.")] = None
    topic: Annotated[Short | None, Field(description="A topic's id or name; null for the model's own answer.")] = None

    def case(self, case_id: str | None = None) -> Case:
        """Return what the index takes."""
        return Case(self.text, case_id, self.created_at, self.place, self.topic)


class Question(SentCase):
    """A case whose incident is looked for."""

    k: Annotated[int, Field(ge=1, le=20, description="The most incidents to return.")] = 5


class NewCase(SentCase):
    """A case to add; its id makes it safe to send it again."""

    id: CaseId


class NewCases(Request):
    """Cases to add, all or none of them."""

    cases: Annotated[list[NewCase], Field(min_length=1, max_length=MAX_TEXTS)]


class OneCase(Request):
    """A case of the index."""

    case_id: CaseId


class Decision(Request):
    """What a person decides."""

    by: Annotated[Short | None, Field(description="Who decides; null for the client that the token names.")] = None
    note: Annotated[Short | None, Field(description="Why; kept in the history, so no citizen's text.")] = None


class Merge(Decision):
    """Incidents that are one."""

    incidents: Annotated[list[IncidentId], Field(min_length=2, max_length=MAX_TEXTS, description="The first stays.")]


class Split(Decision):
    """A case that is an incident of its own."""

    case_id: CaseId


class Move(Decision):
    """A case that belongs to another incident."""

    case_id: CaseId
    incident: IncidentId


class Close(Decision):
    """An incident that is done."""

    incident: IncidentId
    at: Annotated[datetime | None, Field(description="When it was closed; null for now.")] = None


class Reopen(Decision):
    """An incident that is not done after all."""

    incident: IncidentId
