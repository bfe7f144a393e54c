"""Group a whole table by incident: read it, group the cases or add them to an index, and write it with the groups."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.tables.added_columns import GROUP_COLUMNS, added_names
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Reader
from tawasul_nlp.tables.io.fields import check_columns, checked_columns, joined_note, open_source
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.run.case_rows import CaseFields, CaseRows, reject_unknowable
from tawasul_nlp.tables.run.outputs import (
    Targets,
    WrittenTable,
    checked_targets,
    input_identity,
    layout_of,
    publish,
    reading_of,
    versions,
)
from tawasul_nlp.tables.run.parts import Parts, unfinished_run
from tawasul_nlp.tables.run.pipeline import ModelFacts

if TYPE_CHECKING:
    import pyarrow as pa

    from tawasul_nlp.duplicates import Case, DuplicateGrouper, Incident
    from tawasul_nlp.duplicates.features import CaseFeatures

OnStep = Callable[[str, int, int], None]

LARGEST = 10
_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class LargeGroup:
    """An incident with many reports: its id, how many, and the text of its representative."""

    id: int
    size: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    """What a run did."""

    output: Path | None  # None when only an index was added to
    rejects: Path | None  # None when no row was rejected
    rows_read: int  # always rows_written + rows_rejected
    rows_written: int
    rows_rejected: int
    without_text: int  # rows written without a group, because they have no text
    cases: int  # rows that were grouped
    incidents: int  # how many different groups they are in
    groups: int  # incidents that were reported more than once
    grouped_cases: int  # the rows in them
    known: int | None  # cases that were in the index before; None without an index
    pairs_read: int | None  # pairs whose texts the model read together to verify them; None if it verifies none
    dates_unread: int  # cases that were grouped without a date because theirs could not be read
    largest: tuple[LargeGroup, ...]  # at most ten, the largest first
    added: tuple[str, ...]  # names of the added columns
    notes: tuple[str, ...]  # what the user should know of the input, such as renamed columns
    seconds: float  # wall-clock time of the run


def group_table(
    grouper: DuplicateGrouper | Callable[[], DuplicateGrouper],
    source: str | Path,
    output: str | Path | None,
    *,
    text_column: str | Sequence[str] | None,
    id_column: str | None = None,
    date_column: str | None = None,
    place_column: str | None = None,
    topic_column: str | None = None,
    index: str | Path | None = None,
    read: ReadOptions = ReadOptions(),
    write: WriteOptions = WriteOptions(),
    restart: bool = False,
    resumable: bool = True,
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[str, int, int], None] | None = None,
) -> GroupReport:
    """Group the cases of a CSV, JSONL, Parquet or Excel file and write the table with the groups added.

    Rows keep their order and all their columns; added are ``group_id``, ``group_size``, ``group_score`` (the
    probability that the case and its group's representative report one incident) and ``is_representative``. A row
    without text belongs to no group, and these are empty. A row that cannot be read goes to the rejects file. All rows
    are held in memory.

    A run without an index that was interrupted or killed resumes when it is called again in the same way: what the
    model has read is in the folder ``OUT.partial`` until the output is complete.

    Parameters
    ----------
    grouper : DuplicateGrouper or callable
        Or a function that loads one; it is called when the table has been read.
    source : str or Path
        The table.
    output : str or Path or None
        The table to write; it appears when it is complete. None adds to the index only.
    text_column : str, sequence of str or None
        The column of texts, as for :func:`~tawasul_nlp.tables.run.classify.classify_table`.
    id_column, date_column, place_column, topic_column : str, optional
        Columns of the cases' ids, dates (ISO 8601, or day/month/year), places ("مجمع 711", or only a block's number)
        and topics (ids or names of the model's, or others). A case whose date cannot be read is grouped without one.
    index : str or Path, optional
        Folder of an index. The cases are added to it, and group ids and sizes are the index's. This takes an
        `id_column`: by its id a case is known when the same table comes again. Rows without an id, and rows whose id
        another text has already, are rejected. What was added stays there, whatever happens afterwards.
    read, write : ReadOptions, WriteOptions
        How the table is read, and how the output is written; without an output the rejects file is
        ``tawasul.rejects.jsonl``.
    restart, resumable : bool
        As for :func:`~tawasul_nlp.tables.run.classify.classify_table`.
    chunk_rows : int
        Rows read, and added to the index, at a time.
    on_step : callable, optional
        Called with what is done ("read", "encoded" or "added"), how many rows so far, and of how many (0: unknown).

    Returns
    -------
    GroupReport

    Raises
    ------
    TableError
        If a file cannot be read or written as a whole, or a column is missing (its subclass :class:`InputChangedError`
        if the input is changed while it is read). No table is published then, and nothing is added to an index.
    IndexFormatError, IndexLockedError
        If the index cannot be opened.
    RowsLostError
        If written and rejected rows do not add up to the rows read, which would be a bug.
    """
    began = time.monotonic()
    step = on_step or (lambda _what, _done, _total: None)
    _check_index(output, index, id_column)
    file, reader = open_source(source, text_column, read)
    fields = CaseFields(
        text=checked_columns(reader, text_column),
        id=id_column,
        date=date_column,
        place=place_column,
        topic=topic_column,
    )
    _check_fields(reader, fields)
    target = Path(output) if output is not None else None
    names = added_names(reader.columns, write.prefix, GROUP_COLUMNS)
    targets = checked_targets(
        "group", Path(source), target, write, also_read=_index_files(index), resumable=index is None
    )
    layout = None if target is None else layout_of(reader, targets, write, names, GROUP_COLUMNS)
    input = input_identity(file.path)
    with disk_errors():
        rows = _read_cases(file, reader, targets, fields, chunk_rows, step)
        loaded = grouper() if callable(grouper) else grouper
        with ExitStack() as stack:
            if index is not None:
                grouped = _indexed(loaded, index, rows, step)
            else:
                assert target is not None and layout is not None
                made_of = _made_of(loaded, fields, input, reading_of(reader, layout, read)) | {"chunk_rows": chunk_rows}
                run = unfinished_run(target, made_of, resumable=resumable, restart=restart)
                grouped = _grouped(loaded, rows, stack.enter_context(run), step)
            facts = {"pairs_read": grouped.pairs_read, "input": {"name": file.name, **input}}
            answered = zip(rows.read, rows.chunks, grouped.values, strict=True)
            written = publish("group", targets, layout, answered, lambda _: facts)
    notes = (*reader.notes, *joined_note(fields.text), *_own_topics_note(loaded, rows), *written.notes)
    return _report(targets, rows, grouped, written, names, notes, time.monotonic() - began)


def _check_index(output: str | Path | None, index: str | Path | None, id_column: str | None) -> None:
    if output is None and index is None:
        raise ValueError("got neither an output nor an index; name one, or there is nothing to do")
    if index is not None and id_column is None:
        raise TableError(
            "an index knows a case by its id, and no id column is named; name one with --id-column, "
            "or the same table would be added again each time"
        )


def _check_fields(reader: Reader, fields: CaseFields) -> None:
    for role in ("id", "date", "place", "topic"):
        check_columns(reader, [getattr(fields, role)], f"--{role}-column")


def _read_cases(
    file: InputFile, reader: Reader, targets: Targets, fields: CaseFields, chunk_rows: int, step: OnStep
) -> CaseRows:
    rows = CaseRows(fields)
    for chunk in reader.chunks(chunk_rows):
        rows.add(chunk if targets.format is None else targets.format.fitting(chunk, lambda same: same))
        step("read", sum(rows.read), 0)
    file.check()
    return rows


def _made_of(
    grouper: DuplicateGrouper, fields: CaseFields, input: Mapping[str, Any], reading: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what decides what the model reads in the cases: not how they are grouped by that."""
    return {
        "command": "group",
        "input": dict(input),
        "model": dict(ModelFacts.of(grouper.classifier).identity) | {"domain": grouper.domain.fingerprint},
        "versions": versions(),
        "case_columns": dataclasses.asdict(fields),
        **reading,
    }


def _report(
    targets: Targets,
    rows: CaseRows,
    grouped: _Grouped,
    written: WrittenTable,
    added: tuple[str, ...],
    notes: tuple[str, ...],
    seconds: float,
) -> GroupReport:
    return GroupReport(
        output=targets.output,
        rejects=written.rejects,
        rows_read=written.rows_read,
        rows_written=written.rows_written,
        rows_rejected=written.rows_rejected,
        without_text=written.rows_written - grouped.cases,
        cases=grouped.cases,
        incidents=len(grouped.sizes),
        groups=sum(size > 1 for size in grouped.sizes.values()),
        grouped_cases=grouped.together,
        known=grouped.known,
        pairs_read=grouped.pairs_read,
        dates_unread=rows.dates_unread,
        largest=grouped.largest,
        added=added,
        notes=notes,
        seconds=seconds,
    )


def _own_topics_note(grouper: DuplicateGrouper, rows: CaseRows) -> tuple[str, ...]:
    """Return what the user should know of topics that are none of the model's; nothing if all are."""
    from tawasul_nlp.duplicates.features import topic_ids

    topics = {case.topic for cases in rows.cases for case in cases if case.topic}
    ids = topic_ids(grouper.classifier) if topics else {}
    others = sorted(topic for topic in topics if topic.casefold() not in ids)
    if not others:
        return ()
    return (
        f"{len(others):,} of {len(topics):,} topics are none of the model's, such as {others[0]!r}: "
        "such a topic agrees with its like and is not compared with topics that the model reads",
    )


class _Grouped:
    """The groups of the cases, as values of the added columns for each chunk's rows."""

    def __init__(self, known: int | None = None) -> None:
        self.values: list[list[list[Any]]] = []
        self.sizes: dict[int, int] = {}
        self.cases = 0
        self.together = 0
        self.known = known
        self.pairs_read: int | None = None
        self.largest: tuple[LargeGroup, ...] = ()

    def add(self, cases: Iterable[Case], values_of: Callable[[Case], list[Any]]) -> None:
        """Add a chunk's cases in their order; those without text are in no group."""
        values = [values_of(case) if case.text.strip() else _NO_GROUP for case in cases]
        self.values.append(values)
        for group, size, _, _ in values:
            if group is not None:
                self.sizes[group] = size
                self.cases += 1
                self.together += size > 1

    def show(self, text_of: Callable[[int], str]) -> None:
        """Keep the largest groups, with the text that `text_of` gives for each."""
        several = {group: size for group, size in self.sizes.items() if size > 1}
        top = sorted(several, key=lambda group: (-several[group], group))[:LARGEST]
        self.largest = tuple(LargeGroup(group, several[group], text_of(group)) for group in top)


_NO_GROUP: list[Any] = [None] * len(GROUP_COLUMNS)


def _grouped(grouper: DuplicateGrouper, rows: CaseRows, parts: Parts, step: OnStep) -> _Grouped:
    worded = [case for cases in rows.cases for case in cases if case.text.strip()]
    groups = grouper.group_features(worded, _features(grouper, rows, parts, step))
    labels, representatives = groups.labels.tolist(), groups.representatives.tolist()
    sizes = Counter(labels)
    values = (
        [label, sizes[label], round(score, _DECIMALS), representative == row]
        for row, (label, score, representative) in enumerate(
            zip(labels, groups.scores.tolist(), representatives, strict=True)
        )
    )
    grouped = _Grouped()
    if grouper.verifier is not None:
        grouped.pairs_read = len(groups.readings)
    for cases in rows.cases:
        grouped.add(cases, lambda _: next(values))
    representative_of = dict(zip(labels, representatives, strict=True))
    grouped.show(lambda group: worded[representative_of[group]].text)
    return grouped


def _features(grouper: DuplicateGrouper, rows: CaseRows, parts: Parts, step: OnStep) -> CaseFeatures:
    """Return what the cases with a text are compared by, which is read of each chunk once and stored."""
    from tawasul_nlp.duplicates.features import pack, unpack_with_vectors

    rows_read = list(accumulate(rows.read))
    for number in range(len(parts), len(rows.cases)):
        worded = [case for case in rows.cases[number] if case.text.strip()]
        features = grouper.features(worded)
        batch = _features_batch(pack(features) if worded else [], features.vectors)
        parts.add(batch, {"rows_read": rows_read[number]})
        step("encoded", rows_read[number], rows_read[-1])
    batches = [parts[number] for number in range(len(rows.cases))]
    packed = [blob for batch in batches for blob in batch.column(0).to_pylist()]
    vectors = [blob for batch in batches for blob in batch.column(1).to_pylist()]
    return unpack_with_vectors(packed, vectors, grouper.classifier.incident_size, grouper.domain)


def _features_batch(packed: Sequence[bytes], vectors: np.ndarray) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [pa.array(packed, pa.large_binary()), pa.array([row.tobytes() for row in vectors], pa.large_binary())]
    return pa.RecordBatch.from_arrays(columns, names=["features", "vector"])


def _indexed(grouper: DuplicateGrouper, folder: str | Path, rows: CaseRows, step: OnStep) -> _Grouped:
    from tawasul_nlp.duplicates import DuplicateIndex

    with DuplicateIndex.open(folder, grouper) as index:
        reject_unknowable(rows, index)
        total = sum(map(len, rows.cases))
        known_cases = sum(case.id in index for cases in rows.cases for case in cases)
        done = 0
        for cases in rows.cases:
            index.add(case for case in cases if case.text.strip())
            done += len(cases)
            step("added", done, total)
        # Read after the last case: until then groups grow, merge and split, and a case may change its group.
        grouped = _Grouped(known_cases)
        if grouper.verifier is not None:
            grouped.pairs_read = index.pairs_read
        incidents: dict[int, Incident] = {}

        def values_of(case: Case) -> list[Any]:
            assignment = index.assignment(str(case.id))
            group, score = assignment.group_id, round(assignment.score, _DECIMALS)
            if group not in incidents:
                incidents[group] = index.group(group)
            incident = incidents[group]
            return [group, len(incident.members), score, incident.representative == case.id]

        for cases in rows.cases:
            grouped.add(cases, values_of)
        grouped.show(lambda group: index.text(incidents[group].representative))
        return grouped


def _index_files(folder: str | Path | None) -> list[Path]:
    from tawasul_nlp.duplicates.index.database import DATABASE

    return [] if folder is None else [Path(folder) / DATABASE]
