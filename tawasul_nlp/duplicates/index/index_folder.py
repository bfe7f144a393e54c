"""The folder of an index: a database, and a graph of neighbours that is a cache.

``index.sqlite`` holds everything: the cases, their features and search vectors, and every decision. The graph is saved
when the folder is closed and many cases are new to it, and made anew from the vectors when it is missing, damaged, or
not the one that the database records.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self
from zlib import crc32

import numpy as np

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates.candidates import EXACT_BELOW, PLACE_SIZE, new_index
from tawasul_nlp.duplicates.features import CaseFeatures, unpack
from tawasul_nlp.duplicates.index.database import DATABASE, IndexDatabase
from tawasul_nlp.duplicates.index.store import IndexStore
from tawasul_nlp.errors import IndexDiskError, IndexFormatError

# The graph is saved when this many cases are new to it; adding them at the next opening takes about a second.
_UNSAVED = 10_000
# Vectors that the graph gets at once, while no one can search it.
_ADDED_AT_ONCE = 16
_GRAPH = "graph-{}.usearch"


class IndexFolder(IndexStore):
    """An open folder of an index: its store, and the graph of the search vectors.

    Errors are those of :class:`~tawasul_nlp.duplicates.index.database.IndexDatabase`; IndexFormatError also if it was
    created with another model, which computes the vectors (of ``width`` numbers), or another domain.
    """

    def __init__(self, folder: Path, model_hash: str, width: int, domain: Domain) -> None:
        super().__init__(folder)
        self.width = width
        self.domain = domain
        self._graph: Any = None
        self._graph_lock = Lock()
        self._forget_changes()
        try:
            self._check_origin(model_hash)
            self._open_graph()
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        """Save the graph if that makes the next opening faster, or if what is saved has removed cases, and close."""
        try:
            if not self.read_only and (self._saves_removed or self.rows() - self._saved_rows >= _UNSAVED):
                self._save_graph()
        finally:
            super().close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit the block's changes to the database and the graph, or roll all of them back.

        The graph changes when the database has, so that whoever reads meanwhile finds what was there before.
        IndexDiskError if the disk is full or the folder read-only.
        """
        if self.read_only:
            raise IndexDiskError(f"{self.path}: the folder is read-only, so the index only answers queries")
        try:
            with self.committed():
                yield
            self._update_graph()
        finally:
            self._forget_changes()

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Yield this folder as it is at one moment, without what is being changed."""
        with super().snapshot() as view:
            view._forget_changes()
            yield view

    def search_vectors(self, rows: Sequence[int]) -> np.ndarray:
        """Return search vectors of rows: (rows, width + places), float32."""
        stored = self.values("vector", rows)
        blobs = b"".join(stored[row] for row in rows)
        return np.frombuffer(blobs, "<f2").reshape(len(rows), self.width + PLACE_SIZE).astype(np.float32)

    def features(self, rows: Sequence[int]) -> CaseFeatures:
        """Return the features of rows."""
        vectors = self.search_vectors(rows)[:, : self.width]
        # Normalised again without the places.
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        columns = self.values("columns", rows)
        return unpack([columns[row] for row in rows], vectors, self.domain)

    def place_features(self, incidents: Sequence[int]) -> tuple[list[tuple[int, int]], CaseFeatures]:
        """Return the features, with vectors of 0, of one case for each combination of places in some incidents.

        With each case come its incident, and how many of its cases name the same places.
        """
        rows = self.place_examples(incidents)
        features = unpack([columns for *_, columns in rows], np.zeros((len(rows), self.width), np.float32), self.domain)
        return [(incident, cases) for incident, cases, _ in rows], features

    def horizons(self, rows: Sequence[int]) -> np.ndarray:
        """Return after how many days without a report what each row's case tells of is over: (rows,)."""
        return self._without_vectors(rows).horizons

    def urgencies(self, rows: Sequence[int]) -> np.ndarray:
        """Return the urgency of each row's case, as :class:`~tawasul_nlp.duplicates.features.CaseFeatures` has it."""
        return self._without_vectors(rows).urgency

    def _without_vectors(self, rows: Sequence[int]) -> CaseFeatures:
        columns = self.values("columns", rows)
        return unpack([columns[row] for row in rows], np.zeros((len(rows), self.width), np.float32), self.domain)

    def add_to_graph(self, start: int, vectors: np.ndarray) -> None:
        """Add search vectors to the graph, from row ``start`` on, when the transaction ends."""
        self._added.add(np.arange(start, start + len(vectors)), vectors)

    def remove_from_graph(self, row: int) -> None:
        """Take a row out of the graph when the transaction ends."""
        self._removed.add(row)

    def nearest(self, vector: np.ndarray, k: int) -> list[int]:
        """Return the rows of at most ``k`` nearest search vectors; some may be of cases that are not there any more.

        For few cases the search is exact, on every machine. A graph may miss one of them, depending on the order and
        the number of threads that built it.
        """
        rows, distances = [], []
        for graph in (self._graph, self._added):
            with self._graph_lock:
                if size := len(graph):
                    most = min(k + len(self._removed), size)
                    matches = graph.search(vector.astype(np.float32), most, exact=size <= EXACT_BELOW)
                    rows.append(matches.keys.astype(np.int64))
                    distances.append(matches.distances)
        if not rows:
            return []
        near = np.concatenate(rows)
        near = near[np.lexsort((near, np.concatenate(distances)))]
        return [row for row in near.tolist() if row not in self._removed][:k]

    def _update_graph(self) -> None:
        """Make the changes of a transaction in the graph too; who searches it waits for a few vectors only."""
        with self._graph_lock:
            self._take_out(self._removed)
        if not len(self._graph):
            self._graph = self._added
            return
        rows = np.sort(np.fromiter(self._added.keys, np.uint64, len(self._added)))
        for start in range(0, len(rows), _ADDED_AT_ONCE):
            block = rows[start : start + _ADDED_AT_ONCE]
            with self._graph_lock:
                self._graph.add(block, np.stack(self._added.get(block)))

    def _take_out(self, rows: Iterable[int]) -> None:
        for row in rows:
            self._graph.remove(row)
            self._saves_removed |= row < self._saved_rows

    def _wipe_removed(self) -> None:
        """Overwrite the vectors of removed rows, which usearch keeps in their places until others take these."""
        with self._graph_lock:
            rows = self.rows() + np.arange(self._graph.stats.nodes - len(self._graph))
            if len(rows):
                self._graph.add(rows, np.ones((len(rows), self.width + PLACE_SIZE), np.float32))
                self._graph.remove(rows)

    def _forget_changes(self) -> None:
        self._added, self._removed = new_index(self.width + PLACE_SIZE), set[int]()

    # -- opening -------------------------------------------------------------------------------------------------------

    def _check_origin(self, model_hash: str) -> None:
        """Refuse another model, or a domain that reads places or numbers otherwise; a new index records them."""
        facts = self.facts()
        expected = origin(model_hash, self.domain)
        if "model_hash" not in facts and not self.read_only:
            with self.committed():
                self.keep(**expected)
            facts = self.facts()
        rebuild = "open it with the first, or rebuild it from its cases (tawasul index rebuild, or rebuild_index)"
        if facts.get("model_hash") != model_hash:
            raise IndexFormatError(
                f"{self.path}: created with model {facts.get('model_hash')}, opened with {model_hash}; vectors of two "
                f"models cannot be compared: {rebuild}"
            )
        if facts.get("domain") != expected["domain"]:
            raise IndexFormatError(
                f"{self.path}: created with the domain {facts.get('domain_id')} ({facts.get('domain')}), opened with "
                f"{self.domain.id} ({expected['domain']}); cases of two domains cannot be compared: {rebuild}"
            )

    def _open_graph(self) -> None:
        self._graph = new_index(self.width + PLACE_SIZE)
        self._saved_rows = 0
        self._saves_removed = False
        rows, path = saved_graph(self)
        if is_sound(self, path):
            try:
                self._graph.load(str(path))
                self._saved_rows = rows
            except RuntimeError:  # saved by an incompatible version of usearch
                self._graph = new_index(self.width + PLACE_SIZE)
        elif rows and not self.read_only:
            path.unlink(missing_ok=True)
        present = np.sort(np.array(self.case_rows(), np.int64))
        later = present[present >= self._saved_rows]
        if len(later):
            self._graph.add(later, self.search_vectors(later.tolist()))
        gone = np.setdiff1d(np.arange(self._saved_rows), present).tolist()
        self._take_out(row for row in gone if row in self._graph)

    def _save_graph(self) -> None:
        temporary = self.path / "graph.tmp"
        self._wipe_removed()
        with self.named_errors():
            try:
                self._graph.save(str(temporary))
            except RuntimeError as error:  # usearch's error for any problem with a file
                raise OSError(str(error)) from error
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # or a power cut could leave half a graph under its name
            if temporary.stat().st_size != self._graph.serialized_length:
                raise OSError(f"{temporary} was not written completely")
        rows = self.rows()
        path = self.path / _GRAPH.format(rows)
        # A process killed between the two leaves an unknown graph, which is rebuilt.
        with self.committed():
            self.keep(graph=_graph_record(rows, temporary))
        os.replace(temporary, path)
        for old in self.path.glob(_GRAPH.format("*")):
            if old != path:
                old.unlink()
        self._saved_rows = rows
        self._saves_removed = False


