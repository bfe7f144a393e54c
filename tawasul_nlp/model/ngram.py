"""The n-gram scorer: a linear model over hashed character and word n-grams.

It captures spelling where the encoder captures meaning, makes different mistakes, and costs next to nothing. Features
are hashed, so no vocabulary is stored, only the hash values that training kept, with their inverse document frequency
and one int8 weight for each label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.hashing import JoinedWords, char_ngrams, word_ngrams
from tawasul_nlp.text import Normalizer, arabizi_to_arabic

# Large enough that among some 10^5 kept features collisions are rare.
HASH_SIZE = 2**30
CHAR_NGRAMS = (2, 5)
WORD_NGRAMS = (1, 2)
_NUMBER = re.compile(r"\d+")
# Enough for any real case; bounds the work on hostile input.
MAX_CHARS = 20_000
# Texts scored together: enough to amortise numpy's overhead, few enough that their n-grams fit the caches.
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of each hash value in each text, as a compressed sparse row matrix.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_texts + 1,)
        The start of each text's values.
    indices : ndarray of int64
        Hash values, ascending in each text.
    data : ndarray of float32
        The count of each value.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @property
    def texts(self) -> int:
        """The number of texts."""
        return len(self.indptr) - 1


class NgramFeatures:
    """Count hashed n-grams of texts: a block of characters within words and a block of words.

    Arabizi is converted to Arabic letters. All numbers count as the token ``0``, since a block or a road gives the
    place, not the topic.
    """

    def __init__(self) -> None:
        self._normalizer = Normalizer("matching")

    def counts(self, texts: list[str]) -> tuple[Counts, Counts]:
        """Return the counts of each block."""
        clean = [self._normalizer(arabizi_to_arabic(text[:MAX_CHARS])) for text in texts]
        words = JoinedWords.of([_NUMBER.sub("0", text) for text in clean])
        blocks = char_ngrams(words, CHAR_NGRAMS, HASH_SIZE), word_ngrams(words, HASH_SIZE)
        first, second = (_count(rows, hashes, len(texts)) for rows, hashes in blocks)
        return first, second


def _count(rows: np.ndarray, hashes: np.ndarray, n_texts: int) -> Counts:
    keys, counts = np.unique(rows * HASH_SIZE + hashes, return_counts=True)
    per_text = np.bincount(keys // HASH_SIZE, minlength=n_texts)
    return Counts(np.concatenate([[0], np.cumsum(per_text)]), keys % HASH_SIZE, counts.astype(np.float32))


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """The kept features of one block: sorted hash values (int32) and their idf (float32)."""

    hashes: np.ndarray
    idf: np.ndarray

    def known(self, counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the known features of counts: text, feature and L2-normalised sublinear TF-IDF weight, each 1-D."""
        if not len(self.hashes):  # few texts may have no word in common
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        rows = np.repeat(np.arange(counts.texts), np.diff(counts.indptr))
        # As int32, like the hash values of a folder: else these would be converted at each call.
        at = np.searchsorted(self.hashes, counts.indices.astype(np.int32))
        at[at == len(self.hashes)] = 0
        known = self.hashes[at] == counts.indices
        rows, at, values = rows[known], at[known], counts.data[known]
        # In float64, whose logarithms, rounded to float32, are the same on every processor.
        values = (1.0 + np.log(values.astype(np.float64))).astype(np.float32) * self.idf[at]
        squares = np.bincount(rows, values * values, minlength=counts.texts)
        values = values / np.sqrt(np.maximum(squares, 1e-12))[rows]
        return rows, at, values.astype(np.float32)


