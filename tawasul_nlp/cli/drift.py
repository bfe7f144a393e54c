"""The command ``tawasul drift``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import (
    OneTextColumn,
    Seed,
    check_outputs,
    command_line,
    label_columns,
    print_result,
    warn_unusable,
)
from tawasul_nlp.cli.options import AsJson, DomainFolder, Quiet, domain_of
from tawasul_nlp.cli.table_options import AddedPrefix, Reading
from tawasul_nlp.cli.terminal import interrupts_told, progress


def drift(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The earlier cases, or all of them.")],
    new: Annotated[Path | None, typer.Argument(metavar="[NEW]", help="The later cases.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="In place of NEW: the day that divides REFERENCE.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Page to write, OUT.html, or the result as OUT.json."),
    ] = None,
    text_column: OneTextColumn = "text",
    date_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of dates [default: the first that holds dates]")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--label-columns",
            metavar="NAMES",
            help="More columns to compare; topic=category in place of the answers of a task.",
        ),
    ] = None,
    prefix: AddedPrefix = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Model that reads the texts [default: none if classified, else the bundled one]"
        ),
    ] = None,
    domain: DomainFolder = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Permutations of each test.")] = 999,
    seed: Seed = 0,
    as_json: AsJson = False,
    reading: Reading = Reading(),
    quiet: Quiet = False,
) -> None:
    """Say what changed between two periods of cases, and which changes are more than chance explains.

    Compared are topics, agencies, kinds, places, urgency, the share of cases for review, and the words. Tables that
    `tawasul classify` wrote are compared as they are; texts of others are read by the model first. All tests together
    raise a false alarm in at most one of twenty comparisons.

    OUT.html is one page in Arabic and in English, without personal data, that needs no network.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[train]'.

    \b
    Examples:
      tawasul drift march.parquet april.parquet -o drift.html
      tawasul drift classified.csv --since 2026-04-01 -o drift.html
      tawasul drift 2025.csv 2026.csv --label-columns channel,topic=category --json
    """
    from tawasul_nlp.evaluation import drift as compare
    from tawasul_nlp.tables import open_labelled

    if (new is None) == (since is None):
        raise typer.BadParameter("give either the later cases, NEW, or the day that divides one table, --since DATE")
    if output is not None and output.suffix not in (".html", ".json"):
        raise typer.BadParameter(f"got {output.name}, expected a name that ends in .html or .json", param_hint="-o")
    tables = [table for table in (reference, new) if table is not None]
    check_outputs(tables, model, output=output)
    options = reading.options()
    reference_table, *others = (open_labelled(table, text_column, options) for table in tables)
    with interrupts_told(), progress(quiet) as advance:
        result = compare(
            reference_table,
            others[0] if others else None,
            model,
            since=since,
            label_columns=label_columns(labels) or (),
            date_column=date_column,
            prefix=prefix,
            domain=domain_of(domain),
            rounds=rounds,
            seed=seed,
            on_progress=advance,
        )
    result = replace(result, command=command_line())
    for table, facts in zip(tables, result.tables, strict=True):
        warn_unusable(str(table), facts.unusable)
    if output is not None:
        (result.to_json if output.suffix == ".json" else result.to_html)(output)
    print_result(result, [output] if output is not None else [], as_json=as_json, quiet=quiet)
