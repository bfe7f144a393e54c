"""The classifier and an index of incidents over HTTP (extra ``service``)."""

from __future__ import annotations

from tawasul_nlp.extras import require

require("service", "serving over HTTP", "fastapi", "fastapi_offline", "prometheus_client", "uvicorn")

from tawasul_nlp.service.application import create_app
from tawasul_nlp.service.middleware import BearerTokens
from tawasul_nlp.service.waiting import Limits

__all__ = ["BearerTokens", "Limits", "create_app"]
