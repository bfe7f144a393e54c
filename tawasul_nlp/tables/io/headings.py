"""Recognise the columns of a table by the headings that offices usually give them, in Arabic and English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

from tawasul_nlp.domain.words import fold_phrase

Role = Literal["text", "id", "date", "place", "routed"]


def recognised(role: Role, columns: Iterable[str]) -> str | None:
    """Return the column whose heading is the likeliest for a role; None if none is usual.

    Spelling is folded; blanks, underscores and signs do not count.

    >>> recognised("date", ["رقم الشكوي", "تاريخ الأستلام "]), recognised("id", ["Case_ID", "text"])
    ('تاريخ الأستلام ', 'Case_ID')
    """
    by_heading = {_folded(column): column for column in reversed(list(columns))}
    return next((by_heading[heading] for heading in _usual()[role] if heading in by_heading), None)


def chosen(role: Role, name: str | None, columns: Iterable[str]) -> str | None:
    """Return the column that a caller names, none for an empty name, or else the one recognised."""
    return recognised(role, columns) if name is None else name or None


def recognised_note(found: Mapping[Role, str | None]) -> tuple[str, ...]:
    """Return what the user should know of columns that were recognised; nothing if there are none.

    >>> recognised_note({"date": "التاريخ", "place": None})
    ("columns known by their headings: date 'التاريخ' (--date-column names another, and '' none)",)
    """
    columns = {role: column for role, column in found.items() if column is not None}
    if not columns:
        return ()
    known = ", ".join(f"{role} {column!r}" for role, column in columns.items())
    return (f"columns known by their headings: {known} (--{next(iter(columns))}-column names another, and '' none)",)


@cache
def _usual() -> dict[Role, list[tuple[str, ...]]]:
    roles = yaml.safe_load(files(__package__).joinpath("headings.yaml").read_text(encoding="utf-8"))
    return {role: [_folded(heading) for heading in headings] for role, headings in roles.items()}


def _folded(heading: str) -> tuple[str, ...]:
    return fold_phrase(heading.replace("_", " ").casefold())
