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

TOKEN_TAGS, TOKEN_LABELS, PAIR = "token_tags", "token_labels", "pair"
"""Outputs of a network that tells clauses apart, for each token, and of one that reads two texts together."""
TOKEN_OUTPUTS = frozenset((TOKEN_TAGS, TOKEN_LABELS))
TAGS = ("outside", "begin", "inside", "evidence")
"""The columns of ``token_tags``: whether a token is outside, begins, or is inside a clause that reports an issue, as
logits of one softmax; and the logit that it is among the words that speak for the urgency."""

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
        """Map int64 arrays (texts, tokens) to ``embedding`` (texts, hidden) and each task's logits (texts, labels).

        The outputs of :data:`TOKEN_OUTPUTS`, if there are any, are (texts, tokens, columns).
        """
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
