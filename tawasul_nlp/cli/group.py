"""The commands ``tawasul group`` and ``tawasul index``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tawasul_nlp.cli.options import (
    AnySize,
    AsJson,
    Bom,
    Delimiter,
    Encoding,
    Force,
    HeaderRow,
    InputFormat,
    InterruptedCommand,
    Model,
    OutputFormat,
    Prefix,
    Quiet,
    RawCells,
    Rejects,
    Sheet,
    TableFormat,
    Text,
    TextColumns,
    check_model_apart,
    console,
    exit_on_rejects,
    interrupts_told,
    output_format_for_stdout,
    to_delimiter,
    whole,
)

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex
    from tawasul_nlp.tables import GroupReport

Backlog = Annotated[
    str, typer.Argument(metavar="BACKLOG", help="CSV, JSONL, Parquet or Excel (.xlsx); - for standard input.")
]
IdColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of ids; an index needs one.")]
DateColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column of dates: ISO 8601, or day/month/year.")
]
PlaceColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column of places: names, addresses or block numbers.")
]
TopicColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The column of topics: the model's by id or name, or others [default: the model's opinion]",
    ),
]
# The lowest is that below which pairs are not kept (duplicates.groups.LEAST; importing it here would load the room).
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        min=0.02,
        max=1.0,
        help="Probability from which two cases are one [default: the index's, or the model's]",
    ),
]
IndexFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the index.")]

# An interrupt that comes while usearch works is raised by it as a RuntimeError that says one of these.
_INTERRUPTS_OF_USEARCH = ("Operation has been terminated", "Terminated by user")

index_app = typer.Typer(
    help="Keep incidents in a folder while cases arrive: add, query, remove, stats, verify.",
    rich_markup_mode=None,
)


@index_app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(group)
    app.add_typer(index_app, name="index")


def group(
    backlog: Backlog,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="File to write, by its ending; - for standard output.")
    ],
    text_column: TextColumns = None,
    id_column: IdColumn = None,
    date_column: DateColumn = None,
    place_column: PlaceColumn = None,
    topic_column: TopicColumn = None,
    threshold: Threshold = None,
    index: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Add the cases to this index, and take its group ids.")
    ] = None,
    model: Model = None,
    input_format: InputFormat = None,
    output_format: OutputFormat = None,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    any_size: AnySize = False,
    prefix: Prefix = None,
    rejects: Rejects = None,
    raw_cells: RawCells = False,
    bom: Bom = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Group a table of cases by incident: one incident, many reports.

    All columns and the order of the rows are kept; these are added: group_id, group_size, group_score (the
    probability that the case and its group's representative tell of one incident) and is_representative. When
    the table has a column of such a name, all added ones are prefixed with tawasul_. A row without text gets no
    group; a date that cannot be read counts as missing.

    With --index the cases are added to an index that stays: group ids are the same in every run, and sizes count
    all its cases. Ids that are there already are not added again.

    OUT appears only when it is complete, and OUT.manifest.json with what it was made of. An OUT that is there is
    replaced only if it is what this command wrote from this BACKLOG and nobody has changed it since, or with
    --force. Rows that cannot be read go to OUT.rejects.jsonl with their number and the reason; the exit code is
    then 3. What a spreadsheet would run as a formula gets an apostrophe in a CSV.

    \b
    Examples:
      tawasul group backlog.csv --text-column text -o grouped.csv
      tawasul group classified.csv -t text --place-column block --topic-column topic --date-column opened -o grouped.csv
      tawasul group today.csv -t text --id-column case_id --index incidents/ -o grouped.csv
    """
    from tawasul_nlp.tables.io.streams import delivered, spooled

    to_stdout = output == "-"
    with interrupts_told(), ExitStack() as stack:
        source = stack.enter_context(spooled(sys.stdin.buffer)) if backlog == "-" else Path(backlog)
        if to_stdout:
            rejects = rejects or Path("tawasul.rejects.jsonl")
            output_format = output_format or output_format_for_stdout(source, input_format)
        report = _run(
            source,
            stack.enter_context(delivered(sys.stdout.buffer)) if to_stdout else Path(output),
            model=model,
            threshold=threshold,
            quiet=quiet,
            text_column=text_column,
            id_column=id_column,
            date_column=date_column,
            place_column=place_column,
            topic_column=topic_column,
            index=index,
            input_format=input_format,
            output_format=output_format,
            sheet=sheet,
            header_row=header_row,
            encoding=encoding,
            delimiter=delimiter,
            any_size=any_size,
            prefix=prefix,
            rejects=rejects,
            raw_cells=raw_cells,
            bom=not to_stdout if bom is None else bom,
            overwrite=force,
            manifest=not to_stdout,
        )
    with interrupts_told(f"{'standard output' if to_stdout else output} is complete"):
        _show(report, quiet=quiet, to_stderr=to_stdout)
    exit_on_rejects(report)


