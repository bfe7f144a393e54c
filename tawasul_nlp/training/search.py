"""Search settings with optuna: train trials, stop those that lag behind, measure the best on rows that none has seen.

The first trial is the configuration as it is, the others are proposed by a tree-structured Parzen estimator. A trial is
stopped when its best epoch so far is below the median of the trials before it at the same quarter of their training.
Each trial leaves what it reached in its folder, and a search that is started again tells optuna the same story from the
beginning: its proposals depend on nothing but the seed and that, so a killed search resumes where it was.
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
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tawasul_nlp import _yaml
from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation import ComparisonResult, EvaluationResult, compare
from tawasul_nlp.evaluation.output import write_text
from tawasul_nlp.model.folder import CARD
from tawasul_nlp.training.checks import refuse_branches
from tawasul_nlp.training.config import TrainConfig, number_or_text
from tawasul_nlp.training.dataset import LabelledData, TrainingData, WholeTable, made_of_table
from tawasul_nlp.training.measure import evaluate_rows
from tawasul_nlp.training.run import check_task_weights, fit_model, refuse_fatal
from tawasul_nlp.training.run_folder import (
    RUN,
    SEARCH,
    check_run_config,
    discard,
    duration,
    logged,
    tell,
    write_checks,
    write_json,
)
from tawasul_nlp.training.trainer import Curve

if TYPE_CHECKING:
    from rich.console import RenderableType

# A trial is not stopped in the first quarter of its training, nor before so many trials have come as far.
_QUARTERS = 4
_LEAST_TRIALS = 4
_SHOWN = 10
# They decide which rows train, or nothing that an answer depends on.
_FIXED = ("validation_share", "metric_for_best_model", "report_to", "keep_torch", "label_issues", "stages")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``; whole ones if both ends are.

    With ``log``, equal factors are equally likely, as suits a learning rate.

    Examples
    --------
    >>> Range(12, 4)
    Traceback (most recent call last):
    ...
    ValueError: the range goes from 12 to 4, expected low below high
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"the range goes from {self.low} to {self.high}, expected low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"the range begins at {self.low}, expected more than 0 where log is set")


Space = Mapping[str, Range | Sequence[Any]]
"""For each setting that is tried its range, or the values that are tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search."""

    # From 1.
    number: int
    # What is different from the configuration; nothing for the first trial.
    settings: dict[str, Any]
    # The metric on the validation rows, of the finished model; None if the trial was stopped early.
    value: float | None
    # After each epoch the share of the training that was done, and the metric of the encoder alone.
    curve: tuple[tuple[float, float], ...]
    # Since the trial was last started.
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    """A finished search. ``rich.print`` shows it as tables."""

    # The run folder, with the best model in ``model``, its settings in ``best.yaml``, and ``trials.csv``.
    folder: Path
    # The best settings, and the metric by which they were chosen.
    config: TrainConfig
    metric: str
    trials: tuple[Trial, ...]
    # Of the best model on the held-out rows, which no trial trained, validated or calibrated on.
    evaluation: EvaluationResult = field(repr=False)
    # The best model minus that of the first trial, on the same rows; None if the first trial is the best.
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
    data: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    trials: int = 20,
    space: Space | None = None,
    held_out: float = 0.2,
    restart: bool = False,
    domain: Domain | None = None,
) -> SearchResult:
    """Train with many settings, choose by the validation rows, and measure the choice on rows held out of all this.

    Parameters
    ----------
    data : LabelledData
    config : TrainConfig or None
        What the other settings are; None for the preset ``e5``. ``metric_for_best_model`` is what is searched for.
    output : str or Path
        The run folder. A search that was killed resumes in it, and one with more ``trials`` continues.
    trials : int
        How many settings are tried, the configuration itself among them.
    space : mapping of str to Range or sequence, or None
        For each setting that is searched its :class:`Range` or the values to try, named as in overrides
        (``ngram.C``); None for learning rates, epochs, batch size, label smoothing, noise and the n-gram scorer's C
        around those of the configuration.
    held_out : float
        Share of ``data`` that only the finished choice is measured on.
    restart, domain
        As for :func:`~tawasul_nlp.training.train`.

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
        run = _prepared(data, config, output, held_out, domain)
        values = {name: asdict(each) if isinstance(each, Range) else list(each) for name, each in space.items()}
        made_of = made_of_table(run.whole, config, domain, held_out=held_out, space=values)
        check_run_config(run.folder, made_of, config)
        return _finished(run, _trials(run, space, trials, output / "model"), list(space), output)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What all trials of a search have in common."""

    data: TrainingData
    config: TrainConfig
    folder: Path
    whole: WholeTable
    # Which rows of the whole table every trial trains on, and which none sees: (n_rows,), bool.
    trains: np.ndarray
    tested: np.ndarray
    domain: Domain | None


def _prepared(data: LabelledData, config: TrainConfig, output: Path, held_out: float, domain: Domain | None) -> _Search:
    check_task_weights(config, data.columns.labels)
    whole = data.read(output / "cache")
    tested = whole.held_out(~whole.second, held_out, config.seed)
    rest = ~tested & ~whole.second
    validates = whole.second
    if data.validation is None:
        validates = whole.held_out(rest, config.validation_share, config.seed)
    trains = rest & ~validates
    divided = whole.divided(trains, validates, config.seed)
    write_checks(output, divided.findings)
    refuse_fatal(divided.findings, output, leave_out=data.leave_out)
    refuse_branches(divided.labels, domain or Domain.bundled())
    tell(f"{divided.rows:,} training, {len(divided.validation):,} validation, {int(tested.sum()):,} held-out rows")
    folder = output / SEARCH
    folder.mkdir(parents=True, exist_ok=True)
    return _Search(divided, config, folder, whole, trains, tested, domain)


def _trials(run: _Search, space: Space, trials: int, model: Path) -> list[Trial]:
    """Train the trials, or read those that are done, and keep the best one's model."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=run.config.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_LEAST_TRIALS, n_warmup_steps=1),
    )
    distributions = {name: distribution(values) for name, values in space.items()}
    done: list[Trial] = []
    for number in range(1, trials + 1):
        # The first trial has the configuration's own values, which may lie outside the space.
        proposed = study.ask(distributions) if number > 1 else None
        settings = {} if proposed is None else settings_of(space, proposed.params)
        trial = _trial(number, settings, run, proposed)
        done.append(trial)
        if proposed is None:
            steps = dict(quarters(trial.curve))
            study.add_trial(optuna.trial.create_trial(value=trial.value, intermediate_values=steps))
        elif trial.value is None:
            study.tell(proposed, state=TrialState.PRUNED)
        else:
            study.tell(proposed, trial.value)
        _keep_best(done, run.folder, model)
        best, reached = _best(done), "stopped early" if trial.value is None else f"{trial.value:.1%}"
        tell(f"trial {number} of {trials}: {reached}; best {best.value or 0:.1%} (trial {best.number})")
    return done


