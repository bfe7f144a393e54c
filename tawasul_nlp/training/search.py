"""Search settings: train trials, stop those that lag behind, and measure the best one on rows that none has seen.

The first trial is the configuration as it is, the others are points that cover the search space evenly. A trial is
stopped when its best epoch so far is below the median of the trials before it at the same share of their training
(Golovin et al. 2017, "Google Vizier"). Points and stops depend on nothing but the settings and the rows, so a killed
search resumes where it was.
"""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation import ComparisonResult, EvaluationResult, compare
from tawasul_nlp.evaluation.output import write_text
from tawasul_nlp.model.folder import CARD
from tawasul_nlp.training.checks import refuse_branches
from tawasul_nlp.training.config import TrainConfig
from tawasul_nlp.training.dataset import TrainingData, WholeTable, read_whole
from tawasul_nlp.training.measure import evaluate_rows
from tawasul_nlp.training.progress import duration, logged, tell
from tawasul_nlp.training.run import fit_model, refuse_fatal
from tawasul_nlp.training.run_folder import CHECKS, RUN, SEARCH, check_run_config, digest, discard, write_json
from tawasul_nlp.training.search_space import Range, Space, check_space, default_space, drawn, with_settings
from tawasul_nlp.training.setting_checks import check_task_weights
from tawasul_nlp.training.splitting import split
from tawasul_nlp.training.tables import Columns
from tawasul_nlp.training.trainer import Curve

if TYPE_CHECKING:
    from rich.console import RenderableType

# A trial is not stopped before this share of its training, nor before so many trials have come as far.
_LEAST_SHARE = 0.25
_LEAST_TRIALS = 4
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search.

    Attributes
    ----------
    number : int
        From 1.
    settings : dict of str to Any
        What is different from the configuration; nothing for the first trial.
    value : float or None
        The metric on the validation rows, of the finished model; None if the trial was stopped early.
    curve : tuple of (float, float)
        After each epoch the share of the training that was done, and the metric of the encoder alone.
    seconds : float
        Since the trial was last started.
    """

    number: int
    settings: dict[str, Any]
    value: float | None
    curve: tuple[tuple[float, float], ...]
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    """A finished search. ``rich.print`` shows it as tables.

    Attributes
    ----------
    folder : Path
        The run folder, with the best model in ``model``, its settings in ``best.yaml``, and ``trials.csv``.
    config : TrainConfig
        The best settings.
    metric : str
        By which they were chosen.
    trials : tuple of Trial
    evaluation : EvaluationResult
        Of the best model on the held-out rows, which no trial trained, validated or calibrated on.
    comparison : ComparisonResult or None
        The best model minus that of the first trial, on the same rows; None if the first trial is the best.
    """

    folder: Path
    config: TrainConfig
    metric: str
    trials: tuple[Trial, ...]
    evaluation: EvaluationResult = field(repr=False)
    comparison: ComparisonResult | None = field(repr=False)

    @property
    def best(self) -> Trial:
        """The trial with the highest value."""
        return _best(self.trials)

    @property
    def model_folder(self) -> Path:
        """The folder that :meth:`ComplaintClassifier.from_pretrained` reads."""
        return self.folder / "model"

    @cached_property
    def model(self) -> ComplaintClassifier:
        """The best model."""
        return ComplaintClassifier.from_pretrained(self.model_folder)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        stopped = sum(trial.value is None for trial in self.trials)
        title = f"{len(self.trials)} trials, {stopped} stopped early; {self.metric} in per cent on the validation rows"
        table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
        for heading in ("trial", self.metric, "time"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("settings")
        finished = sorted((trial for trial in self.trials if trial.value is not None), key=lambda t: -(t.value or 0))
        for trial in finished[:_SHOWN]:
            settings = ", ".join(f"{name} {value}" for name, value in trial.settings.items()) or "as configured"
            table.add_row(str(trial.number), f"{100 * (trial.value or 0):.1f}", duration(trial.seconds), Text(settings))
        parts: list[RenderableType] = [table]
        if self.comparison is not None:
            parts += [Text("held-out rows, which no trial has seen:", "bold"), self.comparison]
        return Group(*parts)


def search(
    data: Any,
    *,
    text_column: str = "text",
    label_columns: str | Sequence[str] | Mapping[str, str] = (),
    multi_label_columns: str | Sequence[str] | Mapping[str, str] = (),
    output: str | Path,
    trials: int = 20,
    space: Space | None = None,
    config: TrainConfig | None = None,
    validation: Any = None,
    held_out: float = 0.2,
    incident_column: str | None = None,
    group_column: str | None = None,
    descriptions: Any = None,
    duplicates: Literal["incidents", "identical"] = "incidents",
    missing_labels: Sequence[str] = (),
    leave_out: bool = False,
    restart: bool = False,
    domain: Domain | None = None,
) -> SearchResult:
    """Train with many settings, choose by the validation rows, and measure the choice on rows held out of all this.

    Parameters
    ----------
    data, text_column, label_columns, multi_label_columns, incident_column, group_column, descriptions, duplicates,
    missing_labels, leave_out, restart, domain
        As for :func:`~tawasul_nlp.training.train`.
    output : str or Path
        The run folder. A search that was killed resumes in it, and one with more ``trials`` continues.
    trials : int
        How many settings are tried, the configuration itself among them.
    space : mapping of str to Range or sequence, or None
        For each setting that is searched its :class:`Range` or the values to try, named as in overrides
        (``ngram.C``); None for learning rates, epochs, batch size, label smoothing, noise and the n-gram scorer's C
        around those of the configuration.
    config : TrainConfig or None
        What the other settings are; None for the preset ``e5``. ``metric_for_best_model`` is what is searched for.
    validation : like ``data``, or None
        Rows to choose by; None for a part of ``data``.
    held_out : float
        Share of ``data`` that only the finished choice is measured on.

    Raises
    ------
    ValueError
        If the table cannot be trained on, a setting or a value of the space is none, or the folder holds another
        search.
    BackboneError
        If the encoder to start from is unavailable.

    Notes
    -----
    The best value on the validation rows is the largest of many, and flatters; so does the calibration, a little, which
    is fitted on them. ``evaluation`` is neither chosen nor calibrated on.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")
    config = (config or TrainConfig.preset("e5")).replace(label_issues=False)
    space = default_space(config) if space is None else space
    check_space(space, config)
    output = Path(output)
    if restart:
        discard(output)
    if (output / RUN).exists():
        raise ValueError(f"{output} holds a run that is no search; take another output folder, or throw it away")
    with logged(output):
        columns = Columns.parse(
            text_column,
            label_columns,
            group_column,
            incident_column,
            missing=missing_labels,
            multi_label=multi_label_columns,
        )
        check_task_weights(config, columns.labels)
        whole = read_whole(
            data,
            columns,
            output / "cache",
            validation=validation,
            duplicates=duplicates,
            descriptions=descriptions,
        )
        found, trains, tested = _divided(whole, config, held_out, validation is not None)
        write_json(output / CHECKS, [finding.to_dict() for finding in found.findings])
        refuse_fatal(found.findings, output, leave_out=leave_out)
        refuse_branches(found.labels, domain or Domain.bundled())
        tell(f"{found.rows:,} training, {len(found.validation):,} validation, {int(tested.sum()):,} held-out rows")
        folder = output / SEARCH
        folder.mkdir(parents=True, exist_ok=True)
        own = {} if domain is None else {"domain": domain.fingerprint}
        check_run_config(folder, _made_of(whole, config, space, held_out) | own, config)
        points = [{}, *drawn(space, trials - 1, config.seed)]
        done: list[Trial] = []
        for number, settings in enumerate(points, start=1):
            done.append(_trial(number, settings, found, config, folder, done, (whole, tested), domain))
            _keep_best(done, folder, output / "model")
            _tell(done, trials)
        best = _best(done)
        chosen = with_settings(config, best.settings)
        chosen.save(output / "best.yaml")
        _write_table(output / "trials.csv", done, list(space), config.passes()[0].metric_for_best_model)
        model = ComplaintClassifier.from_pretrained(output / "model")
        evaluation = evaluate_rows(model, whole, tested, trains)
        evaluation.to_json(output / "evaluation.json")
        compared = None if best.number == 1 else compare(evaluation, folder / "trial1" / "held_out.json")
        _write_card(output / "model", len(done), evaluation)
        metric = config.passes()[0].metric_for_best_model
        return SearchResult(output, chosen, metric, tuple(done), evaluation, compared)


