"""A smaller, faster encoder out of a backbone: fewer layers, and frequent words as tokens of their own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel, PreTrainedTokenizerFast

from tawasul_nlp.text import Normalizer, arabizi_to_arabic
from tawasul_nlp.training.backbone import Backbone
from tawasul_nlp.training.base_encoder import wrap_tokenizer
from tawasul_nlp.training.config import TrainConfig

# A rarer word would hardly be trained.
_LEAST_TEXTS = 3
# A whole word wins over its pieces by so much, which leaves the tokens of longer words as they are.
_AHEAD = 0.01


def shortened(backbone: Backbone, config: TrainConfig, texts: Callable[[], list[str]]) -> Backbone:
    """Return the backbone with the layers and the whole words that a configuration asks for.

    Parameters
    ----------
    backbone : Backbone
        Its encoder is changed in place.
    config : TrainConfig
    texts : callable
        Returns the training texts, whose most frequent words become tokens.

    Raises
    ------
    ValueError
        If it has fewer layers, or its tokenizer is not a Unigram model.
    """
    if config.layers is not None:
        keep_layers(backbone.encoder, config.layers)
    if not config.whole_words:
        return backbone
    normalizer = Normalizer(config.profile)
    clean = (normalizer(arabizi_to_arabic(text)) for text in texts())
    tokenizer = add_words(backbone.encoder, backbone.tokenizer, clean, config.whole_words)
    return backbone._replace(tokenizer=tokenizer)


def keep_layers(encoder: BertModel, count: int) -> None:
    """Keep ``count`` of an encoder's layers, evenly spaced from the first.

    Six of twelve are every other one from the first on: a linear probe reads the corpus's topics better from these than
    from the first six, or from those that end with the last.
    """
    layers = encoder.encoder.layer
    if count > len(layers):
        raise ValueError(f"layers is {count}, but the backbone has {len(layers)}")
    kept = np.arange(count) * len(layers) // count
    encoder.encoder.layer = nn.ModuleList([layers[at] for at in kept.tolist()])
    encoder.config.num_hidden_layers = count


def add_words(
    encoder: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], count: int
) -> PreTrainedTokenizerFast:
    """Make the most frequent words tokens of their own, whose vectors are the means of their pieces'.

    Parameters
    ----------
    encoder : BertModel
        Changed in place.
    tokenizer : PreTrainedTokenizerFast
    texts : iterable of str
        Normalised.
    count : int

    Returns
    -------
    PreTrainedTokenizerFast
        The new tokenizer; the ids of the tokens that were there stay, except those added behind the vocabulary.
    """
    backend = tokenizer.backend_tokenizer
    plain = json.loads(backend.to_str())
    if plain["model"]["type"] != "Unigram":
        raise ValueError(f"whole_words needs a Unigram tokenizer, but the backbone's is a {plain['model']['type']}")
    pieces = plain["model"]["vocab"]
    words = _frequent_words(backend, texts, {piece for piece, _ in pieces}, count)
    vectors = encoder.get_input_embeddings().weight.detach()
    known = len(pieces)
    split = [_pieces(backend, word) for word in words]
    added = [vectors[ids].mean(0) for ids in split]
    pieces += [[word, sum(pieces[at][1] for at in ids) + _AHEAD] for word, ids in zip(words, split, strict=True)]
    for token in plain["added_tokens"]:
        token["id"] += len(words) if token["id"] >= known else 0
    table = torch.cat([vectors[:known], *([torch.stack(added)] if added else []), vectors[known:]])
    encoder.set_input_embeddings(nn.Embedding.from_pretrained(table, freeze=False, padding_idx=tokenizer.pad_token_id))
    encoder.config.vocab_size = len(table)
    return wrap_tokenizer(Tokenizer.from_str(json.dumps(plain)))


def _frequent_words(backend: Tokenizer, texts: Iterable[str], known: set[str], count: int) -> list[str]:
    """Return the most frequent words that are not tokens yet, as the tokenizer cuts texts into words."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        counts.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal))
    new = (
        word
        for word, found in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if found >= _LEAST_TEXTS and word not in known and any(char.isalpha() for char in word)
    )
    return [word for word, _ in zip(new, range(count), strict=False)]


def _pieces(backend: Tokenizer, word: str) -> list[int]:
    return [token.id for token in backend.model.tokenize(word)]