def _finished(run: _Search, done: list[Trial], names: list[str], output: Path) -> SearchResult:
    """Measure the best model on the held-out rows, and write what a search leaves in its folder."""
    best = _best(done)
    chosen = with_settings(run.config, best.settings)
    chosen.save(output / "best.yaml")
    metric = run.config.passes()[0].metric_for_best_model
    _write_table(output / "trials.csv", done, names, metric)
    model = ComplaintClassifier.from_pretrained(output / "model")
    evaluation = evaluate_rows(model, run.whole, run.tested, run.trains)
    evaluation.to_json(output / "evaluation.json")
    comparison = None if best.number == 1 else compare(evaluation, run.folder / "trial1" / "held_out.json")
    _write_card(output / "model", len(done), evaluation)
    return SearchResult(output, chosen, metric, tuple(done), evaluation, comparison)


class _StoppedEarly(Exception):
    """A trial lags behind."""


def _trial(number: int, settings: dict[str, Any], run: _Search, proposed: optuna.Trial | None) -> Trial:
    """Return a trial, trained or read from its folder, whose curve optuna has been told."""
    folder = run.folder / f"trial{number}"
    path = folder / "trial.json"
    curve: Curve = []

    def watch(epochs: Curve) -> None:
        curve[:] = epochs
        if proposed is not None:
            reported = quarters(epochs)
            for step, best in reported:
                proposed.report(best, step)  # one that is known already is ignored
            if reported and reported[-1][0] < _QUARTERS and proposed.should_prune():
                raise _StoppedEarly

    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        trial = Trial(**{**stored, "curve": tuple(map(tuple, stored["curve"]))})
        if proposed is not None:
            for step, best in quarters(trial.curve):
                proposed.report(best, step)
        return trial
    named = ", ".join(f"{name} {value}" for name, value in settings.items())
    tell(f"trial {number}: {named or 'the configuration as it is'}")
    began, value = time.monotonic(), None
    try:
        with logged(folder):
            config = with_settings(run.config, settings)
            fitted = fit_model(run.data, config, folder, domain=run.domain, on_epoch=watch)
        metric = fitted.config.passes()[0].metric_for_best_model
        # As in the epochs: of a multi-label task micro F1 stands for the accuracy.
        value = round(
            statistics.mean(task.get(metric, task.get("micro_f1")) for task in fitted.metrics["validation"].values()), 4
        )
        if number == 1:
            evaluate_rows(fitted.model, run.whole, run.tested).to_json(folder / "held_out.json")
        del fitted
    except _StoppedEarly:
        pass
    trial = Trial(number, settings, value, tuple(curve), round(time.monotonic() - began, 1))
    with atomic_write(path) as unfinished:
        write_json(unfinished, asdict(trial))
    return trial


