"""The database of an index: held by one process, checked when it is opened, changed in transactions.

Errors of SQLite and the disk become the library's named errors.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from tawasul_nlp._system import sync_folder
from tawasul_nlp.duplicates.checksums import CHECKSUMS, PAGE, Checksums, damaged, first_checksums
from tawasul_nlp.errors import IndexDiskError, IndexFormatError, IndexLockedError

FORMAT_VERSION = 5
# Of earlier versions, what is missing is added when they are opened: to 4, people's decisions and the history; to 3,
# checksums too.
WITHOUT_CHECKSUMS, WITHOUT_DECISIONS = "3", "4"
DATABASE = "index.sqlite"
VECTORS = "vectors.f16"
LOCK = "lock"
# The log is checkpointed into the database at this many pages.
_LONG_LOG = 1_000
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class IndexDatabase:
    """An open database, which locks its folder.

    Parameters
    ----------
    folder : Path
        An existing folder. If it is read-only, so is the index.

    Raises
    ------
    IndexLockedError
        If another process has it open.
    IndexFormatError
        If it is damaged, or of an unsupported version.
    IndexDiskError
        If it cannot be read, or cannot be written where needed.

    Attributes
    ----------
    vectors : file
        The file of vectors, which is locked because nobody can delete it and continue.
    read_only : bool
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        names = (DATABASE, VECTORS, CHECKSUMS, LOCK)
        paths = [folder, *(folder / name for name in names if (folder / name).exists())]
        self.read_only = not all(os.access(path, os.W_OK) for path in paths)
        with self.named_errors(), ExitStack() as opened:
            self.vectors = self._held(opened)
            if not (folder / CHECKSUMS).exists():
                self._add_checksums()
            self._sums = Checksums(folder / DATABASE)
            if not self.read_only:
                self._sums.drop_strange_log()
            elif self._sums.log.frames:
                raise IndexDiskError(
                    f"{folder}: its process was killed, and the folder is read-only, so what it left cannot be "
                    "recovered; open the index once where it is writable"
                )
            self._database = opened.enter_context(closing(self._connected()))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the files and unlock the folder."""
        with self.named_errors(), self._opened:
            if not self.read_only:
                self.fold()

    def damaged(self, found: object, file: str = DATABASE) -> IndexFormatError:
        """Return the error for a damaged file of the folder."""
        return damaged(self.path / file, found)

    # -- queries -------------------------------------------------------------------------------------------------------

    def all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises
        ------
        IndexFormatError
            If the database turns out to be damaged.
        """
        with self.named_errors():
            return self._database.execute(query, _storable(values)).fetchall()

    def first(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        return next(iter(self.all(query, values)), None)

    def one(self, query: str, *values: Any) -> Any:
        """Return the only value of a query."""
        return self.all(query, values)[0][0]

    def facts(self) -> dict[str, str]:
        """Return the facts stored about the index and its files; empty for an empty database."""
        if not self.one("SELECT count(*) FROM sqlite_master"):
            return {}
        return dict(self.all("SELECT name, value FROM meta"))

    def check_structure(self) -> None:
        """Check that all tables agree with their indexes, and that every case has an incident.

        Raises
        ------
        IndexFormatError
            If not.
        """
        with self.named_errors():
            _check_structure(self._database, self.path)
        stray = "SELECT count(*) FROM cases WHERE group_id NOT IN (SELECT id FROM groups)"
        headless = "SELECT count(*) FROM groups g JOIN cases c ON c.row = g.representative WHERE c.group_id = g.id"
        if self.one(stray) or self.one(headless) != self.one("SELECT count(*) FROM groups"):
            raise self.damaged("it has cases without an incident, or incidents without a representative")

    # -- changes -------------------------------------------------------------------------------------------------------

    def change(self, statement: str, *values: Any) -> int:
        """Execute a change inside :meth:`committed`; return the row number of an insertion."""
        return self._database.execute(statement, _storable(values)).lastrowid or 0

    def change_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement for each row of values, inside :meth:`committed`."""
        self._database.executemany(statement, map(_storable, rows))

    def keep(self, **facts: str) -> None:
        """Store facts, inside :meth:`committed`."""
        self.change_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Commit the block's changes, or roll all of them back."""
        with self.named_errors():
            if self._sums.frames >= _LONG_LOG:
                self.fold()
            try:
                if self._sums.log_is_empty:
                    self._database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
                    self._sums.acknowledge()
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._sums.reserve(self.one("PRAGMA page_count"))
                self._database.execute("COMMIT")
                self._sums.acknowledge()
            except BaseException:
                if self._database.in_transaction:  # a full disk may have ended the transaction
                    self._database.execute("ROLLBACK")
                self._sums.read_again()
                raise

    def fold(self) -> None:
        """Checkpoint SQLite's log into the database."""

        def checkpoint() -> None:
            (busy, _, _) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise self._locked()

        self._sums.fold(checkpoint)

    # -- opening -------------------------------------------------------------------------------------------------------

    def _held(self, opened: ExitStack) -> FileIO:
        """Lock the folder; return its file of vectors.

        The file ``lock`` keeps out other processes on every system. Since it can be deleted meanwhile, the file of
        vectors is locked too, and SQLite's own lock keeps out other programs.
        """
        from filelock import FileLock, Timeout

        path = self.path / VECTORS
        try:
            if not self.read_only:
                # Not thread-local: whichever thread closes the index must release it.
                opened.enter_context(FileLock(self.path / LOCK, thread_local=False).acquire(timeout=0))
                if not path.exists():
                    path.touch()
                    sync_folder(self.path)
            file = opened.enter_context(path.open("rb" if self.read_only else "r+b", buffering=0))
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(file, (fcntl.LOCK_SH if self.read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except (Timeout, BlockingIOError) as error:
            raise self._locked() from error
        return file

    def _connected(self) -> sqlite3.Connection:
        path = (self.path / DATABASE).resolve()
        if self.read_only:
            return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute(f"PRAGMA page_size = {PAGE}")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")  # only with the checksums, in fold
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")  # nothing of removed cases stays in free pages
        return database

    def _add_checksums(self) -> None:
        """Write the checksums of a new database, or of one of an earlier version."""
        if self.read_only:
            raise IndexDiskError(
                f"{self.path}: an index of an earlier version gets checksums when it is opened, but the folder is "
                "read-only; open it once where it is writable"
            )
        with closing(self._connected()) as database:
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                facts = dict(database.execute("SELECT name, value FROM meta"))
                version = str(facts.get("format_version", ""))
                if not version.isdecimal() or int(version) > int(WITHOUT_CHECKSUMS):
                    raise damaged(self.path / CHECKSUMS, "it is missing")
                _check_structure(database, self.path)
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            elif os.stat(self.path / VECTORS).st_size:
                raise self.damaged(f"it is empty but {VECTORS} is not")
        first_checksums(self.path / DATABASE)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Convert errors of SQLite and the disk to named errors."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF == sqlite3.SQLITE_BUSY:
                raise self._locked() from error
            if code & 0xFF in _DISK and code != sqlite3.SQLITE_IOERR_SHORT_READ:
                raise self._disk_error(error) from error
            raise self.damaged(error) from error
        except OSError as error:
            if isinstance(error, IndexDiskError):
                raise
            raise self._disk_error(error) from error

    def _disk_error(self, error: Exception) -> IndexDiskError:
        return IndexDiskError(
            f"{self.path}: the disk fails ({error}); what was added before is kept: free space, or make the "
            "folder readable and writable, and try again"
        )

    def _locked(self) -> IndexLockedError:
        return IndexLockedError(
            f"{self.path}: this index is already open, in another process or elsewhere in this one; wait until it is "
            "closed there"
        )


def _check_structure(database: sqlite3.Connection, folder: Path) -> None:
    found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(folder / DATABASE, " ".join(found.split()))


def storable(text: str) -> str:
    r"""Return a text as the database stores it: a lone surrogate, which UTF-8 lacks, becomes its escape.

    >>> storable("الماي مقطوع \ud83d")
    'الماي مقطوع \\ud83d'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _storable(values: Sequence[Any]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]
