"""The commands ``tawasul index``: what people decide about incidents, and what an index does with cases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.group import CaseColumns, MatchOptions, ReopenDays, run_group, show_groups
from tawasul_nlp.cli.options import (
    AsJson,
    DomainFolder,
    Model,
    ModelOptions,
    Quiet,
    Text,
    argument,
    check_model_apart,
    command_family,
    flag,
    option,
    option_groups,
)
from tawasul_nlp.cli.table_options import Backlog, Reading
from tawasul_nlp.cli.terminal import (
    console,
    exit_on_rejects,
    print_facts,
    print_json,
    progress,
    report_interrupts,
    text_or_input,
)
from tawasul_nlp.errors import checked_time

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex, IncidentEvent

IndexFolder = Annotated[Path, argument("DIR", "Folder of the index.")]
IncidentId = Annotated[int, argument("INCIDENT", "Id of the incident (incident_id).")]
CaseId = Annotated[str, argument("CASE", "Id of the case.")]


index_app = command_family(
    "Keep incidents while cases arrive: add, query, remove; merge, split, move, close, reopen; history, export, stats; "
    "verify, rebuild."
)


@contextmanager
def opened_index(
    folder: Path,
    model: ModelOptions,
    matching: MatchOptions | None = None,
    reopen_days: float | None = None,
) -> Iterator[DuplicateIndex]:
    """Open the index of a command, which must exist; an unknown id becomes an error that names it."""
    from tawasul_nlp.duplicates import DuplicateIndex

    grouper = (matching or MatchOptions()).grouper(model)
    with DuplicateIndex.open(folder, grouper, create=False, reopen_days=reopen_days) as index:
        try:
            yield index
        except KeyError as error:  # which prints as the repr of its message
            raise ValueError(error.args[0]) from error


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decides about an incident, and why; on which model the index is opened, and how the change is shown."""

    by: Annotated[str | None, option("NAME", "Who decides it, for the history.", "--by")] = None
    note: Annotated[str | None, option("TEXT", "Why, for the history.", "--note")] = None
    model: Model = None
    domain: DomainFolder = None
    as_json: AsJson = False

    def opened(self, folder: Path, reopen_days: float | None = None) -> AbstractContextManager[DuplicateIndex]:
        """Open the index that is changed."""
        return opened_index(folder, ModelOptions(self.model, self.domain), reopen_days=reopen_days)


@index_app.command()
@option_groups
def merge(
    *,
    folder: IndexFolder,
    incidents: Annotated[list[int], argument("INCIDENT...", "Ids; the first one stays.")],
    decision: Decision,
) -> None:
    """Merge incidents into the first of them; all their cases then stay together, whatever their scores.

    \b
    Example:
      tawasul index merge incidents/ 17 23 --by "N. Ali" --note "one transformer feeds both blocks"
    """
    with decision.opened(folder) as index:
        _show(index.merge(incidents, by=decision.by, note=decision.note), decision.as_json)


@index_app.command()
@option_groups
def split(*, folder: IndexFolder, case: CaseId, decision: Decision) -> None:
    """Take a case out of its incident, into one of its own; it stays apart from the cases that it leaves.

    \b
    Example:
      tawasul index split incidents/ TWS-2026-00017 --note "his own water tank leaks"
    """
    with decision.opened(folder) as index:
        _show(index.split(case, by=decision.by, note=decision.note), decision.as_json)


@index_app.command()
@option_groups
def move(*, folder: IndexFolder, case: CaseId, incident: IncidentId, decision: Decision) -> None:
    """Move a case into another incident, where it stays, and away from the cases that it leaves.

    \b
    Example:
      tawasul index move incidents/ TWS-2026-00017 23
    """
    with decision.opened(folder) as index:
        _show(index.move(case, incident, by=decision.by, note=decision.note), decision.as_json)


