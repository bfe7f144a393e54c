"""The database of an index: one file of SQLite, checked when it is opened, changed in transactions.

Every row carries the CRC-32 of its values, so a changed bit is damage and no other answer. Triggers of the connection
write it; the file itself is an ordinary database. What is committed is on disk (write-ahead log, ``synchronous=FULL``).
Errors of SQLite and the disk become the library's named errors.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any, Self
from zlib import crc32

from tawasul_nlp._system import sync_folder
from tawasul_nlp.errors import IndexDamagedError, IndexDiskError, IndexFormatError, IndexLockedError

FORMAT_VERSION = 7
DATABASE = "index.sqlite"
LOCK = "lock"
# A new database has this name until its tables are there, so an empty one under the other name is damage.
UNFINISHED = ("index.new", "index.new-journal")
# SQLite puts its log into the database at this many pages.
_LONG_LOG = 1_000
_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
# `place_key` groups cases of the same places; `columns` are the features but for the vector. `must_link` holds the
# component of each case that a person linked, so one case may leave it and the others stay; `cannot_link` holds each
# pair in both directions. `readings` are the pairs of texts that the model read together.
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, representative INTEGER NOT NULL, closed_at TEXT, recurrence_of INTEGER,
    crc INTEGER
);
CREATE INDEX recurrences ON groups (recurrence_of) WHERE recurrence_of IS NOT NULL;
CREATE TABLE cases (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, created_at TEXT, place TEXT,
    columns BLOB NOT NULL, vector BLOB NOT NULL, place_key INTEGER NOT NULL, group_id INTEGER NOT NULL,
    score REAL NOT NULL, reason TEXT NOT NULL, crc INTEGER
);
CREATE INDEX cases_of_group ON cases (group_id, place_key);
CREATE TABLE must_link (row INTEGER PRIMARY KEY, component INTEGER NOT NULL, crc INTEGER);
CREATE INDEX cases_of_component ON must_link (component);
CREATE TABLE cannot_link (
    first INTEGER NOT NULL, second INTEGER NOT NULL, crc INTEGER, PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, incident INTEGER NOT NULL, case_id TEXT, other INTEGER,
    at TEXT NOT NULL, by_person INTEGER NOT NULL, person TEXT, note TEXT, reason TEXT, crc INTEGER
);
CREATE INDEX events_of_incident ON events (incident);
CREATE INDEX events_of_other ON events (other) WHERE other IS NOT NULL;
CREATE TABLE readings (
    first INTEGER, second INTEGER, logit REAL NOT NULL, crc INTEGER, PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE INDEX readings_of_second ON readings (second);
"""
_TABLES = ("meta", "groups", "cases", "must_link", "cannot_link", "events", "readings")


