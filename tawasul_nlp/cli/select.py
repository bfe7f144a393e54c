"""The command ``tawasul select``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import OneTextColumn, Seed, check_outputs, warn_unusable
from tawasul_nlp.cli.options import Model, Quiet
from tawasul_nlp.cli.table_options import Reading
from tawasul_nlp.cli.terminal import complain, console, interrupts_told, progress


def select(
    backlog: Annotated[
        Path, typer.Argument(metavar="BACKLOG", help="Unlabelled cases: CSV, JSONL, Parquet or Excel (.xlsx).")
    ],
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="Number of cases to choose.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="File to write: .jsonl, or CSV under any other name.")
    ],
    text_column: OneTextColumn = "text",
    model: Model = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="Task to label [default: topic, or the first task]")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled cases, whose texts are not chosen.")
    ] = None,
    seed: Seed = 0,
    reading: Reading = Reading(),
    quiet: Quiet = False,
) -> None:
    """Choose the cases of a backlog that are worth labelling next.

    Chosen are cases for which two labels are almost equally likely, that differ from one another, and no two of which
    report one incident. OUT has their rows, preceded by the rank, the two likeliest labels and the reason.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[train]'.

    \b
    Examples:
      tawasul select backlog.csv -n 200 -o to_label.csv
      tawasul select backlog.csv -n 200 -o more.csv --model ./my-model --task dept --exclude labelled.csv
    """
    from tawasul_nlp.evaluation import select as choose
    from tawasul_nlp.tables import open_labelled

    options = reading.options()
    check_outputs([backlog, *([exclude] if exclude else [])], model, output=output)
    with interrupts_told(), progress(quiet) as advance:
        chosen = choose(
            model,
            open_labelled(backlog, text_column, options),
            n,
            task=task,
            exclude=exclude,
            seed=seed,
            on_progress=advance,
        )
        chosen.write(output)
    warn_unusable(str(backlog), chosen.unusable)
    if len(chosen.cases) < n:
        complain(f"only {len(chosen.cases)} of {n}: the others are reports of the same incidents", "warning")
    if not quiet:
        console(to_stderr=False).print(chosen)
        typer.echo(f"written: {output}")
