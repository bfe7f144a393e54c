"""Export a fine-tuned network to one ONNX graph with int8 weights.

The embedding table is stored as int8 rows with one scale each, and every weight matrix as 8-bit blocks
(``MatMulNBits``). Activations are quantised by ONNX Runtime for each row by itself, so the answer for a text does not
depend on its neighbours in the batch and no calibration set is needed. ``eval/results/quantisation.md`` has the
comparison with static (calibrated) and dynamic quantisation.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from tawasul_nlp.model.network import MultiTaskNetwork

BLOCK_SIZE = 64


class Int8Embedding(nn.Module):
    """An embedding table of int8 rows with one float scale each."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        weight = table.weight.detach()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up rows: (batch, tokens) -> (batch, tokens, hidden), float32."""
        return self.rows[ids].to(torch.float32) * self.scale[ids]


def export_float(network: MultiTaskNetwork, path: Path, int8_embedding: bool = True) -> None:
    """Write the network as a float32 ONNX graph with outputs ``embedding``, ``incident`` and one for each task."""
    network = copy.deepcopy(network).eval()
    network.encoder.set_attn_implementation("eager")
    if int8_embedding:
        embeddings = network.encoder.embeddings
        embeddings.word_embeddings = Int8Embedding(embeddings.word_embeddings)
    ids = torch.randint(4, min(1000, network.encoder.config.vocab_size), (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0
    outputs = ["embedding", "incident", *network.tasks]
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        torch.onnx.export(
            network,
            (ids, mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=outputs,
            dynamic_axes={**axes, **{name: {0: "batch"} for name in outputs}},
            opset_version=17,
            dynamo=False,
        )


def quantize_weights(source: Path, target: Path, bits: int = 8, block_size: int = BLOCK_SIZE) -> None:
    """Replace every constant weight matrix of ``source`` by 8-bit blocks and write ``target``."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    # It logs two lines for each of some thousand nodes.
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    quantizer = MatMulNBitsQuantizer(
        onnx.load(str(source)), bits=bits, block_size=block_size, is_symmetric=True, accuracy_level=4
    )
    quantizer.process()
    quantizer.model.save_model_to_file(str(target), use_external_data_format=False)
