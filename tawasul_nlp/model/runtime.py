"""What runs the encoder: a small protocol, which ``onnx_runtime.py`` and ``torch_runtime.py`` implement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tawasul_nlp.errors import ModelFormatError

# A batch of so many tokens stays in a core's caches: on an EPYC, batches of 8 cases of 50 tokens take two thirds of the
# time that batches of 32 take.
CPU_TOKENS = 512

Batch = tuple[np.ndarray, np.ndarray]
"""Token ids and attention mask, each int64 (texts, tokens)."""


class Runtime(Protocol):
    """Whatever turns token ids into an embedding and the logits of each task."""

    @property
    def batch_tokens(self) -> int:
        """Tokens of a batch, padding included, that it runs best with."""
        ...

    @property
    def name(self) -> str:
        """What runs where, for people."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Return the outputs and how many columns each has."""
        ...

    def run(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> dict[str, np.ndarray]:
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels)."""
        ...

    def run_all(self, batches: Sequence[Batch]) -> Iterator[dict[str, np.ndarray]]:
        """Run many batches, in their order."""
        ...


def check_outputs(path: Path, found: Mapping[str, object], wanted: Mapping[str, int]) -> None:
    """Check that an encoder gives an embedding and as many logits as each task has labels.

    Raises
    ------
    ModelFormatError
        If it does not.
    """
    for name, size in {"embedding": None, **wanted}.items():
        if name not in found:
            raise ModelFormatError(f"{path}: has no output {name!r}, only {', '.join(found)}; export the model again")
        if size is not None and found[name] != size:
            raise ModelFormatError(
                f"{path}: output {name!r} has {found[name]} columns, but the configuration has {size} labels; "
                "restore the whole folder"
            )
