"""The commands ``tawasul domain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.terminal import complain

domain_app = typer.Typer(help="Packs of data that stand for a country: check.", rich_markup_mode=None)


@domain_app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@domain_app.command()
def check(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the pack.")]) -> None:
    """Check a pack: that it is sound, and what in it is probably not meant.

    A file that does not follow its schema, or names an id that does not exist, is an error with file and line; the exit
    code is 1. Doubtful are areas without a region, names that two entries share, homographs of no place, agencies that
    get no case, rules that change nothing, and numbers that no phone has; they are warnings, and the exit code is 0.

    \b
    Example:
      tawasul domain check my-country/
    """
    from tawasul_nlp.domain import Domain
    from tawasul_nlp.domain.check import check_pack

    findings = check_pack(folder)
    for finding in findings:
        complain(str(finding), "warning")
    domain = Domain.load(folder)
    levels = " > ".join(domain.gazetteer.levels.ids)
    typer.echo(
        f"sound, {len(findings)} warnings: {domain.id} {domain.version} ({domain.fingerprint}), levels {levels}, "
        f"{len(domain.gazetteer.governorates):,} of the first and {len(domain.gazetteer.places):,} named places, "
        f"{len(domain.taxonomy.topics):,} topics, {len(domain.taxonomy.agencies):,} agencies"
    )
