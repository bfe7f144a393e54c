"""The command ``tawasul update``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tawasul_nlp.cli.options import Quiet, argument, flag, option, option_groups
from tawasul_nlp.cli.terminal import console, report_interrupts
from tawasul_nlp.cli.train import Duplicates, GroupColumn, LeaveOut, TextColumn, prepare_training, shown_progress

if TYPE_CHECKING:
    from tawasul_nlp.training import LabelledData


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How the tables of an update are read."""

    text_column: TextColumn = "text"
    label_columns: Annotated[
        str | None, option("A,B", "As for train [default: columns of the names of the model's tasks]")
    ] = None
    group_column: GroupColumn = None
    incident_column: Annotated[str | None, option("COLUMN", "Rows with one value describe one incident.")] = None
    duplicates: Annotated[Duplicates, typer.Option(help="As for train.")] = Duplicates.incidents
    missing_labels: Annotated[list[str] | None, option("VALUE", "As for train.", "--missing-label")] = None
    leave_out: LeaveOut = False

    def data(self, replay: str) -> LabelledData:
        """Return the replay as the library takes it."""
        from tawasul_nlp.training import LabelledData

        return LabelledData(
            replay,
            text_column=self.text_column,
            label_columns=self.label_columns or (),
            group_column=self.group_column,
            incident_column=self.incident_column,
            duplicates=self.duplicates.value,
            missing_labels=self.missing_labels or (),
            leave_out=self.leave_out,
        )


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
    tables: ReplayOptions,
    options: UpdateOptions,
    quiet: Quiet = False,
) -> None:
    """Train a model further on corrected rows, and show what got better and worse.

    The corrections are mixed with a replay of what the model learned from, lest it forget; a row of the replay with the
    text of a correction gives way to it. New labels are added. A part of both tables is held out, and the two models
    are compared on it; update.json has what is shown, and the folder model is the new one.

    Without --incident-column the new model does not group duplicates. It needs the extra train.

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
        screen = console(to_stderr=False)
        screen.print(result)
        screen.print(f"model: {result.run.model_folder}")
