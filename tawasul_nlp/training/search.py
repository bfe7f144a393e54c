"""Search settings with optuna: train trials, stop those that lag behind, measure the best on rows that none has seen.

The first trial is the configuration as it is, the others are proposed by a tree-structured Parzen estimator. A trial is
stopped when its best epoch so far is below the median of the trials before it at the same quarter of their training.
optuna keeps a journal of the trials in the folder. Each proposal depends on a seed of its own and on the finished
trials, so that a killed search resumes with the trial that it was at.
"""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tawasul_nlp import _yaml
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.comparison import ComparisonResult, compare
from tawasul_nlp.evaluation.output import TextTable, append_to_card, per_cent
from tawasul_nlp.evaluation.result import EvaluationResult, markdown
from tawasul_nlp.model.folder import CARD
from tawasul_nlp.training.config import TrainConfig, plain_value
from tawasul_nlp.training.dataset import TrainingData, divide, made_of_table, read_whole
from tawasul_nlp.training.run import check_task_weights, evaluate_rows, fit, refuse_fatal
from tawasul_nlp.training.run_folder import (
    RUN,
    SEARCH,
    check_run_config,
    discard,
    logged,
    slim,
    tell,
    write_checks,
)
from tawasul_nlp.training.splitting import WholeTable
from tawasul_nlp.training.tables import LabelledData
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
    ValueError: `low <= high` must hold, but got (low=12, high=4).
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        self.distribution()  # which refuses what is no range

    def distribution(self) -> BaseDistribution:
        """Return what optuna draws from."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


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
    # The share of its training after which it was stopped; None if it was not.
    stopped_at: float | None
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
        from rich.console import Group
        from rich.text import Text

        finished = sorted((trial for trial in self.trials if trial.value is not None), key=lambda t: -(t.value or 0))
        title = (
            f"{len(self.trials)} trials, {len(self.trials) - len(finished)} stopped early; {self.metric} in per cent "
            "on the validation rows"
        )
        rows = [
            [
                _named(trial.settings) or "as configured",
                str(trial.number),
                per_cent(trial.value),
                f"{trial.seconds / 60:.1f}",
            ]
            for trial in finished[:_SHOWN]
        ]
        parts: list[RenderableType] = [TextTable(["settings", "trial", self.metric, "minutes"], rows, title)]
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
        run = _prepared(data, config, space, output, held_out, domain)
        while len(run.trials) < trials:
            _run_trial(run, len(run.trials) + 1)
        return _result(run)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """What all trials of a search have in common."""

    data: TrainingData
    config: TrainConfig
    space: Space
    output: Path
    # The rows that no trial sees.
    tested: WholeTable
    domain: Domain | None
    study: optuna.Study

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials that ended; a killed one is none of them."""
        ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return tuple(
            Trial(
                number=number,
                settings=settings_of(each.params),
                value=each.value if each.state == TrialState.COMPLETE else None,
                stopped_at=None if each.state == TrialState.COMPLETE else (each.last_step or 0) / _QUARTERS,
                seconds=round(each.duration.total_seconds(), 1) if each.duration is not None else 0.0,
            )
            for number, each in enumerate(ended, start=1)
        )


def _prepared(
    data: LabelledData, config: TrainConfig, space: Space, output: Path, held_out: float, domain: Domain | None
) -> _Search:
    check_task_weights(config, data.tasks)
    whole = read_whole(data, output / "cache")
    tested = whole.held_out(~whole.second, held_out, config.seed)
    rest = ~tested & ~whole.second
    validates = whole.second
    if data.validation is None:
        validates = whole.held_out(rest, config.validation_share, config.seed)
    trains = rest & ~validates
    divided = divide(whole, trains, validates, config.seed)
    write_checks(output, divided.findings)
    refuse_fatal(divided.findings, output, leave_out=data.leave_out)
    tell(
        f"{len(divided.train):,} training, {len(divided.validation):,} validation, {int(tested.sum()):,} held-out rows"
    )
    folder = output / SEARCH
    folder.mkdir(parents=True, exist_ok=True)
    values = {name: asdict(each) if isinstance(each, Range) else list(each) for name, each in space.items()}
    check_run_config(folder, made_of_table(whole, config, domain, held_out=held_out, space=values), config)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=SEARCH,
        storage=JournalStorage(JournalFileBackend(str(folder / "trials.log"))),
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_LEAST_TRIALS, n_warmup_steps=1),
    )
    return _Search(divided, config, space, output, whole.take(tested), domain, study)


