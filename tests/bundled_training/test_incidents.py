"""Reports of incidents are drawn beside the rows of a batch."""

import numpy as np

from tawasul_nlp.model.folder import BUNDLED
from tawasul_nlp.training.backbone import restore_tokenizer
from training.incident_groups import Collection, Incident, IncidentDraws, Incidents
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


def test_texts_of_unknown_incidents_are_not_taken_for_one() -> None:
    tokenizer = restore_tokenizer(BUNDLED)
    rows = [{"input_ids": [0, 5, 2], "training": True, "incident": name} for name in ("", "x", "", "x")]
    numbers = JointCollator(tokenizer, [], Stage(mask_share=0.0), list)(rows)["incident"].tolist()
    assert len(set(numbers)) == 3 and numbers[1] == numbers[3]
