"""What keeps coming back: distinct incidents of one topic at one place, over weeks."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, poisson

from tawasul_nlp.duplicates import DuplicateGrouper, recurring_problems
from tawasul_nlp.duplicates.recurring import false_discovery_rates, poisson_tail

START = date(2026, 1, 5)  # a Monday
BLOCKS = [f"مجمع {number}" for number in (714, 1203, 904, 338, 225, 421, 1020, 815, 614, 352, 109, 1209)]
TOPICS = ["water_leak", "street_lighting", "waste_collection", "road_damage", "sewage_overflow", "power_outage"]


class Town:
    """Cases of a town: a background in which every block has every topic twice, and what a test adds."""

    def __init__(self, background=2):
        self.labels, self.topics, self.places, self.dates = [], [], [], []
        for block in BLOCKS:
            for topic in TOPICS:
                for turn in range(background):
                    self.incident(topic, block, START + timedelta(weeks=turn))

    def incident(self, topic, place, *dates):
        """Add an incident with one report a date."""
        rows = range(len(self.labels), len(self.labels) + len(dates))
        label = max(self.labels, default=-1) + 1
        self.labels += [label] * len(dates)
        self.topics += [topic] * len(dates)
        self.places += [place] * len(dates)
        self.dates += dates
        return tuple(rows)

    def problems(self, **options):
        return recurring_problems(self.labels, self.topics, self.places, self.dates, **options)


def test_three_bursts_of_a_pipe_in_one_block_in_three_months_are_a_recurring_problem():
    town = Town(background=1)
    first = town.incident("water_leak", "مجمع 1017", START, START + timedelta(days=1))
    second = town.incident("water_leak", "مجمع 1017", START + timedelta(days=40))
    third = town.incident("water_leak", "مجمع 1017", START + timedelta(days=80), START + timedelta(days=80))
    (problem,) = town.problems()
    assert (problem.topic, problem.place, problem.weeks) == ("water_leak", "مجمع 1017", 3)
    assert problem.incidents == (first[0], second[0], third[0])
    assert problem.cases == (*first, *second, *third)
    assert (problem.first, problem.last) == (START, START + timedelta(days=80))
    # 15 of the 75 incidents are leaks and 3 are in this block, so 0.6 were due: 1 - exp(-0.6)(1 + 0.6 + 0.6²/2).
    assert problem.expected == pytest.approx(0.6) and problem.p_value == pytest.approx(0.0231, abs=1e-4)


def test_forty_reports_of_one_burst_or_three_incidents_within_one_week_do_not_keep_coming_back():
    town = Town()
    town.incident("water_leak", "مجمع 1018", *(START + timedelta(days=day) for day in range(40)))
    for day in range(3):
        town.incident("water_leak", "مجمع 1017", START + timedelta(days=day))
    assert town.problems() == []
    assert [problem.place for problem in town.problems(min_weeks=1)] == ["مجمع 1017"]


def test_the_most_unusual_comes_first_and_the_usual_can_be_left_out():
    town = Town(background=3)
    for week in range(20):
        town.incident("street_lighting", "مجمع 714", START + timedelta(weeks=week))
    everything = town.problems()
    assert (everything[0].topic, everything[0].place) == ("street_lighting", "مجمع 714")
    assert len(everything) == len(BLOCKS) * len(TOPICS)
    assert [p.p_value for p in everything] == sorted(p.p_value for p in everything)
    assert [(p.topic, p.place) for p in town.problems(max_q_value=0.05)] == [("street_lighting", "مجمع 714")]


@given(st.integers(1, 5_000), st.floats(1e-6, 5_000), st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_tail_and_the_q_values_are_scipys(count, mean, p_values):
    assert poisson_tail(count, mean) == pytest.approx(poisson.sf(count - 1, mean), rel=1e-9, abs=1e-290)
    assert false_discovery_rates(np.array(p_values)) == pytest.approx(false_discovery_control(p_values), rel=1e-12)


def test_a_place_with_many_of_every_topic_is_not_unusual():
    town = Town(background=1)
    for topic in TOPICS:
        for week in range(20):
            town.incident(topic, "مجمع 714", START + timedelta(weeks=week))
    assert town.problems(max_q_value=0.1) == []


def test_incidents_without_place_topic_or_date_are_skipped_and_counted():
    town = Town()
    known = town.problems()
    town.incident("water_leak", None, START)
    town.incident("water_leak", float("nan"), START)
    town.incident("", "مجمع 714", START)
    town.incident("water_leak", "مجمع 714", None)
    assert (town.problems(), town.problems().incidents, town.problems().skipped) == (known, known.incidents, 4)


def test_missing_cells_of_a_data_frame_are_missing():
    pandas = pytest.importorskip("pandas")
    days = ["2026-01-05", "2026-02-09", "2026-03-02", None]
    topics, blocks = pandas.array(["water_leak"] * 3 + [None], "string"), pandas.array([714] * 3 + [None], "Int64")
    problems = recurring_problems(range(4), topics, blocks, pandas.Series(pandas.to_datetime(days), dtype=object))
    assert [(problem.place, problem.weeks) for problem in problems] == [("714", 3)] and problems.skipped == 1
    assert recurring_problems(range(4), topics, blocks, [*days[:3], pandas.NA]) == problems


def test_an_incident_takes_from_its_other_reports_what_its_representative_lacks():
    labels = [0, 0, 1, 2]
    topics = [None, "water_leak", "water_leak", "water_leak"]
    places = ["مجمع 714", None, "مجمع 714", "مجمع 714"]
    dates = [None, "2026-01-05T08:30:00+03:00", datetime(2026, 2, 9, tzinfo=UTC), np.datetime64("2026-03-02")]
    (problem,) = recurring_problems(labels, topics, places, dates)
    assert problem.incidents == (0, 2, 3) and problem.weeks == 3 and problem.first == date(2026, 1, 5)


def test_groups_give_their_representatives_and_all_their_reports():
    texts = [
        "انكسرت ماسورة الماي في طريق 1415 مجمع 714 والشارع غرق من الفجر",
        "باص المدرسة في مجمع 714 يتأخر كل يوم والسايق يسوق بسرعة وعيالنا في خطر",
        "كلاب ضالة تهاجم المصلين عند باب المسجد مجمع 714 ونبي أحد يشيلها",
    ]
    cases = [text + end for end in ("", " نرجو الإصلاح", "!") for text in texts]
    days = [START + timedelta(weeks=3 * (row % 3), days=row // 3) for row in range(9)]
    groups = DuplicateGrouper.from_pretrained().group(cases)
    assert [sorted(group.members) for group in groups.groups] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    (problem,) = recurring_problems(groups, ["block_problem"] * 9, ["مجمع 714"] * 9, days)
    assert problem.incidents == tuple(int(groups.representatives[row]) for row in range(3))
    assert problem.cases == tuple(range(9)) and problem.weeks == 3


def test_nothing_at_all_gives_an_empty_list():
    assert recurring_problems([], [], [], []) == []
    assert recurring_problems([0, 1], [None] * 2, [None] * 2, [None] * 2) == []
    assert recurring_problems(np.array([0, 1]), [None] * 2, [None] * 2, [None] * 2).skipped == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(({name: [None] * 2}, f"got 2 {name} for 3 cases, expected one") for name in ("topics", "places", "dates")),
        ({"dates": [START, "أمس", None]}, "date 1 is a str that is no time of the years 1900 to 2200, expected"),
        *(({name: 0}, "expected at least 1") for name in ("min_incidents", "min_weeks", "max_q_value")),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(change, message):
    columns = {"topics": ["water_leak"] * 3, "places": ["مجمع 714"] * 3, "dates": [START] * 3}
    with pytest.raises(ValueError, match=message):
        recurring_problems([0, 1, 2], **{**columns, **change})
