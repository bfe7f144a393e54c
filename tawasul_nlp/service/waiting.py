"""Requests that wait: for the model, which reads them together, and for the index, which takes one change at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import HTTPException

from tawasul_nlp import Prediction

_Answer = TypeVar("_Answer")


def overloaded(what: str) -> HTTPException:
    """Return the answer to a request that would have to wait too long."""
    return HTTPException(503, f"{what}; try again", {"Retry-After": "1"})


class Batcher:
    """Reads together what is waiting when the model becomes free.

    A request that comes alone is read at once: nothing ever waits for others to come. While the model is busy,
    requests gather, and the next reading takes of them until it has ``most`` texts.

    Parameters
    ----------
    predict : callable
        Reads texts; called in a thread of its own.
    most : int
        Texts after which a reading takes no further request.
    max_waiting : int
        Texts that may wait or be read.
    count : callable
        Is told the number of texts of each reading.
    """

    def __init__(
        self,
        predict: Callable[[list[str]], list[Prediction]],
        most: int,
        max_waiting: int,
        count: Callable[[int], None],
    ) -> None:
        self._predict = predict
        self._most = most
        self._max_waiting = max_waiting
        self._count = count
        self._held = 0
        self._waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Prediction]]]] = asyncio.Queue()

    @property
    def is_full(self) -> bool:
        """Whether even one more text would be refused."""
        return self._held >= self._max_waiting

    async def predict(self, texts: list[str]) -> list[Prediction]:
        """Return one prediction for each text.

        Raises
        ------
        HTTPException
            503 if too many texts are waiting already.
        """
        if self._held + len(texts) > self._max_waiting:
            raise overloaded(f"more than {self._max_waiting} texts are waiting")
        future: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        self._held += len(texts)
        self._waiting.put_nowait((texts, future))
        try:
            return await future
        finally:
            self._held -= len(texts)

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            requests = [await self._waiting.get()]
            size = len(requests[0][0])
            while not self._waiting.empty() and size < self._most:
                requests.append(self._waiting.get_nowait())
                size += len(requests[-1][0])
            # Who hung up meanwhile needs no answer.
            requests = [(texts, future) for texts, future in requests if not future.cancelled()]
            together = [text for texts, _ in requests for text in texts]
            self._count(len(together))
            try:
                answers = await asyncio.to_thread(self._predict, together)
            except Exception as error:  # every waiting request must hear of it, whatever it is
                for _, future in requests:
                    if not future.cancelled():
                        future.set_exception(error)
                continue
            for texts, future in requests:
                own, answers = answers[: len(texts)], answers[len(texts) :]
                if not future.cancelled():
                    future.set_result(own)


class Lane:
    """Threads that serve one kind of use of the index, in the order of the requests.

    What waits for the index in the threads that all requests share would leave none for the model.
    """

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads)
        self._max_waiting = max_waiting
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether one more use would be refused."""
        return self._held >= self._max_waiting

    async def take(self, use: Callable[[], _Answer]) -> _Answer:
        """Return what a use of the index answers.

        Raises
        ------
        HTTPException
            503 if too many wait already.
        """
        if self.is_full:
            raise overloaded(f"more than {self._max_waiting} requests are waiting for the index")
        self._held += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, use)
        finally:
            self._held -= 1

    def close(self) -> None:
        """Wait for what has begun, and drop the rest."""
        self._threads.shutdown(cancel_futures=True)
