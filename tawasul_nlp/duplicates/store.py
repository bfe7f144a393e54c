"""The folder of an index: a database, a file of vectors and a graph of neighbours, changed together.

``index.sqlite`` holds the cases, their features and every decision; ``checksums`` a checksum of each of its pages;
``vectors.f16`` the cases' search vectors, one row per case, append-only. Vectors are forced to disk before the
transaction that refers to them is committed, so committed cases survive a kill or a power cut; trailing vectors without
a transaction are truncated when the folder is opened. The graph is a cache: it is saved when the folder is closed and
many cases are new to it, and rebuilt from the vectors when it is missing or not the one that the database records.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.candidates import EXACT_BELOW, PLACE_SIZE, new_index
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.checksums import CHECKSUMS, checksum, write_whole
from tawasul_nlp.duplicates.database import (
    DATABASE,
    FORMAT_VERSION,
    VECTORS,
    WITHOUT_CHECKSUMS,
    WITHOUT_DECISIONS,
    IndexDatabase,
)
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.history import HISTORY_SCHEMA
from tawasul_nlp.duplicates.incidents import IndexCheck
from tawasul_nlp.duplicates.links import LINKS_SCHEMA, check_links
from tawasul_nlp.errors import IndexDiskError, IndexFormatError

# The graph is saved when this many cases are new to it; adding them at the next opening takes about a second.
_UNSAVED = 10_000
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT, representative INTEGER NOT NULL, closed_at TEXT, recurrence_of INTEGER
);
CREATE TABLE cases (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, text TEXT NOT NULL, created_at TEXT, place TEXT,
    columns BLOB NOT NULL, place_key INTEGER NOT NULL, group_id INTEGER NOT NULL, score REAL NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX cases_of_group ON cases (group_id, place_key);
"""
_DECISIONS_SCHEMA = (
    f"{LINKS_SCHEMA}{HISTORY_SCHEMA}CREATE INDEX recurrences ON groups (recurrence_of) WHERE recurrence_of IS NOT NULL;"
)
_ADDED_COLUMNS = """
ALTER TABLE groups ADD COLUMN closed_at TEXT;
ALTER TABLE groups ADD COLUMN recurrence_of INTEGER;
"""


