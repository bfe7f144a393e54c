"""Classify a whole table: predict it chunk by chunk, then write it, and publish it when every row is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.added_columns import added_names, task_order
from tawasul_nlp.tables.errors import InputChangedError, disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS
from tawasul_nlp.tables.io.fields import check_columns, checked_columns, joined_note, open_source
from tawasul_nlp.tables.io.formats import ReadOptions, WriteOptions
from tawasul_nlp.tables.io.headings import recognised, recognised_note
from tawasul_nlp.tables.run.masking import check_names, checked_masks, masked_schema
from tawasul_nlp.tables.run.outputs import TableRun, WrittenTable, input_identity, publish, table_run
from tawasul_nlp.tables.run.parts import Parts, unfinished_run
from tawasul_nlp.tables.run.pipeline import (
    Classification,
    Classifier,
    LabelCount,
    LabelCounts,
    ModelFacts,
    Step,
    answered_chunks,
    loaded,
    predict_parts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What a run did."""

    output: Path
    rejects: Path | None  # None when no row was rejected
    manifest: Path | None  # None if there is none
    rows_read: int  # always rows_written + rows_rejected
    rows_written: int
    rows_rejected: int
    needs_review: int  # rows written with ``needs_review``
    emergencies: int  # rows written that are answered as emergencies
    expected_error: float  # the share of the task's answers that are probably wrong, of those without review
    task: str  # whose labels are counted: the agency, or a foreign model's first task
    counts: tuple[LabelCount, ...]  # largest first
    added: tuple[str, ...]  # names of the added columns
    notes: tuple[str, ...]  # what the user should know, such as renamed columns
    started: datetime  # in UTC; of a resumed run, when it first began
    seconds: float  # wall-clock time; of a resumed run, of all its processes
    resumed: int  # how often the run was resumed


def classify_table(
    classifier: Classifier | Callable[[], Classifier],
    source: str | Path,
    output: str | Path,
    *,
    text_column: str | Sequence[str] | None = None,
    place_columns: Sequence[str] | None = None,
    mask_columns: Sequence[str] | None = None,
    read: ReadOptions = ReadOptions(),
    write: WriteOptions = WriteOptions(),
    restart: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[Step], None] | None = None,
) -> BatchReport:
    """Classify the texts of a CSV, JSONL, Parquet or Excel file and write the table with the answers added.

    Rows keep their order and all their columns. A row without text (empty, null, absent) is classified as an empty
    text. A row that cannot be read goes to the rejects file. Memory is bounded by the chunk, not by the table.

    A run that was interrupted or killed resumes when it is called again in the same way: until the output is complete,
    the answers are in the folder ``OUT.partial``. The output's bytes do not depend on interruptions.

    Parameters
    ----------
    classifier : Classifier or callable
        Predicts a list of texts; or a function that loads one, which is called after the table was checked.
    source, output : str or Path
        Files; they must differ. The output appears when it is complete. A CSV output is UTF-8 and has the input's
        delimiter (a ``.tsv`` has tabs).
    text_column : str, sequence of str or None
        The column to classify, or a field of the objects in one (``complaint.body``); the texts of several are joined,
        a line each. None takes the one with a usual heading (:mod:`~tawasul_nlp.tables.io.headings`).
    place_columns : sequence of str or None
        Columns that say where a case is: blocks, towns or addresses. Where they do, governorate, block and town come
        from there and not from the text, and the case is routed by them.
    mask_columns : sequence of str or None
        Columns that are written without personal data, as are then the texts and rejected rows; the model reads the
        originals. None masks nothing.
    read, write : ReadOptions, WriteOptions
        How the table is read, and how the output is written.
    restart : bool
        Whether to discard an unfinished run of this output.
    chunk_rows : int
        Rows classified at a time.
    on_step : callable, optional
        Called after each chunk.

    Returns
    -------
    BatchReport

    Raises
    ------
    TableError
        If a file cannot be read or written as a whole (its subclass :class:`MissingColumnError` if there is no such
        column), or an unfinished run is there that differs from this one. Nothing is published then.
    InputChangedError
        If the input is changed while it is read; that is checked after each chunk and, by a hash, after the run.
    RowsLostError
        If written and rejected rows do not add up to the rows read, which would be a bug.
    """
    output = Path(output)
    file, reader = open_source(source, text_column, read)
    if mask_columns is not None:
        check_names(reader)  # before an error lists the names; once more when the model's country is known
    text_columns = checked_columns(reader, text_column)
    place = recognised("place", reader.columns) if place_columns is None else None
    places = tuple(filter(None, [place] if place_columns is None else place_columns))
    check_columns(reader, places, "--place-column")
    by_heading = recognised_note({"text": text_columns[0] if text_column is None else None, "place": place})
    masks = () if mask_columns is None else checked_masks(reader, [*text_columns, *mask_columns])
    run = table_run("classify", file, reader, output, write, resumable=True)
    model = loaded(classifier)
    facts = ModelFacts.of(model)
    if masks:
        check_names(reader, facts.domain)
    types = facts.columns()
    names = added_names(reader.columns, write.prefix, types)
    table = Classification(
        file=file,
        reader=reader,
        text_columns=text_columns,
        place_columns=places,
        mask_columns=masks,
        layout=run.layout(names, types, partial(masked_schema, reader, masks), facts.domain),
        domain=facts.domain or Domain.bundled(),
        task=_counted_task(facts),
        chunk_rows=chunk_rows,
    )
    options = _options(table, run.reading(read))
    made_of = run.identity(facts.identity) | options
    with unfinished_run(output, made_of, restart=restart) as parts, disk_errors():
        counts = predict_parts(table, model, parts, on_step)
        notes = (*reader.notes, *by_heading, *joined_note(text_columns))
        report = partial(_report, run, table, counts, parts, notes)
        published = publish(
            run,
            table.layout,
            answered_chunks(table, parts),
            lambda published: _facts(report(published), facts, options),
            before=lambda: _check_unchanged(run),
        )
        return report(published)


