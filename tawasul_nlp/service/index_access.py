"""An index behind requests: one change at a time, questions beside it, and a status for what the index refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException

from tawasul_nlp.duplicates import DuplicateIndex
from tawasul_nlp.errors import IndexDiskError, InvalidTextError
from tawasul_nlp.service.waiting import Lane

_Answer = TypeVar("_Answer")
_READERS = 2


class IndexAccess:
    """One writer of an index, and readers beside it.

    Changes are made in the order of their requests. Questions wait for a change that is being stored, but not while
    the model reads the cases to add.
    """

    def __init__(self, index: DuplicateIndex, max_waiting: int) -> None:
        self._index = index
        self._questions, self._changes = Lane(_READERS, max_waiting), Lane(1, max_waiting)

    @property
    def is_full(self) -> bool:
        """Whether one more question or change would be refused."""
        return self._questions.is_full or self._changes.is_full

    async def ask(self, question: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        """Return what the index answers to a question."""
        return await self._take(self._questions, question)

    async def change(self, change: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        """Return what came of a change, which then is on disk."""
        return await self._take(self._changes, change)

    def close(self) -> None:
        """Wait for what has begun."""
        self._changes.close()
        self._questions.close()

    async def _take(self, lane: Lane, use: Callable[[DuplicateIndex], _Answer]) -> _Answer:
        try:
            return await lane.take(lambda: use(self._index))
        except KeyError as error:  # no such case, or no such incident
            raise self._refused(404, error.args[0]) from error
        except InvalidTextError as error:
            raise self._refused(422, error) from error
        except ValueError as error:  # it does not fit what the index holds
            raise self._refused(409, error) from error
        except IndexDiskError as error:
            raise self._refused(507, error) from error

    def _refused(self, status: int, reason: object) -> HTTPException:
        # Where the index lies is not the client's business.
        return HTTPException(status, str(reason).replace(str(self._index.folder), "the index"))
