"""The application: what the service answers, who may ask, and how long it runs."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.staticfiles import StaticFiles
from uvicorn.protocols.http.h11_impl import H11Protocol

from tawasul_nlp import ComplaintClassifier, DuplicateIndex, __version__
from tawasul_nlp.errors import TawasulError
from tawasul_nlp.report.page import source_hash
from tawasul_nlp.service.incident_routes import incident_routes, without_index
from tawasul_nlp.service.middleware import (
    NO_HTTP,
    Authenticate,
    BearerTokens,
    Counters,
    Gate,
    Observed,
    log_to_stderr,
)
from tawasul_nlp.service.schemas import IndexInfo, Invalid, Predictions, Refused, ServiceInfo, Status, Texts
from tawasul_nlp.service.waiting import Batcher, IndexAccess, Limits, overloaded

# Seconds that requests have to end in after a signal to stop.
_STOP_WITHIN = 30
_MISTAKES, _NAME_CHARS = 10, 50
_ASSETS = "docs/assets"
_DESCRIPTION = "Classifies citizens' cases and keeps their incidents. No answer and no log line holds a stored text."
_BEARER = HTTPBearer(auto_error=False, description="A token of the file that the service was started with.")
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refused, "description": "The token is missing or unknown."},
    403: {"model": Refused, "description": "The role of the token does not allow it."},
    413: {"model": Refused, "description": "The body is too long."},
    422: {"model": Invalid, "description": "The body is not what is expected."},
    503: {"model": Refused, "description": "Too much is waiting; try again after `Retry-After` seconds."},
}


def create_app(
    classifier: ComplaintClassifier,
    index: DuplicateIndex | None = None,
    *,
    limits: Limits | None = None,
    authenticate: Authenticate | None = None,
    hosts: Sequence[str] = (),
) -> FastAPI:
    """Return the service as an ASGI application, for ``tawasul serve`` or a server of your own.

    Parameters
    ----------
    index : DuplicateIndex or None
        The incidents that it keeps; None for a service that only classifies. Close it after the application has ended.
    limits : Limits or None
        None for the defaults.
    authenticate : callable or None
        Takes a ``fastapi.Request``, whose body is not read yet, and returns the name of the client, or raises
        ``HTTPException``: `BearerTokens`, or a coroutine function that asks your platform. None lets everybody ask.
    hosts : sequence of str
        Names that requests may give as ``Host``, without a port; without any, all.

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
    counters.watch("model", lambda: batcher.pending)
    if access is not None:
        counters.watch("questions", lambda: access.questions.pending)
        counters.watch("changes", lambda: access.changes.pending)
    stop = partial(_stop, batcher, access)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(classifier.predict, "نص")  # the first call builds what the others reuse
        batching = asyncio.create_task(batcher.run())
        yield
        stop(wait=True)
        batching.cancel()

    app = FastAPI(
        title="tawasul-nlp",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # which answers without JSON
        exception_handlers={RequestValidationError: _invalid},
    )
    app.state.stop = stop
    app.add_middleware(Gate, limits=limits, authenticate=authenticate, hosts=hosts)
    app.add_middleware(Observed, counters=counters)  # the last one added is the outermost
    _add_documentation(app)
    app.include_router(_probes(batcher, access))
    # The gate has asked for the token; this tells programs which it is.
    scheme = [Security(_BEARER)] if isinstance(authenticate, BearerTokens) else []
    authorized = APIRouter(dependencies=scheme, responses=_REFUSALS)
    authorized.include_router(_guarded_routes(classifier, batcher, access, counters))
    authorized.include_router(without_index() if access is None else incident_routes(access))
    app.include_router(authorized)
    return app


def _stop(batcher: Batcher, access: IndexAccess | None, *, wait: bool = False) -> None:
    """Answer 503 to what waits, and to what comes from now on; ``wait`` for the end of what has begun."""
    batcher.stop()
    if access is not None:
        access.stop(wait=wait)