def _divided(
    whole: WholeTable, config: TrainConfig, held_out: float, given: bool
) -> tuple[TrainingData, np.ndarray, np.ndarray]:
    """Return the data of every trial, which rows train in it, and which are held out."""

    def chosen(among: np.ndarray, share: float) -> np.ndarray:
        rows = np.flatnonzero(among)
        labels = {task: [values[at] for at in rows.tolist()] for task, values in whole.labels.items()}
        found = np.zeros(len(among), bool)
        found[rows] = split(labels, whole.groups[rows], share, config.seed, whole.columns.multi_label)
        return found

    tested = chosen(~whole.second, held_out)
    rest = ~tested & ~whole.second
    validates = whole.second if given else chosen(rest, config.validation_share)
    trains = rest & ~validates
    return whole.divided(trains, validates, config.seed), trains, tested


def _made_of(whole: WholeTable, config: TrainConfig, space: Space, held_out: float) -> dict[str, Any]:
    return {
        "config": config.to_dict(),
        "files": whole.files,
        **whole.reading,
        "held_out": held_out,
        "space": {name: asdict(each) if isinstance(each, Range) else list(each) for name, each in space.items()},
        "texts": digest(whole.rows, whole.columns.labels),
    }


class _StoppedEarly(Exception):
    """A trial lags behind."""


