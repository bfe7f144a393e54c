"""The commands ``tawasul index`` by which people govern incidents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import AsJson, DomainFolder, Model, domain_of
from tawasul_nlp.cli.terminal import console

if TYPE_CHECKING:
    from tawasul_nlp.duplicates import DuplicateIndex, IncidentEvent

IndexFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the index.")]


@contextmanager
def opened_index(
    folder: Path,
    model: str | None,
    domain: Path | None,
    threshold: float | None = None,
    verify: bool | None = None,
    reopen_days: float | None = None,
) -> Iterator[DuplicateIndex]:
    """Open the index of a command, which must exist; an unknown id becomes an error that names it."""
    from tawasul_nlp.duplicates import DuplicateGrouper, DuplicateIndex

    grouper = DuplicateGrouper.from_pretrained(model, threshold=threshold, domain=domain_of(domain), verify=verify)
    with DuplicateIndex.open(folder, grouper, create=False, reopen_days=reopen_days) as index:
        try:
            yield index
        except KeyError as error:  # which prints as the repr of its message
            raise ValueError(error.args[0]) from error


IncidentId = Annotated[int, typer.Argument(metavar="INCIDENT", help="Id of the incident (group_id).")]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="Id of the case.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides it, for the history.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why, for the history.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``tawasul index``."""
    for command in (merge, split, move, close, reopen, history, export):
        app.command()(command)


def merge(
    folder: IndexFolder,
    incidents: Annotated[list[int], typer.Argument(metavar="INCIDENT...", help="Ids; the first one stays.")],
    by: By = None,
    note: Note = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Merge incidents into the first of them; all their cases then stay together, whatever their scores.

    \b
    Example:
      tawasul index merge incidents/ 17 23 --by "N. Ali" --note "one transformer feeds both blocks"
    """
    with opened_index(folder, model, domain) as index:
        _show(index.merge(incidents, by=by, note=note), as_json)


def split(
    folder: IndexFolder,
    case: CaseId,
    by: By = None,
    note: Note = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take a case out of its incident, into one of its own; it stays apart from the cases that it leaves.

    \b
    Example:
      tawasul index split incidents/ TWS-2026-00017 --note "his own water tank leaks"
    """
    with opened_index(folder, model, domain) as index:
        _show(index.split(case, by=by, note=note), as_json)


def move(
    folder: IndexFolder,
    case: CaseId,
    incident: IncidentId,
    by: By = None,
    note: Note = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Move a case into another incident, where it stays, and away from the cases that it leaves.

    \b
    Example:
      tawasul index move incidents/ TWS-2026-00017 23
    """
    with opened_index(folder, model, domain) as index:
        _show(index.move(case, incident, by=by, note=note), as_json)


def close(
    folder: IndexFolder,
    incident: IncidentId,
    at: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it was closed [default: now]"
        ),
    ] = None,
    reopen_days: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", min=0, help="So long a new case reopens a closed incident; the index keeps it [default: 21]"
        ),
    ] = None,
    by: By = None,
    note: Note = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
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
    with opened_index(folder, model, domain, reopen_days=reopen_days) as index:
        _show(index.close_incident(incident, at=at, by=by, note=note), as_json)


def reopen(
    folder: IndexFolder,
    incident: IncidentId,
    by: By = None,
    note: Note = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Open a closed incident again.

    \b
    Example:
      tawasul index reopen incidents/ 17 --note "the repair did not hold"
    """
    with opened_index(folder, model, domain) as index:
        _show(index.reopen_incident(incident, by=by, note=note), as_json)


def history(
    folder: IndexFolder,
    incident: Annotated[int | None, typer.Argument(metavar="[INCIDENT]", help="Its id; all if left out.")] = None,
    model: Model = None,
    domain: DomainFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to an incident, by whom and why; also to one that is gone.

    \b
    Example:
      tawasul index history incidents/ 17
    """
    with opened_index(folder, model, domain) as index:
        _show(index.history(incident), as_json)


def export(
    folder: IndexFolder,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="CSV, JSONL, Parquet or Excel, by its name.")
    ],
    min_size: Annotated[int, typer.Option(metavar="N", min=1, help="Only incidents with so many reports.")] = 1,
    mask_personal_data: Annotated[
        bool, typer.Option("--mask-personal-data", help="Mask personal data in the titles.")
    ] = False,
    model: Model = None,
    domain: DomainFolder = None,
) -> None:
    """Write the incidents as a table, the largest first: title, size, days, places, agency, growth, state.

    The title is the text of the report that all others match. An existing file is replaced.

    \b
    Example:
      tawasul index export incidents/ -o incidents.csv --min-size 3 --mask-personal-data
    """
    from tawasul_nlp.tables import export_incidents

    with opened_index(folder, model, domain) as index:
        count = export_incidents(index, output, min_size=min_size, mask=mask_personal_data)
    typer.echo(f"{count:,} incidents written to {output}")


def _show(events: Sequence[IncidentEvent], as_json: bool) -> None:
    if as_json:
        listed = [{**asdict(event), "at": event.at.isoformat()} for event in events]
        typer.echo(json.dumps(listed, ensure_ascii=False, indent=2))
        return
    from tawasul_nlp.cli.display import happened

    console(to_stderr=False).print(happened(events))
