"""The command ``tawasul compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.labelled_options import Resamples
from tawasul_nlp.cli.options import AsJson
from tawasul_nlp.cli.terminal import console


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="Result of `tawasul evaluate -o`.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="Result of another model on the same rows.")],
    resamples: Resamples = 2000,
    as_json: AsJson = False,
) -> None:
    """Test whether two models differ by more than chance on the same rows.

    Two evaluations are compared row by row, by the paired bootstrap interval of the difference in accuracy and the
    exact McNemar test. Evaluations of different rows are refused.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[train]'.

    \b
    Examples:
      tawasul evaluate held_out.csv -o bundled.json
      tawasul evaluate held_out.csv --model ./my-model -o mine.json
      tawasul compare mine.json bundled.json
    """
    from tawasul_nlp.evaluation import compare as measure

    result = measure(first, second, resamples=resamples)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1))
    else:
        console(to_stderr=False).print(result)
