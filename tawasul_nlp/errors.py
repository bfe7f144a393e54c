"""The library's named errors, each a :class:`TawasulError` and a built-in exception, and checks that raise them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from typing import Any


class TawasulError(Exception):
    """Base class of the library's errors."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickling would pass an error that builds its own message that message as its argument.
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(kind: type[TawasulError], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> TawasulError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(attributes)
    return error


class MissingExtraError(TawasulError, ImportError):
    """A feature needs an extra that is not installed: ``extra``, its name in ``pip install 'tawasul-nlp[NAME]'``."""

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class ModelFormatError(TawasulError, ValueError):
    """A model folder is damaged, incomplete, of a newer format, or not a model folder at all."""


class InvalidTextError(TawasulError, TypeError, ValueError):
    """An input is not text; ``index`` is its position in the list that was passed (0 for a single input)."""

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class DifferentDataError(TawasulError, ValueError):
    """Two evaluations cover different rows, so their difference would be meaningless."""


class IndexFormatError(TawasulError, ValueError):
    """An index folder is damaged, of a newer format, made with another model, or not an index at all."""


class IndexDamagedError(IndexFormatError):
    """A file of an index is not as it was written."""


class IndexLockedError(TawasulError, RuntimeError):
    """Another process has the index open."""


class IndexDiskError(OSError, TawasulError):  # in this order pickling keeps OSError's fields, such as errno
    """An index could not be read or written: the disk is full, fails, or is read-only."""


class BackboneError(TawasulError, ValueError):
    """The encoder to start training from is unavailable; the message says what to do."""


def checked_text(text: object, name: str = "text", index: int = 0) -> str:
    """Return one text.

    Raises InvalidTextError if it is not a str. The message gives its type, not its content, which may be a citizen's.
    """
    if isinstance(text, str):
        return text
    kind = type(text).__name__
    if text is None or isinstance(text, float) or kind in ("NAType", "NaTType"):
        advice = "fill or drop missing texts first"
    elif isinstance(text, bytes | bytearray | memoryview):
        advice = "decode it first"
    elif isinstance(text, list | tuple):
        advice = "pass one text at a time"
    else:
        advice = "convert it first"
    raise InvalidTextError(f"{name} is a {kind}, expected a str; {advice}", index)


def checked_texts(texts: str | Iterable[str]) -> list[str]:
    """Return texts (a list, a generator, a column of a data frame, an Arrow array) as a list of plain strings.

    Raises InvalidTextError if an item is not a str; ``.index`` is its position.
    """
    if isinstance(texts, str):
        return [str(texts)]
    kind = type(texts).__name__
    mismatch = f"expected a str or an iterable of str, got a {kind}"
    if hasattr(type(texts), "columns"):  # a table of pandas, polars or Arrow would yield its columns
        raise InvalidTextError(f"{mismatch}; pass its column of texts, df['text']")
    if isinstance(texts, set | frozenset):
        raise InvalidTextError(f"{mismatch}, which has no order; pass a list")
    if isinstance(texts, bytes | bytearray | memoryview):
        raise InvalidTextError(f"{mismatch}; decode it first")
    try:
        if isinstance(texts, dict):
            raise TypeError("iterable, but not over texts")
        # An Arrow array, chunked or not, yields its own scalars instead of strings.
        items = iter(texts.to_pylist() if hasattr(texts, "to_pylist") else texts)
    except TypeError:
        raise InvalidTextError(f"{mismatch}; wrap it in a list") from None
    # A numpy array holds its own str subclass, which would be printed and pickled as such.
    return [str(checked_text(text, f"text {index}", index)) for index, text in enumerate(items)]


FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Dates outside these years are mistakes, or stand for an empty one: some systems write 0001-01-01 or 9999-12-31."""


def checked_time(value: object, name: str = "the date") -> datetime:
    """Return a datetime, a date or an ISO 8601 text as a datetime, in UTC if it names no time zone.

    Raises ValueError if it is none, or none of the years 1900 to 2200. The message gives its type, not its content.
    """
    moment = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime.combine(value, time())
    elif not isinstance(value, numbers.Number):
        text = str(value).strip()
        if not text.isdecimal() or len(text) == 8:  # of seconds or milliseconds Python takes the first digits for a day
            with suppress(ValueError):
                moment = datetime.fromisoformat(text)
    if moment is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(
            f"{name} is a {type(value).__name__} that is no time of the years {FIRST_YEAR} to {LAST_YEAR}, "
            "expected a datetime or an ISO 8601 text such as 2026-03-01T08:30:00+03:00"
        )
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def at_least_one(name: str, value: int) -> int:
    """Return an option's count if it is valid.

    Raises ValueError if it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected a whole number, at least 1")
    return int(value)
