"""Both scorers of a model together, from texts to probabilities and embeddings.

The encoder takes most of the time and releases the interpreter lock, so it runs in a thread of its own: meanwhile the
next piece is tokenised, its n-grams are scored, and the previous piece's scores are combined.
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
from tawasul_nlp.model.encoder import EncoderScorer
from tawasul_nlp.model.folder import NGRAM, ModelConfig
from tawasul_nlp.model.issues import FoundIssue
from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.model.runtime import PAIR, Runtime

# Long enough to sort into batches with little padding, short enough that the scorers overlap.
_PIECE = 512

Scores = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class ModelOutput:
    """The outputs of one pass over texts.

    Attributes
    ----------
    probabilities : dict of str to ndarray
        Calibrated probabilities (n_texts, n_labels) of each task.
    embedding : ndarray of float32, shape (n_texts, hidden)
        The meaning of a text; of length 1.
    incident : ndarray of float32, shape (n_texts, 128), or None
        The event that it reports; of length 1. None for a model without incident vectors.
    truncated : ndarray of bool, shape (n_texts,)
        Which texts exceed the model's length.
    issues : list of tuple of FoundIssue, or None
        Those of each text, the main one first; None for a model that does not tell issues apart.
    evidence : list of tuple of (int, int), or None
        Spans of each original text that speak for its urgency; None for a model that does not find them.
    """

    probabilities: dict[str, np.ndarray]
    embedding: np.ndarray
    incident: np.ndarray | None
    truncated: np.ndarray
    issues: list[tuple[FoundIssue, ...]] | None = None
    evidence: list[tuple[tuple[int, int], ...]] | None = None


class ModelScorers:
    """The scorers of a model folder.

    Parameters
    ----------
    folder : Path
    config : ModelConfig
    runtime : Runtime
        The encoder's runtime.
    """

    def __init__(self, folder: Path, config: ModelConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.encoder = EncoderScorer(folder, config, runtime)
        self.ngram = NgramScorer.load(folder / NGRAM) if NGRAM in config.files else None
        known = {task: len(scale) for task, scale in self.ngram.scales.items()} if self.ngram is not None else {}
        for name, task in config.tasks.items():
            if "ngram" in task.weights and known.get(name) != len(task.labels):
                raise ModelFormatError(
                    f"{folder / NGRAM}: scores {known.get(name, 0)} labels of task {name!r}, but the configuration has "
                    f"{len(task.labels)}; restore the whole folder"
                )

    def encode(self, texts: Sequence[str], batch_size: int) -> tuple[Scores, np.ndarray]:
        """Return the encoder's outputs for texts, and which texts were truncated."""
        tokens = self.encoder.tokenize(texts)
        return self.encoder.run(tokens, batch_size), tokens.truncated

    def pair_logits(self, pairs: Sequence[tuple[str, str]], batch_size: int) -> np.ndarray:
        """Return for each pair of texts the logit that both report one event: float32 (n_pairs,)."""
        tokens = self.encoder.tokenize_pairs(pairs)
        logits: np.ndarray = self.encoder.run(tokens, batch_size)[PAIR][:, 0]
        return logits

    def forward(self, texts: Sequence[str], batch_size: int) -> Iterator[ModelOutput]:
        """Score texts piece by piece, in order.

        Parameters
        ----------
        texts : sequence of str
        batch_size : int
            The most texts in one batch of the encoder.

        Raises
        ------
        ModelFormatError
            If the model's scores overflow, so they give no probabilities.
        """
        for scores, truncated in self.scores(texts, batch_size):
            yield self._joined(scores, truncated)

    def scores(self, texts: Sequence[str], batch_size: int) -> Iterator[tuple[dict[str, Scores], np.ndarray]]:
        """Yield what both scorers say of each piece of the texts, not combined yet, and which of them were cut."""
        pieces = [list(texts[start : start + _PIECE]) for start in range(0, len(texts), _PIECE)]
        waiting: deque[tuple[Scores, Future[Scores], np.ndarray]] = deque()

        def oldest() -> tuple[dict[str, Scores], np.ndarray]:
            ngram, future, truncated = waiting.popleft()
            return {"encoder": future.result(), "ngram": ngram}, truncated

        with ThreadPoolExecutor(1) as pool:
            for piece in pieces:
                tokens = self.encoder.tokenize(piece)
                future = pool.submit(self.encoder.run, tokens, batch_size)
                waiting.append((self.ngram.scores(piece) if self.ngram is not None else {}, future, tokens.truncated))
                if len(waiting) > 1:
                    yield oldest()
            while waiting:
                yield oldest()

    def _joined(self, scores: dict[str, Scores], truncated: np.ndarray) -> ModelOutput:
        encoded = scores["encoder"]
        with np.errstate(all="ignore"):  # overflow is refused below
            combined = combine(self.config.tasks, scores)
        for name, values in combined.items():
            if not np.isfinite(values).all():
                task = self.config.tasks[name]
                raise ModelFormatError(
                    f"the weights {task.weights}, temperature {task.temperature} and power {task.power} of task "
                    f"{name!r} give no probabilities; restore the model folder, or retrain"
                )
        probabilities = {task: np.exp(values) for task, values in combined.items()}
        return ModelOutput(probabilities, encoded["embedding"], encoded.get("incident"), truncated)
