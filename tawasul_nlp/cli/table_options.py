"""Options of the commands that read and write tables, each declared once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tawasul_nlp.cli.options import argument, flag, option

if TYPE_CHECKING:
    from tawasul_nlp.tables import BatchReport, GroupReport, ReadOptions, WriteOptions

_Report = TypeVar("_Report", "BatchReport", "GroupReport")

Backlog = Annotated[str, argument("BACKLOG", "CSV, JSONL, Parquet or Excel (.xlsx); - for standard input.")]
TextColumns = Annotated[
    list[str] | None,
    option(
        "COLUMN",
        "Column of the texts, or a field in one (complaint.body); several are joined: -t subject -t body.",
        "--text-column",
        "-t",
    ),
]

AddedPrefix = Annotated[
    str | None, option("PREFIX", "The --prefix of classify [default: none, or tawasul_]", "--prefix")
]


def _known_format(name: str | None) -> str | None:
    if name is not None:
        from tawasul_nlp.tables.io.formats import format_names

        if name not in format_names():
            raise typer.BadParameter(f"got {name!r}, expected one of {', '.join(format_names())}")
    return name


@dataclass(frozen=True, slots=True)
class TableNames:
    """The table that a command reads, and the one that it writes."""

    backlog: Backlog
    output: Annotated[
        str, option("OUT", "File to write, in the format of its ending; - for standard output.", "--output", "-o")
    ]

    @property
    def to_stdout(self) -> bool:
        """Whether the table is written to standard output; the summary then goes to standard error."""
        return self.output == "-"

    @property
    def kept_after_interrupt(self) -> str:
        """What an interrupt leaves once the table is written."""
        return f"{'standard output' if self.to_stdout else self.output} is complete"


@dataclass(frozen=True, slots=True)
class Reading:
    """Options of a command that reads a table."""

    input_format: Annotated[
        str | None, option("FORMAT", "Format of the input [default: found out]", callback=_known_format)
    ] = None
    sheet: Annotated[str | None, option("NAME", "Sheet of an Excel workbook [default: the first]")] = None
    header_row: Annotated[
        int | None,
        option(
            "N",
            "Row of the header in a workbook or CSV, below a title: --header-row 3 [default: the first not empty]",
            min=1,
        ),
    ] = None
    encoding: Annotated[
        str | None, option("NAME", "Encoding of the input [default: detected by row: UTF-8, windows-1256, ...]")
    ] = None
    delimiter: Annotated[
        str | None, option("CHAR", "Delimiter of a CSV input; 'tab' for a tab [default: detected]")
    ] = None

    def options(self) -> ReadOptions:
        r"""Return these as the library takes them.

        >>> Reading(delimiter="tab").options().delimiter
        '\t'
        """
        from tawasul_nlp import ReadOptions

        return ReadOptions(
            format=self.input_format,
            encoding=self.encoding,
            delimiter="\t" if self.delimiter in ("tab", "\\t") else self.delimiter,
            sheet=self.sheet,
            header_row=self.header_row,
        )


@dataclass(frozen=True, slots=True)
class Writing:
    """Options of a command that writes the table with columns added."""

    output_format: Annotated[
        str | None,
        option(
            "FORMAT",
            "Format of OUT [default: by its ending; for - as the input, Parquet as jsonl, xlsx as csv]",
            callback=_known_format,
        ),
    ] = None
    prefix: Annotated[
        str | None, option("PREFIX", "Prefix of the added columns [default: none, or tawasul_ if a name is taken]")
    ] = None
    rejects: Annotated[
        Path | None, option("FILE", "File for rows that cannot be read [default: OUT.rejects.jsonl; for -o - none]")
    ] = None
    raw_cells: Annotated[
        bool, flag("--raw-cells", "Do not escape CSV cells that a spreadsheet would run as formulas.")
    ] = False
    bom: Annotated[
        bool | None,
        flag(
            "--bom/--no-bom",
            "Begin a CSV with a byte-order mark, so Excel shows its Arabic; programs may want --no-bom [default: in "
            "files, not on standard output]",
            show_default=False,
        ),
    ] = None
    force: Annotated[
        bool,
        flag(
            "--force", "Replace OUT even if it has another input or command, or was changed since: -o out.csv --force"
        ),
    ] = False

    def options(self, source: Path, read: ReadOptions, *, to_stdout: bool) -> WriteOptions:
        """Return these as the library takes them; standard output gets no manifest."""
        from tawasul_nlp import WriteOptions

        format = self.output_format
        if to_stdout:
            format = format or _format_for_stdout(source, read)
        return WriteOptions(
            format=format,
            prefix=self.prefix,
            rejects=self.rejects,
            raw_cells=self.raw_cells,
            bom=not to_stdout if self.bom is None else self.bom,
            overwrite=self.force,
            manifest=not to_stdout,
        )


def _format_for_stdout(source: Path, read: ReadOptions) -> str | None:
    """Return the format for standard output, which has no ending."""
    from tawasul_nlp.tables.io.formats import known_format, sniff_format

    if not source.is_file():
        return None  # reading it will report the error
    table_format = known_format(read.format) if read.format is not None else sniff_format(source)
    return table_format.piped or table_format.name


@contextmanager
def source_file(backlog: str) -> Iterator[Path]:
    """Give the file of an argument; standard input, which is -, is copied to a temporary one."""
    from tawasul_nlp.tables.io.files import spooled

    if backlog == "-":
        with spooled(sys.stdin.buffer) as path:
            yield path
    else:
        yield Path(backlog)


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The files of a command that reads one table and writes another, and how it does."""

    source: Path
    target: Path
    read: ReadOptions
    write: WriteOptions
    # Whether both are files, so that an interrupted run can be resumed.
    resumable: bool

    def left(self, report: _Report) -> _Report:
        """Return the report of a run without the rejects file that nobody asked for beside standard output."""
        return report if self.write.manifest or self.write.rejects else replace(report, rejects=None)


@contextmanager
def table_files(names: TableNames, reading: Reading, writing: Writing) -> Iterator[TableFiles]:
    """Give the files of a command; what is written for standard output, which is -, goes there at the end."""
    from tawasul_nlp.tables.io.files import delivered

    with ExitStack() as stack:
        source = stack.enter_context(source_file(names.backlog))
        read = reading.options()
        write = writing.options(source, read, to_stdout=names.to_stdout)
        target = stack.enter_context(delivered(sys.stdout.buffer)) if names.to_stdout else Path(names.output)
        yield TableFiles(source, target, read, write, resumable=names.backlog != "-" and not names.to_stdout)
