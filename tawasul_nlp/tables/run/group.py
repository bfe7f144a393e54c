"""Group a whole table by incident: read it, group the cases or add them to an index, and write it with the groups."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tawasul_nlp.tables.added_columns import GROUP_COLUMNS, added_names
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS
from tawasul_nlp.tables.io.fields import check_columns, checked_columns, joined_note, open_source
from tawasul_nlp.tables.io.files import PendingFile
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.io.write import write_table
from tawasul_nlp.tables.run.case_rows import CaseRows, reject_unknowable
from tawasul_nlp.tables.run.outputs import (
    Targets,
    check_rows,
    checked_targets,
    escaped_note,
    input_identity,
    layout_of,
    publish_table,
)

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import Case, DuplicateGrouper, Incident

LARGEST = 10
_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class LargeGroup:
    """An incident with many reports: its id, how many, and the text of its representative."""

    id: int
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What a run did.

    Attributes
    ----------
    output, rejects : Path or None
        The published table (None when only an index was added to), and the file of rejected rows, if any was rejected.
    rows_read, rows_written, rows_rejected : int
        ``rows_read == rows_written + rows_rejected`` always.
    without_text : int
        Rows written without a group, because they have no text.
    cases, incidents : int
        Rows that were grouped, and how many different groups they are in.
    groups, grouped_cases : int
        Incidents that were reported more than once, and the rows in them.
    known : int or None
        Cases that were in the index before; None without an index.
    pairs_read : int or None
        Pairs of cases whose texts the model read together to verify them; None if it did not verify any.
    dates_unread : int
        Cases that were grouped without a date because theirs could not be read.
    largest : tuple of LargeGroup
        At most ten, the largest first.
    added : tuple of str
        Names of the added columns.
    notes : tuple of str
        What the user should know of the input, such as renamed columns.
    seconds : float
        Wall-clock time of the run.
    """

    output: Path | None
    rejects: Path | None
    rows_read: int
    rows_written: int
    rows_rejected: int
    without_text: int
    cases: int
    incidents: int
    groups: int
    grouped_cases: int
    known: int | None
    pairs_read: int | None
    dates_unread: int
    largest: tuple[LargeGroup, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


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
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[str, int, int], None] | None = None,
) -> GroupReport:
    """Group the cases of a CSV, JSONL, Parquet or Excel file and write the table with the groups added.

    Rows keep their order and all their columns; added are ``group_id``, ``group_size``, ``group_score`` (the
    probability that the case and its group's representative report one incident) and ``is_representative``. A row
    without text belongs to no group, and these are empty. A row that cannot be read goes to the rejects file. All rows
    are held in memory.

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
    chunk_rows : int
        Rows read, and added to the index, at a time.
    on_step : callable, optional
        Called with what is done ("read", "grouped" or "added"), how many rows so far, and of how many (0: unknown).

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
    target = Path(output) if output is not None else None
    if target is None and index is None:
        raise ValueError("got neither an output nor an index; name one, or there is nothing to do")
    if index is not None and id_column is None:
        raise TableError(
            "an index knows a case by its id, and no id column is named; name one with --id-column, "
            "or the same table would be added again each time"
        )
    source = Path(source)
    file, reader = open_source(source, text_column, read)
    wanted = {"id": id_column, "date": date_column, "place": place_column, "topic": topic_column}
    text_columns = checked_columns(reader, text_column)
    for role, name in wanted.items():
        check_columns(reader, [name], f"--{role}-column")
    names = added_names(reader.columns, write.prefix, GROUP_COLUMNS)
    targets = checked_targets("group", source, target, write, also_read=_index_files(index))
    identity = input_identity(file.path)

    with disk_errors(), ExitStack() as stack:
        # Opened before the work: a folder that cannot be written is reported at once.
        rejects_file = stack.enter_context(PendingFile(targets.rejects))
        table_file = stack.enter_context(PendingFile(target)) if target is not None else None
        rows = CaseRows()
        for chunk in reader.chunks(chunk_rows):
            fitting = chunk if targets.format is None else targets.format.fitting(chunk, lambda same: same)
            rows.add(fitting, text_columns, wanted)
            if on_step is not None:
                on_step("read", rows.read, 0)
        file.check()
        loaded = grouper() if callable(grouper) else grouper
        found = _grouped(loaded, rows) if index is None else _indexed(loaded, index, rows, on_step)
        written, escaped = sum(len(chunk.numbers) for chunk in rows.chunks), 0
        if table_file is not None:
            layout = layout_of(reader, targets, write, names, GROUP_COLUMNS)
            writer = write_table(table_file, layout, zip(rows.chunks, found.values, strict=True))
            written, escaped = writer.rows_written, writer.escaped
        rejects = [reject for chunk in rows.chunks for reject in chunk.rejects]
        check_rows(rows.read, written, len(rejects))
        counts = {"read": rows.read, "written": written, "rejected": len(rejects)}
        facts = {"pairs_read": found.pairs_read, "input": {"name": source.name, **identity}, "rows": counts}
        publish_table("group", targets, rejects_file, table_file, rejects, facts)
    notes = (*reader.notes, *joined_note(text_columns), *_own_topics_note(loaded, rows), *escaped_note(escaped))
    return _report(targets, rows, found, written, len(rejects), names, notes, time.monotonic() - began)


def _report(
    targets: Targets,
    rows: CaseRows,
    found: _Grouped,
    written: int,
    rejected: int,
    added: tuple[str, ...],
    notes: tuple[str, ...],
    seconds: float,
) -> GroupReport:
    return GroupReport(
        output=targets.output,
        rejects=targets.rejects if rejected else None,
        rows_read=rows.read,
        rows_written=written,
        rows_rejected=rejected,
        without_text=written - found.cases,
        cases=found.cases,
        incidents=len(found.sizes),
        groups=sum(size > 1 for size in found.sizes.values()),
        grouped_cases=found.together,
        known=found.known,
        pairs_read=found.pairs_read,
        dates_unread=rows.dates_unread,
        largest=found.largest,
        added=added,
        notes=notes,
        seconds=seconds,
    )


def _own_topics_note(grouper: DuplicateGrouper, rows: CaseRows) -> tuple[str, ...]:
    """Return what the user should know of topics that are none of the model's; nothing if all are."""
    from tawasul_nlp.duplicates.features import topic_ids

    topics = {case.topic for cases in rows.cases for case in cases if case.topic}
    ids = topic_ids(grouper.classifier) if topics else {}
    own = sorted(topic for topic in topics if topic.casefold() not in ids)
    if not own:
        return ()
    return (
        f"{len(own):,} of {len(topics):,} topics are none of the model's, such as {own[0]!r}: such a topic agrees with "
        "its like and is not compared with topics that the model reads",
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


def _grouped(grouper: DuplicateGrouper, rows: CaseRows) -> _Grouped:
    worded = [case for cases in rows.cases for case in cases if case.text.strip()]
    groups = grouper.group(worded)
    labels, representatives = groups.labels.tolist(), groups.representatives.tolist()
    sizes = Counter(labels)
    values = (
        [label, sizes[label], round(score, _DECIMALS), representative == at]
        for at, (label, score, representative) in enumerate(
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


def _indexed(
    grouper: DuplicateGrouper, folder: str | Path, rows: CaseRows, on_step: Callable[[str, int, int], None] | None
) -> _Grouped:
    from tawasul_nlp.duplicates import DuplicateIndex

    with DuplicateIndex.open(folder, grouper) as index:
        reject_unknowable(rows, index)
        total = sum(map(len, rows.cases))
        known = sum(case.id in index for cases in rows.cases for case in cases)
        done = 0
        for cases in rows.cases:
            index.add(case for case in cases if case.text.strip())
            done += len(cases)
            if on_step is not None:
                on_step("added", done, total)
        # Read after the last case: until then groups grow, merge and split, and a case may change its group.
        grouped = _Grouped(known)
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
