"""The protocol of the encoder's runtimes, implemented by ``onnx_runtime.py`` and ``torch_runtime.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tawasul_nlp.errors import ModelFormatError

# A batch of this many tokens stays in a core's caches: on an EPYC, batches of 8 cases of 50 tokens take two thirds of
# the time of batches of 32.
CPU_TOKENS = 512

PAIR = "pair"
"""The output of a network that reads two texts together."""

Batch = tuple[np.ndarray, np.ndarray]
"""Token ids and attention mask, each int64 (texts, tokens)."""


class Runtime(Protocol):
    """Computes an embedding and the logits of each task from token ids."""

    @property
    def batch_tokens(self) -> int:
        """The best number of tokens per batch, including padding."""
        ...

    @property
    def name(self) -> str:
        """A description of the runtime and its device."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Return the number of columns of each output."""
        ...

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels)."""
        ...

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many batches, in order."""
        ...


def check_outputs(path: Path, found: Mapping[str, object], wanted: Mapping[str, int]) -> None:
    """Check that an encoder has an embedding output and one logit for each label of each task.

    Raises
    ------
    ModelFormatError
        If not.
    """
    for name, size in {"embedding": None, **wanted}.items():
        if name not in found:
            raise ModelFormatError(f"{path}: has no output {name!r}, only {', '.join(found)}; export the model again")
        if size is not None and found[name] != size:
            raise ModelFormatError(
                f"{path}: output {name!r} has {found[name]} columns, but the configuration has {size} labels; "
                "restore the whole folder"
            )