def _counted_task(facts: ModelFacts) -> str:
    tasks = task_order(facts.tasks)
    single = [task for task in tasks if task not in facts.multi_label]
    return "agency" if "agency" in tasks else next(iter(single), tasks[0])


def _options(table: Classification, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that must be the same for a run to resume, as plain data."""
    texts = table.text_columns
    return {
        "text_column": texts[0] if len(texts) == 1 else list(texts),
        **reading,
        "added": list(table.layout.added),
        "place_columns": list(table.place_columns),
        "mask_columns": list(table.mask_columns),
        "bom": table.layout.bom,
        "chunk_rows": table.chunk_rows,
    }


def _check_unchanged(run: TableRun) -> None:
    """Raise :class:`InputChangedError` if the file is not what it was, which some file systems report too late."""
    run.file.check()
    if input_identity(run.file.path) != run.input:
        raise InputChangedError(run.file.path)


def _report(
    run: TableRun,
    table: Classification,
    counts: LabelCounts,
    parts: Parts,
    notes: Sequence[str],
    published: WrittenTable,
) -> BatchReport:
    assert run.output is not None
    return BatchReport(
        output=run.output,
        rejects=published.rejects,
        manifest=run.manifest,
        rows_read=counts.rows_read,
        rows_written=published.rows_written,
        rows_rejected=published.rows_rejected,
        needs_review=counts.needs_review,
        emergencies=counts.emergencies,
        expected_error=counts.wrong / max(1, published.rows_written - counts.needs_review),
        task=counts.task,
        counts=counts.counts(),
        added=table.layout.added,
        notes=(*notes, *published.notes),
        started=parts.started,
        seconds=parts.seconds(),
        resumed=parts.resumed,
    )


def _facts(report: BatchReport, model: ModelFacts, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest holds."""
    return {
        "model": {**model.identity, "tasks": list(model.tasks)},
        "options": dict(options),
        "rows": {"for_review": report.needs_review, "emergencies": report.emergencies},
        "rows_by_label": {report.task: {count.id: count.rows for count in report.counts}},
        "rejects": report.rejects.name if report.rejects is not None else None,
        "notes": list(report.notes),
        "started": report.started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_read / report.seconds, 2) if report.seconds > 0 else None,
        "resumed": report.resumed,
    }