def _trial(
    number: int,
    settings: dict[str, Any],
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    before: Sequence[Trial],
    held_out: tuple[WholeTable, np.ndarray],
    domain: Domain | None,
) -> Trial:
    """Return a trial, trained or read from its folder."""
    folder = folder / f"trial{number}"
    path = folder / "trial.json"
    if path.exists():
        read = json.loads(path.read_text(encoding="utf-8"))
        return Trial(**{**read, "curve": tuple(map(tuple, read["curve"]))})
    named = ", ".join(f"{name} {value}" for name, value in settings.items())
    tell(f"trial {number}: {named or 'the configuration as it is'}")
    curve: Curve = []

    def watch(found: Curve) -> None:
        curve[:] = found
        if number > 1 and lags(found, [trial.curve for trial in before]):
            raise _StoppedEarly

    began, value = time.monotonic(), None
    try:
        with logged(folder):
            chosen = with_settings(config, settings)
            trained, metrics, model, _ = fit_model(data, chosen, folder, domain=domain, on_epoch=watch)
        metric = trained.passes()[0].metric_for_best_model
        # As in the epochs: of a multi-label task micro F1 stands for the accuracy.
        value = round(
            statistics.mean(task.get(metric, task.get("micro_f1")) for task in metrics["validation"].values()), 4
        )
        if number == 1:
            evaluate_rows(model, *held_out).to_json(folder / "held_out.json")
        del model
    except _StoppedEarly:
        pass
    trial = Trial(number, settings, value, tuple(curve), round(time.monotonic() - began, 1))
    with atomic_write(path) as unfinished:
        write_json(unfinished, asdict(trial))
    return trial


def lags(curve: Curve, others: Sequence[Sequence[tuple[float, float]]]) -> bool:
    """Tell whether a trial's best epoch so far is below the median of the others' at the same share of the training.

    Examples
    --------
    >>> others = [[(0.5, 0.6), (1.0, 0.8)], [(0.5, 0.7), (1.0, 0.9)], [(0.25, 0.5), (0.5, 0.6)], [(0.5, 0.7)]]
    >>> lags([(0.5, 0.64)], others), lags([(0.5, 0.65)], others), lags([(0.5, 0.1)], others[:3])
    (True, False, False)
    """
    share = curve[-1][0]
    theirs = [[value for at, value in other if at <= share + 1e-9] for other in others]
    best = [max(values) for values in theirs if values]
    if not _LEAST_SHARE <= share < 1 or len(best) < _LEAST_TRIALS:
        return False
    return max(value for _, value in curve) < statistics.median(best)


def _best(trials: Sequence[Trial]) -> Trial:
    return max(trials, key=lambda trial: -1.0 if trial.value is None else trial.value)


def _keep_best(done: Sequence[Trial], folder: Path, model: Path) -> None:
    """Move the best model to its place, and delete what else is large in the folders of the trials."""
    best = folder / f"trial{_best(done).number}" / "model"
    if best.exists():
        shutil.rmtree(model, ignore_errors=True)
        best.rename(model)
    for trial in done:
        for part in (folder / f"trial{trial.number}").glob("*"):
            if part.is_dir():
                shutil.rmtree(part)
            elif part.suffix == ".safetensors":
                part.unlink()


def _tell(done: Sequence[Trial], trials: int) -> None:
    last, best = done[-1], _best(done)
    reached = "stopped early" if last.value is None else f"{last.value:.1%}"
    left = statistics.mean(trial.seconds for trial in done) * (trials - len(done))
    tell(
        f"trial {last.number} of {trials}: {reached}; best {best.value or 0:.1%} (trial {best.number})"
        + (f"; about {duration(left)} left" if trials > len(done) else "")
    )


def _write_table(path: Path, done: Sequence[Trial], names: list[str], metric: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", metric, "stopped_at", "seconds", *names])
        for trial in done:
            value, stopped = (trial.value, "") if trial.value is not None else ("", round(trial.curve[-1][0], 3))
            settings = [trial.settings.get(name, "") for name in names]
            writer.writerow([trial.number, value, stopped, trial.seconds, *settings])


def _write_card(folder: Path, trials: int, evaluation: EvaluationResult) -> None:
    title = "**How it was chosen.**"
    told = (folder / CARD).read_text(encoding="utf-8").rstrip("\n").split(f"\n\n{title}")[0]
    tasks, sets = evaluation.tasks.items(), evaluation.label_sets.items()
    measured = [(task, "accuracy", part.metrics.accuracy, part.metrics.macro_f1, part.n) for task, part in tasks]
    measured += [(task, "micro F1", found.metrics.micro_f1, found.metrics.macro_f1, found.n) for task, found in sets]
    figures = "; ".join(
        f"{task}: {name} {100 * figure.value:.1f}% [{100 * figure.low:.1f}, {100 * figure.high:.1f}], macro F1 "
        f"{100 * macro_f1.value:.1f}% on {n} rows"
        for task, name, figure, macro_f1, n in measured
    )
    added = (
        f"{title} Its settings are the best of {trials} trials by the validation rows, so the figures on these "
        f"flatter it more than usual. On rows held out of the search: {figures}."
    )
    write_text(f"{told}\n\n{added}\n", folder / CARD)
