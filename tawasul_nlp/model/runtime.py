"""The protocol of the encoder's runtimes, and values of a process: an open session does not survive a fork."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tawasul_nlp.errors import ModelFormatError

# A batch of this many tokens stays in a core's caches: on an EPYC, batches of 8 cases of 50 tokens take two thirds of
# the time of batches of 32.
CPU_TOKENS = 512

TOKEN_TAGS, TOKEN_LABELS, PAIR = "token_tags", "token_labels", "pair"
"""Outputs of a network that tells clauses apart, for each token, and of one that reads two texts together."""
TOKEN_OUTPUTS = frozenset((TOKEN_TAGS, TOKEN_LABELS))
TAGS = ("outside", "begin", "inside", "evidence")
"""The columns of ``token_tags``: whether a token is outside, begins, or is inside a clause that reports an issue, as
logits of one softmax; and the logit that it is among the words that speak for the urgency."""

_Value = TypeVar("_Value")

Batch = tuple[np.ndarray, np.ndarray]
"""Token ids and attention mask, each int64 (texts, tokens)."""


class Runtime(Protocol):
    """Computes an embedding and the logits of each task from token ids."""

    name: str  # of the runtime and its device
    threads: int | None  # None for as many as it chooses itself
    batch_tokens: int  # the best number of tokens per batch, including padding

    def sizes(self) -> Mapping[str, int]:
        """Return the number of columns of each output."""
        ...

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels).

        The outputs of :data:`TOKEN_OUTPUTS`, if there are any, are (texts, tokens, columns).
        """
        ...

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many batches, in order."""
        ...


def check_outputs(path: Path, columns: Mapping[str, object], expected: Mapping[str, int]) -> None:
    """Check that an encoder has an embedding output and one logit for each label of each task.

    Raises ModelFormatError if not.
    """
    for name, size in {"embedding": None, **expected}.items():
        if name not in columns:
            raise ModelFormatError(f"{path}: has no output {name!r}, only {', '.join(columns)}; export the model again")
        if size is not None and columns[name] != size:
            raise ModelFormatError(
                f"{path}: output {name!r} has {columns[name]} columns, but the configuration has {size} labels; "
                "restore the whole folder"
            )


loading_lock = threading.RLock()
"""Held while a model is loaded, so concurrent threads load it once."""


class PerProcess(Generic[_Value]):
    """A value created on first use, by one thread at a time, and again in a forked child."""

    def __init__(self, make: Callable[[], _Value]) -> None:
        self._make = make
        self._made: tuple[_Value] | None = None
        _values.add(self)

    def get(self) -> _Value:
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


def freed_by_its_process(value: _Value) -> _Value:
    """Return a value that a forked child never frees, not even at interpreter exit.

    A closing session waits for its threads, which are the parent's: the child would wait forever, or crash
    (https://github.com/microsoft/onnxruntime/pull/31961).
    """
    _sessions.add(value)
    return value


_values: weakref.WeakSet[PerProcess[Any]] = weakref.WeakSet()
_sessions: weakref.WeakSet[Any] = weakref.WeakSet()


def _after_in_child() -> None:
    loading_lock.release()
    for session in list(_sessions):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    _sessions.clear()
    for value in list(_values):
        value._forget()


# A forked child has only the thread that forked, so a lock held by another thread would stay locked forever. So a fork
# waits until nothing is being loaded.
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=loading_lock.acquire, after_in_parent=loading_lock.release, after_in_child=_after_in_child
    )
