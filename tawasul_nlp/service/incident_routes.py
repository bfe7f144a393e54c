"""The paths under ``/incidents``: questions to the index, new cases, and what people decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request

from tawasul_nlp.duplicates import Assignment, DuplicateIndex, Incident, IncidentEvent
from tawasul_nlp.service import schemas
from tawasul_nlp.service.schemas import Added, Changes, IncidentMatch, Incidents, Matches, Refused
from tawasul_nlp.service.waiting import IndexAccess

_REFUSALS: dict[int | str, dict[str, Any]] = {
    404: {"model": Refused, "description": "There is no such case or incident."},
    409: {"model": Refused, "description": "It does not fit what the index holds."},
    507: {"model": Refused, "description": "The index cannot be written; nothing was changed."},
}
_IncidentId = Annotated[int, Path(ge=1, lt=2**63)]


async def _client(request: Request) -> str | None:
    """Return who asks: that name stands for who decides, where a decision does not say so."""
    return getattr(request.state, "client", None)


_Client = Annotated[str | None, Depends(_client)]


def incident_routes(access: IndexAccess) -> APIRouter:
    """Return the paths of a service that keeps an index."""
    router = APIRouter(tags=["incidents"], responses=_REFUSALS)

    @router.get("/events")
    async def events(
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
    ) -> Changes:
        """List what happened after an event, by its id, to all incidents: so no lost answer loses a change."""
        return Changes(changes=await access.ask(lambda index: index.events(after, limit)))

    router.include_router(_questions(access))
    router.include_router(_changes(access))
    return router


def _questions(access: IndexAccess) -> APIRouter:
    """Return the paths that change nothing."""
    router = APIRouter(prefix="/incidents")

    @router.get("")
    async def listed(
        min_size: Annotated[int, Query(ge=1, lt=2**63)] = 2,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        after: Annotated[int | None, Query(ge=0, lt=2**63, description="The last incident of the page before.")] = None,
        state: Literal["open", "closed"] | None = None,
        topic: schemas.Short | None = None,
        agency: schemas.Short | None = None,
        place: Annotated[schemas.Short | None, Query(description="A place as incidents name it.")] = None,
        changed_since: schemas.Date | None = None,
    ) -> Incidents:
        """List the largest incidents, or with ``after`` (0 to begin) all in pages: cases by id, days, places, topic."""
        return Incidents(
            incidents=await access.ask(
                lambda index: index.incidents(
                    min_size,
                    limit,
                    after=after,
                    state=state,
                    topic=topic,
                    agency=agency,
                    place=place,
                    changed_since=changed_since,
                )
            )
        )

    @router.get("/of-case")
    async def of_case(case_id: Annotated[str, Query(max_length=200)]) -> Assignment:
        """Tell in which incident a case is now."""
        return await access.ask(lambda index: index.assignment(case_id))

    @router.get("/{incident}")
    async def incident(incident: _IncidentId) -> Incident:
        """Describe one incident."""
        return await access.ask(lambda index: index.incident(incident))

    @router.get("/{incident}/history")
    async def history(incident: _IncidentId) -> Changes:
        """List what happened to an incident, even if its id is gone."""
        return Changes(changes=await access.ask(lambda index: index.history(incident)))

    @router.post("/query")
    async def query(question: schemas.Question) -> Matches:
        """Find the incidents that a case may belong to, open and closed; nothing is stored."""
        matches = await access.ask(lambda index: index.query(question.case(), question.k))
        return Matches(incidents=[IncidentMatch.model_validate(match) for match in matches])

    return router


def _changes(access: IndexAccess) -> APIRouter:
    """Return the paths of new cases and of what people decide."""
    router = APIRouter(prefix="/incidents")

    async def changes(change: Callable[[DuplicateIndex], tuple[IncidentEvent, ...]]) -> Changes:
        return Changes(changes=list(await access.change(change)))

    @router.post("/add")
    async def add(new: schemas.NewCases) -> Added:
        """Add cases. One whose id is there with the same text is left unchanged, so a request may be repeated."""
        added = await access.change(lambda index: index.add(case.case(case.id) for case in new.cases))
        return Added(assignments=list(added), changes=list(added.changes))

    @router.post("/remove")
    async def remove(it: schemas.OneCase, name: _Client) -> Changes:
        """Remove a case; its id stays in the history."""
        return await changes(lambda index: index.remove(it.case_id, by=it.by or name, note=it.note))

    @router.post("/merge")
    async def merge(it: schemas.Merge, name: _Client) -> Changes:
        """Merge incidents into the first of them; all their cases then stay together."""
        return await changes(lambda index: index.merge(it.incidents, by=it.by or name, note=it.note))

    @router.post("/split")
    async def split(it: schemas.OneCase, name: _Client) -> Changes:
        """Take a case out of its incident, into one of its own; it stays apart from all cases that it leaves."""
        return await changes(lambda index: index.split(it.case_id, by=it.by or name, note=it.note))

    @router.post("/move")
    async def move(it: schemas.Move, name: _Client) -> Changes:
        """Move a case into another incident."""
        return await changes(lambda index: index.move(it.case_id, it.incident, by=it.by or name, note=it.note))

    @router.post("/close")
    async def close(it: schemas.Close, name: _Client) -> Changes:
        """Close an incident: its cases no longer move by themselves."""
        return await changes(lambda index: index.close_incident(it.incident, at=it.at, by=it.by or name, note=it.note))

    @router.post("/reopen")
    async def reopen(it: schemas.Reopen, name: _Client) -> Changes:
        """Open a closed incident again."""
        return await changes(lambda index: index.reopen_incident(it.incident, by=it.by or name, note=it.note))

    return router


def without_index() -> APIRouter:
    """Return the same paths of a service without an index, which say how to give it one."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/events", methods=["GET"])
    @router.api_route("/incidents", methods=["GET"])
    @router.api_route("/incidents/{rest:path}", methods=["GET", "POST"])
    async def absent() -> None:
        raise HTTPException(404, "this service keeps no incidents; start it with --index DIR, or TAWASUL_INDEX=DIR")

    return router
