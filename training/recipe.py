"""A recipe: how the bundled model is trained, in stages, and what it learns beside labels.

In YAML, settings at the top are the defaults of every stage, and each entry of ``stages`` says what is different in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from tawasul_nlp import _yaml
from tawasul_nlp.training.config import TrainConfig, number, numbers, setting, settings_of

RECIPES = Path(__file__).parent / "recipes"
# A stage takes them from the recipe.
_OF_THE_MODEL = ("backbone", "profile", "max_tokens", "inference_max_tokens", "ngram", "least_recall", "verifier_pairs")


@dataclass(frozen=True, kw_only=True)
class Stage(TrainConfig):
    """Settings of one pass of fine-tuning, each from where the last one ended."""

    # Share of the target that goes to a text's second label.
    secondary_share: float = number(0.0, 0, 0.5)
    # Share of the target of topics, agencies and kinds that is what the teacher says.
    teacher_share: float = number(0.0, 0, 1)
    # Pairs of texts on which the verifier is trained; 0 for none: an earlier model that reads pairs does it as it is.
    verifier_pairs: int = number(0, 0, 10_000_000)
    # Groups of reports of one incident in every batch; 0 for none. Weight and temperature of the contrastive loss on
    # these groups.
    incident_groups: int = number(0, 0, 4096)
    incident_weight: float = number(0.75, 0, 10)
    incident_temperature: float = number(0.07, 0.001, 10)
    # Incident vectors of the last batches that serve as further negatives.
    recent_vectors: int = number(2048, 0, 1_000_000)
    # Weight of the losses on texts whose clauses are marked.
    clause_weight: float = number(1.0, 0, 10)
    # How often a row comes in an epoch that has a label of a task, or marked clauses (``clauses``), so that what few
    # rows teach is learned as well as the rest; once where nothing is named.
    oversample: dict[str, int] = numbers(
        "a whole number from 1 to 1000 for each task, or for clauses", 1, 1000, whole=True
    )


@dataclass(frozen=True, kw_only=True)
class Recipe(Stage):
    """Settings of the whole training, which are the defaults of its stages.

    Examples
    --------
    >>> recipe = Recipe(stages=(Stage(epochs=2), Stage(epochs=1, incident_groups=8)))
    >>> [stage.seed for stage in recipe.replace(seed=5).stages]
    [5, 5]
    """

    stages: tuple[Stage, ...] = setting(
        (Stage(),),
        "a tuple of Stage",
        lambda value: isinstance(value, tuple) and value != () and all(isinstance(stage, Stage) for stage in value),
    )

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Self:
        """Read a YAML file and apply overrides, which may be of one stage: ``stages.2.epochs=1``.

        Raises
        ------
        DataError
            If the file does not hold settings; with file and line.
        ValueError
            If there is no such file, or an override is not a setting.
        """
        if not Path(path).is_file():
            raise ValueError(f"there is no recipe {path}; there are {', '.join(map(str, RECIPES.glob('*.yaml')))}")
        values = dict(_yaml.read(Path(path), _recipe))  # type: ignore[call-overload]
        return cls(**values).overridden(*overrides)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain data: all of them, and of each stage what is different in it."""
        settings = dataclasses.asdict(self)
        stages = settings.pop("stages")
        different = [{name: value for name, value in stage.items() if value != settings[name]} for stage in stages]
        return {**settings, "stages": different}

    def replace(self, **changes: Any) -> Self:
        """Return the recipe with changes; a change of a setting holds for every stage."""
        if "stages" not in changes:
            return super().replace(**changes, stages=tuple(stage.replace(**changes) for stage in self.stages))
        return super().replace(**changes)

    def overridden(self, *overrides: str) -> Self:
        """Return the recipe with each ``key=value`` put into it; see :meth:`load`."""
        recipe = self
        for override in overrides:
            first, _, of_stage = override.partition(".")
            if first != "stages":
                recipe = super(Recipe, recipe).overridden(override)
                continue
            which, _, changed = of_stage.partition(".")
            if not which.isdecimal() or not 1 <= int(which) <= len(self.stages):
                raise ValueError(f"{override}: there is no stage {which}; there are {len(self.stages)}")
            stages = list(recipe.stages)
            stages[int(which) - 1] = stages[int(which) - 1].overridden(changed)
            recipe = recipe.replace(stages=tuple(stages))
        return recipe


def _recipe(node: yaml.Node, source: str) -> dict[str, Any]:
    """Return the settings that a recipe's YAML names."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    listed = [child for key, child in pairs if key.value == "stages"]
    of_all = yaml.MappingNode(node.tag, [(key, child) for key, child in pairs if key.value != "stages"])
    common = settings_of(Stage, of_all if pairs else node, source)

    def stage(node: yaml.Node, source: str) -> Stage:
        own = settings_of(Stage, node, source)
        misplaced = [name for name in _OF_THE_MODEL if name in own]
        if misplaced:
            raise _yaml.error_at(node, source, f"{misplaced[0]} is one for all stages; set it beside them")
        return Stage(**{**common, **own})

    stages = _yaml.list_of(stage)(listed[0], source) if listed else (Stage(**common),)
    return {**common, "stages": stages}
