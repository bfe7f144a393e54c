"""What people decide about incidents wins over every score, and lasts."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tawasul_nlp.duplicates import Case, DuplicateGrouper, DuplicateIndex, rebuild_index
from tests.duplicates.test_index import HOLE, POWER, POWER_AGAIN, POWER_COPY, POWER_ELSEWHERE
from tests.robustness.index_material import cases, grouper
from tests.robustness.index_reference import Reference, decide, opened, stored_decisions, wrong

OUTAGE = "محول الكهرباء انفجر والحي كله ظلام في مجمع 1207 بمدينة حمد"


def incident_of(index, case_id):
    return index.assignment(case_id).incident_id


def together(index, *ids):
    return len({incident_of(index, case_id) for case_id in ids}) == 1


def kinds(events):
    return [event.kind for event in events]


# -- merge, split, move ------------------------------------------------------------------------------------------------


def test_merged_incidents_stay_one_though_their_places_conflict(index, tmp_path):
    index.add([Case(POWER, id="p-1"), Case(POWER_ELSEWHERE, id="e-1"), Case(HOLE, id="h-1")])
    first, second = incident_of(index, "p-1"), incident_of(index, "e-1")
    (event,) = index.merge([first, second], by="نورة", note="محول واحد يغذي المجمعين")
    assert (event.kind, event.incident, event.other, event.by_person) == ("merged", first, second, True)
    assert (event.by, event.note) == ("نورة", "محول واحد يغذي المجمعين")
    incident = index.incident(first)
    assert incident.members == ("p-1", "e-1") and incident.reasons == ("representative", "linked by a person")
    # New reports of either place join, and those of a third do not.
    third = POWER.replace("1203", "1205")
    here, there, elsewhere = index.add([POWER_COPY, POWER_ELSEWHERE + " رجاء", third])
    assert here.incident_id == there.incident_id == first != elsewhere.incident_id
    assert index.query(POWER_AGAIN)[0].is_duplicate
    index.remove("p-1")
    assert together(index, "e-1", there.id)
    with pytest.raises(KeyError, match=f"no incident {second}"):
        index.incident(second)
    assert kinds(index.history(second)) == ["created", "merged"]
    assert not list(wrong(index))


def test_a_case_that_a_person_split_off_never_comes_back_by_itself(index, tmp_path):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_COPY + " رجاء", id="p-3")])
    old = incident_of(index, "p-1")
    (event, *_) = index.split("p-3", by="علي")
    own = incident_of(index, "p-3")
    assert (event.kind, event.incident, event.other, event.case_id) == ("split", own, old, "p-3")
    assert together(index, "p-1", "p-2") and own != old
    assert index.incident(old).size == 2, "the others keep their id, also if the representative left"
    index.add([Case(POWER + "!" * count, id=f"more-{count}") for count in range(1, 6)])
    assert not together(index, "p-1", "p-3") and not together(index, "p-2", "p-3")
    index.remove(index.incident(incident_of(index, "p-1")).representative)
    index.close()
    for prepare in (lambda: None, lambda: rebuild_index(tmp_path / "index", grouper())):
        prepare()
        with opened(tmp_path / "index") as again:
            beside = {incident_of(again, name) for name in ("p-1", "p-2") if name in again}
            assert incident_of(again, "p-3") not in beside and not list(wrong(again))


def test_a_moved_case_stays_with_the_one_incident_and_away_from_the_other(index):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(OUTAGE, id="o-1")])
    old, new = incident_of(index, "p-1"), incident_of(index, "o-1")
    assert together(index, "p-1", "p-2") and old != new
    (event,) = index.move("p-2", new, note="يقصد المحول")
    assert (event.kind, event.incident, event.other, event.case_id) == ("moved", new, old, "p-2")
    index.add([Case(POWER_COPY + " رجاء", id="p-3"), Case(POWER + "!", id="p-4")])
    assert together(index, "p-2", "o-1") and not together(index, "p-1", "p-2")
    assert index.move("p-1", new)[0].other == old
    assert together(index, "p-1", "p-2", "o-1"), "the later decision wins"
    assert not list(wrong(index))


def test_the_latest_decision_wins_says_that_it_overrules_another_and_outlasts_a_case(index):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_ELSEWHERE, id="e-1")])
    incident = incident_of(index, "p-1")
    assert index.split("p-2")[0].reason is None
    other = incident_of(index, "p-2")
    assert index.merge([incident, other])[0].reason == "overrules an earlier decision"
    assert stored_decisions(index) == ({"p-1": {"p-1", "p-2"}, "p-2": {"p-1", "p-2"}}, set())
    assert index.split("p-2")[0].reason == "overrules an earlier decision"
    assert stored_decisions(index) == ({}, {frozenset(("p-1", "p-2"))})
    assert kinds(index.history(incident)) == ["created", "joined", "split", "merged", "split"]
    index.merge([incident, incident_of(index, "e-1")])
    index.remove("p-1")
    assert stored_decisions(index)[1] == {frozenset(("p-2", "e-1"))}, "as are those that were linked with it"
    assert not list(wrong(index))


def test_a_decision_about_nothing_is_refused_and_changes_nothing(index):
    index.add([Case(POWER, id="p-1"), Case(HOLE, id="h-1")])
    first, second = incident_of(index, "p-1"), incident_of(index, "h-1")
    before = index.history()
    for decide_nothing, error, message in (
        (lambda: index.merge([first, first]), ValueError, "got 1 incidents to merge, expected at least two"),
        (lambda: index.merge([first, 99]), KeyError, "no incident 99"),
        (lambda: index.split("p-1"), ValueError, f"'p-1' is alone in incident {first}; there is nothing to split"),
        (lambda: index.split("absent"), KeyError, "no case 'absent'"),
        (lambda: index.move("p-1", first), ValueError, f"'p-1' is in incident {first} already"),
        (lambda: index.move("p-1", 99), KeyError, "no incident 99"),
        (lambda: index.reopen_incident(second), ValueError, f"incident {second} is open already"),
        (lambda: index.close_incident(99), KeyError, "no incident 99"),
        (lambda: index.history(99), KeyError, "no incident 99"),
    ):
        with pytest.raises(error, match=message):
            decide_nothing()
    index.close_incident(second)
    with pytest.raises(ValueError, match=f"incident {second} is closed already, since "):
        index.close_incident(second)
    assert index.history()[:-1] == before


# -- what happens by itself --------------------------------------------------------------------------------------------


def test_adding_tells_which_incidents_were_created_joined_and_merged(index):
    hole, sewage = "الحفرة في شارع المعارض كسرت تاير سيارتي", "الماي طافح من المجاري في شارع المعارض"
    found = grouper().group([hole, sewage, f"{hole} و{sewage}"]).explain
    apart, near = found(0, 1).score, min(found(0, 2).score, found(1, 2).score)
    strict = DuplicateGrouper(grouper().classifier, threshold=(apart + near) / 2)
    with tempfile.TemporaryDirectory() as folder, DuplicateIndex.open(f"{folder}/index", strict) as own:
        first, second = own.add([Case(hole, id="h"), Case(sewage, id="s")])
        both = own.add([Case(f"{hole} و{sewage}", id="b")])
        assert kinds(both.changes) == ["joined", "merged"]
        joined, merged = both.changes
        assert (joined.case_id, joined.incident) == ("b", both[0].incident_id)
        assert joined.reason == own.assignment("b").reason == "representative"
        assert {merged.incident, merged.other} == {first.incident_id, second.incident_id}
        assert (merged.case_id, merged.reason, merged.by_person) == ("b", "a case matches both", False)
        assert own.add([Case(hole, id="h")]).changes == ()
        assert not list(wrong(own))


def test_the_history_of_an_incident_is_in_order_and_says_who_did_what(index):
    began = datetime.now(UTC)
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2")])
    incident = incident_of(index, "p-1")
    index.close_incident(incident, by="نورة", note="أعيد التيار")
    index.reopen_incident(incident, by="علي")
    index.remove("p-2", by="نورة", note="طلب صاحبها")
    events = index.history(incident)
    assert kinds(events) == ["created", "joined", "closed", "reopened", "removed"]
    assert [event.by for event in events] == [None, None, "نورة", "علي", "نورة"]
    assert [event.by_person for event in events] == [False, False, True, True, True]
    assert (events[-1].case_id, events[-1].note) == ("p-2", "طلب صاحبها")
    assert index.events() == events and index.events(after=events[1].id, limit=2) == events[2:4]
    assert all(earlier.at <= later.at for earlier, later in pairwise(events)) and events[0].at >= began
    index.remove("p-1")
    assert kinds(index.history(incident)) == ["created", "joined", "closed", "reopened", "removed", "removed"]


# -- closing -----------------------------------------------------------------------------------------------------------

CLOSED = datetime(2026, 3, 10, 14, tzinfo=UTC)


@pytest.fixture
def closed(index):
    """An incident of two cases, closed on 10 March."""
    index.add([Case(POWER, id="p-1", created_at="2026-03-01"), Case(POWER_COPY, id="p-2", created_at="2026-03-02")])
    incident = incident_of(index, "p-1")
    index.close_incident(incident, at=CLOSED.astimezone(timezone(timedelta(hours=3))))
    assert index.incident(incident).closed_at.isoformat() == CLOSED.isoformat()
    return incident


@pytest.mark.parametrize(
    ("day", "expected", "is_closed"),
    [
        ("2026-03-09", ["joined"], True),
        ("2026-03-10", ["joined", "reopened"], False),
        ("2026-03-31", ["joined", "reopened"], False),
        ("2026-04-05", ["created"], True),
    ],
)
def test_a_late_report_reopens_an_incident_within_three_weeks_of_its_closing(index, closed, day, expected, is_closed):
    case = Case(POWER + "!", id="late", created_at=day)
    (match, *_) = index.query(case)
    assert match.is_closed and match.is_duplicate == ("joined" in expected)
    added = index.add([case])
    assert kinds(added.changes) == expected
    assert (index.incident(closed).closed_at is not None) == is_closed
    if expected == ["created"]:
        assert added[0].is_new and added.changes[0].other == closed
        assert index.incident(added[0].incident_id).recurrence_of == closed
        again = index.add([Case(POWER_COPY + " رجاء", created_at="2026-04-06")])
        assert again[0].incident_id == added[0].incident_id and not list(wrong(index)), "the open one comes first"
    else:
        assert added[0].incident_id == closed


def test_how_long_a_closed_incident_may_reopen_is_an_option(tmp_path):
    def changes(days):
        with DuplicateIndex.open(tmp_path / f"index-{days}", grouper(), reopen_days=days) as index:
            index.add([Case(POWER, id="p-1", created_at="2026-03-01")])
            index.close_incident(incident_of(index, "p-1"), at=CLOSED)
            return kinds(index.add([Case(POWER_COPY, created_at="2026-03-12")]).changes)

    assert changes(5) == ["joined", "reopened"] and changes(1) == ["created"]
    folder = tmp_path / "index-1"
    rebuild_index(folder, grouper())
    with opened(folder) as again:  # which keeps it
        assert kinds(again.add([Case(POWER + "!", created_at="2026-03-13")]).changes) == ["joined"]
        assert kinds(again.add([Case(POWER_ELSEWHERE, id="e-1", created_at="2026-03-01")]).changes) == ["created"]
        again.close_incident(incident_of(again, "e-1"), at=CLOSED)
        assert kinds(again.add([Case(POWER_ELSEWHERE + "!", created_at="2026-03-13")]).changes) == ["created"]
    with pytest.raises(ValueError, match="reopen_days is -1, expected at least 0"):
        changes(-1)


def test_nothing_is_closed_in_the_future_or_before_it_was_reported(index):
    index.add([Case(POWER, id="p-1", created_at="2026-03-01T01:00+03:00"), Case(HOLE, created_at="2199-01-01")])
    now = datetime.now(UTC)
    for at, message in (
        (now + timedelta(hours=1), "in the future; leave it out"),
        (datetime(2199, 1, 1), "in the future; leave it out"),
        (datetime(2026, 2, 26), "before the first report of incident 1"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-3))), "at is a datetime that is no time of the years"),
    ):
        with pytest.raises(ValueError, match=message):
            index.close_incident(1, at=at)
    assert index.close_incident(1, at=now + timedelta(minutes=1))[0].at <= datetime.now(UTC)
    assert index.close_incident(2)[0].kind == "closed", "a report of tomorrow's clock can be closed now"
    index.reopen_incident(1)
    assert index.close_incident(1, at=datetime(2026, 3, 1))[0].at == datetime(2026, 3, 1, tzinfo=UTC)


def test_changes_together_are_all_there_or_none_of_them(index):
    index.add([Case(POWER, id="p-1"), Case(HOLE, id="h-1")])
    before = index.incidents(1), index.history()
    with pytest.raises(KeyError), index.together():
        index.merge([1, 2])
        assert index.assignment("h-1").incident_id == 1
        with ThreadPoolExecutor(1) as other:
            assert other.submit(index.assignment, "h-1").result().incident_id == 2
        index.split("absent")
    assert (index.incidents(1), index.history()) == before
    with index.together():
        index.merge([1, 2])
        index.split("h-1", by="نورة")
    assert kinds(index.history()) == [*kinds(before[1]), "merged", "split"] and not list(wrong(index))


def test_a_case_without_a_date_counts_as_received_now(index):
    index.add([Case(POWER, id="p-1"), Case(HOLE, id="h-1")])
    long_ago = datetime.now() - timedelta(days=400)
    index.close_incident(incident_of(index, "p-1"))
    index.close_incident(incident_of(index, "h-1"), at=long_ago)
    assert kinds(index.add([POWER_COPY]).changes) == ["joined", "reopened"]
    assert kinds(index.add([HOLE + "!"]).changes) == ["created"]


def test_the_cases_of_a_closed_incident_stay_where_they_are(index, tmp_path):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_COPY + " رجاء", id="p-3")])
    incident = incident_of(index, "p-1")
    index.split("p-3")
    index.merge([incident, incident_of(index, "p-3")])
    index.close_incident(incident)
    before = index.incident(incident)
    index.remove(before.representative)
    left = index.incident(incident)
    assert set(left.members) == set(before.members) - {before.representative} and left.closed_at == before.closed_at
    index.close()
    rebuild_index(tmp_path / "index", DuplicateGrouper(grouper().classifier, threshold=1.0))
    with opened(tmp_path / "index") as again:
        assert again.incident(incident) == left and not list(wrong(again))


def test_a_merger_of_an_open_and_a_closed_incident_is_open(index, closed):
    index.add([Case(HOLE, id="h-1"), Case(POWER_ELSEWHERE, id="e-1")])
    events = index.merge([closed, incident_of(index, "h-1")])
    assert kinds(events) == ["merged", "reopened"] and index.incident(closed).closed_at is None
    other = incident_of(index, "e-1")
    for incident in (closed, other):
        index.close_incident(incident, at=CLOSED)
    assert kinds(index.merge([closed, other])) == ["merged"] and index.incident(closed).closed_at == CLOSED


# -- what lasts --------------------------------------------------------------------------------------------------------


def test_decisions_history_and_states_are_the_same_after_reopening_and_rebuilding(index, tmp_path):
    index.add([Case(POWER, id="p-1", created_at="2026-03-01"), Case(POWER_COPY, id="p-2", created_at="2026-03-02")])
    index.add([Case(HOLE, id="h-1"), Case(POWER_ELSEWHERE, id="e-1"), Case(HOLE + "!", id="h-2")])
    index.close_incident(incident_of(index, "p-1"), at=CLOSED)
    successor = index.add([Case(POWER + "!", id="later", created_at="2026-04-20")])[0].incident_id
    index.merge([incident_of(index, "e-1"), incident_of(index, "h-1")])
    index.split("h-2")
    before = index.history(), index.assignments(), stored_decisions(index), index.incidents(min_size=1)
    index.close()
    with opened(tmp_path / "index") as again:
        assert (again.history(), again.assignments(), stored_decisions(again), again.incidents(min_size=1)) == before
    done = rebuild_index(tmp_path / "index", grouper())
    assert done.ids_kept == done.incidents
    with opened(tmp_path / "index") as again:
        assert (again.history(), stored_decisions(again)) == (before[0], before[2])
        assert all(incident_of(again, name) == assigned.incident_id for name, assigned in before[1].items())
        assert again.incident(successor).recurrence_of == incident_of(again, "p-1")
        assert not list(wrong(again))


def test_a_rebuild_tells_in_the_history_which_cases_it_moved(index, tmp_path):
    index.add([Case(POWER, id="p-1"), Case(POWER_COPY, id="p-2"), Case(POWER_COPY + " رجاء", id="p-3")])
    index.merge([incident_of(index, "p-1"), index.add([Case(HOLE, id="h-1")])[0].incident_id])
    index.add([Case(POWER + "!", id="p-4")])
    index.close()
    rebuild_index(tmp_path / "index", DuplicateGrouper(grouper().classifier, threshold=1.0))
    with opened(tmp_path / "index") as again:
        assert together(again, "p-1", "p-2", "p-3", "h-1") and not together(again, "p-1", "p-4")
        assert (again.history()[-1].kind, again.history()[-1].reason) == ("split", "the index was rebuilt")
        assert not list(wrong(again))


def test_constraints_hold_in_a_grouping_too():
    texts = [POWER, POWER_COPY, POWER_ELSEWHERE, HOLE, POWER_COPY + " رجاء"]
    assert grouper().group(texts).labels.tolist() == [0, 0, 1, 2, 0]
    groups = grouper().group(texts, must_link=[(0, 3)], cannot_link=[(0, 1)])
    labels = groups.labels.tolist()
    assert labels[0] == labels[3] and labels[0] != labels[1]
    assert "linked by a person" in {reason for group in groups.groups for reason in group.reasons}
    strict = groups.rethreshold(1.0).labels.tolist()
    assert strict[0] == strict[3] and len(set(strict)) == 4
    with pytest.raises(ValueError, match="cannot_link keeps the cases 0 and 4 apart, but must_link joins them"):
        grouper().group(texts, must_link=[(0, 3), (3, 4)], cannot_link=[(0, 4)])
    with pytest.raises(ValueError, match="must_link names the cases 0 and 5, expected row numbers of 5 cases"):
        grouper().group(texts, must_link=[(0, 5)])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "remove", "decide", "decide", "decide", "open", "rebuild"]),
        st.integers(0, 2**32 - 1),
    ),
    min_size=10,
    max_size=40,
)


# Without shrinking, which would take minutes: a failure names its seeds.
@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(STEPS)
def test_whatever_happens_an_index_is_what_a_slow_reference_says(steps):
    import random

    with tempfile.TemporaryDirectory() as place:
        folder = f"{place}/index"
        index = opened(folder)
        ever, alive, at = set(), set(), 0
        expected = Reference()
        for step, (what, seed) in enumerate(steps):
            chance = random.Random(seed)
            before = {name: found.incident_id for name, found in index.assignments().items()}
            if what == "add":
                chosen = cases()[at : at + chance.randint(1, 12)]
                day = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=chance.randint(0, 120))
                index.add(Case(case.text, id=case.id, created_at=day, embedding=case.embedding) for case in chosen)
                at += len(chosen)
            elif what == "remove" and before:
                index.remove(chance.choice(list(before)))
            elif what == "decide" and before:
                decide(index, chance, str(step))
            elif what == "open":
                index.close()
                index = opened(folder)
            elif what == "rebuild":
                index.close()
                shutil.rmtree(rebuild_index(folder, grouper()).old)
                index = opened(folder)
            assert not list(wrong(index))
            present = {found.incident_id for found in index.assignments().values()}
            assert not (present & ever) - alive, "an id is used again"
            ever, alive = ever | present, present
            history = index.history()
            assert all(event.reason or event.by_person or event.kind in ("created", "removed") for event in history)
            assert not any(event.kind == "joined" and event.reason == "linked by a person" for event in history)
            expected = Reference(history)
            assert set(expected.incident) == set(index.assignments())
        index.close()
        assert DuplicateIndex.verify(folder).cases == len(expected.incident)
