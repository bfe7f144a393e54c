"""Checksums of a database's pages, in a file beside it, so that any changed bit is found before SQLite reads it.

SQLite does not see a changed bit in a text or a number, and believes what a damaged index of its own tells it. So the
file ``checksums`` holds a CRC-32 of every page. SQLite changes the database only where we tell it to (in
:meth:`Checksums.fold`), and collects changes in its write-ahead log until then. Of the log, whose frames have
checksums, but whose damaged end SQLite takes for one that was never written, the file says how long it was last.

Whenever a process is killed, the files agree: what a transaction changed is in the log, and once the checksums are
those of the pages after a fold, the log stays until SQLite has forced those pages to disk.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from zlib import crc32

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.duplicates.wal import FRAME_HEADER, HEADER, Log, read_log
from tawasul_nlp.errors import IndexFormatError

CHECKSUMS = "checksums"
PAGE = 4_096
_MAGIC = b"tawasul\x01"
# Magic, pages, the log's salt and frames, whether the checksums are those after all of its frames; then a CRC of that.
_HEADER = struct.Struct("<8sI8sI?")
_START = 64
_AT_ONCE = 256


class Checksums:
    """The checksums of a database that is sound.

    Parameters
    ----------
    database : Path
        Nobody has it open.

    Raises
    ------
    IndexFormatError
        If the database, its log or the checksums are not what was written last.

    Attributes
    ----------
    log : Log
        What is in the log and not in the database. A log of which nothing counts is dropped by a writer with
        :meth:`drop_strange_log`.
    frames : int
        How long the log was last.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._wal = database.with_name(database.name + "-wal")
        self.path = database.with_name(CHECKSUMS)
        self._pages, self._salt, self.frames, self._folded, self._sums = self._read()
        log = read_log(self._wal, PAGE)
        if log.salt != self._salt or log.frames < self.frames:
            if not self._folded:
                raise damaged(self._wal, f"it holds {log.frames} pages of {self.frames}")
            if log.salt != self._salt and log.transactions > 1:
                raise damaged(
                    self._wal, f"{CHECKSUMS} does not know it: one of them is of another index or another day"
                )
            log = Log()
        self.log = log
        self._check_pages()
        self._pending = dict(log.pages)
        self.frames = max(self.frames, log.frames)

    # -- checking ------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[int, bytes, int, bool, np.ndarray]:
        data = self.path.read_bytes()
        head = data[: _HEADER.size]
        if data[:7] == _MAGIC[:7] and data[7:8] > _MAGIC[7:]:
            raise IndexFormatError(f"{self.path}: of a newer version of this library; upgrade tawasul-nlp")
        if len(data) < _START or data[_HEADER.size : _HEADER.size + 4] != crc32(head).to_bytes(4, "little"):
            raise damaged(self.path, "its first bytes are not what was written")
        magic, pages, salt, frames, folded = _HEADER.unpack(head)
        if magic != _MAGIC or len(data) < _START + 4 * pages:
            raise damaged(self.path, f"{len(data)} bytes for {pages} pages")
        sums = np.frombuffer(data, "<u4", pages, _START)
        return pages, salt, frames, folded, sums

    def _check_pages(self) -> None:
        """Compare every page with its checksum, but those that the log holds anew."""
        number = 0
        for number, found in enumerate(_page_sums(self._database), start=1):
            if number not in self.log.pages and (number > self._pages or found != self._sums[number - 1]):
                raise damaged(self._database, f"page {number} is not what was written, or {CHECKSUMS} is not")
        for missing in range(number + 1, self._pages + 1):
            if missing not in self.log.pages:
                raise damaged(self._database, f"page {missing} of {self._pages} is missing")

    # -- changing ------------------------------------------------------------------------------------------------------

    def drop_strange_log(self) -> None:
        """Delete a log of which nothing counts, or SQLite would take it for the database's own."""
        if not self.log.frames:
            self._wal.unlink(missing_ok=True)

    def reserve(self, pages: int) -> None:
        """Make room for the checksums of so many pages, so that writing them never fails for a full disk."""
        wanted = _START + 4 * pages
        with self.path.open("r+b", buffering=0) as file:
            have = file.seek(0, os.SEEK_END)
            if have < wanted:
                write_whole(file, bytes(wanted - have + PAGE))

    @property
    def log_is_empty(self) -> bool:
        """Whether the next transaction begins a log, which is not known as this database's own until that is told.

        So a log's first transaction must be one that may be lost: a process may be killed before it acknowledges it,
        and the next one drops a log that it does not know if it has one transaction, and refuses it if it has more.
        """
        return not self._pending

    def acknowledge(self) -> None:
        """Take note of the transaction that was just committed."""
        with self._wal.open("rb", buffering=0) as file:
            salt = file.read(HEADER)[16:24]
            seen = self.frames if salt == self._salt else 0
            file.seek(HEADER + seen * (FRAME_HEADER + PAGE))
            changed: dict[int, int] = {}
            # A transaction that was undone may have left frames behind; the first that ends one is this one's last.
            while len(frame := file.read(FRAME_HEADER + PAGE)) == FRAME_HEADER + PAGE:
                number, ends = struct.unpack_from(">2I", frame)
                changed[number] = crc32(memoryview(frame)[FRAME_HEADER:])
                seen += 1
                if ends:
                    self._note(Log(salt, seen, 1, changed))
                    return

    def read_again(self) -> None:
        """Take note of whatever is committed, when a transaction ended with an error or an interrupt."""
        log = read_log(self._wal, PAGE)
        if log.frames:
            self._note(log)

    def _note(self, log: Log) -> None:
        fresh = log.salt != self._salt
        self._pending |= log.pages
        self._salt, self.frames, self._folded = log.salt, log.frames, False
        # A kill loses nothing that was written; after a power cut a shorter length holds too, but not another log's.
        self._write(self._head(), sync=fresh)

    def fold(self, checkpoint: Callable[[], None]) -> None:
        """Have SQLite put the log into the database, and begin a new one.

        Parameters
        ----------
        checkpoint : callable
            It does so, or raises; then all is as it was, and the next call tries again.
        """
        if not self._pending:
            return
        pages = max(self._pages, *self._pending)
        sums = np.zeros(pages, "<u4")
        sums[: self._pages] = self._sums
        sums[np.fromiter(self._pending, np.int64) - 1] = np.fromiter(self._pending.values(), np.uint32)
        self._pages, self._sums, self._folded = pages, sums, True
        self._write(self._head().ljust(_START, b"\0") + sums.tobytes(), sync=True)
        checkpoint()
        self._pending.clear()

    def _head(self) -> bytes:
        return _head(self._pages, self._salt, self.frames, self._folded)

    def _write(self, data: bytes, *, sync: bool) -> None:
        with self.path.open("r+b", buffering=0) as file:
            write_whole(file, data)
            if sync:
                os.fsync(file.fileno())


