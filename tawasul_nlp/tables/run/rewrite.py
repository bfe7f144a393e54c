"""Write a table again with some of its cells changed; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk, Reader
from tawasul_nlp.tables.io.files import InputFile
from tawasul_nlp.tables.io.formats import WriteOptions
from tawasul_nlp.tables.run.outputs import Answered, Targets, WrittenTable, input_identity, layout_of, publish

Cells = Mapping[str, Any]


def rewrite_table(
    command: str,
    file: InputFile,
    reader: Reader,
    targets: Targets,
    cells: Mapping[int, Cells],
    *,
    write: WriteOptions = WriteOptions(),
    before: Callable[[], None] = lambda: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> WrittenTable:
    """Write a table with the cells of some rows changed, in any format.

    Parameters
    ----------
    command : str
        The command that does it, for the manifest.
    file, reader
        The table, as it was opened.
    targets : Targets
        With an output.
    cells : mapping of int to mapping
        For each row that changes, from 1, the new values by column.
    write : WriteOptions
    before : callable
        Called when the table is written and before it appears under its name.
    on_progress : callable
        Called with the share of the table that was written.

    Raises
    ------
    TableError
        If a file cannot be read or written.
    """
    identity, layout = input_identity(file.path), layout_of(reader, targets, write, (), {})

    def changed() -> Iterator[Answered]:
        for chunk in reader.chunks():
            fitting = layout.format.fitting(chunk, lambda same: same)
            rows_read = len(chunk.numbers) + len(chunk.rejects)
            yield rows_read, with_cells(fitting, cells, flat=not reader.nested), [[]] * len(fitting.numbers)
            on_progress(reader.fraction_read())

    def check_and_prepare() -> None:
        file.check()
        before()

    facts = {"input": {"name": file.name, **identity}}
    return publish(command, targets, layout, changed(), lambda _: facts, check_and_prepare)


def with_cells(chunk: Chunk, cells: Mapping[int, Cells], *, flat: bool) -> Chunk:
    """Return the chunk with the cells of some rows changed; in a ``flat`` table every cell is text."""
    changes = {row: cells[number] for row, number in enumerate(chunk.numbers) if number in cells}
    for name in dict.fromkeys(name for new in changes.values() for name in new):
        values = chunk.column(name)
        if isinstance(chunk.rows, list):
            text = flat
        else:
            text = str(chunk.rows.schema.field(name).type) in ("string", "large_string")
        for row, new in changes.items():
            if name in new:
                values[row] = to_cell(added_cell(new[name])) if text and new[name] is not None else new[name]
        chunk = chunk.with_column(name, values)
    return chunk
