"""Compare the exported graphs with the network that was trained, text by text."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tawasul_nlp.model.network import MultiTaskNetwork
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import Batch
from tawasul_nlp.training.export import export_float
from tawasul_nlp.training.package import read_with_encoder

TEXTS = 500


class TorchRunner:
    """The trained network behind the runtimes' protocol."""

    batch_tokens = OnnxRuntime.batch_tokens

    def __init__(self, network: MultiTaskNetwork) -> None:
        self.network = network.eval()

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Run one padded batch in float32."""
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(input_ids), torch.from_numpy(attention_mask))
        return {name: values.float().numpy() for name, values in zip(self.network.outputs, outputs, strict=True)}

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run padded batches one after another."""
        return (self.run(*batch) for batch in batches)


def parity(
    network: MultiTaskNetwork,
    folder: Path,
    texts: list[str],
    *,
    profile: str,
    max_tokens: int,
    multi_label: Collection[str] = (),
) -> dict[str, dict[str, dict[str, float]]]:
    """Return how far the float graph and the folder's 8-bit graph are from the network.

    Parameters
    ----------
    network : MultiTaskNetwork
        On the CPU.
    folder : Path
        The finished model folder.
    texts : list of str
        At most :data:`TEXTS` of them are read.
    profile : str
    max_tokens : int
    multi_label : collection of str
        The tasks of which a text may have several labels.

    Returns
    -------
    dict
        For ``float`` and ``int8``, and each task: ``agreement`` (share of texts with the same best label, or with the
        same labels above even odds),
        ``max_difference`` and ``mean_difference`` of the logits; and for ``embedding`` the least ``cosine``.
    """
    chosen = texts[:TEXTS]

    def read(runtime: Any) -> dict[str, np.ndarray]:
        return read_with_encoder(folder, chosen, profile=profile, max_tokens=max_tokens, runtime=runtime)

    reference = read(TorchRunner(network))
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / "float32.onnx"
        export_float(network, graph, int8_embedding=False)
        forms = {"float": read(OnnxRuntime(graph)), "int8": read(None)}
    return {
        form: {
            **{task: _distance(reference[task], outputs[task], task in multi_label) for task in network.tasks},
            "embedding": {"cosine": round(float((reference["embedding"] * outputs["embedding"]).sum(1).min()), 6)},
        }
        for form, outputs in forms.items()
    }


def _distance(reference: np.ndarray, logits: np.ndarray, multi_label: bool) -> dict[str, float]:
    difference = np.abs(reference - logits)
    same = ((reference > 0) == (logits > 0)).all(1) if multi_label else reference.argmax(1) == logits.argmax(1)
    return {
        "texts": len(reference),
        "agreement": round(float(same.mean()), 4),
        "max_difference": float(f"{difference.max():.4g}"),
        "mean_difference": float(f"{difference.mean():.4g}"),
    }
