"""Self-contained HTML pages, which may run and load nothing but what is in them, and the page of a classified table."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

# The parts of the script, which share one scope, in the order in which they run.
SCRIPTS = (
    "data",
    "state",
    "words",
    "selection",
    "growth",
    "charts",
    "map",
    "download",
    "corrections",
    "case",
    "table",
    "lists",
    "first_screen",
    "page",
)
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

    ``body`` is HTML with names in double braces, ``script`` among them if there is one; ``parts`` take the place of the
    others, as HTML, so texts in them are escaped. The title is plain text, which ``title`` in double braces repeats.

    >>> page = document("<p>{{text}}</p>", {"text": "{{title}}"}, title="<b>", style="p { margin: 0 }")
    >>> b"<title>&lt;b&gt;</title>" in page, b"<p>{{title}}</p>" in page
    (True, True)
    """
    scripts = f"script-src '{source_hash(script.encode())}'; " if script else ""
    styles = f"style-src '{source_hash(style.encode())}'"
    policy = f"default-src 'none'; {scripts}{styles}; img-src data:; base-uri 'none'; form-action 'none'"
    inserted = {**parts, "policy": html.escape(policy), "title": html.escape(title), "style": style, "script": script}
    # In one pass: inserted text must not be taken for a placeholder.
    page = re.sub(r"\{\{(\w+)\}\}", lambda place: inserted[place[1]], _PAGE.replace("{{body}}", body))
    # A lone surrogate cannot be encoded, so it becomes its JSON escape.
    return page.encode("utf-8", "backslashreplace")


def source_hash(source: bytes) -> str:
    """Return how a content security policy names a script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source).digest()).decode()


def render(data: dict[str, Any], country_words: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> bytes:
    """Return the page as UTF-8.

    The data are in a block that browsers do not run, with every ``<`` escaped, so no text can end it; the script writes
    them as text, never as HTML. By language (``ar``, ``en``), ``country_words`` replace those of ``words.json``, and
    stand in its sentences where these name them in braces.

    >>> page = render({"title": "</script><script>alert(1)</script>"})
    >>> page.count(b"<script"), b"alert(1)</script>" in page
    (2, False)
    """
    # The parts are one function, so that none of their names is the page's.
    parts = [resource(f"script/{name}.js") for name in SCRIPTS]
    script = "".join(['"use strict";\n(async () => {\n', *parts, "})();\n"])
    words = json.loads(resource("words.json"))
    words = {
        language: _in_country(of_language, country_words.get(language, {})) for language, of_language in words.items()
    }
    block = json.dumps({**data, "words": words}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    title = _title(data, words["ar"])
    return document(resource("page.html"), {"data": block}, title=title, style=resource("page.css"), script=script)


def _title(data: dict[str, Any], words: dict[str, str]) -> str:
    """Return the given title, or one with the dates and the number of cases."""
    if data.get("title"):
        return str(data["title"])
    return words["title" if data.get("first") else "titleUndated"].format_map({**data, "rows": f"{data['rows']:,}"})


def _in_country(words: Mapping[str, Any], country_words: Mapping[str, str]) -> dict[str, Any]:
    """Return the words of a language with those of a country, also within sentences.

    >>> _in_country({"theBlock": "المجمع", "title": "حسب {theBlock}: {rows}"}, {"theBlock": "القطعة"})["title"]
    'حسب القطعة: {rows}'
    """
    called = {**words, **country_words}

    def filled(sentence: Any) -> Any:
        # Counts and dates are filled in where the page is shown; some of them are called as a word is.
        if not isinstance(sentence, str):
            return sentence
        return re.sub(r"\{(the[A-Z]\w*|\w+Column)\}", lambda place: str(called[place[1]]), sentence)

    return {key: filled(sentence) for key, sentence in called.items()}
