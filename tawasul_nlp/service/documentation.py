"""The page of the service's documentation, with nothing from another machine."""

from __future__ import annotations

import re

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from tawasul_nlp.report.document import source_hash

_ASSETS = "docs/assets"


def add_documentation(app: FastAPI) -> None:
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
