"""Run the encoder with torch, for GPUs and models that were not exported."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp._system import cores, logger
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.extras import require
from tawasul_nlp.model.folder import NETWORK, NETWORK_CONFIG, ModelConfig, model_file, read_json
from tawasul_nlp.model.runtime import CPU_TOKENS, Batch, PerProcess

if TYPE_CHECKING:
    from tawasul_nlp.model.network import MultiTaskNetwork

_CARD_TOKENS = 32_768
# Fields of a BertConfig that size the network, with the largest accepted values.
_LARGEST = {
    "vocab_size": 1_000_000,
    "hidden_size": 8_192,
    "num_hidden_layers": 96,
    "num_attention_heads": 128,
    "intermediate_size": 32_768,
    "max_position_embeddings": 65_536,
    "type_vocab_size": 1_024,
}


def load_network(folder: Path, config: ModelConfig) -> MultiTaskNetwork:
    """Build the network of a model folder with its float weights, in evaluation mode.

    The weights' names and shapes are compared with the network before memory for it is allocated, so a wrong
    configuration costs no more than the file.

    Raises ModelFormatError if the folder has no torch files, or they do not describe one network.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    from tawasul_nlp.model.network import MultiTaskNetwork

    path = model_file(folder, NETWORK)
    settings = _network_config(model_file(folder, NETWORK_CONFIG), config.max_tokens)
    try:
        tensors = load_file(path)
        with torch.device("meta"):
            encoder = BertModel(BertConfig(**settings), add_pooling_layer=False)
            sizes = {name: len(task.labels) for name, task in config.tasks.items() if "encoder" in task.weights}
            network = MultiTaskNetwork(
                encoder,
                sizes,
                incident="incident.weight" in tensors,
                clauses=config.issues.task if config.issues is not None else None,
                separator=config.encoder_separator,
            )
        network.load_state_dict(tensors, assign=True)
        embeddings, positions = encoder.embeddings, settings["max_position_embeddings"]  # which checkpoints leave out
        embeddings.position_ids = torch.arange(positions).expand((1, positions))
        embeddings.token_type_ids = torch.zeros((1, positions), dtype=torch.long)
        strange = {str(tensor.dtype) for tensor in tensors.values() if not tensor.dtype.is_floating_point}
        if strange:
            raise ValueError(f"weights of the types {', '.join(sorted(strange))}")
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, OSError, AssertionError) as error:
        raise ModelFormatError(f"{path}: not the network that {NETWORK_CONFIG} describes ({error!s:.300})") from error
    return network.float().eval()


def _network_config(path: Path, max_tokens: int) -> dict[str, Any]:
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("model_type") != "bert":
        raise ModelFormatError(f"{path}: expected the configuration of a BERT encoder (model_type 'bert')")
    for name, largest in _LARGEST.items():
        value = raw.get(name)
        if not isinstance(value, int) or not 1 <= value <= largest:
            raise ModelFormatError(f"{path}: {name} is {value!r}, expected 1 to {largest}")
    if raw["max_position_embeddings"] < max_tokens:
        raise ModelFormatError(f"{path}: {raw['max_position_embeddings']} positions, but texts of {max_tokens} tokens")
    if raw.get("is_decoder") or raw.get("add_cross_attention"):
        raise ModelFormatError(f"{path}: this is a decoder; expected an encoder")
    plain = ("hidden_act", "layer_norm_eps", "pad_token_id")  # the other fields do not change an encoder's output
    epsilon = raw.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise ModelFormatError(f"{path}: layer_norm_eps is {epsilon!r}, expected a small number")
    return {name: raw[name] for name in (*_LARGEST, *plain) if name in raw}


class TorchRuntime:
    """A network on the CPU (float32) or a GPU (bfloat16).

    The network is loaded on first use, and again in a forked child and after unpickling. The device is ``"cpu"``,
    ``"cuda"`` or ``"cuda:1"``; without ``threads`` torch's setting holds, but at most one thread per core.

    Raises MissingExtraError if the extra ``torch`` is not installed. Raises ValueError if there is no such device.
    """

    def __init__(self, folder: Path, config: ModelConfig, device: str = "cpu", threads: int | None = None) -> None:
        require("torch", "running a model with torch", "torch", "transformers")
        if device != "cpu":
            _check_device(device)
        self.folder = folder
        self.config = config
        self.device = device
        self.threads = threads
        self.name = f"torch, {device}, {'float32' if device == 'cpu' else 'bfloat16'}"
        self.batch_tokens = CPU_TOKENS if device == "cpu" else _CARD_TOKENS
        self._network = PerProcess(self._open)

    def network(self) -> MultiTaskNetwork:
        """Return this process's network."""
        return self._network.get()

    def _open(self) -> MultiTaskNetwork:
        import torch

        began = time.perf_counter()
        if self.device == "cpu":
            torch.set_num_threads(self.threads or min(torch.get_num_threads(), cores()))
        network = load_network(self.folder, self.config)
        network.to(self.device)
        if self.device != "cpu":
            network.encoder.to(torch.bfloat16)  # pooling and heads stay in float32
        seconds, threads = time.perf_counter() - began, torch.get_num_threads()
        message = "%s: opened in %.2f s by torch %s on %s, with %d threads"
        logger.info(message, self.folder / NETWORK, seconds, torch.__version__, self.device, threads)
        return network

    def sizes(self) -> Mapping[str, int]:
        """Return the number of columns of each output."""
        network = self.network()
        incident = {} if network.incident is None else {"incident": network.incident.out_features}
        return {"embedding": network.encoder.config.hidden_size, **incident, **self.config.encoder_outputs}

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Run one padded batch; see :class:`tawasul_nlp.model.runtime.Runtime`."""
        import torch

        network = self.network()
        vocabulary = network.encoder.config.vocab_size
        if input_ids.max(initial=0) >= vocabulary:
            raise ModelFormatError(
                f"{self.folder}: its tokenizer gave token {input_ids.max()}, but the network knows {vocabulary}; "
                "restore the whole folder"
            )
        with torch.inference_mode():
            tensors = (torch.from_numpy(array).to(self.device) for array in (input_ids, attention_mask))
            values = network(*tensors)
            return {name: value.float().cpu().numpy() for name, value in zip(network.outputs, values, strict=True)}

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many padded batches in sequence: each uses all threads, or the whole device."""
        return (self.run(*batch) for batch in batches)

    def __reduce__(self) -> tuple[Any, ...]:
        return TorchRuntime, (self.folder, self.config, self.device, self.threads)


def _check_device(device: str) -> None:
    import torch

    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise ValueError(f"device is {device!r}, expected 'cpu', 'cuda' or 'cuda:0'")
    if not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch finds no CUDA device here; use device='cpu', or install a driver")
    if number and int(number) >= torch.cuda.device_count():
        raise ValueError(f"device is {device!r}, but there are {torch.cuda.device_count()} CUDA devices")