class IndexDatabase:
    """An open database, which locks its folder; without one, it is created. In a read-only folder it is read-only.

    Raises
    ------
    IndexLockedError
        If another process has it open.
    IndexFormatError
        If it is damaged, or of another version.
    IndexDiskError
        If it cannot be read, or cannot be written where needed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.has_failed = False  # the last change, if it has ended
        self._is_closed = False
        # Connections of questions that are answered, for the next ones.
        self._idle: list[sqlite3.Connection] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexDiskError(f"{folder}: the folder cannot be created ({error}); choose another") from error
        paths = [folder, *(folder / name for name in (DATABASE, LOCK) if (folder / name).exists())]
        self.read_only = not all(os.access(path, os.W_OK) for path in paths)
        with self.named_errors(), ExitStack() as opened:
            self._lock(opened)
            if not self.read_only and not (folder / DATABASE).exists():
                self._create()
            self._database = opened.enter_context(closing(self._connected()))
            opened.callback(self._close_idle)
            self._process = os.getpid()
            self._check_version()
            self._check_rows()
            if not self.read_only:
                self._seal_rows()
                self._data_version = self.one("PRAGMA data_version")
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the files and unlock the folder."""
        self._is_closed = True
        with self.named_errors():
            self._opened.close()

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Yield this database as it is at one moment, read on a connection of its own, which waits for no change."""
        self.check_process()
        with self.named_errors():
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                view = copy(self)
                view._database = connection
                yield view
            finally:
                connection.rollback()
                self._idle.append(connection)
                if self._is_closed:  # meanwhile, so nobody else closes it
                    self._close_idle()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._connection()
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA busy_timeout = 5000")  # milliseconds, while a log is recovered
            return connection

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    def check_process(self) -> None:
        """Raise IndexLockedError in a process that was forked from the one that opened the folder.

        SQLite does not allow to use a connection there; what one of the two writes could be lost.
        """
        if self._process != os.getpid():
            raise IndexLockedError(
                f"{self.path}: opened by process {self._process}, from which this one ({os.getpid()}) was forked; "
                "open the index after the fork, in one of them"
            )

    def damaged(self, reason: object) -> IndexDamagedError:
        """Return the error for a damaged database."""
        return IndexDamagedError(
            f"{self.path / DATABASE}: damaged ({reason}); restore the folder from a backup, or save what is sound into "
            "a new index (tawasul index rebuild, or rebuild_index)"
        )

    # -- queries -------------------------------------------------------------------------------------------------------

    def all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query."""
        with self.named_errors():
            return self._database.execute(query, _storable(values)).fetchall()

    def first(self, query: str, *values: Any) -> Any:
        """Return the first row of a query, or None."""
        return next(iter(self.all(query, values)), None)

    def one(self, query: str, *values: Any) -> Any:
        """Return the only value of a query."""
        return self.all(query, values)[0][0]

    def facts(self) -> dict[str, str]:
        """Return the facts stored about the index and its graph."""
        return dict(self.all("SELECT name, value FROM meta"))

    # -- changes -------------------------------------------------------------------------------------------------------

    def change(self, statement: str, *values: Any) -> int:
        """Execute a change inside :meth:`committed`; return the row number of an insertion."""
        return self._database.execute(statement, _storable(values)).lastrowid or 0

    def change_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement for each row of values, inside :meth:`committed`."""
        self._database.executemany(statement, map(_storable, rows))

    def keep(self, **facts: str) -> None:
        """Store facts, inside :meth:`committed`."""
        self.change_many("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", facts.items())

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Commit the block's changes, or roll all of them back."""
        self.has_failed = True
        with self.named_errors():
            try:
                self._database.execute("BEGIN IMMEDIATE")
                if self._data_version != self.one("PRAGMA data_version"):  # another process changed it
                    raise self._locked()
                yield
                self._database.execute("COMMIT")
                self.has_failed = False
            except BaseException:
                if self._database.in_transaction:  # a full disk may have ended the transaction
                    self._database.execute("ROLLBACK")
                raise

    # -- opening -------------------------------------------------------------------------------------------------------

    def _lock(self, opened: ExitStack) -> None:
        """Lock the folder: one process writes, or any number read.

        The file ``lock`` keeps out other processes on every system; should it be deleted meanwhile, what another one
        changed in the database is noticed before the next change.
        """
        from filelock import FileLock, Timeout

        path = self.path / LOCK
        try:
            if not self.read_only:
                # Not thread-local: whichever thread closes the index must release it.
                opened.enter_context(FileLock(path, thread_local=False).acquire(timeout=0))
            elif path.exists() and sys.platform != "win32":
                import fcntl

                fcntl.flock(opened.enter_context(path.open("rb")), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (Timeout, BlockingIOError) as error:
            raise self._locked() from error

    def _create(self) -> None:
        unfinished = self.path / UNFINISHED[0]
        for name in UNFINISHED:
            (self.path / name).unlink(missing_ok=True)
        with closing(sqlite3.connect(unfinished)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(f"BEGIN; {_SCHEMA} COMMIT")
            version = str(FORMAT_VERSION)
            with database:
                database.execute(
                    "INSERT INTO meta VALUES ('format_version', ?, ?)", (version, _crc("format_version", version))
                )
        os.replace(unfinished, self.path / DATABASE)
        sync_folder(self.path)

    def _connected(self) -> sqlite3.Connection:
        """Return the connection that makes the changes."""
        path = self.path / DATABASE
        if path.stat().st_size == 0:  # which SQLite takes for a new one
            raise self.damaged("it is empty")
        if self.read_only:
            log = path.resolve().with_name(f"{DATABASE}-wal")
            if log.exists() and log.stat().st_size:
                raise IndexDiskError(
                    f"{self.path}: its process was killed, and the folder is read-only, so what it left cannot be "
                    "recovered; open the index once where it is writable"
                )
            return self._connection()
        database = self._connection()
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA wal_autocheckpoint = {_LONG_LOG}")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")  # nothing of removed cases stays in free pages
            database.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            database.close()
            raise
        return database

    def _connection(self) -> sqlite3.Connection:
        mode = "ro&immutable=1" if self.read_only else "rw"
        address = f"{(self.path / DATABASE).resolve().as_uri()}?mode={mode}"
        database = sqlite3.connect(address, timeout=0, isolation_level=None, check_same_thread=False, uri=True)
        database.row_factory = sqlite3.Row
        return database

    def _check_version(self) -> None:
        version = str(self.facts().get("format_version", ""))
        if version != str(FORMAT_VERSION):
            newer = version.isdecimal() and int(version) > FORMAT_VERSION
            raise IndexFormatError(
                f"{self.path}: index of format version {version or 'unknown'}, this library reads {FORMAT_VERSION}; "
                + ("upgrade tawasul-nlp" if newer else "create a new index and add the cases again")
            )

    def _check_rows(self) -> None:
        """Check the whole file: its structure, its tables, and every row."""
        problem = self.one("PRAGMA integrity_check(1)")
        if problem != "ok":
            raise self.damaged(" ".join(problem.split()))
        with closing(sqlite3.connect(":memory:")) as model:
            model.executescript(_SCHEMA)
            if [*map(tuple, self.all(_TABLES_OF))] != model.execute(_TABLES_OF).fetchall():
                raise self.damaged("its tables are not those of an index")
        self._database.create_function("crc", -1, _crc, deterministic=True)
        for table in _TABLES:
            columns, _ = self._columns(table)
            if self.first(f"SELECT 1 FROM {table} WHERE crc IS NOT crc({', '.join(columns)})") is not None:
                raise self.damaged(f"a row of {table} does not match its checksum")

    def _seal_rows(self) -> None:
        """Have whatever writes a row write its checksum too."""
        for table in _TABLES:
            columns, key = self._columns(table)
            values = ", ".join(f"new.{column}" for column in columns)
            same_row = " AND ".join(f"{column} = new.{column}" for column in key)
            for name, event in (("inserted", "INSERT"), ("updated", f"UPDATE OF {', '.join(columns)}")):
                self.change(
                    f"CREATE TEMP TRIGGER {table}_{name} AFTER {event} ON main.{table} "
                    f"BEGIN UPDATE {table} SET crc = crc({values}) WHERE {same_row}; END"
                )

    def _columns(self, table: str) -> tuple[list[str], list[str]]:
        """Return the columns of a table without its checksum, and those of its key."""
        rows = self.all(f"PRAGMA table_info({table})")
        return [name for _, name, *_ in rows if name != "crc"], [name for _, name, *_, key in rows if key]

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Convert errors of SQLite and the disk to named errors."""
        try:
            yield
        except IndexDiskError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF == sqlite3.SQLITE_BUSY:
                raise self._locked() from error
            of_disk = code & 0xFF in _DISK and code != sqlite3.SQLITE_IOERR_SHORT_READ
            if not of_disk and not isinstance(error, OSError):
                raise self.damaged(error) from error
            raise IndexDiskError(
                f"{self.path}: the disk fails ({error}); what was added before is kept: free space, or make the "
                "folder readable and writable, and try again"
            ) from error

    def _locked(self) -> IndexLockedError:
        return IndexLockedError(
            f"{self.path}: this index is already open, in another process or elsewhere in this one; wait until it is "
            "closed there"
        )


_TABLES_OF = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"


def is_foreign(path: Path) -> bool:
    """Return whether a file is not one that a process leaves if killed before it creates the database."""
    return path.name not in (LOCK, *UNFINISHED)


def storable(text: str) -> str:
    r"""Return a text as the database stores it: a lone surrogate, which UTF-8 lacks, becomes its escape.

    >>> storable("الماي مقطوع \ud83d")
    'الماي مقطوع \\ud83d'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _storable(values: Sequence[Any]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]


def _crc(*values: Any) -> int:
    """Return the checksum of a row's values."""
    checksum = 0
    for value in values:
        checksum = crc32(value if isinstance(value, bytes) else repr(value).encode(), checksum)
    return checksum
