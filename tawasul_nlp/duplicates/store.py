"""The folder of an index: a database, a file of vectors and a graph of neighbours that are changed together.

``index.sqlite`` holds the cases, what they are compared by, and every decision; ``vectors.f16`` their search vectors,
one row a case, only ever appended to. Vectors are forced to disk before the transaction that names them is committed,
so what was committed survives a kill or a power cut; a tail of vectors that no transaction names is cut off when the
folder is opened. The graph is a cache: it is saved when the folder is closed and many cases are new to it, and made
again from the vectors when it is missing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.candidates import PLACE_SIZE, new_index
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.columns import Columns, unpack
from tawasul_nlp.errors import IndexFormatError

FORMAT_VERSION = 3
DATABASE = "index.sqlite"
VECTORS = "vectors.f16"
# A graph is saved when so many cases are not in the saved one; reading them at the next opening takes about a second.
_UNSAVED = 10_000
_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)  # what sqlite3 raises of a database that is not sound
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE groups (id INTEGER PRIMARY KEY AUTOINCREMENT, representative INTEGER NOT NULL);
CREATE TABLE cases (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, created_at TEXT, place TEXT,
    columns BLOB NOT NULL, place_key INTEGER NOT NULL, group_id INTEGER NOT NULL, score REAL NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX cases_of_group ON cases (group_id, place_key);
"""


