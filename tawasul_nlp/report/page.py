"""Combine data, words and script into the page of a classified table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from tawasul_nlp.report.document import document, resource

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


def render(data: dict[str, Any], own_words: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> bytes:
    """Return the page as UTF-8.

    The data are in a block that browsers do not run, with every ``<`` escaped, so no text can end it; the script writes
    them as text, never as HTML. A content security policy allows this script and style and nothing else.

    Parameters
    ----------
    data : dict
    own_words : mapping of str to mapping of str to str
        By language (``ar``, ``en``), words that replace those of ``words.json``, and stand in its sentences where
        these name them in braces.

    Examples
    --------
    >>> page = render({"title": "</script><script>alert(1)</script>"})
    >>> page.count(b"<script"), b"alert(1)</script>" in page
    (2, False)
    """
    script = _script(resource(f"script/{name}.js") for name in SCRIPTS)
    words = json.loads(resource("words.json"))
    words = {language: _with_own(known, own_words.get(language, {})) for language, known in words.items()}
    block = json.dumps({**data, "words": words}, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    title = _title(data, words["ar"])
    return document(resource("page.html"), {"data": block}, title=title, style=resource("page.css"), script=script)


def _script(parts: Iterable[str]) -> str:
    """Return the parts as one function, so that none of their names is the page's."""
    return "".join(['"use strict";\n(async () => {\n', *parts, "})();\n"])


def _title(data: dict[str, Any], words: dict[str, str]) -> str:
    """Return the given title, or one with the dates and the number of cases."""
    if data.get("title"):
        return str(data["title"])
    return words["title" if data.get("first") else "titleUndated"].format_map({**data, "rows": f"{data['rows']:,}"})


def _with_own(words: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, Any]:
    """Return the words of a language with those of a country, also within sentences.

    >>> _with_own({"theBlock": "المجمع", "title": "حسب {theBlock}: {rows}"}, {"theBlock": "القطعة"})["title"]
    'حسب القطعة: {rows}'
    """
    called = {**words, **own}

    def filled(sentence: Any) -> Any:
        # Counts and dates are filled in where the page is shown; some of them are called as a word is.
        if not isinstance(sentence, str):
            return sentence
        return re.sub(r"\{(the[A-Z]\w*|\w+Column)\}", lambda place: str(called[place[1]]), sentence)

    return {key: filled(sentence) for key, sentence in called.items()}
