"""What people read of a classified table in Arabic, beside the columns that programs read.

A workbook shows headings and names in place of ids, which stay in hidden columns: every command reads those. What is
shown is computed anew whenever a workbook is written, so that it never contradicts them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

import yaml

from tawasul_nlp.domain import Domain
from tawasul_nlp.domain.taxonomy import Topic
from tawasul_nlp.tables.added_columns import ADDED_COLUMNS, FALLBACK_PREFIX, GROUP_COLUMNS
from tawasul_nlp.tables.io.cells import to_cell

_ARABIC = re.compile("[\u0621-\u064a]")


def is_arabic(headings: Sequence[str]) -> bool:
    """Whether a table's own headings have Arabic letters.

    >>> is_arabic(["رقم الشكوى", "text"]), is_arabic(["id", "text"])
    (True, False)
    """
    return any(map(_ARABIC.search, headings))


class ArabicView:
    """The columns of a table as people read them.

    Parameters
    ----------
    columns : sequence of str
        All of the table, those that programs read among them, with or without the usual prefix.
    domain : Domain
        With the names of labels and places.

    Examples
    --------
    >>> view = ArabicView(["النص", "kind", "needs_review", "kind_probability"], Domain.bundled())
    >>> view.columns, len(view.hidden)
    (['النص', 'نوع الحالة', 'تحتاج إلى مراجعة', 'kind', 'needs_review', 'kind_probability'], 3)
    >>> view.values({"النص": "شكرا", "kind": "praise", "needs_review": False, "kind_probability": 0.9})[:3]
    ['شكرا', 'شكر وثناء', 'لا']
    """

    def __init__(self, columns: Sequence[str], domain: Domain) -> None:
        headings = _headings()
        plain = {name.removeprefix(FALLBACK_PREFIX): name for name in columns}
        self._shown = {headings[name]: (plain[name], _reading(name, domain)) for name in headings if name in plain}
        self._own = [name for name in columns if name not in headings.values() and not _is_read(name)]
        self.hidden = [name for name in columns if _is_read(name)]
        self.columns = [*self._own, *self._shown, *self.hidden]

    def values(self, record: Mapping[str, Any]) -> list[Any]:
        """Return a row's values, in the order of the columns."""
        own, hidden = ([record.get(name) for name in names] for names in (self._own, self.hidden))
        return [*own, *(reading(record.get(name)) for name, reading in self._shown.values()), *hidden]


def _is_read(column: str) -> bool:
    return column.removeprefix(FALLBACK_PREFIX) in {**ADDED_COLUMNS, **GROUP_COLUMNS}


def _reading(column: str, domain: Domain) -> Callable[[Any], Any]:
    """Return what turns a cell that programs read into what people read; both are empty together."""
    labels = domain.taxonomy.labels_of(column)
    regions = domain.gazetteer.governorates if column == "governorate" else {}
    arabic = {id: entry.name_ar for id, entry in {**labels, **regions}.items()} | (
        {id: words[0] for id, words in _reasons().items()} if column in ("review_reasons", "doubts") else {}
    )
    if column == "needs_review":
        return lambda value: {"true": "نعم", "false": "لا"}.get(to_cell(value).casefold())
    if column == "issues":
        return partial(_issues, domain.taxonomy.topics)
    if arabic:
        return lambda value: "، ".join(arabic.get(part, part) for part in to_cell(value).split("; "))
    return lambda value: value


def _issues(topics: Mapping[str, Topic], value: Any) -> str:
    """Return the matters of a case that has several, in words."""
    ids = [str(issue["topic"]) for issue in json.loads(to_cell(value) or "[]")]
    return "؛ ".join(topics[id].name_ar if id in topics else id for id in ids) if len(ids) > 1 else ""


@cache
def _headings() -> dict[str, str]:
    headings: dict[str, str] = yaml.safe_load(files(__package__).joinpath("arabic.yaml").read_text(encoding="utf-8"))
    return headings


@cache
def _reasons() -> dict[str, list[str]]:
    words = json.loads(files("tawasul_nlp.report").joinpath("words.json").read_text(encoding="utf-8"))
    reasons: dict[str, list[str]] = words["reasons"]
    return reasons
