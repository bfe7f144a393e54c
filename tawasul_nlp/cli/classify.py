"""Classify a table of texts by kind, topic and agency.

All columns and the order of the rows are kept; these are added: kind, topic and agency with their
probabilities, the Arabic names of topic and agency, topic_alternatives, governorate, block, town (in Arabic),
needs_review, review_reasons.
If the table already has a column of such a name, all added ones get the prefix tawasul_.

The place of a case comes from its text, or with --place-column from the table's own columns where they are filled
in; a municipal case goes to the municipality of that place.

OUT appears only when it is complete, with OUT.manifest.json, which records its inputs. An existing OUT is replaced
only with --force. Rows that cannot be read go to OUT.rejects.jsonl with their number and the reason; the exit code is
then 3.

After Ctrl-C, a kill or a power cut the same command resumes where it stopped: finished rows are in OUT.partial.

With --priors the probabilities stand for the frequencies of the office that the cases are sent to, counted over a
time like this one, instead of those of the training: columns label and count. Labels that are not named
keep their share. Such a run resumes with the same frequencies only, and the manifest records them.

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
  zcat backlog.csv.gz | tawasul classify - -t text -o - > classified.csv
  tawasul classify backlog.csv -t text --priors topics_of_2025.csv -o classified.csv
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tawasul_nlp.cli.options import ClassifierOptions, Quiet, check_model_apart, flag, option, option_groups
from tawasul_nlp.cli.table_options import Reading, TableNames, TextColumns, Writing
from tawasul_nlp.cli.terminal import ClassifyProgress, console, exit_on_rejects, report_interrupts


@dataclass(frozen=True, slots=True)
class ColumnOptions:
    """The columns in which a case is described."""

    text_column: TextColumns = None
    place_column: Annotated[
        list[str] | None,
        option("COLUMN", "Column of places: blocks, towns or addresses; may be repeated [default: a usual heading]"),
    ] = None


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """The columns in which personal data are masked."""

    mask_personal_data: Annotated[bool, flag("--mask-personal-data", "Mask personal data in the text column.")] = False
    mask_column: Annotated[list[str] | None, option("COLUMN", "Mask this column too; may be repeated.")] = None

    def columns(self) -> list[str] | None:
        """Return those beside the text; None if nothing is masked."""
        return self.mask_column or ([] if self.mask_personal_data else None)


@option_groups
def classify(
    *,
    names: TableNames,
    columns: ColumnOptions,
    classifier: ClassifierOptions,
    restart: Annotated[bool, flag("--restart", "Discard an unfinished run of OUT.")] = False,
    masking: MaskOptions,
    reading: Reading,
    writing: Writing,
    quiet: Quiet = False,
) -> None:
    """Run the command, whose help is the text above."""
    from tawasul_nlp.cli.display import summary
    from tawasul_nlp.tables import classify_table

    check_model_apart(classifier.model, output=names.output, rejects=writing.rejects)
    with (
        report_interrupts(),
        names.files(writing) as (source, target, write),
        ClassifyProgress(quiet=quiet) as progress,
    ):
        report = classify_table(
            classifier.for_tables(),
            source,
            target,
            text_column=columns.text_column,
            place_columns=columns.place_column,
            mask_columns=masking.columns(),
            read=reading.options(),
            write=write,
            restart=restart,
            on_step=progress.update,
        )
    with report_interrupts(f"{names.output} is complete"):
        if not quiet and not names.to_stdout:
            console().print(summary(report))
    exit_on_rejects(report, writing.rejects if names.to_stdout else report.rejects)
