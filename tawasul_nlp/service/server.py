"""Run the application until it is told to stop."""

from __future__ import annotations

import signal
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from tawasul_nlp.service.middleware import log_to_stderr

# Seconds that requests have to end in after a signal to stop.
_STOP_WITHIN = 30


def run(app: FastAPI, host: str, port: int, max_connections: int) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what was asked before.

    Port 0 is a free one, which the log tells. The connections at once bound the bodies in memory; more get 503.
    """

    def stop(*_: object) -> None:
        raise SystemExit(0)

    log_to_stderr()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        limit_concurrency=max_connections,
        timeout_graceful_shutdown=_STOP_WITHIN,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    # When all is answered, uvicorn raises the signal again: the caller's blocks should still end.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run()
    finally:
        signal.signal(signal.SIGTERM, before)
