"""Values that each process makes for itself: an open session and its threads do not survive a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

loading_lock = threading.RLock()
"""Held while a model is loaded, so that threads which ask at once load it once."""
# A child of a fork has only the thread that forked: a lock that another one held would stay locked in it for good. So
# a fork waits until nothing is being loaded.
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=loading_lock.acquire, after_in_parent=loading_lock.release, after_in_child=loading_lock.release
    )


class PerProcess(Generic[T]):
    """A value that is made on first use, and anew in a forked child.

    Parameters
    ----------
    make : callable
        Makes it; called by one thread at a time.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None

    def get(self) -> T:
        """Return this process's value."""
        made = self._made
        if made is None or made[0] != os.getpid():
            with loading_lock:
                made = self._made
                if made is None or made[0] != os.getpid():
                    # Process and value are stored at once: no thread can see the one without the other.
                    made = self._made = (os.getpid(), self._make())
        return made[1]
