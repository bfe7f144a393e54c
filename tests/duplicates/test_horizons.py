"""How long an event goes on without a report, by its topic; what comes later is another one."""

from datetime import UTC, datetime, timedelta

import pytest

from tawasul_nlp._yaml import DataError
from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex

POWER = "انقطاع الكهرباء في طريق 4571 مجمع 745 بعالي منذ الصباح"
POWER_AGAIN = "الكهرباء مقطوعة عن طريق 4571 مجمع 745 في عالي من الصبح"
HOLE = "حفرة عميقة في طريق 1424 مجمع 714 بسند أضرت بالسيارات"
HOLE_AGAIN = "الحفرة اللي في طريق 1424 مجمع 714 بسند عميقة وضرت سياراتنا"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def case(text: str, day: float, name: str | None = None) -> Case:
    return Case(text, id=name, created_at=START + timedelta(days=day))


@pytest.fixture
def index(grouper, tmp_path):
    with DuplicateIndex.open(tmp_path / "index", grouper) as index:
        yield index


def told(events):
    return [(event.kind, event.incident, event.reason) for event in events]


def test_two_power_cuts_on_one_road_are_two_events_after_two_months_and_a_hole_in_a_road_is_one(grouper):
    for days, texts, incidents in (
        (60, (POWER, POWER_AGAIN), 2),
        (3, (POWER, POWER_AGAIN), 1),
        (60, (HOLE, HOLE_AGAIN), 1),
        (130, (HOLE, HOLE_AGAIN), 2),
    ):
        assert len(grouper.group([case(texts[0], 0), case(texts[1], days)])) == incidents, (texts[0], days)
        assert len(grouper.group([case(texts[1], days), case(texts[0], 0)])) == incidents


def test_in_an_index_the_later_event_repeats_the_one_that_ended_and_a_question_says_when(index):
    (first,) = index.add([case(POWER, 0)])
    later = case(POWER_AGAIN, 60, "later")
    (match,) = index.query(later)
    assert match.score > index.grouper.threshold and not match.is_duplicate
    assert match.obstacle == "it ended on 2026-03-08"
    added = index.add([later])
    assert told(added.changes) == [("closed", 1, "no report for 7 days"), ("created", 2, None)]
    assert added[0].is_new and index.incident(2).recurrence_of == first.incident_id
    assert index.incident(1).closed_at == START + timedelta(days=7) and not index.history(1)[-1].by_person
    obstacles = {match.incident_id: match.obstacle for match in index.query(case(POWER, 61))}
    assert obstacles == {2: None, 1: "it ended on 2026-03-08"}


def test_a_question_says_what_keeps_a_case_out_of_each_incident(index):
    index.add([case(POWER, 30, "p-1"), case(POWER.replace("745", "1203").replace("بعالي", "بمدينة حمد"), 30)])
    assert [match.obstacle for match in index.query(case(POWER_AGAIN, 31))] == [None]
    (match,) = index.query(case(POWER_AGAIN, 0))
    assert match.obstacle == "the case came more than 7 days before it"
    (unlike, *_) = index.query(case("انبوب ماء مكسور في طريق 4571 مجمع 745 بعالي", 31))
    assert not unlike.is_duplicate and "below" in unlike.obstacle


def test_an_incident_goes_on_as_long_as_reports_come(index, grouper):
    reports = [case(POWER + "!" * day, day) for day in range(0, 36, 6)]
    assert len(grouper.group(reports)) == 1
    assert {assigned.incident_id for assigned in index.add(reports)} == {1}
    assert index.incident(1).state == "open"


def test_what_is_quiet_is_closed_with_the_reports_of_another_day_and_no_other_clock(index):
    index.add([case(POWER, 0, "p-1"), case(HOLE, 0), Case("انقطاع الكهرباء في مجمع 203 بالمحرق")])
    undated = Case("المجاري طافحة في مجمع 305")
    future = Case("شجرة ساقطة في حديقة مجمع 1203", created_at=datetime.now(UTC) + timedelta(days=40))
    assert [event.kind for event in index.add([undated, future]).changes] == ["created", "created"]
    changes = index.add([case("كلاب ضالة في مجمع 918", 20)]).changes
    assert told(changes)[0] == ("closed", 1, "no report for 7 days") and len(changes) == 2
    (late,) = index.add([case(POWER_AGAIN, 2)])
    assert late.incident_id == 1 and index.incident(1).state == "closed", "a report of before it ended joins, no more"


def test_what_was_over_when_a_finished_grouping_ends_is_closed(index, grouper):
    index.load_groups(grouper.group([case(POWER, 0), case(HOLE, 0), case(POWER_AGAIN, 1), case("كلاب ضالة", 20)]))
    assert [incident.closed_at for incident in index.incidents(1, after=0)] == [START + timedelta(days=8), None, None]
    assert [event.kind for event in index.add([case(HOLE_AGAIN, 20)]).changes] == ["joined"]


def test_what_a_person_opened_again_goes_on(index):
    index.add([case(POWER, 0, "p-1"), case("كلاب ضالة في مجمع 918", 20)])
    index.reopen_incident(1)
    changes = index.add([case("قمامة متراكمة في مجمع 305", 22), case(POWER_AGAIN, 23)]).changes
    assert [event.kind for event in changes] == ["created", "joined"] and index.incident(1).state == "open"


def test_cases_one_by_one_are_assigned_as_all_at_once(grouper, tmp_path):
    cases = [case(text + "!" * day, day) for day in range(0, 70, 5) for text in (POWER, HOLE)]
    states = []
    for size in (1, 4, len(cases)):
        with DuplicateIndex.open(tmp_path / str(size), grouper) as index:
            for start in range(0, len(cases), size):
                index.add(cases[start : start + size])
            states.append((index.incidents(1), told(index.history())))
    assert states[0] == states[1] == states[2]


def test_the_horizons_are_those_of_the_pack(grouper, tmp_path):
    bundled = Domain.bundled()
    for name in ("taxonomy.yaml", "agencies.yaml", "gazetteer.yaml", "routing.yaml", "personal.yaml"):
        (tmp_path / name).write_bytes(bundled.file(name).content)
    (tmp_path / "domain.yaml").write_text("{id: mine, name_ar: بلدي, name_en: Mine, version: '1'}", encoding="utf-8")
    taxonomy = (tmp_path / "taxonomy.yaml").read_text(encoding="utf-8")
    ours = taxonomy.replace("horizon_days: 7\n", "horizon_days: 90\n", 1)
    (tmp_path / "taxonomy.yaml").write_text(ours, encoding="utf-8")
    slow = DuplicateGrouper(grouper.classifier, domain=Domain.load(tmp_path))
    assert slow.domain.taxonomy.topic("power_outage").horizon_days == 90
    assert len(slow.group([case(POWER, 0), case(POWER_AGAIN, 60)])) == 1
    (tmp_path / "taxonomy.yaml").write_text(ours.replace("horizon_days: 90", "horizon_days: 0"), encoding="utf-8")
    with pytest.raises(DataError, match=r"taxonomy\.yaml:\d+: horizon_days is 0, expected at least 1"):
        Domain.load(tmp_path).taxonomy  # noqa: B018
