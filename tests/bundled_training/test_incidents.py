"""Reports of incidents and pairs of texts are drawn beside the rows of a batch."""

from collections import Counter

import numpy as np

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.training.backbone import restore_tokenizer
from training.incident_groups import Collection, Incident, IncidentDraws, Incidents, PairDraws
from training.joint import JointCollator
from training.recipe import Stage


def no_collections() -> tuple[Collection, Collection]:
    raise NotImplementedError


def test_groups_are_drawn_from_however_few_incidents_there_are() -> None:
    rows = [{"text": f"نص {at}", "incident": str(at // 2)} for at in range(8)]
    known = tuple(Incident(str(at), "طرق", (rows[2 * at], rows[2 * at + 1])) for at in range(4))
    drawn = IncidentDraws(Incidents(known, no_collections), seed=1).draw(8)
    names, counts = np.unique([row["incident"] for row in drawn], return_counts=True)
    assert set(counts.tolist()) == {2} and set(names) == {incident.id for incident in known}


def test_pairs_that_are_read_together_are_reports_of_one_incident_copies_and_hard_negatives() -> None:
    texts = {name: f"بلاغ {name}" for name in ("a1", "a2", "b1", "b2", "near", "other")}
    rows = {name: {"text": text, "incident": name[0]} for name, text in texts.items()}
    known = (Incident("a", "", (rows["a1"], rows["a2"]), (rows["near"],)), Incident("b", "", (rows["b1"], rows["b2"])))
    drawn = PairDraws(Incidents(known, no_collections, mined=((rows["a1"], rows["other"]),)), 0.5, 1).draw(2_000)
    kinds = Counter((frozenset((pair.first, pair.second)), pair.same) for pair in drawn)
    same = {frozenset((texts[a], texts[b])) for a, b in (("a1", "a2"), ("b1", "b2"), *zip(rows, rows, strict=True))}
    different = {frozenset((texts["a1"], texts["near"])), frozenset((texts["a2"], texts["near"]))}
    different |= {frozenset((texts["a1"], texts["other"]))}
    different |= {frozenset((texts[a], texts[b])) for a in ("a1", "a2") for b in ("b1", "b2")}
    assert {pair for pair, true in kinds if true} <= same
    assert {pair for pair, true in kinds if not true} == different
    assert abs(sum(pair.same for pair in drawn) / len(drawn) - 0.5) < 0.05
    copies = [pair for pair in drawn if pair.first == pair.second]
    assert copies and all(pair.noised == (False, True) for pair in copies)


def test_without_hard_negatives_pairs_of_different_incidents_are_of_one_stratum_where_it_has_two() -> None:
    def incident(name: str, stratum: str) -> Incident:
        return Incident(name, stratum, ({"text": f"{name}1"}, {"text": f"{name}2"}))

    known = (incident("a", "water"), incident("b", "water"), incident("c", "roads"))
    drawn = PairDraws(Incidents(known, no_collections), 0.0, 1).draw(400)
    met = {frozenset((pair.first[0], pair.second[0])) for pair in drawn if not pair.same}
    assert met == {frozenset("ab"), frozenset("ca"), frozenset("cb")}
    assert all(pair.first[0] == pair.second[0] for pair in drawn if pair.same)


def test_texts_of_unknown_incidents_are_not_taken_for_one() -> None:
    tokenizer = restore_tokenizer(BUNDLED)
    rows = [{"input_ids": [0, 5, 2], "training": True, "incident": name} for name in ("", "x", "", "x")]
    numbers = JointCollator(tokenizer, [], Stage(mask_share=0.0), list)(rows)["incident"].tolist()
    assert len(set(numbers)) == 3 and numbers[1] == numbers[3]
