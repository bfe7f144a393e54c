"""Make an index anew of its cases, as after a change of model, whose vectors are not those of the one before."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp._system import sync_folder
from tawasul_nlp.duplicates.candidates import keyed_pairs
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.index.assign import regrouped
from tawasul_nlp.duplicates.index.database import DATABASE
from tawasul_nlp.duplicates.index.incidents import IncidentEvent, stored_event
from tawasul_nlp.duplicates.index.index_folder import beside, check_rebuild_ended, make_folder, no_index, origin
from tawasul_nlp.duplicates.index.loading import packed_features
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

    Errors are those of :meth:`~tawasul_nlp.duplicates.DuplicateIndex.open`; IndexDiskError also if ``FOLDER.new`` or
    ``FOLDER.old`` is there already.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp.duplicates import DuplicateIndex
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
    make_folder(new)
    with _removed_on_failure(new):
        with closing(IndexStore(folder)) as store:  # locked, so that nobody changes it meanwhile
            store.copy_to(new)
            version = store.version()
        with closing(IndexStore(new)) as store:
            result = _regroup(store, grouper, old)
        _swap(folder, new, old, version)
    return result


def _regroup(store: IndexStore, grouper: DuplicateGrouper, old: Path) -> IndexRebuild:
    """Read and group the cases of an index anew, but those of closed incidents, which stay as they are."""
    placements = store.placements()
    before, closed = [incident for _, _, incident, *_ in placements], store.closed_incidents()
    sealed: dict[int, list[int]] = {incident: [] for incident in closed}
    for position, incident in enumerate(before):
        if incident in closed:
            sealed[incident].append(position)
    rows = [row for row, *_ in placements]
    cases = store.cases()
    constraints = store.constraints_among(rows, list(sealed.values()))
    groups = grouper.group_features(cases, grouper.features(cases), constraints)
    after = _incident_ids(before, groups.representatives.tolist(), store.last_incident_id())
    placed = list(zip(after, groups.scores.tolist(), groups.reasons, strict=True))
    for positions in sealed.values():
        for position in positions:
            placed[position] = placements[position][2:]
    events = [
        IncidentEvent(
            kind=kind,
            incident=incident,
            case_id=None if position is None else placements[position][1],
            other=other,
            reason="the index was rebuilt",
        )
        for kind, incident, position, other in regrouped(before, after)
    ]
    with store.committed():
        store.keep(**origin(grouper.classifier.config.model_hash, grouper.domain))
        store.keep_threshold(groups.threshold)
        packed = zip(packed_features(groups.features), placed, rows, strict=True)
        store.replace_features((*features, *placement, row) for features, placement, row in packed)
        first, second = np.array(rows, np.int64)[keyed_pairs(groups.readings.keys).T].tolist()
        store.add_readings(zip(first, second, groups.readings.logits.tolist(), strict=True))
        for incident in set(before) - set(after):
            store.delete_incident(incident)
        for incident, representative in set(zip(after, groups.representatives.tolist(), strict=True)):
            if incident not in closed:
                store.add_incident(incident, rows[representative])
        store.add_events(map(stored_event, events))
    return IndexRebuild(cases=len(rows), incidents=len(set(after)), ids_kept=len(set(before) & set(after)), old=old)


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


def _swap(folder: Path, new: Path, old: Path, version: int) -> None:
    """Put the new folder in the place of the one before, if that is still what was read."""
    try:
        os.rename(folder, old)
        try:
            with closing(IndexStore(old)) as store:
                if store.version() != version:
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
