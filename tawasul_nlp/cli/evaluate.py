"""The command ``tawasul evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import (
    HtmlFile,
    JsonFile,
    Labelled,
    OneTextColumn,
    Resamples,
    TaskColumns,
    check_outputs,
    label_columns,
    names,
    publish,
    warn_unusable,
)
from tawasul_nlp.cli.options import AsJson, Model, Quiet
from tawasul_nlp.cli.table_options import Reading
from tawasul_nlp.cli.terminal import interrupts_told, progress


def evaluate(
    data: Labelled,
    text_column: OneTextColumn = "text",
    labels: TaskColumns = None,
    model: Model = None,
    slices: Annotated[str | None, typer.Option(metavar="NAMES", help="Columns to show the accuracy by.")] = None,
    group_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Rows with the same value are resampled together: reports of one incident."
        ),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Training rows with the same columns, to fit baselines.")
    ] = None,
    resamples: Resamples = 1000,
    output: JsonFile = None,
    html: HtmlFile = None,
    as_json: AsJson = False,
    reading: Reading = Reading(),
    quiet: Quiet = False,
) -> None:
    """Measure a model on labelled cases.

    Reports for each task, with 95% intervals: accuracy, F1, calibration, and the share of predictions accepted at a
    target error; by text length and by --slices; beside baselines with --train; and the most frequent confusions. For a
    multi-label task it is exact match, micro and macro F1. Its cells hold labels with | between them; a lone | is none.
    `tawasul compare` tests whether two JSON results differ by more than chance.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[train]'.

    \b
    Examples:
      tawasul evaluate held_out.csv -t text
      tawasul evaluate held_out.csv --label-columns topic=category,agency -o mine.json --html mine.html
      tawasul evaluate cases.parquet --model ./my-model --slices channel --group-column incident --train train.csv
    """
    from tawasul_nlp.evaluation import evaluate as measure
    from tawasul_nlp.tables import open_labelled

    options = reading.options()
    check_outputs([data, *([train] if train else [])], model, output=output, html=html)
    with interrupts_told(), progress(quiet) as advance:
        result = measure(
            model,
            open_labelled(data, text_column, options),
            label_columns=label_columns(labels),
            slices=names(slices, "--slices"),
            group_column=group_column,
            train=None if train is None else open_labelled(train, text_column, options),
            resamples=resamples,
            on_progress=advance,
        )
    warn_unusable(str(data), result.data.unusable)
    publish(result, as_json=as_json, quiet=quiet, output=output, html=html)
