"""Search settings with optuna: train trials, and stop those that lag behind.

The first trial is the configuration as it is, the others are proposed by a tree-structured Parzen estimator. A trial is
stopped when its best epoch so far is below the median of the trials before it at the same epoch. optuna keeps a journal
of the trials in the folder. Each proposal depends on a seed of its own and on the finished trials, so that a killed
search resumes with the trial that it was at.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tawasul_nlp import _yaml
from tawasul_nlp.domain import Domain
from tawasul_nlp.training.config import TrainConfig, plain_value
from tawasul_nlp.training.dataset import TrainingData
from tawasul_nlp.training.run import check_run, fit, load, refuse_fatal
from tawasul_nlp.training.run_folder import TRIALS, discard, logged, slim, tell
from tawasul_nlp.training.tables import LabelledData

# Before so many trials have ended, and in its first epoch, none is stopped.
_LEAST_TRIALS = 4
# They decide on which rows trials are compared, and by what.
_FIXED = ("validation_share", "metric_for_best_model")
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

Space = dict[str, BaseDistribution]
"""optuna's distribution of each setting that is searched, named as in overrides (``ngram.C``)."""


def search(
    data: LabelledData,
    config: TrainConfig | None = None,
    *,
    output: str | Path,
    trials: int = 20,
    space: Space | None = None,
    restart: bool = False,
    domain: Domain | None = None,
) -> optuna.Study:
    """Train with many settings, and write the best on the validation rows to ``best.yaml`` of the folder.

    Parameters
    ----------
    data : LabelledData
    config : TrainConfig or None
        What the other settings are; None for the preset ``e5``. ``metric_for_best_model`` is what is searched for.
    output : str or Path
        The run folder. A search that was killed resumes in it, and one with more ``trials`` continues.
    trials : int
        How many settings are tried, the configuration itself among them.
    space : dict of str to optuna.distributions.BaseDistribution, or None
        None for learning rates, epochs, batch size, label smoothing, noise and the n-gram scorer's C around those of
        the configuration. Choices are JSON, as :func:`choices` makes them.
    restart, domain
        As for :func:`~tawasul_nlp.training.train`.

    Returns
    -------
    optuna.Study
        With all trials, which are in ``trials.csv`` of the folder as well.

    Raises
    ------
    ValueError
        If the table cannot be trained on, a setting or a value of the space is none, or the folder holds another run.
    BackboneError
        If the encoder to start from is unavailable.

    Notes
    -----
    The best value on the validation rows is the largest of many, and flatters: measure a model of the best settings on
    rows that no trial has seen.
    """
    if trials < 1:
        raise ValueError(f"trials is {trials}, expected at least 1")
    config = config or TrainConfig.preset("e5")
    space = default_space(config) if space is None else space
    check_space(space, config)
    output = Path(output)
    if restart:
        discard(output)
    read = load(data, config, output)
    refuse_fatal(read.findings, output, leave_out=data.leave_out)
    with logged(output):
        check_run(read, config, output, domain, space={name: str(each) for name, each in space.items()})
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(output / TRIALS))),
            study_name="search",
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_LEAST_TRIALS, n_warmup_steps=2),
        )
        for number in range(len(study.get_trials(states=_ENDED)) + 1, trials + 1):
            study.sampler = optuna.samplers.TPESampler(seed=(config.seed + number) % 2**32)
            # The first trial has the configuration's own values, which may lie outside the space.
            trial = study.ask(space if number > 1 else {})
            _run_trial(study, trial, read, config, output / f"trial{number}", domain)
        config.overridden(*overrides(study.best_trial)).save(output / "best.yaml")
        table = study.trials_dataframe(("value", "state", "duration", "params"))
        table[table["state"] != "RUNNING"].to_csv(output / "trials.csv", index=False)
        return study


