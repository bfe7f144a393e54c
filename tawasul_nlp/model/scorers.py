"""Both scorers of a model together, from texts to probabilities and embeddings.

The encoder takes most of the time and releases the interpreter lock, so it runs in a thread of its own: meanwhile the
next piece is tokenised, its n-grams are scored, and the previous piece's scores are combined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.combine import combine, with_ratios
from tawasul_nlp.model.encoder import EncoderScorer, Tokens
from tawasul_nlp.model.folder import ENCODER, NETWORK, NGRAM, VERIFIER, ModelConfig, model_file
from tawasul_nlp.model.issues import (
    Clause,
    FoundIssue,
    find_clauses,
    find_evidence,
    find_issues,
    joined,
    whole_clauses,
    whole_words,
)
from tawasul_nlp.model.ngram import NgramScorer
from tawasul_nlp.model.onnx_runtime import OnnxRuntime
from tawasul_nlp.model.runtime import PAIR, TOKEN_LABELS, TOKEN_TAGS, Runtime
from tawasul_nlp.model.torch_runtime import TorchRuntime

# Long enough to sort into batches with little padding, short enough that the scorers overlap.
_PIECE = 512
# Of the encoder alone, where nothing overlaps.
_PIECE_OF_ENCODER = 4_096

Scores = dict[str, np.ndarray]
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, eq=False)
class ModelOutput:
    """The outputs of one pass over texts."""

    # Calibrated probabilities (n_texts, n_labels) of each task.
    probabilities: dict[str, np.ndarray]
    # float32 (n_texts, hidden): the meaning of a text; of length 1.
    embedding: np.ndarray
    # float32 (n_texts, 128): the event that it reports; of length 1. None for a model without incident vectors.
    incident: np.ndarray | None
    # bool (n_texts,): which texts exceed the model's length.
    truncated: np.ndarray
    # The issues of each text, the main one first, at their places in it; None for a model that does not tell clauses
    # apart.
    issues: list[tuple[FoundIssue, ...]] | None = None
    # Where each text has words that speak for its urgency.
    evidence: list[tuple[tuple[int, int], ...]] | None = None


def joined_rows(outputs: Sequence[ModelOutput], rows: np.ndarray) -> ModelOutput:
    """Return rows of several outputs as one, without issues."""
    incident = [output.incident for output in outputs if output.incident is not None]
    return ModelOutput(
        probabilities={
            task: np.concatenate([output.probabilities[task] for output in outputs])[rows]
            for task in outputs[0].probabilities
        },
        embedding=np.concatenate([output.embedding for output in outputs])[rows],
        incident=np.concatenate(incident)[rows] if incident else None,
        truncated=np.concatenate([output.truncated for output in outputs])[rows],
    )


class ModelScorers:
    """The scorers of a model folder; ``runtime`` is the encoder's."""

    def __init__(self, folder: Path, config: ModelConfig, runtime: Runtime) -> None:
        self.config = config
        self.runtime = runtime
        self.encoder = self.verifier = EncoderScorer(folder, config, runtime)
        if VERIFIER in config.files:
            pairs = OnnxRuntime(model_file(folder, VERIFIER), runtime.threads, {PAIR: 1})
            self.verifier = self.encoder.running(pairs)
        self.ngram = NgramScorer.load(folder / NGRAM) if NGRAM in config.files else None
        sizes = {task: len(scale) for task, scale in self.ngram.scales.items()} if self.ngram is not None else {}
        for name, task in config.tasks.items():
            if "ngram" in task.weights and sizes.get(name) != len(task.labels):
                raise ModelFormatError(
                    f"{folder / NGRAM}: scores {sizes.get(name, 0)} labels of task {name!r}, but the configuration has "
                    f"{len(task.labels)}; restore the whole folder"
                )

    def encode(self, texts: Sequence[str], output: str, batch_size: int) -> np.ndarray:
        """Return an output of the encoder for each text: float32 (n_texts, size)."""
        pieces = (self.encoder.tokenize(piece) for piece in _pieces(texts, _PIECE_OF_ENCODER))
        return _run(self.encoder, pieces, output, batch_size)

    def pair_logits(self, pairs: Sequence[tuple[str, str]], batch_size: int) -> np.ndarray:
        """Return for each pair of texts the logit that both report one event: float32 (n_pairs,)."""
        pieces = (self.verifier.tokenize_pairs(piece) for piece in _pieces(pairs, _PIECE_OF_ENCODER))
        return _run(self.verifier, pieces, PAIR, batch_size)[:, 0]

    def forward(
        self, texts: Sequence[str], batch_size: int, ratios: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> Iterator[ModelOutput]:
        """Score texts piece by piece, in order; ``ratios`` are new priors over those of the model.

        Raises ModelFormatError if the model's scores overflow, so they give no probabilities.
        """
        start = 0
        for scores, tokens in self.scores(texts, batch_size):
            yield self._joined(texts[start : start + len(tokens)], scores, tokens, ratios)
            start += len(tokens)

    def scores(self, texts: Sequence[str], batch_size: int) -> Iterator[tuple[dict[str, Scores], Tokens]]:
        """Yield what both scorers say of each piece of the texts, not combined yet, and their tokens."""
        waiting: deque[tuple[Scores, Future[Scores], Tokens]] = deque()

        def oldest() -> tuple[dict[str, Scores], Tokens]:
            ngram, future, tokens = waiting.popleft()
            return {"encoder": future.result(), "ngram": ngram}, tokens

        with ThreadPoolExecutor(1) as pool:
            for piece in _pieces(texts, _PIECE):
                tokens = self.encoder.tokenize(piece)
                future = pool.submit(self.encoder.run, tokens, batch_size)
                waiting.append((self.ngram.scores(piece) if self.ngram is not None else {}, future, tokens))
                if len(waiting) > 1:
                    yield oldest()
            while waiting:
                yield oldest()

    def probabilities(
        self, scores: dict[str, Scores], ratios: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> dict[str, np.ndarray]:
        """Return the calibrated probabilities of each task from both scorers' scores, perhaps under new priors."""
        with np.errstate(all="ignore"):  # overflow is refused below
            combined = combine(self.config.tasks, scores)
        for name, values in combined.items():
            if not np.isfinite(values).all():
                task = self.config.tasks[name]
                raise ModelFormatError(
                    f"the weights {task.weights}, temperature {task.temperature} and power {task.power} of task "
                    f"{name!r} give no probabilities; restore the model folder, or retrain"
                )
        if ratios:
            combined = with_ratios(self.config.tasks, combined, ratios)
        return {task: np.exp(values) for task, values in combined.items()}

    def clauses(self, scores: Scores, row: int, probabilities: np.ndarray) -> list[Clause]:
        """Return the clauses of one text that may report an issue, from the encoder's scores of a piece of texts."""
        return find_clauses(scores[TOKEN_TAGS][row], scores[TOKEN_LABELS][row], probabilities)

    def _joined(
        self, texts: Sequence[str], scores: dict[str, Scores], tokens: Tokens, ratios: Mapping[str, np.ndarray]
    ) -> ModelOutput:
        encoded, probabilities = scores["encoder"], self.probabilities(scores, ratios)
        output = ModelOutput(
            probabilities=probabilities,
            embedding=encoded["embedding"],
            incident=encoded.get("incident"),
            truncated=tokens.truncated,
        )
        if self.config.issues is None:
            return output
        issues, evidence = [], []
        for row, text in enumerate(texts):
            text_issues, words = self._issues(text, tokens, row, encoded, probabilities[self.config.issues.task][row])
            issues.append(text_issues)
            evidence.append(words)
        return replace(output, issues=issues, evidence=evidence)

    def _issues(
        self, text: str, tokens: Tokens, row: int, encoded: Scores, probabilities: np.ndarray
    ) -> tuple[tuple[FoundIssue, ...], tuple[tuple[int, int], ...]]:
        assert self.config.issues is not None
        tags = encoded[TOKEN_TAGS][row]
        if not len(tags):
            main = int(probabilities.argmax())
            return (FoundIssue(main, float(probabilities[main]), 0, len(text)),), ()
        clauses = self.clauses(encoded, row, probabilities)
        issues = find_issues(clauses, probabilities, self.config.issues, len(tags))
        evidence = find_evidence(tags)
        places = self.encoder.places(text, tokens, row, [*((issue.start, issue.end) for issue in issues), *evidence])
        placed = [replace(issue, start=place[0], end=place[1]) for issue, place in zip(issues, places, strict=False)]
        return whole_clauses(text, placed), joined([whole_words(text, *place) for place in places[len(issues) :]])


def _run(scorer: EncoderScorer, pieces: Iterable[Tokens], output: str, batch_size: int) -> np.ndarray:
    parts = [scorer.run(tokens, batch_size)[output] for tokens in pieces]
    return np.concatenate(parts) if parts else np.zeros((0, scorer.runtime.sizes()[output]), np.float32)


def _pieces(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def choose_runtime(
    folder: Path,
    config: ModelConfig,
    *,
    threads: int | None,
    device: str | None,
    runtime: str | None,
) -> Runtime:
    """Return the runtime of a model folder's encoder; see ``ComplaintClassifier.from_pretrained``.

    Raises ModelFormatError if the folder has no weights for it. Raises ValueError if there is no such device or
    runtime, or they are incompatible.
    """
    if runtime not in (None, "onnx", "torch"):
        raise ValueError(f"runtime is {runtime!r}, expected 'onnx', 'torch' or None")
    device = device or "cpu"
    if runtime is None:
        runtime = "onnx" if device == "cpu" and ENCODER in config.files else "torch"
    if runtime == "torch":
        if NETWORK not in config.files:
            raise ModelFormatError(
                f"{folder}: no {NETWORK}, so torch cannot run it; use runtime='onnx' and device='cpu', "
                "or train a model with torch weights"
            )
        return TorchRuntime(folder, config, device, threads)
    if device != "cpu":
        raise ValueError(f"device is {device!r}, but runtime 'onnx' runs on the CPU only; use runtime='torch'")
    if ENCODER not in config.files:
        raise ModelFormatError(f"{folder}: no {ENCODER}, so ONNX Runtime cannot run it; use runtime='torch'")
    return OnnxRuntime(model_file(folder, ENCODER), threads, config.encoder_outputs)
