"""Load the weights of a bundled model folder back into torch, to go on training from it.

The folder stores every weight matrix as int8 columns and the embedding table as int8 rows
(:mod:`tawasul_nlp.training.export`); the restored weights are those values as float32, so the restored network gives
the folder's own logits up to the rounding of activations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from tawasul_nlp.model.folder import ENCODER, TOKENIZER, read_config
from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.training.base_encoder import wrap_tokenizer, write_base


def restore_network(folder: Path, dropout: float = 0.1) -> MultiTaskNetwork:
    """Return the network of the model folder ``folder`` with float32 weights.

    Raises
    ------
    ModelFormatError
        If the folder is not a sound model folder.
    ValueError
        If its graph has a weight that this network has no place for.
    """
    import onnx
    from onnx import numpy_helper

    config = read_config(folder)
    graph = onnx.load(str(folder / ENCODER)).graph
    tensors = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    state = {name: values for name, values in tensors.items() if name.startswith(("encoder.", "heads.", "incident."))}
    words = "encoder.embeddings.word_embeddings"
    state[f"{words}.weight"] = state.pop(f"{words}.rows").astype(np.float32) * state.pop(f"{words}.scale")
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            matrix = (tensors[node.input[1]].astype(np.float32) * tensors[node.input[3]]).T
            # "/encoder/encoder/layer.0/attention/self/query/MatMul_rows" has that of "encoder.encoder.layer.0...query".
            state[node.name.strip("/").rsplit("/", 1)[0].replace("/", ".") + ".weight"] = matrix
    width = state[f"{words}.weight"].shape[1]
    layers = {name.split(".layer.")[1].split(".")[0] for name in state if ".layer." in name}
    shape = BertConfig(
        vocab_size=len(state[f"{words}.weight"]),
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=_attention_heads(width),
        intermediate_size=len(state["encoder.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(state["encoder.embeddings.position_embeddings.weight"]),
        layer_norm_eps=1e-12,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=dropout,
        attn_implementation="eager",
    )
    encoder = BertModel(shape, add_pooling_layer=False)
    network = MultiTaskNetwork(encoder, {name: len(task.labels) for name, task in config.tasks.items()}, dropout)
    result = network.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in state.items()}, strict=False)
    # Folders from before there were incident vectors have no projection for them: it starts anew.
    lost = [name for name in result.missing_keys if not name.startswith("incident.")] + result.unexpected_keys
    if lost:
        raise ValueError(f"{folder / ENCODER}: cannot restore {', '.join(sorted(lost)[:5])}; retrain from the base")
    return network.eval()


def restore_base(folder: Path, out: Path) -> MultiTaskNetwork:
    """Write the encoder and tokenizer of a model folder to ``out`` as a Hugging Face folder; return the network."""
    network = restore_network(folder)
    write_base(network.encoder, wrap_tokenizer(Tokenizer.from_file(str(folder / TOKENIZER))), out)
    return network


def _attention_heads(width: int) -> int:
    """Return the number of heads: every BERT of the bundled family has 32 numbers in a head."""
    return width // 32
