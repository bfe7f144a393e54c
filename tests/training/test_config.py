"""Settings are checked wherever they come from, and the error names what was meant."""

import pytest

from tawasul_nlp import DataError
from tawasul_nlp.training import TrainConfig
from tawasul_nlp.training.config import NgramConfig, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_sound_and_what_is_saved_is_loaded_again(name, tmp_path):
    config = TrainConfig.preset(name, task_weights={"الجهة": 0.5})
    assert config.profile == (name if name.startswith("arabert") else "default")  # of the checkpoint's preprocessing
    assert config.head_learning_rate > config.learning_rate
    for weights in ("none", "balanced", {"طرق": 2.0}):
        weighed = config.replace(class_weights=weights)
        weighed.save(tmp_path / "config.yaml")
        assert TrainConfig.load(tmp_path / "config.yaml") == weighed


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
    assert config.overridden("class_weights=balanced").class_weights == "balanced"
    assert config.overridden("class_weights.طرق. وجسور=2").class_weights == {"طرق. وجسور": 2}


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
        ("incident_groups=8", "unknown setting 'incident_groups'"),
        ("class_weights=even", "class_weights is 'even', expected none, balanced, or a number of 0 or more for each"),
        ("ngram=5", "expected settings as 'name: value' lines, got a scalar"),
        ("ngram.C=-1", "C is '-1', expected a number from"),
        ("ngram.min_df=3", "min_df is '3', expected two counts"),
        ("ngram.features=0", "features is '0', expected a whole number from 1"),
        ("backbone=", "the value is missing"),
        ("keep_torch=maybe", "keep_torch is 'maybe', expected true or false"),
        ("seed=once", "seed is 'once', expected a whole number"),
        ("seed=[", "seed=[: the value is not YAML"),
        ("stages.1.epochs=2", "unknown setting 'stages'"),
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
        ("batch_size: 8\nepochs: -2\n", ":2: epochs is '-2', expected a number"),
        ("- epochs\n", ":1: expected settings as 'name: value' lines, got a sequence"),
        ("epochs: 3\nstages: []\n", ":2: unknown setting 'stages'"),
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
        TrainConfig(epochs=0)
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
