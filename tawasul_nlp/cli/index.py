"""The commands ``tawasul index``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli import incidents
from tawasul_nlp.cli.group import (
    DateColumn,
    IdColumn,
    PlaceColumn,
    Threshold,
    TopicColumn,
    Verify,
    run_group,
    show_groups,
)
from tawasul_nlp.cli.incidents import IndexFolder, opened_index
from tawasul_nlp.cli.options import AsJson, DomainFolder, Model, Quiet, Text, domain_of, option_groups
from tawasul_nlp.cli.table_options import Backlog, Reading, TextColumns, source_file
from tawasul_nlp.cli.terminal import console, exit_on_rejects, interrupts_told, whole

index_app = typer.Typer(
    help=(
        "Keep incidents while cases arrive: add, query, remove; merge, split, move, close, reopen; history, "
        "export, stats; verify, rebuild."
    ),
    rich_markup_mode=None,
)
incidents.register(index_app)


@index_app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@index_app.command()
@option_groups
def add(
    folder: IndexFolder,
    backlog: Backlog,
    text_column: TextColumns = None,
    id_column: IdColumn = None,
    date_column: DateColumn = None,
    place_column: PlaceColumn = None,
    topic_column: TopicColumn = None,
    threshold: Threshold = None,
    verify: Verify = None,
    model: Model = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For rows that cannot be read [default: tawasul.rejects.jsonl]"),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Add the cases of a table to an index; create the index if there is none.

    A case with a known id is left unchanged, so an interrupted run may be repeated. Rows that cannot be
    read, have no id, or have the id of another text go to the rejects file; the exit code is then 3.

    \b
    Example:
      tawasul index add incidents/ backlog.csv --text-column text --id-column case_id
    """
    from tawasul_nlp import WriteOptions

    with source_file(backlog) as source:
        report = run_group(
            source,
            None,
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
            index=folder,
            read=reading.options(),
            write=WriteOptions(rejects=rejects),
        )
    with interrupts_told(f"the cases are in the index {folder}"):
        show_groups(report, quiet=quiet, to_stderr=False)
    exit_on_rejects(report)


@index_app.command()
def query(
    folder: IndexFolder,
    text: Text = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="Most incidents to show.")] = 5,
    place: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Place of the case, if the text does not say.")
    ] = None,
    threshold: Threshold = None,
    verify: Verify = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show which incidents of an index a new case may belong to; nothing is stored.

    \b
    Example:
      tawasul index query incidents/ "الكهربا طافية علينا في مدينة حمد مجمع 1203"
    """
    from tawasul_nlp.duplicates import Case

    with opened_index(folder, model, domain, threshold, verify) as index:
        matches = index.query(Case(whole(text), place=place), k)
    if as_json:
        typer.echo(json.dumps([asdict(match) for match in matches], ensure_ascii=False, indent=2))
        return
    from tawasul_nlp.cli.display import matched

    console(to_stderr=False).print(matched(matches))


@index_app.command()
def remove(
    folder: IndexFolder,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the cases to remove.")],
    model: Model = None,
    domain: DomainFolder = None,
) -> None:
    """Remove cases from an index; if an id is unknown, nothing is removed.

    \b
    Example:
      tawasul index remove incidents/ TWS-2026-00017 TWS-2026-00018
    """
    wanted = list(dict.fromkeys(ids))
    with opened_index(folder, model, domain) as index:
        absent = [case_id for case_id in wanted if case_id not in index]
        if absent:
            raise ValueError(f"{folder} has no case {', '.join(map(repr, absent))}; nothing was removed")
        for case_id in wanted:
            index.remove(case_id)
        left = len(index)
    typer.echo(f"{len(wanted):,} removed, {left:,} left")


@index_app.command()
def stats(folder: IndexFolder, model: Model = None, domain: DomainFolder = None, as_json: AsJson = False) -> None:
    """Count the cases and incidents of an index, and show its model and settings.

    \b
    Example:
      tawasul index stats incidents/ --json
    """
    with opened_index(folder, model, domain) as index:
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


@index_app.command()
def rebuild(
    folder: IndexFolder,
    threshold: Threshold = None,
    verify: Verify = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild an index from its cases, as after a change of model or domain, and keep the one before as DIR.old.

    All cases are grouped again, within what people decided; closed incidents stay as they are. An incident keeps the id
    that most of its cases had. When nothing is missing, delete DIR.old, which holds the texts too.

    \b
    Example:
      tawasul index rebuild incidents/ --model my-model/
    """
    from tawasul_nlp.duplicates import DuplicateGrouper, rebuild_index

    grouper = DuplicateGrouper.from_pretrained(model, threshold=threshold, domain=domain_of(domain), verify=verify)
    done = rebuild_index(folder, grouper)
    if as_json:
        typer.echo(json.dumps(asdict(done), default=str))
        return
    typer.echo(
        f"{done.cases:,} cases of {done.incidents:,} incidents, of which {done.ids_kept:,} keep an id; the index from "
        f"before is {done.old}"
    )
