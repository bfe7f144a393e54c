"""What is passed to the classifier, checked once at its door."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np

from tawasul_nlp.errors import InvalidTextError


def checked_texts(texts: str | Sequence[str]) -> list[str]:
    """Return the texts as a list of plain strings.

    Parameters
    ----------
    texts : str or sequence of str
        A generator or a column of a data frame serves as well.

    Raises
    ------
    InvalidTextError
        If something is not a str; ``.index`` is its position.

    Examples
    --------
    >>> checked_texts("الماي مقطوع")
    ['الماي مقطوع']
    >>> checked_texts(["الماي مقطوع", None])
    Traceback (most recent call last):
    ...
    tawasul_nlp.errors.InvalidTextError: text 1 is None (NoneType), expected str; fill or drop missing texts first
    """
    if isinstance(texts, str):
        return [str(texts)]
    wanted = "expected a str or a sequence of str"
    if hasattr(type(texts), "columns"):  # a table of pandas or polars would give the names of its columns
        kind = type(texts).__name__
        raise InvalidTextError(f"{wanted}, got a {kind}; pass its column of texts, df['text']", 0)
    if isinstance(texts, set | frozenset):
        raise InvalidTextError(f"{wanted}, got a {type(texts).__name__}, which has no order; pass a list", 0)
    try:
        if isinstance(texts, bytes | dict):
            raise TypeError("iterable, but not over texts")
        listed = list(texts)
    except TypeError:
        raise InvalidTextError(f"{wanted}, got {type(texts).__name__}; decode or wrap it", 0) from None
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            missing = text is None or isinstance(text, float) or type(text).__name__ in ("NAType", "NaTType")
            advice = "fill or drop missing texts first" if missing else "convert it first"
            raise InvalidTextError(
                f"text {index} is {text!r:.80} ({type(text).__name__}), expected str; {advice}", index
            )
    # A numpy array holds strings of a class of its own, which would be printed and pickled as such.
    return [text if type(text) is str else str(text) for text in listed]


def distinct(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """Return the different texts in order of appearance, and which of them each text is: (n_texts,), int64."""
    position: dict[str, int] = {}
    rows = [position.setdefault(text, len(position)) for text in texts]
    return list(position), np.array(rows, np.int64)


def at_least_one(name: str, value: int) -> int:
    """Return a count that an option gives.

    Raises
    ------
    ValueError
        If it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} is {value!r}, expected a whole number, at least 1")
    return int(value)
