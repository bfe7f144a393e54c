"""Group a whole table by incident: read it, group the cases or add them to an index, and write it with the groups."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.domain.taxonomy import NORMAL
from tawasul_nlp.tables.added_columns import GROUP_COLUMNS, added_names
from tawasul_nlp.tables.errors import TableError, disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Chunk
from tawasul_nlp.tables.io.fields import check_columns, checked_columns, joined_note, open_source
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.io.headings import Role, chosen, recognised_note
from tawasul_nlp.tables.io.write import urgency_words
from tawasul_nlp.tables.run.case_rows import CaseFields, read_cases, settled_order
from tawasul_nlp.tables.run.outputs import Answered, TableRun, publish, table_run
from tawasul_nlp.tables.run.parts import Parts, unfinished_run
from tawasul_nlp.tables.run.pipeline import ModelFacts

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex, Incident
    from tawasul_nlp.duplicates.features import CaseFeatures

OnStep = Callable[[str, int, int], None]

LARGEST = 10
_DECIMALS = 4
_STORED = ["features", "vector"]


@dataclass(frozen=True, slots=True)
class LargeGroup:
    """An incident with many reports."""

    id: int
    size: int
    text: str = field(repr=False)  # that of its representative
    urgency: str | None  # the highest of its reports; None if the model does not tell it
    most_urgent: str | None  # the id of the first that has it; None if it has no id
    urgency_words: str = field(repr=False)  # what says so in that one's text; empty if it is normal


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
    text_column: str | Sequence[str] | None = None,
    id_column: str | None = None,
    date_column: str | None = None,
    place_column: str | None = None,
    topic_column: str | None = None,
    index: str | Path | None = None,
    read: ReadOptions = ReadOptions(),
    write: WriteOptions = WriteOptions(),
    restart: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[str, int, int], None] | None = None,
) -> GroupReport:
    """Group the cases of a CSV, JSONL, Parquet or Excel file and write the table with the groups added.

    Rows keep their order and all their columns; added are ``incident_id``, ``incident_size``, ``incident_score`` (the
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
        Columns of the cases' ids, dates (:func:`~tawasul_nlp.tables.io.dates.read_date`), places ("مجمع 711", or only
        a block's number) and topics (ids or names of the model's, or others). None takes one with a usual heading,
        but for topics, and an empty name none. A case whose date cannot be read is grouped without one.
    index : str or Path, optional
        Folder of an index. The cases are added to it, and ids and sizes of incidents are the index's. This takes an
        `id_column`: by its id a case is known when the same table comes again. Rows without an id, and rows whose id
        another text or place has already, are rejected. What was added stays there, whatever happens afterwards.
    read, write : ReadOptions, WriteOptions
        How the table is read, and how the output is written; without an output the rejects file is
        ``tawasul.rejects.jsonl``.
    restart : bool
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
    from tawasul_nlp.duplicates.index.database import DATABASE

    began = time.monotonic()
    step = on_step or (lambda _what, _done, _total: None)
    if output is None and index is None:
        raise ValueError("got neither an output nor an index; name one, or there is nothing to do")
    file, reader = open_source(source, text_column, read)
    text = checked_columns(reader, text_column)
    wanted: dict[Role, str | None] = {"id": id_column, "date": date_column, "place": place_column}
    of_cases = {role: chosen(role, name, reader.columns) for role, name in wanted.items()}
    by_heading: dict[Role, str | None] = {"text": text[0] if text_column is None else None}
    by_heading |= {role: column for role, column in of_cases.items() if wanted[role] is None}
    for role, column in [*of_cases.items(), ("topic", topic_column)]:
        check_columns(reader, [column], f"--{role}-column")
    if index is not None and of_cases["id"] is None:
        raise TableError(
            "an index knows a case by its id, and no id column is named; name one with --id-column, "
            "or the same table would be added again each time"
        )
    day_first = settled_order(reader, of_cases["date"], read)
    fields = CaseFields(text=text, **of_cases, topic=topic_column, day_first=day_first)
    target = Path(output) if output is not None else None
    names = added_names(reader.columns, write.prefix, GROUP_COLUMNS)
    also_read = [] if index is None else [Path(index) / DATABASE]
    run = table_run("group", file, reader, target, write, also_read=also_read, resumable=index is None)
    layout = None if target is None else run.layout(names, GROUP_COLUMNS)
    with disk_errors(), ExitStack() as stack:
        chunks = list(_read_chunks(run, fields, chunk_rows, step))
        file.check()
        loaded = grouper() if callable(grouper) else grouper
        if index is not None:
            groups = _indexed(loaded, index, chunks, step)
        else:
            assert target is not None
            made_of = run.identity(_model(loaded)) | {"case_columns": dataclasses.asdict(fields), **run.reading(read)}
            made_of["chunk_rows"] = chunk_rows
            unfinished = unfinished_run(target, made_of, restart=restart)
            groups = _grouped(loaded, chunks, stack.enter_context(unfinished), step)
        facts = {"pairs_read": groups.pairs_read}
        if layout is not None:
            layout = dataclasses.replace(layout, domain=loaded.domain)
        written = publish(run, layout, groups.answered(chunks), lambda _: facts)
    sizes = {group: size for group, size, *_ in groups.values}
    return GroupReport(
        output=run.output,
        rejects=written.rejects,
        rows_read=written.rows_read,
        rows_written=written.rows_written,
        rows_rejected=written.rows_rejected,
        without_text=written.rows_written - len(groups.values),
        cases=len(groups.values),
        incidents=len(sizes),
        groups=sum(size > 1 for size in sizes.values()),
        grouped_cases=sum(size > 1 for _, size, *_ in groups.values),
        known=groups.known,
        pairs_read=groups.pairs_read,
        dates_unread=sum(chunk.dates_unread for chunk in chunks),
        largest=groups.largest,
        added=names,
        notes=(
            *reader.notes,
            *recognised_note(by_heading),
            *joined_note(fields.text),
            *_own_topics_note(loaded, chunks),
            *written.notes,
        ),
        seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class _CaseChunk:
    """A chunk of the table, and each of its readable rows as a case."""

    rows_read: int  # those that are rejected included
    chunk: Chunk
    cases: list[Case]
    dates_unread: int  # their cases have none

    def worded(self) -> list[Case]:
        """Return the cases that have a text; the others are in no group."""
        return [case for case in self.cases if case.text.strip()]


def _read_chunks(run: TableRun, fields: CaseFields, chunk_rows: int, step: OnStep) -> Iterator[_CaseChunk]:
    done = 0
    for chunk in run.reader.chunks(chunk_rows):
        rows_read = len(chunk.numbers) + len(chunk.rejects)
        fitting = chunk if run.format is None else run.format.fitting(chunk)
        yield _CaseChunk(rows_read, *read_cases(fitting, fields))
        done += rows_read
        step("read", done, 0)


def _model(grouper: DuplicateGrouper) -> dict[str, Any]:
    """Return what decides what is read in the cases: not how they are grouped by that."""
    return dict(ModelFacts.of(grouper.classifier).identity) | {"domain": grouper.domain.fingerprint}


def _own_topics_note(grouper: DuplicateGrouper, chunks: Iterable[_CaseChunk]) -> tuple[str, ...]:
    """Return what the user should know of topics that are none of the model's; nothing if all are."""
    from tawasul_nlp.duplicates.features import topic_ids

    topics = {case.topic for chunk in chunks for case in chunk.cases if case.topic}
    ids = topic_ids(grouper.classifier) if topics else {}
    others = sorted(topic for topic in topics if topic.casefold() not in ids)
    if not others:
        return ()
    return (
        f"{len(others):,} of {len(topics):,} topics are none of the model's, such as {others[0]!r}: "
        "such a topic agrees with its like and is not compared with topics that the model reads",
    )


@dataclass(frozen=True, slots=True)
class _Groups:
    """The groups of the cases with a text, in their order."""

    values: list[list[Any]]  # those of the added columns
    largest: tuple[LargeGroup, ...]
    pairs_read: int | None
    known: int | None = None

    def answered(self, chunks: Iterable[_CaseChunk]) -> Iterator[Answered]:
        """Yield the table with the values of the added columns, which are empty where a case has no text."""
        values, no_group = iter(self.values), [None] * len(GROUP_COLUMNS)
        for part in chunks:
            yield part.rows_read, part.chunk, [next(values) if case.text.strip() else no_group for case in part.cases]


@dataclass(frozen=True, slots=True)
class _Reports:
    """What a large group is told by: the text of its representative, its urgency, and the first report that has it."""

    text: str = field(repr=False)
    urgency: str | None
    first: tuple[str | None, str] | None = field(repr=False)  # its id and its text


def _largest(
    grouper: DuplicateGrouper, values: Iterable[list[Any]], reports: Callable[[int], _Reports]
) -> tuple[LargeGroup, ...]:
    sizes = {group: size for group, size, *_ in values if size > 1}
    top = sorted(sizes, key=lambda group: (-sizes[group], group))[:LARGEST]
    largest = []
    for group, told in ((group, reports(group)) for group in top):
        case_id, text = told.first or (None, "")
        words = urgency_words(grouper.classifier, [text])[0] if told.urgency not in (None, NORMAL) else ""
        largest.append(LargeGroup(group, sizes[group], told.text, told.urgency, case_id, words))
    return tuple(largest)


def _grouped(grouper: DuplicateGrouper, chunks: Sequence[_CaseChunk], parts: Parts, step: OnStep) -> _Groups:
    from tawasul_nlp.duplicates.features import most_urgent

    worded = [case for chunk in chunks for case in chunk.worded()]
    groups = grouper.group_features(worded, _features(grouper, chunks, parts, step))
    labels, representatives = groups.labels.tolist(), groups.representatives.tolist()
    sizes = Counter(labels)
    values = [
        [label, sizes[label], round(score, _DECIMALS), representative == row]
        for row, (label, score, representative) in enumerate(
            zip(labels, groups.scores.tolist(), representatives, strict=True)
        )
    ]
    representative_of = dict(zip(labels, representatives, strict=True))

    def reports(group: int) -> _Reports:
        rows = np.flatnonzero(groups.labels == group)
        urgency, first = most_urgent(groups.features.urgency[rows])
        case = None if first is None else worded[rows[first]]
        return _Reports(worded[representative_of[group]].text, urgency, case and (case.id, case.text))

    largest = _largest(grouper, values, reports)
    return _Groups(values, largest, None if grouper.verifier is None else len(groups.readings))


def _features(grouper: DuplicateGrouper, chunks: Sequence[_CaseChunk], parts: Parts, step: OnStep) -> CaseFeatures:
    """Return what the cases with a text are compared by, which is read of each chunk once and stored."""
    import pyarrow as pa

    from tawasul_nlp.duplicates.features import pack, unpack_with_vectors

    rows_read = list(accumulate(chunk.rows_read for chunk in chunks))
    for number in range(len(parts), len(chunks)):
        worded = chunks[number].worded()
        features = grouper.features(worded)
        blobs = pack(features) if worded else [], [row.tobytes() for row in features.vectors]
        batch = pa.RecordBatch.from_arrays([pa.array(column, pa.large_binary()) for column in blobs], _STORED)
        parts.add(batch, {"rows_read": rows_read[number]})
        step("encoded", rows_read[number], rows_read[-1])
    batches = [parts[number] for number in range(len(chunks))]
    packed, vectors = ([blob for batch in batches for blob in batch.column(column).to_pylist()] for column in (0, 1))
    return unpack_with_vectors(packed, vectors, grouper.classifier.incident_size, grouper.domain)


def _indexed(grouper: DuplicateGrouper, folder: str | Path, chunks: Sequence[_CaseChunk], step: OnStep) -> _Groups:
    from tawasul_nlp.duplicates import DuplicateIndex

    with DuplicateIndex.open(folder, grouper) as index:
        _reject_unknowable(chunks, index)
        total = sum(len(chunk.cases) for chunk in chunks)
        known = sum(case.id in index for chunk in chunks for case in chunk.cases)
        done = 0
        for chunk in chunks:
            index.add(chunk.worded())
            done += len(chunk.cases)
            step("added", done, total)
        # Read after the last case: until then groups grow, merge and split, and a case may change its group.
        incidents: dict[int, Incident] = {}
        values = []
        for case in (case for chunk in chunks for case in chunk.worded()):
            assignment = index.assignment(str(case.id))
            group = assignment.incident_id
            if group not in incidents:
                incidents[group] = index.incident(group)
            incident = incidents[group]
            score = round(assignment.score, _DECIMALS)
            values.append([group, len(incident.members), score, incident.representative == case.id])

        def reports(group: int) -> _Reports:
            incident = incidents[group]
            case_id = incident.most_urgent
            first = None if case_id is None else (case_id, index.text(case_id))
            return _Reports(index.text(incident.representative), incident.urgency, first)

        largest = _largest(grouper, values, reports)
        return _Groups(values, largest, None if grouper.verifier is None else index.pairs_read, known)


def _reject_unknowable(chunks: Iterable[_CaseChunk], index: DuplicateIndex) -> None:
    """Reject the rows that an index cannot take: without an id, or with the id of another text or place."""
    from tawasul_nlp.duplicates.index.store import difference

    first: dict[str, Case] = {}
    for part in chunks:
        problems: dict[int, str] = {}
        for row, case in enumerate(part.cases):
            if not case.text.strip():
                continue
            if case.id is None:
                problems[row] = "has no id, by which the index would know it"
            elif other := index.conflict(case) or difference(first.setdefault(case.id, case), case):
                problems[row] = (
                    f"has the id {case.id!r} of a case with another {other}; remove that one from the index first"
                )
        part.chunk = part.chunk.rejecting(problems)
        part.cases = [case for row, case in enumerate(part.cases) if row not in problems]
