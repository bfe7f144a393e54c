"""The command ``tawasul classify``."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from tawasul_nlp.cli.options import (
    DomainFolder,
    Model,
    Priors,
    Quiet,
    TargetErrors,
    check_model_apart,
    classifier_with,
    domain_of,
    frequencies,
    target_error,
)
from tawasul_nlp.cli.table_options import Backlog, Output, Reading, TextColumns, Writing, table_files
from tawasul_nlp.cli.terminal import ClassifyProgress, console, exit_on_rejects, interrupts_told

PlaceColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--place-column",
        metavar="COLUMN",
        help="Column of places: blocks, towns or addresses; may be repeated.",
    ),
]


class Engine(StrEnum):
    """Where the model runs."""

    local = "local"
    ray = "ray"


def classify(
    backlog: Backlog,
    output: Output,
    text_column: TextColumns = None,
    place_column: PlaceColumns = None,
    model: Model = None,
    domain: DomainFolder = None,
    errors: TargetErrors = None,
    priors: Priors = None,
    engine: Annotated[
        Engine, typer.Option(help="Where the model runs: in this process, or on a Ray cluster.")
    ] = Engine.local,
    gpus: Annotated[float, typer.Option(metavar="N", min=0, help="GPUs per Ray worker.")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Discard an unfinished run of OUT.")] = False,
    mask_personal_data: Annotated[
        bool, typer.Option("--mask-personal-data", help="Mask personal data in the text column.")
    ] = False,
    mask_column: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Mask this column too; may be repeated.")
    ] = None,
    reading: Reading = Reading(),
    writing: Writing = Writing(),
    show: Annotated[int, typer.Option(metavar="N", min=0, help="Also print the first N rows.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Classify a table of texts by kind, topic and agency.

    All columns and the order of the rows are kept; these are added: kind, topic and agency with their
    probabilities, the Arabic names of topic and agency, topic_alternatives, governorate, block, town (in Arabic),
    needs_review, review_reasons.
    If the table already has a column of such a name, all added ones get the prefix tawasul_.

    The place of a case comes from its text, or with --place-column from the table's own columns where they are filled
    in; a municipal case goes to the municipality of that place.

    OUT appears only when it is complete, with OUT.manifest.json, which records its inputs. An existing OUT is replaced
    only if this command wrote it from this BACKLOG and it was not changed since, or with --force. Rows that cannot
    be read go to OUT.rejects.jsonl (for -o - to tawasul.rejects.jsonl) with their number and the reason; the exit code
    is then 3.

    After Ctrl-C, a kill or a power cut the same command resumes where it stopped: finished rows are in OUT.partial. A
    run on standard input, which is copied to a temporary file, cannot be resumed.

    With --priors the probabilities stand for the frequencies of the office that the cases are sent to, counted over a
    time like this one, instead of those of the training: columns label and count, or JSON. Labels that are not named
    keep their share. Such a run resumes with the same frequencies only, and the manifest records them.

    With --engine ray a worker on each core of a Ray cluster predicts: the one at RAY_ADDRESS, or else one that is
    started here. The table is still read and written here.

    With --mask-personal-data the model still reads the original text; rejected rows are masked as well.

    An .xlsx holds texts as texts, never as formulas; a row with a text too long for a cell is rejected, and more rows
    than a sheet holds are an error. In a CSV, a sign that would begin a formula (= + - @) is escaped with an
    apostrophe: at the start of a cell or header, and after each comma, semicolon, tab, bar or line end in it, since
    spreadsheets differ in where they split. Numbers are unchanged.

    \b
    Examples:
      tawasul classify backlog.csv --text-column text -o classified.csv
      tawasul classify backlog.xlsx --sheet 2026 --header-row 3 -t نص_الشكوى -o classified.xlsx
      tawasul classify backlog.csv -t subject -t body --place-column block --place-column area -o classified.csv
      tawasul classify cases.jsonl -t complaint.body -o classified.parquet
      tawasul classify backlog.csv -t text --priors topics_of_2025.csv -o classified.csv
      tawasul classify backlog.jsonl.gz -t text -o - > classified.jsonl
    """
    from tawasul_nlp.cli.display import examples, summary
    from tawasul_nlp.tables import classify_table

    if gpus and engine is not Engine.ray:
        raise typer.BadParameter("only the workers of --engine ray use GPUs", param_hint="--gpus")
    to_mask = mask_column or []
    if text_column and (mask_personal_data or to_mask):
        to_mask = [*text_column, *to_mask]
    check_model_apart(model, output=output, rejects=writing.rejects)
    with (
        interrupts_told(),
        table_files(backlog, output, reading, writing) as files,
        ClassifyProgress(show, quiet=quiet) as watch,
    ):
        report = classify_table(
            partial(
                classifier_with,
                frequencies(priors),
                model,
                target_error=target_error(errors),
                threads=1 if engine is Engine.ray else None,
                device="cuda" if gpus else None,
                domain=domain_of(domain),
            ),
            files.source,
            files.target,
            text_column=text_column,
            place_columns=place_column or [],
            mask_columns=to_mask,
            read=files.read,
            write=files.write,
            engine=_opener(engine, gpus),
            restart=restart,
            resumable=files.resumable,
            on_step=watch.see,
        )
    to_stdout = output == "-"
    with interrupts_told(f"{'standard output' if to_stdout else output} is complete"):
        # The summary goes to standard error when the data goes to standard output.
        screen = console(to_stderr=to_stdout)
        if watch.kept:
            screen.print(examples(watch.kept, text_column or []))
        if not quiet:
            screen.print(summary(report))
    exit_on_rejects(report)


def _opener(engine: Engine, gpus: float) -> Callable[[Any], Any]:
    """Return what opens the engine, with so many GPUs for each worker of a cluster."""
    if engine is Engine.ray:
        from tawasul_nlp.tables.ray import RayEngine

        return partial(RayEngine, num_gpus=gpus)
    from tawasul_nlp.tables import LocalEngine

    return LocalEngine
