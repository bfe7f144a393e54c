"""Self-contained HTML pages: one file, which may run and load nothing but what is in it."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from importlib.resources import files

_PAGE = """<!doctype html>
<html lang="ar" dir="rtl">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{policy}}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
{{body}}</body>
</html>
"""


def resource(name: str) -> str:
    """Return a text that stands beside this module, such as ``page.css``."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def document(body: str, parts: Mapping[str, str], *, title: str, style: str, script: str = "") -> bytes:
    """Return a page as UTF-8; a content security policy allows this style and script and nothing else.

    Parameters
    ----------
    body : str
        HTML with names in double braces, ``script`` among them if there is one.
    parts : mapping of str to str
        What takes the place of the other names; HTML, so texts in it are escaped.
    title : str
        Plain text, which ``title`` in double braces repeats.
    style, script : str

    Examples
    --------
    >>> page = document("<p>{{text}}</p>", {"text": "{{title}}"}, title="<b>", style="p { margin: 0 }")
    >>> b"<title>&lt;b&gt;</title>" in page, b"<p>{{title}}</p>" in page
    (True, True)
    """
    scripts = f"script-src '{source_hash(script.encode())}'; " if script else ""
    styles = f"style-src '{source_hash(style.encode())}'"
    policy = f"default-src 'none'; {scripts}{styles}; img-src data:; base-uri 'none'; form-action 'none'"
    own = {"policy": html.escape(policy), "title": html.escape(title), "style": style, "script": script}
    inserted = {**parts, **own}
    # In one pass: inserted text must not be taken for a placeholder.
    page = re.sub(r"\{\{(\w+)\}\}", lambda place: inserted[place[1]], _PAGE.replace("{{body}}", body))
    # A lone surrogate cannot be encoded, so it becomes its JSON escape.
    return page.encode("utf-8", "backslashreplace")


def source_hash(source: bytes) -> str:
    """Return how a content security policy names a script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source).digest()).decode()
