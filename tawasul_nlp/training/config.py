"""How a model is trained: typed settings, and the YAML form in which they are kept.

A :class:`TrainConfig` is checked when it is made, whether in Python, from a preset or from a file. In YAML, settings at
the top are the defaults of every stage, and each entry of ``stages`` says what is different in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp.training.config_values import MAPPINGS, check_names, nearest, problem_of, setting_names
from tawasul_nlp.training.config_yaml import read_setting, read_weight, settings_schema

PRESETS: Final = Path(__file__).parent / "presets"

HeadStart = Literal["random", "means", "probe"]
_Settings = TypeVar("_Settings", bound="_Checked")


class _Checked:
    """A frozen dataclass whose values are checked one by one."""

    def __post_init__(self) -> None:
        for name in setting_names(type(self)):
            problem = problem_of(name, getattr(self, name))
            if problem:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected {problem}")

    def replace(self: _Settings, **changes: Any) -> _Settings:
        """Return the settings with changes.

        Raises
        ------
        ValueError
            If a setting is unknown, or a value is out of range.
        """
        check_names(changes, setting_names(type(self)))
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class NgramConfig(_Checked):
    """Settings of the n-gram scorer.

    Attributes
    ----------
    min_df : tuple of int
        Texts that must have a character n-gram, and a word n-gram, for it to be kept.
    features : int or None
        So many n-grams of the largest weights are kept, for the folder's size; None for all.
    C : float
        Inverse strength of the linear SVM's penalty.

    Examples
    --------
    >>> NgramConfig(C=0.5).min_df
    (1, 1)
    """

    min_df: tuple[int, int] = (1, 1)
    features: int | None = 175_000
    C: float = 0.3


@dataclass(frozen=True, kw_only=True)
class Stage(_Checked):
    """Settings of one pass of fine-tuning.

    Attributes
    ----------
    epochs, batch_size, gradient_accumulation : number
        Texts in one step are ``batch_size * gradient_accumulation``.
    learning_rate, head_learning_rate : float
        Highest learning rates of the encoder's top layer and of the heads.
    layer_decay : float
        Learning rate of a layer relative to the one above.
    warmup_ratio, final_learning_rate_ratio : float
        Share of the steps in which the rate rises; share of the highest rate that is left at the end.
    weight_decay, dropout, label_smoothing : float
    secondary_share : float
        Share of the target that goes to a text's second label, for data that has second labels.
    confusable_share : float
        Share of the target that goes to the labels that are related to the text's own, for data that knows these.
    noise_share : float
        Share of the texts that get typing noise when they are drawn.
    mask_share, mlm_weight : float
        Share of tokens hidden (in 70% of the texts), and the weight of the loss of guessing them; 0 for none.
    task_weights : dict of str to float
        Weight of each task's loss; 1 where none is named.
    class_weights : {"none", "balanced"} or dict of str to float
        Weight of a text in the loss by its label: the same for all, inverse to how many texts the label has (as
        scikit-learn's ``balanced``), or as given for some labels, with 1 for the others. The n-gram scorer is fitted
        with those of the configuration itself, whatever its stages say.
    incident_groups : int
        Groups of reports of one incident in every batch, for data with incidents; 0 for none.
    incident_weight, incident_temperature : float
        Weight and temperature of the contrastive loss on these groups.
    recent_vectors : int
        Incident vectors of the last batches that serve as further negatives.
    pairs : int
        Pairs of texts in every batch that are read together, to tell whether both report one event; for data with
        incidents, 0 for none.
    pair_weight : float
        Weight of their loss.
    clause_weight : float
        Weight of the losses on texts whose clauses are marked, for data with such texts.
    oversample : dict of str to int
        How often a row comes in an epoch that has a label of a task, or marked clauses (``clauses``), so that what few
        rows teach is learned as well as the rest; once where nothing is named.
    head_start : {"random", "means", "probe"}
        Whether the heads of a first stage start from nothing, from the mean vector of each label's texts, for labels
        with few of them, or as a logistic regression on the encoder as it is (:mod:`tawasul_nlp.training.heads`).
    early_stopping : int
        Stop after so many epochs without a better ``metric_for_best_model`` on validation, and keep the best epoch; 0
        for never.
    metric_for_best_model : {"accuracy", "macro_f1"}
        By which early stopping and a search choose, as the mean over the tasks. Macro F1 counts every label the same,
        however few texts it has.
    bf16 : bool or "auto"
        Whether to compute in bfloat16; auto where the machine does so by itself.
    seed : int

    Examples
    --------
    >>> Stage(epochs=2, learning_rate=3)
    Traceback (most recent call last):
    ...
    ValueError: learning_rate is 3, expected a number from 0 to 1
    """

    epochs: float = 8
    batch_size: int = 32
    gradient_accumulation: int = 1
    learning_rate: float = 2.0e-4
    head_learning_rate: float = 1.5e-3
    layer_decay: float = 0.93
    warmup_ratio: float = 0.06
    final_learning_rate_ratio: float = 0.0
    weight_decay: float = 0.01
    dropout: float = 0.1
    label_smoothing: float = 0.05
    secondary_share: float = 0.0
    confusable_share: float = 0.0
    noise_share: float = 0.3
    mask_share: float = 0.15
    mlm_weight: float = 0.3
    task_weights: dict[str, float] = field(default_factory=dict)
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    incident_groups: int = 0
    incident_weight: float = 0.75
    incident_temperature: float = 0.07
    recent_vectors: int = 2048
    pairs: int = 0
    pair_weight: float = 1.0
    clause_weight: float = 1.0
    oversample: dict[str, int] = field(default_factory=dict)
    head_start: HeadStart = "random"
    early_stopping: int = 3
    metric_for_best_model: Literal["accuracy", "macro_f1"] = "accuracy"
    bf16: bool | Literal["auto"] = "auto"
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Stage):
    """How one model is trained.

    Attributes
    ----------
    backbone : str
        ``bundled`` or the folder of another model of this package, whose heads are kept for labels of the same task and
        name, a folder with a BERT checkpoint, or the id of one on the Hugging Face Hub.
    layers : int or None
        So many of the backbone's layers are kept, evenly spaced from the first; None for all.
    whole_words : int
        So many of the training texts' most frequent words become tokens of their own, for shorter inputs. Their vectors
        start from those of their pieces.
    profile : str
        Normalisation of the encoder's input (:data:`tawasul_nlp.text.PROFILES`).
    max_tokens : int
        Texts are cut after so many tokens in training.
    inference_max_tokens : int or None
        And in use; None for as many.
    validation_share : float
        Share of the rows that validate where no validation data is given.
    ngram : NgramConfig or None
        None for a model without an n-gram scorer.
    calibration_prior : float
        How many texts of unknown label calibration adds to the validation texts, which are few in a small table
        (:func:`tawasul_nlp.evaluation.fitting.fit_task`).
    least_recall : dict of str to float
        Labels that must not be missed, and the share of their validation texts that is to be found: they are answered
        from the probability on that finds so many (:attr:`TaskConfig.preferred`), though another may be likelier.
    label_issues : bool
        Whether to look for labels that are probably wrong and for outliers among the training texts.
    keep_torch : bool
        Whether the model folder also holds the float network, for the torch runtime.
    report_to : tuple of str
        Trackers that the Trainer reports to, such as ``tensorboard`` or ``mlflow``.
    stages : tuple of Stage
        One after another, each from where the last one ended; none if the configuration itself is the only stage.

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

    backbone: str = "bundled"
    layers: int | None = None
    whole_words: int = 0
    profile: str = "default"
    max_tokens: int = 160
    inference_max_tokens: int | None = None
    validation_share: float = 0.1
    ngram: NgramConfig | None = field(default_factory=NgramConfig)
    calibration_prior: float = 1.0
    least_recall: dict[str, float] = field(default_factory=dict)
    label_issues: bool = True
    keep_torch: bool = False
    report_to: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ngram is not None and not isinstance(self.ngram, NgramConfig):
            raise ValueError(f"ngram is {self.ngram!r}, expected an NgramConfig, or None for no n-gram scorer")
        if not isinstance(self.stages, tuple) or not all(isinstance(stage, Stage) for stage in self.stages):
            raise ValueError(f"stages is {self.stages!r}, expected a tuple of Stage")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> TrainConfig:
        """Return one of the package's presets with changes.

        Raises
        ------
        ValueError
            If there is no such preset or setting.
        """
        known = preset_names()
        if name not in known:
            raise ValueError(f"there is no preset {name!r}{nearest(name, known)}; there are {', '.join(known)}")
        return cls.load(PRESETS / f"{name}.yaml").replace(**changes)

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
        """Read a YAML file and apply overrides.

        Parameters
        ----------
        path : str or Path
        overrides : sequence of str
            Each ``key=value``, the value in YAML; dots lead into a part: ``ngram.C=0.5``, ``ngram=null``,
            ``task_weights.dept=2``, ``stages.2.epochs=1``.

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
        values = dict(_yaml.read(path, settings_schema(cls, _PARTS)).values)
        stages = values.pop("stages", None) or ()
        common = {name: value for name, value in values.items() if name in setting_names(Stage)}
        config = cls(**values, stages=tuple(Stage(**{**common, **stage}) for stage in stages))
        for override in overrides:
            config = config.overridden(override)
        return config

    def save(self, path: str | Path) -> None:
        """Write the settings as a YAML file that :meth:`load` reads."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)
        Path(path).write_text(text, encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data: all of them, and of each stage what is different in it."""
        names = [name for name in setting_names(TrainConfig) if name != "stages"]
        own: dict[str, Any] = {name: _plain(getattr(self, name)) for name in names}
        stages = [{name: _plain(getattr(stage, name)) for name in setting_names(Stage)} for stage in self.stages]
        different = [{name: value for name, value in stage.items() if value != own[name]} for stage in stages]
        return {**own, "stages": different} if stages else own

    def replace(self, **changes: Any) -> TrainConfig:
        """Return the configuration with changes; a change of a stage's setting holds for every stage.

        Examples
        --------
        >>> config = TrainConfig(stages=(Stage(epochs=2), Stage(epochs=1, incident_groups=8)))
        >>> [stage.seed for stage in config.replace(seed=5).stages]
        [5, 5]
        """
        common = {name: value for name, value in changes.items() if name in setting_names(Stage)}
        if common and "stages" not in changes:
            changes["stages"] = tuple(stage.replace(**common) for stage in self.stages)
        return super().replace(**changes)

    def overridden(self, override: str) -> TrainConfig:
        """Return the configuration with one ``key=value`` put into it; see :meth:`load`."""
        name, equals, value = override.partition("=")
        way = name.strip().split(".")
        if not equals or not all(way):
            raise ValueError(f"{override!r} is not a setting, expected key=value")
        try:
            return self._put(way, value)
        except ValueError as error:
            raise ValueError(f"{override}: {error}") from error

    def _put(self, way: list[str], value: str) -> TrainConfig:
        first, *rest = way
        if first == "stages" and len(rest) == 2:
            if not rest[0].isdecimal() or not 1 <= int(rest[0]) <= len(self.stages):
                raise ValueError(f"there is no stage {rest[0]}; there are {len(self.stages)}")
            at = int(rest[0]) - 1
            changed = self.stages[at].replace(**{rest[1]: read_setting(Stage, rest[1], value, _PARTS)})
            return self.replace(stages=(*self.stages[:at], changed, *self.stages[at + 1 :]))
        if first == "ngram" and len(rest) == 1:
            part = (self.ngram or NgramConfig()).replace(**{rest[0]: read_setting(NgramConfig, rest[0], value, _PARTS)})
            return self.replace(ngram=part)
        if first in MAPPINGS and rest:
            known = getattr(self, first)
            return self.replace(
                **{first: {**(known if isinstance(known, dict) else {}), ".".join(rest): read_weight(value)}}
            )
        if rest:
            parts = ", ".join(f"{name}.{key}" for name, key in MAPPINGS.items())
            raise ValueError(f"{first} has no parts; parts are ngram.KEY, {parts} and stages.NUMBER.KEY")
        return self.replace(**{first: read_setting(TrainConfig, first, value, _PARTS)})

    def passes(self) -> tuple[Stage, ...]:
        """Return the stages of the training: :attr:`stages`, or the configuration itself as the only one."""
        return self.stages or (Stage(**{name: getattr(self, name) for name in setting_names(Stage)}),)

    def with_incident_stage(self) -> TrainConfig:
        """Return the configuration with a last stage that learns incidents, unless a stage does so already.

        The contrastive loss makes a training collapse that begins with it, so it gets a stage of its own, half as long
        as the last one and with two thirds of its learning rates.
        """
        stages = self.passes()
        if any(stage.incident_groups for stage in stages):
            return self
        last = stages[-1]
        more = last.replace(
            epochs=max(1, last.epochs / 2),
            learning_rate=last.learning_rate * 2 / 3,
            head_learning_rate=last.head_learning_rate * 2 / 3,
            warmup_ratio=0.03,
            incident_groups=8,
            head_start="random",
            early_stopping=0,  # by the accuracy of the labels, which this stage is not for
            seed=last.seed + 1,
        )
        return self.replace(stages=(*stages, more))


# The settings with settings of their own.
_PARTS: Final[Mapping[str, type]] = {"ngram": NgramConfig, "stages": Stage}


def preset_names() -> tuple[str, ...]:
    """Return the names of the package's presets."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def _plain(value: Any) -> Any:
    if isinstance(value, NgramConfig):
        return {name: _plain(getattr(value, name)) for name in setting_names(NgramConfig)}
    return list(value) if isinstance(value, tuple) else value