class IndexFolder:
    """An open folder; who opens it holds its lock.

    Parameters
    ----------
    folder : Path
        It exists.
    model_hash : str
        Of the model that the vectors come from.
    width : int
        Numbers of an incident vector.

    Raises
    ------
    IndexFormatError
        If it is damaged, newer, or made with another model.
    """

    def __init__(self, folder: Path, model_hash: str, width: int) -> None:
        self.path = folder
        self.width = width
        self._row_bytes = (width + PLACE_SIZE) * 2
        self._database = sqlite3.connect(folder / DATABASE, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(model_hash)
            self._vectors = self._open_vectors()
            self._open_graph()
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise self._damaged(DATABASE, error) from error
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Save the graph if that makes the next opening faster, and close the files."""
        try:
            if self.rows() - self._saved_rows >= _UNSAVED:
                self._save_graph()
        finally:
            self._database.close()
            self._vectors.close()

    def _damaged(self, file: str, found: object) -> IndexFormatError:
        return _damage(self.path / file, found)

    # -- the database --------------------------------------------------------------------------------------------------

    def all(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query.

        Raises
        ------
        IndexFormatError
            If the database turns out to be damaged, which opening it does not always show.
        """
        try:
            return self._database.execute(query, _storable(values)).fetchall()
        except _DAMAGE as error:
            raise self._damaged(DATABASE, error) from error

    def first(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        return next(iter(self.all(query, values)), None)

    def one(self, query: str, *values: Any) -> Any:
        """Return the only value of a query."""
        return self.all(query, values)[0][0]

    def change(self, statement: str, *values: Any) -> int:
        """Change the database, inside a :meth:`transaction`; return the row number of what was inserted."""
        return self._database.execute(statement, _storable(values)).lastrowid or 0

    def change_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Run a statement for each row of values, inside a :meth:`transaction`."""
        self._database.executemany(statement, map(_storable, rows))

    def facts(self) -> dict[str, str]:
        """Return what the index was made with."""
        return dict(self.all("SELECT name, value FROM meta"))

    def threshold(self) -> float | None:
        """Return the threshold of what was decided last; None for an index that was not told one."""
        found = self.facts().get("threshold")
        try:
            threshold = None if found is None else float(found)
        except (TypeError, ValueError):
            threshold = -1.0
        if threshold is not None and not 0 <= threshold <= 1:
            raise self._damaged(DATABASE, f"its threshold is {found!r}")
        return threshold

    def keep_threshold(self, threshold: float) -> None:
        """Store the threshold of what is decided, inside a :meth:`transaction`."""
        self.change("INSERT OR REPLACE INTO meta VALUES ('threshold', ?)", repr(float(threshold)))

    def rows(self) -> int:
        """Return how many rows were ever added; removed ones keep their place in the vector file."""
        found = self.facts().get("rows", "0")
        if not str(found).isdecimal():
            raise self._damaged(DATABASE, f"it says that it holds {found!r} rows")
        return int(found)

    @contextmanager
    def transaction(self, vectors: np.ndarray | None = None) -> Iterator[int]:
        """Commit what happens inside, or undo all of it, in the database, the file and the graph.

        ``vectors`` (n, width + places) are appended first. What is inside gets the number of their first row.
        """
        start = self.rows()
        self._database.execute("BEGIN IMMEDIATE")
        try:
            if vectors is not None:
                self._append(vectors)
            yield start
            if vectors is not None:
                total = str(start + len(vectors))
                self._database.execute("INSERT OR REPLACE INTO meta VALUES ('rows', ?)", (total,))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk may have ended it
                self._database.execute("ROLLBACK")
            self._vectors.truncate(start * self._row_bytes)
            self._open_graph()
            raise

    # -- the vectors and the graph -------------------------------------------------------------------------------------

    def search_vectors(self, rows: Sequence[int]) -> np.ndarray:
        """Return search vectors of rows: (rows, width + places), float32."""
        descriptor = self._vectors.fileno()
        self._vectors.flush()
        data = b"".join(os.pread(descriptor, self._row_bytes, row * self._row_bytes) for row in rows)
        return np.frombuffer(data, np.float16).reshape(len(rows), -1).astype(np.float32)

    def unpack(self, rows: Sequence[int], blobs: Sequence[bytes]) -> Columns:
        """Return the columns of rows whose packed columns were read."""
        vectors = self.search_vectors(rows)[:, : self.width]
        # Of length 1 again without the places beside them.
        return unpack(blobs, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))

    def read(self, rows: Sequence[int]) -> Columns:
        """Return the columns of rows."""
        return self.unpack(rows, [self.one("SELECT columns FROM cases WHERE row = ?", row) for row in rows])

    def link(self, start: int, vectors: np.ndarray) -> None:
        """Add search vectors to the graph, from row ``start`` on."""
        self._graph.add(np.arange(start, start + len(vectors)), vectors)

    def unlink(self, row: int) -> None:
        """Take a row out of the graph."""
        self._graph.remove(row)

    def nearest(self, vector: np.ndarray, k: int) -> list[int]:
        """Return the rows whose search vectors are nearest to one, at most ``k``."""
        if not len(self._graph):
            return []
        return [int(key) for key in self._graph.search(vector.astype(np.float32), min(k, len(self._graph))).keys]

    # -- opening -------------------------------------------------------------------------------------------------------

    def _prepare(self, model_hash: str) -> None:
        empty = not self.one("SELECT count(*) FROM sqlite_master")
        vectors = self.path / VECTORS
        if empty and vectors.is_file() and vectors.stat().st_size:
            raise self._damaged(DATABASE, f"it is empty but {VECTORS} is not")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA secure_delete = ON")  # of removed cases nothing stays in free pages
        if empty:
            # One transaction: a process that is killed while it makes an index leaves none, not half a one.
            self._database.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)
            for fact in (("format_version", str(FORMAT_VERSION)), ("model_hash", model_hash)):
                self._database.execute("INSERT INTO meta VALUES (?, ?)", fact)
            self._database.execute("COMMIT")
        self._check(model_hash)

    def _check(self, model_hash: str) -> None:
        facts = self.facts()
        version = facts.get("format_version")
        if version != str(FORMAT_VERSION):
            newer = version is not None and version.isdigit() and int(version) > FORMAT_VERSION
            raise IndexFormatError(
                f"{self.path}: index of format version {version}, this library reads {FORMAT_VERSION}; "
                + ("upgrade tawasul-nlp" if newer else "make a new index and add the cases again")
            )
        if facts.get("model_hash") != model_hash:
            raise IndexFormatError(
                f"{self.path}: made with model {facts.get('model_hash')}, opened with {model_hash}; vectors of two "
                "models cannot be compared: open it with the first, or make a new index and add the cases again "
                "(DuplicateIndex.stored gives them, without any model)"
            )
        self.threshold()  # one that cannot be read is damage too

    def _open_vectors(self) -> Any:
        path = self.path / VECTORS
        if not path.exists():
            path.touch()
            _sync_folder(self.path)
        size, expected = path.stat().st_size, self.rows() * self._row_bytes
        if size < expected:
            raise self._damaged(VECTORS, f"{size} bytes, expected {expected} for {self.rows()} cases")
        file = path.open("r+b")
        file.truncate(expected)
        return file

    def _append(self, vectors: np.ndarray) -> None:
        self._vectors.seek(0, os.SEEK_END)
        self._vectors.write(vectors.astype(np.float16).tobytes())
        self._vectors.flush()
        os.fsync(self._vectors.fileno())

    def _open_graph(self) -> None:
        saved = sorted(self.path.glob("graph-*.usearch"), key=_rows_of_graph)
        self._graph = new_index(self.width + PLACE_SIZE)
        self._saved_rows = 0
        if saved and _rows_of_graph(saved[-1]) <= self.rows():
            try:
                self._graph.load(str(saved[-1]))
                self._saved_rows = _rows_of_graph(saved[-1])
            except Exception:  # usearch raises bare RuntimeError; the graph can always be made again from the vectors
                self._graph = new_index(self.width + PLACE_SIZE)
        rows = [row for (row,) in self.all("SELECT row FROM cases ORDER BY row")]
        if not all(isinstance(row, int) for row in rows):
            raise self._damaged(DATABASE, "it names rows that are no numbers")
        present = np.array(rows, np.int64)
        if len(present) and not (present[0] >= 0 and present[-1] < self.rows() and (np.diff(present) > 0).all()):
            raise self._damaged(DATABASE, "it names rows that were never added")
        later = present[present >= self._saved_rows]
        if len(later):
            self._graph.add(later, self.search_vectors(later.tolist()))
        if self._saved_rows:
            for row in np.setdiff1d(np.arange(self._saved_rows), present).tolist():
                if row in self._graph:
                    self._graph.remove(row)

    def _save_graph(self) -> None:
        target = self.path / f"graph-{self.rows()}.usearch"
        temporary = self.path / "graph.tmp"
        self._graph.save(str(temporary))
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # or after a power cut half a graph could stand under its name
        os.replace(temporary, target)
        for old in self.path.glob("graph-*.usearch"):
            if old != target:
                old.unlink()
        self._saved_rows = self.rows()


def stored_cases(folder: Path) -> list[Case]:
    """Return the cases of a folder, whichever model and version made it, in the order in which they came."""
    path = folder / DATABASE
    if not path.is_file():
        raise IndexFormatError(f"{folder}: no index here ({DATABASE} is missing)")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as database:
            rows = database.execute("SELECT text, id, created_at, place FROM cases ORDER BY row").fetchall()
    except _DAMAGE as error:
        raise _damage(path, error) from error
    return [Case(*row) for row in rows]


def _damage(path: Path, found: object) -> IndexFormatError:
    return IndexFormatError(
        f"{path}: damaged ({found}); restore the folder from a backup, or make a new index and add the cases again"
    )


def storable(text: str) -> str:
    r"""Return a text as the database holds it: half of a surrogate pair, which UTF-8 lacks, becomes its escape.

    >>> storable("الماي مقطوع \ud83d")
    'الماي مقطوع \\ud83d'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _storable(values: Sequence[Any]) -> list[Any]:
    return [storable(value) if isinstance(value, str) else value for value in values]


def _rows_of_graph(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of files to disk; Windows, where folders cannot be opened, does so by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
