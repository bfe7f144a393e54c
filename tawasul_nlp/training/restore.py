"""Load the weights of a model folder back into torch, to go on training from it.

A folder with the float network gives just that. One without stores every weight matrix as int8 columns and the
embedding table as int8 rows (:mod:`tawasul_nlp.training.export`); the restored weights are those values as float32, so
the restored network gives the folder's own logits up to the rounding of activations.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerFast

from tawasul_nlp.model.folder import ENCODER, NETWORK, NETWORK_CONFIG, TOKENIZER, read_config
from tawasul_nlp.model.network import MultiTaskNetwork

_PARTS = ("encoder.", "heads.", "incident.", "tags.", "pair.")
_WORDS = "encoder.embeddings.word_embeddings"
_QUERY = "/encoder/encoder/layer.0/attention/self/query/Add_output_0"


def restore_network(folder: Path, dropout: float = 0.1) -> MultiTaskNetwork:
    """Return the network of the model folder ``folder`` with float32 weights.

    Raises
    ------
    ModelFormatError
        If the folder is not a sound model folder.
    ValueError
        If its graph has a weight that this network has no place for.
    """
    config = read_config(folder)
    if NETWORK in config.files:
        shape, state = BertConfig.from_json_file(folder / NETWORK_CONFIG), load_file(folder / NETWORK)
        shape.update({"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": dropout})
        shape._attn_implementation = "eager"
    else:
        shape, state = _from_graph(folder, dropout)
    network = MultiTaskNetwork(
        BertModel(shape, add_pooling_layer=False),
        {name: len(task.labels) for name, task in config.tasks.items()},
        dropout,
        incident="incident.weight" in state,
        clauses=config.issues.task if config.issues is not None else None,
        separator=config.separator,
    )
    result = network.load_state_dict(state, strict=False)
    lost = result.missing_keys + result.unexpected_keys
    if lost:
        raise ValueError(f"{folder}: cannot restore {', '.join(sorted(lost)[:5])}; train from the base instead")
    return network.eval()


def restore_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a model folder."""
    return wrap_tokenizer(Tokenizer.from_file(str(folder / TOKENIZER)))


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Give a tokenizer with the special tokens of XLM-R or of BERT the interface of transformers."""
    names = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")
    xlmr, bert = ("<s>", "</s>", "<pad>", "<unk>", "<mask>"), ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
    chosen = xlmr if tokenizer.token_to_id("<pad>") is not None else bert
    known = {name: token for name, token in zip(names, chosen, strict=True) if tokenizer.token_to_id(token) is not None}
    if chosen == xlmr:
        known |= {"bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **known)


def write_base(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write a Hugging Face folder.

    ``config.json`` appears last, by which a run that resumes knows that the folder is complete.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        for path in sorted(Path(unfinished).iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(out / path.name)


def restore_base(folder: Path, out: Path) -> MultiTaskNetwork:
    """Write the encoder and tokenizer of a model folder to ``out`` as a Hugging Face folder; return the network."""
    network = restore_network(folder)
    write_base(network.encoder, restore_tokenizer(folder), out)
    return network


def _from_graph(folder: Path, dropout: float) -> tuple[BertConfig, dict[str, torch.Tensor]]:
    """Return the encoder's configuration and the network's weights from an exported graph."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(folder / ENCODER)).graph
    tensors = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in tensors:  # an exporter merges equal vectors
            tensors[node.output[0]] = tensors[node.input[0]]
    state = {name: values for name, values in tensors.items() if name.startswith(_PARTS)}
    state[f"{_WORDS}.weight"] = state.pop(f"{_WORDS}.rows").astype(np.float32) * state.pop(f"{_WORDS}.scale")
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            matrix = (tensors[node.input[1]].astype(np.float32) * tensors[node.input[3]]).T
            # "/encoder/encoder/layer.0/attention/self/query/MatMul_rows" has that of "encoder.encoder.layer.0...query".
            name = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".") + ".weight"
            # Only a head that reads single tokens is such a product, and its node has the name of its task alone.
            state[name if name.startswith(_PARTS) else f"heads.{name}"] = matrix
    words, width = state[f"{_WORDS}.weight"].shape
    layers = {name.split(".layer.")[1].split(".")[0] for name in state if ".layer." in name}
    shape = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=width // _head_width(graph, folder),
        intermediate_size=len(state["encoder.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(state["encoder.embeddings.position_embeddings.weight"]),
        type_vocab_size=len(state["encoder.embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=_epsilon(graph),
        pad_token_id=restore_tokenizer(folder).pad_token_id,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=dropout,
        attn_implementation="eager",
    )
    return shape, {name: torch.from_numpy(np.array(values)) for name, values in state.items()}


def _head_width(graph: Any, folder: Path) -> int:
    """Return how many numbers an attention head has: the graph folds the queries by it."""
    from onnx import numpy_helper

    made = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[0] == _QUERY:
            size = made[made[node.input[1]].input[-1]]
            return int(numpy_helper.to_array(size.attribute[0].t).reshape(-1)[0])
    raise ValueError(f"{folder / ENCODER}: does not show how wide an attention head is; train from the base instead")


def _epsilon(graph: Any) -> float:
    found = [
        item.f
        for node in graph.node
        if node.op_type == "LayerNormalization"
        for item in node.attribute
        if item.name == "epsilon"
    ]
    return float(f"{found[0]:.6g}") if found else 1e-12
