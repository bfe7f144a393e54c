"""The command ``tawasul compare-routing``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import check_outputs
from tawasul_nlp.cli.options import AsJson, DomainFolder, Quiet, console, domain_of, interrupts_told
from tawasul_nlp.cli.progress import progress
from tawasul_nlp.cli.table_options import AddedPrefix, Classified, Reading, ReviewedId, TextColumns


def compare_routing(
    table: Classified,
    agency_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the agencies that the cases were routed to.")
    ],
    names: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="Table of two columns: their name or code, and our agency."),
    ] = None,
    days_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the days that a case took, if known.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Table for the cases that were routed elsewhere."),
    ] = None,
    text_column: TextColumns = None,
    id_column: ReviewedId = None,
    prefix: AddedPrefix = None,
    domain: DomainFolder = None,
    reading: Reading = Reading(),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare the model's agencies with those that cases were routed to, the surest differences first.

    Names, former names, abbreviations, aliases and codes of the domain are known; others are listed, for --map. An
    agency agrees with its group (a municipality with "municipality") and with its ministry. OUT has the cases that were
    routed elsewhere, with their texts: those of which the model is sure come first.

    \b
    Examples:
      tawasul compare-routing classified.csv --agency-column routed_to -o elsewhere.csv
      tawasul compare-routing classified.csv --agency-column dept --map names.csv --days-column days --json
    """
    from tawasul_nlp.review import compare_routing as compare

    check_outputs([table, *([names] if names else [])], None, output=output)
    with interrupts_told(), progress(quiet) as advance:
        found = compare(
            table,
            agency_column,
            names=names,
            days_column=days_column,
            text_column=text_column,
            id_column=id_column,
            prefix=prefix,
            domain=domain_of(domain),
            read=reading.options(),
            on_progress=partial(advance, "reading"),
        )
        if output is not None:
            found.write(output)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    elif not quiet:
        console(to_stderr=False).print(found)
        if output is not None:
            typer.echo(f"written: {output}")
