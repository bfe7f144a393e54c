"""The command ``tawasul group``, and what it shares with ``tawasul index`` and ``tawasul serve``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tawasul_nlp.cli.options import ModelOptions, Quiet, check_model_apart, domain_of, flag, option, option_groups
from tawasul_nlp.cli.table_options import Reading, TableNames, TextColumns, Writing
from tawasul_nlp.cli.terminal import InterruptedCommand, console, exit_on_rejects, progress, report_interrupts

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateGrouper
    from tawasul_nlp.tables import GroupReport

# usearch raises an interrupt as a RuntimeError with one of these messages.
_INTERRUPTS_OF_USEARCH = ("Operation has been terminated", "Terminated by user")


ReopenDays = Annotated[
    float | None,
    option("DAYS", "So long a new case reopens a closed incident; the index keeps it [default: 21]", min=0),
]


@dataclass(frozen=True, slots=True)
class CaseColumns:
    """The columns in which a case is described."""

    text_column: TextColumns = None
    id_column: Annotated[
        str | None, option("COLUMN", "Column of ids, which --index needs [default: a usual heading]")
    ] = None
    date_column: Annotated[str | None, option("COLUMN", "Column of dates [default: a usual heading]")] = None
    place_column: Annotated[
        str | None, option("COLUMN", "Column of places: names, addresses or block numbers [default: a usual heading]")
    ] = None
    topic_column: Annotated[
        str | None,
        option("COLUMN", "Column of topics: the model's by id or name, or others [default: the model's prediction]"),
    ] = None


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """When two cases report one incident."""

    threshold: Annotated[
        float | None,
        option(
            "T", "Lowest probability that two cases are one [default: the index's, or the model's]", min=0.02, max=1.0
        ),
    ] = None
    verify: Annotated[
        bool | None,
        flag(
            "--verify/--no-verify",
            "Decide unsure pairs of cases by reading both texts, which takes time [default: if the model can]",
            show_default=False,
        ),
    ] = None

    def grouper(self, model: ModelOptions) -> DuplicateGrouper:
        """Load a model, and return what groups cases with it."""
        from tawasul_nlp.duplicates import DuplicateGrouper

        return DuplicateGrouper.from_pretrained(
            model.model, threshold=self.threshold, domain=domain_of(model.domain), verify=self.verify
        )


@dataclass(frozen=True, slots=True)
class GroupRun:
    """Whether the cases go to an index, and whether an unfinished run is resumed."""

    index: Annotated[Path | None, option("DIR", "Add the cases to this index, and use its ids of incidents.")] = None
    restart: Annotated[bool, flag("--restart", "Discard an unfinished run of OUT.")] = False


@option_groups
def group(
    *,
    names: TableNames,
    columns: CaseColumns,
    matching: MatchOptions,
    run: GroupRun,
    model: ModelOptions,
    reading: Reading,
    writing: Writing,
    quiet: Quiet = False,
) -> None:
    """Group a table of cases by incident: one incident, many reports.

    All columns and the order of the rows are kept; these are added: incident_id, incident_size, incident_score (the
    probability that the case and its incident's representative report one event) and is_representative. If the table
    already has a column of such a name, all added ones get the prefix tawasul_. A row without text gets no incident; a
    date that cannot be read counts as missing.

    With --index the cases are added to a persistent index: ids of incidents are the same in every run, and sizes count
    all its cases. Known ids are not added again.

    OUT appears only when it is complete, with OUT.manifest.json, which records its inputs. An existing OUT is replaced
    only with --force. Rows that cannot be read go to OUT.rejects.jsonl with their number and the reason; the exit code
    is then 3. In a CSV, cells that a spreadsheet would run as formulas are escaped with an apostrophe.

    After Ctrl-C, a kill or a power cut the same command resumes where it stopped: what the model has read is in
    OUT.partial, or with --index in the index.

    \b
    Examples:
      tawasul group backlog.csv --text-column text -o grouped.csv
      tawasul group classified.csv -t text --place-column block --topic-column topic --date-column opened -o grouped.csv
      tawasul group today.csv -t text --id-column case_id --index incidents/ -o grouped.csv
    """
    from tawasul_nlp.tables import group_table

    with report_interrupts(), names.files(writing) as (source, target, write):
        check_model_apart(model.model, output=names.output, rejects=writing.rejects)
        grouping = partial(
            group_table,
            partial(matching.grouper, model),
            source,
            target,
            read=reading.options(),
            write=write,
            restart=run.restart,
        )
        report = run_group(grouping, columns, run.index, quiet=quiet)
    with report_interrupts(f"{names.output} is complete"):
        show_groups(report, quiet=quiet or names.to_stdout)
    exit_on_rejects(report, writing.rejects if names.to_stdout else report.rejects)


def run_group(
    group_cases: Callable[..., GroupReport], columns: CaseColumns, index: Path | None, *, quiet: bool
) -> GroupReport:
    """Call :func:`~tawasul_nlp.tables.group_table` with all but its columns and index, and show the progress."""
    with progress(quiet) as advance:
        try:
            return group_cases(
                **asdict(columns),
                index=index,
                on_step=lambda what, done, total: advance(what, done / total if total else 0.0),
            )
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and str(error) not in _INTERRUPTS_OF_USEARCH:
                raise
            if index is None:
                raise error if isinstance(error, KeyboardInterrupt) else KeyboardInterrupt from None
            raise InterruptedCommand(
                f"interrupted; cases added before stay in the index {index}, and no table was written; run it again to "
                "resume"
            ) from None


def show_groups(report: GroupReport, *, quiet: bool) -> None:
    """Print the largest groups and the counts."""
    from tawasul_nlp.cli.display import grouped

    if not quiet:
        console().print(grouped(report))
