"""``DuplicateIndex``: open incidents, stored in a folder while cases arrive one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import chain, count, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

import numpy as np

from tawasul_nlp._system import reserve
from tawasul_nlp.duplicates.candidates import search_vectors
from tawasul_nlp.duplicates.cases import Case, as_cases
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups, PairExplanation, explained, pair_reasons, size_counts
from tawasul_nlp.duplicates.index import decisions
from tawasul_nlp.duplicates.index.assign import Assigner
from tawasul_nlp.duplicates.index.database import DATABASE, FORMAT_VERSION, is_foreign
from tawasul_nlp.duplicates.index.details import read_incidents
from tawasul_nlp.duplicates.index.incidents import Additions, Assignment, Incident, IncidentEvent, Match
from tawasul_nlp.duplicates.index.index_folder import (
    IndexCheck,
    IndexFolder,
    check_folder,
    check_rebuild_ended,
    opened_store,
)
from tawasul_nlp.duplicates.index.index_scores import IndexScores
from tawasul_nlp.duplicates.index.rebuild import load_groups
from tawasul_nlp.duplicates.index.store import StoredCase, difference
from tawasul_nlp.duplicates.verifier import CaseScores
from tawasul_nlp.errors import IndexDiskError, IndexFormatError, checked_time

Events = tuple[IncidentEvent, ...]
# A closing is sent with the time of another machine, whose clock may be ahead; it is stored as of now then.
_CLOCKS_DIFFER = timedelta(minutes=5)
# Bytes that a change may need: 64 cases of 20,000 characters take 5 MB, in the log and in the database.
_ROOM = 16_000_000


class DuplicateIndex:
    """Incidents that grow as cases arrive.

    Open one with :meth:`open`, preferably in a ``with`` statement. One process at a time may have it open; its threads
    may share it: one of them changes it at a time, and others may ask meanwhile: they see it as it was before.

    What a method returns of a change (an :class:`Additions`, or the events) is on disk. An unknown case or incident
    raises KeyError, what makes no sense ValueError, a full disk or a read-only folder
    :class:`~tawasul_nlp.errors.IndexDiskError`; then nothing is changed.

    What a person decides (:meth:`merge`, :meth:`split`, :meth:`move`, :meth:`close_incident`, :meth:`reopen_incident`)
    wins over scores, places and dates, now and whenever cases are added or removed, or the index is rebuilt. A later
    decision overrules an earlier one. ``by`` and ``note`` say who decides it, and why; the history keeps them.

    Attributes
    ----------
    folder : Path
    grouper : DuplicateGrouper
        What reads and compares its cases.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
    ...     first = index.add(["انقطع التيار عن مجمع 1203 بمدينة حمد منذ ساعتين ولا أحد يرد"])[0]
    ...     match = index.query("الكهربا طافية علينا في مدينة حمد مجمع 1203 من ساعتين ومحد يرد")[0]
    ...     match.incident_id == first.incident_id, match.is_duplicate
    (True, True)
    """

    def __init__(self, folder: Path, grouper: DuplicateGrouper, reopen_days: float | None = None) -> None:
        self.folder = folder
        self.grouper = grouper
        self._writer_lock = threading.RLock()
        # The thread in :meth:`together`, which reads its own changes.
        self._together: int | None = None
        self._closed = False
        classifier = grouper.classifier
        self._store = IndexFolder(folder, classifier.config.model_hash, classifier.incident_size, grouper.domain)
        facts = self._store.facts()
        self._settings = {} if reopen_days is None else {"reopen_days": repr(float(reopen_days))}
        days = float((facts | self._settings).get("reopen_days", grouper.scorer.days))
        threshold = grouper.threshold if grouper.threshold_given else float(facts.get("threshold", grouper.threshold))
        self._assigner = Assigner(
            self._store, IndexScores(self._store, grouper.scorer, grouper.verifier), threshold, days
        )

    @classmethod
    def open(
        cls,
        folder: str | Path,
        grouper: DuplicateGrouper | None = None,
        *,
        create: bool = True,
        reopen_days: float | None = None,
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
        reopen_days : float or None
            A new case that matches a closed incident, and no open one, reopens it until so many days after it was
            closed. A later one begins an incident with this one as its ``recurrence_of``, and one received on a day
            before the closing only joins it. An index keeps this with the next change; None for what it keeps, or else
            for the days of the grouper's scorer (21 in the bundled model).

        Raises
        ------
        IndexLockedError
            If another process has it open.
        IndexFormatError
            If it is damaged, newer, created with another model or domain, or missing with ``create=False``.
        IndexDiskError
            If it cannot be read, or must be written but is read-only.
        ValueError
            If reopen_days is negative.
        """
        if reopen_days is not None and not reopen_days >= 0:
            raise ValueError(f"reopen_days is {reopen_days}, expected at least 0")
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise IndexFormatError(f"{folder}: a file, expected a folder")
        if not (folder / DATABASE).is_file():
            check_rebuild_ended(folder)
            if not create:
                raise IndexFormatError(f"{folder}: no index here ({DATABASE} is missing); add cases to create one")
            if folder.is_dir() and any(map(is_foreign, folder.iterdir())):
                raise IndexFormatError(f"{folder}: not empty and not an index; choose a new folder")
        return cls(folder, grouper or DuplicateGrouper.from_pretrained(), reopen_days)

    @staticmethod
    def read_cases(folder: str | Path) -> list[Case]:
        """Return the cases of an index, whichever model created it, to fill a new one after a change of model.

        They have texts, ids, dates and places; topics and embeddings passed by the caller are not kept. Errors are
        those of :meth:`open`.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with DuplicateIndex.open(folder) as index:
        ...         placed = index.add([Case("المجاري طافحة في مجمع 711", id="c-1")])
        ...     [case.id for case in DuplicateIndex.read_cases(folder)]
        ['c-1']
        """
        with closing(opened_store(Path(folder))) as store:
            return store.cases()

    @staticmethod
    def verify(folder: str | Path) -> IndexCheck:
        """Check every byte of a closed index, such as a copy or a backup; needs no model.

        :meth:`open` refuses a damaged index too, but ignores a damaged graph of neighbours, which can be rebuilt. What
        a killed process left is recovered, and errors are raised, as by :meth:`open`.

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
        self._store.check_process()
        with self._writer_lock:
            if self._closed:
                return
            self._closed = True
            self._store.close()

    def __len__(self) -> int:
        with self._snapshot() as store:
            return store.count()

    def __contains__(self, case_id: object) -> bool:
        with self._snapshot() as store:
            return store.case(case_id) is not None

    # -- reading -----------------------------------------------------------------------------------------------------

    def query(self, case: str | Mapping[str, Any] | Case, k: int = 5) -> list[Match]:
        """Return the incidents that a case may belong to, open and closed, the likeliest first; nothing is stored.

        Parameters
        ----------
        case : str, mapping or Case
        k : int
            The most incidents to return. The last ones may be unlikely; impossible ones (score 0, as of another place)
            are left out.
        """
        (asked,) = as_cases([case])
        features = self.grouper.features([asked])
        with self._snapshot() as store:
            assigner = self._assigner.asked(store, asked.text)
            candidates = assigner.candidates(features, search_vectors(features)[0])
            obstacles = assigner.obstacles(features, candidates)
            candidates = [candidate for candidate in candidates if candidate.score > 0][:k]
            reasons = pair_reasons(*assigner.against(features, [candidate.row for candidate in candidates]))
            rows = [candidate.representative for candidate in candidates]
            ids, texts = store.values("id", rows), store.values("text", rows)
            return [
                Match(
                    incident_id=candidate.incident,
                    representative=ids[candidate.representative],
                    text=texts[candidate.representative],
                    size=store.size(candidate.incident),
                    score=candidate.score,
                    reason=reason,
                    is_duplicate=candidate.incident not in obstacles,
                    is_closed=candidate.closed_at is not None,
                    obstacle=obstacles.get(candidate.incident),
                )
                for candidate, reason in zip(candidates, reasons, strict=True)
            ]

    def incidents(
        self,
        min_size: int = 2,
        limit: int | None = None,
        *,
        after: int | None = None,
        state: Literal["open", "closed"] | None = None,
        topic: str | None = None,
        agency: str | None = None,
        place: str | None = None,
        changed_since: datetime | None = None,
    ) -> list[Incident]:
        """Return the incidents with at least ``min_size`` cases, the largest first; at most ``limit`` of them.

        With ``after``, the id of an incident or 0, those of higher ids, in their order: so a long list is read in pages
        of which none repeats another's. ``state``, ``topic``, ``agency`` and one of the ``places`` are those of an
        :class:`Incident`; ``changed_since`` is a time (UTC if without a time zone), from which on something happened to
        it.
        """
        since = None if changed_since is None else checked_time(changed_since, "changed_since").astimezone(UTC)
        is_open = None if state is None else state == "open"
        is_unread = topic is agency is place is None
        with self._snapshot() as store:
            ids = store.incident_ids(min_size, limit if is_unread else None, after, is_open, since)
            incidents = (
                incident
                for incident in read_incidents(store, self.grouper.classifier, ids)
                if topic in (None, incident.topic)
                and agency in (None, incident.agency)
                and (place is None or place in incident.places)
            )
            return list(islice(incidents, limit))

    def incident(self, incident_id: int) -> Incident:
        """Return one incident by its id."""
        with self._snapshot() as store:
            incident = next(read_incidents(store, self.grouper.classifier, [incident_id]), None)
        if incident is None:
            raise KeyError(f"no incident {incident_id} in {self.folder}")
        return incident

    def explain(self, first: str, second: str) -> PairExplanation:
        """Explain the score of two cases, by their ids; whether a person linked them or keeps them apart is no part.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
        ...     here, there = Case("انقطع التيار عن مجمع 1203", id="a"), Case("التيار مقطوع في مجمع 711", id="b")
        ...     placed = index.add([here, there])
        ...     why = index.explain("a", "b")
        >>> why.score, why.conflicting_place, why.sentences("en")[1]
        (0.0, True, 'the places that they name conflict')
        """
        with self._snapshot() as store:
            cases = [self._case(store, case_id) for case_id in (first, second)]
            features = store.features([case.row for case in cases])
        scorer, verifier = self.grouper.scorer, self.grouper.verifier
        return explained(CaseScores(features, scorer, verifier, [case.text for case in cases]).related(), 0, 1)

    def text(self, case_id: str) -> str:
        """Return the text of a case."""
        with self._snapshot() as store:
            return self._case(store, case_id).text

    def conflict(self, case: Case) -> str | None:
        """Return what keeps a case from being added, since that of its id has another: "text", "place" or None."""
        with self._snapshot() as store:
            stored = store.case(case.id)
        return None if stored is None else difference(stored, case)

    def assignment(self, case_id: str) -> Assignment:
        """Return the incident of a case, which may have changed since it was added."""
        with self._snapshot() as store:
            return self._assignment(store, case_id)

    def assignments(self) -> dict[str, Assignment]:
        """Return the incident of every case by id, in the order of addition."""
        with self._snapshot() as store:
            placements = store.placements()
        return {
            case_id: Assignment(id=case_id, incident_id=incident, is_new=False, score=score, reason=reason)
            for _, case_id, incident, score, reason in placements
        }

    @property
    def pairs_read(self) -> int:
        """How many pairs of texts the model read together to add and move cases since the index was opened."""
        return self._assigner.scores.pairs_read

    def stats(self) -> dict[str, Any]:
        """Return counts of cases and incidents, and the model and settings of the index."""
        with self._snapshot() as store:
            sizes, closed = store.sizes(), len(store.closed_incidents())
            model_hash = store.facts()["model_hash"]
        return {
            **size_counts(sizes),
            "closed": closed,
            "model_hash": model_hash,
            "domain": self._store.domain.id,
            "threshold": self._assigner.threshold,
            "reopen_days": self._assigner.reopen_days,
            "format_version": FORMAT_VERSION,
            "bytes": sum(entry.stat().st_size for entry in self.folder.iterdir() if entry.is_file()),
        }

    def check_writable(self) -> None:
        """Raise the error that a change would fail with now: the disk, the folder, or an index that is closed.

        It waits for no change that is being made. Room is reserved in the folder for a moment, and only if the last
        change failed is a small one made.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with DuplicateIndex.open(folder) as index:
        ...         index.check_writable()
        ...     index.check_writable()
        Traceback (most recent call last):
        ...
        ValueError: ...: this index is closed; open it again
        """
        try:
            with TemporaryFile(dir=self.folder) as file:
                reserve(file, _ROOM)
        except OSError as error:
            raise IndexDiskError(
                f"{self.folder}: {_ROOM:,} bytes cannot be written there ({error.strerror}), so a change would fail; "
                "free space, or make the folder writable"
            ) from error
        if self._writer_lock.acquire(blocking=False):
            try:
                with self._in_turn():
                    if self._store.has_failed or self._store.read_only:
                        with self._store.transaction():
                            self._store.keep(**self._store.facts())
            finally:
                self._writer_lock.release()

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, cases: Iterable[str | Mapping[str, Any] | Case]) -> Additions:
        """Add cases.

        A case whose id is already there with the same text is left unchanged, so an interrupted run may be repeated;
        with another text or place, or if an item is not a case (:class:`~tawasul_nlp.errors.InvalidTextError`), nothing
        is added. A lone surrogate, which cannot be stored, is stored as its escape (``\\ud83d``).

        Returns
        -------
        Additions
            A sequence of :class:`Assignment`, in the order of ``cases``. Its ``changes`` say what happened to incidents
            on the way, and why.
        """
        listed = as_cases(cases)
        with self._in_turn():
            names, new = self._named(listed)
            firsts: set[str] = set()
            changes: list[IncidentEvent] = []
            if new:
                features = self.grouper.features(list(new.values()))
                with self._changing() as changes:
                    firsts = self._assigner.add(new, features)
            assignments = tuple(self._assignment(self._store, case_id, case_id in firsts) for case_id in names)
            return Additions(assignments=assignments, changes=tuple(changes))

    def _named(self, cases: Sequence[Case]) -> tuple[list[str], dict[str, Case]]:
        """Return the ids of cases, an unused one for each without, and the new ones among them by id."""
        names: list[str] = []
        new: dict[str, Case] = {}
        taken, rows = {case.id for case in cases}, self._store.rows()
        for position, case in enumerate(cases):
            name = case.id
            if name is None:
                first = f"case-{rows + len(new)}"
                unused = chain([first], (f"{first}-{number}" for number in count(2)))
                name = next(name for name in unused if name not in taken and self._store.case(name) is None)
                taken.add(name)
            earlier = new.get(name) or self._store.case(name)
            if earlier is None:
                new[name] = case
            elif other := difference(earlier, case):
                raise ValueError(
                    f"case {position}: the id {case.id!r} is already in {self.folder} with another {other}; "
                    "remove that case first, or give this one a unique id"
                )
            names.append(name)
        return names, new

    def load_groups(self, groups: DuplicateGroups) -> None:
        """Import the cases and incidents of a finished grouping into an empty index: the fast way to start.

        The grouping is of a grouper with the same model; its threshold becomes the index's. What was over on the day
        of the last report is closed. Two cases of one id are refused.
        """
        with self._in_turn():
            if self._store.rows():
                raise ValueError(f"{self.folder}: has {len(self)} cases; only an empty index can be filled")
            self._store.begin()
            with self._store.transaction():
                load_groups(self._store, groups)
                self._assigner.end_quiet_incidents(np.fmax.reduce(groups.features.days, initial=0.0))
            self._assigner.threshold = groups.threshold

    def remove(self, case_id: str, *, by: str | None = None, note: str | None = None) -> Events:
        """Remove a case; its text and vector are overwritten on disk when the index is closed, or earlier.

        If it was its incident's representative, the others are regrouped; most of them keep the incident's id. What a
        person decided of the others stays. The history keeps the case's id.
        """
        with self._changing(by, note) as changes:
            case = self._case(self._store, case_id)
            self._store.record("removed", case.incident, row=case.row, by_person=True)
            self._store.delete_case(case.row)
            self._store.remove_from_graph(case.row)
            self._assigner.renew(case.incident, case.row)
        return tuple(changes)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit what the block changes when it ends, or none of it if the block raises.

        What its thread reads holds its changes already; other threads read what was there before, and change nothing.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
        ...     placed = index.add(["محول الكهرباء انفجر في مجمع 711", "المجاري طافحة في مجمع 713"])
        ...     try:
        ...         with index.together():
        ...             merged = index.merge([1, 2])
        ...             closed = index.close_incident(3)
        ...     except KeyError:
        ...         index.stats()["incidents"]
        2
        """
        with self._in_turn(), self._store.transaction():
            self._together = threading.get_ident()
            try:
                yield
            finally:
                self._together = None

    # -- decisions of people -----------------------------------------------------------------------------------------

    def merge(self, incidents: Iterable[int], *, by: str | None = None, note: str | None = None) -> Events:
        """Merge incidents into the first of them, which keeps its id; all their cases then stay together.

        The other ids are gone. It is open unless all were closed.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
        ...     first, second = index.add(["محول الكهرباء انفجر في مجمع 711", "الكهرباء مقطوعة عن مجمع 713"])
        ...     (event,) = index.merge([first.incident_id, second.incident_id], by="نورة", note="محول واحد")
        ...     event.kind, index.assignment(second.id).incident_id == first.incident_id
        ('merged', True)
        """
        different = list(dict.fromkeys(incidents))
        if len(different) < 2:
            raise ValueError(f"got {len(different)} incidents to merge, expected at least two different ones")
        with self._changing(by, note) as changes:
            decisions.merge(self._store, different)
        return tuple(changes)

    def split(self, case_id: str, *, by: str | None = None, note: str | None = None) -> Events:
        """Take a case out of its incident, into an open one of its own; it stays apart from all cases that it leaves.

        If it was the representative, the others are regrouped, as when it is removed.
        """
        with self._changing(by, note) as changes:
            decisions.split(self._store, self._assigner, self._case(self._store, case_id))
        return tuple(changes)

    def move(self, case_id: str, incident: int, *, by: str | None = None, note: str | None = None) -> Events:
        """Move a case into another incident: as :meth:`split` from the one, and :meth:`merge` into the other."""
        with self._changing(by, note) as changes:
            decisions.move(self._store, self._assigner, self._case(self._store, case_id), incident)
        return tuple(changes)

    def close_incident(
        self, incident: int, *, at: datetime | None = None, by: str | None = None, note: str | None = None
    ) -> Events:
        """Close an incident: its cases no longer move by themselves, and ``reopen_days`` of :meth:`open` counts.

        ``at`` is when it was closed, as UTC if without a time zone; None for now. It is neither in the future nor
        before the day of the first report.
        """
        now = datetime.now(UTC)
        at = now if at is None else checked_time(at, "at").astimezone(UTC)
        if at > now + _CLOCKS_DIFFER:
            raise ValueError(f"at is {at.isoformat()}, which is in the future; leave it out to close the incident now")
        with self._changing(by, note, min(at, now)) as changes:
            before = self._store.closed_at(incident)
            if before is not None:
                raise ValueError(f"incident {incident} is closed already, since {before.isoformat()}")
            first, _ = self._store.day_range(incident)
            # A day's slack: a day of no time zone may begin so long before that of the report.
            if first is not None and at.timestamp() / 86_400 < min(first, now.timestamp() / 86_400) - 1:
                raise ValueError(
                    f"at is {at.isoformat()}, before the first report of incident {incident}; give the time at which "
                    "it was closed, or leave it out for now"
                )
            self._store.set_closed_at(incident, self._store.at.isoformat())
            self._store.record("closed", incident, by_person=True)
        return tuple(changes)

    def reopen_incident(self, incident: int, *, by: str | None = None, note: str | None = None) -> Events:
        """Open a closed incident again."""
        with self._changing(by, note) as changes:
            if self._store.closed_at(incident) is None:
                raise ValueError(f"incident {incident} is open already")
            self._store.set_closed_at(incident, None)
            self._store.record("reopened", incident, by_person=True)
        return tuple(changes)

    def history(self, incident: int | None = None) -> list[IncidentEvent]:
        """Return what happened to an incident, or to all, the earliest first; also of one whose id is gone."""
        with self._snapshot() as store:
            events = store.history(incident)
            if not events and incident is not None:
                store.closed_at(incident)
            return events

    def events(self, after: int = 0, limit: int | None = None) -> list[IncidentEvent]:
        """Return at most ``limit`` events with an ``id`` above ``after``, the earliest first.

        Who asks again after the last one that was read misses none, whatever answers were lost on the way.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(folder) as index:
        ...     placed = index.add(["محول الكهرباء انفجر في مجمع 711", "المجاري طافحة في مجمع 713"])
        ...     first = index.events(limit=1)
        ...     [(event.id, event.kind) for event in index.events(after=first[-1].id)]
        [(2, 'created')]
        """
        with self._snapshot() as store:
            return store.history(after=after, limit=limit)

    def _assignment(self, store: IndexFolder, case_id: str, is_new: bool = False) -> Assignment:
        case = self._case(store, case_id)
        return Assignment(id=case_id, incident_id=case.incident, is_new=is_new, score=case.score, reason=case.reason)

    def _case(self, store: IndexFolder, case_id: object) -> StoredCase:
        case = store.case(case_id)
        if case is None:
            raise KeyError(f"no case {case_id!r} in {self.folder}")
        return case

    @contextmanager
    def _snapshot(self) -> Iterator[IndexFolder]:
        """Yield the store of an open index as it was last changed."""
        self._check_open()
        is_changing = self._together == threading.get_ident()
        with nullcontext(self._store) if is_changing else self._store.snapshot() as store:
            yield store

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Lock an open index against the changes of other threads."""
        with self._writer_lock:
            self._check_open()
            yield

    def _check_open(self) -> None:
        self._store.check_process()
        if self._closed:
            raise ValueError(f"{self.folder}: this index is closed; open it again")

    @contextmanager
    def _changing(
        self, by: str | None = None, note: str | None = None, at: datetime | None = None
    ) -> Iterator[list[IncidentEvent]]:
        """Commit the block's changes, or roll all of them back; yield a list that then holds what happened.

        Waits for what other threads change.
        """
        with self._in_turn():
            changes: list[IncidentEvent] = []
            last = self._store.version()
            self._store.begin(by, note, at)
            with self._store.transaction() if self._together is None else nullcontext():
                self._store.keep(**self._settings)
                yield changes
            changes += self._store.history(after=last)
