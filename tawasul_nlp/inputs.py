"""Validation of the classifier's inputs, once at its entry points."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np

from tawasul_nlp.errors import InvalidTextError, checked_text


def checked_texts(texts: str | Iterable[str]) -> list[str]:
    """Return the texts as a list of plain strings.

    Parameters
    ----------
    texts : str or iterable of str
        A list, a generator, a column of a data frame or an Arrow array.

    Raises
    ------
    InvalidTextError
        If an item is not a str; ``.index`` is its position.

    Examples
    --------
    >>> checked_texts("الماي مقطوع")
    ['الماي مقطوع']
    >>> checked_texts(["الماي مقطوع", None])
    Traceback (most recent call last):
    ...
    tawasul_nlp.errors.InvalidTextError: text 1 is a NoneType, expected a str; fill or drop missing texts first
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
        items = iter(texts.to_pylist() if isinstance(texts, _Arrow) else texts)
    except TypeError:
        raise InvalidTextError(f"{mismatch}; wrap it in a list") from None
    # A numpy array holds its own str subclass, which would be printed and pickled as such.
    return [str(checked_text(text, f"text {index}", index)) for index, text in enumerate(items)]


@runtime_checkable
class _Arrow(Protocol):
    def to_pylist(self) -> list[str]: ...


def distinct(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts in order of appearance, and each text's position among them: (n_texts,), int64."""
    position: dict[str, int] = {}
    rows = [position.setdefault(text, len(position)) for text in texts]
    return list(position), np.array(rows, np.int64)


def at_least_one(name: str, value: int) -> int:
    """Return an option's count if it is valid.

    Raises
    ------
    ValueError
        If it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected a whole number, at least 1")
    return int(value)
