"""What keeps reports together and apart, as an officer sees it: the bundled model on whole cases."""

from pathlib import Path

import numpy as np
import pytest

from tawasul_nlp import Case, DuplicateGrouper
from tawasul_nlp.duplicates.features import case_features
from tests.table_files import read

EXAMPLES = Path(__file__).parents[2] / "examples" / "backlog.csv"
# Two cases that say nothing else are no incident.
GREETING = "السلام عليكم ورحمة الله وبركاته"


@pytest.mark.parametrize("options", [{"threshold": 0.0}, {"threshold": 1.5}, {"threshold": float("nan")}, {"days": 0}])
def test_a_threshold_or_days_that_make_no_sense_are_refused(grouper, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .*, expected"):
        DuplicateGrouper(grouper.classifier, **options)


def labels(grouper, cases):
    return grouper.group(cases).labels.tolist()


def test_everybody_s_own_phone_and_waiting_time_do_not_tear_an_incident_apart(grouper):
    cases = [
        "الماي مقطوع عن مجمع 714 من أمس، رقمي 39001234",
        "المياه منقطعة عن مجمع 714 منذ أمس، للتواصل 36605544",
        "انقطع الماء عن مجمع 714 منذ الامس الرقم الشخصي 850412345",
    ]
    assert labels(grouper, cases) == [0, 0, 0]
    cases = [
        "الحفرة في طريق 1415 مجمع 714 كسرت تاير سيارتي من 3 ايام",
        "في حفرة بطريق 1415 مجمع 714 كسرت تاير سيارتي من 5 أيام",
    ]
    assert labels(grouper, cases) == [0, 0]


def test_a_case_that_is_sent_again_is_the_same_whether_it_names_a_place_or_not(grouper):
    texts = [row["text"] for row in read(EXAMPLES) if row["text"] != GREETING]
    again = [f"السلام عليكم {text} وشكرا" for text in texts]
    features, rows = case_features(grouper.classifier, [Case(text) for text in (*texts, *texts)]), np.arange(len(texts))
    assert (grouper.scorer.score(features, rows, rows + len(rows)) >= grouper.threshold).all()
    first, greeted = grouper.group([*texts, *again]).labels.reshape(2, -1)
    assert len(texts) >= 300 and (first != greeted).mean() < 0.02


def test_notes_in_the_same_words_are_two_incidents_where_one_of_them_names_a_place(grouper):
    assert labels(grouper, ["الماي مقطوع عندنا من الصبح", "الماي مقطوع عندنا من الصبح مجمع 714"]) == [0, 1]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("عمارة 12 طريق 1415 مجمع 714", "عمارة 48 طريق 1415 مجمع 714"),
        ("طريق 1415 مجمع 714", "طريق 1421 مجمع 714"),
        ("شارع الشيخ عيسى", "شارع البديع"),
        ("شارع الشيخ عيسى مجمع 714", "شارع البديع مجمع 714"),
    ],
)
def test_copies_that_name_another_house_road_or_street_are_two_incidents(grouper, here, there):
    assert labels(grouper, [f"تسرب ماء قوي في {place} والشارع غرقان" for place in (here, there)]) == [0, 1]


def test_a_rare_place_that_two_share_says_more_than_a_common_one(grouper):
    texts = "السيارات واقفة على الرصيف في {}", "محد يقدر يمشي من السيايير على الرصيف في {}"
    rare, common = ([text.format(place) for text in texts] for place in ("أبو بهام", "المحرق"))
    assert grouper.group(rare).explain(0, 1).score > grouper.group(common).explain(0, 1).score


def test_what_has_no_words_is_no_copy_of_another(grouper):
    groups = grouper.group(["؟؟؟", "!!!"])
    found = groups.explain(0, 1)
    assert (groups.labels.tolist(), found.score, found.reason) == ([0, 1], 0.0, "no words to compare")


def test_a_group_is_as_urgent_as_its_most_urgent_case_and_names_the_first_of_these(grouper):
    leak = "تسرب ماء في طريق 1415 مجمع 714"
    danger = f"{leak} وصل إلى سلك كهرباء مكشوف وفيه شرار والأطفال يلعبون جنبه"
    groups = grouper.group([leak, "أشكركم على حسن التعامل", f"{danger} الآن", danger], must_link=[(0, 2), (0, 3)])
    (group,) = groups.groups
    assert set(group.members) == {0, 2, 3}
    assert (group.urgency, group.most_urgent) == ("emergency", 2)
