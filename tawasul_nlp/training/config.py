"""How a model is trained: typed settings, and the YAML form in which they are kept.

A :class:`TrainConfig` is checked when it is made, whether in Python, from a preset or from a file. YAML is checked node
by node, so that an error names the file and the line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import partial
from math import inf, nextafter
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp._yaml import DataError
from tawasul_nlp.text.profiles import PROFILES

PRESETS: Final = Path(__file__).parent / "presets"


def setting(default: Any, expected: str, holds: Callable[[Any], bool]) -> Any:
    """Return a field of a settings class with the rule for its values: in words, and as a test."""
    return field(default=default, metadata={"expected": expected, "holds": holds})


def number(default: float | None, least: float, most: float, *, optional: bool = False) -> Any:
    """Return a field of a number, which is a whole one unless its default has a point."""
    whole = not isinstance(default, float)
    return setting(
        default,
        f"a {'whole ' * whole}number from {least} to {most}",
        lambda value: (optional and value is None) or _is_number(value, least, most, whole),
    )


def choice(default: str, *allowed: str) -> Any:
    """Return a field of one of the allowed words."""
    return setting(default, f"one of {', '.join(allowed)}", lambda value: value in allowed)


def flag(default: bool) -> Any:
    """Return a field of true or false."""
    return setting(default, "true or false", lambda value: isinstance(value, bool))


def numbers(expected: str, least: float, most: float, *words: str, whole: bool = False) -> Any:
    """Return a field of a mapping from names to numbers, or of one of the words, the first of which is the default."""

    def holds(value: object) -> bool:
        if not isinstance(value, dict):
            return value in words
        return all(isinstance(name, str) and _is_number(each, least, most, whole) for name, each in value.items())

    if words:
        return setting(words[0], expected, holds)
    return field(default_factory=dict, metadata={"expected": expected, "holds": holds})


def _is_number(value: Any, least: float, most: float, whole: bool = False) -> bool:
    kinds = int if whole else int | float
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most and value < inf


def _nearest(name: str, names: Sequence[str]) -> str:
    """Return a question about the nearest name, or nothing."""
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _refuse_unknown(name: str, kind: type) -> None:
    names = [item.name for item in fields(kind)]
    if name not in names:
        raise ValueError(f"unknown setting {name!r}" + (_nearest(name, names) or f"; known are {', '.join(names)}"))


class _Checked:
    """A frozen dataclass whose fields carry the rules for their values."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if not item.metadata["holds"](value):
                raise ValueError(f"{item.name} is {value!r}, expected {item.metadata['expected']}")

    def replace(self, **changes: Any) -> Self:
        """Return the settings with changes.

        Raises
        ------
        ValueError
            If a setting is unknown, or a value is out of range.
        """
        for name in changes:
            _refuse_unknown(name, type(self))
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class NgramConfig(_Checked):
    """Settings of the n-gram scorer.

    Examples
    --------
    >>> NgramConfig(C=0.5).min_df
    (1, 1)
    """

    # Texts that must have a character n-gram, and a word n-gram, for it to be kept.
    min_df: tuple[int, int] = setting(
        (1, 1),
        "two counts, for characters and for words, as in [3, 2]",
        lambda value: (
            isinstance(value, tuple) and len(value) == 2 and all(_is_number(each, 1, inf, True) for each in value)
        ),
    )
    # So many n-grams of the largest weights are kept, for the folder's size; None for all.
    features: int | None = number(175_000, 1, 10_000_000, optional=True)
    # Inverse strength of the linear SVM's penalty.
    C: float = number(0.3, 1e-6, 1e6)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(_Checked):
    """How one model is trained.

    Examples
    --------
    >>> config = TrainConfig.preset("e5", epochs=5)
    >>> config.epochs, config.backbone
    (5, 'bundled')
    >>> TrainConfig.preset("e5", epoch=5)
    Traceback (most recent call last):
    ...
    ValueError: unknown setting 'epoch'; did you mean 'epochs'?
    """

    # ``bundled`` or the folder of another model of this package, whose heads are kept for labels of the same task and
    # name, a folder with a BERT checkpoint, or the id of one on the Hugging Face Hub.
    backbone: str = setting(
        "bundled", "bundled, a folder, or an id on the Hub", lambda value: isinstance(value, str) and value != ""
    )
    # Normalisation of the encoder's input.
    profile: str = choice("default", *PROFILES)
    # Texts are cut after so many tokens in training, and in use; None for as many.
    max_tokens: int = number(160, 8, 512)
    inference_max_tokens: int | None = number(None, 8, 512, optional=True)
    # Share of the rows that validate where no validation data is given.
    validation_share: float = number(0.1, 0.01, 0.5)
    epochs: float = number(8.0, 0.001, 1000)
    # Texts in one step are ``batch_size * gradient_accumulation``.
    batch_size: int = number(32, 1, 4096)
    gradient_accumulation: int = number(1, 1, 4096)
    # Highest learning rates of the encoder's top layer and of the heads.
    learning_rate: float = number(2.0e-4, 0, 1)
    head_learning_rate: float = number(1.5e-3, 0, 1)
    # Learning rate of a layer relative to the one above.
    layer_decay: float = number(0.93, 0.1, 1)
    # Share of the steps in which the rate rises; share of the highest rate that is left at the end.
    warmup_ratio: float = number(0.06, 0, 0.9)
    final_learning_rate_ratio: float = number(0.0, 0, 1)
    weight_decay: float = number(0.01, 0, 1)
    dropout: float = number(0.1, 0, 0.9)
    label_smoothing: float = number(0.05, 0, 0.9)
    # Share of the texts that get typing noise when they are drawn.
    noise_share: float = number(0.3, 0, 1)
    # Share of tokens hidden (in 70% of the texts), and the weight of the loss of guessing them; 0 for none.
    mask_share: float = number(0.15, 0, 0.9)
    mlm_weight: float = number(0.3, 0, 10)
    # Weight of each task's loss; 1 where none is named.
    task_weights: dict[str, float] = numbers("a number of 0 or more for each task", 0, inf)
    # Weight of a text by its label, in the loss and for the n-gram scorer: the same for all, inverse to how many texts
    # the label has (as scikit-learn's ``balanced``), or as given for some labels, with 1 for the others.
    class_weights: Literal["none", "balanced"] | dict[str, float] = numbers(
        "none, balanced, or a number of 0 or more for each label", 0, inf, "none", "balanced"
    )
    # Whether the heads start from nothing, from the mean vector of each label's texts, for labels with few of them, or
    # as a logistic regression on the encoder as it is (:mod:`tawasul_nlp.training.backbone`).
    head_start: Literal["random", "means", "probe"] = choice("random", "random", "means", "probe")
    # Stop after so many epochs without a better ``metric_for_best_model`` on validation, and keep the best epoch; 0 for
    # never.
    early_stopping: int = number(3, 0, 1000)
    # By which early stopping and a search choose, as the mean over the tasks. Macro F1 counts every label the same,
    # however few texts it has.
    metric_for_best_model: Literal["accuracy", "macro_f1"] = choice("accuracy", "accuracy", "macro_f1")
    # Whether to compute in bfloat16; auto where the machine does so by itself.
    bf16: bool | Literal["auto"] = setting(
        "auto", "true, false or auto", lambda value: isinstance(value, bool) or value == "auto"
    )
    seed: int = number(1, 0, 2**32 - 1)
    # None for a model without an n-gram scorer.
    ngram: NgramConfig | None = setting(
        NgramConfig(),
        "an NgramConfig, or None for no n-gram scorer",
        lambda value: value is None or isinstance(value, NgramConfig),
    )
    # How many texts of unknown label calibration adds to the validation texts, which are few in a small table
    # (:func:`tawasul_nlp.evaluation.fitting.fit_task`).
    calibration_prior: float = number(1.0, 0, 1000)
    # Labels that must not be missed, and the share of such texts that is to be found: they are answered from the
    # highest probability on that promises so many with a confidence of 90%, though another may be likelier.
    least_recall: dict[str, float] = numbers("a share above 0 and up to 1 for each label", nextafter(0, 1), 1)
    # Whether to look for labels that are probably wrong and for outliers among the training texts.
    label_issues: bool = flag(True)
    # Whether the model folder also holds the float network, for the torch runtime.
    keep_torch: bool = flag(False)
    # Trackers that the Trainer reports to, such as ``tensorboard`` or ``mlflow``.
    report_to: tuple[str, ...] = setting(
        (),
        "a list of names, as in [tensorboard]",
        lambda value: isinstance(value, tuple) and all(isinstance(name, str) for name in value),
    )

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """Return one of the package's presets with changes.

        Raises
        ------
        ValueError
            If there is no such preset or setting.
        """
        names = preset_names()
        if name not in names:
            raise ValueError(f"there is no preset {name!r}{_nearest(name, names)}; there are {', '.join(names)}")
        return cls.load(PRESETS / f"{name}.yaml").replace(**changes)

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a YAML file and apply overrides.

        Parameters
        ----------
        overrides : sequence of str
            Each ``key=value``, the value in YAML; dots lead into a part: ``ngram.C=0.5``, ``ngram=null``,
            ``task_weights.dept=2``.

        Raises
        ------
        DataError
            If the file does not hold settings; with file and line.
        ValueError
            If there is no such file, or an override is not a setting.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"there is no configuration {path}; write one, or take a preset: {preset_names()}")
        config = cls(**dict(_yaml.read(path, partial(settings_of, cls))))  # type: ignore[call-overload]
        return config.overridden(*overrides)

    def save(self, path: str | Path) -> None:
        """Write the settings as a YAML file that :meth:`load` reads."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)
        Path(path).write_text(text, encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)

    def overridden(self, *overrides: str) -> Self:
        """Return the configuration with each ``key=value`` put into it; see :meth:`load`."""
        config = self
        for override in overrides:
            name, equals, text = override.partition("=")
            first, *rest = name.strip().split(".")
            if not equals or not all((first, *rest)):
                raise ValueError(f"{override!r} is not a setting, expected key=value")
            try:
                config = config.replace(**{first: config._changed(first, rest, _composed(text))})
            except ValueError as error:
                raise ValueError(f"{override}: {str(error).removeprefix(':1: ')}") from error
        return config

    def _changed(self, name: str, parts: Sequence[str], node: yaml.Node) -> Any:
        """Return a setting with a value put into it, or into a part of it."""
        _refuse_unknown(name, type(self))
        before = getattr(self, name)
        if name == "ngram" and len(parts) == 1:
            return (self.ngram or NgramConfig()).replace(**{parts[0]: _value(NgramConfig, parts[0], node)})
        if parts and (isinstance(before, dict) or name == "class_weights"):
            return {**(before if isinstance(before, dict) else {}), ".".join(parts): plain_value(node)}
        if parts:
            raise ValueError(f"{name} has no parts, as ngram, and what has a number for each task or label")
        return _value(type(self), name, node)


def preset_names() -> tuple[str, ...]:
    """Return the names of the package's presets."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def settings_of(kind: type, node: yaml.Node, source: str) -> dict[str, Any]:
    """Return the settings that a mapping names; a DataError names the line of what is none."""
    if not isinstance(node, yaml.MappingNode):
        raise _yaml.error_at(node, source, f"expected settings as 'name: value' lines, got a {node.id}")
    settings: dict[str, Any] = {}
    for key, child in node.value:
        if key.value in settings:
            raise _yaml.error_at(key, source, f"key {key.value!r} appears twice")
        try:
            settings[key.value] = _value(kind, str(key.value), child, source)
        except DataError:
            raise
        except ValueError as error:
            raise _yaml.error_at(key, source, str(error)) from error
    return settings


def _value(kind: type, name: str, node: yaml.Node, source: str = "") -> Any:
    """Return the value of one setting, which is checked by its rule."""
    _refuse_unknown(name, kind)
    value = plain_value(node)
    if name == "ngram" and value is not None:
        return NgramConfig(**settings_of(NgramConfig, node, source))
    rule = next(item.metadata for item in fields(kind) if item.name == name)
    if isinstance(node, yaml.ScalarNode) and not rule["holds"](value):
        value = node.value  # a name such as 2027
    kind(**{name: value})  # which checks it
    return value


def plain_value(node: yaml.Node) -> Any:
    """Return what YAML makes of a value, with names as they are written, and numbers without a point (5e-5) too."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain_value(child) for key, child in node.value}
    if isinstance(node, yaml.SequenceNode):
        return tuple(map(plain_value, node.value))
    try:
        value = yaml.safe_load(yaml.serialize(node))
        return float(value) if isinstance(value, str) else value
    except (ValueError, yaml.YAMLError):
        return node.value


def _composed(text: str) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"the value is not YAML ({' '.join(str(error).split())})") from error
    if node is None:
        raise ValueError("the value is missing")
    return node
