"""What happens between the stages of the bundled recipe."""

import pytest
import torch
from safetensors.torch import save_file

from tawasul_nlp.errors import ModelFormatError
from training.recipe import read_recipe
from training.stages import claim, mean_state, train_in_stages
from training.train import BUNDLED_RECIPE


def test_the_mean_of_states_has_the_weights_that_all_of_them_have(tmp_path):
    states = [
        {"network.a": torch.tensor([1.0, 2.0]), "network.b": torch.ones(1), "guess": torch.zeros(1)},
        {"network.a": torch.tensor([3.0, 8.0]), "network.b": torch.zeros(1)},
    ]
    paths = [tmp_path / f"{n}.safetensors" for n in range(len(states))]
    for path, state in zip(paths, states, strict=True):
        save_file(state, path)
    mean = mean_state(paths)
    assert {name: values.tolist() for name, values in mean.items()} == {"network.a": [2.0, 5.0], "network.b": [0.5]}


def test_a_stage_is_not_gone_on_with_under_other_settings(tmp_path):
    settings = {"epochs": 2.25, "rate": 1e-4, "mean_of": 2}
    claim(tmp_path / "stage1", settings)
    claim(tmp_path / "stage1", settings)
    with pytest.raises(ValueError, match=r"stage1: begun with another recipe \(epochs, mean_of\); go on with that"):
        claim(tmp_path / "stage1", {"epochs": 1, "rate": 1e-4})


def test_a_mean_with_stages_that_are_not_trained_is_refused_before_any_training(tmp_path):
    recipe = read_recipe(BUNDLED_RECIPE)
    stages = recipe["stages"]
    assert stages[6]["mean_of"] == 3 and stages[7]["mean_of"] == 2
    with pytest.raises(ValueError, match="stage 7 ends with the mean of 3 stages, but training starts at 7; .* 2 or"):
        train_in_stages(recipe, tmp_path, first_stage=7, from_model=tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="stage 1 ends with the mean of 2 stages"):
        train_in_stages({**recipe, "stages": [{**stages[0], "mean_of": 2}]}, tmp_path)
    with pytest.raises(ModelFormatError, match="no config.json"):  # as far as the model, which is not there
        train_in_stages(recipe, tmp_path / "run", first_stage=8, from_model=tmp_path / "absent")
