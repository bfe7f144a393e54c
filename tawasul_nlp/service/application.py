"""The application: what the service answers, and who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tawasul_nlp import ComplaintClassifier, DuplicateIndex, __version__
from tawasul_nlp.service.counters import Counters
from tawasul_nlp.service.documentation import add_documentation
from tawasul_nlp.service.incident_routes import incident_routes, without_index
from tawasul_nlp.service.index_access import IndexAccess
from tawasul_nlp.service.limits import Limits
from tawasul_nlp.service.middleware import BodyLimit, Observed
from tawasul_nlp.service.requests import Texts
from tawasul_nlp.service.responses import IndexInfo, Invalid, Predictions, Refused, ServiceInfo, Status
from tawasul_nlp.service.waiting import Batcher, overloaded

_DESCRIPTION = "Classifies citizens' cases and keeps their incidents. No answer and no log line holds a stored text."
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refused, "description": "The token is missing or unknown."},
    413: {"model": Refused, "description": "The body is too long."},
    422: {"model": Invalid, "description": "The body is not what is expected."},
    503: {"model": Refused, "description": "Too much is waiting; try again after `Retry-After` seconds."},
}


def create_app(
    classifier: ComplaintClassifier,
    index: DuplicateIndex | None = None,
    *,
    limits: Limits | None = None,
    authenticate: Callable[..., Any] | None = None,
) -> FastAPI:
    """Return the service as an ASGI application, for ``tawasul serve`` or a server of your own.

    Parameters
    ----------
    classifier : ComplaintClassifier
    index : DuplicateIndex or None
        The incidents that it keeps; None for a service that only classifies. Close it after the application has ended.
    limits : Limits or None
        None for the defaults.
    authenticate : callable or None
        A dependency of FastAPI that returns the name of the client, or raises ``HTTPException``: `bearer_tokens`, or
        one that asks your platform. None lets everybody ask.

    Returns
    -------
    FastAPI

    Examples
    --------
    >>> from fastapi.testclient import TestClient
    >>> with TestClient(create_app(ComplaintClassifier.from_pretrained())) as client:
    ...     answer = client.post("/predict", json={"texts": ["الماي مقطوع عن مجمع 711 من أمس"]}).json()
    >>> answer["predictions"][0]["agency"]["id"]
    'ewa'
    """
    limits = limits or Limits()
    counters = Counters()
    batcher = Batcher(classifier.predict, limits.batch_texts, limits.max_waiting, counters.batch.observe)
    access = None if index is None else IndexAccess(index, limits.max_waiting)
    client = _named(authenticate or _anybody)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(classifier.predict, "نص")  # the first call builds what the others reuse
        batching = asyncio.create_task(batcher.run())
        yield
        batching.cancel()
        if access is not None:
            access.close()

    app = FastAPI(
        title="tawasul-nlp",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, most=limits.max_body)
    app.add_middleware(Observed, counters=counters)  # the last one added is the outermost
    add_documentation(app)
    app.include_router(_probes(batcher, access))
    authorized = APIRouter(dependencies=[Depends(client)], responses=_REFUSALS)
    authorized.include_router(_guarded_routes(classifier, batcher, access, counters))
    authorized.include_router(without_index() if access is None else incident_routes(access, client))
    app.include_router(authorized)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Without the input: a citizen's text does not belong into error logs, and may not even be encodable.
        problems = [{"where": list(one["loc"]), "what": one["msg"]} for one in error.errors()]
        return JSONResponse({"detail": problems}, 422)

    return app


def _probes(batcher: Batcher, access: IndexAccess | None) -> APIRouter:
    """Return what an orchestrator asks, without a token."""
    router = APIRouter(tags=["service"])

    @router.get("/live")
    async def live() -> Status:
        """Tell that the process answers; if it does not, restart it."""
        return Status(status="live")

    @router.get("/ready", responses={503: {"model": Refused}})
    async def ready() -> Status:
        """Tell that it has room for requests; if it has not, send them elsewhere for a while."""
        if batcher.is_full or (access is not None and access.is_full):
            raise overloaded("as much is waiting as may wait")
        return Status(status="ready")

    return router


def _guarded_routes(
    classifier: ComplaintClassifier, batcher: Batcher, access: IndexAccess | None, counters: Counters
) -> APIRouter:
    """Return what needs a token and no index."""
    router = APIRouter()

    @router.post("/predict", tags=["cases"], response_model=Predictions)
    async def predict(cases: Texts) -> JSONResponse:
        """Classify cases: a prediction for each text, in the same order."""
        predictions = await batcher.predict(cases.texts)
        counters.count(predictions)
        return JSONResponse({"predictions": [_without_text(prediction.to_dict()) for prediction in predictions]})

    @router.get("/info", tags=["service"])
    async def info() -> ServiceInfo:
        """Tell the model, and how much the index holds."""
        held = None
        if access is not None:
            facts = await access.ask(lambda index: index.stats())
            held = IndexInfo(cases=facts["cases"], incidents=facts["incidents"])
        domain = classifier.domain
        return ServiceInfo(
            version=__version__,
            model=classifier.config.model_hash,
            domain=f"{domain.id} {domain.version}",
            index=held,
        )

    @router.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Count requests, texts and times, for Prometheus."""
        return Response(generate_latest(counters.registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _anybody() -> None:
    return None


def _named(authenticate: Callable[..., Any]) -> Callable[..., Any]:
    """Return a dependency that also tells the log who asks."""

    async def client(request: Request, name: str | None = Depends(authenticate)) -> str | None:
        request.state.client = name
        return name

    return client


def _without_text(answer: Any) -> Any:
    """Return an answer without the text and quotes of it: the client has its own."""
    if isinstance(answer, dict):
        return {name: _without_text(value) for name, value in answer.items() if name != "text"}
    return [_without_text(item) for item in answer] if isinstance(answer, list) else answer
