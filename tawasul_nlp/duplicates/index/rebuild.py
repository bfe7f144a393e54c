"""Store a whole grouping in an index: in an empty one, or to make one anew of its cases, as after a change of model."""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp._system import sync_folder
from tawasul_nlp.duplicates.candidates import keyed_pairs, search_vectors
from tawasul_nlp.duplicates.grouper import DuplicateGrouper
from tawasul_nlp.duplicates.groups import DuplicateGroups
from tawasul_nlp.duplicates.index.assign import kept_ids, regrouped
from tawasul_nlp.duplicates.index.index_folder import IndexFolder, beside, opened_store, origin
from tawasul_nlp.duplicates.index.store import IndexStore
from tawasul_nlp.errors import IndexDiskError, IndexLockedError


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
    with ExitStack() as failing:
        with closing(opened_store(folder)) as store:  # locked, so that nobody changes it meanwhile
            for path in (new, old):
                if path.exists():
                    raise IndexDiskError(
                        f"{path}: is there already, of an earlier rebuild or yours; delete it or move it away"
                    )
            failing.callback(shutil.rmtree, new, ignore_errors=True)
            store.copy_to(new)
            version = store.version()
        with closing(IndexStore(new)) as store:
            result = _regroup(store, grouper or DuplicateGrouper.from_pretrained(), old)
        _swap(folder, new, old, version)
        failing.pop_all()
    return result


def _regroup(store: IndexStore, grouper: DuplicateGrouper, old: Path) -> IndexRebuild:
    """Read and group the cases of an index anew, but those of closed incidents, which stay as they are."""
    placements, closed = store.placements(), store.closed_incidents()
    rows = [row for row, *_ in placements]
    before = [incident for _, _, incident, *_ in placements]
    sealed = defaultdict(list)
    for position, incident in enumerate(before):
        if incident in closed:
            sealed[incident].append(position)
    cases = store.cases()
    constraints = store.constraints_among(rows, list(sealed.values()))
    groups = grouper.group_features(cases, grouper.features(cases), constraints)
    representatives = groups.representatives.tolist()
    ids = kept_ids(zip(representatives, before, strict=True))
    begun = sorted(set(representatives) - set(ids))
    ids |= {representative: number for number, representative in enumerate(begun, store.last_incident_id() + 1)}
    after = [ids[representative] for representative in representatives]
    grouped = zip(after, groups.scores.tolist(), groups.reasons, strict=True)
    with store.committed():
        store.keep(**origin(grouper.classifier.config.model_hash, grouper.domain))
        placed = (
            (incident, score, reason) if incident in closed else group
            for (*_, incident, score, reason), group in zip(placements, grouped, strict=True)
        )
        store.replace_features(rows, groups.features, placed)
        _store_settings(store, groups, np.array(rows, np.int64))
        for gone in set(before) - set(after):
            store.delete_incident(gone)
        for representative, incident in ids.items():
            if incident not in closed:
                store.set_representative(incident, rows[representative])
        for kind, into, moved, other in regrouped(before, after):
            row = None if moved is None else rows[moved]
            store.record(kind, into, row=row, other=other, reason="the index was rebuilt")
    return IndexRebuild(cases=len(rows), incidents=len(set(after)), ids_kept=len(set(before) & set(after)), old=old)


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