def _run_trial(run: _Search, number: int) -> None:
    """Train a trial, tell optuna of it, and keep its model if it is the best so far."""
    run.study.sampler = optuna.samplers.TPESampler(seed=(run.config.seed + number) % 2**32)
    # The first trial has the configuration's own values, which may lie outside the space.
    proposed = run.study.ask(distributions(run.space) if number > 1 else {})
    settings, folder = settings_of(proposed.params), run.output / SEARCH / f"trial{number}"
    tell(f"trial {number}: {_named(settings) or 'the configuration as it is'}")
    reported = 0

    def watch(curve: Curve) -> None:
        nonlocal reported
        steps = quarters(curve)
        for step, best in steps[reported:]:
            proposed.report(best, step)
        reported = len(steps)
        if steps and steps[-1][0] < _QUARTERS and proposed.should_prune():
            raise optuna.TrialPruned

    try:
        with logged(folder):
            fitted = fit(
                run.data,
                with_settings(run.config, settings),
                folder,
                domain=run.domain,
                baselines=False,
                on_epoch=watch,
            )
    except optuna.TrialPruned:
        run.study.tell(proposed, state=TrialState.PRUNED)
        tell(f"trial {number}: stopped early")
    else:
        metric = _metric(fitted.config)
        # As in the epochs: of a multi-label task micro F1 stands for the accuracy.
        figures = fitted.metrics["validation"].values()
        value = round(statistics.mean(task.get(metric, task.get("micro_f1")) for task in figures), 4)
        if number == 1:
            evaluate_rows(fitted.model, run.tested.rows, groups=run.tested.groups).to_json(folder / "held_out.json")
        if number == 1 or value > run.study.best_value:
            shutil.rmtree(run.output / "model", ignore_errors=True)
            (folder / "model").rename(run.output / "model")
        run.study.tell(proposed, value)
        tell(f"trial {number}: {value:.1%}; best {run.study.best_value:.1%}")
    for each in folder.parent.glob("trial[0-9]*"):
        slim(each)


def _result(run: _Search) -> SearchResult:
    """Measure the best model on the held-out rows, and write what a search leaves in its folder."""
    output, trials, metric = run.output, run.trials, _metric(run.config)
    best = _best(trials)
    config = with_settings(run.config, best.settings)
    config.save(output / "best.yaml")
    with (output / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", metric, "stopped_at", "seconds", *run.space])
        for trial in trials:
            settings = [trial.settings.get(name) for name in run.space]
            writer.writerow([trial.number, trial.value, trial.stopped_at, trial.seconds, *settings])
    model = ComplaintClassifier.from_pretrained(output / "model")
    evaluation = evaluate_rows(model, run.tested.rows, groups=run.tested.groups, train=run.data.train)
    evaluation.to_json(output / "evaluation.json")
    comparison = None if best.number == 1 else compare(evaluation, output / SEARCH / "trial1" / "held_out.json")
    _add_to_card(output / "model" / CARD, len(trials), evaluation)
    return SearchResult(output, config, metric, trials, evaluation, comparison)


def _metric(config: TrainConfig) -> str:
    return config.passes()[0].metric_for_best_model


def _named(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _best(trials: Sequence[Trial]) -> Trial:
    return max(trials, key=lambda trial: -1.0 if trial.value is None else trial.value)


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


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return what optuna draws from; single values as JSON, as it takes no lists."""
    return {
        name: values.distribution()
        if isinstance(values, Range)
        else CategoricalDistribution([json.dumps(value) for value in values])
        for name, values in space.items()
    }


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a proposal, numbers with three significant digits."""
    return {
        name: json.loads(value)
        if isinstance(value, str)
        else float(f"{value:.3g}")
        if isinstance(value, float)
        else value
        for name, value in params.items()
    }


def _add_to_card(card: Path, trials: int, evaluation: EvaluationResult) -> None:
    title = "**How it was chosen.**"
    added = (
        f"{title} Its settings are the best of {trials} trials by the validation rows, so the figures on these "
        "flatter it more than usual. On rows held out of the search:"
    )
    append_to_card(card, title, f"{added}\n\n{markdown(evaluation)}")


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
        if name in _FIXED:
            raise ValueError(f"{name} cannot be searched; set it for all trials")
        if name.startswith("ngram.") and config.ngram is None:
            raise ValueError(f"{name}: the configuration has no n-gram scorer")
        if isinstance(values, str) or not isinstance(values, Range | Sequence) or not values:
            raise ValueError(f"{name} has {values!r}, expected a Range, or a list of values")
        for value in (values.low, values.high) if isinstance(values, Range) else values:
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
    space: dict[str, Range | Sequence[Any]] = {}
    for key, child in node.value:
        values = plain_value(child)
        try:
            space[key.value] = values if isinstance(values, tuple) else Range(**values)
        except TypeError:
            expected = "a list of values, or the numbers {low: ..., high: ...}, and perhaps log: true"
            raise _yaml.error_at(child, source, f"expected {expected}, got {values!r}") from None
        except ValueError as error:
            raise _yaml.error_at(child, source, str(error)) from error
    return space
