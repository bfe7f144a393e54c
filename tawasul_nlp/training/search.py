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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from tawasul_nlp import _yaml
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.domain import Domain
from tawasul_nlp.evaluation.comparison import ComparisonResult, compare
from tawasul_nlp.evaluation.output import TextTable, append_to_card, per_cent
from tawasul_nlp.evaluation.result import EvaluationResult, markdown
from tawasul_nlp.model.folder import CARD
from tawasul_nlp.training.config import TrainConfig, plain_value
from tawasul_nlp.training.dataset import divide, made_of_table
from tawasul_nlp.training.fine_tuning import Curve
from tawasul_nlp.training.run import TrainedModel, evaluate_rows, fit, load_whole, refuse_fatal
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
from tawasul_nlp.training.tables import LabelledData

if TYPE_CHECKING:
    from rich.console import RenderableType

# A trial is not stopped in the first quarter of its training, nor before so many trials have come as far.
_QUARTERS = 4
_LEAST_TRIALS = 4
_SHOWN = 10
# They decide which rows train, or nothing that an answer depends on.
_FIXED = ("validation_share", "metric_for_best_model", "report_to", "keep_torch", "label_issues")

Space = Mapping[str, BaseDistribution | Sequence[Any]]
"""For each setting that is searched optuna's distribution, or the values that are tried."""


@dataclass(frozen=True, kw_only=True)
class SearchResult(TrainedModel):
    """The best model of a finished search, and its settings. ``rich.print`` shows it as tables.

    ``evaluation`` is on the held-out rows, which no trial trained, validated or calibrated on.
    """

    # The metric on the validation rows by which the settings were chosen.
    metric: str
    # The first, of no parameters, is the configuration as it is; those that were stopped early are pruned.
    trials: tuple[FrozenTrial, ...]
    # The best model minus that of the first trial, on the same rows; None if the first trial is the best.
    comparison: ComparisonResult | None = field(repr=False)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        finished = [(number, each) for number, each in enumerate(self.trials, start=1) if _value(each) is not None]
        rows = [
            [", ".join(overrides(trial)) or "as configured", str(number), per_cent(trial.value)]
            for number, trial in sorted(finished, key=lambda pair: -(pair[1].value or 0))
        ]
        title = (
            f"{len(self.trials)} trials, {len(self.trials) - len(finished)} stopped early; {self.metric} in per cent "
            "on the validation rows"
        )
        parts: list[RenderableType] = [TextTable(["settings", "trial", self.metric], rows[:_SHOWN], title)]
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
    space : mapping of str to optuna.distributions.BaseDistribution or sequence, or None
        For each setting that is searched a distribution, such as ``FloatDistribution(1e-5, 1e-3, log=True)``, or the
        values to try, named as in overrides (``ngram.C``); None for learning rates, epochs, batch size, label
        smoothing, noise and the n-gram scorer's C around those of the configuration.
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
    distributions = checked_space(default_space(config) if space is None else space, config)
    output = Path(output)
    if restart:
        discard(output)
    if (output / RUN).exists():
        raise ValueError(f"{output} holds a run that is no search; take another output folder, or throw it away")
    with logged(output):
        run = _Search(data, config, distributions, output, held_out, domain)
        while len(run.trials) < trials:
            _run_trial(run, len(run.trials) + 1)
        return _result(run)


