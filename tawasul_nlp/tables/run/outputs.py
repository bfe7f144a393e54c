"""A run of a command over a table: what it reads, where it writes and whether it may, and how it publishes that."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tawasul_nlp
from tawasul_nlp.domain import Domain
from tawasul_nlp.tables.added_columns import added_cell
from tawasul_nlp.tables.errors import RowsLostError, TableError, disk_errors
from tawasul_nlp.tables.io.arabic import is_arabic
from tawasul_nlp.tables.io.cells import to_cell
from tawasul_nlp.tables.io.chunk import Chunk, Reader, Shown, Written
from tawasul_nlp.tables.io.files import InputFile, PendingFile, check_apart
from tawasul_nlp.tables.io.formats import Layout, ReadOptions, TableFormat, WriteOptions, known_format, output_format
from tawasul_nlp.tables.run.parts import files_of_run, is_unfinished

if TYPE_CHECKING:
    import pyarrow as pa

_START_BYTES = 100
_REJECT = re.compile(rb'\{"row": \d+, "line": (?:\d+|null), "reason": "')  # how each line of a rejects file begins


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRun:
    """A run of a command: the table that it reads, and the files that it writes; see :func:`table_run`."""

    command: str
    file: InputFile
    input: Mapping[str, Any]  # size and hash of the file
    reader: Reader
    write: WriteOptions
    output: Path | None  # None if only an index is added to, as are its format and its manifest
    format: TableFormat | None
    rejects: Path
    manifest: Path | None

    def layout(
        self,
        added: tuple[str, ...] = (),
        types: Mapping[str, str] = MappingProxyType({}),
        schema: Callable[[], pa.Schema] | None = None,
        domain: Domain | None = None,
    ) -> Layout:
        """Return what the output looks like: the program that made the input can read it, and Excel shows its Arabic.

        `types` has the plain names of the `added` columns; `schema` gives that of the table's own columns, if not the
        reader's. `domain` has the names of labels, if not Bahrain's.
        """
        assert self.output is not None and self.format is not None
        self.format.check_columns([*self.reader.columns, *added])
        arabic = is_arabic(self.reader.columns) if self.write.arabic is None else self.write.arabic
        usual = self.reader.delimiter if len(self.reader.columns) > 1 else None
        return Layout(
            self.format,
            self.reader.columns,
            schema or self.reader.schema,
            added,
            types,
            delimiter="\t" if self.output.suffix.lower() == ".tsv" else usual or ",",
            bom=self.write.bom,
            arabic=arabic,
            domain=domain,
        )

    def identity(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return what must be the same for a run to resume, beside its options, as plain data."""
        return {"command": self.command, "input": self.input, "model": dict(model), "versions": versions()}

    def reading(self, read: ReadOptions) -> dict[str, Any]:
        """Return what decides which rows a table has, as plain data: how it is read, and what the output can hold."""
        assert self.format is not None
        return {
            "output_format": self.format.name,
            "columns": list(self.reader.columns),
            "encoding": self.reader.encoding,
            "delimiter": self.reader.delimiter,
            "sheet": self.reader.sheet,
            "header_row": read.header_row,
        }


def table_run(
    command: str,
    file: InputFile,
    reader: Reader,
    output: Path | None,
    write: WriteOptions,
    *,
    also_read: Iterable[Path] = (),
    also_written: Mapping[str, Path] | None = None,
    resumable: bool = False,
) -> TableRun:
    """Return the run of a command, when it is sure that it may write what it will write.

    It may also read and write other files (these by what they are). What an unfinished run has published already, if
    runs of the command are resumable, is its own.

    Raises :class:`TableError` if one of the files is read by the run, is written twice, cannot be a regular file in an
    existing folder, or is there and not to be replaced; or if no format is known for the output.
    """
    format = None
    if output is not None:
        format = known_format(write.format) if write.format is not None else output_format(output)
    beside = output or Path("tawasul")
    rejects = Path(write.rejects) if write.rejects is not None else beside.with_name(beside.name + ".rejects.jsonl")
    manifest = None if output is None else manifest_beside(output)
    named = {"output": output, "rejects file": rejects, "manifest": manifest}
    written = {what: path for what, path in named.items() if path is not None}
    of_run = files_of_run(output) if resumable and output is not None else {}
    check_apart([file.path, *also_read], written | of_run | dict(also_written or {}))
    _check_rejects(rejects)
    for path in written.values():
        PendingFile(path).discard()  # a folder that cannot be written is reported before the work
    is_begun = resumable and output is not None and is_unfinished(output)
    if output is not None and output.exists() and not write.overwrite and not is_begun:
        raise TableError(f"{output} is there already; write to another file, or replace it with --force")
    return TableRun(
        command=command,
        file=file,
        input=input_identity(file.path),
        reader=reader,
        write=write,
        output=output,
        format=format,
        rejects=rejects,
        manifest=manifest,
    )


def _check_rejects(path: Path) -> None:
    """Raise :class:`TableError` if a file that is not ours would be replaced, or removed if nothing is rejected."""
    if not path.is_file():
        return
    with disk_errors(), path.open("rb") as file:
        start = file.read(_START_BYTES)
    if start and _REJECT.match(start) is None:
        raise TableError(
            f"{path} exists and does not hold rejects of an earlier run; name another with --rejects or remove it"
        )


@dataclass(frozen=True, slots=True)
class WrittenTable:
    """What was written; `rejects` is None when no row was rejected."""

    rows_read: int
    rows_written: int
    rows_rejected: int
    rejects: Path | None
    notes: tuple[str, ...]


