"""The command ``tawasul drift``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import (
    HtmlFile,
    JsonFile,
    LabelColumns,
    OneTextColumn,
    Seed,
    check_outputs,
    label_columns,
    publish,
    warn_unusable,
)
from tawasul_nlp.cli.options import (
    AsJson,
    Model,
    Quiet,
    interrupts_told,
)
from tawasul_nlp.cli.progress import progress
from tawasul_nlp.cli.table_options import Reading


def drift(
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="The earlier cases.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The later cases.")],
    text_column: OneTextColumn = "text",
    labels: LabelColumns = None,
    date_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of dates, to show the periods.")
    ] = None,
    model: Model = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="Permutations of each test.")] = 499,
    seed: Seed = 0,
    output: JsonFile = None,
    html: HtmlFile = None,
    as_json: AsJson = False,
    reading: Reading = Reading(),
    quiet: Quiet = False,
) -> None:
    """Report what changed between two periods of cases, and which changes are more than chance.

    The distribution of labels (predicted, or true with --label-columns), the model's confidence, the vocabulary and the
    embeddings are compared. All tests together raise a false alarm in at most one of twenty comparisons.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[train]'.

    \b
    Examples:
      tawasul drift 2025.csv 2026.csv -t text --date-column opened
      tawasul drift last_month.parquet this_month.parquet --label-columns topic --html drift.html
    """
    from tawasul_nlp.evaluation import drift as measure
    from tawasul_nlp.tables import open_labelled

    wanted = label_columns(labels)
    options = reading.options()
    check_outputs([reference, new], model, output=output, html=html)
    with interrupts_told(), progress(quiet) as advance:
        result = measure(
            open_labelled(reference, text_column, options),
            open_labelled(new, text_column, options),
            model,
            label_columns=wanted,
            date_column=date_column,
            rounds=rounds,
            seed=seed,
            on_progress=advance,
        )
    for path, period in ((reference, result.reference), (new, result.new)):
        warn_unusable(str(path), period.unusable)
    publish(result, as_json=as_json, quiet=quiet, output=output, html=html)