class NgramScorer:
    """Score texts for each task from their n-grams.

    Parameters
    ----------
    blocks : tuple of FeatureBlock
    weights : dict of str to ndarray
        For each task, int8 weights (features of all blocks, labels).
    scales : dict of str to ndarray
        For each task, the scale of each label's int8 weights (labels,), float32.
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
        # Weights of all tasks side by side, so a text's features are looked up once.
        self._weights = np.concatenate(list(weights.values()), axis=1)
        self._features = NgramFeatures()

    def scores(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Return the decision values (texts, labels) of each task, float32."""
        totals = np.zeros((len(texts), self._weights.shape[1]), np.float32)
        for start in range(0, len(texts), _TOGETHER):
            self._add_scores(texts[start : start + _TOGETHER], totals[start : start + _TOGETHER])
        scores, start = {}, 0
        for task in self.tasks:
            end = start + len(self.scales[task])
            with np.errstate(over="ignore"):  # infinity is refused where probabilities are computed
                scores[task] = totals[:, start:end] * self.scales[task] + self.biases[task]
            start = end
        return scores

    def _add_scores(self, texts: list[str], totals: np.ndarray) -> None:
        offset = 0
        for block, counts in zip(self.blocks, self._features.counts(texts), strict=True):
            rows, at, values = block.known(counts)
            at, values = at + offset, values.astype(np.float64)
            ends = np.searchsorted(rows, np.arange(len(texts) + 1)).tolist()
            for row, (begin, end) in enumerate(pairwise(ends)):
                # Gathered as int8: an eighth of the memory traffic of float weights. Products of float32 by int8 sum in
                # float64 without rounding, in any order.
                totals[row] += values[begin:end] @ self._weights.take(at[begin:end], axis=0).astype(np.float64)
            offset += len(block.hashes)

    @classmethod
    def load(cls, path: Path) -> NgramScorer:
        """Read a scorer from a safetensors file.

        Raises
        ------
        ModelFormatError
            If the file is not a safetensors file of an n-gram scorer.
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
            _check_arrays(blocks, *parts)
        except (SafetensorError, KeyError, OSError, ValueError) as error:
            raise ModelFormatError(
                f"{path}: not an n-gram scorer ({error}); restore the file from the model's release, or retrain"
            ) from error
        return cls(blocks, *parts)


def _check_arrays(
    blocks: tuple[FeatureBlock, ...],
    weights: dict[str, np.ndarray],
    scales: dict[str, np.ndarray],
    biases: dict[str, np.ndarray],
) -> None:
    """Raise ValueError if the arrays do not fit each other, or are not finite."""
    sizes = [block.hashes.shape for block in blocks]
    if not weights or any(len(size) != 1 or block.idf.shape != size for size, block in zip(sizes, blocks, strict=True)):
        raise ValueError(f"hash values of the shapes {sizes} for the tasks {sorted(weights)}")
    features = sum(len(block.hashes) for block in blocks)
    for task, matrix in weights.items():
        labels = scales[task].shape
        if len(labels) != 1 or matrix.shape != (features, *labels) or biases[task].shape != labels:
            raise ValueError(f"weights of task {task!r} have the shape {matrix.shape} for {features} features")
        if not (np.isfinite(scales[task]).all() and np.isfinite(biases[task]).all()):
            raise ValueError(f"scales or biases of task {task!r} are not finite")
    if not all(np.isfinite(block.idf).all() for block in blocks):
        raise ValueError("document frequencies are not finite")


def save_ngram(
    path: Path,
    blocks: tuple[FeatureBlock, ...],
    weights: dict[str, np.ndarray],
    biases: dict[str, np.ndarray],
) -> None:
    """Write float weights (features, labels) as int8 with one scale per label.

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
        # A few outliers would cost the other weights precision, so clip at the 99.99th percentile.
        scale = np.quantile(np.abs(matrix), 0.9999, axis=0).clip(min=1e-8) / 127
        tensors[f"weights.{task}"] = np.clip(np.round(matrix / scale), -127, 127).astype(np.int8)
        tensors[f"scales.{task}"] = scale.astype(np.float32)
        tensors[f"biases.{task}"] = biases[task].astype(np.float32)
    with atomic_write(path) as unfinished:
        save_file(tensors, unfinished)
