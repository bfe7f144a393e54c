"""The command ``tawasul train``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import Quiet, domain_of
from tawasul_nlp.cli.terminal import console, interrupts_told

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tawasul_nlp.domain import Domain
    from tawasul_nlp.evaluation import EvaluationResult
    from tawasul_nlp.training.config import TrainConfig
    from tawasul_nlp.training.dataset import LabelledData
    from tawasul_nlp.training.search import Space


class Duplicates(StrEnum):
    """What counts as a duplicate."""

    incidents = "incidents"
    identical = "identical"


def train(
    cases: Annotated[str, typer.Argument(metavar="CASES", help="CSV, JSONL, Parquet or Excel (.xlsx) with labels.")],
    label_columns: Annotated[
        str, typer.Option(metavar="A,B", help="One task each; task=column names the task otherwise.")
    ] = "",
    multi_label_columns: Annotated[
        str,
        typer.Option(metavar="A,B", help="The same, of columns whose cells hold several labels: roads|lighting."),
    ] = "",
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
    descriptions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What labels mean, learned from like cases: a table with label, description (and task), or YAML.",
        ),
    ] = None,
    domain: Annotated[
        Path | None,
        typer.Option("--domain", metavar="FOLDER", help="Pack that the model carries [default: Bahrain's]"),
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
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away the run in the folder, and train from the beginning.")
    ] = False,
    folds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Cross-validate: train N times, and measure each row by a model that has not seen it.",
        ),
    ] = 0,
    keep_folds: Annotated[bool, typer.Option("--keep-folds", help="Keep the model of each fold.")] = False,
    final_model: Annotated[
        bool, typer.Option("--final-model", help="After the folds, also train a model as without them.")
    ] = False,
    search: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Train N times with other settings, and keep the best on the validation cases."
        ),
    ] = 0,
    search_space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ranges of the settings that are searched, in YAML [default: see docs]"),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0.05, max=0.5, help="Of CASES, to measure what a search chose; it sees none of it."
        ),
    ] = 0.2,
    check_only: Annotated[
        bool,
        typer.Option("--check-only", help="Report what the checks find, count labels, and stop."),
    ] = False,
    threads: Annotated[int, typer.Option(metavar="N", min=0, help="CPU threads; 0 for all.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model on a table with labels of your own.

    The run folder gets checks.json, config.yaml, train.log, history.json, curves.png, metrics.json, evaluation.json,
    label_issues.csv and outliers.csv (rows to look at again), and the finished model with its card in model. The checks
    name every row that cannot be used; errors stop the run, unless --leave-out drops these rows.

    After a kill the same command resumes from the last epoch. A folder with a run of other settings or data is
    refused, and what differs is named; --restart throws that run away.

    With --folds duplicates stay in one fold, and cross_validation.json has the figures over all rows.

    With --search the folder gets trials.csv, the best settings in best.yaml, which --config takes, and the best model;
    its figures are those on held-out rows. Trials that lag behind are stopped early.

    Of --multi-label-columns an empty cell says that the labels are unknown, and a lone | that the text has none.

    A backbone is `bundled` or the folder of another model (labels that it knows keep what they learned), a folder with
    a BERT checkpoint, or an id on the Hub. It needs the extra train.

    \b
    Examples:
      tawasul train cases.csv -t text --label-columns dept,subject --check-only
      tawasul train cases.csv -t text --label-columns dept,subject -o runs/mine
      tawasul train cases.csv -t text --label-columns dept --preset arabert --set epochs=3
      tawasul train cases.csv -t text --label-columns dept --incident-column case_id
      tawasul train cases.csv -t text --label-columns dept --folds 5 -o runs/folds
      tawasul train cases.csv -t text --label-columns dept --search 20 -o runs/search
      tawasul train cases.csv -t text --label-columns dept --multi-label-columns tags -o runs/tags
      tawasul classify backlog.csv -t text --model runs/mine/model -o classified.csv
    """
    from tawasul_nlp.extras import require

    require("train", "training", "torch", "datasets")
    threads_sleep()
    import torch

    from tawasul_nlp.training.dataset import LabelledData
    from tawasul_nlp.training.run_folder import discard
    from tawasul_nlp.training.search import load_space

    _check_together(validation, slice_column, search_space, folds, search, keep_folds, final_model)
    if threads:
        torch.set_num_threads(threads)
    folder = output or Path("runs") / Path(cases).stem
    settings = _settings(preset, config, overrides or [])
    pack = domain_of(domain)
    data = LabelledData(
        cases,
        text_column=text_column,
        label_columns=label_columns,
        multi_label_columns=multi_label_columns,
        validation=validation,
        incident_column=incident_column,
        group_column=group_column,
        slice_column=slice_column,
        descriptions=descriptions,
        duplicates=duplicates.value,
        missing_labels=missing_labels or (),
        leave_out=leave_out,
    )
    with interrupts_told(f"the same command resumes in {folder}"), shown_progress(quiet=quiet):
        if check_only:
            shown = _checked(data, settings, folder)
        else:
            if restart:
                discard(folder)
            if search:
                space = load_space(search_space) if search_space is not None else None
                shown = _searched(data, settings, folder, pack, trials=search, space=space, held_out=held_out)
            else:
                shown = _trained(data, settings, folder, pack, folds=folds, keep=keep_folds, final=final_model)
        for part in shown:
            if not quiet:
                console(to_stderr=False).print(part)


