"""The commands ``tawasul review`` and ``tawasul corrections``."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.incidents import opened_index
from tawasul_nlp.cli.options import DomainFolder, Model, Quiet, domain_of, option_groups
from tawasul_nlp.cli.table_options import AddedPrefix, Classified, Reading, ReviewedId, TextColumns
from tawasul_nlp.cli.terminal import EXIT_REJECTS, complain, interrupts_told, progress

if TYPE_CHECKING:
    from tawasul_nlp.review import CorrectionReport

corrections_app = typer.Typer(help="What people corrected in a review: apply.", rich_markup_mode=None)


def review(
    table: Classified,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="The review: .xlsx, .csv, .jsonl or .parquet."),
    ],
    unsure: Annotated[int, typer.Option(metavar="N", min=0, help="Cases that the model sends to review.")] = 100,
    urgent: Annotated[int, typer.Option(metavar="N", min=0, help="Cases that it calls urgent, if it does so.")] = 50,
    diverse: Annotated[int, typer.Option(metavar="N", min=0, help="Others, of each topic in turn.")] = 50,
    mask_personal_data: Annotated[
        bool, typer.Option("--mask-personal-data", help="Mask personal data in texts and ids.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT, which may be filled in.")] = False,
    text_column: TextColumns = None,
    id_column: ReviewedId = None,
    prefix: AddedPrefix = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
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

    with interrupts_told(), progress(quiet) as advance:
        found = write_review(
            table,
            output,
            ReviewPlan(unsure, urgent, diverse),
            mask=mask_personal_data,
            overwrite=force,
            text_column=text_column,
            id_column=id_column,
            prefix=prefix,
            domain=domain_of(domain),
            read=reading.options(),
            on_progress=partial(advance, "reading"),
        )
    if not quiet:
        counts = ", ".join(f"{count} {reason}" for reason, count in found.reasons.items())
        typer.echo(f"{found.output}: {found.cases:,} of {found.rows:,} cases ({counts})")


@corrections_app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@corrections_app.command("apply")
@option_groups
def apply(
    review: Annotated[
        Path, typer.Argument(metavar="REVIEW", help="A filled-in review, or what a labelling tool made of it.")
    ],
    classified: Annotated[Path, typer.Option("--to", metavar="CLASSIFIED", help="The table that it was written from.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The corrected table.")],
    index: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Index in which incidents are merged and split as well.")
    ] = None,
    append_to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts with their right labels, for tawasul update.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who decided it, for the index's history.")] = None,
    text_column: TextColumns = None,
    id_column: ReviewedId = None,
    prefix: AddedPrefix = None,
    model: Model = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
    rejects: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For rows that cannot be read [default: OUT.rejects.jsonl]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT even if something else wrote it.")] = False,
    quiet: Quiet = False,
) -> None:
    """Apply a review to its table: labels, incidents, and a file that a model learns from.

    Labels are read by id or name. All is checked before anything changes, and wrong rows are named. A corrected topic
    routes the case again, unless the agency was corrected too. The same command may be repeated.

    \b
    Examples:
      tawasul corrections apply review.xlsx --to grouped.parquet -o corrected.parquet --append-to corrections.csv
      tawasul corrections apply review.csv --to grouped.csv -o corrected.csv --index incidents/ --by "N. Ali"
      tawasul update bundled corrections.csv --replay cases.csv -o runs/updated
    """
    from tawasul_nlp import WriteOptions
    from tawasul_nlp.review import apply_corrections

    kept = "the table was not written; repeat the command"
    with interrupts_told(kept), ExitStack() as stack, progress(quiet) as advance:
        opened = None if index is None else stack.enter_context(opened_index(index, model, domain))
        done = apply_corrections(
            review,
            classified,
            output,
            index=opened,
            append_to=append_to,
            by=by,
            text_column=text_column,
            id_column=id_column,
            prefix=prefix,
            domain=domain_of(domain),
            read=reading.options(),
            write=WriteOptions(rejects=rejects, overwrite=force),
            on_progress=partial(advance, "applying"),
        )
    if not quiet:
        _show(done, append_to)
    if done.table.rejects is not None:
        complain(f"{done.table.rows_rejected} rows could not be read; see {done.table.rejects}", "warning")
        raise typer.Exit(EXIT_REJECTS)


def _show(done: CorrectionReport, append_to: Path | None) -> None:
    """Print what was applied."""
    labels = ", ".join(f"{count} {task}" for task, count in done.changed.items()) or "no label"
    typer.echo(f"corrected: {labels}; {done.confirmed} cases confirmed")
    if done.merged or done.moved or done.split:
        typer.echo(f"incidents: {done.merged} merged, {done.moved} cases moved, {done.split} split off")
    if append_to is not None:
        typer.echo(f"{append_to}: {done.lessons:,} texts to learn from")
    typer.echo(f"written: {done.output} ({done.table.rows_written:,} rows)")
