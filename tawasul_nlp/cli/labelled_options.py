"""Options and output of the commands that read labelled tables."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import argument, check_model_apart, option
from tawasul_nlp.cli.terminal import complain, console, print_json

if TYPE_CHECKING:
    from tawasul_nlp.evaluation import EvaluationResult
    from tawasul_nlp.evaluation.drift_result import DriftResult
    from tawasul_nlp.evaluation.output import JsonResult

Labelled = Annotated[Path, argument("DATA", "Labelled cases: CSV, JSONL, Parquet or Excel (.xlsx).")]
OneTextColumn = Annotated[str, option("COLUMN", "Column of the texts, or a field in one.", "--text-column", "-t")]
TaskColumns = Annotated[
    str | None,
    option(
        "NAMES",
        "Columns of the true labels: topic,agency or topic=category,agency [default: every task of the model "
        "with a column of its name]",
        "--label-columns",
    ),
]
JsonFile = Annotated[Path | None, option("OUT.json", "File for the result as JSON.", "--output", "-o")]
HtmlFile = Annotated[Path | None, option("OUT.html", "File for a page.", "--html")]
Resamples = Annotated[int, option("N", "Bootstrap resamples for the intervals.", min=1)]
Seed = Annotated[int, option("N", "Random seed.")]


def names(value: str | None, option: str) -> list[str]:
    """Return the comma-separated names of an option.

    >>> names("register, governorate", "--slices"), names(None, "--slices")
    (['register', 'governorate'], [])
    """
    columns = [name.strip() for name in (value or "").split(",") if name.strip()]
    if len(set(columns)) < len(columns):
        raise typer.BadParameter(f"names a column twice: {value}", param_hint=option)
    return columns


def label_columns(value: str | None) -> dict[str, str] | None:
    """Return the column of each task; None if the option is not given.

    >>> label_columns("topic=category, agency")
    {'topic': 'category', 'agency': 'agency'}
    """
    if value is None:
        return None
    columns: dict[str, str] = {}
    for item in value.split(","):
        task, _, column = (part.strip() for part in item.partition("="))
        if not task:
            raise typer.BadParameter(f"got {value!r}, expected topic,agency or topic=category,agency")
        if task in columns:
            raise typer.BadParameter(f"names the task {task!r} twice", param_hint="--label-columns")
        columns[task] = column or task
    return columns


def check_outputs(inputs: Sequence[Path], model: str | None, **outputs: Path | None) -> None:
    """Raise early if a result would replace an input."""
    from tawasul_nlp.tables.io.files import check_apart

    check_apart(inputs, {name: path for name, path in outputs.items() if path is not None})
    check_model_apart(model, **outputs)


def warn_unusable(name: str, unusable: Sequence[tuple[int, str]]) -> None:
    """Report on standard error how many rows were left out, and why the first of them were."""
    if unusable:
        reasons = "; ".join(f"row {number}: {reason}" for number, reason in unusable[:3])
        more = ", ..." if len(unusable) > 3 else ""
        rows = "1 row" if len(unusable) == 1 else f"{len(unusable):,} rows"
        complain(f"{rows} of {name} could not be used ({reasons}{more})", "warning")


def publish(
    result: EvaluationResult | DriftResult, *, as_json: bool, quiet: bool, output: Path | None, html: Path | None
) -> None:
    """Write the requested files, with what was typed, to measure it again; then print the result."""
    result = replace(result, command=shlex.join(["tawasul", *sys.argv[1:]]))
    if output is not None:
        result.to_json(output)
    if html is not None:
        result.to_html(html)
    print_result(result, [path for path in (output, html) if path is not None], as_json=as_json, quiet=quiet)


def print_result(
    result: JsonResult,
    written: Sequence[Path | str],
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print a result as JSON, or as tables and what was written."""
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        console().print(result)
        if written:
            typer.echo(f"written: {', '.join(map(str, written))}")