@index_app.command()
def add(
    folder: IndexFolder,
    backlog: Backlog,
    text_column: TextColumns = None,
    id_column: IdColumn = None,
    date_column: DateColumn = None,
    place_column: PlaceColumn = None,
    topic_column: TopicColumn = None,
    threshold: Threshold = None,
    model: Model = None,
    input_format: InputFormat = None,
    sheet: Sheet = None,
    header_row: HeaderRow = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    any_size: AnySize = False,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For rows that cannot be read [default: tawasul.rejects.jsonl]"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Add the cases of a table to an index; make the index if there is none.

    A case whose id is there already is left alone, so that an interrupted run may be repeated. Rows that cannot be
    read, have no id, or have the id of another text go to the rejects file; the exit code is then 3.

    \b
    Example:
      tawasul index add incidents/ backlog.csv --text-column text --id-column case_id
    """
    from tawasul_nlp.tables.io.streams import spooled

    with ExitStack() as stack:
        report = _run(
            stack.enter_context(spooled(sys.stdin.buffer)) if backlog == "-" else Path(backlog),
            None,
            model=model,
            threshold=threshold,
            quiet=quiet,
            text_column=text_column,
            id_column=id_column,
            date_column=date_column,
            place_column=place_column,
            topic_column=topic_column,
            index=folder,
            input_format=input_format,
            sheet=sheet,
            header_row=header_row,
            encoding=encoding,
            delimiter=delimiter,
            any_size=any_size,
            rejects=rejects,
        )
    with interrupts_told(f"the cases are in the index {folder}"):
        _show(report, quiet=quiet, to_stderr=False)
    exit_on_rejects(report)


@index_app.command()
def query(
    folder: IndexFolder,
    text: Text = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="At most so many incidents.")] = 5,
    place: Annotated[str | None, typer.Option(metavar="PLACE", help="Where it is, if the text does not tell.")] = None,
    threshold: Threshold = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Say which incidents of an index a new case may belong to; nothing is stored.

    \b
    Example:
      tawasul index query incidents/ "الكهربا طافية علينا في مدينة حمد مجمع 1203"
    """
    from tawasul_nlp.duplicates import Case

    with _opened(folder, model, threshold) as index:
        matches = index.query(Case(whole(text), place=place), k)
    if as_json:
        typer.echo(json.dumps([asdict(match) for match in matches], ensure_ascii=False, indent=2))
        return
    from tawasul_nlp.cli.display import matched

    console(to_stderr=False).print(matched(matches))


@index_app.command()
def remove(
    folder: IndexFolder,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the cases to forget.")],
    model: Model = None,
) -> None:
    """Forget cases of an index. When one of the ids is not there, nothing is removed.

    \b
    Example:
      tawasul index remove incidents/ TWS-2026-00017 TWS-2026-00018
    """
    wanted = list(dict.fromkeys(ids))
    with _opened(folder, model) as index:
        absent = [case_id for case_id in wanted if case_id not in index]
        if absent:
            raise ValueError(f"{folder} has no case {', '.join(map(repr, absent))}; nothing was removed")
        for case_id in wanted:
            index.remove(case_id)
        left = len(index)
    typer.echo(f"{len(wanted):,} removed, {left:,} left")


@index_app.command()
def stats(folder: IndexFolder, model: Model = None, as_json: AsJson = False) -> None:
    """Count the cases and incidents of an index, and tell what it was made with.

    \b
    Example:
      tawasul index stats incidents/ --json
    """
    with _opened(folder, model) as index:
        facts = index.stats()
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    console(to_stderr=False).print(table)


@index_app.command()
def verify(folder: IndexFolder, as_json: AsJson = False) -> None:
    """Check every byte of an index that no process has open, as after a backup or before it is restored.

    The exit code is 1 if anything is damaged; the message names the file and says what to do.

    \b
    Example:
      tawasul index verify incidents/
    """
    from tawasul_nlp.duplicates import DuplicateIndex

    check = DuplicateIndex.verify(folder)
    if as_json:
        typer.echo(json.dumps(asdict(check)))
    else:
        typer.echo(f"sound: {check.cases:,} cases of {check.incidents:,} incidents, {check.bytes:,} bytes checked")


def _run(
    source: Path,
    output: Path | None,
    *,
    model: str | None,
    threshold: float | None,
    quiet: bool,
    index: Path | None,
    input_format: TableFormat | None,
    delimiter: str | None,
    output_format: TableFormat | None = None,
    **options: Any,
) -> GroupReport:
    from rich.console import Console

    from tawasul_nlp.tables import group_table

    check_model_apart(model, output=output, rejects=options["rejects"])
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        console.quiet = True
    added = 0

    def load() -> DuplicateGrouper:
        from tawasul_nlp.duplicates import DuplicateGrouper

        return DuplicateGrouper.from_pretrained(model, threshold=threshold)

    with console.status("reading") as status:

        def see(what: str, done: int, total: int) -> None:
            nonlocal added
            if what == "added":
                added = done
                status.update(f"{done:,} of {total:,} cases added")
            else:
                status.update(f"{done:,} rows read; grouping")

        try:
            return group_table(
                load,
                source,
                output,
                index=index,
                input_format=input_format.value if input_format else None,
                output_format=output_format.value if output_format else None,
                delimiter=to_delimiter(delimiter),
                on_step=see,
                **options,
            )
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and str(error) not in _INTERRUPTS_OF_USEARCH:
                raise
            if not added:
                raise KeyboardInterrupt from None
            raise InterruptedCommand(
                f"interrupted; {added} rows are in the index {index} and no table was written; run it again to go on"
            ) from None


@contextmanager
def _opened(folder: Path, model: str | None, threshold: float | None = None) -> Iterator[DuplicateIndex]:
    from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex

    grouper = DuplicateGrouper.from_pretrained(model, threshold=threshold)
    with DuplicateIndex.open(folder, grouper, create=False) as index:
        yield index


def _show(report: GroupReport, *, quiet: bool, to_stderr: bool) -> None:
    from tawasul_nlp.cli.display import grouped

    if not quiet:
        console(to_stderr=to_stderr).print(grouped(report))
