"""Store a whole grouping in an index: in an empty one, or to make one anew of its cases, as after a change of model."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp._system import sync_folder
from tawasul_nlp.duplicates.candidates import keyed_pairs, pair_keys, search_vectors
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.duplicates.index.assign import kept_ids, regrouped
from tawasul_nlp.duplicates.index.database import DATABASE, is_foreign
from tawasul_nlp.duplicates.index.incidents import IncidentEvent
from tawasul_nlp.duplicates.index.index_folder import IndexFolder, beside, check_rebuild_ended, opened_store, origin
from tawasul_nlp.duplicates.index.store import IndexStore
from tawasul_nlp.errors import IndexDamagedError, IndexDiskError, IndexLockedError

# Cases that are read at once; what a stopped rebuild has read it does not read again.
_AT_ONCE = 4_096


def load_groups(folder: IndexFolder, groups: DuplicateGroups) -> None:
    """Store the cases and incidents of a grouping in an empty index."""
    ids = [case.id if case.id is not None else f"case-{row}" for row, case in enumerate(groups.cases)]
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise ValueError(f"two cases have the id {twice!r}; give every case a unique id")
    representatives, incident_of, sizes = np.unique(groups.representatives, return_inverse=True, return_counts=True)
    placements = zip((incident_of + 1).tolist(), groups.scores.tolist(), groups.reasons, strict=True)
    start = folder.add_cases(ids, groups.cases, groups.features, placements)
    loaded = zip((start + representatives).tolist(), sizes.tolist(), strict=True)
    for incident, (representative, size) in enumerate(loaded, start=1):
        folder.set_representative(incident, representative)
        reason = f"loaded with {size} {'case' if size == 1 else 'cases'}"
        folder.record("created", incident, row=representative, reason=reason)
    _store_settings(folder, groups, start + np.arange(len(ids)))
    folder.add_to_graph(start, search_vectors(groups.features))


def _store_settings(store: IndexStore, groups: DuplicateGroups, rows: np.ndarray) -> None:
    """Store the threshold of a grouping, and what was read of its pairs."""
    store.keep(threshold=repr(float(groups.threshold)))
    pairs = rows[keyed_pairs(np.array(list(groups.readings), np.uint64))]
    store.add_readings((a, b, logit) for (a, b), logit in zip(pairs.tolist(), groups.readings.values(), strict=True))


@dataclass(frozen=True, slots=True)
class IndexRebuild:
    """What became of an index that was made anew."""

    cases: int
    incidents: int
    # Incidents that have the id of one before.
    ids_kept: int
    # What happened to incidents: those that were merged or split, and the cases that moved.
    changes: tuple[IncidentEvent, ...]
    # Rows of the index from before (of cases, incidents, decisions, events) that were damaged, and are lost.
    damaged: int
    # Where the index from before is.
    old: Path


def rebuild_index(
    folder: str | Path,
    grouper: DuplicateGrouper | None = None,
    *,
    progress: Callable[[str, float], None] = lambda _doing, _share: None,
) -> IndexRebuild:
    """Replace an index by one that is made anew of its cases, whichever model made it.

    The new one is made beside it, as ``FOLDER.new``, and takes its place when it is complete; the one before is kept as
    ``FOLDER.old`` until you delete it. Meanwhile the one before may be in use. A rebuild that was stopped resumes:
    cases that it has read are not read again.

    All cases are grouped anew, and what people decided is respected; the history is kept. Closed incidents, and those
    that a person split off, stay as they are. An incident keeps the id that most of its cases had, unless more cases of
    that id are in another; the others get new ids, and no id is given twice. Texts, ids, dates and places of cases are
    kept; topics and embeddings that they were given, and the threshold, are not. Of a damaged index what is sound is
    kept.

    Parameters
    ----------
    folder : str or Path
    grouper : DuplicateGrouper or None
        Reads and compares the cases; None for the bundled model.
    progress : callable, optional
        Called with what is being done, and its share that is done.

    Raises
    ------
    IndexLockedError
        If the index is in use when the new one is complete. Close it, and rebuild again: only what has changed
        meanwhile is then read.
    IndexFormatError
        If there is no index, or it is newer.
    IndexDiskError
        If the new index cannot be written, ``FOLDER.old`` is there already, or ``FOLDER.new`` is not an unfinished
        rebuild.

    Examples
    --------
    >>> import tempfile
    >>> from tawasul_nlp.duplicates import DuplicateIndex
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     incidents = Path(folder) / "incidents"
    ...     with DuplicateIndex.open(incidents) as index:
    ...         placed = index.add(["المجاري طافحة في مجمع 711", "انقطع التيار عن مجمع 1203"])
    ...     done = rebuild_index(incidents)
    >>> done.cases, done.ids_kept, done.changes, done.old.name
    (2, 2, (), 'incidents.old')
    """
    folder = Path(folder).resolve()
    new, old = beside(folder)
    grouper = grouper or DuplicateGrouper.from_pretrained()
    check_rebuild_ended(folder)
    if old.exists():
        raise IndexDiskError(f"{old}: is there already, of an earlier rebuild or yours; delete it or move it away")
    while True:
        version, damaged = _read_anew(folder, new, grouper, progress)
        progress("grouping", 0.0)
        classifier = grouper.classifier
        with closing(IndexFolder(new, classifier.config.model_hash, classifier.incident_size, grouper.domain)) as store:
            result = _regroup(store, grouper, damaged, old)
        if _swap(folder, new, old, version):
            return result


def _read_anew(
    folder: Path, new: Path, grouper: DuplicateGrouper, progress: Callable[[str, float], None]
) -> tuple[int, int]:
    """Bring the new index to the state of the one before, and read its cases that are not read yet.

    Returns the number of the last event, and how many rows are damaged.
    """
    with suppress(IndexLockedError, IndexDamagedError):  # whoever has it open has checked it
        opened_store(folder).close()
    origin_now = origin(grouper.classifier.config.model_hash, grouper.domain)
    _check_unfinished(new)
    with closing(IndexStore(new)) as store:
        facts = store.facts()
        _check_unfinished(new, facts)
        last_read = int(facts.get("last_read", "-1"))
        with store.committed():
            if not origin_now.items() <= facts.items():  # what another model read counts no more
                last_read = -1
                store.delete_readings()
            store.keep(last_read=str(last_read), **origin_now)
        version, damaged = store.take_over(folder)
        unread = [row for row in sorted(store.case_rows()) if row > last_read]
        for start in range(0, len(unread), _AT_ONCE):
            progress("reading cases", start / len(unread))
            rows = unread[start : start + _AT_ONCE]
            features = grouper.features(store.cases(rows))
            with store.committed():
                store.replace_features(rows, features)
                store.keep(last_read=str(rows[-1]))
    return version, damaged


def _check_unfinished(new: Path, facts: Mapping[str, str] | None = None) -> None:
    """Raise IndexDiskError if what is there is no unfinished rebuild: by its files, or by the facts of its index."""
    if facts is None:
        holds_other = new.exists() and not (new / DATABASE).is_file() and any(map(is_foreign, new.iterdir()))
    else:
        holds_other = "last_read" not in facts and facts.keys() != {"format_version"}
    if holds_other:
        raise IndexDiskError(f"{new}: is there already, and is no unfinished rebuild; delete it or move it away")


def _regroup(store: IndexFolder, grouper: DuplicateGrouper, damaged: int, old: Path) -> IndexRebuild:
    """Group the cases of an index anew, but those of incidents that stay as they are."""
    placements, version = store.placements(), store.version()
    complete = store.closed_incidents() | store.split_off()
    rows = [row for row, *_ in placements]
    before = [incident for _, _, incident, *_ in placements]
    sealed = defaultdict(list)
    for position, incident in enumerate(before):
        if incident in complete:
            sealed[incident].append(position)
    constraints = store.constraints_among(rows, list(sealed.values()))
    groups = grouper.group_features(store.cases(), store.features(rows), constraints, _readings(store, rows))
    representatives = groups.representatives.tolist()
    ids = kept_ids(zip(representatives, before, strict=True))
    begun = sorted(set(representatives) - set(ids))
    ids |= {representative: number for number, representative in enumerate(begun, store.last_incident_id() + 1)}
    after = [ids[representative] for representative in representatives]
    with store.committed():
        for row, incident, score, reason in zip(rows, after, groups.scores.tolist(), groups.reasons, strict=True):
            if incident not in complete:
                store.place(row, incident, score, reason)
        _store_settings(store, groups, np.array(rows, np.int64))
        for gone in set(before) - set(after):
            store.delete_incident(gone)
        for representative, incident in ids.items():
            if incident not in complete:
                store.set_representative(incident, rows[representative])
        for kind, into, moved, other in regrouped(before, after):
            case = None if moved is None else rows[moved]
            store.record(kind, into, row=case, other=other, reason="the index was rebuilt")
    return IndexRebuild(
        cases=len(rows),
        incidents=len(set(after)),
        ids_kept=len(set(before) & set(after)),
        changes=tuple(store.history(after=version)),
        damaged=damaged,
        old=old,
    )


def _readings(store: IndexStore, rows: list[int]) -> dict[int, float]:
    """Return what was read of pairs of cases by their positions, as a grouping has it."""
    readings = store.all_readings()
    if not readings:
        return {}
    first, second, logits = zip(*readings, strict=True)
    return dict(zip(pair_keys(*np.searchsorted(rows, [first, second])).tolist(), logits, strict=True))


def _swap(folder: Path, new: Path, old: Path, version: int) -> bool:
    """Put the new folder in the place of the one before; return False if that has changed since it was read."""
    try:
        if _version(folder) not in (version, None):
            return False
    except IndexLockedError as error:
        raise IndexLockedError(
            f"{folder}: is in use, and the new index is complete; close it and rebuild again, which reads only what "
            "has changed meanwhile"
        ) from error
    try:
        os.rename(folder, old)
        try:
            if _version(old) not in (version, None):  # changed at the last moment
                os.rename(old, folder)
                return False
            os.rename(new, folder)
        except BaseException:
            if old.exists():
                os.rename(old, folder)
            raise
        sync_folder(folder.parent)
        return True
    except OSError as error:
        if isinstance(error, IndexDiskError):
            raise
        raise IndexDiskError(f"{folder}: the folder cannot be renamed ({error}); the index is as it was") from error


def _version(folder: Path) -> int | None:
    """Return the number of an index's last event; None for a damaged one, which nobody can open and change."""
    try:
        with closing(IndexStore(folder)) as store:
            return store.version()
    except IndexDamagedError:
        return None
