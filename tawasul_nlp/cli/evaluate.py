"""The commands that measure models and tables: evaluate, compare, drift."""

from __future__ import annotations

from dataclasses import dataclass
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
    print_result,
    publish,
    warn_unusable,
)
from tawasul_nlp.cli.options import AsJson, DomainFolder, Model, Quiet, argument, domain_of, option, option_groups
from tawasul_nlp.cli.table_options import AddedPrefix, Reading
from tawasul_nlp.cli.terminal import progress, report_interrupts


@dataclass(frozen=True, slots=True)
class LabelledOptions:
    """Labelled cases, and the columns that hold their texts and labels."""

    data: Labelled
    text_column: OneTextColumn = "text"
    labels: TaskColumns = None


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What is measured of a model, and beside what."""

    slices: Annotated[str | None, option("NAMES", "Columns to show the accuracy by.")] = None
    group_column: Annotated[
        str | None, option("COLUMN", "Rows with the same value are resampled together: reports of one incident.")
    ] = None
    train: Annotated[Path | None, option("FILE", "Training rows with the same columns, to fit baselines.")] = None
    resamples: Resamples = 1000


@dataclass(frozen=True, slots=True)
class ResultOptions:
    """Where an evaluation goes."""

    output: JsonFile = None
    html: HtmlFile = None
    as_json: AsJson = False


@option_groups
def evaluate(
    *,
    cases: LabelledOptions,
    model: Model = None,
    measures: MeasureOptions,
    outputs: ResultOptions,
    reading: Reading,
    quiet: Quiet = False,
) -> None:
    """Measure a model on labelled cases.

    Reports for each task, with 95% intervals: accuracy, F1, calibration, and the share of predictions accepted at a
    target error; by text length and by --slices; beside baselines with --train; and the most frequent confusions. For a
    multi-label task it is exact match, micro and macro F1. Its cells hold labels with | between them; a lone | is none.
    `tawasul compare` tests whether two JSON results differ by more than chance.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[stats]'.

    \b
    Examples:
      tawasul evaluate held_out.csv -t text
      tawasul evaluate held_out.csv --label-columns topic=category,agency -o mine.json --html mine.html
      tawasul evaluate cases.parquet --model ./my-model --slices channel --group-column incident --train train.csv
    """
    from tawasul_nlp.evaluation import evaluate as measure
    from tawasul_nlp.tables.labelled import open_labelled

    data, train, options = cases.data, measures.train, reading.options()
    check_outputs([data, *([train] if train else [])], model, output=outputs.output, html=outputs.html)
    with report_interrupts(), progress(quiet) as advance:
        result = measure(
            model,
            open_labelled(data, cases.text_column, options),
            label_columns=label_columns(cases.labels),
            slices=names(measures.slices, "--slices"),
            group_column=measures.group_column,
            train=None if train is None else open_labelled(train, cases.text_column, options),
            resamples=measures.resamples,
            on_progress=advance,
        )
    warn_unusable(str(data), result.data.unusable)
    publish(result, as_json=outputs.as_json, quiet=quiet, output=outputs.output, html=outputs.html)


def compare(
    first: Annotated[Path, argument("A.json", "Result of `tawasul evaluate -o`.")],
    second: Annotated[Path, argument("B.json", "Result of another model on the same rows.")],
    resamples: Resamples = 2000,
    as_json: AsJson = False,
) -> None:
    """Test whether two models differ by more than chance on the same rows.

    Two evaluations are compared row by row, by the paired bootstrap interval of the difference in accuracy and the
    exact McNemar test. Evaluations of different rows are refused.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[stats]'.

    \b
    Examples:
      tawasul evaluate held_out.csv -o bundled.json
      tawasul evaluate held_out.csv --model ./my-model -o mine.json
      tawasul compare mine.json bundled.json
    """
    from tawasul_nlp.evaluation import compare as test_difference

    result = test_difference(first, second, resamples=resamples)
    print_result(result, [], as_json=as_json, quiet=False)


@dataclass(frozen=True, slots=True)
class Periods:
    """The cases of two periods: two tables, or one and the day that divides it."""

    reference: Annotated[Path, argument("REFERENCE", "The earlier cases, or all of them.")]
    new: Annotated[Path | None, argument("[NEW]", "The later cases.", show_default=False)] = None
    since: Annotated[str | None, option("DATE", "In place of NEW: the day that divides REFERENCE.")] = None

    def tables(self) -> list[Path]:
        """Return the one or two tables."""
        if (self.new is None) == (self.since is None):
            raise typer.BadParameter(
                "give either the later cases, NEW, or the day that divides one table, --since DATE"
            )
        return [self.reference] if self.new is None else [self.reference, self.new]


@dataclass(frozen=True, slots=True)
class DriftColumns:
    """The columns that are compared."""

    text_column: OneTextColumn = "text"
    date_column: Annotated[str | None, option("COLUMN", "Column of dates [default: the first that holds dates]")] = None
    prefix: AddedPrefix = None


@option_groups
def drift(
    *,
    periods: Periods,
    output: Annotated[
        Path | None, option("OUT", "Page to write, OUT.html, or the result as OUT.json.", "--output", "-o")
    ] = None,
    columns: DriftColumns,
    domain: DomainFolder = None,
    as_json: AsJson = False,
    reading: Reading,
    quiet: Quiet = False,
) -> None:
    """Say what changed between two periods of cases, and which changes are more than chance explains.

    Compared are topics, agencies, kinds, places, urgency, the share of cases for review, and the words of tables that
    `tawasul classify` wrote. Where nothing changed, all tests together raise a false alarm in at most one of twenty
    comparisons.

    OUT.html is one page in Arabic and in English, without personal data, that needs no network.

    Needs scikit-learn and scipy: pip install 'tawasul-nlp[stats]'.

    \b
    Examples:
      tawasul drift march.parquet april.parquet -o drift.html
      tawasul drift classified.csv --since 2026-04-01 -o drift.html
      tawasul drift classified-2025.csv classified-2026.csv --json
    """
    from tawasul_nlp.evaluation.periods import drift as find_changes
    from tawasul_nlp.tables.labelled import open_labelled

    tables = periods.tables()
    if output is not None and output.suffix not in (".html", ".json"):
        raise typer.BadParameter(f"got {output.name}, expected a name that ends in .html or .json", param_hint="-o")
    check_outputs(tables, None, output=output)
    options = reading.options()
    reference, *others = (open_labelled(table, columns.text_column, options) for table in tables)
    with report_interrupts(), progress(quiet) as advance:
        result = find_changes(
            reference,
            others[0] if others else None,
            since=periods.since,
            date_column=columns.date_column,
            date_order=options.date_order,
            prefix=columns.prefix,
            domain=domain_of(domain),
            on_progress=advance,
        )
    for table, facts in zip(tables, result.tables, strict=True):
        warn_unusable(str(table), facts.unusable)
    page = output is not None and output.suffix == ".html"
    publish(result, as_json=as_json, quiet=quiet, output=None if page else output, html=output if page else None)