class _Search:
    """What all trials of a search have in common."""

    def __init__(
        self,
        data: LabelledData,
        config: TrainConfig,
        space: dict[str, BaseDistribution],
        output: Path,
        held_out: float,
        domain: Domain | None,
    ) -> None:
        self.config, self.space, self.output, self.domain = config, space, output, domain
        whole = load_whole(data, config, output)
        held_out_rows = whole.held_out(~whole.second, held_out, config.seed)
        # What no trial sees, and what every trial is trained and validated on.
        self.tested = whole.take(held_out_rows)
        self.data = divide(whole, ~held_out_rows, config)
        write_checks(output, self.data.findings)
        refuse_fatal(self.data.findings, output, leave_out=data.leave_out)
        train, validation, tested = map(len, (self.data.train, self.data.validation, self.tested.rows))
        tell(f"{train:,} training, {validation:,} validation, {tested:,} held-out rows")
        folder = output / SEARCH
        folder.mkdir(parents=True, exist_ok=True)
        ranges = {name: str(each) for name, each in space.items()}
        check_run_config(folder, made_of_table(whole, config, domain, held_out=held_out, space=ranges), config)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            study_name=SEARCH,
            storage=JournalStorage(JournalFileBackend(str(folder / "trials.log"))),
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_LEAST_TRIALS, n_warmup_steps=1),
        )

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials that ended; a killed one is none of them."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    @property
    def metric(self) -> str:
        return self.config.metric_for_best_model

    def evaluation(self, model: ComplaintClassifier, train: Any = None) -> EvaluationResult:
        return evaluate_rows(model, self.tested.rows, groups=self.tested.groups, train=train)


def _run_trial(run: _Search, number: int) -> None:
    """Train a trial, tell optuna of it, and keep its model if it is the best so far."""
    run.study.sampler = optuna.samplers.TPESampler(seed=(run.config.seed + number) % 2**32)
    # The first trial has the configuration's own values, which may lie outside the space.
    trial = run.study.ask(run.space if number > 1 else {})
    settings, folder = overrides(trial), run.output / SEARCH / f"trial{number}"
    tell(f"trial {number}: {', '.join(settings) or 'the configuration as it is'}")

    reported = 0

    def watch(curve: Curve) -> None:
        # What is reported is the best so far, at quarters of a training, at which trials of any length compare.
        nonlocal reported
        for epoch, (share, _) in enumerate(curve, start=1):
            quarter = int(_QUARTERS * share + 1e-9)
            if quarter > reported:
                trial.report(max(value for _, value in curve[:epoch]), quarter)
                reported = quarter
        if 0 < reported < _QUARTERS and trial.should_prune():
            raise optuna.TrialPruned

    try:
        with logged(folder):
            config = run.config.overridden(*settings)
            fitted = fit(run.data, config, folder, domain=run.domain, baselines=False, on_epoch=watch)
    except optuna.TrialPruned:
        run.study.tell(trial, state=TrialState.PRUNED)
        tell(f"trial {number}: stopped early")
    else:
        # As in the epochs: of a multi-label task micro F1 stands for the accuracy.
        figures = fitted.metrics["validation"].values()
        value = round(statistics.mean(task.get(run.metric, task.get("micro_f1")) for task in figures), 4)
        if number == 1:
            run.evaluation(fitted.model).to_json(folder / "held_out.json")
        if number == 1 or value > run.study.best_value:
            shutil.rmtree(run.output / "model", ignore_errors=True)
            (folder / "model").rename(run.output / "model")
        run.study.tell(trial, value)
        tell(f"trial {number}: {value:.1%}; best {run.study.best_value:.1%}")
    for each in folder.parent.glob("trial[0-9]*"):
        slim(each)


