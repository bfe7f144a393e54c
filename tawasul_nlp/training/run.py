"""Train a model on a table of one's own, from the rows to a model folder with a card.

Everything lies in the run folder. A finished step is not done again, and a killed one starts from its last checkpoint,
when the same run is started again. The finished model lies in ``model``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import Dataset, concatenate_datasets

from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation import EvaluationResult
from tawasul_nlp.evaluation.evaluator import evaluate_probabilities
from tawasul_nlp.model.folder import TaskConfig
from tawasul_nlp.model.scorers import ModelOutput
from tawasul_nlp.tables.labelled import LabelledTable
from tawasul_nlp.training.card import write_card
from tawasul_nlp.training.checks import Finding, refuse_branches
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import LabelledData, TrainingData, WholeTable, read_data, truth_of
from tawasul_nlp.training.fine_tuning import fine_tune
from tawasul_nlp.training.issue_fitting import fit_issues
from tawasul_nlp.training.label_issues import write_label_issues, write_outliers
from tawasul_nlp.training.losses import class_weights
from tawasul_nlp.training.measure import measure
from tawasul_nlp.training.ngram_fitting import fit_ngram
from tawasul_nlp.training.package import build_folder, untuned_tasks
from tawasul_nlp.training.pairs import fit_scorer, install
from tawasul_nlp.training.parity import parity
from tawasul_nlp.training.progress import logged, tell
from tawasul_nlp.training.run_folder import check_run_config, discard, made_of, write_checks, write_json
from tawasul_nlp.training.setting_checks import check_settings, check_task_weights
from tawasul_nlp.training.tables import label_column
from tawasul_nlp.training.trainer import OnEpoch


@dataclass(frozen=True)
class TrainRun:
    """A finished training.

    Attributes
    ----------
    folder : Path
        The run folder; the model lies in ``model`` of it.
    config : TrainConfig
        What it was trained by.
    metrics : dict
        What was measured: ``data``, ``validation`` by task, ``parity`` of the exported graphs.
    findings : tuple of Finding
        What the checks of the data found.
    evaluation : EvaluationResult or None
        Figures with intervals on the validation rows, beside baselines that were fitted on the training rows.
    """

    folder: Path
    config: TrainConfig
    metrics: dict[str, Any] = field(repr=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False)
    evaluation: EvaluationResult | None = field(default=None, repr=False)

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
    refuse_branches(read.labels, domain or Domain.bundled())
    return fit(read, config, output, domain=domain)


def load(data: LabelledData, config: TrainConfig, output: Path) -> TrainingData:
    """Read and check what :func:`train` trains on, and write ``checks.json`` into the run folder."""
    with logged(output):
        check_task_weights(config, data.columns.labels)
        read = read_data(data, config, output / "cache")
        for finding in read.findings:
            tell(str(finding))
        tell(f"{read.rows:,} training rows, {len(read.validation):,} validation rows, {read.left_out:,} rows left out")
        write_checks(output, read.findings)
    return read


def load_whole(data: LabelledData, config: TrainConfig, output: Path, corrections: Any = None) -> WholeTable:
    """Read and check a table that is yet to be divided; ValueError if rows of it cannot be used."""
    check_task_weights(config, data.columns.labels)
    whole = data.read(output / "cache", corrections)
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
    about: Mapping[str, str] | None = None,
    domain: Domain | None = None,
    baselines: bool = True,
) -> TrainRun:
    """Train on a data set that is read and checked, in the run folder ``output``.

    Parameters
    ----------
    data : TrainingData
    config : TrainConfig
    output : str or Path
    about : mapping of str to str, optional
        What the model tells of its ``base`` and its ``data``, where this is not what the configuration says.
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
        config, metrics, model, validated = fit_model(data, config, output, about=about, domain=domain)
        tell("figures with intervals, and baselines on the same rows" if baselines else "figures with intervals")
        evaluation = evaluate_probabilities(
            model,
            _labelled_table("the validation rows", data.validation, data.labels),
            {task: task for task in data.labels},
            validated.probabilities,
            train=_labelled_table("the training rows", data.train, data.labels) if baselines else None,
        )
        evaluation.to_json(output / "evaluation.json")
        return TrainRun(output, config, metrics, data.findings, evaluation)


