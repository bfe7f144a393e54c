"""What happens between the stages of the bundled recipe."""

import pytest

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.training.config import read_recipe
from training.stages import claim, train_in_stages
from training.train import BUNDLED_RECIPE


def test_a_stage_is_not_gone_on_with_under_other_settings(tmp_path):
    settings = {"epochs": 2.25, "rate": 1e-4, "seed": 2}
    claim(tmp_path / "stage1", settings)
    claim(tmp_path / "stage1", settings)
    with pytest.raises(ValueError, match=r"stage1: begun with another recipe \(epochs, seed\); go on with that"):
        claim(tmp_path / "stage1", {"epochs": 1, "rate": 1e-4})


def test_a_model_to_go_on_from_that_is_not_there_is_refused_before_any_training(tmp_path):
    with pytest.raises(ModelFormatError, match="no config.json"):
        train_in_stages(read_recipe(BUNDLED_RECIPE), tmp_path / "run", first_stage=2, from_model=tmp_path / "absent")
