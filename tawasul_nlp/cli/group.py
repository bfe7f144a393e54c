"""The command ``tawasul group``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tawasul_nlp.cli.options import DomainFolder, Model, Quiet, check_model_apart, domain_of
from tawasul_nlp.cli.table_options import Backlog, Output, Reading, TextColumns, Writing, table_files
from tawasul_nlp.cli.terminal import InterruptedCommand, console, exit_on_rejects, interrupts_told

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateGrouper
    from tawasul_nlp.tables import GroupReport, ReadOptions, WriteOptions

IdColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of ids; required with --index.")]
DateColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of dates: ISO 8601, or day/month/year.")]
PlaceColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of places: names, addresses or block numbers.")
]
TopicColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of topics: the model's by id or name, or others [default: the model's prediction]",
    ),
]
# Pairs below this score are not kept (duplicates.groups.LEAST; importing it here would load the package).
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        min=0.02,
        max=1.0,
        help="Lowest probability that two cases are one [default: the index's, or the model's]",
    ),
]

Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Decide unsure pairs of cases by reading both texts, which takes time [default: if the model can]",
        show_default=False,
    ),
]

# usearch raises an interrupt as a RuntimeError with one of these messages.
_INTERRUPTS_OF_USEARCH = ("Operation has been terminated", "Terminated by user")


def group(
    backlog: Backlog,
    output: Output,
    text_column: TextColumns = None,
    id_column: IdColumn = None,
    date_column: DateColumn = None,
    place_column: PlaceColumn = None,
    topic_column: TopicColumn = None,
    threshold: Threshold = None,
    verify: Verify = None,
    index: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Add the cases to this index, and use its group ids.")
    ] = None,
    model: Model = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
    writing: Writing = Writing(),
    quiet: Quiet = False,
) -> None:
    """Group a table of cases by incident: one incident, many reports.

    All columns and the order of the rows are kept; these are added: group_id, group_size, group_score (the probability
    that the case and its group's representative report one incident) and is_representative. If the table already has a
    column of such a name, all added ones get the prefix tawasul_. A row without text gets no group; a date that cannot
    be read counts as missing.

    With --index the cases are added to a persistent index: group ids are the same in every run, and sizes count all its
    cases. Known ids are not added again.

    OUT appears only when it is complete, with OUT.manifest.json, which records its inputs. An existing OUT is replaced
    only if this command wrote it from this BACKLOG and it was not changed since, or with --force. Rows that cannot
    be read go to OUT.rejects.jsonl with their number and the reason; the exit code is then 3. In a CSV, cells that a
    spreadsheet would run as formulas are escaped with an apostrophe.

    \b
    Examples:
      tawasul group backlog.csv --text-column text -o grouped.csv
      tawasul group classified.csv -t text --place-column block --topic-column topic --date-column opened -o grouped.csv
      tawasul group today.csv -t text --id-column case_id --index incidents/ -o grouped.csv
    """
    with interrupts_told(), table_files(backlog, output, reading, writing) as files:
        report = run_group(
            files.source,
            files.target,
            model=model,
            threshold=threshold,
            verify=verify,
            domain=domain,
            quiet=quiet,
            text_column=text_column,
            id_column=id_column,
            date_column=date_column,
            place_column=place_column,
            topic_column=topic_column,
            index=index,
            read=files.read,
            write=files.write,
        )
    to_stdout = output == "-"
    with interrupts_told(f"{'standard output' if to_stdout else output} is complete"):
        show_groups(report, quiet=quiet, to_stderr=to_stdout)
    exit_on_rejects(report)


def run_group(
    source: Path,
    output: Path | None,
    *,
    model: str | None,
    threshold: float | None,
    verify: bool | None,
    domain: Path | None,
    quiet: bool,
    index: Path | None,
    read: ReadOptions,
    write: WriteOptions,
    **columns: Any,
) -> GroupReport:
    """Group a table, or add it to an index, and show the progress."""
    from rich.console import Console

    from tawasul_nlp.tables import group_table

    check_model_apart(model, output=output, rejects=write.rejects)
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        console.quiet = True
    added = 0

    def load() -> DuplicateGrouper:
        from tawasul_nlp.duplicates import DuplicateGrouper

        return DuplicateGrouper.from_pretrained(model, threshold=threshold, domain=domain_of(domain), verify=verify)

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
                read=read,
                write=write,
                on_step=see,
                **columns,
            )
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and str(error) not in _INTERRUPTS_OF_USEARCH:
                raise
            if not added:
                raise KeyboardInterrupt from None
            raise InterruptedCommand(
                f"interrupted; {added} rows are in the index {index} and no table was written; run it again to resume"
            ) from None


def show_groups(report: GroupReport, *, quiet: bool, to_stderr: bool) -> None:
    """Print the largest groups and the counts."""
    from tawasul_nlp.cli.display import grouped

    if not quiet:
        console(to_stderr=to_stderr).print(grouped(report))
