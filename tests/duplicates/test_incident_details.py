"""What an officer sees of an incident: its size, days, places, topic and agency, and how it grows."""

from datetime import UTC, date, datetime, timedelta

from tawasul_nlp.domain import Domain
from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex
from tests.duplicates.test_index import HOLE, POWER, POWER_COPY
from tests.packs import KUWAIT

WASTE = "حاوية القمامة في مجمع 226 بالبسيتين ممتلئة ولم تفرغ منذ أيام"


def test_an_incident_says_where_when_about_what_and_whose_it_is(index):
    dated = (Case(POWER, created_at="2026-03-01T08:00:00+03:00"), Case(POWER_COPY, created_at="2026-03-04"))
    nowhere = "حاوية القمامة ممتلئة ولم تفرغ منذ أيام"
    added = index.add([*dated, POWER_COPY + " رجاء", WASTE, nowhere, Case(HOLE, topic="حفر الطرق - نوع خاص")])
    power, waste, placeless, own = (index.incident(added[row].incident_id) for row in (0, 3, 4, 5))
    assert (power.size, power.first_day, power.last_day) == (3, date(2026, 3, 1), date(2026, 3, 4))
    assert set(power.places) == {"مجمع 1203", "مدينة حمد"}
    assert (power.topic, power.agency) == ("power_outage", "ewa")
    assert (power.state, power.last_week, power.week_before, power.growth) == ("open", 0, 0, 0)
    assert (waste.topic, waste.agency) == ("waste_collection", "muharraq_municipality")
    assert waste.first_day is None and waste.size == 1
    assert (placeless.topic, placeless.agency, placeless.places) == ("waste_collection", "municipality", ())
    assert (own.topic, own.agency) == (None, None), "a topic of the caller's own is none of the model's"
    index.close_incident(power.incident_id)
    assert index.incident(power.incident_id).state == "closed"
    assert index.incidents(min_size=1) == [index.incident(power.incident_id), waste, placeless, own]


def test_incidents_are_listed_in_pages_and_by_what_they_are_and_when_they_changed(index):
    index.add([WASTE, POWER, POWER_COPY, HOLE])
    waste, power, hole = (index.incident(incident) for incident in (1, 2, 3))
    pages = [index.incidents(1, 2, after=after) for after in (0, 2, 3)]
    assert pages == [[waste, power], [hole], []]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    index.close_incident(3, at=yesterday)
    listed = {
        "state open": index.incidents(1, state="open"),
        "state closed": index.incidents(1, state="closed"),
        "topic": index.incidents(1, topic="waste_collection"),
        "agency": index.incidents(1, agency="ewa"),
        "place": index.incidents(1, place="مجمع 1203"),
        "all": index.incidents(1, after=0, state="open", topic="power_outage", agency="ewa", place="مدينة حمد"),
        "none": index.incidents(1, topic="power_outage", agency="works"),
    }
    assert {name: [one.incident_id for one in incidents] for name, incidents in listed.items()} == {
        "state open": [2, 1],
        "state closed": [3],
        "topic": [1],
        "agency": [2],
        "place": [2],
        "all": [2],
        "none": [],
    }
    assert len(index.incidents(1, changed_since=yesterday)) == 3 and len(index.incidents(1, 1, agency="ewa")) == 1
    last = index.history()[-2].at + timedelta(microseconds=1)
    assert [one.incident_id for one in index.incidents(1, changed_since=last)] == [3], (
        "closed later, as of an earlier day"
    )


def test_growth_compares_the_last_seven_days_with_the_seven_before(index):
    today = datetime.now(UTC)
    days = (0.1, 1, 2, 6, 8, 13, 19)
    cases = [Case(f"{POWER}{'!' * at}", created_at=today - timedelta(days=day)) for at, day in enumerate(days)]
    added = index.add(cases)
    incident = index.incident(added[0].incident_id)
    assert incident.size == len(days)
    assert (incident.last_week, incident.week_before, incident.growth) == (4, 2, 2)


def test_places_and_agencies_are_those_of_the_index_s_domain(tmp_path):
    grouper = DuplicateGrouper.from_pretrained(domain=Domain.load(KUWAIT))
    with DuplicateIndex.open(tmp_path / "kuwait", grouper) as index:
        added = index.add(["انقطاع الكهرباء في السالمية قطعة 5 شارع 3", "الحاوية ممتلئة في حولي قطعة 2"])
        power, waste = (index.incident(one.incident_id) for one in added)
    assert (power.places, power.agency) == (("السالمية",), "mew")
    assert (waste.places, waste.agency) == (("حولي",), "municipality_hawalli")
