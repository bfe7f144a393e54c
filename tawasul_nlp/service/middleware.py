"""What surrounds every request: its id, its line in the log, the counters, and what is refused before it is read.

The log has a line of JSON for everything that happens, and nothing of what a citizen wrote.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tawasul_nlp import Prediction
from tawasul_nlp._system import logger
from tawasul_nlp._yaml import DataError
from tawasul_nlp.service.waiting import Limits, overloaded

# The id of the request that is being answered.
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
# What a client may name its request: it goes into the log.
_GIVEN_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
# An answer is nothing to run, to show in another page's frame, or to keep.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
# The method of what is no HTTP.
NO_HTTP = "INVALID"
# What machines ask all day long.
_PROBES = ("/live", "/ready", "/metrics")
# A token that can be guessed is none; `secrets.token_urlsafe()` gives 43 characters.
_SHORTEST = 20
_ADVICE = "make one with: python -c 'import secrets; print(secrets.token_urlsafe())'"
# What a token allows; each role may do what those before it may.
_ROLES = ("read", "decide", "remove")
Authenticate = Callable[[Request], Awaitable[str]]
"""Returns the name of the client that sent a request, whose body is not read yet, or raises ``HTTPException``."""
# Whether the process is well is nobody's secret, and must be answered when nothing else is.
_OPEN_TO_ALL = ("/live", "/ready")
_DOCUMENTATION = ("/docs", "/openapi.json")
_PORT = re.compile(r":\d*$")


class JsonLines(logging.Formatter):
    """Formats a record as a line of JSON.

    Of an exception it gives the kind and where it was raised, since a message may quote what was read.
    ``extra={"facts": {...}}`` adds fields.

    Examples
    --------
    >>> record = logging.makeLogRecord({"name": "tawasul_nlp", "levelname": "INFO", "msg": "ready", "created": 0.0})
    >>> JsonLines().format(record)
    '{"time": "1970-01-01T00:00:00.000+00:00", "level": "info", "logger": "tawasul_nlp", "message": "ready"}'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := REQUEST_ID.get()) is not None:
            line["request_id"] = request_id
        line |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["raised_at"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr() -> None:
    """Write the whole process's log to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)


class Counters:
    """What ``GET /metrics`` answers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("tawasul_requests", "Requests", ["path", "status"], **options)
        self.seconds = Histogram("tawasul_request_seconds", "Time to answer", ["path"], **options)
        self.texts = Counter("tawasul_texts", "Texts classified", **options)
        self.review = Counter("tawasul_texts_for_review", "Texts that an officer should look at", **options)
        self.emergencies = Counter("tawasul_emergencies", "Texts that report danger to life or limb", **options)
        self.waiting = Gauge("tawasul_waiting", "What waits or is served", ["for"], **options)
        self.cases = Gauge("tawasul_index_cases", "Cases in the index", **options)
        self.incidents = Gauge("tawasul_index_incidents", "Incidents in the index", ["state"], **options)
        self.bytes = Gauge("tawasul_index_bytes", "Size of the index on disk", **options)
        buckets = (1, 2, 4, 8, 16, 32, 64, 128)
        self.batch = Histogram("tawasul_batch_texts", "Texts read together", buckets=buckets, **options)

    def watch(self, name: str, count: Callable[[], float]) -> None:
        """Show how much waits for something, as it is when it is asked for."""
        self.waiting.labels(name).set_function(count)

    def measure(self, stats: Mapping[str, Any]) -> None:
        """Show how large the index is."""
        self.cases.set(stats["cases"])
        self.incidents.labels("open").set(stats["incidents"] - stats["closed"])
        self.incidents.labels("closed").set(stats["closed"])
        self.bytes.set(stats["bytes"])

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count what was classified."""
        self.texts.inc(len(predictions))
        self.review.inc(sum(prediction.needs_review for prediction in predictions))
        self.emergencies.inc(sum("emergency" in prediction.reasons for prediction in predictions))


class Observed:
    """Gives each request an id, counts and logs it, and answers 500 to an error that nobody expected."""

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self.app = app
        self.counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get("x-request-id", "")
        request_id = sent_id if _GIVEN_ID.fullmatch(sent_id) else uuid.uuid4().hex
        REQUEST_ID.set(request_id)
        status = 0
        began = time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except (Exception, asyncio.CancelledError):  # which ends what is not answered in time when the service stops
            logger.exception("a request failed")
            if not status:
                detail = "an error that was not expected; the log has it under this request's X-Request-ID"
                await JSONResponse({"detail": detail}, 500)(scope, receive, send_named)
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Never the address as asked: anybody could fill the registry, or the log.
        path = getattr(scope.get("route"), "path", "other")
        self.counters.requests.labels(path, status).inc()
        self.counters.seconds.labels(path).observe(seconds)
        facts = {"method": scope["method"], "path": path, "status": status, "ms": round(1e3 * seconds, 1)}
        if client := scope.get("state", {}).get("client"):
            facts["client"] = client
        logger.log(logging.DEBUG if path in _PROBES else logging.INFO, "answered", extra={"facts": facts})


class Gate:
    """Refuses a request before its body is read: for its host, its client, its length, or the number beside it."""

    def __init__(self, app: ASGIApp, limits: Limits, authenticate: Authenticate | None, hosts: Sequence[str]) -> None:
        self.app = app
        self.limits = limits
        self.authenticate = authenticate
        self.hosts = hosts
        self.pending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer why it is refused, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in _OPEN_TO_ALL:
            await self.app(scope, receive, send)
            return
        try:
            await self._check(Request(scope))
        except HTTPException as refusal:
            await JSONResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)(scope, receive, send)
            return
        self.pending += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.pending -= 1

    async def _check(self, request: Request) -> None:
        if request.method == NO_HTTP:
            raise HTTPException(400, "what was sent is no HTTP/1.1 request")
        host = _PORT.sub("", request.headers.get("host", "")).lower()
        if self.hosts and host not in self.hosts:
            raise HTTPException(421, "the service does not answer for this Host; start it with --allowed-host NAME")
        is_documentation = request.url.path.startswith(_DOCUMENTATION)
        if self.authenticate is not None and not is_documentation:
            request.state.client = await self.authenticate(request)
        if self.pending >= self.limits.max_requests:
            raise overloaded(f"{self.limits.max_requests} requests are being answered")
        if request.method in ("POST", "PUT", "PATCH"):
            self._check_length(request.headers)

    def _check_length(self, headers: Headers) -> None:
        length, most = headers.get("content-length", ""), self.limits.max_body
        # With a transfer coding the body ends where that says, whatever its length was said to be (RFC 9112, 6.3).
        if not length.isdecimal() or "transfer-encoding" in headers:
            raise HTTPException(411, "send a Content-Length and no Transfer-Encoding")
        if int(length) > most:
            raise HTTPException(413, f"the body has {int(length)} bytes, at most {most} are read; send fewer texts")


class BearerTokens:
    """Knows clients by the tokens of a file; for ``create_app``.

    Parameters
    ----------
    path : str or Path
        A line for each client: its name, which the log and the history of incidents give, its token, and its role.
        ``read`` may classify and ask, ``decide`` may also add cases and decide about incidents, ``remove`` may all.
        Blank lines and those that begin with ``#`` are ignored. The file is read once.

    Raises
    ------
    DataError
        If a line is none of these, a token is shorter than 20 characters, or stands in two lines.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tokens"
    ...     _ = path.write_text("portal short read")
    ...     BearerTokens(path)
    Traceback (most recent call last):
    ...
    tawasul_nlp._yaml.DataError: ...tokens:1: the token has 5 characters, expected at least 20; make one with: ...
    """

    def __init__(self, path: str | Path) -> None:
        self._clients: dict[bytes, tuple[str, int]] = {}
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) != 3 or words[2] not in _ROLES:
                raise DataError(
                    f"{path}:{number}: has {len(words)} words, expected a client's name, its token, and one of "
                    f"{', '.join(_ROLES)}"
                )
            name, token, role = words
            if len(token) < _SHORTEST:
                raise DataError(
                    f"{path}:{number}: the token has {len(token)} characters, expected at least {_SHORTEST}; {_ADVICE}"
                )
            if _digest(token) in self._clients:
                raise DataError(f"{path}:{number}: a line above has this token; give each client its own")
            self._clients[_digest(token)] = name, _ROLES.index(role)
        if not self._clients:
            raise DataError(f"{path}:1: names no client, expected a line for each: its name, its token and its role")

    async def __call__(self, request: Request) -> str:
        """Return the client's name, or answer 401, or 403 if its role does not allow what it asks."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        # Looked up by its hash: the time that this takes says nothing about the tokens.
        client = self._clients.get(_digest(token.strip())) if scheme.lower() == "bearer" else None
        if client is None:
            raise HTTPException(401, "send a known token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})
        name, role = client
        path = request.url.path
        is_reading = request.method == "GET" or path in ("/predict", "/incidents/query")
        needed = "read" if is_reading else "remove" if path == "/incidents/remove" else "decide"
        if role < _ROLES.index(needed):
            raise HTTPException(403, f"the role of this token is {_ROLES[role]}, expected {needed}")
        return name


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
