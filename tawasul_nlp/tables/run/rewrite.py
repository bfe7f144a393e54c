"""Write a table again with some of its cells changed; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import disk_errors
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk, Reader, Reject
from tawasul_nlp.tables.io.files import InputFile, PendingFile
from tawasul_nlp.tables.io.formats import WriteOptions
from tawasul_nlp.tables.io.write import write_table
from tawasul_nlp.tables.run.outputs import (
    check_rows,
    checked_targets,
    escaped_note,
    input_identity,
    layout_of,
    publish_table,
)

Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RewriteReport:
    """What was written: ``rows_read == rows_written + rows_rejected``, and ``rejects`` only if any was."""

    rows_read: int
    rows_written: int
    rows_rejected: int
    rejects: Path | None
    notes: tuple[str, ...]


def rewrite_table(
    command: str,
    source: Path,
    file: InputFile,
    reader: Reader,
    output: Path,
    cells: Mapping[int, Cells],
    *,
    before: Callable[[], None] = lambda: None,
    also_read: Iterable[Path] = (),
    also_written: Mapping[str, Path] | None = None,
    write: WriteOptions = WriteOptions(),
    on_progress: Callable[[float], None] = lambda _: None,
) -> RewriteReport:
    """Write a table with the cells of some rows changed, in any format.

    Parameters
    ----------
    command : str
        The command that does it, for the manifest.
    source, file, reader
        The table, as it was opened.
    output : Path
    cells : mapping of int to mapping
        For each row that changes, from 1, the new values by column.
    before : callable
        Called when the table is written and before it appears under its name.
    also_read, also_written
        Other files of the command.
    write : WriteOptions
    on_progress : callable
        Called with the share of the table that was written.

    Raises
    ------
    TableError
        If a file cannot be read or written, or the output may not be replaced.
    """
    targets = checked_targets(command, source, output, write, also_read=also_read, also_written=also_written)
    identity, format = input_identity(file.path), targets.format
    assert format is not None  # it depends on the output's name
    with disk_errors(), ExitStack() as stack:
        rejects_file = stack.enter_context(PendingFile(targets.rejects))
        table_file = stack.enter_context(PendingFile(output))
        rejects: list[Reject] = []

        def changed() -> Iterator[tuple[Chunk, list[list[Any]]]]:
            for chunk in reader.chunks():
                fitting = format.fitting(chunk, lambda same: same)
                rejects.extend(fitting.rejects)
                yield with_cells(fitting, cells, flat=not reader.nested), [[]] * len(fitting.numbers)
                on_progress(reader.fraction_read())

        writer = write_table(table_file, layout_of(reader, targets, write, (), {}), changed())
        file.check()
        read = writer.rows_written + len(rejects)
        check_rows(read, writer.rows_written, len(rejects))
        before()
        counts = {"read": read, "written": writer.rows_written, "rejected": len(rejects)}
        facts = {"input": {"name": source.name, **identity}, "rows": counts}
        publish_table(command, targets, rejects_file, table_file, rejects, facts)
    rejected = targets.rejects if rejects else None
    return RewriteReport(read, writer.rows_written, len(rejects), rejected, escaped_note(writer.escaped))


def with_cells(chunk: Chunk, cells: Mapping[int, Cells], *, flat: bool) -> Chunk:
    """Return the chunk with the cells of some rows changed; in a ``flat`` table every cell is text."""
    own = {at: cells[number] for at, number in enumerate(chunk.numbers) if number in cells}
    if not own:
        return chunk
    if isinstance(chunk.rows, list):
        changed = {
            at: {name: to_cell(added_cell(value)) if flat else value for name, value in new.items()}
            for at, new in own.items()
        }
        return replace(chunk, rows=[row | changed.get(at, {}) for at, row in enumerate(chunk.rows)])
    import pyarrow as pa

    rows = chunk.rows
    for name in {name for new in own.values() for name in new}:
        position = rows.schema.get_field_index(name)
        field = rows.schema.field(position)
        values = rows.column(position).to_pylist()
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        for at, new in own.items():
            if name in new:
                values[at] = to_cell(added_cell(new[name])) if text and new[name] is not None else new[name]
        rows = rows.set_column(position, field, pa.array(values, field.type))
    return replace(chunk, rows=rows)
