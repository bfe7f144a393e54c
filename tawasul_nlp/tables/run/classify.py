"""Classify a whole table: read a chunk, predict, write it, and publish the output when every row is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.added_columns import added_names, classification_columns, task_order
from tawasul_nlp.tables.errors import InputChangedError, disk_errors
from tawasul_nlp.tables.io.chunk import CHUNK_ROWS, Reader
from tawasul_nlp.tables.io.fields import check_columns, checked_columns, joined_note, open_source
from tawasul_nlp.tables.io.files import publish
from tawasul_nlp.tables.io.formats import Layout, ReadOptions, WriteOptions
from tawasul_nlp.tables.run.masking import check_names, checked_masks, masked_schema
from tawasul_nlp.tables.run.outputs import (
    Targets,
    checked_targets,
    escaped_note,
    input_identity,
    layout_of,
    versions,
    write_manifest,
)
from tawasul_nlp.tables.run.pipeline import Classifier, Engine, LabelCount, LocalEngine, ModelFacts, Pipeline, Step
from tawasul_nlp.tables.run.resume import TABLE, UnfinishedRun, files_of_run, is_unfinished, unfinished_run


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a run did.

    Attributes
    ----------
    output, rejects : Path or None
        The published table, and the file of rejected rows; `rejects` is None when no row was rejected.
    manifest : Path or None
        The file that has all this as JSON, with versions, options and hashes; None if there is none.
    rows_read, rows_written, rows_rejected : int
        ``rows_read == rows_written + rows_rejected`` always.
    needs_review : int
        Rows written with ``needs_review``.
    task : str
        The task whose labels are counted: the agency, or a foreign model's first task.
    counts : tuple of LabelCount
        Largest first.
    added : tuple of str
        Names of the added columns.
    notes : tuple of str
        What the user should know, such as renamed columns.
    started : datetime
        In UTC; of a resumed run, when it first began.
    seconds : float
        Wall-clock time of reading, predicting and writing; of a resumed run, of all its processes.
    resumed : int
        How often the run was resumed.
    """

    output: Path
    rejects: Path | None
    manifest: Path | None
    rows_read: int
    rows_written: int
    rows_rejected: int
    needs_review: int
    task: str
    counts: tuple[LabelCount, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]
    started: datetime
    seconds: float
    resumed: int


def classify_table(
    classifier: Classifier | Callable[[], Classifier],
    source: str | Path,
    output: str | Path,
    *,
    text_column: str | Sequence[str] | None,
    place_columns: Sequence[str] = (),
    mask_columns: Sequence[str] = (),
    read: ReadOptions = ReadOptions(),
    write: WriteOptions = WriteOptions(),
    engine: Callable[[Classifier | Callable[[], Classifier]], Engine] = LocalEngine,
    restart: bool = False,
    resumable: bool = True,
    chunk_rows: int = CHUNK_ROWS,
    on_step: Callable[[Step], None] | None = None,
) -> BatchReport:
    """Classify the texts of a CSV, JSONL, Parquet or Excel file and write the table with the answers added.

    Rows keep their order and all their columns. A row without text (empty, null, absent) is classified as an empty
    text. A row that cannot be read goes to the rejects file. Memory is bounded by the chunk, not by the table.

    A run that was interrupted or killed resumes when it is called again in the same way: until the output is complete,
    finished rows are in the folder ``OUT.partial``. The output's bytes do not depend on interruptions or engines.

    Parameters
    ----------
    classifier : Classifier or callable
        Predicts a list of texts; or a function that loads one, which is called after the table was checked.
    source, output : str or Path
        Files; they must differ. The output appears when it is complete. A CSV output is UTF-8 and has the input's
        delimiter (a ``.tsv`` has tabs).
    text_column : str, sequence of str or None
        The column to classify, or a field of the objects in one (``complaint.body``); the texts of several are joined,
        a line each. None raises an error that lists the columns.
    place_columns : sequence of str
        Columns that say where a case is: blocks, towns or addresses. Where they do, governorate, block and town come
        from there and not from the text, and the case is routed by them.
    mask_columns : sequence of str
        Columns that are written without personal data, as are rejected rows if any is named; the model reads the
        originals.
    read, write : ReadOptions, WriteOptions
        How the table is read, and how the output is written.
    engine : callable
        Returns what predicts, of a classifier: this process, or with :class:`tawasul_nlp.tables.ray.RayEngine` the
        workers of a cluster.
    restart : bool
        Whether to discard an unfinished run of this output.
    resumable : bool
        Whether another process may resume this run; False for an input that will not be there again.
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
    WorkerDiedError
        If a worker of a cluster ended, for example for lack of memory.
    RowsLostError
        If written and rejected rows do not add up to the rows read, which would be a bug.
    """
    source, output = Path(source), Path(output)
    file, reader = open_source(source, text_column, read)
    if mask_columns:
        check_names(reader)  # before an error lists the names; once more when the model's country is known
    text_columns = checked_columns(reader, text_column)
    check_columns(reader, place_columns, "--place-column")
    mask_columns = checked_masks(reader, mask_columns)
    targets = checked_targets(
        "classify", source, output, write, also_written=files_of_run(output), resumes=is_unfinished(output)
    )
    identity = input_identity(file.path)

    with closing(engine(classifier)) as opened:
        tasks = task_order(opened.facts.tasks)
        domain, multi_label = opened.facts.domain, opened.facts.multi_label
        if mask_columns:
            check_names(reader, domain)
        levels = None if domain is None else domain.gazetteer.levels
        types = classification_columns(tasks, levels, multi_label=multi_label, issues=opened.facts.finds_issues)
        names = added_names(reader.columns, write.prefix, types)
        layout = layout_of(reader, targets, write, names, types, lambda: masked_schema(reader.schema(), mask_columns))
        options = _options(reader, layout, text_columns, place_columns, mask_columns, read, write, chunk_rows)
        same = {"input": identity, "model": dict(opened.facts.identity), "versions": versions()} | options
        task = "agency" if "agency" in tasks else next((task for task in tasks if task not in multi_label), tasks[0])
        with unfinished_run(output, same, resumable=resumable, restart=restart) as run, disk_errors():
            columns = text_columns, mask_columns, tuple(place_columns)
            pipeline = Pipeline(file, reader, layout, run, *columns, task, domain)
            pipeline.run(opened, chunk_rows, on_step)
            # What file systems report too late is found here, unless it was undone.
            if input_identity(file.path) != identity:
                raise InputChangedError(file.path)
            _publish(run, layout, targets, pipeline.label_counts.rows_rejected)
            notes = (*reader.notes, *joined_note(text_columns), *escaped_note(pipeline.escaped))
            report = _report(targets, pipeline, notes, run.resumed)
            if report.manifest is not None:
                facts = _facts(report, {"name": source.name, **identity}, opened.facts, options)
                write_manifest(report.manifest, facts)
    return report