async def _invalid(request: Request, error: Any) -> JSONResponse:
    # Without the input: a citizen's text does not belong into error logs, and may not even be encodable.
    # Of a body that is wrong in ten thousand places the first tell enough; a name in one may be as long as the body.
    problems = [
        {"where": [part if isinstance(part, int) else part[:_NAME_CHARS] for part in one["loc"]], "what": one["msg"]}
        for one in error.errors()[:_MISTAKES]
    ]
    return JSONResponse({"detail": problems}, 422)


def _probes(batcher: Batcher, access: IndexAccess | None) -> APIRouter:
    """Return what an orchestrator asks, without a token."""
    router = APIRouter(tags=["service"])

    @router.get("/live")
    async def live() -> Status:
        """Tell that the process answers; if it does not, restart it."""
        return Status(status="live")

    @router.get("/ready", responses={503: {"model": Refused}})
    async def ready() -> Status:
        """Tell that it has room for requests, and that changes can be stored; else send them elsewhere for a while."""
        if not batcher.is_running:
            raise overloaded("the model is not loaded, or the service is stopping")
        if batcher.is_full or (access is not None and access.is_full):
            raise overloaded("as much is waiting as may wait")
        if access is not None:
            await access.check_writable()
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
        index_info = None
        if access is not None:
            facts = await access.ask(lambda index: index.stats())
            index_info = IndexInfo(cases=facts["cases"], incidents=facts["incidents"])
        domain = classifier.domain
        return ServiceInfo(
            version=__version__,
            model=classifier.config.model_hash,
            domain=f"{domain.id} {domain.version}",
            index=index_info,
        )

    @router.get("/metrics", tags=["service"], response_class=Response)
    async def metrics() -> Response:
        """Count requests, texts, times and incidents, for Prometheus."""
        if access is not None:
            with suppress(TawasulError, ValueError):  # what of it was told before stays
                counters.measure(await asyncio.to_thread(access.index.stats))
        return Response(generate_latest(counters.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _without_text(answer: Any) -> Any:
    """Return an answer without the text and quotes of it: the client has its own."""
    if isinstance(answer, dict):
        return {name: _without_text(value) for name, value in answer.items() if name != "text"}
    return [_without_text(item) for item in answer] if isinstance(answer, list) else answer


def _add_documentation(app: FastAPI) -> None:
    """Serve Swagger UI at ``/docs``, from the files that the package ``fastapi-offline`` carries.

    FastAPI's own page loads them from a content delivery network. Addresses are relative, so that the page also works
    behind a proxy that adds a path.
    """
    page = get_swagger_ui_html(
        title=app.title,
        openapi_url="openapi.json",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    body = bytes(page.body)
    # The page's one script of its own is allowed by its hash. Swagger UI sets styles, and draws its signs as data.
    (script,) = re.findall(rb"<script>(.*?)</script>", body, re.DOTALL)
    policy = (
        "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; img-src 'self' data:; "
        f"script-src 'self' '{source_hash(script)}'; style-src 'self' 'unsafe-inline'"
    )

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(body, headers={"Content-Security-Policy": policy})

    app.mount(f"/{_ASSETS}", StaticFiles(packages=[("fastapi_offline", "static")]))


class _Protocol(H11Protocol):
    """Has the application answer what is no HTTP, so that this answer too is JSON, with an id, counted and logged."""

    def send_400_response(self, msg: str) -> None:
        self.transport.pause_reading()
        if self.cycle is not None and not self.cycle.response_complete:  # by its body it is no HTTP
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.conn = type(self.conn)(self.conn.our_role)
        self.data_received(NO_HTTP.encode() + b" / HTTP/1.1\r\nHost: -\r\nConnection: close\r\n\r\n")


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.stop()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def run(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what has begun, and refuse what waits.

    Port 0 is a free one, which the log tells.
    """

    def stop(*_: object) -> None:
        raise SystemExit(0)

    log_to_stderr()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        timeout_graceful_shutdown=_STOP_WITHIN,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    # When all is answered, uvicorn raises the signal again: the caller's blocks should still end.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with suppress(KeyboardInterrupt):
            _Server(config).run()
    finally:
        signal.signal(signal.SIGTERM, before)
