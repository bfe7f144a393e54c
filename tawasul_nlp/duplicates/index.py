"""``DuplicateIndex``: open incidents that live in a folder while cases arrive one by one.

The folder holds ``index.sqlite`` (cases, what they are compared by, and every decision), ``vectors.f16`` (search
vectors, one row a case, only ever appended to) and, to open faster, a saved graph of neighbours. Vectors are forced to
disk before the transaction that names them is committed, so whatever ``add`` has returned survives a kill or a power
cut; a tail of vectors that no transaction names is cut off when the index is opened.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.candidates import NEIGHBOURS, PLACE_SIZE, new_index, search_vectors
from tawasul_nlp.duplicates.cases import Case, as_cases
from tawasul_nlp.duplicates.columns import Columns, pack, place_keys, unpack
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups, pair_reasons
from tawasul_nlp.duplicates.reading import case_columns
from tawasul_nlp.duplicates.scorer import conflicting_places
from tawasul_nlp.duplicates.stars import Edges, PlaceConflicts, star_groups
from tawasul_nlp.errors import IndexFormatError, IndexLockedError

FORMAT_VERSION = 1
DATABASE = "index.sqlite"
VECTORS = "vectors.f16"
LOCK = "lock"
# A graph is saved when so many cases are not in the saved one; reading them at the next opening takes about a second.
_UNSAVED = 10_000
# So many cases are grouped anew among themselves when one is added (some milliseconds); beyond, it only joins.
_LOCAL = 48
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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a case was put.

    Attributes
    ----------
    id : str
    group_id : int
        The incident.
    is_new : bool
        Whether the case was just added and was then the first report of its incident.
    score : float
        Probability that the case and the incident's representative tell of one incident; 1 for the representative.
    reason : str
    """

    id: str
    group_id: int
    is_new: bool
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Match:
    """An open incident that a case may belong to, with its representative.

    ``score`` and ``reason`` are those of its case that is most alike; ``is_duplicate`` says whether that is enough.
    """

    group_id: int
    representative: str
    text: str
    size: int
    score: float
    reason: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident of the index: the ids of its representative and of all its cases, representative first."""

    group_id: int
    representative: str
    members: tuple[str, ...]
    scores: tuple[float, ...]
    reasons: tuple[str, ...]


class DuplicateIndex:
    """Incidents that grow as cases arrive.

    Open one with :meth:`open`, and close it, best with ``with``. One process at a time may have it open; its threads
    may share it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
    ...     first = index.add(["انقطع التيار عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد"])[0]
    ...     match = index.query("الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد")[0]
    ...     match.group_id == first.group_id, match.is_duplicate
    (True, True)
    """

    def __init__(self, folder: Path, grouper: DuplicateGrouper, lock: Any) -> None:
        self.folder = folder
        self._grouper = grouper
        self._lock_file = lock
        self._thread_lock = threading.RLock()
        self._closed = False
        self._width = grouper.classifier.incident_size
        self._search_width = self._width + PLACE_SIZE
        self._graph: Any = None
        self._saved_rows = 0
        self._database = sqlite3.connect(folder / DATABASE, isolation_level=None, check_same_thread=False)
        try:
            self._prepare_database()
            self._vectors = self._open_vectors()
            self._open_graph()
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise IndexFormatError(
                f"{folder / DATABASE}: damaged ({error}); restore the folder from a backup, or make a new index and "
                "add the cases again"
            ) from error
        except BaseException:
            self._database.close()
            raise

    @classmethod
    def open(
        cls, folder: str | Path, grouper: DuplicateGrouper | None = None, *, create: bool = True
    ) -> DuplicateIndex:
        """Open an index, or make one.

        Parameters
        ----------
        folder : str or Path
        grouper : DuplicateGrouper or None
            Reads and compares the cases; None for the bundled model. An index can only be opened with the model
            that made it.
        create : bool
            Whether to make the index if there is none.

        Raises
        ------
        IndexLockedError
            If another process has it open.
        IndexFormatError
            If it is damaged, newer, made with another model, or not there and not to be made.
        """
        from filelock import FileLock, Timeout

        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise IndexFormatError(f"{folder}: a file, expected a folder")
        if not (folder / DATABASE).is_file():
            if not create:
                raise IndexFormatError(f"{folder}: no index here ({DATABASE} is missing); add cases to make one")
            if folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir()):
                raise IndexFormatError(f"{folder}: not empty and no index; choose a new folder")
        grouper = grouper or DuplicateGrouper.from_pretrained()
        folder.mkdir(parents=True, exist_ok=True)
        # Not local to a thread: whichever thread closes the index must let it go.
        lock = FileLock(folder / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise IndexLockedError(
                f"{folder}: this index is open already, in another process or elsewhere in this one; wait until it is "
                "closed there"
            ) from error
        try:
            return cls(folder, grouper, lock)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> DuplicateIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save what makes the next opening fast, and let other processes open the index. Nothing depends on it."""
        with self._thread_lock:
            if self._closed:
                return
            self._closed = True
            if self._rows() - self._saved_rows >= _UNSAVED:
                self._save_graph()
            self._database.close()
            self._vectors.close()
            self._lock_file.release()

    def __len__(self) -> int:
        with self._thread_lock:
            self._check_open()
            return int(self._one("SELECT count(*) FROM cases"))

    def __contains__(self, case_id: object) -> bool:
        with self._thread_lock:
            self._check_open()
            return self._database.execute("SELECT 1 FROM cases WHERE id = ?", (case_id,)).fetchone() is not None

    # -- reading -----------------------------------------------------------------------------------------------------

    def query(self, case: str | Mapping[str, Any] | Case, k: int = 5) -> list[Match]:
        """Say which open incidents a case may belong to, the likeliest first; nothing is stored.

        Parameters
        ----------
        case : str, mapping or Case
        k : int
            At most so many incidents.
        """
        with self._thread_lock:
            self._check_open()
            columns = case_columns(self._grouper.classifier, as_cases([case]), workers=1)
            matches = []
            for offer in self._offers(columns, search_vectors(columns)[0])[:k]:
                case_id, text = self._database.execute(
                    "SELECT id, text FROM cases WHERE row = ?", (offer.representative,)
                ).fetchone()
                size = int(self._one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
                fits = offer.score >= self._grouper.threshold and self._compatible(columns, offer.group_id)
                matches.append(Match(offer.group_id, case_id, text, size, offer.score, offer.reason, fits))
            return matches

    def groups(self, min_size: int = 2) -> list[Incident]:
        """Return the incidents with at least ``min_size`` cases, the largest first."""
        with self._thread_lock:
            self._check_open()
            rows = self._database.execute(
                "SELECT group_id FROM cases GROUP BY group_id HAVING count(*) >= ? ORDER BY count(*) DESC, group_id",
                (min_size,),
            ).fetchall()
            return [self.group(group_id) for (group_id,) in rows]

    def group(self, group_id: int) -> Incident:
        """Return one incident by its id.

        Raises
        ------
        KeyError
            If there is none of this id (any more).
        """
        with self._thread_lock:
            self._check_open()
            rows = self._database.execute(
                "SELECT c.id, c.score, c.reason FROM cases c JOIN groups g ON g.id = c.group_id WHERE g.id = ? "
                "ORDER BY c.row != g.representative, c.score DESC, c.row",
                (group_id,),
            ).fetchall()
        if not rows:
            raise KeyError(f"no group {group_id} in {self.folder}")
        ids, scores, reasons = zip(*rows, strict=True)
        return Incident(group_id, ids[0], ids, scores, reasons)

    def text(self, case_id: str) -> str:
        """Return the text of a case.

        Raises
        ------
        KeyError
            If there is no case of this id.
        """
        with self._thread_lock:
            self._check_open()
            return str(self._of_case(case_id, "text")[0])

    def placements(self) -> dict[str, Placement]:
        """Return where every case is, by its id, in the order in which they were added."""
        with self._thread_lock:
            self._check_open()
            found = self._database.execute("SELECT id, group_id, score, reason FROM cases ORDER BY row").fetchall()
        return {row[0]: Placement(row[0], row[1], False, row[2], row[3]) for row in found}

    def stats(self) -> dict[str, Any]:
        """Return counts of cases and incidents, and what the index was made with."""
        with self._thread_lock:
            self._check_open()
            sizes = [size for (size,) in self._database.execute("SELECT count(*) FROM cases GROUP BY group_id")]
            model_hash = self._meta()["model_hash"]
        several = [size for size in sizes if size > 1]
        return {
            "cases": sum(sizes),
            "incidents": len(sizes),
            "groups": len(several),
            "grouped_cases": sum(several),
            "largest_group": max(sizes, default=0),
            "model_hash": model_hash,
            "format_version": FORMAT_VERSION,
            "bytes": sum(entry.stat().st_size for entry in self.folder.iterdir() if entry.is_file()),
        }

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, cases: Iterable[str | Mapping[str, Any] | Case]) -> list[Placement]:
        """Add cases; what is returned is on disk.

        A case whose id is already there with the same text is left alone, so that an interrupted run may be repeated.

        Returns
        -------
        list of Placement
            In the order of ``cases``.

        Raises
        ------
        InvalidTextError
            If an item is not a case; then nothing is added.
        ValueError
            If an id is already there with another text; then nothing is added.
        """
        with self._thread_lock:
            self._check_open()
            listed = as_cases(cases)
            fresh = self._fresh(listed)
            if not fresh:
                return [self._placement(str(case.id)) for case in listed]
            columns = case_columns(self._grouper.classifier, [listed[at] for at in fresh])
            vectors = search_vectors(columns)
            start = self._rows()
            names = self._names(listed, fresh, start)
            founders: set[str] = set()
            with self._transaction(start, len(fresh)):
                self._append(vectors)
                for offset, at in enumerate(fresh):
                    row, own = start + offset, columns.take(np.array([offset]))
                    self._store(row, names[at], listed[at], own)
                    self._graph.add(row, vectors[offset])
                    if self._settle(row, own, vectors[offset]):
                        founders.add(names[at])
            return [
                self._placement(name, name in founders)
                for name in (names.get(at, str(case.id)) for at, case in enumerate(listed))
            ]

    def fill(self, groups: DuplicateGroups) -> None:
        """Take over the cases and decisions of a finished grouping: the fast way to start from a large backlog.

        Parameters
        ----------
        groups : DuplicateGroups
            Made by a grouper with the same model.

        Raises
        ------
        ValueError
            If the index is not empty, or if two cases have one id; then nothing is added.
        """
        with self._thread_lock:
            self._check_open()
            if self._rows():
                raise ValueError(f"{self.folder}: has {len(self)} cases; only an empty index can be filled")
            ids = [case.id if case.id is not None else f"case-{row}" for row, case in enumerate(groups.cases)]
            if len(set(ids)) < len(ids):
                raise ValueError("two cases have one id; give every case an id of its own")
            columns, vectors = groups.columns, search_vectors(groups.columns)
            reasons = ["representative"] * len(ids)
            for group in groups.groups:
                for row, reason in zip(group.members, group.reasons, strict=True):
                    reasons[row] = reason
            heads, group_ids = np.unique(groups.representatives, return_inverse=True)
            with self._transaction(0, len(ids)):
                self._append(vectors)
                self._database.executemany("INSERT INTO groups VALUES (?, ?)", enumerate(map(int, heads), start=1))
                created = [case.created_at.isoformat() if case.created_at else None for case in groups.cases]
                self._database.executemany(
                    "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    zip(
                        range(len(ids)),
                        ids,
                        (case.text for case in groups.cases),
                        created,
                        (case.place for case in groups.cases),
                        pack(columns),
                        place_keys(columns).astype(np.int64).tolist(),
                        (group_ids + 1).tolist(),
                        groups.scores.tolist(),
                        reasons,
                        strict=True,
                    ),
                )
                self._graph.add(np.arange(len(ids)), vectors)

    def remove(self, case_id: str) -> None:
        """Forget a case.

        When it was its incident's representative, the others are grouped anew among themselves; most of them keep the
        incident's id.

        Raises
        ------
        KeyError
            If there is no case of this id.
        """
        with self._thread_lock:
            self._check_open()
            row, group_id = self._of_case(case_id, "row, group_id")
            with self._transaction(self._rows(), 0):
                self._database.execute("DELETE FROM cases WHERE row = ?", (row,))
                self._graph.remove(row)
                (head,) = self._database.execute(
                    "SELECT representative FROM groups WHERE id = ?", (group_id,)
                ).fetchone()
                if head == row:
                    self._new_head(group_id)

    def _new_head(self, group_id: int) -> None:
        """Find a new representative for an incident that lost its own."""
        members = self._database.execute(
            "SELECT row, columns FROM cases WHERE group_id = ? ORDER BY score DESC, row", (group_id,)
        ).fetchall()
        if len(members) <= _LOCAL:
            self._regroup([(row, group_id, blob) for row, blob in members])
            if not members:
                self._database.execute("DELETE FROM groups WHERE id = ?", (group_id,))
            return
        head = members[0][0]
        self._database.execute("UPDATE groups SET representative = ? WHERE id = ?", (head, group_id))
        self._assign(head, group_id, 1.0, "representative")
        rows = [row for row, _ in members[1:]]
        joined, first, second = _against(self._read([head]), self._read(rows))
        scores = self._grouper.scorer.score(joined, first, second).tolist()
        reasons = pair_reasons(joined, first, second)
        lost = []
        for row, score, reason in zip(rows, scores, reasons, strict=True):
            if score >= self._grouper.threshold:
                self._assign(row, group_id, score, reason)
            else:
                self._database.execute("UPDATE cases SET group_id = -1 WHERE row = ?", (row,))
                lost.append(row)
        for row in lost:
            self._settle(row, self._read([row]), self._search_rows([row])[0])

    # -- placing one case ----------------------------------------------------------------------------------------------

    def _offers(self, columns: Columns, vector: np.ndarray, row: int | None = None) -> list[_Offer]:
        """Return the incidents near one case by their most similar case, the likeliest first.

        Compared are the nearest cases and the representatives of their incidents; ``row`` is the case's own, if it is
        in the index already.
        """
        if not len(self._graph):
            return []
        matches = self._graph.search(vector.astype(np.float32), min(NEIGHBOURS + 1, len(self._graph)))
        near = [int(key) for key in matches.keys if int(key) != row]
        marks = ",".join("?" * len(near))
        found = self._database.execute(
            f"SELECT g.id, c.row, c.columns, g.representative FROM cases c JOIN groups g ON g.id = c.group_id "
            f"WHERE c.row IN ({marks}) UNION SELECT g.id, h.row, h.columns, g.representative FROM cases c "
            f"JOIN groups g ON g.id = c.group_id JOIN cases h ON h.row = g.representative WHERE c.row IN ({marks})",
            near * 2,
        ).fetchall()
        if not found:
            return []
        others = unpack([blob for _, _, blob, _ in found], self._vector_rows([other for _, other, _, _ in found]))
        joined, first, second = _against(columns, others)
        scores = self._grouper.scorer.score(joined, first, second).tolist()
        reasons = pair_reasons(joined, first, second)
        best: dict[int, _Offer] = {}
        for (group_id, other, _, head), score, reason in zip(found, scores, reasons, strict=True):
            offer = best.get(group_id)
            if offer is None or (score, other == head) > (offer.score, False):
                best[group_id] = _Offer(group_id, head, score, reason)
        return sorted(best.values(), key=lambda offer: (-offer.score, offer.group_id))

    def _settle(self, row: int, columns: Columns, vector: np.ndarray) -> bool:
        """Find the incident of a case that is stored without one; return whether it is the first report of a new one.

        The case and the incidents that it matches are grouped anew among themselves, so that the order in which cases
        come in matters little: a case may be what shows that two incidents are one, or the better representative.
        """
        touched = [
            offer
            for offer in self._offers(columns, vector, row)
            if offer.score >= self._grouper.threshold and self._compatible(columns, offer.group_id)
        ]
        members: list[tuple[int, int, bytes]] = []
        for offer in touched:
            size = int(self._one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
            if len(members) + size <= _LOCAL:
                members += self._database.execute(
                    "SELECT row, group_id, columns FROM cases WHERE group_id = ? ORDER BY row", (offer.group_id,)
                ).fetchall()
        if members:
            self._regroup([*members, (row, -1, pack(columns)[0])])
            group_id = self._one("SELECT group_id FROM cases WHERE row = ?", row)
            return bool(self._one("SELECT count(*) FROM cases WHERE group_id = ?", group_id) == 1)
        # None, or only incidents so large that one more case does not change what they are.
        for offer in touched:
            head = self._read([offer.representative])
            joined, first, second = _against(columns, head)
            score = float(self._grouper.scorer.score(joined, first, second)[0])
            if score >= self._grouper.threshold:
                self._assign(row, offer.group_id, score, pair_reasons(joined, first, second)[0])
                return False
        self._assign(row, self._new_group(row), 1.0, "representative")
        return True

    def _regroup(self, members: list[tuple[int, int, bytes]]) -> None:
        """Group some cases among themselves: (row, group id, columns); -1 for the group of one that has none.

        A new group keeps the id of the old one that most of its cases come from; an id whose cases all went elsewhere
        is gone.
        """
        rows = [row for row, _, _ in members]
        columns = unpack([blob for _, _, blob in members], self._vector_rows(rows))
        first, second = np.triu_indices(len(rows), 1)
        edges = Edges(first, second, self._grouper.scorer.score(columns, first, second))
        heads, scores = star_groups(len(rows), edges.above(self._grouper.threshold), PlaceConflicts(columns))
        reasons = pair_reasons(columns, np.arange(len(rows)), heads)
        old = [group_id for _, group_id, _ in members]
        shared = Counter((int(head), group_id) for head, group_id in zip(heads, old, strict=True) if group_id >= 0)
        ids: dict[int, int] = {}
        for (head, group_id), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
            if head not in ids and group_id not in ids.values():
                ids[head] = group_id
        for head in np.unique(heads).tolist():
            if head in ids:
                self._database.execute("UPDATE groups SET representative = ? WHERE id = ?", (rows[head], ids[head]))
            else:
                ids[head] = self._new_group(rows[head])
        for at, row in enumerate(rows):
            head = int(heads[at])
            self._assign(row, ids[head], float(scores[at]), "representative" if head == at else reasons[at])
        for gone in {group_id for group_id in old if group_id >= 0} - set(ids.values()):
            self._database.execute("DELETE FROM groups WHERE id = ?", (gone,))

    def _new_group(self, row: int) -> int:
        cursor = self._database.execute("INSERT INTO groups (representative) VALUES (?)", (row,))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _assign(self, row: int, group_id: int, score: float, reason: str) -> None:
        self._database.execute(
            "UPDATE cases SET group_id = ?, score = ?, reason = ? WHERE row = ?", (group_id, score, reason, row)
        )

    def _read(self, rows: list[int]) -> Columns:
        blobs = [self._one("SELECT columns FROM cases WHERE row = ?", row) for row in rows]
        return unpack(blobs, self._vector_rows(rows))

    def _compatible(self, columns: Columns, group_id: int) -> bool:
        """Whether a case's place conflicts with that of no member."""
        found = self._database.execute(
            "SELECT min(row), columns FROM cases WHERE group_id = ? GROUP BY place_key", (group_id,)
        ).fetchall()
        members = unpack([blob for _, blob in found], np.zeros((len(found), self._width), np.float32))
        return not bool(conflicting_places(*_against(columns, members)).any())

    # -- files -------------------------------------------------------------------------------------------------------

    def _prepare_database(self) -> None:
        empty = not self._one("SELECT count(*) FROM sqlite_master")
        vectors = self.folder / VECTORS
        if empty and vectors.is_file() and vectors.stat().st_size:
            raise IndexFormatError(
                f"{self.folder}: {DATABASE} is empty but {VECTORS} is not; the folder is damaged: restore it from a "
                "backup, or make a new index and add the cases again"
            )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        if empty:
            # One transaction: a process that is killed while it makes an index leaves none, not half a one.
            self._database.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)
            facts = {"format_version": FORMAT_VERSION, "model_hash": self._grouper.classifier.config.model_hash}
            for name, fact in facts.items():
                self._database.execute("INSERT INTO meta VALUES (?, ?)", (name, str(fact)))
            self._database.execute("COMMIT")
        self._check_meta()

    def _check_meta(self) -> None:
        meta = self._meta()
        version = meta.get("format_version")
        if version != str(FORMAT_VERSION):
            newer = version is not None and version.isdigit() and int(version) > FORMAT_VERSION
            raise IndexFormatError(
                f"{self.folder}: index of format version {version}, this library reads {FORMAT_VERSION}; "
                + ("upgrade tawasul-nlp" if newer else "make a new index and add the cases again")
            )
        own = self._grouper.classifier.config.model_hash
        if meta.get("model_hash") != own:
            raise IndexFormatError(
                f"{self.folder}: made with model {meta.get('model_hash')}, opened with {own}; vectors of two models "
                "cannot be compared: open it with the first, or make a new index and add the cases again"
            )

    def _meta(self) -> dict[str, str]:
        return dict(self._database.execute("SELECT name, value FROM meta").fetchall())

    def _open_vectors(self) -> Any:
        path = self.folder / VECTORS
        if not path.exists():
            path.touch()
            _sync_folder(self.folder)
        size, expected = path.stat().st_size, self._rows() * self._search_width * 2
        if size < expected:
            raise IndexFormatError(
                f"{path}: {size} bytes, expected {expected} for {self._rows()} cases; the folder is damaged: "
                "restore it from a backup, or make a new index and add the cases again"
            )
        file = path.open("r+b")
        file.truncate(expected)
        return file

    def _open_graph(self) -> None:
        saved = sorted(self.folder.glob("graph-*.usearch"), key=lambda path: int(path.stem.split("-")[1]))
        self._graph = new_index(self._search_width)
        self._saved_rows = 0
        rows = self._rows()
        if saved and int(saved[-1].stem.split("-")[1]) <= rows:
            try:
                self._graph.load(str(saved[-1]))
                self._saved_rows = int(saved[-1].stem.split("-")[1])
            except Exception:  # usearch raises bare RuntimeError; the graph can always be made again from the vectors
                self._graph = new_index(self._search_width)
        present = np.fromiter(
            (row for (row,) in self._database.execute("SELECT row FROM cases ORDER BY row")), np.int64
        )
        later = present[present >= self._saved_rows]
        if len(later):
            self._graph.add(later, self._search_rows(later.tolist()))
        if self._saved_rows:
            gone = np.setdiff1d(np.arange(self._saved_rows), present)
            for row in gone.tolist():
                if row in self._graph:
                    self._graph.remove(row)

    def _save_graph(self) -> None:
        rows = self._rows()
        target = self.folder / f"graph-{rows}.usearch"
        temporary = self.folder / "graph.tmp"
        self._graph.save(str(temporary))
        os.replace(temporary, target)
        for old in self.folder.glob("graph-*.usearch"):
            if old != target:
                old.unlink()
        self._saved_rows = rows

    @contextmanager
    def _transaction(self, start: int, added: int) -> Iterator[None]:
        """Commit what happens inside, or undo all of it, in the database, the file and the graph."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            if added:
                self._database.execute("INSERT OR REPLACE INTO meta VALUES ('rows', ?)", (str(start + added),))
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            self._vectors.truncate(start * self._search_width * 2)
            self._open_graph()
            raise

    def _append(self, vectors: np.ndarray) -> None:
        self._vectors.seek(0, os.SEEK_END)
        self._vectors.write(vectors.astype(np.float16).tobytes())
        self._vectors.flush()
        os.fsync(self._vectors.fileno())

    def _store(self, row: int, case_id: str, case: Case, columns: Columns) -> None:
        """Store a case that has no incident yet."""
        created = case.created_at.isoformat() if case.created_at else None
        key = int(place_keys(columns)[0].astype(np.int64))
        values = (row, case_id, case.text, created, case.place, pack(columns)[0], key, -1, 0.0, "")
        self._database.execute("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _fresh(self, cases: Sequence[Case]) -> list[int]:
        """Return which cases are not there yet; the same id with another text is an error."""
        fresh: list[int] = []
        seen: dict[str, str] = {}
        for at, case in enumerate(cases):
            if case.id is None:
                fresh.append(at)
                continue
            text = seen.get(case.id)
            if text is None:
                found = self._database.execute("SELECT text FROM cases WHERE id = ?", (case.id,)).fetchone()
                text = found[0] if found else None
            if text is None:
                fresh.append(at)
                seen[case.id] = case.text
            elif text != case.text:
                raise ValueError(
                    f"case {at}: the id {case.id!r} is already in {self.folder} with another text; "
                    "remove that case first, or give this one an id of its own"
                )
        return fresh

    def _names(self, cases: Sequence[Case], fresh: Sequence[int], start: int) -> dict[int, str]:
        """Return the ids under which new cases are stored; one without an id gets one that no other has."""
        taken = {case.id for case in cases}
        names = {}
        for offset, at in enumerate(fresh):
            given = cases[at].id
            if given is None:
                given, number = f"case-{start + offset}", 2
                while given in taken or given in self:
                    given, number = f"case-{start + offset}-{number}", number + 1
                taken.add(given)
            names[at] = given
        return names

    def _placement(self, case_id: str, is_new: bool = False) -> Placement:
        group_id, score, reason = self._of_case(case_id, "group_id, score, reason")
        return Placement(case_id, group_id, is_new, score, reason)

    def _of_case(self, case_id: str, fields: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] | None = self._database.execute(
            f"SELECT {fields} FROM cases WHERE id = ?", (case_id,)
        ).fetchone()
        if found is None:
            raise KeyError(f"no case {case_id!r} in {self.folder}")
        return found

    def _rows(self) -> int:
        """Return how many rows were ever added; removed ones keep their place in the vector file."""
        return int(self._meta().get("rows", 0))

    def _search_rows(self, rows: Sequence[int]) -> np.ndarray:
        """Return search vectors of rows: (rows, width), float32."""
        width = self._search_width * 2
        descriptor = self._vectors.fileno()
        self._vectors.flush()
        data = b"".join(os.pread(descriptor, width, row * width) for row in rows)
        return np.frombuffer(data, np.float16).reshape(len(rows), self._search_width).astype(np.float32)

    def _vector_rows(self, rows: Sequence[int]) -> np.ndarray:
        """Return incident vectors of rows: (rows, 128), of length 1 again without the places beside them."""
        vectors = self._search_rows(rows)[:, : self._width]
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))

    def _one(self, query: str, *values: Any) -> Any:
        return self._database.execute(query, values).fetchone()[0]

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"{self.folder}: this index is closed; open it again")


@dataclass(frozen=True, slots=True, eq=False)
class _Offer:
    group_id: int
    representative: int
    score: float
    reason: str


def _against(one: Columns, others: Columns) -> tuple[Columns, np.ndarray, np.ndarray]:
    """Return columns and the pairs of ``one`` (row 0) with each of ``others``."""
    columns = Columns.joined([one, others])
    second = np.arange(1, len(columns))
    return columns, np.zeros(len(second), np.int64), second


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of files to disk; Windows, where folders cannot be opened, does so by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