def first_checksums(database: Path) -> None:
    """Write the checksums of a database that has no log, and that nobody has open."""
    sums = np.fromiter(_page_sums(database), "<u4")
    with atomic_write(database.with_name(CHECKSUMS)) as unfinished:
        head = _head(len(sums), bytes(8), 0, True).ljust(_START, b"\0")
        unfinished.write_bytes(head + sums.tobytes() + bytes(PAGE))


def checksum(file: FileIO, size: int) -> int:
    """Return the CRC-32 of the first ``size`` bytes of an unbuffered file."""
    file.seek(0)
    found, left = 0, size
    while data := file.read(min(left, PAGE * _AT_ONCE)):
        found = crc32(data, found)
        left -= len(data)
    return found


def write_whole(file: FileIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given: a full disk is told at the second attempt."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def damaged(path: Path, found: object) -> IndexFormatError:
    """Return the error that says what to do about a damaged file of an index."""
    return IndexFormatError(
        f"{path}: damaged ({found}); restore the folder from a backup, or make a new index and add the cases again"
    )


def _head(pages: int, salt: bytes, frames: int, folded: bool) -> bytes:
    head = _HEADER.pack(_MAGIC, pages, salt, frames, folded)
    return head + crc32(head).to_bytes(4, "little")


def _page_sums(database: Path) -> Iterator[int]:
    with database.open("rb", buffering=0) as file:
        while data := file.read(PAGE * _AT_ONCE):
            view = memoryview(data)
            for start in range(0, len(data), PAGE):
                yield crc32(view[start : start + PAGE])
