"""Recipes are checked before anything runs, and overrides reach every setting."""

from pathlib import Path

import pytest

from tawasul_nlp.text import PROFILES
from training.recipe import BUNDLED_RECIPE, FOLDER, read_recipe, table_recipe

SHIPPED = sorted(path for path in FOLDER.glob("*.yaml") if path != BUNDLED_RECIPE)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_sound(path: Path) -> None:
    recipe = table_recipe(read_recipe(path), str(path))
    assert recipe.profile in PROFILES
    assert recipe.head_rate > recipe.rate


def test_the_arabert_recipes_use_the_preprocessing_of_their_checkpoints() -> None:
    profiles = {path.stem: table_recipe(read_recipe(path)).profile for path in SHIPPED}
    assert profiles["arabert"] == "arabert"
    assert profiles["arabert-twitter"] == "arabert-twitter"


def test_overrides_reach_parts_and_numbers_in_any_form() -> None:
    path = FOLDER / "e5.yaml"
    raw = read_recipe(path, ["rate=1e-4", "ngram.C=0.5", "backbone=models/mine", "report_to=[tensorboard]"])
    recipe = table_recipe(raw)
    assert recipe.rate == 0.0001
    assert recipe.ngram == {"min_df": [1, 1], "features": 175_000, "C": 0.5}
    assert recipe.backbone == "models/mine"
    assert recipe.report_to == ["tensorboard"]
    assert table_recipe(read_recipe(path, ["ngram=null"])).ngram is None
    assert table_recipe(read_recipe(path, ["task_weights.dept=5e-1"])).task_weights == {"dept": 0.5}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epoch=3", "unknown settings epoch; known are backbone"),
        ("rate=fast", "rate is 'fast', expected a number"),
        ("rate=3", "rate is 3, expected 0 to 1"),
        ("batch_size=8.5", "expected a whole number"),
        ("profile=arabic", "expected one of default"),
        ("ngram.depth=3", "expected min_df, C"),
        ("rate.top=1", "expected a number"),
        ("epochs", "expected key=value"),
        ("report_to=tensorboard", r"report_to is 'tensorboard', expected a list of names, as in \[tensorboard\]"),
        ("report_to=[1]", "expected a list of names"),
        ("report_to=null", "expected a list of names"),
        ("task_weights=2", "task_weights is 2, expected a number of 0 or more for each task"),
        ("task_weights.dept=much", "expected a number of 0 or more"),
        ("task_weights.dept=-1", "expected a number of 0 or more"),
        ("task_weights.dept=true", "expected a number of 0 or more"),
        ("task_weights.dept=.nan", "expected a number of 0 or more"),
        ("ngram=5", "ngram is 5, expected min_df, C"),
        ("ngram.C=-1", "ngram.C is -1, expected a number above 0"),
        ("ngram.min_df=3", "ngram.min_df is 3, expected two counts"),
        ("ngram.min_df=[a, 2]", "expected two counts"),
        ("ngram.features=0", "ngram.features is 0, expected a whole number"),
        ("profile=[default]", "expected one of default"),
        ("backbone=5", "backbone is 5, expected wheel, a folder"),
        ("keep_torch=maybe", "keep_torch is 'maybe', expected true or false"),
        ("seed=once", "seed is 'once', expected a whole number"),
        ("seed=[", r"--set seed=\[: the value is not YAML"),
    ],
)
def test_a_wrong_override_is_refused_with_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_recipe(read_recipe(FOLDER / "e5.yaml", [override]))


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="arabert.yaml"):
        read_recipe(Path("no-such.yaml"))


def test_the_bundled_recipe_keeps_its_stages() -> None:
    raw = read_recipe(BUNDLED_RECIPE, ["encoder.batch_size=16"])
    assert raw["encoder"]["batch_size"] == 16
    assert len(raw["stages"]) == 2