def _result(run: _Search) -> SearchResult:
    """Measure the best model on the held-out rows, and write what a search leaves in its folder."""
    output, trials = run.output, run.trials
    with (output / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", run.metric, "state", "duration", *run.space])
        for number, trial in enumerate(trials, start=1):
            settings = (trial.params.get(name) for name in run.space)
            writer.writerow([number, _value(trial), trial.state.name, trial.duration, *settings])
    config = run.config.overridden(*overrides(run.study.best_trial))
    config.save(output / "best.yaml")
    evaluation = run.evaluation(ComplaintClassifier.from_pretrained(output / "model"), run.data.train)
    evaluation.to_json(output / "evaluation.json")
    first_is_best = run.study.best_trial.number == trials[0].number
    title = "**How it was chosen.**"
    flatters = (
        f"{title} Its settings are the best of {len(trials)} trials by the validation rows, so the figures on these "
        "flatter it more than usual. On rows held out of the search:"
    )
    append_to_card(output / "model" / CARD, title, f"{flatters}\n\n{markdown(evaluation)}")
    return SearchResult(
        folder=output,
        config=config,
        metric=run.metric,
        trials=tuple(trials),
        evaluation=evaluation,
        comparison=None if first_is_best else compare(evaluation, output / SEARCH / "trial1" / "held_out.json"),
    )


def _value(trial: FrozenTrial) -> float | None:
    """Return what a trial reached; None if it was stopped early, of which optuna has the last value."""
    return trial.value if trial.state == TrialState.COMPLETE else None


def overrides(trial: optuna.trial.BaseTrial) -> list[str]:
    """Return a trial's settings as ``key=value``, numbers with three significant digits."""
    return [
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in trial.params.items()
    ]


def default_space(config: TrainConfig) -> Space:
    """Return what is searched around a configuration: learning rates, epochs, batch size, regularisation, n-grams.

    Examples
    --------
    >>> default_space(TrainConfig.preset("e5"))["epochs"]
    IntDistribution(high=12, log=False, low=4, step=1)
    """
    epochs = max(2, round(config.epochs))
    rates = {name: getattr(config, name) for name in ("learning_rate", "head_learning_rate")}
    space: dict[str, BaseDistribution | Sequence[Any]] = {
        **{name: FloatDistribution(rate / 3, rate * 3, log=True) for name, rate in rates.items()},
        "epochs": IntDistribution(max(1, epochs // 2), epochs + epochs // 2),
        "batch_size": (16, 32, 64),
        "label_smoothing": (0.0, 0.05, 0.1, 0.2),
        "noise_share": (0.0, 0.15, 0.3),
    }
    return {**space, "ngram.C": FloatDistribution(0.1, 3.0, log=True)} if config.ngram is not None else space


def checked_space(space: Space, config: TrainConfig) -> dict[str, BaseDistribution]:
    """Return what optuna draws from; ValueError if a setting cannot be searched, or a value is out of its range."""
    if not space:
        raise ValueError("the search space is empty; name a setting with its range or its values")
    distributions: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        if name in _FIXED:
            raise ValueError(f"{name} cannot be searched; set it for all trials")
        if name.startswith("ngram.") and config.ngram is None:
            raise ValueError(f"{name}: the configuration has no n-gram scorer")
        if isinstance(values, BaseDistribution):
            distributions[name] = values
        elif isinstance(values, Sequence) and values and not isinstance(values, str):
            distributions[name] = CategoricalDistribution([json.dumps(value) for value in values])  # it takes no lists
        else:
            raise ValueError(f"{name} has {values!r}, expected a distribution of optuna, or a list of values")
        limits: Any = distributions[name]
        for value in limits.choices if isinstance(limits, CategoricalDistribution) else (limits.low, limits.high):
            config.overridden(f"{name}={value}")
    return distributions


def load_space(path: str | Path) -> Space:
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


def _space(node: yaml.Node, source: str) -> Space:
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected 'setting: range or values', got a {node.id}")
    space: dict[str, BaseDistribution | Sequence[Any]] = {}
    for key, child in node.value:
        values = plain_value(child)
        try:
            if isinstance(values, tuple):
                space[key.value] = values
            elif isinstance(values["low"], int) and isinstance(values["high"], int):
                space[key.value] = IntDistribution(**values)
            else:
                space[key.value] = FloatDistribution(**values)
        except (KeyError, TypeError, ValueError) as error:
            expected = "a list of values, or the numbers {low: ..., high: ...}, and perhaps log: true"
            raise _yaml.error_at(child, source, f"expected {expected}, got {values!r}") from error
    return space