@index_app.command()
@option_groups
def close(
    *,
    folder: IndexFolder,
    incident: IncidentId,
    at: Annotated[str | None, option("TIME", "When it was closed, in ISO 8601 [default: now]")] = None,
    reopen_days: ReopenDays = None,
    decision: Decision,
) -> None:
    """Close an incident; its cases then stay where they are.

    A new case that matches it, and no open incident, reopens it within the days that the index keeps for all its
    incidents (those of the model's pair scorer, 21 in the bundled model, or --reopen-days); a later one begins an
    incident that repeats it, and one received on a day before only joins it.

    \b
    Examples:
      tawasul index close incidents/ 17 --by "N. Ali" --note "power is back"
      tawasul index close incidents/ 23 --reopen-days 60
    """
    with decision.opened(folder, reopen_days) as index:
        time = None if at is None else checked_time(at, "--at")
        _show(index.close_incident(incident, at=time, by=decision.by, note=decision.note), decision.as_json)


@index_app.command()
@option_groups
def reopen(*, folder: IndexFolder, incident: IncidentId, decision: Decision) -> None:
    """Open a closed incident again.

    \b
    Example:
      tawasul index reopen incidents/ 17 --note "the repair did not hold"
    """
    with decision.opened(folder) as index:
        _show(index.reopen_incident(incident, by=decision.by, note=decision.note), decision.as_json)


@index_app.command()
@option_groups
def explain(
    *, folder: IndexFolder, first: CaseId, second: CaseId, model: ModelOptions, as_json: AsJson = False
) -> None:
    """Say in Arabic and English what speaks for and against two cases reporting one event.

    \b
    Example:
      tawasul index explain incidents/ TWS-2026-00017 TWS-2026-00018
    """
    with opened_index(folder, model) as index:
        why = index.explain(first, second)
    sentences = [*why.sentences("ar"), *why.sentences("en")]
    typer.echo(json.dumps(asdict(why), ensure_ascii=False) if as_json else "\n".join(sentences))