def saved_graph(database: IndexDatabase) -> tuple[int, Path]:
    """Return of how many rows the database says that the graph was saved, and in which file; 0 for none."""
    rows = int(database.facts().get("graph", "0").partition(" ")[0])
    return rows, database.path / _GRAPH.format(rows)


def is_sound(database: IndexDatabase, path: Path) -> bool:
    """Return whether a graph is the one that the database records; usearch would read out of bounds in another."""
    record = database.facts().get("graph")
    return path.is_file() and record == _graph_record(saved_graph(database)[0], path)


def _graph_record(rows: int, path: Path) -> str:
    """Return what the database records of a graph's file; usearch reads only the machine's order of bytes."""
    checksum = 0
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            checksum = crc32(data, checksum)
    return f"{rows} {checksum} {sys.byteorder}"


def origin(model_hash: str, domain: Domain) -> dict[str, str]:
    """Return the facts by which an index knows the model and the domain that read its cases."""
    return {"model_hash": model_hash, "domain": domain.case_fingerprint, "domain_id": domain.id}


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """The outcome of checking an undamaged index: its cases, its incidents, and the bytes of its files."""

    cases: int
    incidents: int
    bytes: int
    # What has a date from before dates were checked: cases, which count as undated, and incidents by their closing.
    impossible_dates: tuple[str, ...] = ()


def check_folder(folder: Path) -> IndexCheck:
    """Check every file of a folder; see :meth:`~tawasul_nlp.duplicates.DuplicateIndex.verify`."""
    with closing(opened_store(folder)) as store:
        store.check()
        _, graph = saved_graph(store)
        if graph.is_file() and not is_sound(store, graph):
            raise IndexFormatError(f"{graph}: damaged; delete it, and opening the index rebuilds it")
        size = sum(path.stat().st_size for path in (folder / DATABASE, graph) if path.is_file())
        return IndexCheck(
            cases=store.count(),
            incidents=len(store.sizes()),
            bytes=size,
            impossible_dates=store.impossible_dates(),
        )


def opened_store(folder: Path) -> IndexStore:
    """Open the store of a folder, of any model; IndexFormatError if there is none."""
    if not (folder / DATABASE).is_file():
        check_rebuild_ended(folder)
        raise IndexFormatError(f"{folder}: no index here ({DATABASE} is missing)")
    return IndexStore(folder)


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
