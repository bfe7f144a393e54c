"""The command ``tawasul calibrate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tawasul_nlp.cli.labelled_options import (
    Labelled,
    OneTextColumn,
    TaskColumns,
    check_outputs,
    label_columns,
    print_result,
    warn_unusable,
)
from tawasul_nlp.cli.options import AsJson, Quiet, argument, named_shares, option, option_groups
from tawasul_nlp.cli.table_options import Reading
from tawasul_nlp.cli.terminal import complain, progress, report_interrupts


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What a calibration is fitted on, and how."""

    text_column: OneTextColumn = "text"
    labels: TaskColumns = None
    group_column: Annotated[
        str | None, option("COLUMN", "Rows with one value are calibrated on, or judged, together.")
    ] = None
    recall: Annotated[
        str | None,
        option(
            "LABEL=SHARE[,...]",
            "Labels that must not be missed, and the share of their cases to be found with a confidence of 90%, such "
            "as emergency=0.8. Those that the model has already are found as often as before.",
            "--least-recall",
        ),
    ] = None

    def least_recall(self) -> dict[str, float]:
        """Return the labels that must not be missed, each with its share.

        >>> FitOptions(recall="emergency=0.9, urgent=0.5").least_recall(), FitOptions().least_recall()
        ({'emergency': 0.9, 'urgent': 0.5}, {})
        """
        expected = "emergency=0.9, or several with commas"
        return {} if self.recall is None else named_shares(self.recall, "--least-recall", expected)


@option_groups
def calibrate(
    model: Annotated[str, argument("MODEL", "Model folder or Hub id, or `bundled`.")],
    data: Labelled,
    fitting: FitOptions,
    reading: Reading,
    output: Annotated[Path, option("FOLDER", "A new folder for the calibrated model.", "--output", "-o")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Calibrate a model on labelled cases, without training it.

    Fitted are the weights of its scorers, its temperatures and its thresholds, on cases that it was not trained on: as
    probabilities and thresholds hold for texts like those that they were fitted to. The model that is written answers
    for any --target-error. Shown is what it changes, each case judged by a calibration on other cases.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[stats]'.

    \b
    Examples:
      tawasul calibrate ./my-model labelled.csv -t text -o ./my-model-calibrated
      tawasul calibrate bundled labelled.csv --label-columns topic=category -o ./calibrated
      tawasul classify backlog.csv -t text --model ./calibrated --target-error 0.03 -o out.csv
    """
    from tawasul_nlp.evaluation.calibration import calibrate as fit
    from tawasul_nlp.tables.labelled import open_labelled

    check_outputs([data], None, output=output)
    with report_interrupts(), progress(quiet) as advance:
        result = fit(
            None if model == "bundled" else model,
            open_labelled(data, fitting.text_column, reading.options()),
            output=output,
            label_columns=label_columns(fitting.labels),
            group_column=fitting.group_column,
            least_recall=fitting.least_recall(),
            on_progress=advance,
        )
    warn_unusable(str(data), result.data.unusable)
    for sentence in result.warnings:
        complain(sentence, "warning")
    print_result(result, [output], as_json=as_json, quiet=quiet)
