"""The n-gram reader: a linear model over hashed character and word n-grams.

It reads spelling where the encoder reads meaning, makes other mistakes, and costs next to nothing. Features are
hashed, so no vocabulary is stored; only the hash values that training kept are, with their inverse document
frequency and one int8 weight for each label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.text import Normalizer

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# So large that two of some 10^5 kept features hardly ever share a value.
HASH_SIZE = 2**30
CHAR_NGRAMS = (2, 5)
WORD_NGRAMS = (1, 2)
_NUMBER = re.compile(r"\d+")
# Enough for any real case; bounds the work on hostile input.
MAX_CHARS = 20_000


class NgramFeatures:
    """Count hashed n-grams of texts: one block of characters within words, one block of words.

    Numbers count as one token ``0``: a block or a road tells the place, not the topic.
    """

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        normalizer = Normalizer("matching")

        def fold(text: str) -> str:
            return _NUMBER.sub("0", normalizer(text[:MAX_CHARS]))

        options: dict[str, Any] = {
            "n_features": HASH_SIZE,
            "alternate_sign": False,
            "norm": None,
            "preprocessor": fold,
            "dtype": np.float32,
        }
        self.blocks = (
            HashingVectorizer(analyzer="char_wb", ngram_range=CHAR_NGRAMS, **options),
            HashingVectorizer(analyzer="word", ngram_range=WORD_NGRAMS, token_pattern=r"(?u)\b\w+\b", **options),
        )

    def counts(self, texts: list[str]) -> list[csr_matrix]:
        """Return one sparse matrix (texts, HASH_SIZE) of counts for each block."""
        return [block.transform(texts) for block in self.blocks]


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """The kept features of one block: sorted hash values (int32) and their idf (float32)."""

    hashes: np.ndarray
    idf: np.ndarray

    def weigh(self, counts: csr_matrix) -> csr_matrix:
        """Turn counts (texts, HASH_SIZE) into L2-normalised sublinear TF-IDF (texts, kept)."""
        from scipy.sparse import csr_matrix

        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        at = np.searchsorted(self.hashes, counts.indices)
        at[at == len(self.hashes)] = 0
        known = self.hashes[at] == counts.indices
        rows, at, values = rows[known], at[known], counts.data[known]
        values = (1.0 + np.log(values)) * self.idf[at]
        squares = np.bincount(rows, values * values, minlength=counts.shape[0])
        values = values / np.sqrt(np.maximum(squares, 1e-12))[rows]
        return csr_matrix((values.astype(np.float32), (rows, at)), shape=(counts.shape[0], len(self.hashes)))


class NgramReader:
    """Score texts for each task from their n-grams.

    Parameters
    ----------
    blocks : tuple of FeatureBlock
    weights : dict of str to ndarray
        For each task, int8 weights (features of all blocks, labels).
    scales : dict of str to ndarray
        For each task, what one unit of each label's weights means (labels,), float32.
    biases : dict of str to ndarray
        For each task, the intercepts (labels,), float32.
    """

    def __init__(
        self,
        blocks: tuple[FeatureBlock, ...],
        weights: dict[str, np.ndarray],
        scales: dict[str, np.ndarray],
        biases: dict[str, np.ndarray],
    ) -> None:
        self.blocks = blocks
        self.scales = scales
        self.biases = biases
        self.tasks = tuple(weights)
        self._weights = {task: matrix.astype(np.float32) for task, matrix in weights.items()}
        self._features = NgramFeatures()

    def features(self, texts: list[str]) -> csr_matrix:
        """Return the weighted features (texts, features of all blocks), float32."""
        from scipy.sparse import hstack

        pairs = zip(self.blocks, self._features.counts(texts), strict=True)
        return hstack([block.weigh(counts) for block, counts in pairs], format="csr")

    def scores(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Return the decision values (texts, labels) of each task, float32."""
        features = self.features(texts)
        return {task: (features @ self._weights[task]) * self.scales[task] + self.biases[task] for task in self.tasks}

    @classmethod
    def load(cls, path: Path) -> NgramReader:
        """Read a reader from a safetensors file.

        Raises
        ------
        ModelFormatError
            If the file is not a safetensors file of an n-gram reader.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            tasks = [name.removeprefix("weights.") for name in tensors if name.startswith("weights.")]
            blocks = tuple(
                FeatureBlock(tensors[f"hashes.{index}"], tensors[f"idf.{index}"].astype(np.float32)) for index in (0, 1)
            )
            parts = [{task: tensors[f"{part}.{task}"] for task in tasks} for part in ("weights", "scales", "biases")]
        except (SafetensorError, KeyError, OSError) as error:
            raise ModelFormatError(
                f"{path}: not an n-gram reader ({error}); restore the file from the model's release, or retrain"
            ) from error
        return cls(blocks, *parts)


def save_ngram(
    path: Path,
    blocks: tuple[FeatureBlock, ...],
    weights: dict[str, np.ndarray],
    biases: dict[str, np.ndarray],
) -> None:
    """Write float weights (features, labels) as int8 with one scale for each label.

    Parameters
    ----------
    path : Path
        The safetensors file to write.
    blocks : tuple of FeatureBlock
    weights, biases : dict of str to ndarray
        For each task, float32 weights (features, labels) and intercepts (labels,).
    """
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    for index, block in enumerate(blocks):
        tensors[f"hashes.{index}"] = block.hashes.astype(np.int32)
        tensors[f"idf.{index}"] = block.idf.astype(np.float16)
    for task, matrix in weights.items():
        # A few outliers would cost all other weights their precision: clip at the 99.99th percentile.
        scale = np.quantile(np.abs(matrix), 0.9999, axis=0).clip(min=1e-8) / 127
        tensors[f"weights.{task}"] = np.clip(np.round(matrix / scale), -127, 127).astype(np.int8)
        tensors[f"scales.{task}"] = scale.astype(np.float32)
        tensors[f"biases.{task}"] = biases[task].astype(np.float32)
    save_file(tensors, path)
