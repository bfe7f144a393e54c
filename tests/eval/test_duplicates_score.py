"""How groupings of the held-out incidents are scored."""

import numpy as np

from eval.quality.duplicates import HARD_NEGATIVES, RELATIONS, collections, score
from training.corpus import LabelSpace


def test_a_perfect_grouping_scores_one_and_both_collections_hold_the_same_incidents():
    found = collections("validation", LabelSpace.load())
    incidents, backlog = found["incidents"], found["backlog"]
    assert {text.id for text in incidents.texts} < {text.id for text in backlog.texts}
    for collection in (incidents, backlog):
        assert (len(collection.duplicates), len(collection.hard_negatives)) == (86, 31)
        perfect = score(collection.incident, collection)
        assert [perfect[name] for name in ("f1", "precision", "recall", *RELATIONS, HARD_NEGATIVES)] == [1] * 6 + [0]
        alone = score(np.arange(len(collection.texts)), collection)
        assert (alone["f1"], alone["recall"], alone["wrong_pairs"]) == (0, 0, 0)


def test_what_is_merged_wrongly_costs_precision_where_it_is_a_text_of_the_collection():
    found = collections("validation", LabelSpace.load())
    incidents = found["incidents"]
    labels = incidents.incident.copy()
    case, hard_negative = incidents.hard_negatives[0]
    labels[labels == labels[hard_negative]] = labels[case]
    wrong = score(labels, incidents)
    assert wrong["recall"] == 1 and wrong["precision"] < 1 and wrong["wrong_pairs"] > 0
    assert wrong[HARD_NEGATIVES] == round(1 / len(incidents.hard_negatives), 4)
