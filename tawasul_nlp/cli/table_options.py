"""Options of the commands that read and write tables, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import argument, flag, option

if TYPE_CHECKING:
    from tawasul_nlp.tables import ReadOptions, WriteOptions

Backlog = Annotated[Path, argument("BACKLOG", "CSV, JSONL, Parquet or Excel (.xlsx).")]
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
    output: Annotated[Path, option("OUT", "File to write, in the format of its ending.", "--output", "-o")]


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
            "Format of OUT [default: by its ending]",
            callback=_known_format,
        ),
    ] = None
    prefix: Annotated[
        str | None, option("PREFIX", "Prefix of the added columns [default: none, or tawasul_ if a name is taken]")
    ] = None
    rejects: Annotated[
        Path | None, option("FILE", "File for rows that cannot be read [default: OUT.rejects.jsonl]")
    ] = None
    raw_cells: Annotated[
        bool, flag("--raw-cells", "Do not escape CSV cells that a spreadsheet would run as formulas.")
    ] = False
    bom: Annotated[
        bool, flag("--bom/--no-bom", "Begin a CSV with a byte-order mark, by which Excel shows its Arabic.")
    ] = True
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
            raw_cells=self.raw_cells,
            bom=self.bom,
            overwrite=self.force,
        )
