"""Features of made-up cases; models that read two texts together, or cannot, and what stands in for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tawasul_nlp.duplicates import Case
from tawasul_nlp.duplicates.features import CaseFeatures, compute_features
from tawasul_nlp.duplicates.pair_scorer import PairScorer, Verification
from tawasul_nlp.model.folder import BUNDLED, PAIRS, VERIFIER, file_hash, read_config
from tawasul_nlp.model.hub import copy_model

RULE = Verification(0.001, 0.99, per_case=6, weights=(0.3, 1.0, 0.2, -0.1), intercept=0.0, threshold=0.45)


def features_of(*cases: str | Case, vectors: np.ndarray | None = None) -> CaseFeatures:
    """Return the features of cases, of one vector each unless others are given, whose topics are certain."""
    listed = [case if isinstance(case, Case) else Case(case) for case in cases]
    if vectors is None:
        vectors = np.full((len(listed), 128), 128**-0.5, np.float32)
    return compute_features(listed, vectors, [{case.topic: 1.0} if case.topic else {} for case in listed])


class Knows:
    """A reader that knows the event of each text, and keeps the pairs that it was asked about."""

    reads_pairs = True

    def __init__(self, event: Mapping[str, object]) -> None:
        self.event = event
        self.asked: list[tuple[str, str]] = []

    def pair_logits(self, pairs: Sequence[tuple[str, str]], /) -> np.ndarray:
        self.asked += pairs
        return np.array([6.0 if self.event[a] == self.event[b] else -6.0 for a, b in pairs], np.float32)


def write_pair_model(folder: Path) -> Path:
    """Write the bundled model with :data:`RULE`, by which it reads far more pairs."""
    copy_model(BUNDLED, folder)
    replace(PairScorer.load(folder / PAIRS), verification=RULE).save(folder / PAIRS)
    config = read_config(BUNDLED)
    replace(config, files={**config.files, PAIRS: file_hash(folder / PAIRS)}).save(folder)
    return folder


def write_unverifying_model(folder: Path) -> Path:
    """Write the bundled model as one that was not trained to read two texts together."""
    copy_model(BUNDLED, folder)
    config = read_config(BUNDLED)
    (folder / VERIFIER).unlink(missing_ok=True)
    files = {name: digest for name, digest in config.files.items() if name != VERIFIER}
    replace(config, files=files, separator=None).save(folder)
    return folder
