"""What the duplicates room reads: one case, given as a string, a mapping or a :class:`Case`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from tawasul_nlp.errors import InvalidTextError, checked_text


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One case for grouping.

    Attributes
    ----------
    text : str
        What the citizen wrote.
    id : str or None
        The caller's name for it; None for its position. A number becomes its digits, as everywhere here.
    created_at : datetime or None
        When it came in; without a time zone it counts as UTC. A date or an ISO 8601 string is turned into one.
    place : str or None
        An address field, read like a text ("مجمع 711"), or only the number of a block; where it names a place, the
        text's own places don't count.
    topic : str or None
        Its topic: the id or a name of one of the model's, or one of the caller's own, which agrees with its like and is
        not compared with the model's. None lets the model say, if it reads the text (without ``embedding``).
    embedding : ndarray of float32, shape (128,), or None
        Its incident vector (:meth:`DuplicateGrouper.encode`, of length 1), if it was computed before.

    Raises
    ------
    ValueError
        If ``created_at`` is no date, or ``embedding`` does not consist of finite numbers.

    Examples
    --------
    >>> Case("المجاري طافحة", id="c-1", created_at=datetime(2026, 3, 1)).created_at.isoformat()
    '2026-03-01T00:00:00+00:00'
    """

    text: str
    id: str | None = None
    created_at: datetime | None = None
    place: str | None = None
    topic: str | None = None
    embedding: np.ndarray | None = None

    def __post_init__(self) -> None:
        created_at = None if _is_empty(self.created_at) else _moment(self.created_at)
        object.__setattr__(self, "created_at", created_at)
        for name in ("id", "place", "topic"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if _is_empty(value) else _named(value))
        object.__setattr__(self, "embedding", None if _is_empty(self.embedding) else _vector(self.embedding))


_FIELDS = tuple(field.name for field in fields(Case))


def as_cases(items: Iterable[str | Mapping[str, Any] | Case]) -> list[Case]:
    """Turn strings, mappings and cases into cases.

    Mappings may hold more than the fields of :class:`Case`; the rest is left alone, so that rows of a table can be
    passed as they are. Empty strings, NaN, NaT and ``pandas.NA`` count as missing.

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
    if hasattr(type(items), "columns"):  # a table of pandas or polars would give the names of its columns
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
        given = {name: item[name] for name in _FIELDS if not _is_empty(item.get(name))}
        given["text"] = item["text"]
        try:
            case = Case(**given)
        except ValueError as error:
            raise InvalidTextError(f"case {index}: {error}", index) from error
    else:
        raise InvalidTextError(f"case {index} is a {type(item).__name__}, expected a str, a mapping or a Case", index)
    checked_text(case.text, f"the text of case {index}", index)
    return case


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN and NaT, which differ from themselves, or ``pandas.NA``."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA: whether it differs from itself is not known either
        return True


def _is_empty(value: Any) -> bool:
    """Whether a cell of a table is empty: missing or blank."""
    if isinstance(value, Sized):  # of vectors, whether they differ from themselves is no yes or no
        return isinstance(value, str) and not value.strip()
    return is_missing(value)


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:  # which quotes what may be a citizen's words
            kind = type(value).__name__
            raise ValueError(
                f"created_at is a {kind} that names no time (of the years 1 to 9999), "
                "expected a datetime or an ISO 8601 string"
            ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _named(value: Any) -> str:
    """Return a name as a str; columns of whole numbers in which some are missing hold floats."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _vector(value: Any) -> np.ndarray:
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):  # which quotes it too
        kind = type(value).__name__
        raise ValueError(f"embedding is a {kind} and no vector, expected a row of DuplicateGrouper.encode") from None
    if not np.isfinite(vector).all():
        raise ValueError("embedding holds what is no finite number, expected a row of DuplicateGrouper.encode")
    return vector
