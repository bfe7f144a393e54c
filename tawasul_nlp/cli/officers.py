"""The commands by which officers work with a classified table: report, review, corrections."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.index import opened_index
from tawasul_nlp.cli.options import (
    DomainFolder,
    ModelOptions,
    Quiet,
    argument,
    command_family,
    domain_of,
    flag,
    option,
    option_groups,
)
from tawasul_nlp.cli.table_options import AddedPrefix, Reading, TextColumns
from tawasul_nlp.cli.terminal import EXIT_REJECTS, complain, console, progress, report_interrupts

if TYPE_CHECKING:
    from tawasul_nlp.review import CorrectionReport
    from tawasul_nlp.tables import ClassifiedTable

IdColumn = Annotated[str | None, option("COLUMN", "Column of ids [default: a usual heading]")]
corrections_app = command_family("What people corrected in a review: apply.")


@dataclass(frozen=True, slots=True)
class ReviewColumns:
    """The columns of a classified table that a review shows."""

    text_column: TextColumns = None
    id_column: IdColumn = None
    prefix: AddedPrefix = None

    def opened(self, table: Path, reading: Reading, domain: Path | None) -> ClassifiedTable:
        """Open the table with these columns."""
        from tawasul_nlp.tables import open_classified

        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return open_classified(table, **columns, domain=domain_of(domain), read=reading.options())


@dataclass(frozen=True, slots=True)
class ReportColumns(ReviewColumns):
    """The columns that a report shows."""

    date_column: Annotated[
        str | None, option("COLUMN", "Column of dates [default: a usual heading, or the first that holds dates]")
    ] = None
    routed_column: Annotated[
        str | None,
        option(
            "COLUMN",
            "Column of the agency that each case was sent to: lists where it differs [default: a usual heading]",
        ),
    ] = None
    agency_map: Annotated[
        Path | None,
        option("FILE", "Table of further names that this column has for agencies: name and agency.", "--map"),
    ] = None


@option_groups
def report(
    *,
    table: Annotated[Path, argument("TABLE", "Output of classify (and group).")],
    output: Annotated[Path, option("OUT.html", "The page to write.", "--output", "-o")],
    columns: ReportColumns,
    title: Annotated[str | None, option("TEXT", "Title of the page [default: the cases' dates and number]")] = None,
    domain: DomainFolder = None,
    reading: Reading,
    show_personal_data: Annotated[
        bool, flag("--show-personal-data", "Do not mask personal data in texts and ids.")
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
    from tawasul_nlp.report import write_report

    with progress(quiet) as advance:
        opened = columns.opened(table, reading, domain)
        summary = write_report(
            opened, output, title=title, mask=not show_personal_data, on_chunk=partial(advance, "reading")
        )
    with report_interrupts(f"{output} is complete"):
        if summary.rejected:
            complain(f"{summary.rejected} rows of {table} could not be read and are not in the report", "warning")
        if not quiet:
            _, *places = opened.domain.gazetteer.levels.columns()
            console().print(highlighted(summary.highlights, places))
            texts = ", ".join(map(repr, summary.text_columns))
            used_columns = [f"text {texts}", f"id {summary.id_column!r}", f"date {summary.date_column!r}"]
            typer.echo(
                f"{summary.output}: {summary.rows:,} cases, {summary.listed:,} of them with their text, "
                f"{summary.bytes / 1e6:.1f} MB (columns: {', '.join(used_columns)})"
            )


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """The cases of a review, and whether what they hold is masked."""

    unsure: Annotated[int, option("N", "Cases that the model sends to review.", min=0)] = 100
    urgent: Annotated[int, option("N", "Cases that it calls urgent, if it does so.", min=0)] = 50
    diverse: Annotated[int, option("N", "Others, of each topic in turn.", min=0)] = 50
    mask_personal_data: Annotated[bool, flag("--mask-personal-data", "Mask personal data in texts and ids.")] = False


@option_groups
def review(
    *,
    table: Annotated[Path, argument("CLASSIFIED", "Output of classify (and group).")],
    output: Annotated[Path, option("OUT", "The review: .xlsx, .csv, .jsonl or .parquet.", "--output", "-o")],
    sheet: SheetOptions,
    force: Annotated[bool, flag("--force", "Replace OUT, which may be filled in.")] = False,
    columns: ReviewColumns,
    domain: DomainFolder = None,
    reading: Reading,
    quiet: Quiet = False,
) -> None:
    """Write the cases of a classified table that a person should look at, with columns for what is wrong.

    Chosen are urgent cases, those of which the model is unsure, and, of each topic in turn, those of which it is least
    sure among the others; no two of one incident. In a workbook the labels are chosen from lists, in Arabic. Fill in
    only what is wrong, and checked where the rest is right. In a grouped table, correct_incident takes the number of
    the incident that a case belongs to, or new, and merge_with the number of one that is the same as the case's.

    \b
    Examples:
      tawasul review grouped.parquet -o review.xlsx
      tawasul review classified.csv -o review.csv --unsure 300 --urgent 0 --diverse 0
      tawasul review classified.csv -o tasks.jsonl --mask-personal-data
    """
    from tawasul_nlp.review import ReviewPlan, write_review

    with report_interrupts(), progress(quiet) as advance:
        summary = write_review(
            columns.opened(table, reading, domain),
            output,
            ReviewPlan(sheet.unsure, sheet.urgent, sheet.diverse),
            mask=sheet.mask_personal_data,
            overwrite=force,
            on_progress=partial(advance, "reading"),
        )
    if not quiet:
        counts = ", ".join(f"{count} {reason}" for reason, count in summary.reasons.items())
        typer.echo(f"{summary.output}: {summary.cases:,} of {summary.rows:,} cases ({counts})")


@dataclass(frozen=True, slots=True)
class CorrectionFiles:
    """A review, the table that it was written from, and the table with its corrections."""

    review: Annotated[Path, argument("REVIEW", "A filled-in review, or what a labelling tool made of it.")]
    classified: Annotated[Path, option("CLASSIFIED", "The table that it was written from.", "--to")]
    output: Annotated[Path, option("OUT", "The corrected table.", "--output", "-o")]


@dataclass(frozen=True, slots=True)
class CorrectionEffects:
    """What a review changes beside its table."""

    index: Annotated[Path | None, option("DIR", "Index in which incidents are merged and split as well.")] = None
    append_to: Annotated[Path | None, option("FILE", "Texts with their right labels, for tawasul update.")] = None
    by: Annotated[str | None, option("NAME", "Who decided it, for the index's history.")] = None


@dataclass(frozen=True, slots=True)
class ReplaceOptions:
    """Where rows go that cannot be read, and whether a file of something else is replaced."""

    rejects: Annotated[Path | None, option("FILE", "For rows that cannot be read [default: OUT.rejects.jsonl]")] = None
    force: Annotated[bool, flag("--force", "Replace OUT if it is there.")] = False


@corrections_app.command("apply")
@option_groups
def apply(
    *,
    files: CorrectionFiles,
    effects: CorrectionEffects,
    columns: ReviewColumns,
    model: ModelOptions,
    reading: Reading,
    writing: ReplaceOptions,
    quiet: Quiet = False,
) -> None:
    """Apply a review to its table: labels, incidents, and a file that a model learns from.

    Labels are read by id or name. All is checked before anything changes, and wrong rows are named. A corrected topic
    routes the case again, unless the agency was corrected too. The same command may be repeated, with --force
    once OUT is there.

    \b
    Examples:
      tawasul corrections apply review.xlsx --to grouped.parquet -o corrected.parquet --append-to corrections.csv
      tawasul corrections apply review.csv --to grouped.csv -o corrected.csv --index incidents/ --by "N. Ali"
      tawasul update bundled corrections.csv --replay cases.csv -o runs/updated
    """
    from tawasul_nlp import WriteOptions
    from tawasul_nlp.review import apply_corrections

    with (
        report_interrupts("the table was not written; repeat the command"),
        ExitStack() as stack,
        progress(quiet) as advance,
    ):
        corrections = apply_corrections(
            files.review,
            columns.opened(files.classified, reading, model.domain),
            files.output,
            index=None if effects.index is None else stack.enter_context(opened_index(effects.index, model)),
            append_to=effects.append_to,
            by=effects.by,
            write=WriteOptions(rejects=writing.rejects, overwrite=writing.force),
            on_progress=partial(advance, "applying"),
        )
    if not quiet:
        _print_corrections(corrections, effects.append_to)
    if corrections.table.rejects is not None:
        complain(
            f"{corrections.table.rows_rejected} rows could not be read; see {corrections.table.rejects}", "warning"
        )
        raise typer.Exit(EXIT_REJECTS)


def _print_corrections(corrections: CorrectionReport, append_to: Path | None) -> None:
    labels = ", ".join(f"{count} {task}" for task, count in corrections.changed.items()) or "no label"
    typer.echo(f"corrected: {labels}; {corrections.confirmed} cases confirmed")
    if corrections.merged or corrections.moved or corrections.split:
        typer.echo(
            f"incidents: {corrections.merged} merged, {corrections.moved} cases moved, {corrections.split} split off"
        )
    if append_to is not None:
        typer.echo(f"{append_to}: {corrections.lessons:,} texts to learn from")
    typer.echo(f"written: {corrections.output} ({corrections.table.rows_written:,} rows)")
