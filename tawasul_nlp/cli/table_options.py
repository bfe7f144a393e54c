"""Options of the commands that read and write tables, each declared once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tawasul_nlp.cli.options import argument, flag, option

if TYPE_CHECKING:
    from tawasul_nlp.tables import ReadOptions, WriteOptions

Backlog = Annotated[Path, argument("BACKLOG", "CSV, JSONL, Parquet or Excel (.xlsx).")]
TextColumns = Annotated[
    list[str] | None,
    option(
        "COLUMN",
        "Column of the texts, or a field in one (complaint.body); several are joined: -t subject -t body "
        "[default: a usual heading]",
        "--text-column",
        "-t",
    ),
]

AddedPrefix = Annotated[
    str | None, option("PREFIX", "The --prefix of classify [default: none, or tawasul_]", "--prefix")
]


_PIPE = Path("-")


def _piped_format(source: Path) -> str:
    """Return the format for standard output: that of the input, or CSV for a format that is no text."""
    from tawasul_nlp.tables.io.formats import sniff_format

    sniffed = sniff_format(source)
    return "csv" if sniffed.binary else sniffed.name


def _known_format(name: str | None) -> str | None:
    if name is not None:
        from tawasul_nlp.tables.io.formats import format_names

        if name not in format_names():
            raise typer.BadParameter(f"got {name!r}, expected one of {', '.join(format_names())}")
    return name


@dataclass(frozen=True, slots=True)
class TableNames:
    """The table that a command reads, and the one that it writes."""

    backlog: Annotated[Path, argument("BACKLOG", "CSV, JSONL, Parquet or Excel (.xlsx); - for standard input.")]
    output: Annotated[
        Path, option("OUT", "File to write, in the format of its ending; - for standard output.", "--output", "-o")
    ]

    @property
    def to_stdout(self) -> bool:
        """Whether standard output gets the table, and nothing else."""
        return self.output == _PIPE

    @contextmanager
    def files(self, writing: Writing) -> Iterator[tuple[Path, Path, WriteOptions]]:
        """Yield the files of a run, and how it writes: temporary ones for pipes, copied when they are whole."""
        source, target, write = self.backlog, self.output, writing.options()
        if _PIPE not in (source, target):
            yield source, target, write
            return
        with TemporaryDirectory(prefix="tawasul-") as folder:
            if source == _PIPE:
                source = Path(folder) / "stdin"
                with source.open("wb") as file:
                    shutil.copyfileobj(sys.stdin.buffer, file)
            if self.to_stdout:
                target = Path(folder) / "stdout"
                write = replace(write, format=write.format or _piped_format(source), bom=False)
            try:
                yield source, target, write
            except KeyboardInterrupt:
                raise KeyboardInterrupt from None  # without the notes of a run that could be resumed
            if self.to_stdout:
                with target.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)


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
    date_order: Annotated[
        Literal["day-first", "month-first"] | None,
        option("ORDER", "What comes first in dates such as 3/5/2026 [default: what the column tells]"),
    ] = None
    show_unread_dates: Annotated[
        Path | None, option("FILE", "Table to write: rows whose date cannot be read, and what they have for it.")
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
            date_order=self.date_order,
            unread_dates=self.show_unread_dates,
        )


@dataclass(frozen=True, slots=True)
class Writing:
    """Options of a command that writes the table with columns added."""

    output_format: Annotated[
        str | None,
        option(
            "FORMAT",
            "Format of OUT [default: by its ending; for - that of the input, or csv]",
            callback=_known_format,
        ),
    ] = None
    prefix: Annotated[
        str | None, option("PREFIX", "Prefix of the added columns [default: none, or tawasul_ if a name is taken]")
    ] = None
    rejects: Annotated[
        Path | None, option("FILE", "File for rows that cannot be read [default: OUT.rejects.jsonl; for -o - none]")
    ] = None
    bom: Annotated[
        bool, flag("--bom/--no-bom", "Begin a CSV with a byte-order mark, by which Excel shows its Arabic.")
    ] = True
    arabic: Annotated[
        bool | None,
        flag(
            "--arabic/--no-arabic",
            "Show Arabic columns in a workbook, and hide those that programs read [default: if headings are Arabic]",
            show_default=False,
        ),
    ] = None
    force: Annotated[
        bool,
        flag("--force", "Replace OUT if it is there: -o out.csv --force"),
    ] = False

    def options(self) -> WriteOptions:
        """Return these as the library takes them."""
        from tawasul_nlp import WriteOptions

        return WriteOptions(
            format=self.output_format,
            prefix=self.prefix,
            rejects=self.rejects,
            bom=self.bom,
            arabic=self.arabic,
            overwrite=self.force,
        )