def _checked(data: LabelledData, config: TrainConfig, folder: Path) -> Iterator[object]:
    from tawasul_nlp.training.overview import overview
    from tawasul_nlp.training.run import load, refuse_fatal

    read = load(data, config, folder)
    yield overview(read)
    refuse_fatal(read.findings, folder, leave_out=data.leave_out)


def _searched(
    data: LabelledData,
    config: TrainConfig,
    folder: Path,
    domain: Domain | None,
    *,
    trials: int,
    space: Space | None,
    held_out: float,
) -> Iterator[object]:
    from tawasul_nlp.training.search import search

    result = search(data, config, output=folder, trials=trials, space=space, held_out=held_out, domain=domain)
    yield result
    yield _figures(result.evaluation, "held-out rows, which no trial has seen")
    yield f"settings: {folder / 'best.yaml'}\nmodel: {result.model_folder}"


def _trained(
    data: LabelledData, config: TrainConfig, folder: Path, domain: Domain | None, *, folds: int, keep: bool, final: bool
) -> Iterator[object]:
    from tawasul_nlp.training.folds import cross_validate
    from tawasul_nlp.training.run import train

    if folds:
        result = cross_validate(data, config, output=folder, folds=folds, keep_models=keep)
        yield _figures(result, f"{folds} folds, each row by a model that has not seen it")
        yield f"figures: {folder / 'cross_validation.json'}"
    if not folds or final:
        run = train(data, config, output=folder, domain=domain)
        assert run.evaluation is not None
        yield _figures(run.evaluation, "the validation rows, which also chose the epoch and the thresholds")
        yield f"model: {run.model_folder}"


def _check_together(
    validation: str | None,
    slice_column: str | None,
    search_space: Path | None,
    folds: int,
    search: int,
    keep_folds: bool,
    final_model: bool,
) -> None:
    """Refuse options that have no effect together."""
    if folds and validation is not None:
        raise typer.BadParameter("folds are cut of CASES; leave --validation out", param_hint="--folds")
    if search and (folds or slice_column):
        unfit = "--folds" if folds else "--slice-column"
        raise typer.BadParameter(f"cannot be combined with {unfit}", param_hint="--search")
    if search_space is not None and not search:
        raise typer.BadParameter("needs --search", param_hint="--search-space")
    if (keep_folds or final_model) and not folds:
        raise typer.BadParameter("needs --folds", param_hint="--keep-folds" if keep_folds else "--final-model")


def _settings(preset: str | None, config: Path | None, overrides: Sequence[str]) -> TrainConfig:
    """Return the configuration that the options name."""
    from tawasul_nlp.training.config import TrainConfig

    if preset is not None and config is not None:
        raise typer.BadParameter("name a preset or a file, not both", param_hint="--config")
    settings = TrainConfig.load(config) if config is not None else TrainConfig.preset(preset or "e5")
    for override in overrides:
        settings = settings.overridden(override)
    return settings


def _figures(result: EvaluationResult, rows: str) -> RenderableType:
    """Return accuracy and macro F1 of the model and the baselines, and exact match and F1 of multi-label tasks."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from tawasul_nlp.evaluation.output import per_cent, signed

    def empty(*headings: str) -> Table:
        figures = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("task", "by"):
            figures.add_column(heading, no_wrap=True)
        for heading in ("texts", *headings):
            figures.add_column(heading, justify="right", no_wrap=True)
        return figures

    table = empty("accuracy", "macro F1", "model's gain, points")
    for task, part in result.tasks.items():
        own = part.metrics
        table.add_row(Text(task), "model", f"{part.n:,}", per_cent(own.accuracy), per_cent(own.macro_f1), "")
        for name, each in part.baselines.items():
            figures = per_cent(each.metrics.accuracy), per_cent(each.metrics.macro_f1), signed(each.gain_in_points)
            table.add_row("", name, "", *figures)
    sets = empty("exact match", "micro F1", "macro F1", "gain in micro F1")
    for task, found in result.label_sets.items():
        systems = {"model": found.metrics, **{name: each.metrics for name, each in found.baselines.items()}}
        for at, (name, metrics) in enumerate(systems.items()):
            figures = per_cent(metrics.exact_match), per_cent(metrics.micro_f1), per_cent(metrics.macro_f1)
            gain = signed(found.baselines[name].gain_in_points) if at else ""
            sets.add_row(Text("" if at else task), name, "" if at else f"{found.n:,}", *figures, gain)
    shown = [each for each in (table, sets) if each.row_count]
    return Group(Text(f"Per cent with 95% intervals on {rows}"), *shown)


def threads_sleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the environment says otherwise; before torch is imported.

    By default they spin, which takes the cores from whatever else runs, other threads of the training included.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[None]:
    """Show what the training tells on standard error, and not what the libraries below it tell of themselves."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
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
