"""Make the first model shorter: six of its twelve layers, and the corpus's most frequent words as whole tokens."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import BertModel, PreTrainedTokenizerFast

from tawasul_nlp.model.folder import CONFIG, NETWORK, NETWORK_CONFIG, NGRAM, TOKENIZER, file_hash, read_config
from tawasul_nlp.text import Normalizer
from tawasul_nlp.text.arabizi import arabizi_to_arabic
from tawasul_nlp.training.backbone import restore_network, restore_tokenizer, wrap_tokenizer
from tawasul_nlp.training.package import save_network

LAYERS, WORDS = 6, 12_000
# A rarer word would hardly be trained.
_LEAST_TEXTS = 3
# A whole word wins over its pieces by so much, which leaves the tokens of longer words as they are.
_AHEAD = 0.01


def shortened(model: Path, out: Path, texts: Iterable[str], layers: int = LAYERS, words: int = WORDS) -> Path:
    """Return ``out`` with the shortened network of a model folder; its new tokens are words of the texts."""
    if (out / CONFIG).exists():  # it is written last
        return out
    out.mkdir(parents=True, exist_ok=True)
    network, normalizer = restore_network(model), Normalizer("default")
    keep_layers(network.encoder, layers)
    clean = (normalizer(arabizi_to_arabic(text)) for text in texts)
    tokenizer = add_words(network.encoder, restore_tokenizer(model), clean, words)
    tokenizer.backend_tokenizer.save(str(out / TOKENIZER))
    save_network(network, out)
    shutil.copy(model / NGRAM, out)
    files = {name: file_hash(out / name) for name in (TOKENIZER, NETWORK, NETWORK_CONFIG, NGRAM)}
    replace(read_config(model), files=files).save(out)
    return out


def keep_layers(encoder: BertModel, count: int) -> None:
    """Keep ``count`` of an encoder's layers, evenly spaced from the first.

    Six of twelve are every other one from the first on: a linear probe reads the corpus's topics better from these than
    from the first six, or from those that end with the last.
    """
    layers = encoder.encoder.layer
    if count > len(layers):
        raise ValueError(f"layers is {count}, but the backbone has {len(layers)}")
    numbers = np.arange(count) * len(layers) // count
    encoder.encoder.layer = nn.ModuleList([layers[number] for number in numbers.tolist()])
    encoder.config.num_hidden_layers = count


def add_words(
    encoder: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str], count: int
) -> PreTrainedTokenizerFast:
    """Make the most frequent words tokens of their own, whose vectors are the means of their pieces'.

    Parameters
    ----------
    encoder : BertModel
        Changed in place.
    texts : iterable of str
        Normalised.

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
    size = len(pieces)
    split = [_pieces(backend, word) for word in words]
    added = [vectors[ids].mean(0) for ids in split]
    pieces += [[word, sum(pieces[piece][1] for piece in ids) + _AHEAD] for word, ids in zip(words, split, strict=True)]
    for token in plain["added_tokens"]:
        token["id"] += len(words) if token["id"] >= size else 0
    table = torch.cat([vectors[:size], *([torch.stack(added)] if added else []), vectors[size:]])
    encoder.set_input_embeddings(nn.Embedding.from_pretrained(table, freeze=False, padding_idx=tokenizer.pad_token_id))
    encoder.config.vocab_size = len(table)
    return wrap_tokenizer(Tokenizer.from_str(json.dumps(plain)))


def _frequent_words(backend: Tokenizer, texts: Iterable[str], tokens: set[str], count: int) -> list[str]:
    """Return the most frequent words that are not tokens yet, as the tokenizer cuts texts into words."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer is not None else text
        counts.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal))
    new = (
        word
        for word, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if times >= _LEAST_TEXTS and word not in tokens and any(char.isalpha() for char in word)
    )
    return [word for word, _ in zip(new, range(count), strict=False)]


def _pieces(backend: Tokenizer, word: str) -> list[int]:
    return [token.id for token in backend.model.tokenize(word)]
