"""The command ``tawasul report``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.options import DomainFolder, Quiet, domain_of
from tawasul_nlp.cli.table_options import Reading, TextColumns
from tawasul_nlp.cli.terminal import complain, console, interrupts_told, progress


def report(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Output of classify (and group).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.html", help="The page to write.")],
    text_column: TextColumns = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of ids [default: one called id, case_id, ...]")
    ] = None,
    date_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of dates [default: the first that holds dates]")
    ] = None,
    routed_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the agency that each case was sent to: lists where it differs."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="The --prefix of classify [default: none, or tawasul_]")
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Title of the page [default: the cases' dates and number]")
    ] = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Do not mask personal data in texts and ids.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write a report page for officers about a classified table.

    One self-contained HTML file, right to left with an English switch: what is dangerous now, what grew, who waits on
    review; volumes by agency, topic, place and week; the cases as a table with filters, search and download; incidents,
    and problems that recur in a block or a town. It needs no network. Incidents need the columns of `tawasul group`.

    The largest incidents and the most unusual recurring problems are printed at the end.

    \b
    Examples:
      tawasul classify backlog.csv -t text -o classified.parquet
      tawasul group classified.parquet -t text -o grouped.parquet
      tawasul report grouped.parquet -o report.html
    """
    from tawasul_nlp.cli.display import highlighted
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.report import write_report

    pack = domain_of(domain) or Domain.bundled()
    with progress(quiet) as advance:
        summary = write_report(
            table,
            output,
            text_column=text_column,
            id_column=id_column,
            date_column=date_column,
            routed_column=routed_column,
            prefix=prefix,
            title=title,
            mask=not show_personal_data,
            domain=pack,
            read=reading.options(),
            on_chunk=partial(advance, "reading"),
        )
    with interrupts_told(f"{output} is complete"):
        if summary.rejected:
            complain(f"{summary.rejected} rows of {table} could not be read and are not in the report", "warning")
        if not quiet:
            _, *places = pack.gazetteer.levels.columns()
            console(to_stderr=False).print(highlighted(summary.highlights, places))
            texts = ", ".join(map(repr, summary.text_columns))
            used = [f"text {texts}", f"id {summary.id_column!r}", f"date {summary.date_column!r}"]
            typer.echo(
                f"{summary.output}: {summary.rows:,} cases, {summary.listed:,} of them with their text, "
                f"{summary.bytes / 1e6:.1f} MB (columns: {', '.join(used)})"
            )
