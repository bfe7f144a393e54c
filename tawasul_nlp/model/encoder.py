"""The encoder as a scorer: convert Arabizi, normalise, tokenise, and run in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tawasul_nlp.errors import ModelFormatError
from tawasul_nlp.model.folder import TOKENIZER, ModelConfig
from tawasul_nlp.model.runtime import TOKEN_OUTPUTS, Batch, Runtime
from tawasul_nlp.text import NormalizedText, Normalizer
from tawasul_nlp.text.arabizi import arabizi_edits, arabizi_to_arabic
from tawasul_nlp.text.profiles import Profile

MAX_CHARS = 8_000
"""Always more characters than the encoder's 512 tokens; bounds the work on a huge text."""
_PADS = ("<pad>", "[PAD]", "<PAD>", "[pad]")


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Texts as tokens, each with its special ones and without padding."""

    # bool (n_texts,): which texts exceed the model's length.
    truncated: np.ndarray
    # Ids, masks and the place of each token in the normalised text.
    encodings: list[Any]

    def __len__(self) -> int:
        return len(self.encodings)

    def content(self, text: int) -> slice:
        """Return which tokens of a text are its own, between the special ones."""
        special = self.encodings[text].special_tokens_mask
        return slice(special.index(0), len(special) - special[::-1].index(0)) if 0 in special else slice(0, 0)


class EncoderScorer:
    """Runs the encoder of a model folder on texts.

    Raises ModelFormatError if the folder's normalisation is unsupported, or its tokenizer is damaged.
    """

    def __init__(self, folder: Path, config: ModelConfig, runtime: Runtime) -> None:
        try:
            profile = Profile.from_dict(config.profile)
        except (TypeError, ValueError) as error:
            raise ModelFormatError(f"{folder}: unknown normalisation ({error})") from error
        if profile.fingerprint() != config.profile_fingerprint:
            raise ModelFormatError(
                f"{folder}: trained with normalisation {config.profile_fingerprint}, this library's profile "
                f"{profile.name!r} is {profile.fingerprint()}; use the library version that trained it, or retrain"
            )
        self.runtime = runtime
        self._normalizer = Normalizer(profile)
        self._tokenizer, self._pad_id = _load_tokenizer(folder / TOKENIZER, config.max_tokens)

    def running(self, runtime: Runtime) -> EncoderScorer:
        """Return the scorer of another network with the same tokenizer."""
        other = copy(self)
        other.runtime = runtime
        return other

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Convert Arabizi to Arabic letters, normalise and tokenise."""
        encodings = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        cut = [bool(e.overflowing) or len(text) > MAX_CHARS for e, text in zip(encodings, texts, strict=True)]
        return Tokens(np.array(cut, dtype=bool), encodings)

    def tokenize_pairs(self, pairs: Sequence[tuple[str, str]]) -> Tokens:
        """Tokenise pairs of texts, each as one input; the longer text of a pair that is too long is cut first."""
        encodings = self._tokenizer.encode_batch([(self._clean(first), self._clean(second)) for first, second in pairs])
        return Tokens(np.array([bool(encoding.overflowing) for encoding in encodings], dtype=bool), encodings)

    def _clean(self, text: str) -> str:
        return self._normalizer(arabizi_to_arabic(text[:MAX_CHARS]))

    def places(self, text: str, tokens: Tokens, row: int, slices: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return where slices of the tokens of a text, the one at ``row``, lie in the text as it was written."""
        text = text[:MAX_CHARS]
        normal = self._normalizer.normalize_with_offsets(text, arabizi_edits(text))
        offsets = tokens.encodings[row].offsets[tokens.content(row)]
        return [source_of(normal, offsets[start][0], offsets[end - 1][1]) for start, end in slices]

    def run(self, tokens: Tokens, batch_size: int) -> dict[str, np.ndarray]:
        """Run the encoder on batches of similar length.

        Each output is in the order of the texts: float32 (n_texts, size), or of those for each token an array
        (tokens, size) for each text (n_texts,), without special tokens.

        Raises ModelFormatError if an output holds NaN or infinity, which no threshold would catch.
        """
        lengths = np.array([len(encoding) for encoding in tokens.encodings])
        order = np.argsort(lengths, kind="stable")
        cuts = [order[start:end] for start, end in _batches(lengths[order], batch_size, self.runtime.batch_tokens)]
        outputs: dict[str, np.ndarray] = {}
        batches = [self._padded(tokens, rows, lengths[rows]) for rows in cuts]
        for rows, batch in zip(cuts, self.runtime.run_all(batches), strict=True):
            contents = [tokens.content(row) for row in rows.tolist()] if TOKEN_OUTPUTS & batch.keys() else []
            for name, values in batch.items():
                if not np.isfinite(values).all():
                    raise ModelFormatError(
                        f"the encoder's output {name!r} holds NaN or infinity; its weights are damaged, or too large "
                        "for the precision that it runs in: restore the model folder, or retrain"
                    )
                if name in TOKEN_OUTPUTS:
                    texts = outputs.setdefault(name, np.empty(len(lengths), object))
                    for row, tagged, content in zip(rows.tolist(), values, contents, strict=True):
                        texts[row] = tagged[content].copy()  # not a view, which would keep the whole batch
                else:
                    outputs.setdefault(name, np.empty((len(lengths), values.shape[1]), np.float32))[rows] = values
        return outputs

    def _padded(self, tokens: Tokens, rows: np.ndarray, lengths: np.ndarray) -> Batch:
        width = max(1, int(lengths[-1]))  # without special tokens an empty text has no token
        filled = np.arange(width) < lengths[:, None]
        ids = np.full((len(rows), width), self._pad_id, np.int64)
        ids[filled] = np.concatenate([tokens.encodings[row].ids for row in rows])
        return ids, filled.astype(np.int64)


def source_of(normal: NormalizedText, start: int, end: int) -> tuple[int, int]:
    """Return the place of a normalised text's slice in its source, without the spaces around it; (0, 0) for spaces."""
    part = normal.text[start:end]
    start, end = start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
    return normal.source_span(start, end) if start < end else (0, 0)


def _batches(lengths: np.ndarray, batch_size: int, tokens: int) -> Iterator[tuple[int, int]]:
    """Split texts, sorted by length, into batches of at most ``batch_size`` texts and ``tokens`` padded tokens."""
    start = 0
    for end in range(1, len(lengths) + 1):
        if end == len(lengths) or end - start == batch_size or (end + 1 - start) * lengths[end] > tokens:
            yield start, end
            start = end


def _load_tokenizer(path: Path, max_tokens: int) -> tuple[Any, int]:
    """Return the tokenizer, with its padding off, and the id that pads batches (with mask 0)."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
        padding = tokenizer.padding
        tokenizer.enable_truncation(max_tokens)
        tokenizer.no_padding()
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelFormatError(f"{path}: damaged ({error}); restore the model folder") from error
    if padding is not None:
        return tokenizer, int(padding["pad_id"])
    pad_ids = (tokenizer.token_to_id(token) for token in _PADS)
    return tokenizer, next((index for index in pad_ids if index is not None), 0)