def _options(
    reader: Reader,
    layout: Layout,
    text_columns: Sequence[str],
    place_columns: Sequence[str],
    mask_columns: Sequence[str],
    read: ReadOptions,
    write: WriteOptions,
    chunk_rows: int,
) -> dict[str, Any]:
    """Return the options that must be the same for a run to resume, as plain data."""
    return {
        "text_column": text_columns[0] if len(text_columns) == 1 else list(text_columns),
        "output_format": layout.format.name,
        "columns": list(reader.columns),
        "added": list(layout.added),
        "encoding": reader.encoding,
        "delimiter": reader.delimiter,
        "sheet": reader.sheet,
        "header_row": read.header_row,
        "place_columns": list(place_columns),
        "mask_columns": list(mask_columns),
        "bom": write.bom,
        "raw_cells": write.raw_cells,
        "chunk_rows": chunk_rows,
    }


def _report(targets: Targets, pipeline: Pipeline, notes: tuple[str, ...], resumed: int) -> BatchReport:
    assert targets.output is not None
    counts = pipeline.label_counts
    return BatchReport(
        output=targets.output,
        rejects=targets.rejects if counts.rows_rejected else None,
        manifest=targets.manifest,
        rows_read=counts.rows_read,
        rows_written=pipeline.rows_written,
        rows_rejected=counts.rows_rejected,
        needs_review=counts.needs_review,
        task=counts.task,
        counts=counts.counts(),
        added=pipeline.layout.added,
        notes=notes,
        started=pipeline.started,
        seconds=pipeline.seconds(),
        resumed=resumed,
    )


def _publish(run: UnfinishedRun, layout: Layout, targets: Targets, rejected: int) -> None:
    """Build the table and put it in place, after the rejects: whoever sees the output can rely on finding them."""
    assert targets.output is not None
    table = run.rows.path
    if rejected:
        publish(run.rejects.path, targets.rejects)
    else:
        targets.rejects.unlink(missing_ok=True)
    if layout.format.build is not None:
        table = run.folder / TABLE
        table.unlink(missing_ok=True)  # it may be one and the same file as an output that was published already
        layout.format.build(run.rows.path, table, layout)
    publish(table, targets.output)


def _facts(
    report: BatchReport, source: Mapping[str, Any], model: ModelFacts, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the manifest holds."""
    return {
        "command": "classify",
        "versions": versions(),
        "model": {**model.identity, "tasks": list(model.tasks)},
        "input": dict(source),
        "output": {"name": report.output.name, **input_identity(report.output)},
        "options": dict(options),
        "rows": {
            "read": report.rows_read,
            "written": report.rows_written,
            "rejected": report.rows_rejected,
            "for_review": report.needs_review,
        },
        "rows_by_label": {report.task: {count.id: count.rows for count in report.counts}},
        "rejects": report.rejects.name if report.rejects is not None else None,
        "notes": list(report.notes),
        "started": report.started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_read / report.seconds, 2) if report.seconds > 0 else None,
        "resumed": report.resumed,
    }
