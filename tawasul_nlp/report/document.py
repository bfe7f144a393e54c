"""Self-contained HTML pages: one file, which may run and load nothing but what is in it."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from importlib.resources import files


def resource(name: str) -> str:
    """Return a text that stands beside this module, such as ``page.css``."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def document(template: str, parts: Mapping[str, str], *, style: str, script: str = "") -> bytes:
    """Return a page as UTF-8; a content security policy allows this style and script and nothing else.

    Parameters
    ----------
    template : str
        HTML with names in double braces, ``policy`` and ``style`` among them, and ``script`` if there is one.
    parts : mapping of str to str
        What takes the place of the other names; HTML, so texts in it are escaped.
    style, script : str

    Examples
    --------
    >>> document("<title>{{title}}</title>", {"title": "{{style}}"}, style="p { margin: 0 }")
    b'<title>{{style}}</title>'
    """
    scripts = f"script-src '{_hash(script)}'; " if script else ""
    policy = (
        f"default-src 'none'; {scripts}style-src '{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    inserted = {**parts, "policy": html.escape(policy, quote=True), "style": style, "script": script}
    # In one pass: inserted text must not be taken for a placeholder.
    page = re.sub(r"\{\{(\w+)\}\}", lambda place: inserted[place[1]], template)
    # A lone surrogate cannot be encoded, so it becomes its JSON escape.
    return page.encode("utf-8", "backslashreplace")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
