"""The measure of places counts an area once a case, and a part as its town."""

from eval.quality.places import TOWNS, score_areas
from tawasul_nlp.domain import Gazetteer
from training.splits import load_splits, read_jsonl


def counted(score):
    return {
        level: (one["precision"]["right"], one["precision"]["n"], one["recall"]["n"]) for level, one in score.items()
    }


def test_areas_are_counted_once_and_parts_count_as_their_town():
    texts = {"a": "من الرفاع إلى الرفاع الغربي ثم الرفاع", "b": "مريض في مستشفى السلمانية ساكن سترة مجمع 606"}
    labels = [
        {"id": "a", "areas": ["west_riffa"], "either": [], "blocks": []},
        {"id": "b", "areas": ["sitra"], "either": ["salmaniya"], "blocks": [606, 607]},
    ]
    assert counted(score_areas(labels, texts)) == {"area": (2, 3, 2), "town": (2, 2, 2), "block": (1, 1, 2)}


def test_the_labels_are_of_test_cases_and_name_areas_of_the_gazetteer():
    labels, areas, side = list(read_jsonl(TOWNS)), Gazetteer.load().places, load_splits()
    assert len(labels) == 300 and {side[label["id"]] for label in labels} == {"test"}
    assert all(areas[name].is_area for label in labels for name in (*label["areas"], *label["either"]))
