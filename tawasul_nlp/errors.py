"""The library's named errors; each is a :class:`TawasulError` and a built-in exception."""

from __future__ import annotations

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
    """A feature needs an extra of the package that is not installed.

    Attributes
    ----------
    extra : str
        Its name in ``pip install 'tawasul-nlp[NAME]'``.
    """

    def __init__(self, message: str, extra: str) -> None:
        super().__init__(message)
        self.extra = extra


class ModelFormatError(TawasulError, ValueError):
    """A model folder is damaged, incomplete, of a newer format, or not a model folder at all."""


class InvalidTextError(TawasulError, TypeError, ValueError):
    """An input is not text.

    Attributes
    ----------
    index : int
        Position of the offending input in the list that was passed (0 for a single input).
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


class DifferentDataError(TawasulError, ValueError):
    """Two evaluations cover different rows, so their difference would be meaningless."""


class IndexFormatError(TawasulError, ValueError):
    """An index folder is damaged, of a newer format, made with another model, or not an index at all."""


class IndexLockedError(TawasulError, RuntimeError):
    """Another process has the index open."""


class IndexDiskError(OSError, TawasulError):  # in this order pickling keeps OSError's fields, such as errno
    """An index could not be read or written: the disk is full, fails, or is read-only."""


def checked_text(text: object, name: str = "text", index: int = 0) -> str:
    """Return one text.

    Raises
    ------
    InvalidTextError
        If it is not a str. The message gives its type, not its content, which may be a citizen's.

    Examples
    --------
    >>> checked_text(b"abc")
    Traceback (most recent call last):
    ...
    tawasul_nlp.errors.InvalidTextError: text is a bytes, expected a str; decode it first
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


class BackboneError(TawasulError, ValueError):
    """The encoder to start training from is unavailable; the message says what to do."""
