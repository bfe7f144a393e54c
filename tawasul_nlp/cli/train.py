"""The commands ``tawasul train`` and ``tawasul update``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tawasul_nlp.cli.options import Quiet, argument, domain_of, flag, option, option_groups
from tawasul_nlp.cli.terminal import console, report_interrupts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tawasul_nlp.domain import Domain
    from tawasul_nlp.training.config import TrainConfig
    from tawasul_nlp.training.dataset import TrainingData
    from tawasul_nlp.training.tables import LabelledData

_LISTED = 20


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Options of how a labelled table is read."""

    text_column: Annotated[str, typer.Option("--text-column", "-t", metavar="COLUMN")] = "text"
    label_columns: Annotated[str, option("A,B", "One task each; task=column names the task otherwise.")] = ""
    group_column: Annotated[str | None, option("COLUMN", "Rows with one value stay on one side of the split.")] = None
    duplicates: Annotated[
        Literal["incidents", "identical"],
        typer.Option(help="Texts of one event (reads every text with the bundled model), or identical texts only."),
    ] = "incidents"
    missing_labels: Annotated[
        list[str] | None,
        option(
            "VALUE", "What a label column holds where there is no label, as in nan; may be repeated.", "--missing-label"
        ),
    ] = None
    leave_out: Annotated[bool, flag("--leave-out", "Train without the rows that have errors.")] = False

    def data(self, source: str) -> LabelledData:
        """Return a table as the library takes it, whose options have the same names."""
        from tawasul_nlp.training.tables import LabelledData

        return LabelledData(source, **{**asdict(self), "missing_labels": self.missing_labels or ()})


