"""A recipe has the settings of all stages at its top, and of each stage what is different in it."""

import pytest

from tawasul_nlp import DataError
from training.recipe import RECIPES, Recipe, Stage


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_sound_and_what_is_saved_is_loaded_again(path, tmp_path):
    recipe = Recipe.load(path, ["class_weights.طرق=2"])
    assert recipe.profile == ("arabert" if "arabert" in path.stem else "default")
    recipe.save(tmp_path / "config.yaml")
    assert Recipe.load(tmp_path / "config.yaml") == recipe


def test_the_settings_at_the_top_and_changes_of_them_are_those_of_every_stage():
    recipe = Recipe.load(RECIPES / "bundled.yaml")
    assert [stage.seed for stage in recipe.stages] == [1, 2]
    assert [stage.incident_groups for stage in recipe.stages] == [6, 6]
    assert {stage.secondary_share for stage in recipe.stages} == {0.15}
    changed = Recipe.load(RECIPES / "bundled.yaml", ["batch_size=16", "stages.2.epochs=0.5", "oversample.kind=3"])
    assert {stage.batch_size for stage in changed.stages} == {16}
    assert changed.stages[1].epochs == 0.5 != changed.stages[0].epochs
    assert {stage.bf16 for stage in changed.replace(bf16=False).stages} == {False}
    assert changed.oversample == {"kind": 3}


def test_a_recipe_without_stages_has_one(tmp_path):
    (tmp_path / "recipe.yaml").write_text("epochs: 3\n")
    assert Recipe.load(tmp_path / "recipe.yaml").stages == (Stage(epochs=3),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nstages:\n  - {epochs: 2}\n  - {epochs: -2}\n", ":4: epochs is '-2', expected a number"),
        ("stages:\n  - backbone: bundled\n", ":2: backbone is one for all stages; set it beside them"),
        ("stages:\n  - 2\n", ":2: expected settings as 'name: value' lines, got a scalar"),
        ("stages: 2\n", ":1: expected a list"),
        ("verifier_pair: 2\n", ":1: unknown setting 'verifier_pair'; did you mean 'verifier_pairs'?"),
    ],
)
def test_a_recipe_is_refused_with_its_line(text, message, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        Recipe.load(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.5.epochs=2", "there is no stage 5; there are 2"),
        ("stages.1.epoch=2", "unknown setting 'epoch'"),
        ("oversample.dept=0.5", "expected a whole number from 1 to 1000 for each task"),
    ],
)
def test_a_wrong_override_is_refused(override, message):
    with pytest.raises(ValueError, match=message):
        Recipe.load(RECIPES / "bundled.yaml", [override])
