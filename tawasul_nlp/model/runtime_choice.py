"""Choose the runtime of a model folder's encoder."""

from __future__ import annotations

from pathlib import Path

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import ENCODER, NETWORK, ModelConfig, model_file
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import Runtime
from tawasul_nlp.model.torch_runtime import TorchRuntime


def choose_runtime(
    folder: Path,
    config: ModelConfig,
    *,
    threads: int | None,
    device: str | None,
    runtime: str | None,
    spinning: bool = False,
) -> Runtime:
    """Return the runtime of a model folder's encoder; see ``ComplaintClassifier.from_pretrained``.

    Raises
    ------
    ModelFormatError
        If the folder has no weights for it.
    ValueError
        If there is no such device or runtime, or they are incompatible.
    """
    if runtime not in (None, "onnx", "torch"):
        raise ValueError(f"runtime is {runtime!r}, expected 'onnx', 'torch' or None")
    device = device or "cpu"
    if runtime is None:
        runtime = "onnx" if device == "cpu" and ENCODER in config.files else "torch"
    if runtime == "torch":
        if NETWORK not in config.files:
            raise ModelFormatError(
                f"{folder}: no {NETWORK}, so torch cannot run it; use runtime='onnx' and device='cpu', "
                "or train a model with torch weights"
            )
        return TorchRuntime(folder, config, device, threads)
    if device != "cpu":
        raise ValueError(f"device is {device!r}, but runtime 'onnx' runs on the CPU only; use runtime='torch'")
    if ENCODER not in config.files:
        raise ModelFormatError(f"{folder}: no {ENCODER}, so ONNX Runtime cannot run it; use runtime='torch'")
    return OnnxRuntime(model_file(folder, ENCODER), threads, config.encoder_outputs, spinning=spinning)
