"""Both readers of a model together, from texts to probabilities and embeddings; and the cascade that spares one.

The encoder takes most of the time and releases the interpreter while it runs, so it works in a thread of its own, one
piece ahead: meanwhile the n-grams of a piece are scored and the answers of the last one are put together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.combine import combine
from tawasul_nlp.model.encoder import EncoderReader
from tawasul_nlp.model.folder import NGRAM, ModelConfig
from tawasul_nlp.model.ngram import NgramReader
from tawasul_nlp.model.runtime import Runtime

# Long enough to sort into batches without much padding, short enough that the readers work side by side.
_PIECE = 512

Scores = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Everything that one pass over some texts gives.

    Attributes
    ----------
    probabilities : dict of str to ndarray
        Calibrated probabilities (n_texts, n_labels) of each task.
    embedding : ndarray of float32, shape (n_texts, hidden)
        What a text is about; of length 1. Without columns where the cascade read: the encoder has not seen all texts.
    incident : ndarray of float32, shape (n_texts, 128), or None
        What event it tells of; of length 1. None for a model without incident vectors, and where the cascade read.
    truncated : ndarray of bool, shape (n_texts,)
        Which texts were longer than the model reads.
    spared : ndarray of bool, shape (n_texts,)
        Which texts the n-gram reader answered alone, in a cascade.
    """

    probabilities: dict[str, np.ndarray]
    embedding: np.ndarray
    incident: np.ndarray | None
    truncated: np.ndarray
    spared: np.ndarray


class ModelReaders:
    """The readers of a model folder.

    Parameters
    ----------
    folder : Path
    config : ModelConfig
    runtime : Runtime
        What runs the encoder.
    """

    def __init__(self, folder: Path, config: ModelConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.encoder = EncoderReader(folder, config, runtime)
        self.ngram = NgramReader.load(folder / NGRAM) if NGRAM in config.files else None
        read = {task: len(scale) for task, scale in self.ngram.scales.items()} if self.ngram is not None else {}
        for name, task in config.tasks.items():
            if "ngram" in task.weights and read.get(name) != len(task.labels):
                raise ModelFormatError(
                    f"{folder / NGRAM}: reads {read.get(name, 0)} labels of task {name!r}, but the configuration has "
                    f"{len(task.labels)}; restore the whole folder"
                )

    def encode(self, texts: Sequence[str], batch_size: int) -> tuple[Scores, np.ndarray]:
        """Return the encoder's outputs for texts, and which of them were cut."""
        tokens = self.encoder.tokenize(texts)
        return self.encoder.run(tokens, batch_size), tokens.truncated

    def read(self, texts: Sequence[str], batch_size: int, cascade: bool = False) -> Iterator[Reading]:
        """Read texts piece by piece, in their order.

        Parameters
        ----------
        texts : sequence of str
        batch_size : int
            Texts that the encoder reads at once, at most.
        cascade : bool
            Whether texts that the n-gram reader is sure of are spared the encoder.
        """
        pieces = [list(texts[start : start + _PIECE]) for start in range(0, len(texts), _PIECE)]
        waiting: deque[tuple[Scores, np.ndarray, Future[tuple[Scores, np.ndarray]]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for piece in pieces:
                if cascade:
                    ngram = self._ngram_scores(piece)
                    spared = self._sure(ngram, len(piece))
                    rest = [text for text, sure in zip(piece, spared, strict=True) if not sure]
                    future = pool.submit(self.encode, rest, batch_size)
                else:
                    spared = np.zeros(len(piece), bool)
                    future = pool.submit(self.encode, piece, batch_size)
                    ngram = self._ngram_scores(piece)
                waiting.append((ngram, spared, future))
                if len(waiting) > 1:
                    yield self._joined(*waiting.popleft())
            while waiting:
                yield self._joined(*waiting.popleft())

    def _ngram_scores(self, texts: list[str]) -> Scores:
        return self.ngram.scores(texts) if self.ngram is not None else {}

    def _sure(self, ngram: Scores, n_texts: int) -> np.ndarray:
        """Say which texts the n-gram reader may answer alone: those where it is sure of every task."""
        assert self.config.cascade is not None
        sure = np.ones(n_texts, bool)
        for task, log_probabilities in combine(self.config.cascade.tasks, {"ngram": ngram}).items():
            sure &= log_probabilities.max(axis=1) >= np.log(self.config.cascade.sure[task])
        return sure

    def _joined(self, ngram: Scores, spared: np.ndarray, future: Future[tuple[Scores, np.ndarray]]) -> Reading:
        encoded, cut = future.result()
        read = ~spared
        if not spared.any():
            combined = combine(self.config.tasks, {"encoder": encoded, "ngram": ngram})
            embedding = encoded["embedding"]
            probabilities = {task: np.exp(values) for task, values in combined.items()}
            return Reading(probabilities, embedding, encoded.get("incident"), cut, spared)
        assert self.config.cascade is not None
        probabilities = {task: np.exp(v) for task, v in combine(self.config.cascade.tasks, {"ngram": ngram}).items()}
        truncated = np.zeros(len(spared), bool)
        if read.any():
            theirs = {task: scores[read] for task, scores in ngram.items()}
            for task, values in combine(self.config.tasks, {"encoder": encoded, "ngram": theirs}).items():
                probabilities[task][read] = np.exp(values)
            truncated[read] = cut
        return Reading(probabilities, np.zeros((len(spared), 0), np.float32), None, truncated, spared)
