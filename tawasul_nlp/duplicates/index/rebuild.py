"""Make an index anew of its cases, as after a change of model, whose vectors are not those of the one before."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tawasul_nlp._system import sync_folder
from tawasul_nlp.duplicates.cases import Case
from tawasul_nlp.duplicates.clustering import Constraints
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.index.database import DATABASE, IndexDatabase, now
from tawasul_nlp.duplicates.index.history import EVENT_FIELDS, INSERT_EVENT, stored_event
from tawasul_nlp.duplicates.index.incidents import IncidentEvent
from tawasul_nlp.duplicates.index.index import DuplicateIndex
from tawasul_nlp.duplicates.index.plans import regrouped
from tawasul_nlp.duplicates.index.store import IndexFolder, beside, check_rebuild_ended, no_index
from tawasul_nlp.errors import IndexDiskError, IndexLockedError

_CASES = "SELECT text, id, created_at, place FROM cases ORDER BY row"


@dataclass(frozen=True, slots=True)
class IndexRebuild:
    """What became of an index that was made anew."""

    cases: int
    incidents: int
    # Incidents that have the id of one before.
    ids_kept: int
    # Where the index from before is.
    old: Path


def rebuild_index(folder: str | Path, grouper: DuplicateGrouper | None = None) -> IndexRebuild:
    """Replace an index by one that is made anew of its cases, whichever model made it.

    The new one is made beside it, as ``FOLDER.new``, and takes its place when it is complete; the one before is kept as
    ``FOLDER.old`` until you delete it. All cases are grouped anew, except those of closed incidents, which stay as they
    are, and what people decided is respected; the history is kept. An incident keeps the id that most of its cases had,
    unless more cases of that id are in another; the others get new ids, and no id is given twice. Texts, ids, dates and
    places of cases are kept; topics and embeddings that they were given, and the threshold, are not.

    Parameters
    ----------
    folder : str or Path
    grouper : DuplicateGrouper or None
        Reads and compares the cases, and gives the threshold; None for the bundled model.

    Raises
    ------
    IndexLockedError
        If a process has it open.
    IndexFormatError
        If there is no index, or a damaged one.
    IndexDiskError
        If the disk is full, the folders cannot be written, or ``FOLDER.new`` or ``FOLDER.old`` is there already.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     incidents = Path(folder) / "incidents"
    ...     with DuplicateIndex.open(incidents) as index:
    ...         placed = index.add(["المجاري طافحة في مجمع 711", "انقطع التيار عن مجمع 1203"])
    ...     done = rebuild_index(incidents)
    >>> done.cases, done.ids_kept, done.old.name
    (2, 2, 'incidents.old')
    """
    folder = Path(folder).resolve()
    new, old = beside(folder)
    _check_free(folder, new, old)
    grouper = grouper or DuplicateGrouper.from_pretrained()
    with closing(IndexDatabase(folder)) as database:  # held, so that nobody changes it meanwhile
        stored = database.all(_CASES)
        last_id = database.one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'groups'")
        before = Governance.read(database)
        groups = grouper.group_constrained([Case(*row) for row in stored], before.constraints())
        ids = _incident_ids(before.incidents, groups.representatives.tolist(), last_id)
        with _removed_on_failure(new), DuplicateIndex.open(new, grouper) as index:
            index.load_groups(groups, ids, last_id)
            before.restore(index._store, ids)
    with _removed_on_failure(new):
        _swap(folder, new, old, stored, before)
    return IndexRebuild(len(stored), len(set(ids)), len(set(before.incidents) & set(ids)), old)


def _check_free(folder: Path, new: Path, old: Path) -> None:
    if not (folder / DATABASE).is_file():
        check_rebuild_ended(folder)
        raise no_index(folder)
    for path in (new, old):
        if path.exists():
            raise IndexDiskError(f"{path}: is there already, of an earlier rebuild or yours; delete it or move it away")


def _incident_ids(old: Sequence[int], representatives: Sequence[int], last_id: int) -> list[int]:
    """Return the id of each case's new incident: the one that it shares the most cases with, if no other has more.

    >>> _incident_ids([7, 7, 7, 8, 8, 9], [0, 0, 2, 2, 4, 4], 9)
    [7, 7, 8, 8, 9, 9]
    """
    ids: dict[int, int] = {}
    kept: set[int] = set()
    for (representative, incident), _ in Counter(zip(representatives, old, strict=True)).most_common():
        if representative not in ids and incident not in kept:
            ids[representative] = incident
            kept.add(incident)
    for number, representative in enumerate(sorted(set(representatives) - set(ids)), start=last_id + 1):
        ids[representative] = number
    return [ids[representative] for representative in representatives]


def _swap(folder: Path, new: Path, old: Path, stored: list[tuple[object, ...]], before: Governance) -> None:
    """Put the new folder in the place of the one before, if that is still what was read."""
    try:
        os.rename(folder, old)
        try:
            with closing(IndexDatabase(old)) as database:
                if database.all(_CASES) != stored or Governance.read(database) != before:
                    raise IndexLockedError(f"{folder}: another process changed the index meanwhile; rebuild it again")
            os.rename(new, folder)
        except BaseException:
            os.rename(old, folder)
            raise
        sync_folder(folder.parent)
    except OSError as error:
        if isinstance(error, IndexDiskError):
            raise
        raise IndexDiskError(f"{folder}: the folder cannot be renamed ({error}); the index is as it was") from error


@contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


_PLACED = "SELECT row, id, group_id, score, reason FROM cases ORDER BY row"


@dataclass(frozen=True, slots=True)
class Governance:
    """What an index holds besides its cases and their features; a case is named by its position."""

    ids: list[str]
    # The incident of each case.
    incidents: list[int]
    # Each linked case and its component.
    linked: list[tuple[int, int]]
    # Pairs that are kept apart, in both directions.
    apart: list[tuple[int, int]]
    # When each closed incident was closed, and its representative.
    closed: dict[int, tuple[str, int]]
    # Score and reason of each case.
    scores: list[tuple[float, str]]
    # Incidents, and the one that each repeats.
    recurrences: list[tuple[int, int]]
    # As they are stored.
    events: list[tuple[Any, ...]]
    # How long closed incidents may reopen, if that was set.
    settings: dict[str, str]

    @classmethod
    def read(cls, database: IndexDatabase) -> Governance:
        """Read it from an index."""
        cases = database.all(_PLACED)
        ids, incidents = [case[1] for case in cases], [case[2] for case in cases]
        scores = [(score, reason) for *_, score, reason in cases]
        at = {case[0]: position for position, case in enumerate(cases)}
        linked = database.all("SELECT row, component FROM must_link ORDER BY row")
        apart = database.all("SELECT first, second FROM cannot_link ORDER BY first, second")
        closed = database.all("SELECT id, closed_at, representative FROM groups WHERE closed_at IS NOT NULL")
        return cls(
            ids,
            incidents,
            [(at[row], component) for row, component in linked],
            [(at[first], at[second]) for first, second in apart],
            {incident: (when, at[row]) for incident, when, row in closed},
            scores,
            database.all("SELECT id, recurrence_of FROM groups WHERE recurrence_of IS NOT NULL"),
            database.all(f"SELECT {EVENT_FIELDS} FROM events ORDER BY id"),
            {name: value for name, value in database.facts().items() if name == "reopen_days"},
        )

    def constraints(self) -> Constraints | None:
        """Return the constraints by which its cases may be grouped anew: closed incidents stay as they are."""
        first: dict[tuple[str, int], int] = {}
        pairs = [(first.setdefault(("linked", component), at), at) for at, component in self.linked]
        complete = [at for at, incident in enumerate(self.incidents) if incident in self.closed]
        pairs += [(first.setdefault(("closed", self.incidents[at]), at), at) for at in complete]
        return Constraints.from_pairs(len(self.ids), pairs, self.apart, complete)

    def restore(self, store: IndexFolder, new: Sequence[int]) -> None:
        """Write it into a rebuilt index, whose rows are the positions; ``new`` has the incident of each case."""
        at, changes = now(), []
        for kind, incident, position, other in regrouped(self.incidents, new):
            case_id = None if position is None else self.ids[position]
            event = IncidentEvent(kind, incident, case_id, other, at, False, None, None, "the index was rebuilt")
            changes.append(stored_event(event))
        present = set(new)
        with store.transaction():
            store.keep(**self.settings)
            store.change_many("INSERT INTO must_link (row, component) VALUES (?, ?)", self.linked)
            store.change_many("INSERT INTO cannot_link (first, second) VALUES (?, ?)", self.apart)
            for incident, (when, row) in self.closed.items():
                store.change("UPDATE groups SET closed_at = ?, representative = ? WHERE id = ?", when, row, incident)
            store.change_many(
                "UPDATE cases SET score = ?, reason = ? WHERE row = ?",
                ((*self.scores[row], row) for row, incident in enumerate(self.incidents) if incident in self.closed),
            )
            store.change_many(
                "UPDATE groups SET recurrence_of = ? WHERE id = ?",
                ((other, incident) for incident, other in self.recurrences if incident in present),
            )
            if self.events:
                store.change("DELETE FROM events")
                store.change_many(INSERT_EVENT, [*self.events, *changes])