def _run_trial(
    study: optuna.Study,
    trial: optuna.Trial,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    domain: Domain | None,
) -> None:
    """Train a trial, and tell optuna what it reached."""
    settings, reported = overrides(trial), 0
    tell(f"{folder.name}: {', '.join(settings) or 'the configuration as it is'}")

    def watch(curve: list[float]) -> None:
        nonlocal reported
        for epoch in range(reported + 1, len(curve) + 1):
            trial.report(max(curve[:epoch]), epoch)
        reported = len(curve)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        with logged(folder):
            trained = config.overridden(*settings).replace(label_issues=False)
            run = fit(data, trained, folder, domain=domain, baselines=False, on_epoch=watch)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        tell(f"{folder.name}: stopped early")
    else:
        # As in the epochs: of a multi-label task micro F1 stands for the accuracy.
        figures = run.metrics["validation"].values()
        value = statistics.mean(task.get(config.metric_for_best_model, task.get("micro_f1")) for task in figures)
        study.tell(trial, round(value, 4))
        tell(f"{folder.name}: {value:.1%}; best {study.best_value:.1%}")
    slim(folder)


def overrides(trial: optuna.trial.BaseTrial) -> list[str]:
    """Return a trial's settings as ``key=value``, numbers with three significant digits."""
    return [
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in trial.params.items()
    ]


def choices(*values: Any) -> CategoricalDistribution:
    """Return a distribution of values, which may be lists."""
    return CategoricalDistribution([json.dumps(value) for value in values])


def default_space(config: TrainConfig) -> Space:
    """Return what is searched around a configuration: learning rates, epochs, batch size, regularisation, n-grams.

    Examples
    --------
    >>> default_space(TrainConfig.preset("e5"))["epochs"]
    IntDistribution(high=12, log=False, low=4, step=1)
    """
    epochs = max(2, round(config.epochs))
    rates = {name: getattr(config, name) for name in ("learning_rate", "head_learning_rate")}
    space: Space = {
        **{name: FloatDistribution(rate / 3, rate * 3, log=True) for name, rate in rates.items()},
        "epochs": IntDistribution(max(1, epochs // 2), epochs + epochs // 2),
        "batch_size": choices(16, 32, 64),
        "label_smoothing": choices(0.0, 0.05, 0.1, 0.2),
        "noise_share": choices(0.0, 0.15, 0.3),
    }
    return {**space, "ngram.C": FloatDistribution(0.1, 3.0, log=True)} if config.ngram is not None else space


def check_space(space: Space, config: TrainConfig) -> None:
    """Raise ValueError if a setting cannot be searched, or a value is out of its range."""
    for name, distribution in space.items():
        if name in _FIXED:
            raise ValueError(f"{name} cannot be searched; set it for all trials")
        limits: Any = distribution
        for value in limits.choices if isinstance(limits, CategoricalDistribution) else (limits.low, limits.high):
            config.overridden(f"{name}={value}")


def load_space(path: Path) -> Space:
    """Read a search space from YAML: of each setting a list of values, or ``{low: 5.0e-5, high: 5.0e-4, log: true}``.

    Raises
    ------
    DataError
        If the file holds something else; with file and line.
    ValueError
        If there is no such file.
    """
    if not path.is_file():
        raise ValueError(f"there is no search space {path}; write one, or leave it out for the default one")
    return dict(_yaml.read(path, _space))  # type: ignore[call-overload]


def _space(node: yaml.Node, source: str) -> Space:
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected 'setting: range or values', got a {node.id}")
    return {key.value: _distribution(child, source) for key, child in node.value}


def _distribution(node: yaml.Node, source: str) -> BaseDistribution:
    values = plain_value(node)
    try:
        if isinstance(values, tuple):
            return choices(*values)
        whole = isinstance(values["low"], int) and isinstance(values["high"], int)
        return (IntDistribution if whole else FloatDistribution)(**values)
    except (KeyError, TypeError, ValueError) as error:
        expected = "a list of values, or the numbers {low: ..., high: ...}, and perhaps log: true"
        raise _yaml.error_at(node, source, f"expected {expected}, got {values!r}") from error
