"""A small HTTP service around the classifier and an index of open incidents: an example to start from.

Run it with ``uvicorn --factory tawasul_nlp.service.application:create_app``. ``docs/service.md`` lists what it answers
and the environment variables that :class:`Settings` reads.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from tawasul_nlp.extras import require

require("service", "the service", "fastapi", "prometheus_client", "pydantic", "starlette")

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from tawasul_nlp import ComplaintClassifier, DuplicateGrouper, DuplicateIndex, Prediction
from tawasul_nlp.duplicates import Match

MAX_TEXTS = 64
MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs.

    Attributes
    ----------
    model : str or None
        Model folder or Hub id (``TAWASUL_MODEL``); None for the bundled model.
    index : str or None
        Folder of the open incidents (``TAWASUL_INDEX``); None for a service without them.
    threads : int or None
        CPU threads for one reading (``TAWASUL_THREADS``); None for as many as the process may use cores.
    batch_texts : int
        Texts of waiting requests that are read together (``TAWASUL_BATCH_TEXTS``); 1 reads every request by itself.
    max_waiting : int
        Texts that may wait for the model, and for the index, before new requests are refused with 503
        (``TAWASUL_MAX_WAITING``).
    max_body : int
        Bytes of a request's body (``TAWASUL_MAX_BODY``).
    """

    model: str | None = None
    index: str | None = None
    threads: int | None = None
    batch_texts: int = 64
    max_waiting: int = 1_024
    max_body: int = 1_000_000

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment variables."""

        default = cls()

        def number(name: str, otherwise: int) -> int:
            value = os.environ.get(name, str(otherwise))
            if not value.isdecimal() or int(value) < 1:
                raise ValueError(f"{name} is {value!r}, expected a whole number from 1")
            return int(value)

        return cls(
            model=os.environ.get("TAWASUL_MODEL"),
            index=os.environ.get("TAWASUL_INDEX"),
            threads=number("TAWASUL_THREADS", 1) if os.environ.get("TAWASUL_THREADS") else None,
            batch_texts=number("TAWASUL_BATCH_TEXTS", default.batch_texts),
            max_waiting=number("TAWASUL_MAX_WAITING", default.max_waiting),
            max_body=number("TAWASUL_MAX_BODY", default.max_body),
        )


Text = Annotated[str, Field(max_length=MAX_CHARS)]


class Cases(BaseModel):
    """The body of ``POST /predict``."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]


class Question(BaseModel):
    """The body of ``POST /incidents/query``."""

    text: Text
    k: Annotated[int, Field(ge=1, le=20)] = 5


class Overloaded(Exception):
    """More texts are waiting than the service promises to read."""


class Batcher:
    """Reads together what is waiting when the model becomes free.

    A request that comes alone is read at once: nothing ever waits for others to come. While the model is busy,
    requests gather, and the next reading takes of them until it has ``most`` texts.
    """

    def __init__(self, predict: Callable[[list[str]], list[Prediction]], most: int, max_waiting: int) -> None:
        self._predict = predict
        self._most = most
        self._max_waiting = max_waiting
        self._count = 0
        self._waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Prediction]]]] = asyncio.Queue()
        self.sizes: Callable[[int], None] = lambda size: None

    async def predict(self, texts: list[str]) -> list[Prediction]:
        """Return one prediction for each text.

        Raises
        ------
        Overloaded
            If too many texts are waiting already.
        """
        if self._count + len(texts) > self._max_waiting:
            raise Overloaded
        future: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        self._count += len(texts)
        self._waiting.put_nowait((texts, future))
        try:
            return await future
        finally:
            self._count -= len(texts)

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            requests = [await self._waiting.get()]
            size = len(requests[0][0])
            while not self._waiting.empty() and size < self._most:
                requests.append(self._waiting.get_nowait())
                size += len(requests[-1][0])
            # Who hung up meanwhile needs no answer.
            requests = [(texts, future) for texts, future in requests if not future.cancelled()]
            together = [text for texts, _ in requests for text in texts]
            self.sizes(len(together))
            try:
                answers = await asyncio.to_thread(self._predict, together)
            except Exception as error:  # every waiting request must hear of it, whatever it is
                for _, future in requests:
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            for texts, future in requests:
                own, answers = answers[: len(texts)], answers[len(texts) :]
                if not future.cancelled():
                    future.set_result(own)


