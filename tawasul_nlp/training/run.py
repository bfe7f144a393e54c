"""Train a model on a table of one's own, from the rows to a model folder with a card.

Everything lies in the run folder. A finished step is not done again, and a killed one starts from its last checkpoint,
when the same run is started again. The finished model lies in ``model``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation import EvaluationResult
from tawasul_nlp.evaluation.evaluator import evaluate_probabilities, predict_all
from tawasul_nlp.evaluation.output import per_cent, rendered
from tawasul_nlp.evaluation.result import markdown
from tawasul_nlp.model.folder import CARD, read_config
from tawasul_nlp.tables.labelled import LabelledTable
from tawasul_nlp.training.checks import refuse_branches
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData, digest, made_of, read_data, read_whole, truth_of
from tawasul_nlp.training.fine_tuning import fine_tune
from tawasul_nlp.training.ngram_fitting import write_label_issues, write_outliers
from tawasul_nlp.training.package import build_folder
from tawasul_nlp.training.run_folder import check_run_config, discard, logged, tell, write_checks, write_json
from tawasul_nlp.training.splitting import WholeTable
from tawasul_nlp.training.tables import Finding, LabelledData, label_column

_MOST_NAMES = 20
_RARE = 20
_GROUP = "duplicates"


@dataclass(frozen=True, kw_only=True)
class TrainRun:
    """A finished training."""

    # The run folder; the model lies in ``model`` of it.
    folder: Path
    config: TrainConfig
    # Figures with intervals on the validation rows, beside baselines that were fitted on the training rows.
    evaluation: EvaluationResult = field(repr=False)
    # What was measured: ``validation`` by task, ``parity`` of the exported graph, and how many labels are suspicious.
    metrics: dict[str, Any] = field(repr=False)
    # What the checks of the data found.
    findings: tuple[Finding, ...] = field(repr=False)

    @property
    def model_folder(self) -> Path:
        """The folder that :meth:`ComplaintClassifier.from_pretrained` reads."""
        return self.folder / "model"

    @cached_property
    def model(self) -> ComplaintClassifier:
        """The trained model."""
        return ComplaintClassifier.from_pretrained(self.model_folder)


def train(
    data: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    restart: bool = False,
    domain: Domain | None = None,
) -> TrainRun:
    """Train a model on a labelled table.

    Parameters
    ----------
    data : LabelledData
    config : TrainConfig or None
        None for the preset ``e5``.
    output : str or Path
        The run folder. A run that was killed resumes when it is started again in the same folder.
    restart : bool
        Whether to throw away the run that ``output`` holds.
    domain : Domain or None
        The pack that the model folder carries, so that whoever loads the model routes by it; None is Bahrain's.

    Raises
    ------
    ValueError
        If the table cannot be trained on, or ``output`` holds a run of other settings or data; the message says what
        differs.
    BackboneError
        If the encoder to start from is unavailable.

    Notes
    -----
    From a table to a model that answers::

        data = LabelledData("cases.csv", label_columns=["dept"])
        run = train(data, TrainConfig.preset("e5", epochs=5), output="runs/mine")
        run.model.predict("حفرة كبيرة في شارع البديع").labels["dept"].id
        run.model.save_pretrained("mine")
    """
    config = config or TrainConfig.preset("e5")
    output = Path(output)
    if restart:
        discard(output)
    read = load(data, config, output)
    refuse_fatal(read.findings, output, leave_out=data.leave_out)
    return fit(read, config, output, domain=domain)


def load(data: LabelledData, config: TrainConfig, output: Path) -> TrainingData:
    """Read and check what :func:`train` trains on, and write ``checks.json`` into the run folder."""
    with logged(output):
        check_task_weights(config, data.tasks)
        read = read_data(data, config, output / "cache")
        for finding in read.findings:
            tell(str(finding))
        train, validation = len(read.train), len(read.validation)
        tell(f"{train:,} training rows, {validation:,} validation rows, {read.left_out:,} rows left out")
        write_checks(output, read.findings)
    return read


def load_whole(data: LabelledData, config: TrainConfig, output: Path, corrections: Any = None) -> WholeTable:
    """Read and check a table that is yet to be divided; ValueError if rows of it cannot be used."""
    check_task_weights(config, data.tasks)
    whole = read_whole(data, output / "cache", corrections)
    write_checks(output, whole.findings)
    refuse_fatal(whole.findings, output, leave_out=data.leave_out)
    return whole


def refuse_fatal(findings: Iterable[Finding], output: Path, *, leave_out: bool) -> None:
    """Raise ValueError if training must not start; ``leave_out`` accepts errors of single rows."""
    fatal = [finding for finding in findings if finding.fatal and not (leave_out and finding.rows)]
    if fatal:
        raise ValueError(
            f"{len(fatal)} kinds of errors in the data, as in {fatal[0]} ({output / 'checks.json'} has every row); "
            "mend them, or leave these rows out (leave_out=True, --leave-out)"
        )


def fit(
    data: TrainingData,
    config: TrainConfig,
    output: str | Path,
    *,
    domain: Domain | None = None,
    baselines: bool = True,
) -> TrainRun:
    """Train on a data set that is read and checked, in the run folder ``output``.

    Parameters
    ----------
    data : TrainingData
    config : TrainConfig
    output : str or Path
    domain : Domain or None
        The pack that the model folder carries; None is Bahrain's.
    baselines : bool
        Whether the evaluation has baselines, which are fitted on the training rows.

    Raises
    ------
    ValueError
        If a setting does nothing with this data, or the folder holds a run of other settings or data.
    BackboneError
        If the encoder that the configuration starts from is unavailable.
    """
    output = Path(output)
    with logged(output):
        check_run(data, config, output, domain)
        network = fine_tune(data, config, output)
        parity = build_folder(network, data, config, output, domain=domain)
        run = measured(data, config, output, parity, baselines)
        write_card(run, data)
        return run


def check_run(data: TrainingData, config: TrainConfig, output: Path, domain: Domain | None = None, **more: Any) -> None:
    """Check the settings, and that the run folder holds no other run; write what this one is made of, and ``more``."""
    check_settings(config, data)
    refuse_branches(data.labels, domain or Domain.bundled())
    sides = {"train": data.train, "validation": data.validation, "descriptions": data.descriptions}
    made_of_rows = made_of(
        config,
        data.files,
        data.reading,
        domain,
        labels=data.labels,
        train=len(data.train),
        validation=len(data.validation),
        texts={side: digest(rows, data.labels) for side, rows in sides.items() if rows is not None},
        before=None if data.before is None else read_config(data.before).model_hash,
        **more,
    )
    check_run_config(output, made_of_rows, config)


def measured(
    data: TrainingData, config: TrainConfig, output: Path, parity: dict[str, Any], baselines: bool
) -> TrainRun:
    """Measure the finished model on the validation rows, and write what came of it."""
    model = ComplaintClassifier.from_pretrained(output / "model")
    tell("figures with intervals, and baselines on the same rows" if baselines else "figures with intervals")
    evaluation = evaluate_rows(
        model,
        data.validation,
        train=data.train if baselines else None,
        slice_column=data.reading.get("columns", {}).get("slice"),
    )
    evaluation.to_json(output / "evaluation.json")
    metrics = {
        "validation": {
            task: {
                "texts": part.n,
                **{name: each.value for name, each in part.metrics.items()},
                "calibration_error": part.metrics["ece"].value,
            }
            for task, part in evaluation.tasks.items()
        },
        "parity": parity,
        **(_label_issues(data, model, output) if config.label_issues else {}),
    }
    write_json(output / "metrics.json", metrics)
    return TrainRun(folder=output, config=config, evaluation=evaluation, metrics=metrics, findings=data.findings)


def evaluate_rows(
    model: ComplaintClassifier,
    rows: Dataset,
    *,
    groups: np.ndarray | None = None,
    train: Dataset | None = None,
    slice_column: str | None = None,
) -> EvaluationResult:
    """Measure a model on rows that were read, each task in a column of its name.

    Parameters
    ----------
    groups : ndarray of int, shape (n_rows,), optional
        Rows of one group are drawn together in the bootstrap.
    train : Dataset, optional
        Rows on which baselines are fitted.
    slice_column : str, optional
        What the column is called by whose values the accuracy is shown.
    """
    tasks = {task: task for task in model.labels if any(rows[label_column(task)])}

    def table(name: str, rows: Dataset) -> LabelledTable:
        columns = {task: list(rows[label_column(task)]) for task in tasks}
        return LabelledTable(name, None, list(rows["text"]), list(range(1, len(rows) + 1)), columns)

    measured = table("the validation rows", rows)
    if slice_column is not None:
        measured.columns.setdefault(slice_column, list(rows["slice"]))
    if groups is not None:
        measured.columns[_GROUP] = list(map(str, groups))
    return evaluate_probabilities(
        model,
        measured,
        tasks,
        predict_all(model, measured.texts, list(tasks)),
        slices=[] if slice_column is None else [slice_column],
        group_column=None if groups is None else _GROUP,
        train=None if train is None else table("the training rows", train),
    )


def write_card(run: TrainRun, data: TrainingData) -> None:
    """Write ``README.md`` into the model folder of a run, as ``card.md`` has it."""
    card = rendered(
        Path(__file__).with_name("card.md"),
        {"per_cent": per_cent, "file_name": lambda path: Path(path).name},
        data=data,
        config=run.config,
        metrics={"label_issues": {}, **run.metrics},
        figures=markdown(run.evaluation),
        before=None if data.before is None else read_config(data.before).model_hash,
        least=_RARE,
        rare=sum(int((counts < _RARE).sum()) for counts in data.counts.values()),
    )
    (run.model_folder / CARD).write_text(card, encoding="utf-8")


def _label_issues(data: TrainingData, model: ComplaintClassifier, output: Path) -> dict[str, Any]:
    """List suspicious labels and outliers among the training rows; return how many."""
    texts = list(data.train["text"])
    places = list(zip(data.train["file"], data.train["row"], strict=True))
    truth = truth_of(data.train, data.labels, data.multi_label)
    label_issues = write_label_issues(output / "label_issues.csv", places, texts, data.groups, truth, data.labels)
    embeddings = model.encode(texts)
    return {
        "label_issues": label_issues,
        "outliers": write_outliers(output / "outliers.csv", places, texts, embeddings),
    }


def check_task_weights(config: TrainConfig, tasks: Collection[str]) -> None:
    """Raise ValueError if a weight is given to something that is not a task."""
    _check_names("task_weights", config.task_weights, tasks, "the tasks")


def check_settings(config: TrainConfig, data: TrainingData) -> None:
    """Raise ValueError if a setting would do nothing with this data."""
    check_task_weights(config, data.labels)
    if isinstance(config.class_weights, dict):
        labels = sorted({label for names in data.labels.values() for label in names})
        _check_names("class_weights", config.class_weights, labels, "the labels")
    alone = [label for task, names in data.labels.items() if task not in data.multi_label for label in names]
    _check_names("least_recall", config.least_recall, alone, "the labels of tasks of one label")
    if data.before is not None and config.least_recall:
        raise ValueError(
            "least_recall is of a calibration, and an update keeps that of the model before; leave it out, "
            "and calibrate the updated model on rows that it has not learned (tawasul calibrate)"
        )


def _check_names(setting: str, names: Iterable[str], names_allowed: Collection[str], what: str) -> None:
    unknown = [name for name in names if name not in names_allowed]
    if unknown:
        listed = ", ".join([*list(names_allowed)[:_MOST_NAMES], *(["..."] if len(names_allowed) > _MOST_NAMES else [])])
        raise ValueError(f"{setting} has {', '.join(map(repr, unknown))}, expected some of {what}: {listed}")
