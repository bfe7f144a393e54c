"""The library's named errors."""

from __future__ import annotations


class ModelFormatError(ValueError):
    """A model folder is damaged, incomplete, of a newer format, or not a model folder at all."""


class InvalidTextError(ValueError):
    """An input is not text.

    Attributes
    ----------
    index : int
        Position of the offending input in the list that was passed (0 for a single input).
    """

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index

    def __reduce__(self) -> tuple[type[InvalidTextError], tuple[str, int]]:
        return type(self), (str(self), self.index)


class IndexFormatError(ValueError):
    """An index folder is damaged, of a newer format, made with another model, or not an index at all."""


class IndexLockedError(RuntimeError):
    """Another process has the index open."""


class IndexDiskError(OSError):
    """The disk did not take or give what an index wanted: it is full, fails, or may not be written."""