class Turns:
    """Asks the index one question after another, in a thread of its own.

    It answers one at a time anyway. Questions that wait for it in the threads that all requests share would leave none
    for the model.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._count = 0
        self._thread = ThreadPoolExecutor(1)

    async def take(self, ask: Callable[[], list[Match]]) -> list[Match]:
        """Return what the index answers.

        Raises
        ------
        Overloaded
            If too many questions are waiting already.
        """
        if self._count >= self._max_waiting:
            raise Overloaded
        self._count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
        finally:
            self._count -= 1

    def close(self) -> None:
        """Wait for the question that is being answered, and drop the others."""
        self._thread.shutdown(cancel_futures=True)


class BodyLimit:
    """Refuses requests whose body is too long, or does not say how long it is, before it is read."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 411 or 413, or pass the request on."""
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH"):
            headers = dict(scope["headers"])
            length = headers.get(b"content-length", b"")
            # With a transfer coding the body ends where that says, whatever its length was said to be (RFC 9112, 6.3).
            if not length.isdigit() or b"transfer-encoding" in headers:
                await _json(411, {"detail": "send a Content-Length and no Transfer-Encoding"})(scope, receive, send)
                return
            if int(length) > self.most:
                detail = f"the body has {int(length)} bytes, at most {self.most} are read; send fewer texts at once"
                await _json(413, {"detail": detail})(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Metrics:
    """What ``GET /metrics`` tells Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("tawasul_requests", "Requests", ["path", "status"], **options)
        self.seconds = Histogram("tawasul_request_seconds", "Time to answer", ["path"], **options)
        self.texts = Counter("tawasul_texts", "Texts classified", **options)
        self.review = Counter("tawasul_texts_for_review", "Texts that an officer should look at", **options)
        self.emergencies = Counter("tawasul_emergencies", "Texts that report danger to life or limb", **options)
        buckets = (1, 2, 4, 8, 16, 32, 64, 128)
        self.batch = Histogram("tawasul_batch_texts", "Texts read together", buckets=buckets, **options)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the service; with no settings, by the environment variables."""
    chosen = settings or Settings.from_environment()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        classifier = ComplaintClassifier.from_pretrained(chosen.model, threads=chosen.threads)
        classifier.predict("نص")  # the first call builds what the others reuse
        app.state.classifier = classifier
        app.state.batcher = Batcher(classifier.predict, chosen.batch_texts, chosen.max_waiting)
        app.state.batcher.sizes = metrics.batch.observe
        app.state.index, app.state.open_cases = None, None
        app.state.turns = Turns(chosen.max_waiting)
        if chosen.index is not None:
            app.state.index = DuplicateIndex.open(chosen.index, DuplicateGrouper(classifier), create=False)
            # Once: the service adds no case, and nobody else can while it has the index open.
            app.state.open_cases = len(app.state.index)
        batching = asyncio.create_task(app.state.batcher.run())
        yield
        batching.cancel()
        app.state.turns.close()
        if app.state.index is not None:
            app.state.index.close()

    app = FastAPI(title="tawasul-nlp", lifespan=lifespan)
    app.add_middleware(BodyLimit, most=chosen.max_body)

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Any]) -> Response:
        began = time.perf_counter()
        status = 500  # what is answered to an error that nobody here expects
        try:
            response: Response = await call_next(request)
            status = response.status_code
        finally:
            route = request.scope.get("route")
            path = getattr(route, "path", "other")  # never the address as asked: anybody could fill the registry
            metrics.requests.labels(path, status).inc()
            metrics.seconds.labels(path).observe(time.perf_counter() - began)
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # Without the input: a citizen's text does not belong into error logs, and may not even be encodable.
        problems = [{"where": list(one["loc"]), "what": one["msg"]} for one in error.errors()]
        return _json(422, {"detail": problems})

    @app.exception_handler(Overloaded)
    async def overloaded(request: Request, error: Overloaded) -> Response:
        response = _json(503, {"detail": f"more than {chosen.max_waiting} texts are waiting; try again"})
        response.headers["Retry-After"] = "1"
        return response

    @app.get("/health")
    async def health(request: Request) -> dict[str, Any]:
        state = request.app.state
        return {"status": "ok", "model": state.classifier.config.model_hash, "open_cases": state.open_cases}

    @app.post("/predict")
    async def predict(request: Request, cases: Cases) -> Response:
        predictions = await request.app.state.batcher.predict(cases.texts)
        metrics.texts.inc(len(predictions))
        metrics.review.inc(sum(prediction.needs_review for prediction in predictions))
        metrics.emergencies.inc(sum("emergency" in prediction.reasons for prediction in predictions))
        return _json(200, {"predictions": [_without_text(prediction.to_dict()) for prediction in predictions]})

    @app.post("/incidents/query")
    async def query(request: Request, question: Question) -> Response:
        index = request.app.state.index
        if index is None:
            raise HTTPException(404, "this service has no index of incidents; start it with TAWASUL_INDEX=FOLDER")
        matches = await request.app.state.turns.take(lambda: index.query(question.text, question.k))
        return _json(200, {"incidents": [_without_text(asdict(match)) for match in matches]})

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _without_text(answer: Any) -> Any:
    """Return an answer without texts and quotes: the client has its own, and an incident's is another citizen's."""
    if isinstance(answer, dict):
        return {name: _without_text(value) for name, value in answer.items() if name != "text"}
    return [_without_text(item) for item in answer] if isinstance(answer, list) else answer


def _json(status: int, content: dict[str, Any]) -> Response:
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, status, media_type="application/json")