def fit_model(
    data: TrainingData,
    config: TrainConfig,
    output: Path,
    *,
    about: Mapping[str, str] | None = None,
    domain: Domain | None = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[TrainConfig, dict[str, Any], ComplaintClassifier, ModelOutput]:
    """Train as :func:`fit` does, without the figures beside baselines.

    ``on_epoch`` gets the curve of the first stage; what it raises ends the training. Returned are the configuration
    that was trained by, what was measured, the model, and what it makes of the validation texts.
    """
    if data.incidents is not None:
        config = config.with_incident_stage()
    check_settings(config, data)
    output.mkdir(parents=True, exist_ok=True)
    own = {} if domain is None else {"domain": domain.fingerprint}
    run = check_run_config(output, made_of(config, data) | own, config)
    network, _ = fine_tune(data, config, output, on_epoch)
    tasks = untuned_tasks(data, config.ngram is not None)
    texts, truth = list(data.validation["text"]), truth_of(data.validation, data.labels, data.multi_label)
    folder = output / "model"
    tokens = config.inference_max_tokens or config.max_tokens
    build_folder(
        network,
        output / "tokenizer" / "tokenizer.json",
        _ngram_scorer(data, config, tasks, output),
        texts,
        truth,
        tasks,
        folder,
        {
            "base": config.backbone,
            "data": f"{data.rows} training texts, {len(texts)} validation texts",
            "trained": time.strftime("%Y-%m-%d"),
            **(about or {}),
        },
        profile=config.profile,
        max_tokens=tokens,
        prior=config.calibration_prior,
        least_recall=config.least_recall,
        torch_files=config.keep_torch,
        domain=domain,
        before=data.before,
    )
    if data.marked_validation is not None:
        fit_issues(folder, data.marked_validation)
    if data.incidents is not None and data.incidents.collections is not None:
        tell("pair scorer")
        install(fit_scorer(ComplaintClassifier.from_pretrained(folder), *data.incidents.collections()), folder)
    model = ComplaintClassifier.from_pretrained(folder)
    validated = model._forward(texts)
    metrics = {
        "data": _counted(data),
        "validation": measure(model.config, validated, texts, truth, data.counts, data.leaked, _slices(data)),
        "parity": parity(
            network, folder, texts, profile=config.profile, max_tokens=tokens, multi_label=data.multi_label
        ),
    }
    if config.label_issues:
        metrics |= _label_issues(data, model, output)
    write_json(output / "metrics.json", metrics)
    write_card(folder, run, metrics)
    return config, metrics, model, validated


def _ngram_scorer(data: TrainingData, config: TrainConfig, tasks: dict[str, TaskConfig], output: Path) -> Path | None:
    scored = {task: settings.labels for task, settings in tasks.items() if "ngram" in settings.weights}
    if not scored or config.ngram is None:
        return None
    path = output / "ngram.safetensors"
    if not path.exists():
        columns = ["text", *map(label_column, scored)]
        parts = [rows.select_columns(columns) for rows in (data.learned, data.ngram_texts) if rows is not None]
        rows = concatenate_datasets(parts)
        tell(f"n-gram scorer: {len(rows):,} texts")
        counts = {task: data.counts[task] for task in scored}
        weights = class_weights(config.class_weights, scored, counts, data.multi_label)
        truth = truth_of(rows, scored, data.multi_label)
        fit_ngram(list(rows["text"]), truth, scored, path, config.ngram, weights)
    return path


def _counted(data: TrainingData) -> dict[str, Any]:
    return {
        "train": data.rows,
        "validation": len(data.validation),
        "left_out": data.left_out,
        "labels": {
            task: dict(zip(names, data.counts[task].tolist(), strict=True)) for task, names in data.labels.items()
        },
        "findings": [str(finding) for finding in data.findings],
    }


def _slices(data: TrainingData) -> list[tuple[str, str]]:
    """Return column and value by which each validation row is measured; nothing if no column was named."""
    column = data.reading.get("columns", {}).get("slice")
    return [(column, value) for value in data.validation["slice"]] if column is not None else []


def _labelled_table(name: str, rows: Dataset, tasks: Iterable[str]) -> LabelledTable:
    """Return rows as the evaluation reads them, each task in a column of its name."""
    columns = {task: list(rows[label_column(task)]) for task in tasks}
    return LabelledTable(name, None, list(rows["text"]), list(range(1, len(rows) + 1)), columns)


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
