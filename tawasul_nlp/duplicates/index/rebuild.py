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
from tawasul_nlp.duplicates.clustering import Constraints
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.index.assign import regrouped
from tawasul_nlp.duplicates.index.database import DATABASE
from tawasul_nlp.duplicates.index.incidents import IncidentEvent, stored_event
from tawasul_nlp.duplicates.index.index import DuplicateIndex
from tawasul_nlp.duplicates.index.index_folder import IndexFolder, beside, check_rebuild_ended, no_index
from tawasul_nlp.duplicates.index.store import IndexStore
from tawasul_nlp.errors import IndexDiskError, IndexLockedError


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
    with closing(IndexStore(folder)) as store:  # locked, so that nobody changes it meanwhile
        cases, last_id = store.cases(), store.last_incident_id()
        before = Governance.read(store)
        groups = grouper.group_constrained(cases, before.constraints())
        ids = _incident_ids(before.incidents, groups.representatives.tolist(), last_id)
        with _removed_on_failure(new), DuplicateIndex.open(new, grouper) as index:
            index.load_groups(groups, ids, last_id)
            before.restore(index._store, ids)
    with _removed_on_failure(new):
        _swap(folder, new, old, before)
    return IndexRebuild(
        cases=len(cases), incidents=len(set(ids)), ids_kept=len(set(before.incidents) & set(ids)), old=old
    )


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
    taken: set[int] = set()
    for (representative, incident), _ in Counter(zip(representatives, old, strict=True)).most_common():
        if representative not in ids and incident not in taken:
            ids[representative] = incident
            taken.add(incident)
    for number, representative in enumerate(sorted(set(representatives) - set(ids)), start=last_id + 1):
        ids[representative] = number
    return [ids[representative] for representative in representatives]


def _swap(folder: Path, new: Path, old: Path, before: Governance) -> None:
    """Put the new folder in the place of the one before, if that is still what was read."""
    try:
        os.rename(folder, old)
        try:
            with closing(IndexStore(old)) as store:
                if Governance.read(store) != before:
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


@dataclass(frozen=True, slots=True)
class Governance:
    """What an index holds besides the texts and features of its cases; a case is named by its position."""

    ids: list[str]
    # The incident of each case.
    incidents: list[int]
    # Score and reason of each case.
    scores: list[tuple[float, str]]
    # Each linked case and its component.
    linked: list[tuple[int, int]]
    # Pairs that are kept apart, in both directions.
    apart: list[tuple[int, int]]
    # When each closed incident was closed, and its representative.
    closed: dict[int, tuple[str, int]]
    # Incidents, and the one that each repeats.
    recurrences: list[tuple[int, int]]
    # As they are stored.
    events: list[tuple[Any, ...]]
    # How long closed incidents may reopen, if that was set.
    settings: dict[str, str]

    @classmethod
    def read(cls, store: IndexStore) -> Governance:
        """Read it from an index."""
        placements = store.placements()
        position = {row: number for number, (row, *_) in enumerate(placements)}
        linked, apart = store.links()
        return cls(
            ids=[case_id for _, case_id, *_ in placements],
            incidents=[incident for _, _, incident, *_ in placements],
            scores=[(score, reason) for *_, score, reason in placements],
            linked=[(position[row], component) for row, component in linked],
            apart=[(position[first], position[second]) for first, second in apart],
            closed={incident: (time, position[row]) for incident, time, row in store.closed_incidents()},
            recurrences=store.recurrences(),
            events=store.events(),
            settings={name: value for name, value in store.facts().items() if name == "reopen_days"},
        )

    def constraints(self) -> Constraints | None:
        """Return the constraints by which its cases may be grouped anew: closed incidents stay as they are."""
        head: dict[tuple[str, int], int] = {}
        pairs = [(head.setdefault(("linked", component), case), case) for case, component in self.linked]
        complete = [case for case, incident in enumerate(self.incidents) if incident in self.closed]
        pairs += [(head.setdefault(("closed", self.incidents[case]), case), case) for case in complete]
        return Constraints.from_pairs(len(self.ids), pairs, self.apart, complete)

    def restore(self, folder: IndexFolder, new: Sequence[int]) -> None:
        """Write it into a rebuilt index, whose rows are the positions; ``new`` has the incident of each case."""
        changes = []
        for kind, incident, case, other in regrouped(self.incidents, new):
            case_id = None if case is None else self.ids[case]
            changes.append(
                IncidentEvent(
                    kind=kind, incident=incident, case_id=case_id, other=other, reason="the index was rebuilt"
                )
            )
        present = set(new)
        with folder.transaction():
            folder.keep(**self.settings)
            folder.add_links(self.linked, self.apart)
            for incident, (time, row) in self.closed.items():
                folder.set_closed_at(incident, time)
                folder.set_representative(incident, row)
            for row, (incident, (score, reason)) in enumerate(zip(self.incidents, self.scores, strict=True)):
                if incident in self.closed:
                    folder.place(row, incident, score, reason)
            folder.set_recurrences((one, other) for one, other in self.recurrences if one in present)
            if self.events:
                folder.delete_events()
                folder.add_events([*self.events, *map(stored_event, changes)])