class IndexFolder(IndexDatabase):
    """An open folder.

    Parameters
    ----------
    folder : Path
    model_hash : str
        Hash of the model that computed the vectors.
    width : int
        Width of an incident vector.
    domain : Domain
        Whose places the cases are compared by.

    Raises
    ------
    IndexLockedError, IndexFormatError, IndexDiskError
        As :class:`~tawasul_nlp.duplicates.database.IndexDatabase`, or if it was created with another model or domain.
    """

    def __init__(self, folder: Path, model_hash: str, width: int, domain: Domain) -> None:
        super().__init__(folder)
        self.width = width
        self.domain = domain
        self._row_bytes = (width + PLACE_SIZE) * 2
        self._checksum = 0
        try:
            self._prepare(model_hash)
            self._open_vectors()
            self._open_graph()
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        """Save the graph if that makes the next opening faster, and close the files."""
        try:
            if not self.read_only and self.rows() - self._saved_rows >= _UNSAVED:
                self._save_graph()
        finally:
            super().close()

    # -- the database --------------------------------------------------------------------------------------------------

    def threshold(self) -> float | None:
        """Return the threshold of the last decision; None if none was set."""
        return self._number("threshold", "its threshold", 1)

    def reopen_days(self) -> float | None:
        """Return how long closed incidents may reopen; None if that was not set."""
        return self._number("reopen_days", "the time for which its closed incidents may reopen", math.inf)

    def _number(self, name: str, what: str, most: float) -> float | None:
        found = self.facts().get(name)
        try:
            number = None if found is None else float(found)
        except (TypeError, ValueError):
            number = -1.0
        if number is not None and not 0 <= number <= most:
            raise self.damaged(f"{what} is {found!r}")
        return number

    def keep_threshold(self, threshold: float) -> None:
        """Store the threshold of the decisions, inside a :meth:`transaction`."""
        self.keep(threshold=repr(float(threshold)))

    def rows(self) -> int:
        """Return the number of rows ever added; removed ones keep their place in the vector file."""
        found = self.facts().get("rows", "0")
        if not str(found).isdecimal():
            raise self.damaged(f"it says that it holds {found!r} rows")
        return int(found)

    @contextmanager
    def transaction(self, vectors: np.ndarray | None = None) -> Iterator[int]:
        """Commit the block's changes to the database, the file and the graph, or roll all of them back.

        ``vectors`` (n, width + places) are appended first. Yields the number of their first row.

        Raises
        ------
        IndexDiskError
            If the disk is full, or the folder is read-only; then nothing is changed.
        """
        start = self.rows()
        data = b"" if vectors is None else vectors.astype("<f2").tobytes()
        after = crc32(data, self._checksum)
        if self.read_only:
            raise IndexDiskError(f"{self.path}: the folder is read-only, so the index only answers queries")
        try:
            with self.committed():
                if vectors is not None:
                    self._append(start, data)
                yield start
                if vectors is not None:
                    size = start * self._row_bytes + len(data)
                    self.keep(rows=str(start + len(vectors)), vectors=f"{size} {after}")
            self._checksum = after
        except BaseException:
            self._open_vectors()
            self._open_graph()
            raise

    # -- the vectors and the graph -------------------------------------------------------------------------------------

    def search_vectors(self, rows: Sequence[int]) -> np.ndarray:
        """Return search vectors of rows: (rows, width + places), float32."""
        parts = []
        for row in rows:
            self.vectors.seek(row * self._row_bytes)
            parts.append(self.vectors.read(self._row_bytes))
        return np.frombuffer(b"".join(parts), "<f2").reshape(len(rows), -1).astype(np.float32)

    def unpack(self, rows: Sequence[int], blobs: Sequence[bytes]) -> CaseFeatures:
        """Return the features of rows from their packed form."""
        vectors = self.search_vectors(rows)[:, : self.width]
        # Normalised again without the places.
        return unpack(blobs, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), self.domain)

    def read(self, rows: Sequence[int]) -> CaseFeatures:
        """Return the features of rows."""
        return self.unpack(rows, [self.one("SELECT columns FROM cases WHERE row = ?", row) for row in rows])

    def link(self, start: int, vectors: np.ndarray) -> None:
        """Add search vectors to the graph, from row ``start`` on."""
        self._graph.add(np.arange(start, start + len(vectors)), vectors)

    def unlink(self, row: int) -> None:
        """Take a row out of the graph."""
        self._graph.remove(row)

    def nearest(self, vector: np.ndarray, k: int) -> list[int]:
        """Return the rows of at most ``k`` nearest search vectors.

        For few cases the search is exact, on every machine. A graph may miss one of them, depending on the order and
        the number of threads that built it.
        """
        size = len(self._graph)
        if not size:
            return []
        found = self._graph.search(vector.astype(np.float32), min(k, size), exact=size <= EXACT_BELOW)
        return [int(found.keys[at]) for at in np.lexsort((found.keys, found.distances))]

    def _append(self, start: int, data: bytes) -> None:
        self.vectors.seek(start * self._row_bytes)
        write_whole(self.vectors, data)
        os.fsync(self.vectors.fileno())

    # -- opening -------------------------------------------------------------------------------------------------------

    def _prepare(self, model_hash: str) -> None:
        facts = self.facts()
        if not facts:
            with self.committed():
                self._execute(_SCHEMA + _DECISIONS_SCHEMA)
                empty = f"0 {crc32(b'')}"
                self.keep(format_version=str(FORMAT_VERSION), model_hash=model_hash, vectors=empty)
                self.keep(domain=self.domain.case_fingerprint, domain_id=self.domain.id)
            facts = self.facts()
        version = checked_version(self)
        if facts.get("model_hash") != model_hash:
            raise IndexFormatError(
                f"{self.path}: created with model {facts.get('model_hash')}, opened with {model_hash}; vectors of two "
                "models cannot be compared: open it with the first, or rebuild it from its cases (tawasul index "
                "rebuild, or rebuild_index)"
            )
        self._check_domain(facts)
        self.threshold(), self.reopen_days()  # unreadable ones are damage too
        if version != str(FORMAT_VERSION):
            self._upgrade(version)

    def _upgrade(self, version: str) -> None:
        if self.read_only:
            raise IndexDiskError(
                f"{self.path}: an index of format version {version} is upgraded when it is opened, but the folder is "
                "read-only; open it once where it is writable"
            )
        size = self._whole_vectors()
        with self.committed():
            if version == WITHOUT_CHECKSUMS:
                self.keep(vectors=f"{size} {checksum(self.vectors, size)}")
            self._execute(_ADDED_COLUMNS + _DECISIONS_SCHEMA)
            self.keep(format_version=str(FORMAT_VERSION))

    def _execute(self, statements: str) -> None:
        for statement in filter(str.strip, statements.split(";")):
            self.change(statement)

    def _check_domain(self, facts: Mapping[str, str]) -> None:
        """Refuse a domain that reads places or numbers otherwise than that of the cases.

        An index without one is of before there were packs, when the default one was the only one.
        """
        own, default = self.domain.case_fingerprint, Domain.bundled()
        made_with = facts.get("domain", default.case_fingerprint)
        if made_with != own:
            raise IndexFormatError(
                f"{self.path}: created with the domain {facts.get('domain_id', default.id)} ({made_with}), opened with "
                f"{self.domain.id} ({own}); cases of two domains cannot be compared: open it with the first, or "
                "rebuild it from its cases (tawasul index rebuild, or rebuild_index)"
            )

    def _whole_vectors(self) -> int:
        """Return the size of the vectors of all rows in bytes, and check that they are there."""
        size, expected = os.stat(self.vectors.fileno()).st_size, self.rows() * self._row_bytes
        if size < expected:
            raise self.damaged(f"{size} bytes, expected {expected} for {self.rows()} cases", VECTORS)
        return expected

    def _open_vectors(self) -> None:
        size = self._whole_vectors()
        self._checksum = check_vectors(self)
        if not self.read_only:
            self.vectors.truncate(size)

    def _open_graph(self) -> None:
        self._graph = new_index(self.width + PLACE_SIZE)
        self._saved_rows = 0
        saved = saved_graph(self)
        if saved is not None and saved.is_sound():
            try:
                self._graph.load(str(saved.path))
                self._saved_rows = saved.rows
            except RuntimeError:  # saved by an incompatible version of usearch
                self._graph = new_index(self.width + PLACE_SIZE)
        elif saved is not None and not self.read_only:
            saved.path.unlink(missing_ok=True)
        # Through the index of ids, which is small: the table holds the texts.
        rows = [row for (row,) in self.all("SELECT row FROM cases INDEXED BY sqlite_autoindex_cases_1")]
        if not all(isinstance(row, int) for row in rows):
            raise self.damaged("it names rows that are not numbers")
        present = np.sort(np.array(rows, np.int64))
        if len(present) and not (present[0] >= 0 and present[-1] < self.rows() and (np.diff(present) > 0).all()):
            raise self.damaged("it names rows that were never added")
        later = present[present >= self._saved_rows]
        if len(later):
            self._graph.add(later, self.search_vectors(later.tolist()))
        if self._saved_rows:
            for row in np.setdiff1d(np.arange(self._saved_rows), present).tolist():
                if row in self._graph:
                    self._graph.remove(row)

    def _save_graph(self) -> None:
        temporary = self.path / "graph.tmp"
        with self.named_errors():
            try:
                self._graph.save(str(temporary))
            except RuntimeError as error:  # usearch's error for any problem with a file
                raise OSError(str(error)) from error
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut could leave half a graph under its name
            if temporary.stat().st_size != self._graph.serialized_length:
                raise OSError(f"{temporary} was not written completely")
        saved = SavedGraph(self.path, self.rows(), _file_checksum(temporary), sys.byteorder)
        # A process killed between the two leaves an unknown graph, which is rebuilt.
        with self.committed():
            self.keep(graph=saved.text())
        os.replace(temporary, saved.path)
        for old in self.path.glob("graph-*.usearch"):
            if old != saved.path:
                old.unlink()
        self._saved_rows = saved.rows


