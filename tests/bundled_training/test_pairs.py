"""What the bundled pair scorer learns from beside the corpus."""

import random
from dataclasses import replace

from training.corpus import Example, LabelSpace
from training.incidents import load_incidents
from training.pairs import at_next_door, collect, named_elsewhere, sent_again


def test_a_case_at_the_next_door_differs_in_its_house_and_road_alone() -> None:
    case = Example("c-1", "تسرب أمام منزل ١٢ طريق 1415 مجمع 714 من 3 ايام", "water_leak", "", "", "", "", "", "c-1")
    other = at_next_door(case, random.Random(1))
    assert other is not None and (other.topic, other.incident) == ("water_leak", other.id)
    assert other.id != case.id
    changed = [(one, two) for one, two in zip(case.text.split(), other.text.split(), strict=True) if one != two]
    assert [one for one, _ in changed] == ["١٢", "1415"] and all(two.isdigit() for _, two in changed)
    assert at_next_door(replace(case, text="تسرب في مجمع 714 من 3 ايام"), random.Random(1)) is None


def test_a_case_is_told_of_elsewhere_where_it_names_no_place_and_sent_again_with_its_labels() -> None:
    case = Example("c-1", "الزبالة ما شالوها من اسبوع", "waste_collection", "", "", "", "", "", "c-1")
    other = named_elsewhere(case, ["سترة"], random.Random(1))
    assert other is not None and other.text == "سترة: الزبالة ما شالوها من اسبوع"
    assert other.incident == other.id != case.id and other.topic == case.topic
    assert named_elsewhere(replace(case, text="الزبالة ما شالوها في عراد"), ["سترة"], random.Random(1)) is None
    again = sent_again(case, random.Random(3))
    assert again.id != case.id and (again.incident, again.topic) == (case.incident, case.topic)


def test_hard_negatives_are_paired_with_a_report_of_the_incident_that_they_are_near() -> None:
    incidents = [one for one in load_incidents("train", LabelSpace.load(), use="scorer") if one.hard_negatives]
    found = collect(incidents, [])
    named = {text.id: one for one in incidents for text in one.texts}
    assert len(found.hard_negatives) == sum(len(one.hard_negatives) for one in incidents)
    for first, second in found.hard_negatives:
        own = named[found.texts[first].id]
        assert found.texts[second].id in {other.id for other in own.hard_negatives}