def quarters(curve: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    """Return the best value so far at each quarter of a training, at which trials of any length compare.

    Examples
    --------
    >>> quarters([(0.2, 0.5), (0.4, 0.7), (0.6, 0.6), (1.0, 0.8)])
    [(1, 0.7), (2, 0.7), (4, 0.8)]
    """
    reached: dict[int, float] = {}
    best = -1.0
    for share, value in curve:
        best = max(best, value)
        step = int(_QUARTERS * share + 1e-9)
        if step:
            reached.setdefault(step, best)
    return list(reached.items())


def distribution(values: Range | Sequence[Any]) -> BaseDistribution:
    """Return what optuna draws from; single values as JSON, as it takes no lists."""
    if not isinstance(values, Range):
        return CategoricalDistribution([json.dumps(value) for value in values])
    if isinstance(values.low, int) and isinstance(values.high, int):
        return IntDistribution(values.low, values.high, log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def settings_of(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a proposal, numbers with three significant digits."""
    return {
        name: json.loads(params[name])
        if not isinstance(values, Range)
        else float(f"{params[name]:.3g}")
        if isinstance(params[name], float)
        else params[name]
        for name, values in space.items()
    }


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
    card = (folder / CARD).read_text(encoding="utf-8").rstrip("\n").split(f"\n\n{title}")[0]
    tasks, sets = evaluation.tasks.items(), evaluation.label_sets.items()
    measured = [(task, "accuracy", part.metrics.accuracy, part.metrics.macro_f1, part.n) for task, part in tasks]
    measured += [(task, "micro F1", part.metrics.micro_f1, part.metrics.macro_f1, part.n) for task, part in sets]
    figures = "; ".join(
        f"{task}: {name} {100 * figure.value:.1f}% [{100 * figure.low:.1f}, {100 * figure.high:.1f}], macro F1 "
        f"{100 * macro_f1.value:.1f}% on {n} rows"
        for task, name, figure, macro_f1, n in measured
    )
    added = (
        f"{title} Its settings are the best of {trials} trials by the validation rows, so the figures on these "
        f"flatter it more than usual. On rows held out of the search: {figures}."
    )
    write_text(f"{card}\n\n{added}\n", folder / CARD)


def default_space(config: TrainConfig) -> dict[str, Range | Sequence[Any]]:
    """Return what is searched around a configuration: learning rates, epochs, batch size, regularisation, n-grams.

    Examples
    --------
    >>> default_space(TrainConfig.preset("e5"))["epochs"]
    Range(low=4, high=12, log=False)
    """
    first = config.passes()[0]
    epochs = max(2, round(first.epochs))
    space: dict[str, Range | Sequence[Any]] = {
        "learning_rate": Range(first.learning_rate / 3, first.learning_rate * 3, log=True),
        "head_learning_rate": Range(first.head_learning_rate / 3, first.head_learning_rate * 3, log=True),
        "epochs": Range(max(1, epochs // 2), epochs + epochs // 2),
        "batch_size": (16, 32, 64),
        "label_smoothing": (0.0, 0.05, 0.1, 0.2),
        "noise_share": (0.0, 0.15, 0.3),
    }
    return {**space, "ngram.C": Range(0.1, 3.0, log=True)} if config.ngram is not None else space


def check_space(space: Space, config: TrainConfig) -> None:
    """Raise ValueError if a setting is unknown, cannot be searched, or a value is out of its range."""
    if not space:
        raise ValueError("the search space is empty; name a setting with its range or its values")
    for name, values in space.items():
        try:
            _check(name, values, config)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _check(name: str, values: Range | Sequence[Any], config: TrainConfig) -> None:
    first, *rest = name.split(".")
    if first in _FIXED and not rest:
        raise ValueError(f"{name} cannot be searched; set it for all trials")
    if first == "ngram" and config.ngram is None:
        raise ValueError("the configuration has no n-gram scorer")
    if isinstance(values, Range):
        ends: Sequence[Any] = (values.low, values.high)
    elif isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise ValueError(f"got {values!r}, expected a Range, or a list of values")
    else:
        ends = values
    for value in ends:
        with_settings(config, {name: value})


def with_settings(config: TrainConfig, settings: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration with settings that are named as in a search space."""
    for name, value in settings.items():
        config = config.overridden(f"{name}={json.dumps(value)}")
    return config


def load_space(path: str | Path) -> dict[str, Range | Sequence[Any]]:
    """Read a search space from YAML.

    Each setting has a list of values, or ``{low: 5.0e-5, high: 5.0e-4, log: true}``.

    Raises
    ------
    DataError
        If the file holds something else; with file and line.
    ValueError
        If there is no such file.
    """
    if not Path(path).is_file():
        raise ValueError(f"there is no search space {path}; write one, or leave it out for the default one")
    return _yaml.read(Path(path), _space)  # type: ignore[return-value]


def _space(node: yaml.Node, source: str) -> dict[str, Range | Sequence[Any]]:
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected 'setting: range or values', got a {node.id}")
    return {key.value: _values(value, source) for key, value in node.value}


def _values(node: yaml.Node, source: str) -> Range | Sequence[Any]:
    if isinstance(node, yaml.SequenceNode):
        return tuple(_plain(child) for child in node.value)
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected a list of values, or {{low: ..., high: ...}}, got a {node.id}")
    ends = {key.value: _plain(value) for key, value in node.value}
    numbers = [isinstance(ends.get(end), int | float) and ends[end] is not True for end in ("low", "high")]
    if not {"low", "high"} <= set(ends) <= {"low", "high", "log"} or not all(numbers):
        raise _yaml.error_at(node, source, f"expected the numbers low and high, and perhaps log: true, got {ends}")
    try:
        return Range(ends["low"], ends["high"], bool(ends.get("log", False)))
    except ValueError as error:
        raise _yaml.error_at(node, source, str(error)) from error


def _plain(node: yaml.Node) -> Any:
    """Return what YAML makes of a value, and numbers without a dot (5e-5) as numbers too."""
    value = yaml.safe_load(yaml.serialize(node))
    return number_or_text(value) if isinstance(value, str) else value
