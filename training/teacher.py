"""What a larger model says of the training texts, which the network learns beside their labels (distillation).

A label says which topic is right; the teacher's probabilities say which others are near (Hinton, Vinyals and Dean,
"Distilling the Knowledge in a Neural Network", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tawasul_nlp._system import atomic_write
from tawasul_nlp.classifier import ComplaintClassifier
from tawasul_nlp.model.combine import log_softmax

TASKS = ("topic", "agency", "kind")
TEMPERATURE = 2.0
_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A teacher's label distributions for the training texts, by the row of each."""

    # Of each task: (texts, labels), float16.
    probabilities: dict[str, np.ndarray]

    def mixed(self, task: str, row: int, target: np.ndarray, share: float) -> np.ndarray:
        """Return a target (labels,) of which the teacher has a share; ``row`` counts from 1."""
        if not share or task not in self.probabilities or not target.any():
            return target
        mixed: np.ndarray = (1 - share) * target + share * self.probabilities[task][row - 1].astype(np.float32)
        return mixed


def taught_by(model: Path, texts: Sequence[str], cache: Path) -> Teacher:
    """Return what the encoder of a model folder says of texts; ``cache`` keeps it."""
    if not cache.exists():
        encoder = ComplaintClassifier.from_pretrained(model)._scorers.encoder
        logits = encoder.run(encoder.tokenize(texts), _BATCH)
        said = {task: np.exp(log_softmax(logits[task] / TEMPERATURE)).astype(np.float16) for task in TASKS}
        with atomic_write(cache) as unfinished:
            save_file(said, unfinished)
    return Teacher(load_file(cache))
