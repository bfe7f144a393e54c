"""The n-gram scorer: a linear model over hashed character and word n-grams.

It captures spelling where the encoder captures meaning, makes different mistakes, and costs next to nothing. Features
are hashed, so no vocabulary is stored, only the hash values that training kept, with their inverse document frequency
and one int8 weight for each label. They are counted as scikit-learn's ``HashingVectorizer`` counts them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from tawasul_nlp._system import atomic_write
from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic

# Large enough that among some 10^5 kept features collisions are rare.
HASH_SIZE = 2**30
CHAR_NGRAMS = (2, 5)
WORD_NGRAMS = (1, 2)
_NUMBER = re.compile(r"\d+")
# Enough for any real case; bounds the work on hostile input.
MAX_CHARS = 20_000
# Texts scored together: enough to amortise numpy's overhead, few enough that their n-grams fit the caches.
_TOGETHER = 64
_SPACE = 0x20


@dataclass(frozen=True, slots=True, eq=False)
class JoinedWords:
    """The words of texts in one buffer, each between two spaces: every n-gram is a slice of it."""

    # UTF-8.
    data: np.ndarray
    # int64 (n_words,): the text of each word, ascending.
    rows: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> JoinedWords:
        """Split texts at white space."""
        words = [text.split() for text in texts]
        joined = " ".join(["", *chain.from_iterable(words), ""])
        rows = np.repeat(np.arange(len(texts)), [len(text_words) for text_words in words])
        return cls(np.frombuffer(joined.encode("utf-8"), np.uint8), rows)


def char_ngrams(words: JoinedWords, sizes: tuple[int, int], table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the character n-grams of words, which include the space before and after a word.

    ``sizes`` are the least and largest n, ``table`` the size of the hash table. Returns the text of each n-gram and its
    hash value: int64 (n_ngrams,).
    """
    data = words.data
    starts = np.flatnonzero((data & 0xC0) != 0x80)  # the first byte of each character
    bounds = np.append(starts, len(data))
    spaces = np.flatnonzero(data[starts] == _SPACE)
    lengths = np.diff(spaces)  # of each word with the space before it
    left = np.repeat(spaces[1:], lengths) - np.arange(lengths.sum()) + 1  # characters to the space after the word
    by_size = [np.flatnonzero(left >= size) for size in range(sizes[0], sizes[1] + 1)]
    first = np.concatenate(by_size)
    last = np.concatenate([starts + size for size, starts in enumerate(by_size, sizes[0])])
    rows = np.repeat(words.rows, lengths)[first]
    return rows, _hash_slices(data, bounds[first], bounds[last] - bounds[first], table)


def word_ngrams(words: JoinedWords, table: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash words and pairs of neighbouring words of one text; see :func:`char_ngrams`."""
    spaces = np.flatnonzero(words.data == _SPACE)
    begins, ends = spaces[:-1] + 1, spaces[1:]
    first = np.flatnonzero(words.rows[:-1] == words.rows[1:])
    starts = np.concatenate([begins, begins[first]])
    lengths = np.concatenate([ends, ends[first + 1]]) - starts
    return np.concatenate([words.rows, words.rows[first]]), _hash_slices(words.data, starts, lengths, table)


def _hash_slices(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, table: int) -> np.ndarray:
    """Hash slices of bytes: the magnitude of MurmurHash3 (x86, 32 bits, seed 0), four bytes of all slices a step."""
    padded = np.concatenate([data, np.zeros(4, np.uint8)])
    # Four bytes from any offset, as one number.
    quads = padded[:-3].astype(np.uint32)
    for byte in (1, 2, 3):
        quads |= padded[byte : len(padded) - 3 + byte].astype(np.uint32) << np.uint32(8 * byte)
    whole = lengths // 4
    h = np.zeros(len(starts), np.uint32)
    block, longer = 0, np.flatnonzero(whole)
    while len(longer):
        mixed = h[longer] ^ _mix(quads[starts[longer] + 4 * block])
        h[longer] = (mixed << np.uint32(13) | mixed >> np.uint32(19)) * np.uint32(5) + np.uint32(0xE6546B64)
        block += 1
        longer = longer[whole[longer] > block]
    rest = (lengths % 4).astype(np.uint32)
    h ^= _mix(quads[starts + 4 * whole] & ((np.uint32(1) << (rest * np.uint32(8))) - np.uint32(1)))
    h ^= lengths.astype(np.uint32)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return np.abs((h ^ h >> np.uint32(16)).view(np.int32).astype(np.int64)) % table


def _mix(k: np.ndarray) -> np.ndarray:
    k = k * np.uint32(0xCC9E2D51)
    result: np.ndarray = (k << np.uint32(15) | k >> np.uint32(17)) * np.uint32(0x1B873593)
    return result


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of each hash value in each text, as a compressed sparse row matrix."""

    # int64 (n_texts + 1,): the start of each text's values.
    indptr: np.ndarray
    # Hash values, ascending in each text.
    indices: np.ndarray
    # The count of each value.
    data: np.ndarray

    @property
    def texts(self) -> int:
        """The number of texts."""
        return len(self.indptr) - 1


_NORMALIZER = Normalizer("matching")


def ngram_counts(texts: list[str]) -> tuple[Counts, Counts]:
    """Count hashed n-grams of texts: a block of characters within words and a block of words.

    Arabizi is converted to Arabic letters. All numbers count as the token ``0``, since a block or a road gives the
    place, not the topic.
    """
    clean = [_NORMALIZER(arabizi_to_arabic(text[:MAX_CHARS])) for text in texts]
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
        features = np.searchsorted(self.hashes, counts.indices.astype(np.int32))
        features[features == len(self.hashes)] = 0
        is_kept = self.hashes[features] == counts.indices
        rows, features, values = rows[is_kept], features[is_kept], counts.data[is_kept]
        # In float64, whose logarithms, rounded to float32, are the same on every processor.
        values = (1.0 + np.log(values.astype(np.float64))).astype(np.float32) * self.idf[features]
        squares = np.bincount(rows, values * values, minlength=counts.texts)
        values = values / np.sqrt(np.maximum(squares, 1e-12))[rows]
        return rows, features, values.astype(np.float32)


class NgramScorer:
    """Score texts for each task from their n-grams.

    Of each task there are int8 weights (features of all blocks, labels), the scale of each label's, and the intercepts
    (labels,), both float32.
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
        for block, counts in zip(self.blocks, ngram_counts(texts), strict=True):
            rows, features, values = block.known(counts)
            features, values = features + offset, values.astype(np.float64)
            ends = np.searchsorted(rows, np.arange(len(texts) + 1)).tolist()
            for row, (begin, end) in enumerate(pairwise(ends)):
                # Gathered as int8: an eighth of the memory traffic of float weights. Products of float32 by int8 sum in
                # float64 without rounding, in any order.
                totals[row] += values[begin:end] @ self._weights.take(features[begin:end], axis=0).astype(np.float64)
            offset += len(block.hashes)

    @classmethod
    def load(cls, path: Path) -> NgramScorer:
        """Read a scorer from a safetensors file.

        Raises ModelFormatError if the file is not a safetensors file of an n-gram scorer.
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
    shapes = [block.hashes.shape for block in blocks]
    if not weights or any(len(shape) != 1 for shape in shapes) or shapes != [block.idf.shape for block in blocks]:
        raise ValueError(f"hash values of the shapes {shapes} for the tasks {sorted(weights)}")
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
    """Write a safetensors file: float weights (features, labels) as int8 with one scale per label, and intercepts."""
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
