"""Requests that wait, and how many may: for the model, which reads them together, and for the index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TypeVar

from fastapi import HTTPException

from tawasul_nlp import DuplicateIndex, Prediction
from tawasul_nlp.errors import IndexDiskError, InvalidTextError, TawasulError

_Answer = TypeVar("_Answer")
_READERS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the service takes on at once.

    Raises
    ------
    ValueError
        If a number is below 1.

    Examples
    --------
    >>> Limits(max_waiting=100).batch_texts
    64
    """

    # Texts of waiting requests that the model reads together; 1 reads every request by itself.
    batch_texts: int = 64
    # Texts for the model, questions to the index, or changes of it that may wait; new requests then get 503.
    max_waiting: int = 1_024
    # Bytes of a request's body.
    max_body: int = 1_000_000
    # Requests that are answered at once, which bounds the bodies in memory; more get 503.
    max_requests: int = 256

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}, expected at least 1")


def overloaded(what: str) -> HTTPException:
    """Return the answer to a request that would have to wait too long."""
    return HTTPException(503, f"{what}; try again", {"Retry-After": "1"})


def _stopping() -> HTTPException:
    return overloaded("the service is stopping")


class Batcher:
    """Reads together what is waiting when the model becomes free.

    A request that comes alone is read at once: nothing ever waits for others to come. While the model is busy,
    requests gather, and the next reading takes of them until it has ``batch_texts`` texts.
    """

    def __init__(
        self,
        predict: Callable[[list[str]], list[Prediction]],  # called in a thread of its own
        batch_texts: int,
        max_waiting: int,  # texts that wait or are read
        observe_batch: Callable[[int], None],  # called with the number of texts of each reading
    ) -> None:
        self._predict = predict
        self._batch_texts = batch_texts
        self._max_waiting = max_waiting
        self._observe_batch = observe_batch
        self.pending = 0
        self.is_running = False
        self._waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Prediction]]]] = asyncio.Queue()

    @property
    def is_full(self) -> bool:
        """Whether even one more text would be refused."""
        return self.pending >= self._max_waiting

    async def predict(self, texts: list[str]) -> list[Prediction]:
        """Return one prediction for each text, or raise 503 if too many are waiting already."""
        if not self.is_running:
            raise _stopping()
        if self.pending + len(texts) > self._max_waiting:
            raise overloaded(f"more than {self._max_waiting} texts are waiting")
        future: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        self.pending += len(texts)
        self._waiting.put_nowait((texts, future))
        try:
            return await future
        finally:
            self.pending -= len(texts)

    def stop(self) -> None:
        """Answer 503 to what waits, and to what comes from now on; what is being read is still answered."""
        self.is_running = False
        while not self._waiting.empty():
            _, future = self._waiting.get_nowait()
            if not future.cancelled():
                future.set_exception(_stopping())

    async def run(self) -> None:
        """Serve requests until cancelled."""
        self.is_running = True
        while True:
            requests = [await self._waiting.get()]
            size = len(requests[0][0])
            while not self._waiting.empty() and size < self._batch_texts:
                requests.append(self._waiting.get_nowait())
                size += len(requests[-1][0])
            # Who hung up meanwhile needs no answer.
            requests = [(texts, future) for texts, future in requests if not future.cancelled()]
            together = [text for texts, _ in requests for text in texts]
            self._observe_batch(len(together))
            try:
                answers = await asyncio.to_thread(self._predict, together)
            except Exception as error:  # every waiting request must hear of it, whatever it is
                for _, future in requests:
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            for texts, future in requests:
                answered, answers = answers[: len(texts)], answers[len(texts) :]
                if not future.cancelled():
                    future.set_result(answered)


@dataclass(slots=True)
class _Lane:
    """Threads that serve one kind of use of the index, in the order of the requests.

    What waits for the index in the threads that all requests share would leave none for the model.
    """

    threads: ThreadPoolExecutor
    pending: int = 0


class IndexAccess:
    """One writer of an index, and readers beside it.

    Changes are made in the order of their requests. Questions wait for none of them.
    """

    def __init__(self, index: DuplicateIndex, max_waiting: int) -> None:
        self.index = index
        self._max_waiting = max_waiting
        self._is_stopped = False
        self.questions, self.changes = _Lane(ThreadPoolExecutor(_READERS)), _Lane(ThreadPoolExecutor(1))

    @property
    def is_full(self) -> bool:
        """Whether one more question or change would be refused."""
        return max(self.questions.pending, self.changes.pending) >= self._max_waiting

    async def check_writable(self) -> None:
        """Raise 503 if a change would fail now."""
        try:
            await asyncio.to_thread(self.index.check_writable)
        except (TawasulError, ValueError) as error:
            raise self._refused(503, error) from error

    async def ask(self, question: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        """Return what the index answers to a question."""
        return await self._take(self.questions, question)

    async def change(self, change: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        """Return what came of a change, which then is on disk."""
        return await self._take(self.changes, change)

    def stop(self, *, wait: bool) -> None:
        """Answer 503 to what waits, and to what comes from now on; what has begun is still answered."""
        self._is_stopped = True
        for lane in (self.changes, self.questions):
            lane.threads.shutdown(wait=wait, cancel_futures=True)

    async def _take(self, lane: _Lane, use: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        if self._is_stopped:
            raise _stopping()
        if lane.pending >= self._max_waiting:
            raise overloaded(f"more than {self._max_waiting} requests are waiting for the index")
        lane.pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(lane.threads, use, self.index)
        except asyncio.CancelledError:
            if self._is_stopped:  # before a thread took it
                raise _stopping() from None
            raise
        except KeyError as error:  # no such case, or no such incident
            raise self._refused(404, error.args[0]) from error
        except InvalidTextError as error:
            raise self._refused(422, error) from error
        except ValueError as error:  # it does not fit what the index holds
            raise self._refused(409, error) from error
        except IndexDiskError as error:
            raise self._refused(507, error) from error
        finally:
            lane.pending -= 1

    def _refused(self, status: int, reason: object) -> HTTPException:
        # Where the index lies is not the client's business.
        folder = re.escape(str(self.index.folder))
        return HTTPException(status, re.sub(rf"(?<!\S){folder}(?=[\s/\\:;]|$)", "the index", str(reason)))