# How many rows were read, those of them that are written with their rejects, and the values added to each.
Answered = tuple[int, Chunk, Sequence[list[Any]]]


def publish(
    run: TableRun,
    layout: Layout | None,
    answered: Iterable[Answered],
    facts: Callable[[WrittenTable], Mapping[str, Any]],
    before: Callable[[], None] = lambda: None,
) -> WrittenTable:
    """Write a run's table, rejects and manifest, and put them in place.

    The table comes last: whoever sees it can rely on finding the others. There is none without a layout. `facts` are
    what the manifest holds beside command, versions, input, rows and output; `before` is called when everything is
    written and before any of it appears under its name.

    Raises :class:`RowsLostError` if written and rejected rows do not add up to the rows read.
    """
    with disk_errors(), ExitStack() as stack:
        rejects_file = stack.enter_context(PendingFile(run.rejects))
        table_file = None if run.output is None else stack.enter_context(PendingFile(run.output))
        published = _written(run, rejects_file, table_file, layout, answered)
        manifest_file = None
        if table_file is not None and run.manifest is not None:  # an output without one would not be ours to replace
            manifest_file = stack.enter_context(PendingFile(run.manifest))
            _write_manifest(run, manifest_file.path, table_file, published, facts(published))
        before()
        if published.rows_rejected:
            rejects_file.publish()
        else:
            rejects_file.target.unlink(missing_ok=True)
        for file in (manifest_file, table_file):
            if file is not None:
                file.publish()
    return published


def _written(
    run: TableRun,
    rejects_file: PendingFile,
    table_file: PendingFile | None,
    layout: Layout | None,
    answered: Iterable[Answered],
) -> WrittenTable:
    """Write table and rejects under their temporary names."""
    read = rejected = 0
    with rejects_file.path.open("wb") as rejects:

        def content() -> Iterator[tuple[Chunk, Sequence[list[Any]]]]:
            nonlocal read, rejected
            for rows_read, chunk, values in answered:
                read += rows_read
                rejected += len(chunk.rejects)
                in_order = sorted(chunk.rejects, key=lambda reject: reject.row)
                rejects.writelines(reject.to_json().encode() + b"\n" for reject in in_order)
                yield chunk, values

        if table_file is not None and layout is not None:
            written = layout.format.write(table_file.path, layout, content())
        else:
            written = Written(sum(len(chunk.numbers) for chunk, _ in content()))
    if read != written.rows + rejected:
        raise RowsLostError(
            f"{read} rows were read but {written.rows} written and {rejected} rejected; nothing was published"
        )
    rejects_path = run.rejects if rejected else None
    return WrittenTable(read, written.rows, rejected, rejects_path, escaped_note(written.escaped))


def _write_manifest(
    run: TableRun, path: Path, table: PendingFile, published: WrittenTable, facts: Mapping[str, Any]
) -> None:
    rows = {"read": published.rows_read, "written": published.rows_written, "rejected": published.rows_rejected}
    manifest = {
        "command": run.command,
        "versions": versions(),
        "input": {"name": run.file.name, **run.input},
        **facts,
        "rows": rows | facts.get("rows", {}),
        "output": {"name": table.target.name, **input_identity(table.path)},
    }
    path.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def escaped_note(cells: int) -> tuple[str, ...]:
    """Return what the user should know of escaped cells; nothing if there are none."""
    several = f"{cells:,} cells that a spreadsheet would run as formulas have"
    how = "1 cell that a spreadsheet would run as a formula has" if cells == 1 else several
    return (f"{how} an apostrophe before the sign (.jsonl and .parquet hold them as they are)",) if cells else ()


SUFFIX = ".manifest.json"
# What decides the answers' last digits and the output's bytes.
_LIBRARIES = ("numpy", "onnxruntime", "pyarrow", "tokenizers")


def manifest_beside(output: Path) -> Path:
    """Return where the manifest of an output goes."""
    return output.with_name(output.name + SUFFIX)


def input_identity(path: Path) -> dict[str, Any]:
    """Return what identifies a file: its size and hash."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter."""
    ours = {"tawasul-nlp": tawasul_nlp.__version__, "python": platform.python_version()}
    return ours | {name: importlib.metadata.version(name) for name in _LIBRARIES}


Cells = Mapping[str, Any]


def rewrite_table(
    run: TableRun,
    cells: Mapping[int, Cells],
    *,
    domain: Domain | None = None,
    before: Callable[[], None] = lambda: None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> WrittenTable:
    """Write a table, in any format, with the `cells` changed that are named by their row, from 1, and column.

    `before` is as for :func:`publish`; `on_progress` is called with the share of the table that was written.

    Raises :class:`TableError` if a file cannot be read or written.
    """
    reader, layout = run.reader, run.layout(domain=domain)

    def changed() -> Iterator[Answered]:
        for chunk in reader.chunks():
            fitting = layout.format.fitting(chunk)
            rows_read = len(chunk.numbers) + len(chunk.rejects)
            yield rows_read, with_cells(fitting, cells, flat=not reader.nested), [[]] * len(fitting.numbers)
            on_progress(reader.fraction_read())

    def check_and_prepare() -> None:
        run.file.check()
        before()

    return publish(run, layout, changed(), lambda _: {}, check_and_prepare)


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
                values[row] = _text_of(added_cell(new[name])) if text and new[name] is not None else new[name]
        chunk = chunk.with_column(name, values)
    return chunk


def _text_of(value: Any) -> str:
    """Return a cell of a table of texts, which a workbook shows as the number or boolean that it is."""
    text = to_cell(value)
    return Shown(text, value) if isinstance(value, int | float) else text
