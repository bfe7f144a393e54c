"""Per-process values: an open session and its threads do not survive a fork."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

loading_lock = threading.RLock()
"""Held while a model is loaded, so concurrent threads load it once."""


class PerProcess(Generic[T]):
    """A value created on first use, and again in a forked child.

    Parameters
    ----------
    make : callable
        Creates the value; called by one thread at a time.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[T] | None = None
        _values.add(self)

    def get(self) -> T:
        """Return this process's value."""
        made = self._made
        if made is None:
            with loading_lock:
                made = self._made
                if made is None:
                    made = self._made = (self._make(),)
        return made[0]

    def _forget(self) -> None:
        self._made = None


def freed_by_its_process(value: T) -> T:
    """Return a value that a forked child never frees, not even at interpreter exit.

    A closing session waits for its threads, which are the parent's: the child would wait forever, or crash
    (https://github.com/microsoft/onnxruntime/pull/31961).
    """
    _own.add(value)
    return value


_values: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_own: weakref.WeakSet[Any] = weakref.WeakSet()


def _after_in_child() -> None:
    loading_lock.release()
    for session in list(_own):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _own.clear()
    for value in list(_values):
        value._forget()


# A forked child has only the thread that forked, so a lock held by another thread would stay locked forever. So a fork
# waits until nothing is being loaded.
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=loading_lock.acquire, after_in_parent=loading_lock.release, after_in_child=_after_in_child
    )