@dataclass(frozen=True, slots=True)
class SavedGraph:
    """The record of a saved graph: the number of rows added until then, and its file's checksum.

    The file has the byte order of the machine that saved it.
    """

    folder: Path
    rows: int
    checksum: int
    byte_order: str

    @property
    def path(self) -> Path:
        """Return its path."""
        return self.folder / f"graph-{self.rows}.usearch"

    def text(self) -> str:
        """Return it as a fact of the database."""
        return f"{self.rows} {self.checksum} {self.byte_order}"

    def is_sound(self) -> bool:
        """Return whether the file exists undamaged; usearch would read out of bounds in a damaged one."""
        return self.byte_order == sys.byteorder and self.path.is_file() and _file_checksum(self.path) == self.checksum


def saved_graph(database: IndexDatabase) -> SavedGraph | None:
    """Return the database's record of the saved graph."""
    if "graph" not in database.facts():
        return None
    rows, checksum, byte_order = _fact(database, "graph", r"(\d+) (\d+) (little|big)")
    return SavedGraph(database.path, int(rows), int(checksum), byte_order)


def check_vectors(database: IndexDatabase) -> int:
    """Return the checksum of an index's vectors.

    Raises
    ------
    IndexFormatError
        If they are not what the database says.
    """
    size, expected = map(int, _fact(database, "vectors", r"(\d+) (\d+)"))
    if checksum(database.vectors, size) != expected:
        raise database.damaged(f"its first {size} bytes were changed", VECTORS)
    return expected


