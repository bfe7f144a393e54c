"""Recipes are checked before anything runs, and overrides reach every setting."""

import re
from pathlib import Path

import pytest

from tawasul_nlp.text import PROFILES
from tawasul_nlp.training.config import BUNDLED_RECIPE, FOLDER, read_recipe, table_recipe

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
        ("epoch=3", r"unknown settings epoch \(did you mean epochs\?\); known are backbone"),
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


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "encoder.incidnet_weight=3",
            r"encoder has unknown settings incidnet_weight \(did you mean incident_weight\?\)",
        ),
        ("encoder.backbone=wheel", "encoder has unknown settings backbone; known are epochs"),
        ("encoder.task_weights.topics=1", r"task_weights of encoder has unknown settings topics \(did you mean topic"),
        ("encoder.task_weights=1", "encoder: task_weights is 1, expected a number for each task"),
        ("ngram.feature=10", r"ngram has unknown settings feature \(did you mean features\?\); known are min_df, C"),
        ("ngram.C=0", "ngram.C is 0, expected a number above 0"),
        ("ngrams.C=1", r"unknown settings ngrams \(did you mean ngram\?\); known are stages, encoder, ngram"),
        ("stages=[{epoch: 1}]", r"stage 1 has unknown settings epoch \(did you mean epochs\?\)"),
        ("stages=[2]", "stage 1 is 2, expected settings as 'name: value' lines"),
        ("stages=2", "stages is 2, expected a list of them"),
        ("encoder=2", "encoder is 2, expected settings"),
    ],
)
def test_a_setting_that_no_stage_reads_is_refused_with_the_nearest(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_recipe(BUNDLED_RECIPE, [override])


def test_every_setting_that_a_stage_may_have_is_read_by_the_training() -> None:
    read = set()
    for path in [*FOLDER.parent.glob("*.py"), *BUNDLED_RECIPE.parents[1].glob("*.py")]:
        read |= set(
            re.findall(r"""\b(?:recipe|settings)(?:\[|\.get\()["'](\w+)["']""", path.read_text(encoding="utf-8"))
        )
    with pytest.raises(ValueError, match="known are") as caught:
        read_recipe(BUNDLED_RECIPE, ["encoder.strange=1"])
    known = set(str(caught.value).partition("known are ")[2].split(", "))
    elsewhere = {"stages", "encoder", "ngram", "min_df", "C", "features", "backbone", "profile"}
    assert known <= read and read - known <= elsewhere
