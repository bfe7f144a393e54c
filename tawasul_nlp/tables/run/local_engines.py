"""Predict on this machine: in this process, or in several in the order of one.

Each worker has a classifier of its own and works on one batch at a time. Workers are started afresh, not forked: a
fork would copy locks and threads of the model's runtime, and keep the files of a parent open that was killed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.errors import WorkerDiedError
from tawasul_nlp.tables.run.engine import Classifier, Engine, ModelFacts, T, in_order, loaded, threads_each

if TYPE_CHECKING:
    from tawasul_nlp.prediction import Prediction

_PATIENCE = 5.0  # seconds that a worker gets to end by itself


def open_engine(classifier: Classifier | Callable[[], Classifier], workers: int = 1) -> Engine:
    """Return an engine for a classifier, or a function that loads one.

    Parameters
    ----------
    classifier : Classifier or callable
        With several workers it is pickled and sent to each of them; a function is called there.
    workers : int
        Processes to predict in; 1 predicts in this one.

    Raises
    ------
    ValueError
        If `workers` is below 1.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, expected at least 1")
    if workers > 1:
        return WorkerPool(classifier, workers)
    return OneProcess(loaded(classifier))


class OneProcess:
    """Predicts in this process."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.facts = ModelFacts.of(classifier)

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions; see :class:`~tawasul_nlp.tables.run.engine.Engine`."""
        for tag, texts in batches:
            yield tag, self._classifier.predict(texts) if texts else []

    def close(self) -> None:
        """Do nothing: the classifier belongs to the caller."""


class WorkerPool:
    """Processes that predict; an :class:`~tawasul_nlp.tables.run.engine.Engine`.

    Parameters
    ----------
    classifier : Classifier or callable
        Pickled and sent to each worker; a function is called there.
    workers : int

    Raises
    ------
    WorkerDiedError
        If a worker ends before it should, here or in :meth:`map`. An error of the classifier is raised as it is.
    """

    def __init__(self, classifier: Classifier | Callable[[], Classifier], workers: int) -> None:
        context = get_context("spawn")
        self._workers: dict[Connection, Any] = {}
        before = _ignore_interrupts()
        try:
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_serve, args=(theirs, classifier, threads_each(workers)), name="tawasul-worker", daemon=True
                )
                process.start()
                theirs.close()
                self._workers[ours] = process
        except BaseException:
            self.close()
            raise
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)
        try:
            facts = [self._answer(connection) for connection in self._workers]
        except BaseException:
            self.close()
            raise
        self.facts: ModelFacts = facts[0]

    def map(self, batches: Iterable[tuple[T, list[str]]]) -> Iterator[tuple[T, Sequence[Prediction]]]:
        """Yield every batch's tag with its predictions; see :class:`~tawasul_nlp.tables.run.engine.Engine`."""
        busy: set[Connection] = set()

        def send(connection: Connection, texts: list[str]) -> None:
            self._send(connection, texts)
            busy.add(connection)

        def answers() -> Iterator[tuple[Connection, Sequence[Prediction]]]:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                busy.discard(ready)
                yield ready, self._answer(ready)

        return in_order(batches, list(self._workers), send, answers)

    def _send(self, connection: Connection, texts: list[str]) -> None:
        try:
            connection.send(texts)
        except OSError as error:
            raise self._died(connection) from error

    def _answer(self, connection: Connection) -> Any:
        try:
            answer, error = connection.recv()
        except (EOFError, OSError) as broken:
            raise self._died(connection) from broken
        if error is not None:
            raise error
        return answer

    def _died(self, connection: Connection) -> WorkerDiedError:
        process = self._workers[connection]
        process.join(_PATIENCE)
        code = process.exitcode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        hint = "; the system may be out of memory: use fewer workers" if code == -getattr(signal, "SIGKILL", 9) else ""
        return WorkerDiedError(f"a worker process ({process.pid}) {how}{hint}")

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        for connection in self._workers:
            connection.close()
        for process in self._workers.values():
            process.terminate()
        for process in self._workers.values():
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers = {}


def _serve(connection: Connection, classifier: Classifier | Callable[[], Classifier], threads: int) -> None:
    """Run a worker: load, report what was loaded, and answer until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it, and ends its workers
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))  # the tokenizer's threads
    try:
        model = loaded(classifier)
        facts = ModelFacts.of(model)
    except Exception as error:
        _reply(connection, None, error)
        return
    _reply(connection, facts, None)
    while True:
        try:
            texts = connection.recv()
        except (EOFError, OSError):  # the parent is done, or dead
            return
        try:
            answer = model.predict(texts)
        except Exception as error:
            _reply(connection, None, error)
        else:
            _reply(connection, answer, None)


def _reply(connection: Connection, answer: Any, error: Exception | None) -> None:
    try:
        connection.send((answer, error))
    except OSError:
        return  # the parent is gone
    except Exception:  # the error itself cannot be pickled
        connection.send((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _ignore_interrupts() -> Any:
    """Make processes that are started now ignore Ctrl-C, even while they load; return the handler to restore."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGINT, signal.SIG_IGN)
