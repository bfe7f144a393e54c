"""The verifier learns from pairs of texts, resumes as if it had not been stopped, and reads for a model folder."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from tawasul_nlp import ComplaintClassifier
from tawasul_nlp.model.folder import BUNDLED, VERIFIER, read_config
from tawasul_nlp.training.backbone import load_backbone, restore_network, restore_tokenizer
from training import verifier
from training.corpus import Example, neighbourhoods
from training.event_pairs import Pair, PairDraws, validation_pairs
from training.incidents import Incident
from training.verifier import PairEncoder, VerifierSettings, keep_layers, train_verifier, untrained


def told(name: str) -> Example:
    return Example(name, f"بلاغ {name}", "", "", "", "", "", "", name[0])


INCIDENTS = [
    Incident("a", "", (told("a1"), told("a2")), (told("near"),), "N"),
    Incident("b", "", (told("b1"), told("b2")), (), "N"),
    Incident("case-1", "", (told("c1"), told("c2"))),
]
MINED = [(told("a1"), told("other"))]


def test_pairs_are_reports_of_one_event_copies_hard_negatives_neighbours_and_mined() -> None:
    drawn = PairDraws(INCIDENTS, MINED, 0.0, 1).draw(3_000)
    kinds = Counter((frozenset((pair.first, pair.second)), pair.same) for pair in drawn)
    text = {name: told(name).text for name in ("a1", "a2", "b1", "b2", "c1", "c2", "near", "other")}
    two_events = {
        ("a1", "near"),
        ("a2", "near"),
        ("a1", "other"),
        *((a, b) for a in ("a1", "a2") for b in ("b1", "b2")),
    }
    assert {pair for pair, same in kinds if not same} == {frozenset((text[a], text[b])) for a, b in two_events}
    one_event = {frozenset((text[a], text[b])) for a, b in (("a1", "a2"), ("b1", "b2"), ("c1", "c2"))}
    assert one_event <= {pair for pair, same in kinds if same}
    assert 0.4 < np.mean([pair.same for pair in drawn]) < 0.5
    assert drawn == PairDraws(INCIDENTS, MINED, 0.0, 1).draw(3_000)


def test_validation_pairs_are_of_neighbourhoods_that_no_training_text_is_of() -> None:
    judged = validation_pairs()
    texts = {text for pairs in judged.values() for pair in pairs for text in (pair.first, pair.second)}
    assert texts <= {row["text"] for row in neighbourhoods("validation")}
    assert not texts & {row["text"] for side in ("train", "test") for row in neighbourhoods(side)}
    for pairs in judged.values():
        assert 100 < sum(pair.same for pair in pairs) < len(pairs) - 100


def test_layers_are_kept_evenly_from_the_first() -> None:
    encoder = restore_network(BUNDLED).encoder
    kept = [encoder.encoder.layer[at] for at in (0, 2, 4)]
    keep_layers(encoder, 3)
    assert list(encoder.encoder.layer) == kept
    keep_layers(encoder, 10)
    assert len(encoder.encoder.layer) == 3


def test_words_that_the_backbone_lacks_begin_as_the_mean_of_their_pieces() -> None:
    backbone, tokenizer = load_backbone("bundled", 0.0), restore_tokenizer(BUNDLED)
    before = backbone.encoder.get_input_embeddings().weight.detach().clone()
    pieces = tokenizer("المستوصفات", add_special_tokens=False).input_ids
    tokenizer.add_tokens(["المستوصفات"])
    table = untrained(backbone, tokenizer).encoder.get_input_embeddings().weight
    assert torch.equal(table[: len(before)], before) and len(pieces) > 1
    assert not table.requires_grad


class Killed(TrainerCallback):
    """Stops a training as a kill would, after a step."""

    def on_step_end(self, args, state, control, **more):
        if state.global_step == 3:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_weights(tiny_bert: Path, tmp_path: Path, monkeypatch) -> None:
    settings = VerifierSettings(pairs=24, batch_size=4, judged_every=2)

    def trained(folder: str) -> dict[str, torch.Tensor]:
        backbone = load_backbone(str(tiny_bert), 0.0)
        encode = PairEncoder(backbone.tokenizer, "default", settings.text_tokens)
        judged = {"hard": [Pair("نص", "نص", True), Pair("نص", "كلام", False)]}
        network = untrained(backbone, backbone.tokenizer)
        draws = PairDraws(INCIDENTS, MINED, 0.2, 1)
        return train_verifier(network, encode, draws, judged, settings, tmp_path / folder).state_dict()

    whole = trained("whole")
    told_before = verifier._Told
    monkeypatch.setattr(verifier, "_Told", Killed)
    with pytest.raises(KeyboardInterrupt):
        trained("killed")
    monkeypatch.setattr(verifier, "_Told", told_before)
    again = trained("killed")
    assert all(torch.equal(again[name], values) for name, values in whole.items())


@pytest.mark.slow
def test_a_model_folder_reads_pairs_with_its_verifier(tiny_bert: Path, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    monkeypatch.setattr(verifier, "mined_pairs", lambda *given: MINED)
    monkeypatch.setattr(verifier, "load_incidents", lambda *given: INCIDENTS)
    few = VerifierSettings(pairs=16, batch_size=4, judged_every=100)
    verifier.add_verifier(folder, str(tiny_bert), few, tmp_path / "run")
    assert VERIFIER in read_config(folder).files
    model, pairs = ComplaintClassifier.from_pretrained(folder), [("حفرة كبيرة", "حفرة في الشارع"), ("ماي", "كهرباء")]
    found = model.pair_logits(pairs)
    assert found.shape == (2,) and np.isfinite(found).all()
    assert not np.allclose(found, ComplaintClassifier.from_pretrained().pair_logits(pairs))
    assert model.predict("حفرة كبيرة").topic.id == ComplaintClassifier.from_pretrained().predict("حفرة كبيرة").topic.id