def _file_checksum(path: Path) -> int:
    with path.open("rb", buffering=0) as file:
        return checksum(file, os.stat(file.fileno()).st_size)


def _fact(database: IndexDatabase, name: str, pattern: str) -> tuple[str, ...]:
    """Return the parts of a fact of the database."""
    value = database.facts().get(name)
    found = re.fullmatch(pattern, str(value), re.ASCII)
    if found is None:
        raise database.damaged(f"its record of the {name} is {value!r}")
    return found.groups()


def checked_version(database: IndexDatabase) -> str:
    """Return the format version of an index.

    Raises
    ------
    IndexFormatError
        If this library does not read it.
    """
    version = str(database.facts().get("format_version", ""))
    if version in (WITHOUT_CHECKSUMS, WITHOUT_DECISIONS, str(FORMAT_VERSION)):
        return version
    newer = version.isdigit() and int(version) > FORMAT_VERSION
    raise IndexFormatError(
        f"{database.path}: index of format version {version or 'unknown'}, this library reads {FORMAT_VERSION}; "
        + ("upgrade tawasul-nlp" if newer else "create a new index and add the cases again")
    )


def check_folder(folder: Path) -> IndexCheck:
    """Check every file of a folder; see :meth:`~tawasul_nlp.duplicates.DuplicateIndex.verify`."""
    if not (folder / DATABASE).is_file():
        raise no_index(folder)
    with closing(IndexDatabase(folder)) as database:
        version = checked_version(database)
        if version == WITHOUT_CHECKSUMS:
            raise IndexFormatError(
                f"{folder}: an index of an earlier version, whose vectors have no checksum; open it once to add it"
            )
        check_vectors(database)
        database.check_structure()
        if version == str(FORMAT_VERSION):
            check_links(database)
        saved = saved_graph(database)
        if saved is not None and saved.path.is_file() and not saved.is_sound():
            raise IndexFormatError(f"{saved.path}: damaged; delete it, and opening the index rebuilds it")
        names = (DATABASE, CHECKSUMS, VECTORS, *([saved.path.name] if saved is not None else []))
        return IndexCheck(
            cases=database.one("SELECT count(*) FROM cases"),
            incidents=database.one("SELECT count(*) FROM groups"),
            bytes=sum(path.stat().st_size for path in map(folder.joinpath, names) if path.is_file()),
        )


def read_cases(folder: Path) -> list[Case]:
    """Return the cases of a folder, of any model and version, in the order of arrival."""
    query = "SELECT text, id, created_at, place FROM cases ORDER BY row"
    if not (folder / DATABASE).is_file():
        raise no_index(folder)
    with closing(IndexDatabase(folder)) as database:
        return [Case(*row) for row in database.all(query)]


def beside(folder: Path) -> tuple[Path, Path]:
    """Return where a rebuild makes the new index, and where it keeps the old one."""
    folder = folder.resolve()
    return folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")


def check_rebuild_ended(folder: Path) -> None:
    """Raise IndexFormatError if a rebuild was killed between its last two steps, so that the index has another name."""
    new, old = beside(folder)
    if not folder.exists() and (new / DATABASE).is_file() and (old / DATABASE).is_file():
        raise IndexFormatError(
            f"{folder}: a rebuild was stopped before its last step; rename {new.name}, which is complete, to "
            f"{folder.name}"
        )


def no_index(folder: Path) -> IndexFormatError:
    """Return the error for a folder without an index."""
    return IndexFormatError(f"{folder}: no index here ({DATABASE} is missing)")