@dataclass(frozen=True, slots=True)
class DataOptions(TableOptions):
    """Further options of the table that a model is trained on."""

    multi_label_columns: Annotated[
        str, option("A,B", "As --label-columns, of columns whose cells hold several labels: roads|lighting.")
    ] = ""
    validation: Annotated[str | None, option("FILE", "Cases to validate on [default: a part of CASES]")] = None
    slice_column: Annotated[
        str | None, option("COLUMN", "The card tells how the model fares on each of its values: a dialect.")
    ] = None
    descriptions: Annotated[
        str | None,
        option(
            "FILE", "What labels mean, learned from like cases: a table with label, description (and task), or YAML."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ConfigOptions:
    """Options of the configuration."""

    preset: Annotated[str | None, option("NAME", "One of the package's configurations [default: e5]")] = None
    config: Annotated[Path | None, option("FILE", "A configuration of your own, in YAML.")] = None
    overrides: Annotated[
        list[str] | None, option("KEY=VALUE", "Another setting, as in ngram.C=0.5; may be repeated.", "--set")
    ] = None

    def read(self) -> TrainConfig:
        """Return the configuration that the options name."""
        from tawasul_nlp.training.config import TrainConfig

        if self.preset is not None and self.config is not None:
            raise typer.BadParameter("name a preset or a file, not both", param_hint="--config")
        settings = TrainConfig.load(self.config) if self.config is not None else TrainConfig.preset(self.preset or "e5")
        return settings.overridden(*self.overrides or ())


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of how a run goes."""

    folds: Annotated[
        int, option("N", "Cross-validate: train N times, and measure each row by a model that has not seen it.", min=0)
    ] = 0

    domain: Annotated[Path | None, option("FOLDER", "Pack that the model carries [default: Bahrain's]", "--domain")] = (
        None
    )
    output: Annotated[
        Path | None, option("FOLDER", "Run folder [default: runs/ and CASES' name]", "--output", "-o")
    ] = None
    restart: Annotated[bool, flag("--restart", "Throw away the run in the folder, and train from the beginning.")] = (
        False
    )
    check_only: Annotated[bool, flag("--check-only", "Report what the checks find, count labels, and stop.")] = False
    threads: Annotated[int, option("N", "CPU threads; 0 for all.", min=0)] = 0
    quiet: Quiet = False


@option_groups
def train(
    cases: Annotated[str, argument("CASES", "CSV, JSONL, Parquet or Excel (.xlsx) with labels.")],
    table: DataOptions,
    settings: ConfigOptions,
    run: RunOptions,
) -> None:
    """Train a model on a table with labels of your own.

    The run folder gets checks.json, config.yaml, train.log, history.json, curves.png, metrics.json, evaluation.json,
    label_issues.csv and outliers.csv (rows to look at again), and the finished model with its card in model. The checks
    name every row that cannot be used; errors stop the run, unless --leave-out drops these rows.

    After a kill the same command resumes from the last epoch. A folder with a run of other settings or data is
    refused, and what differs is named; --restart throws that run away.

    With --folds duplicates stay in one fold, and cross_validation.json has the figures over all rows.

    Of --multi-label-columns an empty cell says that the labels are unknown, and a lone | that the text has none.

    A backbone is `bundled` or the folder of another model (labels that it knows keep what they learned), a folder with
    a BERT checkpoint, or an id on the Hub. It needs the extra train.

    \b
    Examples:
      tawasul train cases.csv -t text --label-columns dept,subject --check-only
      tawasul train cases.csv -t text --label-columns dept,subject -o runs/mine
      tawasul train cases.csv -t text --label-columns dept --preset arabert --set epochs=3
      tawasul train cases.csv -t text --label-columns dept --folds 5 -o runs/folds
      tawasul train cases.csv -t text --label-columns dept --multi-label-columns tags -o runs/tags
      tawasul classify backlog.csv -t text --model runs/mine/model -o classified.csv
    """
    prepare_training()
    import torch

    from tawasul_nlp.training.run_folder import discard

    if run.folds and table.validation is not None:
        raise typer.BadParameter("folds are cut of CASES; leave --validation out", param_hint="--folds")
    if run.threads:
        torch.set_num_threads(run.threads)
    folder = run.output or Path("runs") / Path(cases).stem
    config, domain, data = settings.read(), domain_of(run.domain), table.data(cases)
    with report_interrupts(f"the same command resumes in {folder}"), shown_progress(quiet=run.quiet):
        if run.restart and not run.check_only:
            discard(folder)
        parts = _checked(data, config, folder) if run.check_only else _trained(data, config, folder, domain, run.folds)
        for part in parts:
            if not run.quiet:
                console().print(part)


def _checked(data: LabelledData, config: TrainConfig, folder: Path) -> Iterator[object]:
    from tawasul_nlp.training.run import load, refuse_fatal

    checked = load(data, config, folder)
    yield _overview(checked)
    refuse_fatal(checked.findings, folder, leave_out=data.leave_out)


def _trained(
    data: LabelledData, config: TrainConfig, folder: Path, domain: Domain | None, folds: int
) -> Iterator[object]:
    from tawasul_nlp.training.folds import cross_validate
    from tawasul_nlp.training.run import train

    if folds:
        result = cross_validate(data, config, output=folder, folds=folds)
        yield f"{folds} folds, each row by a model that has not seen it:\n"
        yield result
        yield f"figures: {folder / 'cross_validation.json'}"
    else:
        run = train(data, config, output=folder, domain=domain)
        yield "The validation rows, which also chose the epoch and the thresholds:\n"
        yield run.evaluation
        yield f"model: {run.model_folder}"


def _overview(data: TrainingData) -> RenderableType:
    """Return what a table holds: labels, rows, lengths of texts, duplicates."""
    import numpy as np
    from rich.console import Group
    from rich.text import Text

    from tawasul_nlp.evaluation.output import TextTable

    parts: list[RenderableType] = []
    for task, total in data.labelled.items():
        counts = dict(zip(data.labels[task], data.counts[task].tolist(), strict=True))
        labels_a_row = f", {sum(counts.values()) / max(1, total):.2f} labels a row" if task in data.multi_label else ""
        ordered = sorted(counts.items(), key=lambda item: -item[1])
        rows = [[" ".join(label.split()), f"{count:,}", f"{count / total:.1%}"] for label, count in ordered[:_LISTED]]
        if len(ordered) > _LISTED:
            rest = sum(count for _, count in ordered[_LISTED:])
            share = "" if task in data.multi_label else f"{rest / total:.1%}"
            rows.append([f"({len(ordered) - _LISTED} more labels)", f"{rest:,}", share])
        title = f"{task}: {len(counts)} labels{labels_a_row}"
        parts.append(TextTable(["label", "training rows", "share"], rows, title))
    lengths = [len(text) for text in data.train["text"]]
    least, median, most, longest = np.quantile(lengths, (0, 0.5, 0.95, 1), method="nearest").astype(int).tolist()
    duplicates = int((np.bincount(data.groups)[data.groups] > 1).sum())
    parts += [
        Text(f"{len(lengths):,} training rows, {len(data.validation):,} validation rows, {data.left_out:,} left out"),
        Text(f"text length in characters: {least}-{longest}, median {median}, 95% up to {most}"),
        Text(f"duplicates: {duplicates:,} training rows have one"),
    ]
    return Group(*parts)


@dataclass(frozen=True, slots=True)
class UpdateOptions:
    """How a model is updated."""

    overrides: Annotated[
        list[str] | None, option("KEY=VALUE", "A setting, as in epochs=3; may be repeated.", "--set")
    ] = None
    held_out: Annotated[float, option("SHARE", "Of both tables, to compare the two models on.", min=0.05, max=0.5)] = (
        0.2
    )
    encoder_rows: Annotated[
        int | None,
        option(
            "N", "Rows of the replay that the encoder sees; the n-gram scorer learns from all [default: all]", min=1
        ),
    ] = None
    restart: Annotated[bool, flag("--restart", "Throw away the run in the folder.")] = False


@option_groups
def update(
    model: Annotated[str, argument("MODEL", "Model folder, or bundled.")],
    corrections: Annotated[str, argument("CORRECTIONS", "Rows with their right labels.")],
    replay: Annotated[str, option("FILE", "Rows like those that the model learned from, with the same columns.")],
    output: Annotated[Path, option("FOLDER", "Run folder.", "--output", "-o")],
    tables: TableOptions,
    options: UpdateOptions,
    quiet: Quiet = False,
) -> None:
    """Train a model further on corrected rows, and show what got better and worse.

    The corrections are mixed with a replay of what the model learned from, lest it forget; a row of the replay with the
    text of a correction gives way to it. New labels are added. A part of both tables is held out, and the two models
    are compared on it; update.json has what is shown, and the folder model is the new one.

    Without --label-columns the columns have the names of the model's tasks. It needs the extra train.

    \b
    Examples:
      tawasul update runs/mine/model corrections.csv --replay cases.csv -o runs/updated
      tawasul update runs/mine/model corrections.csv --replay cases.csv -o runs/updated --set epochs=4
    """
    prepare_training()
    from tawasul_nlp import ComplaintClassifier
    from tawasul_nlp.training import update as update_model
    from tawasul_nlp.training.update import update_config

    before = ComplaintClassifier.from_pretrained(None if model == "bundled" else model)
    with report_interrupts(f"the same command resumes in {output}"), shown_progress(quiet=quiet):
        result = update_model(
            before,
            corrections,
            tables.data(replay),
            update_config(before).overridden(*options.overrides or ()),
            output=output,
            held_out=options.held_out,
            encoder_rows=options.encoder_rows,
            restart=options.restart,
        )
    if not quiet:
        screen = console()
        screen.print(result)
        screen.print(f"model: {result.run.model_folder}")


def prepare_training() -> None:
    """Require what training needs, and let OpenMP's threads sleep while they wait; before torch is imported.

    By default they spin, which takes the cores from whatever else runs, other threads of the training included.
    """
    from tawasul_nlp.extras import require

    require("train", "training", "torch", "datasets")
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
