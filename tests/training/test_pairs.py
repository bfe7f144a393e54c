"""What the pair scorer learns from beside the corpus."""

import random
from dataclasses import replace

from training.corpus import Example
from training.pairs import at_next_door


def test_a_case_at_the_next_door_differs_in_its_house_and_road_alone() -> None:
    case = Example("c-1", "تسرب أمام منزل ١٢ طريق 1415 مجمع 714 من 3 ايام", "water_leak", "", "", "", "", "", "c-1")
    other = at_next_door(case, random.Random(1))
    assert other is not None and (other.topic, other.incident) == ("water_leak", other.id)
    assert other.id != case.id
    changed = [(one, two) for one, two in zip(case.text.split(), other.text.split(), strict=True) if one != two]
    assert [one for one, _ in changed] == ["١٢", "1415"] and all(two.isdigit() for _, two in changed)
    assert at_next_door(replace(case, text="تسرب في مجمع 714 من 3 ايام"), random.Random(1)) is None
