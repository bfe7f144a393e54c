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
from tawasul_nlp.training.backbone import load_backbone
from tests.model.tiny_model import write_tiny_model
from training import verifier
from training.corpus import Example, neighbourhoods
from training.event_pairs import Pair, PairDraws, validation_pairs
from training.incidents import Incident
from training.verifier import PairEncoder, VerifierSettings, beginning, train_verifier


def told(name: str) -> Example:
    return Example(name, f"بلاغ {name}", "", "", "", "", "", "", name[0])


INCIDENTS = [
    Incident("a", "", (told("a1"), told("a2")), (told("near"),), "N"),
    Incident("b", "", (told("b1"), told("b2")), (), "N"),
    Incident("case-1", "", (told("c1"), told("c2"))),
]
MINED = [(told("a1"), told("other"))]
PAIRS = [("حفرة كبيرة", "حفرة في الشارع"), ("ماي", "كهرباء")]


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


def test_a_verifier_begins_with_what_its_backbone_knows_of_pairs(tmp_path: Path) -> None:
    backbone = load_backbone(str(write_tiny_model(tmp_path / "model", pairs=True, torch_files=True)), 0.0)
    assert backbone.model is not None and backbone.model.pair is not None
    network, theirs = beginning(backbone), backbone.model.pair.state_dict()
    assert network.pair is not None
    assert all(torch.equal(values, theirs[name]) for name, values in network.pair.state_dict().items())
    assert not backbone.encoder.get_input_embeddings().weight.requires_grad


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
        network = beginning(backbone)
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


def test_an_earlier_model_reads_pairs_for_a_model_folder_as_it_is(tmp_path: Path) -> None:
    folder, earlier = write_tiny_model(tmp_path / "model"), write_tiny_model(tmp_path / "earlier", pairs=True, seed=1)
    assert not ComplaintClassifier.from_pretrained(folder).reads_pairs
    verifier.keep_verifier(folder, earlier)
    found, theirs = (ComplaintClassifier.from_pretrained(each).pair_logits(PAIRS) for each in (folder, earlier))
    assert np.array_equal(found, theirs)


@pytest.mark.slow
def test_a_model_folder_reads_pairs_with_its_verifier(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    monkeypatch.setattr(verifier, "mined_pairs", lambda *given: MINED)
    monkeypatch.setattr(verifier, "load_incidents", lambda *given: INCIDENTS)
    few = VerifierSettings(pairs=16, batch_size=4, judged_every=100)
    verifier.add_verifier(folder, "bundled", few, tmp_path / "run")
    assert VERIFIER in read_config(folder).files
    model, shipped = ComplaintClassifier.from_pretrained(folder), ComplaintClassifier.from_pretrained()
    found = model.pair_logits(PAIRS)
    assert found.shape == (2,) and np.isfinite(found).all() and not np.allclose(found, shipped.pair_logits(PAIRS))
    assert model.predict("حفرة كبيرة").topic.id == shipped.predict("حفرة كبيرة").topic.id


@pytest.mark.slow
def test_a_verifier_with_other_words_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has other words than"):
        verifier.add_verifier(BUNDLED, str(tiny_bert), VerifierSettings(pairs=16), tmp_path)
