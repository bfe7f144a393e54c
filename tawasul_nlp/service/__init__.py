"""The classifier and an index of incidents over HTTP (extra ``service``)."""

from __future__ import annotations

from tawasul_nlp.extras import require

require("service", "serving over HTTP", "fastapi", "fastapi_offline", "prometheus_client", "uvicorn")

from tawasul_nlp.service.application import Limits, create_app
from tawasul_nlp.service.middleware import bearer_tokens

__all__ = ["Limits", "bearer_tokens", "create_app"]
