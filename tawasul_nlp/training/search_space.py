"""Which settings a search tries: ranges and choices, from Python or YAML, and the points that it draws from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError
from tawasul_nlp.training.config import TrainConfig

# They decide which rows train, or nothing that an answer depends on.
_FIXED = ("validation_share", "metric_for_best_model", "report_to", "keep_torch", "label_issues", "stages")
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``; whole ones if both ends are.

    With ``log``, equal factors are equally likely, as suits a learning rate.

    Examples
    --------
    >>> Range(4, 12).at(0.5), Range(1e-4, 1e-2, log=True).at(0.5)
    (8, 0.001)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"the range goes from {self.low} to {self.high}, expected low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"the range begins at {self.low}, expected more than 0 where log is set")

    def at(self, share: float) -> float:
        """Return the number at a share of the range, from 0 to below 1, with three significant digits."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return round(math.exp(low + share * (high - low))) if self.log else int(low + share * (high - low + 1))
        value = low + share * (high - low)
        return float(f"{math.exp(value) if self.log else value:.{_DIGITS}g}")


Space = Mapping[str, Range | Sequence[Any]]
"""For each setting that is tried its range, or the values that are tried."""


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


def drawn(space: Space, count: int, seed: int) -> list[dict[str, Any]]:
    """Return points of the space that cover it evenly; the first ones are the same whatever the ``count``.

    They are a scrambled Halton sequence, which leaves smaller holes than random points do (Bousquet et al. 2017,
    "Critical hyper-parameters: no random, no cry").

    Examples
    --------
    >>> space = {"epochs": Range(4, 12), "batch_size": (16, 32)}
    >>> drawn(space, 3, 1) == drawn(space, 5, 1)[:3]
    True
    """
    from scipy.stats import qmc

    if not count:
        return []
    shares = qmc.Halton(len(space), scramble=True, rng=seed).random(count)
    return [
        {
            name: values.at(share) if isinstance(values, Range) else values[int(share * len(values))]
            for (name, values), share in zip(space.items(), row, strict=True)
        }
        for row in shares.tolist()
    ]


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


def _space(node: yaml.Node, source: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{source}:{node.start_mark.line + 1}: expected 'setting: range or values', got a {node.id}")
    return {key.value: _values(value, source) for key, value in node.value}


def _values(node: yaml.Node, source: str) -> Range | Sequence[Any]:
    at = f"{source}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.SequenceNode):
        return tuple(_plain(child) for child in node.value)
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{at}: expected a list of values, or {{low: ..., high: ...}}, got a {node.id}")
    given = {key.value: _plain(value) for key, value in node.value}
    numbers = [isinstance(given.get(end), int | float) and given[end] is not True for end in ("low", "high")]
    if not {"low", "high"} <= set(given) <= {"low", "high", "log"} or not all(numbers):
        raise DataError(f"{at}: expected the numbers low and high, and perhaps log: true, got {given}")
    try:
        return Range(given["low"], given["high"], bool(given.get("log", False)))
    except ValueError as error:
        raise DataError(f"{at}: {error}") from error


def _plain(node: yaml.Node) -> Any:
    """Return what YAML makes of a value, and numbers without a dot (5e-5) as numbers too."""
    value = yaml.safe_load(yaml.serialize(node))
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
