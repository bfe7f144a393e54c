"""The input of the duplicates package: one case, as a string, a mapping or a :class:`Case`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import numpy as np

from tawasul_nlp.errors import InvalidTextError, checked_text, checked_time


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case for grouping.

    ValueError if ``created_at`` is not a date of the years 1900 to 2200, or ``embedding`` is not a vector of finite
    numbers.

    Examples
    --------
    >>> Case("المجاري طافحة", id="c-1", created_at=datetime(2026, 3, 1)).created_at.isoformat()
    '2026-03-01T00:00:00+00:00'
    """

    text: str = field(repr=False)
    # The caller's id; None for its position. A number becomes its digits.
    id: str | None = None
    # When it was received, as UTC if without a time zone. A date or an ISO 8601 string is converted.
    created_at: datetime | None = None
    # An address field, read like a text ("مجمع 711"), or only the number of a block. The finest place that it and the
    # text agree on is the case's; where they contradict each other, the text's unless it is coarser.
    place: str | None = field(default=None, repr=False)
    # The id or name of one of the model's topics, or a topic of the caller's own, which is compared only with others of
    # that kind. None takes the model's prediction, if it reads the text (without `embedding`).
    topic: str | None = None
    # Its incident vector (:meth:`DuplicateGrouper.encode`), (128,), of length 1, if already computed.
    embedding: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        created_at = None if _is_empty(self.created_at) else checked_time(self.created_at, "created_at")
        object.__setattr__(self, "created_at", created_at)
        for name in ("id", "place", "topic"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if _is_empty(value) else _named(value))
        object.__setattr__(self, "embedding", None if _is_empty(self.embedding) else _vector(self.embedding))


_FIELDS = tuple(field.name for field in fields(Case))


def as_cases(items: Iterable[str | Mapping[str, Any] | Case]) -> list[Case]:
    """Convert strings, mappings and cases to cases.

    Mappings may hold more than the fields of :class:`Case`; the rest is ignored, so rows of a table can be passed
    unchanged. Empty strings, NaN, NaT and ``pandas.NA`` count as missing.

    Raises
    ------
    InvalidTextError
        If an item is not a case; ``.index`` is its position.
    TypeError
        If ``items`` is one text, one mapping or a data frame.

    Examples
    --------
    >>> [case.id for case in as_cases(["نص", {"text": "نص آخر", "id": 7, "created_at": "2026-01-31"}])]
    [None, '7']
    """
    if isinstance(items, (str, Mapping)):
        raise TypeError(f"got one {type(items).__name__}, expected a list of cases; wrap it in a list")
    if hasattr(type(items), "columns"):  # a table of pandas or polars would yield its column names
        raise TypeError(
            f"got a {type(items).__name__}, expected a list of cases; pass its rows, df.to_dict('records'), or only "
            "its column of texts, df['text']"
        )
    return [_as_case(item, index) for index, item in enumerate(items)]


def _as_case(item: str | Mapping[str, Any] | Case, index: int) -> Case:
    if isinstance(item, Case):
        case = item
    elif isinstance(item, str):
        case = Case(item)
    elif isinstance(item, Mapping):
        if "text" not in item:
            raise InvalidTextError(f"case {index} has {', '.join(map(str, item)) or 'no keys'}, expected a text", index)
        values = {name: item[name] for name in _FIELDS if not _is_empty(item.get(name))}
        try:
            case = Case(**{**values, "text": item["text"]})
        except ValueError as error:
            raise InvalidTextError(f"case {index}: {error}", index) from error
    else:
        raise InvalidTextError(f"case {index} is a {type(item).__name__}, expected a str, a mapping or a Case", index)
    checked_text(case.text, f"the text of case {index}", index)
    return case


def is_missing(value: Any) -> bool:
    """Return whether a value is missing: None, NaN and NaT, which differ from themselves, or ``pandas.NA``."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA: comparing it with itself gives NA
        return True


def _is_empty(value: Any) -> bool:
    """Return whether a cell of a table is missing or blank."""
    if isinstance(value, Sized):  # comparing vectors gives no single truth value
        return isinstance(value, str) and not value.strip()
    return is_missing(value)


def _named(value: Any) -> str:
    """Return an id as a str; columns of whole numbers with missing values hold floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _vector(value: Any) -> np.ndarray:
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):  # whose message may quote it too
        kind = type(value).__name__
        raise ValueError(f"embedding is a {kind}, not a vector; expected a row of DuplicateGrouper.encode") from None
    if not np.isfinite(vector).all():
        raise ValueError("embedding holds a number that is not finite; expected a row of DuplicateGrouper.encode")
    return vector
