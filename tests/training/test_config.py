"""Settings are checked wherever they come from, and the error names what was meant."""

from pathlib import Path

import pytest

from tawasul_nlp import DataError
from tawasul_nlp.training import TrainConfig
from tawasul_nlp.training.config import NgramConfig, Stage, preset_names

BUNDLED = Path(__file__).parents[2] / "training" / "recipes" / "bundled.yaml"


@pytest.mark.parametrize("name", [*preset_names(), "bundled"])
def test_every_preset_is_sound_and_what_is_saved_is_loaded_again(name, tmp_path):
    config = TrainConfig.load(BUNDLED) if name == "bundled" else TrainConfig.preset(name, task_weights={"الجهة": 0.5})
    assert config.profile == (name if name.startswith("arabert") else "default")  # of the checkpoint's preprocessing
    assert config.head_learning_rate > config.learning_rate
    for weights in ("none", "balanced", {"طرق": 2.0}):
        weighed = config.replace(class_weights=weights)
        weighed.save(tmp_path / "config.yaml")
        assert TrainConfig.load(tmp_path / "config.yaml") == weighed


def test_the_settings_at_the_top_and_changes_of_them_are_those_of_every_stage():
    config = TrainConfig.load(BUNDLED)
    assert [stage.seed for stage in config.passes()] == [1, 2, 3, 4]
    assert [stage.incident_groups for stage in config.passes()] == [0, 6, 4, 6]
    assert {stage.secondary_share for stage in config.passes()} == {0.15}
    assert TrainConfig(epochs=3).passes() == (Stage(epochs=3),)
    changed = TrainConfig.load(BUNDLED, ["batch_size=16", "stages.2.epochs=0.5"])
    assert {stage.batch_size for stage in changed.passes()} == {16}
    assert changed.passes()[1].epochs == 0.5 != changed.passes()[0].epochs
    assert {stage.bf16 for stage in changed.replace(bf16=False).passes()} == {False}


def test_overrides_reach_parts_and_numbers_in_any_form():
    config = TrainConfig.preset("e5")
    for override in ("learning_rate=1e-4", "ngram.C=0.5", "backbone=models/mine", "report_to=[tensorboard]"):
        config = config.overridden(override)
    assert config.learning_rate == 0.0001
    assert config.ngram == NgramConfig(min_df=(1, 1), features=175_000, C=0.5)
    assert (config.backbone, config.report_to) == ("models/mine", ("tensorboard",))
    assert config.overridden("ngram=null").ngram is None
    assert config.overridden("task_weights.dept=5e-1").task_weights == {"dept": 0.5}
    assert config.overridden("least_recall.emergency=0.95").least_recall == {"emergency": 0.95}
    assert config.overridden("oversample.dept=3").oversample == {"dept": 3}
    assert config.overridden("class_weights=balanced").class_weights == "balanced"
    assert config.overridden("class_weights.طرق. وجسور=2").class_weights == {"طرق. وجسور": 2}


def test_a_stage_for_incidents_is_added_where_there_is_none():
    first, second = TrainConfig(epochs=4, head_start="probe").with_incident_stage().passes()
    assert (first.early_stopping, second.early_stopping) == (3, 0)
    assert (first.incident_groups, first.head_start, first.epochs) == (0, "probe", 4)
    assert (second.incident_groups, second.head_start, second.epochs) == (8, "random", 2)
    bundled = TrainConfig.load(BUNDLED)
    assert bundled.with_incident_stage() == bundled


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epoch=3", "epoch=3: unknown setting 'epoch'; did you mean 'epochs'?"),
        ("learning_rate=fast", "learning_rate is 'fast', expected a number from 0 to 1"),
        ("learning_rate=3", "learning_rate is '3', expected a number from 0 to 1"),
        ("batch_size=8.5", "expected a whole number from 1 to 4096"),
        ("profile=arabic", "expected one of default"),
        ("ngram.depth=3", "unknown setting 'depth'; known are min_df, features, C"),
        ("learning_rate.top=1", "learning_rate has no parts"),
        ("epochs", "'epochs' is not a setting, expected key=value"),
        ("report_to=tensorboard", "report_to is 'tensorboard', expected a list of names, as in [tensorboard]"),
        ("report_to=[[1]]", "expected a list of names"),
        ("task_weights=2", "task_weights is '2', expected a number of 0 or more for each task"),
        ("task_weights.dept=-1", "expected a number of 0 or more"),
        ("task_weights.dept=true", "expected a number of 0 or more"),
        ("task_weights.dept=.nan", "expected a number of 0 or more"),
        ("oversample.dept=0.5", "expected a whole number from 1 to 1000 for each task"),
        ("class_weights=even", "class_weights is 'even', expected none, balanced, or a number of 0 or more for each"),
        ("ngram=5", "expected settings as 'name: value' lines, got a scalar"),
        ("ngram.C=-1", "C is '-1', expected a number from"),
        ("ngram.min_df=3", "min_df is '3', expected two counts"),
        ("ngram.features=0", "features is '0', expected a whole number from 1"),
        ("backbone=", "the value is missing"),
        ("keep_torch=maybe", "keep_torch is 'maybe', expected true or false"),
        ("seed=once", "seed is 'once', expected a whole number"),
        ("seed=[", "seed=[: the value is not YAML"),
        ("stages.1.epochs=2", "there is no stage 1; there are 0"),
    ],
)
def test_a_wrong_override_is_refused_with_what_was_expected(override, message):
    with pytest.raises(ValueError) as caught:
        TrainConfig.preset("e5").overridden(override)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nlearning_rte: 0.1\n", ":2: unknown setting 'learning_rte'; did you mean 'learning_rate'?"),
        ("epochs: 3\nstages:\n  - {epochs: 2}\n  - {epochs: -2}\n", ":4: epochs is '-2', expected a number"),
        ("stages:\n  - backbone: bundled\n", ":2: unknown setting 'backbone'"),
        ("stages:\n  - 2\n", ":2: expected settings as 'name: value' lines, got a scalar"),
        ("stages: 2\n", ":1: expected a list"),
        ("ngram:\n  min_df: [1, 1]\n  feature: 10\n", ":3: unknown setting 'feature'; did you mean 'features'?"),
        ("epochs: 3\nepochs: 4\n", ":2: key 'epochs' appears twice"),
        ("epochs: [\n", "not valid YAML"),
    ],
)
def test_a_file_is_refused_with_its_line_and_the_nearest_setting(text, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        TrainConfig.load(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_settings_that_are_made_in_python_are_checked_likewise():
    with pytest.raises(ValueError, match="epochs is 0, expected a number from"):
        Stage(epochs=0)
    with pytest.raises(ValueError, match=r"min_df is \[3, 2\], expected two counts"):
        NgramConfig(min_df=[3, 2])
    with pytest.raises(ValueError, match="ngram is 3, expected an NgramConfig"):
        TrainConfig(ngram=3)
    with pytest.raises(ValueError, match="unknown setting 'learning_rte'; did you mean 'learning_rate'?"):
        TrainConfig().replace(learning_rte=1)


def test_a_file_or_preset_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(ValueError, match="arabert"):
        TrainConfig.load("no-such.yaml")
    with pytest.raises(ValueError, match="no preset 'arabart'; did you mean 'arabert'"):
        TrainConfig.preset("arabart")
