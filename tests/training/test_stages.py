"""What happens between the stages of the bundled recipe."""

import torch
from safetensors.torch import save_file

from training.stages import mean_state


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
