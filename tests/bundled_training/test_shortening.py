"""An encoder gets shorter without losing what it knows of the words."""

from pathlib import Path

import pytest
import torch
from transformers import BertModel

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.training.backbone import load_backbone, restore_network, restore_tokenizer, wrap_tokenizer
from training.shortening import add_words, keep_layers, shortened

TEXTS = ["انقطاع المستوصفات عن البلدة", "المستوصفات مزدحمة", "عند المستوصفات"]


@pytest.fixture
def encoder() -> BertModel:
    return restore_network(BUNDLED).encoder


def test_a_frequent_word_becomes_one_token_whose_vector_is_the_mean_of_its_pieces(encoder: BertModel) -> None:
    old = restore_tokenizer(BUNDLED)
    pieces = old("المستوصفات", add_special_tokens=False).input_ids
    assert len(pieces) > 1
    before = encoder.get_input_embeddings().weight[pieces].mean(0).clone()
    new = add_words(encoder, old, TEXTS, 1)
    (token,) = new("المستوصفات", add_special_tokens=False).input_ids
    assert torch.allclose(encoder.get_input_embeddings().weight[token], before)
    assert encoder.config.vocab_size == len(old) + 1 == len(new)
    for text in ("انقطاع الكهرباء", "والمستوصف"):
        assert new(text).input_ids == old(text).input_ids
    assert new.convert_ids_to_tokens(new.mask_token_id) == "<mask>"


def test_layers_are_kept_evenly_from_the_first(encoder: BertModel) -> None:
    kept = [encoder.encoder.layer[at] for at in (0, 2, 4)]
    keep_layers(encoder, 3)
    assert list(encoder.encoder.layer) == kept
    with pytest.raises(ValueError, match="layers is 4, but the backbone has 3"):
        keep_layers(encoder, 4)


def test_only_tokenizers_of_pieces_with_scores_take_whole_words(encoder: BertModel) -> None:
    from tests.model.tiny_model import tiny_tokenizer

    with pytest.raises(ValueError, match="whole_words needs a Unigram tokenizer"):
        add_words(encoder, wrap_tokenizer(tiny_tokenizer()), TEXTS, 1)


def test_a_shortened_model_is_a_backbone_with_the_heads_of_the_whole(tmp_path: Path) -> None:
    whole = load_backbone("bundled", 0.1)
    short = load_backbone(str(shortened(BUNDLED, tmp_path / "short", TEXTS, layers=3, words=1)), 0.1)
    assert len(short.encoder.encoder.layer) == 3 and len(short.tokenizer) == len(whole.tokenizer) + 1
    assert whole.model is not None and short.model is not None
    for old, new in zip(whole.model.heads.values(), short.model.heads.values(), strict=True):
        assert torch.equal(old.weight, new.weight)
