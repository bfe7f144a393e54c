"""Checksums of a database's pages, in a file beside it, so any changed bit is found before SQLite reads it.

SQLite does not notice a changed bit in a text or a number, and trusts a damaged index of its own. So the file
``checksums`` holds a CRC-32 of every page. SQLite changes the database only when told to (in :meth:`Checksums.fold`),
and collects changes in its write-ahead log until then. The log's frames have checksums, but SQLite takes a damaged end
for one that was never written, so the file also records the log's last length.

The files agree whenever a process is killed: a transaction's changes are in the log, and after a fold updates the
checksums, the log stays until SQLite has forced the pages to disk.
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
# Magic, pages, the log's salt and frames, whether the checksums include all of its frames; then a CRC of these.
_HEADER = struct.Struct("<8sI8sI?")
_START = 64
_AT_ONCE = 256


class Checksums:
    """The checksums of an undamaged database.

    Parameters
    ----------
    database : Path
        Not open anywhere.

    Raises
    ------
    IndexFormatError
        If the database, its log or the checksums differ from what was last written.

    Attributes
    ----------
    log : Log
        The log's changes that are not in the database. A writer drops a log without valid frames with
        :meth:`drop_strange_log`.
    frames : int
        The log's last length.
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
                    self._wal, f"{CHECKSUMS} does not match it: one of them is from another index or another time"
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
            raise IndexFormatError(f"{self.path}: written by a newer version of this library; upgrade tawasul-nlp")
        if len(data) < _START or data[_HEADER.size : _HEADER.size + 4] != crc32(head).to_bytes(4, "little"):
            raise damaged(self.path, "its header was changed")
        magic, pages, salt, frames, folded = _HEADER.unpack(head)
        if magic != _MAGIC or len(data) < _START + 4 * pages:
            raise damaged(self.path, f"{len(data)} bytes for {pages} pages")
        sums = np.frombuffer(data, "<u4", pages, _START)
        return pages, salt, frames, folded, sums

    def _check_pages(self) -> None:
        """Compare every page with its checksum, except those that the log replaces."""
        number = 0
        for number, found in enumerate(_page_sums(self._database), start=1):
            if number not in self.log.pages and (number > self._pages or found != self._sums[number - 1]):
                raise damaged(self._database, f"page {number} does not match {CHECKSUMS}")
        for missing in range(number + 1, self._pages + 1):
            if missing not in self.log.pages:
                raise damaged(self._database, f"page {missing} of {self._pages} is missing")

    # -- changing ------------------------------------------------------------------------------------------------------

    def drop_strange_log(self) -> None:
        """Delete a log without valid frames, or SQLite would take it for the database's own."""
        if not self.log.frames:
            self._wal.unlink(missing_ok=True)

    def reserve(self, pages: int) -> None:
        """Allocate space for the checksums of ``pages`` pages, so a full disk cannot make writing them fail."""
        wanted = _START + 4 * pages
        with self.path.open("r+b", buffering=0) as file:
            have = file.seek(0, os.SEEK_END)
            if have < wanted:
                write_whole(file, bytes(wanted - have + PAGE))

    @property
    def log_is_empty(self) -> bool:
        """Whether the next transaction begins a log, which is unknown to the checksums until :meth:`acknowledge`.

        So a log's first transaction must be expendable: a process may be killed before acknowledging it, and the next
        one drops an unknown log of one transaction, and refuses one of more.
        """
        return not self._pending

    def acknowledge(self) -> None:
        """Record the transaction that was just committed."""
        with self._wal.open("rb", buffering=0) as file:
            salt = file.read(HEADER)[16:24]
            seen = self.frames if salt == self._salt else 0
            file.seek(HEADER + seen * (FRAME_HEADER + PAGE))
            changed: dict[int, int] = {}
            # A rolled-back transaction may have left frames; the first frame that ends a transaction is this one's
            # last.
            while len(frame := file.read(FRAME_HEADER + PAGE)) == FRAME_HEADER + PAGE:
                number, ends = struct.unpack_from(">2I", frame)
                changed[number] = crc32(memoryview(frame)[FRAME_HEADER:])
                seen += 1
                if ends:
                    self._note(Log(salt, seen, 1, changed))
                    return

    def read_again(self) -> None:
        """Record what is committed after a transaction ended with an error or an interrupt."""
        log = read_log(self._wal, PAGE)
        if log.frames:
            self._note(log)

    def _note(self, log: Log) -> None:
        fresh = log.salt != self._salt
        self._pending |= log.pages
        self._salt, self.frames, self._folded = log.salt, log.frames, False
        # A kill loses nothing that was written; after a power cut a shorter length is still valid, but not another
        # log's.
        self._write(self._head(), sync=fresh)

    def fold(self, checkpoint: Callable[[], None]) -> None:
        """Checkpoint the log into the database, and begin a new one.

        Parameters
        ----------
        checkpoint : callable
            Does so, or raises; then nothing has changed, and the next call tries again.
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
    """Write the checksums of a database that has no log and is not open."""
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
    """Write to an unbuffered file, which may write less than given: a full disk raises at the second attempt."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def damaged(path: Path, found: object) -> IndexFormatError:
    """Return the error for a damaged file of an index."""
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