@index_app.command()
@option_groups
def history(
    *,
    folder: IndexFolder,
    incident: Annotated[int | None, argument("[INCIDENT]", "Its id; all if left out.")] = None,
    model: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Show what happened to an incident, by whom and why; also to one that is gone.

    \b
    Example:
      tawasul index history incidents/ 17
    """
    with opened_index(folder, model) as index:
        _show(index.history(incident), as_json)


@index_app.command()
@option_groups
def export(
    *,
    folder: IndexFolder,
    output: Annotated[Path, option("FILE", "CSV, JSONL, Parquet or Excel, by its name.", "--output", "-o")],
    min_size: Annotated[int, option("N", "Only incidents with so many reports.", min=1)] = 1,
    mask_personal_data: Annotated[bool, flag("--mask-personal-data", "Mask personal data in the titles.")] = False,
    model: ModelOptions,
) -> None:
    """Write the incidents as a table, the largest first: title, size, days, places, agency, growth, state.

    The title is the text of the report that all others match. An existing file is replaced.

    \b
    Example:
      tawasul index export incidents/ -o incidents.csv --min-size 3 --mask-personal-data
    """
    from tawasul_nlp.tables.io.write import export_incidents

    with opened_index(folder, model) as index:
        count = export_incidents(index, output, min_size=min_size, mask=mask_personal_data)
    typer.echo(f"{count:,} incidents written to {output}")


@index_app.command()
@option_groups
def add(
    *,
    folder: IndexFolder,
    backlog: Backlog,
    columns: CaseColumns,
    matching: MatchOptions,
    model: ModelOptions,
    reading: Reading,
    rejects: Annotated[
        Path | None, option("FILE", "For rows that cannot be read [default: tawasul.rejects.jsonl]")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Add the cases of a table to an index; create the index if there is none.

    A case with a known id is left unchanged, so an interrupted run may be repeated. Rows that cannot be
    read, have no id, or have the id of another text or place go to the rejects file; the exit code is then 3.

    \b
    Example:
      tawasul index add incidents/ backlog.csv --text-column text --id-column case_id
    """
    from tawasul_nlp import WriteOptions
    from tawasul_nlp.tables import group_table

    check_model_apart(model.model, rejects=rejects)
    grouping = partial(
        group_table,
        partial(matching.grouper, model),
        backlog,
        None,
        read=reading.options(),
        write=WriteOptions(rejects=rejects),
    )
    report = run_group(grouping, columns, folder, quiet=quiet)
    with report_interrupts(f"the cases are in the index {folder}"):
        show_groups(report, quiet=quiet)
    exit_on_rejects(report, report.rejects)


@index_app.command()
@option_groups
def query(
    *,
    folder: IndexFolder,
    text: Text = None,
    k: Annotated[int, option("N", "Most incidents to show.", "-k", min=1)] = 5,
    place: Annotated[str | None, option("PLACE", "Place of the case, if the text does not say.")] = None,
    matching: MatchOptions,
    model: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Show which incidents of an index a new case may belong to; nothing is stored.

    \b
    Example:
      tawasul index query incidents/ "الكهربا طافية علينا في مدينة حمد مجمع 1203"
    """
    from tawasul_nlp.duplicates import Case

    with opened_index(folder, model, matching) as index:
        matches = index.query(Case(text_or_input(text), place=place), k)
    if as_json:
        print_json([asdict(match) for match in matches])
        return
    from tawasul_nlp.cli.display import matched

    console().print(matched(matches))


@index_app.command()
@option_groups
def remove(
    *,
    folder: IndexFolder,
    ids: Annotated[list[str], argument("ID...", "Ids of the cases to remove.")],
    decision: Decision,
) -> None:
    """Remove cases from an index; if an id is unknown, nothing is removed.

    \b
    Example:
      tawasul index remove incidents/ TWS-2026-00017 TWS-2026-00018
    """
    case_ids = list(dict.fromkeys(ids))
    with decision.opened(folder) as index:
        absent = [case_id for case_id in case_ids if case_id not in index]
        if absent:
            raise ValueError(f"{folder} has no case {', '.join(map(repr, absent))}; nothing was removed")
        for case_id in case_ids:
            index.remove(case_id, by=decision.by, note=decision.note)
        left = len(index)
    typer.echo(f"{len(case_ids):,} removed, {left:,} left")


@index_app.command()
@option_groups
def stats(*, folder: IndexFolder, model: ModelOptions, as_json: AsJson = False) -> None:
    """Count the cases and incidents of an index, and show its model and settings.

    \b
    Example:
      tawasul index stats incidents/ --json
    """
    with opened_index(folder, model) as index:
        facts = index.stats()
    if as_json:
        print_json(facts)
    else:
        print_facts((name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in facts.items())


@index_app.command()
@option_groups
def verify(folder: IndexFolder, as_json: AsJson = False) -> None:
    """Check every byte of an index that no process has open, such as a backup.

    The exit code is 1 if a file is damaged; the message names it and says what to do.

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
        if check.impossible_dates:
            typer.echo(
                f"impossible dates: {', '.join(check.impossible_dates)}; such a case counts as undated until it is "
                "removed and added with its date, and such an incident is closed until it is reopened"
            )


@index_app.command()
@option_groups
def rebuild(
    *,
    folder: IndexFolder,
    matching: MatchOptions,
    model: ModelOptions,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Rebuild an index from its cases, as after a change of model or domain, and keep the one before as DIR.old.

    All cases are grouped again, within what people decided; closed incidents, and those that a person split off, stay
    as they are. An incident keeps the id that most of its cases had. The index may be in use until the new one,
    DIR.new, is complete; a rebuild that was stopped resumes. Of a damaged index what is sound is kept. When nothing is
    missing, delete DIR.old, which holds the texts too.

    \b
    Example:
      tawasul index rebuild incidents/ --model my-model/
    """
    from tawasul_nlp.duplicates import rebuild_index

    with progress(quiet) as show:
        done = rebuild_index(folder, matching.grouper(model), progress=show)
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str))
        return
    if done.changes:
        _show(done.changes, as_json=False)
    lost = f" {done.damaged:,} damaged rows are lost;" if done.damaged else ""
    typer.echo(
        f"{done.cases:,} cases of {done.incidents:,} incidents, of which {done.ids_kept:,} keep an id;{lost} the index "
        f"from before is {done.old}"
    )


def _show(events: Sequence[IncidentEvent], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(event), "at": event.at.isoformat()} for event in events])
        return
    from tawasul_nlp.cli.display import happened

    console().print(happened(events))
