"""``DuplicateIndex``: open incidents, stored in a folder while cases arrive one by one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.duplicates.assignment import Assigner
from tawasul_nlp.duplicates.candidates import search_vectors
from tawasul_nlp.duplicates.cases import Case, as_cases
from tawasul_nlp.duplicates.database import DATABASE, FORMAT_VERSION, LOCK, VECTORS, storable
from tawasul_nlp.duplicates.extraction import case_features
from tawasul_nlp.duplicates.features import CaseFeatures, pack, place_keys
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups, pair_reasons
from tawasul_nlp.duplicates.incidents import Assignment, Incident, IndexCheck, Match
from tawasul_nlp.duplicates.store import IndexFolder, check_folder, check_rebuild_ended, read_cases
from tawasul_nlp.errors import IndexDiskError, IndexFormatError

_INSERT = "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class DuplicateIndex:
    """Incidents that grow as cases arrive.

    Open one with :meth:`open`, preferably in a ``with`` statement. One process at a time may have it open; its threads
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

    def __init__(self, folder: Path, grouper: DuplicateGrouper) -> None:
        self.folder = folder
        self._grouper = grouper
        self._thread_lock = threading.RLock()
        self._closed = False
        classifier = grouper.classifier
        self._store = IndexFolder(folder, classifier.config.model_hash, classifier.incident_size, grouper.domain)
        kept = None if grouper.threshold_given else self._store.threshold()
        self._assigner = Assigner(self._store, grouper.scorer, grouper.threshold if kept is None else kept)

    @classmethod
    def open(
        cls, folder: str | Path, grouper: DuplicateGrouper | None = None, *, create: bool = True
    ) -> DuplicateIndex:
        """Open an index, or create one.

        Every file is checked, so this reads the whole index once. An index in a read-only folder can be opened by any
        number of processes, and only answers queries.

        Parameters
        ----------
        folder : str or Path
        grouper : DuplicateGrouper or None
            Reads and compares the cases; None for the bundled model. An index can only be opened with the model and the
            domain that created it (:func:`~tawasul_nlp.duplicates.rebuild_index` rebuilds it with others). An index
            keeps its threshold; a grouper with an explicit one decides by that, and earlier decisions stay.
        create : bool
            Whether to create the index if there is none.

        Raises
        ------
        IndexLockedError
            If another process has it open.
        IndexFormatError
            If it is damaged, newer, created with another model or domain, or missing with ``create=False``.
        IndexDiskError
            If it cannot be read, or must be written but is read-only.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise IndexFormatError(f"{folder}: a file, expected a folder")
        if not (folder / DATABASE).is_file():
            check_rebuild_ended(folder)
            if not create:
                raise IndexFormatError(f"{folder}: no index here ({DATABASE} is missing); add cases to create one")
            if folder.is_dir() and any(map(_is_foreign, folder.iterdir())):
                raise IndexFormatError(f"{folder}: not empty and not an index; choose a new folder")
        grouper = grouper or DuplicateGrouper.from_pretrained()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IndexDiskError(f"{folder}: the folder cannot be created ({error}); choose another") from error
        return cls(folder, grouper)

    @staticmethod
    def read_cases(folder: str | Path) -> list[Case]:
        """Return the cases of an index, whichever model created it, to fill a new one after a change of model.

        They have texts, ids, dates and places; topics and embeddings passed by the caller are not kept.

        Raises
        ------
        IndexLockedError
            If a process has it open.
        IndexFormatError
            If there is no index, or a damaged one.
        IndexDiskError
            If it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with DuplicateIndex.open(folder) as index:
        ...         placed = index.add([Case("المجاري طافحة في مجمع 711", id="c-1")])
        ...     [case.id for case in DuplicateIndex.read_cases(folder)]
        ['c-1']
        """
        return read_cases(Path(folder))

    @staticmethod
    def verify(folder: str | Path) -> IndexCheck:
        """Check every byte of a closed index, such as a copy or a backup; needs no model.

        :meth:`open` refuses a damaged index too, but ignores a damaged graph of neighbours, which can be rebuilt. What
        a killed process left is recovered, as by :meth:`open`.

        Raises
        ------
        IndexLockedError
            If a process has it open: an open index can be neither checked nor copied safely.
        IndexFormatError
            If any file is damaged, or if there is no index.
        IndexDiskError
            If it cannot be read.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with DuplicateIndex.open(folder) as index:
        ...         placed = index.add(["المجاري طافحة في مجمع 711", "انقطع التيار عن مجمع 1203"])
        ...     check = DuplicateIndex.verify(folder)
        >>> check.cases, check.incidents
        (2, 2)
        """
        return check_folder(Path(folder))

    def __enter__(self) -> DuplicateIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Save a cache for the next opening and unlock the index; no data depends on it."""
        with self._thread_lock:
            if self._closed:
                return
            self._closed = True
            self._store.close()

    def __len__(self) -> int:
        with self._in_turn():
            return int(self._store.one("SELECT count(*) FROM cases"))

    def __contains__(self, case_id: object) -> bool:
        with self._in_turn():
            return self._store.first("SELECT 1 FROM cases WHERE id = ?", case_id) is not None

    # -- reading -----------------------------------------------------------------------------------------------------

    def query(self, case: str | Mapping[str, Any] | Case, k: int = 5) -> list[Match]:
        """Return the open incidents that a case may belong to, the likeliest first; nothing is stored.

        Parameters
        ----------
        case : str, mapping or Case
        k : int
            The most incidents to return. The last ones may be unlikely or impossible (score 0: another place).
        """
        with self._in_turn():
            features = self._features(as_cases([case]), workers=1)
            offers, compared = self._assigner.offers(features, search_vectors(features)[0])
            joined = self._assigner.joined(features, offers)
            offers = offers[:k]
            own, alike = np.zeros(len(offers), np.int64), np.array([offer.at for offer in offers], np.int64)
            matches = []
            for offer, reason in zip(offers, pair_reasons(compared, own, alike), strict=True):
                case_id, text = self._store.all("SELECT id, text FROM cases WHERE row = ?", (offer.representative,))[0]
                size = int(self._store.one("SELECT count(*) FROM cases WHERE group_id = ?", offer.group_id))
                duplicate = offer.group_id in joined
                matches.append(Match(offer.group_id, case_id, text, size, offer.score, reason, duplicate))
            return matches

    def groups(self, min_size: int = 2) -> list[Incident]:
        """Return the incidents with at least ``min_size`` cases, the largest first."""
        with self._in_turn():
            rows = self._store.all(
                "SELECT group_id FROM cases GROUP BY group_id HAVING count(*) >= ? ORDER BY count(*) DESC, group_id",
                (min_size,),
            )
            return [self.group(group_id) for (group_id,) in rows]

    def group(self, group_id: int) -> Incident:
        """Return one incident by its id.

        Raises
        ------
        KeyError
            If no incident has this id (any more).
        """
        with self._in_turn():
            rows = self._store.all(
                "SELECT c.id, c.score, c.reason FROM cases c JOIN groups g ON g.id = c.group_id WHERE g.id = ? "
                "ORDER BY c.row != g.representative, c.score DESC, c.row",
                (group_id,),
            )
        if not rows:
            raise KeyError(f"no group {group_id} in {self.folder}")
        ids, scores, reasons = zip(*rows, strict=True)
        return Incident(group_id, ids[0], ids, scores, reasons)

    def text(self, case_id: str) -> str:
        """Return the text of a case.

        Raises
        ------
        KeyError
            If no case has this id.
        """
        with self._in_turn():
            return str(self._of_case(case_id, "text")[0])

    def assignment(self, case_id: str) -> Assignment:
        """Return the incident of a case, which may have changed since it was added.

        Raises
        ------
        KeyError
            If no case has this id.
        """
        with self._in_turn():
            return self._assignment(case_id)

    def assignments(self) -> dict[str, Assignment]:
        """Return the incident of every case by id, in the order of addition."""
        with self._in_turn():
            found = self._store.all("SELECT id, group_id, score, reason FROM cases ORDER BY row")
        return {row[0]: Assignment(row[0], row[1], False, row[2], row[3]) for row in found}

    def stats(self) -> dict[str, Any]:
        """Return counts of cases and incidents, and the model and settings of the index."""
        with self._in_turn():
            sizes = [size for (size,) in self._store.all("SELECT count(*) FROM cases GROUP BY group_id")]
            model_hash = self._store.facts()["model_hash"]
        several = [size for size in sizes if size > 1]
        return {
            "cases": sum(sizes),
            "incidents": len(sizes),
            "groups": len(several),
            "grouped_cases": sum(several),
            "largest_group": max(sizes, default=0),
            "model_hash": model_hash,
            "domain": self._store.domain.id,
            "threshold": self._assigner.threshold,
            "format_version": FORMAT_VERSION,
            "bytes": sum(entry.stat().st_size for entry in self.folder.iterdir() if entry.is_file()),
        }

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, cases: Iterable[str | Mapping[str, Any] | Case]) -> list[Assignment]:
        """Add cases; the returned assignments are on disk.

        A case whose id is already there with the same text is left unchanged, so an interrupted run may be repeated. A
        lone surrogate, which cannot be stored, is stored as its escape (``\\ud83d``).

        Returns
        -------
        list of Assignment
            In the order of ``cases``.

        Raises
        ------
        InvalidTextError
            If an item is not a case; then nothing is added.
        ValueError
            If an id is already there with another text; then nothing is added.
        IndexDiskError
            If the disk is full, or the folder is read-only; then nothing is added.
        """
        with self._in_turn():
            listed = as_cases(cases)
            fresh = self._fresh(listed)
            if not fresh:
                return [self._assignment(str(case.id)) for case in listed]
            features = self._features([listed[at] for at in fresh])
            vectors = search_vectors(features)
            names = self._names(listed, fresh)
            founders: set[str] = set()
            with self._store.transaction(vectors) as start:
                self._store.keep_threshold(self._assigner.threshold)
                for offset, at in enumerate(fresh):
                    row, own = start + offset, features.take(np.array([offset]))
                    self._store.change(_INSERT, *_stored(row, names[at], listed[at], own))
                    self._store.link(row, vectors[offset : offset + 1])
                    if self._assigner.settle(row, own, vectors[offset]):
                        founders.add(names[at])
            return [
                self._assignment(name, name in founders)
                for name in (names.get(at, str(case.id)) for at, case in enumerate(listed))
            ]

    def load_groups(self, groups: DuplicateGroups, incident_ids: Sequence[int] | None = None, last_id: int = 0) -> None:
        """Import the cases and decisions of a finished grouping: the fast way to start from a large backlog.

        Parameters
        ----------
        groups : DuplicateGroups
            Made by a grouper with the same model. Its threshold becomes the index's.
        incident_ids : sequence of int or None
            The id of each case's incident; None numbers the incidents from 1.
        last_id : int
            No incident that comes later gets an id up to this one.

        Raises
        ------
        ValueError
            If the index is not empty, or if two cases have one id; then nothing is added.
        IndexDiskError
            If the disk is full, or the folder is read-only; then nothing is added.
        """
        with self._in_turn():
            if self._store.rows():
                raise ValueError(f"{self.folder}: has {len(self)} cases; only an empty index can be filled")
            ids = [case.id if case.id is not None else f"case-{row}" for row, case in enumerate(groups.cases)]
            if len(set(ids)) < len(ids):
                twice = Counter(ids).most_common(1)[0][0]
                raise ValueError(f"two cases have the id {twice!r}; give every case a unique id")
            features, vectors = groups.features, search_vectors(groups.features)
            reasons = ["representative"] * len(ids)
            for group in groups.groups:
                for row, reason in zip(group.members, group.reasons, strict=True):
                    reasons[row] = reason
            representatives, incident_of = np.unique(groups.representatives, return_inverse=True)
            numbers = np.arange(1, len(representatives) + 1)
            if incident_ids is not None:
                numbers[incident_of] = incident_ids
            last_id = max(last_id, int(numbers.max(initial=0)))
            created = [case.created_at.isoformat() if case.created_at else None for case in groups.cases]
            with self._store.transaction(vectors) as start:
                self._store.keep_threshold(groups.threshold)
                self._store.change_many(
                    "INSERT INTO groups VALUES (?, ?)", zip(numbers.tolist(), representatives.tolist(), strict=True)
                )
                self._store.change("DELETE FROM sqlite_sequence WHERE name = 'groups'")
                self._store.change("INSERT INTO sqlite_sequence VALUES ('groups', ?)", last_id)
                self._store.change_many(
                    _INSERT,
                    zip(
                        range(len(ids)),
                        ids,
                        (case.text for case in groups.cases),
                        created,
                        (case.place for case in groups.cases),
                        pack(features),
                        place_keys(features).astype(np.int64).tolist(),
                        numbers[incident_of].tolist(),
                        groups.scores.tolist(),
                        reasons,
                        strict=True,
                    ),
                )
                self._store.link(start, vectors)
            self._assigner.threshold = groups.threshold

    def remove(self, case_id: str) -> None:
        """Remove a case; its text is overwritten on disk when the index is closed, or earlier.

        If it was its incident's representative, the others are regrouped; most of them keep the incident's id.

        Raises
        ------
        KeyError
            If no case has this id.
        """
        with self._in_turn():
            row, group_id = self._of_case(case_id, "row, group_id")
            with self._store.transaction():
                self._store.change("DELETE FROM cases WHERE row = ?", row)
                self._store.unlink(row)
                if self._store.one("SELECT representative FROM groups WHERE id = ?", group_id) == row:
                    self._assigner.new_representative(group_id)

    def _features(self, cases: Sequence[Case], workers: int | None = None) -> CaseFeatures:
        return case_features(self._grouper.classifier, cases, workers=workers, domain=self._grouper.domain)

    def _fresh(self, cases: Sequence[Case]) -> list[int]:
        """Return which cases are new; a known id with another text is an error."""
        fresh: list[int] = []
        seen: dict[str, str] = {}
        for at, case in enumerate(cases):
            if case.id is None:
                fresh.append(at)
                continue
            text = seen.get(case.id)
            if text is None:
                found = self._store.first("SELECT text FROM cases WHERE id = ?", case.id)
                text = found[0] if found else None
            if text is None:
                fresh.append(at)
                seen[case.id] = storable(case.text)
            elif text != storable(case.text):
                raise ValueError(
                    f"case {at}: the id {case.id!r} is already in {self.folder} with another text; "
                    "remove that case first, or give this one a unique id"
                )
        return fresh

    def _names(self, cases: Sequence[Case], fresh: Sequence[int]) -> dict[int, str]:
        """Return the ids of new cases; one without an id gets an unused one."""
        start = self._store.rows()
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

    def _assignment(self, case_id: str, is_new: bool = False) -> Assignment:
        group_id, score, reason = self._of_case(case_id, "group_id, score, reason")
        return Assignment(case_id, group_id, is_new, score, reason)

    def _of_case(self, case_id: str, fields: str) -> tuple[Any, ...]:
        found = self._store.first(f"SELECT {fields} FROM cases WHERE id = ?", case_id)
        if found is None:
            raise KeyError(f"no case {case_id!r} in {self.folder}")
        return found

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Lock an open index against other threads."""
        with self._thread_lock:
            if self._closed:
                raise ValueError(f"{self.folder}: this index is closed; open it again")
            yield


def _is_foreign(path: Path) -> bool:
    """Return whether a file is not one that a process leaves if killed before it creates the database."""
    return path.name != LOCK and (path.name != VECTORS or path.stat().st_size > 0)


def _stored(row: int, case_id: str, case: Case, features: CaseFeatures) -> tuple[Any, ...]:
    """Return the stored values of a case without an incident."""
    created = case.created_at.isoformat() if case.created_at else None
    key = int(place_keys(features)[0].astype(np.int64))
    return row, case_id, case.text, created, case.place, pack(features)[0], key, -1, 0.0, ""
